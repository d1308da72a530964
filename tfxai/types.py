"""What users hand in: the types of public signatures, in one place, for editors, type checkers and readers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfxai.models import ModelView
from tfxai.output_target import OutputTarget
from tfxai.targets import Channel, Neuron, Rows

# A Keras model, a SavedModel as loaded, any function of a batch, or the path of a file or folder; or an opened one.
Model: TypeAlias = keras.Model | tf.Module | Callable[..., Any] | str | os.PathLike[str] | ModelView
Layer: TypeAlias = str | keras.Layer

Array: TypeAlias = np.ndarray | tf.Tensor
Tensors: TypeAlias = tf.Tensor | dict[str, tf.Tensor]  # in a graph: of the only input, or of several by their names
# A batch; several inputs, by name or one after the other; a table; or a dataset, loader or generator of batches.
Inputs: TypeAlias = Array | Mapping[str, Any] | Sequence[Any] | tf.data.Dataset | Iterable[Any]
# The predicted class, one class or output for all inputs or for each, a function of the outputs, or a unit of a layer.
Target: TypeAlias = (
    int | str | Sequence[int | str] | Array | Callable[..., Any] | Rows | OutputTarget | Neuron | Channel | None
)
# Classes of inputs by number, or (n, classes) of 0 and 1; or those that the model predicts.
Labels: TypeAlias = Array | Sequence[Any] | Literal["predicted"]
Classes: TypeAlias = Sequence[str] | Mapping[int, str] | Mapping[str, int]  # in order, by number, or numbers by name

Preprocessor: TypeAlias = Callable[[list[str]], Any]  # from strings to inputs, or a tuple that begins with these

Score: TypeAlias = Literal["logit", "probability", "auto"]
JitCompile: TypeAlias = bool | Literal["auto"]
Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
Verbose: TypeAlias = Literal["auto", 0, 1]

BaselineName: TypeAlias = Literal["mean", "blur", "noise"]
# What one input is compared with, or hidden by; of several inputs by name, or one after the other.
Reference: TypeAlias = float | Array | BaselineName | Callable[[tf.Tensor], tf.Tensor]
Baseline: TypeAlias = Reference | Sequence[Reference] | Mapping[str, Reference]
# Several for every input.
Background: TypeAlias = Array | Sequence[Reference] | Mapping[str, Array | Sequence[Reference]]
Bound: TypeAlias = float | tuple[float, ...]  # of all numbers, or one for each channel
