"""Facts: what one should know about a method before choosing it."""

from __future__ import annotations

from dataclasses import dataclass
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
