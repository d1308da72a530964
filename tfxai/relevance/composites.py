"""Composites: which rule where.

A composite is an ordered list of conditions and rules; the first condition that a layer meets decides. Composites by
name are those of the literature: Montavon et al. (2017, 2019), Kohlbrenner et al. (2020), Zhang et al. (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from tfxai.relevance.rules import AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, ZPlus
from tfxai.types import Bound


@dataclass(frozen=True)
class LayerFacts:
    """What a condition may ask of an affine layer.

    Attributes
    ----------
    name : str
        Where it stands in the model, such as ``"backbone/conv1"``.
    kind : {"convolution", "dense"}
        What it is; a product with a matrix is dense.
    depth : float
        0 for the first layer, 1 for the last, in the order in which they run.
    first : bool
        Whether it works on the model's input: no other layer stands before it.
    operation : str
        TensorFlow's name of what it computes: ``"Conv2D"``, ``"DepthwiseConv2dNative"``, ``"MatMul"``.
    """

    name: str
    kind: str
    depth: float
    first: bool
    operation: str


Condition = Callable[[LayerFacts], bool]
CompositeName: TypeAlias = Literal[
    "epsilon",
    "epsilon_plus",
    "epsilon_plus_flat",
    "epsilon_gamma_box",
    "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat",
    "deep_taylor",
    "excitation_backprop",
]


@dataclass(frozen=True)
class Composite:
    """Rules by condition.

    Parameters
    ----------
    choices : sequence of (condition, rule)
        A condition is a function of `LayerFacts`, such as `first` and `convolution`, or a pattern of names, such as
        ``"block1_*"``, that is compared with every end of the name.
    default : Rule
        For layers that meet none. Default `Epsilon`.

    Examples
    --------
    >>> from tfxai.relevance import Composite, Flat, Gamma, ZPlus, convolution, first, upto
    >>> rules = Composite([(first, Flat()), (upto(0.3), ZPlus()), ("block4_*", Gamma(0.5)), (convolution, Gamma(0.25))])
    """

    choices: Sequence[tuple[Condition | str, Rule]]
    default: Rule = field(default_factory=Epsilon)

    def __call__(self, layer: LayerFacts) -> Rule:
        """The rule of a layer."""
        for condition, rule in self.choices:
            if named(condition)(layer) if isinstance(condition, str) else condition(layer):
                return rule
        return self.default


def first(layer: LayerFacts) -> bool:
    """Whether a layer works on the model's input."""
    return layer.first


def convolution(layer: LayerFacts) -> bool:
    """Whether a layer is a convolution."""
    return layer.kind == "convolution"


def depthwise(layer: LayerFacts) -> bool:
    """Whether a layer is a convolution of each channel alone; `convolution` holds for it too."""
    return layer.operation == "DepthwiseConv2dNative"


def dense(layer: LayerFacts) -> bool:
    """Whether a layer is a product with a matrix."""
    return layer.kind == "dense"


def upto(depth: float) -> Condition:
    """Whether a layer stands in the first part of the network: 0.3 is the first 30 % of the layers."""
    return lambda layer: layer.depth <= depth


def named(pattern: str) -> Condition:
    """Whether the name of a layer, or the end of it, fits a pattern with ``*`` and ``?``."""
    return lambda layer: fits(layer.name, pattern)


def fits(name: str, pattern: str) -> bool:
    """Whether a path, or the end of it, fits a pattern."""
    parts = name.split("/")
    return any(fnmatchcase("/".join(parts[start:]), pattern) for start in range(len(parts)))


def by_name(name: str, low: Bound | None = None, high: Bound | None = None) -> Composite:
    """A composite of the literature; ``low`` and ``high`` are the bounds of the inputs for those with a z-box."""
    zbox = None if low is None or high is None else ZBox(_number(low), _number(high))
    box = None if zbox is None else Composite([(first, zbox), (convolution, Gamma(0.25))])
    known: dict[CompositeName, Composite | None] = {
        "epsilon": Composite([]),
        "epsilon_plus": Composite([(convolution, ZPlus())]),
        "epsilon_plus_flat": Composite([(first, Flat()), (convolution, ZPlus())]),
        "epsilon_gamma_box": box,
        "epsilon_alpha2_beta1": Composite([(convolution, AlphaBeta(2, 1))]),
        "epsilon_alpha2_beta1_flat": Composite([(first, Flat()), (convolution, AlphaBeta(2, 1))]),
        "deep_taylor": Composite([(first, zbox or WSquare())], ZPlus()),
        "excitation_backprop": Composite([], ZPlus()),
    }
    if name not in known:
        raise ValueError(f"Expected composite to be one of {list(known)}, a rule or a Composite, got {name!r}.")
    found = known[name]
    if found is None:
        raise ValueError(
            f"The composite {name!r} needs low= and high=, the bounds of the inputs behind the preprocessing: "
            "0 and 255, -1 and 1, or a tuple with one number for each channel."
        )
    return found


def _number(bound: Bound) -> Bound:
    return float(bound) if isinstance(bound, int | float) else tuple(float(one) for one in bound)
