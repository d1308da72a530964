"""SavedModels: from their folder or as `tf.saved_model.load` gives them, to the function that is explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from tfxai.models.custom_gradients import ConcreteFunction
from tfxai.models.traced import TracedView


def is_saved_model(model: Any) -> bool:
    """Whether it is the folder of a SavedModel, or what `tf.saved_model.load` made of one."""
    if isinstance(model, Path):
        return tf.saved_model.contains_saved_model(str(model))
    return hasattr(model, "signatures") and hasattr(model, "tensorflow_version")


def open_saved_model(model: Any, output: str | int | None = None, signature: str | None = None) -> TracedView:
    """The view of one signature of a SavedModel.

    Parameters
    ----------
    model : Path or object
        Its folder, or the loaded object.
    output : str or int, optional
        Which output, if the signature has several.
    signature : str, optional
        Which signature; default: ``"serving_default"``, else the only one.

    Raises
    ------
    ValueError
        If it cannot be loaded, has no such signature, or several and none is named.
    """
    name = f"the SavedModel {str(model)!r}" if isinstance(model, Path) else "the SavedModel"
    if isinstance(model, Path):
        try:
            model = tf.saved_model.load(str(model))
        except Exception as error:  # TensorFlow raises many kinds for a damaged folder
            raise ValueError(f"Cannot load {name}: {error}") from error
    return TracedView(_function(model, name, signature), output, name, owner=model, loaded=True)


def _function(model: Any, name: str, signature: str | None) -> ConcreteFunction:
    signatures = dict(model.signatures)
    if signature is not None:
        if signature not in signatures:
            raise ValueError(f"Expected signature to be one of {list(signatures)} of {name}, got {signature!r}.")
        return signatures[signature]
    if "serving_default" in signatures or len(signatures) == 1:
        return signatures.get("serving_default") or next(iter(signatures.values()))
    if signatures:
        raise ValueError(f"Expected signature= to name one of several of {name}: {list(signatures)}.")
    functions = getattr(model.__call__, "concrete_functions", []) if callable(model) else []
    if len(functions) != 1:
        raise ValueError(
            f"Expected {name} to have signatures, but it has none. Load it by tf.saved_model.load and give one of its "
            "functions, such as loaded.encode, or loaded.encode.get_concrete_function(spec)."
        )
    return functions[0]
