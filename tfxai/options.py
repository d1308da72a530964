"""The parameters that all explainers have: what their ``**options`` stand for."""

from __future__ import annotations

from typing import TypedDict

from tfxai.types import Classes, JitCompile, Score


class ModelOptions(TypedDict, total=False):
    """How a model is looked at; see `tfxai.Explainer`, where the defaults are."""

    output: str | int | None
    signature: str | None
    score: Score | None
    classes: Classes | None
    jit_compile: JitCompile
    draws: int | None
