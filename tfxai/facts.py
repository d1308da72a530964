"""Facts: what one should know about a method before choosing it. They stand in ``methods.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

# why this output for this input; what does a concept look like to the model; which of its channels matter
Kind = Literal["decision", "model", "neurons"]


@dataclass(frozen=True)
class Facts:
    """What one should know about a method before choosing it."""

    name: str  # as `tfxai.explain` and the command line call it
    use: str
    cost: str  # in model passes
    needs: str
    drawback: str
    reference: str
    kind: Kind = "decision"

    @classmethod
    def of(cls, name: str) -> Facts:
        """Those of the file."""
        return all_facts()[name]


@cache
def all_facts() -> dict[str, Facts]:
    """What the file says, by the names of methods; nothing of TensorFlow is needed for it."""
    text = files("tfxai").joinpath("methods.toml").read_text(encoding="utf-8")
    return {name: Facts(name, **told) for name, told in tomllib.loads(text).items()}
