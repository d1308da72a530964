"""Reaching into a model: read a layer, edit it, modify the backward pass."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from keras import Layer as KerasLayer
from keras import Model

from tfxai.models import categories, strings
from tfxai.models.function import FunctionView
from tfxai.models.keras import KerasView
from tfxai.models.loading import load
from tfxai.models.saved_model import is_saved_model, open_saved_model
from tfxai.models.traced import TracedView
from tfxai.models.view import Layer, ModelView

__all__ = ["Layer", "ModelView", "layers", "open_model"]

ACCEPTED = "a Keras 3 model, a SavedModel, a function, or the path of a .keras file, .h5 file or SavedModel"


def open_model(model: Any, output: str | int | None = None, signature: str | None = None) -> ModelView:
    """The view of whatever can be explained.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        A Keras model; the object that `tf.saved_model.load` returns; a `tf.function` or what it returns for given
        shapes; a Keras layer or `tf.Module` that can be called; any other function, which is called with arrays and
        treated as a black box; or the path of a ``.keras``, ``.h5`` or ``.hdf5`` file or of a SavedModel's folder.
    output : str or int, optional
        Which output is explained, where there are several.
    signature : str, optional
        Which signature of a SavedModel; default: ``"serving_default"``, else the only one.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If the file does not exist or holds no model, if output or signature do not exist, or if eager execution is
        switched off.
    """
    if isinstance(model, ModelView):
        return model
    if not tf.compat.v1.executing_eagerly_outside_functions():
        raise ValueError(
            "Expected eager execution, but it is switched off. Leave out tf.compat.v1.disable_eager_execution() or "
            "tf.compat.v1.disable_v2_behavior(), and restart Python."
        )
    path = os.fspath(model) if isinstance(model, str | os.PathLike) else None
    if path is not None:
        model = load(Path(path))
    view = _open(model, output, signature)
    name = getattr(model, "name", None) or getattr(model, "__name__", None) or view.kind
    origin: dict[str, Any] = {"model": str(name), "model_kind": view.kind, "model_path": path}
    origin |= {"output": output, "signature": signature}
    if view.columns is not None:
        origin["categories"] = view.columns.categories
    view.origin = {fact: value for fact, value in origin.items() if value is not None}
    return view


def _open(model: Any, output: str | int | None, signature: str | None) -> ModelView:
    if is_saved_model(model):
        return open_saved_model(model, output, signature)
    if signature is not None:
        raise ValueError(f"Only SavedModels have signatures, got signature={signature!r} for {type(model).__name__}.")
    if isinstance(model, Model):
        model, preprocessor = strings.apart(model)
        model, columns = categories.apart(model)
        view = KerasView(model, output)
        view.preprocessor, view.columns = preprocessor, columns
        return view
    if isinstance(model, tf.types.experimental.ConcreteFunction):
        return TracedView(model, output, f"the function {model.name!r}", owner=model)
    if isinstance(model, tf.types.experimental.PolymorphicFunction):
        return _open_function(model, output)
    if callable(model) and isinstance(model, tf.Module | KerasLayer):
        return _open_function(tf.function(model, autograph=False), output)
    if not callable(model) or isinstance(model, type):
        raise TypeError(f"Expected {ACCEPTED}, got {type(model).__name__}.")
    if output is not None:
        raise ValueError(f"Expected a function that returns the output itself, got output={output!r}.")
    return FunctionView(model)


def layers(
    model: Any, output: str | int | None = None, signature: str | None = None, inputs: Any = None
) -> list[Layer]:
    """List the layers of a model in the order in which they run.

    Parameters
    ----------
    model : keras.Model, SavedModel, tf.function or path
        The model. A SavedModel, or a function with an input signature, has layers where its graph has scopes: Keras's
        layers, and operations beside them.
    output : str or int, optional
        Which output, if a SavedModel or function has several: what leads to it is listed.
    signature : str, optional
        Which signature of a SavedModel.
    inputs : array, or list or dict of them, optional
        A batch, for a model that does not say what it takes, such as a subclass that has seen no data.

    Returns
    -------
    list of Layer
        Tuples ``(name, kind, shape)``, also with an attribute ``spatial``; the names are what ``layer=`` takes.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.layers(tfxai.datasets.flowers.load_model())[1].kind
    'Conv2D'
    """
    view = open_model(model, output, signature)
    if isinstance(inputs, list | tuple):
        inputs = dict(zip(view.takes or [f"input_{number}" for number in range(len(inputs))], inputs, strict=True))
    return view.layers(None if inputs is None else tf.nest.map_structure(np.asarray, inputs))


def _open_function(function: tf.types.experimental.PolymorphicFunction, output: str | int | None) -> TracedView:
    name = f"the function {getattr(function, '__name__', type(function).__name__)!r}"
    if function.input_signature is not None:
        return TracedView(function.get_concrete_function(), output, name, owner=function)
    return TracedView(function.get_concrete_function, output, name, owner=function)
