"""What users hand in: the types of public signatures, in one place, for editors, type checkers and readers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfxai.models import ModelView
from tfxai.targets import Channel, Neuron, Rows

# A Keras model, a SavedModel as loaded, any function of a batch, or the path of a file or folder; or an opened one.
Model = keras.Model | tf.Module | Callable[..., Any] | str | os.PathLike[str] | ModelView
Layer = str | keras.Layer

Array = np.ndarray | tf.Tensor
# A batch; several inputs, by name or one after the other; a table; or a dataset, loader or generator of batches.
Inputs = Array | Mapping[str, Any] | Sequence[Any] | tf.data.Dataset | Iterable[Any]
# The predicted class, one class or output for all inputs or for each, a function of the outputs, or a unit of a layer.
Target = int | str | Sequence[int] | Sequence[str] | Array | Callable[..., Any] | Rows | Neuron | Channel | None
Classes = Sequence[str] | Mapping[int, str] | Mapping[str, int]  # in order, by number, or numbers by name

Score = Literal["logit", "probability", "auto"]
JitCompile = bool | Literal["auto"]
Verbose = Literal["auto", 0, 1]

BaselineName = Literal["mean", "blur", "noise"]
Reference = float | Array | BaselineName | Callable[[tf.Tensor], tf.Tensor]  # what one input is compared with
Baseline = Reference | Sequence[Reference] | Mapping[str, Reference]  # several inputs: in order, or by name
Background = Array | Sequence[Reference] | Mapping[str, Array | Sequence[Reference]]  # several for every input
Bound = float | tuple[float, ...]  # of all numbers, or one for each channel
