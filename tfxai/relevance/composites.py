"""Composites: which rule where.

A composite is an ordered list of conditions and rules; the first condition that a layer meets decides. Composites by
name are those of the literature: Montavon et al. (2017, 2019), Kohlbrenner et al. (2020), Zhang et al. (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias, get_args

from tfxai.checks import above, one_of
from tfxai.relevance.operations import Attention, Norms
from tfxai.relevance.rules import EPSILON, NEARLY_ZERO, AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, ZPlus
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
    "attn_lrp",
    "attn_lrp_gamma",
    "cp_lrp",
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
    attention : {"half", "constant"}
        What the weights of attention get of their product with values: half of it (Achtibat et al. 2024, default), so
        that queries and keys have a part, or nothing (Ali et al. 2022).
    norms : {"pass", "share"}
        What a layer normalisation hands to its input: all (default), or shares by contribution, with the spread as a
        constant, in which the mean that is taken away and the shift take part (Achtibat et al. 2024).
    epsilon : float
        Keeps shares finite of sums that have no weights, such as those of skip connections. Default 1e-6.

    Examples
    --------
    >>> from tfxai.relevance import Composite, Flat, Gamma, ZPlus, convolution, first, upto
    >>> rules = Composite([(first, Flat()), (upto(0.3), ZPlus()), ("block4_*", Gamma(0.5)), (convolution, Gamma(0.25))])
    >>> transformers = Composite([(convolution, Gamma(0.25))], Gamma(0.05), attention="constant", norms="share")
    """

    choices: Sequence[tuple[Condition | str, Rule]]
    default: Rule = field(default_factory=Epsilon)
    attention: Attention = field(default="half", kw_only=True)
    norms: Norms = field(default="pass", kw_only=True)
    epsilon: float = field(default=EPSILON, kw_only=True)

    def __post_init__(self) -> None:
        one_of("attention", self.attention, get_args(Attention))
        one_of("norms", self.norms, get_args(Norms))
        above(0, epsilon=self.epsilon)

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
    patches = [(first, Gamma(1)), (convolution, Gamma(1))]  # made by a convolution, or cut out and multiplied
    known: dict[CompositeName, Composite | None] = {
        "epsilon": Composite([]),
        "epsilon_plus": Composite([(convolution, ZPlus())]),
        "epsilon_plus_flat": Composite([(first, Flat()), (convolution, ZPlus())]),
        "epsilon_gamma_box": box,
        "epsilon_alpha2_beta1": Composite([(convolution, AlphaBeta(2, 1))]),
        "epsilon_alpha2_beta1_flat": Composite([(first, Flat()), (convolution, AlphaBeta(2, 1))]),
        "deep_taylor": Composite([(first, zbox or WSquare())], ZPlus()),
        "excitation_backprop": Composite([], ZPlus()),
        "attn_lrp": Composite([], Epsilon(NEARLY_ZERO), norms="share", epsilon=NEARLY_ZERO),
        "attn_lrp_gamma": Composite(patches, Gamma(0.05), norms="share", epsilon=NEARLY_ZERO),
        "cp_lrp": Composite([], Epsilon(NEARLY_ZERO), attention="constant", norms="share", epsilon=NEARLY_ZERO),
    }
    if name not in known:
        raise ValueError(f"Expected composite to be one of {list(known)}, a rule or a Composite, got {name!r}.")
    found = known[name]
    if found is None:
        raise ValueError(
            f"The composite {name!r} needs low= and high=, the bounds of the inputs after the preprocessing: "
            "0 and 255, -1 and 1, or a tuple with one number for each channel."
        )
    return found


def _number(bound: Bound) -> Bound:
    return float(bound) if isinstance(bound, int | float) else tuple(float(one) for one in bound)
