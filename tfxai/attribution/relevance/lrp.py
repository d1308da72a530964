"""Layer-wise relevance propagation."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import tensorflow as tf

from tfxai.attribution.relevance.affine import Affine
from tfxai.attribution.relevance.composites import LayerFacts, by_name
from tfxai.attribution.relevance.network import Network
from tfxai.attribution.relevance.rules import Rule
from tfxai.explainer import Explainer, Facts
from tfxai.run import Run, check_floating


class LRP(Explainer):
    """Layer-wise relevance propagation: the score, handed back layer by layer to what it was made of.

    Bach et al. (2015). Every layer shares the relevance of its output among its inputs by a rule; which rule where is
    said by a composite. Relevance goes back through the operations of the graph, so it does not matter how the model is
    written: layers, nested models, `keras.ops`, a SavedModel. Batch normalisations and other scales and shifts are
    folded into the layer before them.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    composite : str, Rule, Composite or callable
        ``"epsilon"``, ``"epsilon_plus"`` (default), ``"epsilon_plus_flat"``, ``"epsilon_gamma_box"``,
        ``"epsilon_alpha2_beta1"``, ``"epsilon_alpha2_beta1_flat"``, ``"deep_taylor"``, ``"excitation_backprop"``; one
        rule for all layers; or a function from `tfxai.relevance.LayerFacts` to a rule, such as a
        `tfxai.relevance.Composite`.
    at : str, optional
        Layer at whose output relevance is wanted. Default: at the input.
    low, high : float or tuple of float, optional
        Bounds of the inputs behind the preprocessing, for composites with a z-box.
    bias : bool
        Whether shifts take their part of the relevance. It is lost then; without it (False) relevance is conserved.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For an operation that no sound rule is known for; it is never treated as a gradient.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explainer = tfxai.LRP(tfxai.datasets.flowers.load_model(), "epsilon_gamma_box", low=0, high=255)
    >>> explainer(images).values.shape
    (2, 112, 112, 3)
    """

    facts = Facts(
        "lrp",
        use="contribution of each input value, through every layer",
        cost="2 to 5 gradient passes, by the rules",
        needs="a model of operations with relevance rules",
        drawback="depends on the rules",
        reference="Bach et al. 2015",
    )
    rule = "flat"

    def __init__(
        self,
        model: Any,
        composite: Any = "epsilon_plus",
        at: str | None = None,
        low: Any = None,
        high: Any = None,
        bias: bool = True,
        **options: Any,
    ):
        super().__init__(model, **options)
        if isinstance(composite, str):
            composite = by_name(composite, low, high)
        elif not isinstance(composite, Rule) and not callable(composite):
            raise TypeError(f"Expected composite to be a name, a rule or a Composite, got {type(composite).__name__}.")
        self.composite, self.bias = composite, bias
        if at is not None:
            self.reads = (self.view.find(at),)

    def describe(self) -> dict[str, Any]:
        return {"layer": self.reads[0]} if self.reads else {}

    def attribute(self, run: Run) -> Any:
        check_floating(run.inputs)
        inputs = tf.nest.flatten(run.inputs)
        start = run.read[run.goal.reads[0]] if run.goal.reads else run.outputs
        signal = tf.gradients(run.score, start)[0]
        if signal is None:
            raise ValueError("The score does not depend on the model's output in a way that can be differentiated.")
        R = tf.cast(start, tf.float32) * tf.cast(signal, tf.float32)
        network = Network(inputs, start)
        facts = _facts(network)

        def rule_of(layer: Affine) -> Rule:
            rule = self.composite if isinstance(self.composite, Rule) else self.composite(facts[layer.op.name])
            return rule if self.bias else replace(rule, bias=False)

        relevance = network.propagate(R, rule_of, self.bias)
        if self.reads:
            wanted = run.read[self.reads[0]]
            while wanted.name not in relevance and wanted.op.type == "Identity":  # it was handed out of a function
                wanted = wanted.op.inputs[0]
            if wanted.name not in relevance:
                raise ValueError(f"No relevance passes through the output of {self.reads[0]!r}; choose another layer.")
            return tf.reshape(relevance[wanted.name], tf.shape(wanted))
        return tf.nest.pack_sequence_as(run.inputs, [relevance.get(x.name, tf.zeros_like(x)) for x in inputs])


def _facts(network: Network) -> dict[str, LayerFacts]:
    """What conditions ask, by the name of each layer's operation."""
    behind: set[str] = set()  # operations that depend on a layer
    for op in network.path:
        if any(x.op.name in behind or x.op.name in network.layers for x in op.inputs):
            behind.add(op.name)
    last = max(1, len(network.layers) - 1)
    return {
        name: LayerFacts(
            _name(layer.op),
            "convolution" if "onv" in layer.op.type else "dense",
            number / last,
            layer.source.op.name not in behind | set(network.layers),
        )
        for number, (name, layer) in enumerate(network.layers.items())
    }


def _name(op: tf.Operation) -> str:
    """Scopes of an operation without what tracing has added: calls and, from Keras, numbers."""
    parts = [part for part in op.name.split("/")[1:-1] if "PartitionedCall" not in part]
    return "/".join(re.sub(r"_\d+$", "", part) for part in parts)
