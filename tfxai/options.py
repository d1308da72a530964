"""The parameters that all explainers have: what their ``**options`` stand for, and what "auto" means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import tensorflow as tf

from tfxai.types import Classes, JitCompile, Precision, Preprocessor, Score


class ModelOptions(TypedDict, total=False):
    """How a model is looked at; see `tfxai.Explainer`, where the defaults are."""

    output: str | int | None
    signature: str | None
    score: Score | None
    classes: Classes | None
    jit_compile: JitCompile
    draws: int | None
    preprocessor: Preprocessor | None
    precision: Precision


class InputOptions(ModelOptions, total=False):
    """The same, for methods that look at the numbers of inputs, and at words where they have become numbers."""

    at: str | Sequence[str] | None


def by_xla(jit_compile: JitCompile) -> bool:
    """Whether XLA compiles: "auto" is where there is a GPU."""
    if jit_compile not in ("auto", True, False):
        raise ValueError(f'Expected jit_compile to be "auto", True or False, got {jit_compile!r}.')
    return bool(tf.config.list_physical_devices("GPU")) if jit_compile == "auto" else bool(jit_compile)
