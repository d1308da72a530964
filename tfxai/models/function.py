"""Any Python function as a model that is a black box: a remote service, an ONNX or scikit-learn model."""

from __future__ import annotations

import contextlib
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.models.overrides import Backward
from tfxai.models.traced import as_given
from tfxai.models.view import Forward, Layer, ModelView, without_gradient


class FunctionView(ModelView):
    """A Python function, called with NumPy arrays while an explanation runs; it is never traced.

    Parameters
    ----------
    function : callable
        From a batch, (n, ...), or a list or dict of them, to outputs (n, classes).
    """

    opaque = True
    kind = "Python function"

    def __init__(self, function: Callable):
        self.function = function
        self.name = f"the Python function {getattr(function, '__name__', type(function).__name__)!r}"
        self.inputs = None
        self._shape: tuple[int, ...] | None = None
        self._first: tuple[list, np.ndarray] | None = None  # what it was called with first, and what it said
        self._errors: deque[Exception] = deque(maxlen=64)  # the last ones, of all threads
        self._answers: list[tuple[Any, np.ndarray]] = []  # of a run that has not ended, and what was asked
        self._before: list[tuple[Any, np.ndarray]] = []  # of a run that ended by an error

    def prepare(self, inputs: Any) -> None:
        """Learn from the first row of a batch what the function returns."""
        if self._shape is None:
            row = tf.nest.map_structure(lambda x: x[:1], inputs)
            outputs = self._call(row)
            self._first, self._shape = (tf.nest.flatten(row), outputs), outputs.shape[1:]

    def probe(self, inputs: Any, draw: int, compiled: bool = False, traced: bool = False) -> np.ndarray:
        row, outputs = self._first or ([], None)
        known = draw == 0 and all(map(np.array_equal, row, tf.nest.flatten(inputs)))
        return outputs if known and outputs is not None else self._call(inputs)  # a call may cost money

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The function's own error is raised, not TensorFlow's about it, which quotes its mark.

        What it answered before the error is kept, so that the same run asks no more than what is left.
        """
        try:
            yield
        except tf.errors.OpError as error:
            own = next((one for one in reversed(self._errors) if _mark(one) in str(error)), None)
            self._before, self._answers = self._before + self._answers, []
            if own is None or not self._before:
                raise own or error from None
            own.add_note(f"{len(self._before)} calls were answered before it. Explain again to ask only for the rest.")
            raise own from None
        self._before, self._answers = [], []

    def forward(self, inputs: Any, read: Sequence[str] = (), backward: Backward | None = None) -> Forward:
        if read or backward:
            raise self._closed()

        def call(*arrays: np.ndarray) -> np.ndarray:
            asked = [(x.shape, zlib.crc32(x.data), zlib.adler32(x.data)) for x in map(np.ascontiguousarray, arrays)]
            known = [number for number, (before, _) in enumerate(self._before) if before == asked]
            try:
                if known:
                    answer = self._before.pop(known[0])[1]
                else:
                    answer = self._call(tf.nest.pack_sequence_as(inputs, arrays))
                self._answers.append((asked, answer))
                return answer
            except Exception as error:
                self._errors.append(error)
                raise RuntimeError(_mark(error)) from None

        def outputs(*flat: tf.Tensor) -> tf.Tensor:
            found = tf.numpy_function(call, flat, tf.float32)
            found.set_shape([None, *(self._shape or ())])
            return found

        return Forward(without_gradient(outputs, tf.nest.flatten(inputs), self._closed()))

    def layers(self, inputs: Any = None) -> list[Layer]:
        raise self._closed()

    def find(self, layer: Any) -> str:
        raise self._closed()

    def last_spatial(self, inputs: Any = None) -> str:
        raise self._closed()

    def _call(self, inputs: Any) -> np.ndarray:
        outputs = np.asarray(self.function(as_given(inputs)))
        rows = len(tf.nest.flatten(inputs)[0])
        if outputs.dtype.kind not in "fiub" or outputs.ndim == 0 or len(outputs) != rows:
            raise ValueError(
                f"Expected {self.name} to return one row of numbers for each of {rows} inputs, "
                f"got {outputs.dtype} of shape {outputs.shape}."
            )
        if self._shape is not None and outputs.shape[1:] != self._shape:
            raise ValueError(
                f"Expected {self.name} to return rows of shape {self._shape}, as before, got {outputs.shape[1:]}."
            )
        return outputs.astype(np.float32)

    def _closed(self) -> ValueError:
        return ValueError(
            f"This method needs gradients or layers, and {self.name} has none to show. Use Occlusion; or, if "
            "it is made of TensorFlow operations, give tf.function(f)."
        )


def _mark(error: Exception) -> str:
    return f"error {id(error):#x} of a Python function"
