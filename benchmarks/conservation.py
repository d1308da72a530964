"""Where layer-wise relevance propagation keeps the score, and where it loses it, operation by operation.

Without shares for biases, the relevance of the inputs should add up to the score. What an operation loses is the
relevance that arrives at its outputs minus what it hands to its inputs; all losses together are what the inputs lack.
One random input, the class with the highest logit.

    python benchmarks/conservation.py                    # random weights and statistics
    python benchmarks/conservation.py --networks MobileNetV2 --composite epsilon_plus_flat_depthwise --worst 10
    python benchmarks/conservation.py --model model.keras --range -128 128 --json losses.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

import tfxai
from tfxai.relevance import Composite, Flat, ZPlus, convolution, depthwise, lrp
from tfxai.relevance.affine import Affine
from tfxai.relevance.network import Network, scope
from tfxai.relevance.operations import Share
from tfxai.relevance.rules import EPSILON
from tfxai.run import Run

LIMIT = 0.01
NETWORKS = {  # and the range of their inputs
    "VGG16": (-128, 128),
    "ResNet50": (-128, 128),
    "MobileNetV2": (-1, 1),
    "DenseNet121": (-2, 2),
    "EfficientNetV2B0": (0, 255),
    "ConvNeXtTiny": (0, 255),
    "InceptionV3": (-1, 1),
}
COMPOSITES = {  # besides those of LRP
    "epsilon_plus_flat_depthwise": Composite([(depthwise, Flat()), (convolution, ZPlus())])
}
Signals = list[tf.Tensor | None]
Step = Callable[[tf.Operation, Signals], list[Share]]


@dataclass(frozen=True)
class Loss:
    """What one operation loses.

    Attributes
    ----------
    layer : str
        Where it stands in the model.
    operation : str
        Its type, and what takes its output; of an affine layer, what takes the output behind scales and shifts.
    loss : float
        Relevance that arrives minus relevance that is handed on, relative to the score; a gain is negative.
    stuck : float
        Share of the absolute relevance that arrives at outputs which can hand on none.
    silent : float
        Share of it that arrives where all inputs of an affine layer are zero, so that the output is a shift alone.
    """

    layer: str
    operation: str
    loss: float
    stuck: float
    silent: float


class Ledger(Network):
    """A network that writes down what every operation gets and gives."""

    def walk_back(self, end: Any, step: Step) -> dict[str, Any]:
        self.names: list[tuple[str, str]] = []
        self.amounts: list[tf.Tensor] = []
        parts = self.parts()

        def booked(op: tf.Operation, signals: Signals) -> list[Share]:
            shares = step(op, signals)
            layer, earlier = parts.get(op.name, (None, None))
            if earlier is None:  # else a scale or shift of a layer, which hands all on
                free = step(op, [None if r is None else abs(r) for r in signals])  # nothing cancels
                self._book(op, layer, signals, *(total(r for _, r in some) for some in (shares, free)))
            return shares

        return super().walk_back(end, booked)

    def _book(self, op: tf.Operation, layer: Affine | None, R: Signals, given: tf.Tensor, free: tf.Tensor) -> None:
        got = [r for r in R if r is not None]
        absolute = total(map(abs, got))
        stuck, silent = absolute - free, tf.zeros([])
        if layer is not None:
            nothing = layer.forward(abs(layer.a), abs(layer.W)) < EPSILON
            silent = tf.reduce_sum(tf.where(nothing, abs(tf.reshape(got[0], tf.shape(nothing))), 0.0))
        op, end = (layer.op, layer.through[-1]) if layer else (op, op.outputs[0])
        users = sorted({user.type for user in end.consumers() if user.name in self.on_path})
        self.names.append((scope(op), f"{op.type}, then {' and '.join(users) or 'the output'}"))
        facts = [tf.math.divide_no_nan(amount, absolute) for amount in (stuck, silent)]
        self.amounts.append(tf.stack([total(got) - given, *facts]))


class Audit(tfxai.LRP):
    """LRP that keeps its ledger."""

    def attribute(self, run: Run) -> Any:
        def opened(*ends: Any) -> Ledger:
            self.ledger = Ledger(*ends)
            return self.ledger

        with mock.patch.object(lrp, "Network", opened):
            values = super().attribute(run)
        run.extras["amounts"] = tf.stack(self.ledger.amounts)[None]
        return values


def total(parts: Iterable[tf.Tensor]) -> tf.Tensor:
    return tf.add_n([tf.reduce_sum(part) for part in parts])


def audit(model: keras.Model, composite: Any, low: float, high: float) -> tuple[float, list[Loss]]:
    """The share of the score that the inputs get, and losses, the largest first."""
    images = np.random.default_rng(0).uniform(low, high, (1, *model.input_shape[1:])).astype(np.float32)
    explainer = Audit(model, composite=composite, low=low, high=high, bias=False)
    found = explainer(images, verbose=0)
    score = found.score[0]
    booked = zip(explainer.ledger.names, found.extras["amounts"][0].tolist(), strict=True)
    losses = [Loss(*names, loss / float(score), stuck, silent) for names, (loss, stuck, silent) in booked]
    return float(found.values.sum() / score), sorted(losses, key=lambda one: -abs(one.loss))


def rows(name: str, kept: float, losses: list[Loss], worst: int) -> Iterator[str]:
    """Kinds of operations that lose most together, each with the layer that loses most."""
    kinds: dict[str, list[Loss]] = {}
    for one in losses:
        kinds.setdefault(one.operation, []).append(one)
    together = {kind: sum(one.loss for one in alike) for kind, alike in kinds.items()}
    ranked = sorted(kinds, key=lambda kind: -abs(together[kind]))[:worst]
    shown = [kind for kind in ranked if abs(together[kind]) >= 5e-5]
    head = f"{name} | {kept:.4g} | {'ok' if abs(kept - 1) <= LIMIT else 'LOST'}"
    for kind in shown:
        most = kinds[kind][0]
        where = most.layer.partition("/")[2] or most.layer
        numbers = f"{most.loss:.4g} | {most.stuck:.4f} | {most.silent:.4f}"
        yield f"| {head} | {kind} | {len(kinds[kind])} | {together[kind]:.4g} | {where} | {numbers} |"
        head = " | | "
    if not shown:
        yield f"| {head} | | | | | | | |"


def random_network(name: str) -> keras.Model:
    """Random weights, and statistics of normalisations that are not those of a new layer."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    model = getattr(keras.applications, name)(weights=None, classifier_activation=None)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in layer.weights:
                spread = random.uniform(0.5, 1.5, variable.shape)
                variable.assign((spread - 1) / 5 if variable.name in ("beta", "moving_mean") else spread)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="Relevance that LRP loses, by operation, relative to the score.")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--model", type=Path, help="a .keras file, instead of networks with random weights")
    parser.add_argument("--range", nargs=2, type=float, default=(-1, 1), help="of its inputs (default -1 1)")
    parser.add_argument("--composite", default="epsilon_plus", help="rules by name (default epsilon_plus)")
    parser.add_argument("--worst", type=int, default=3, help="how many kinds of operations (default 3)")
    parser.add_argument("--json", type=Path, help="write all losses to this file")
    given = parser.parse_args()

    print(
        f"| network | kept | limit {LIMIT:.0%} | operation | in layers | together | most in | there | stuck | silent |"
    )
    print("|---|---:|---|---|---:|---:|---|---:|---:|---:|")
    composite = COMPOSITES.get(given.composite, given.composite)
    results = {}
    for name in [given.model.stem] if given.model else given.networks:
        model = keras.models.load_model(given.model, compile=False) if given.model else random_network(name)
        try:
            kept, losses = audit(model, composite, *(given.range if given.model else NETWORKS[name]))
        except ValueError as error:  # rules with both signs may overflow
            print(f"| {name} | {str(error).partition('. ')[0]} |||||||||", flush=True)
            continue
        print(*rows(name, kept, losses, given.worst), sep="\n", flush=True)
        results[name] = {"kept": kept, "losses": [asdict(one) for one in losses]}
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
