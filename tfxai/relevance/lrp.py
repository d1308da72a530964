"""Layer-wise relevance propagation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, Unpack

import tensorflow as tf

from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.maps import Place
from tfxai.models import attention
from tfxai.models.attention_maps import AttentionMap, known
from tfxai.options import ModelOptions
from tfxai.relevance.affine import Affine
from tfxai.relevance.composites import Composite, CompositeName, LayerFacts, by_name
from tfxai.relevance.network import Network
from tfxai.relevance.operations import Conventions
from tfxai.relevance.rules import Rule
from tfxai.run import Run
from tfxai.types import Bound, Layer, Model, Tensors

RuleOfLayer: TypeAlias = Callable[[LayerFacts], Rule]


class LRP(Explainer):
    """Layer-wise relevance propagation: the score, handed back layer by layer to what it was made of.

    Bach et al. (2015). Every layer shares the relevance of its output among its inputs by a rule; a composite says
    which rule applies where. Relevance goes back through the operations of the graph, so it does not matter how the
    model is written: layers, nested models, `keras.ops`, a SavedModel. Batch normalisations and other scales and shifts
    are folded into the layer before them.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    composite : str, Rule, Composite or callable, optional
        ``"epsilon"``, ``"epsilon_plus"``, ``"epsilon_plus_flat"``, ``"epsilon_gamma_box"``,
        ``"epsilon_alpha2_beta1"``, ``"epsilon_alpha2_beta1_flat"``, ``"deep_taylor"``, ``"excitation_backprop"``, and
        for transformers ``"attn_lrp"``, ``"attn_lrp_gamma"`` (for images), ``"cp_lrp"``; one rule for all
        layers; or a function from `tfxai.relevance.LayerFacts` to a rule, such as a `tfxai.relevance.Composite`.
        Default: ``"attn_lrp"`` for a model with attention, else ``"epsilon_plus"``; ``facts["composite"]`` says which.
        The others give a layer normalisation's input all relevance and the mean that is subtracted no part,
        which makes values explode from block to block of a ViT.
    at : str, keras layer, AttentionMap or sequence of str, optional
        Layer at whose output relevance is read, or one of the maps that `tfxai.attention` lists: (n, heads, queries,
        keys) then. Default: at the input, or where its integers are embedded. Names of inputs: those of several whose
        embeddings are meant.
    low, high : float or tuple of float, optional
        Bounds of what the first layer sees, after all preprocessing, for composites with a z-box.
    bias : bool
        Whether shifts take their part of the relevance, which is then lost. Without it (False) relevance is conserved,
        but for outputs that a shift alone has made.
    operations : dict, optional
        Rules for operations that have none here, or another one, by type (``"Cumsum"``) or by a pattern of names
        (``"my_layer*"``): `tfxai.relevance.Epsilon` shares by contribution, `tfxai.relevance.Pass` hands relevance on,
        a function takes the `tf.Operation` and the relevance of each of its outputs, and returns that of each of its
        inputs, None where there is none.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For an operation for which no sound rule is known; it is never treated as a gradient.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explainer = tfxai.LRP(tfxai.datasets.flowers.load_model(), composite="epsilon_gamma_box", low=-1, high=1)
    >>> explainer(images).values.shape
    (2, 112, 112, 3)
    """

    embeds = True
    facts = Facts.of("lrp")
    backward = "flat"
    overflow = (
        "Where contributions cancel, rules such as epsilon divide by what is left, and relevance grows layer after "
        'layer. Use the composite "epsilon_plus" or "epsilon_gamma_box", for transformers "attn_lrp" or '
        '"attn_lrp_gamma"; or Epsilon with a larger epsilon, such as 0.25.'
    )

    def __init__(
        self,
        model: Model,
        *,
        composite: CompositeName | Rule | RuleOfLayer | None = None,
        at: Layer | AttentionMap | Sequence[str] | None = None,
        low: Bound | None = None,
        high: Bound | None = None,
        bias: bool = True,
        operations: Mapping[str, Rule | Callable[..., Any]] | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(model, **options)
        self.composite_name = composite if isinstance(composite, str) else None
        if isinstance(composite, str):
            composite = by_name(composite, low, high)
        elif composite is not None and not isinstance(composite, Rule) and not callable(composite):
            raise TypeError(f"Expected composite to be a name, a rule or a Composite, got {type(composite).__name__}.")
        self.composite, self.bias, self.operations = composite, bias, operations
        self.map = at if isinstance(at, AttentionMap) else None
        named = at if isinstance(at, list | tuple) else [at]  # inputs, perhaps
        if self.map is not None:
            return
        if set(named) <= set(self.view.takes or ()):
            self.at = tuple(map(str, named))
        elif at is not None:
            self.reads = (self.view.find(at),)

    @property
    def where(self) -> str | None:
        return self.reads[0] if self.reads else None

    def describe(self) -> dict[str, Any]:
        if self.map is not None:
            return {"attention": self.map.name}
        return {"layer": self.reads[0]} if self.reads else {}

    def places(self, run: Run, values: Any) -> dict[str, Place] | None:
        return None if self.map is not None else super().places(run, values)

    def attribute(self, run: Run) -> Tensors:
        inputs = tf.nest.flatten(run.floating)
        start = run.read[run.goal.reads[0]] if run.goal.reads else run.outputs
        signal = tf.gradients(run.score, start)[0]
        if signal is None:
            raise ValueError("The score does not depend on the model's output in a way that can be differentiated.")
        R = tf.cast(start, tf.float32) * tf.cast(signal, tf.float32)
        network = Network(inputs, start, self.operations, bool(run.integers))
        composite, facts = self._composite(run, inputs, start), network.facts()

        def rule_of(layer: Affine) -> Rule:
            rule = composite if isinstance(composite, Rule) else composite(facts[layer.op.name])
            return rule if self.bias else replace(rule, bias=False)

        choice = composite if isinstance(composite, Composite) else Composite([])
        conventions = Conventions(self.bias, choice.attention, choice.norms, choice.epsilon)
        relevance = network.propagate(R, rule_of, conventions)
        if self.map is not None:
            return self._of_map(run, inputs, start, relevance)
        if self.reads:
            wanted = run.read[self.reads[0]]
            while wanted.name not in relevance and wanted.op.type == "Identity":  # it was handed out of a function
                wanted = wanted.op.inputs[0]
            if wanted.name not in relevance:
                raise ValueError(f"No relevance passes through the output of {self.reads[0]!r}; choose another layer.")
            return tf.reshape(relevance[wanted.name], tf.shape(wanted))
        return tf.nest.pack_sequence_as(run.floating, [relevance.get(x.name, tf.zeros_like(x)) for x in inputs])

    def _of_map(
        self, run: Run, inputs: Sequence[tf.Tensor], end: tf.Tensor, relevance: dict[str, tf.Tensor]
    ) -> tf.Tensor:
        """(n, heads, queries, keys) relevance of the map that was asked for."""
        names = [one.name for one in known(run.view, run.taken).maps]
        maps = attention.find(inputs, end)
        if self.map is None or self.map.name not in names[: len(maps)]:
            raise ValueError(f"Expected at= to be one of the maps of attention {names}, got {self.map}.")
        one = maps[names.index(self.map.name)]
        R = relevance.get(one.weights.name)
        if R is None:
            raise ValueError(
                f"No relevance passes through the attention of {self.map.name!r}. The composite cp_lrp "
                "gives all to the values; use attn_lrp."
            )
        return one.by_head(R)

    def _composite(self, run: Run, inputs: Sequence[tf.Tensor], output: tf.Tensor) -> Rule | RuleOfLayer:
        """The composite that was asked for, or that suits the model."""
        name, found = self.composite_name, self.composite
        if found is None:
            name = "attn_lrp" if attention.find(inputs, output) else "epsilon_plus"
            found = by_name(name)
        if name is not None:
            run.facts["composite"] = name
        return found
