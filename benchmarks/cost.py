"""Time of every method, in bare passes of the same model over the same batch.

A pass is a compiled forward, or a forward and the gradient of the input. Pass and method take turns, so that whatever
slows the machine down slows both; the cost is the median of the ratios. A call of a method is all that a user waits
for, checks, copies and the explanation included, after the first call.

    python benchmarks/cost.py
    python benchmarks/cost.py --network VGG16 --methods lrp deep_lift
    python benchmarks/cost.py --model model.keras --batch 8 --repeats 15 --json benchmarks/costs.json
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfxai

FORWARD, GRADIENT = "forward passes", "gradient passes"
CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}  # the first counts all threads together


@dataclass(frozen=True)
class Plan:
    """How one method is measured.

    Attributes
    ----------
    unit : str
        The bare pass that it is compared with.
    passes : int
        How many of them it has to make.
    slack : float, optional
        How many times its passes it may cost; None: there is no limit.
    options : dict
        For the constructor.
    setting : str
        The options in words.
    """

    unit: str = FORWARD
    passes: int = 1
    slack: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    setting: str = ""


@dataclass
class Row:
    """One line of the table; costs and their spread (half the interquartile range) are pairs, one for each clock."""

    name: str
    plan: Plan
    cost: np.ndarray
    spread: np.ndarray
    limit: float | None
    first: float  # seconds of cpu time that the first call takes longer than the next
    retraces: int

    def verdict(self, clock: str) -> str:
        if self.retraces:
            return "RETRACES"
        if self.limit is None:
            return ""
        return "ok" if self.cost[list(CLOCKS).index(clock)] <= self.limit else "OVER"


class Bench:
    """A model, a batch, and the bare passes of the model over the batch."""

    def __init__(self, model: keras.Model, batch: int, repeats: int):
        self.model, self.repeats = model, repeats
        self.images = np.random.default_rng(0).normal(size=(batch, *model.input_shape[1:])).astype(np.float32)
        x, ids = tf.constant(self.images), tf.zeros([batch], tf.int32)

        @tf.function
        def forward(x: tf.Tensor) -> tf.Tensor:
            return model(x, training=False)

        @tf.function
        def gradient(x: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                score = tf.gather(model(x, training=False), ids, axis=1, batch_dims=1)
            return tape.gradient(score, x)

        self.bare = {FORWARD: lambda: forward(x).numpy(), GRADIENT: lambda: gradient(x, ids).numpy()}
        for bare in self.bare.values():
            bare()  # traced and compiled, and the threads have started

    def measure(self, name: str, plan: Plan) -> Row:
        """Time one method and count its traces."""
        explainer = tfxai.methods("decision")[name](self.model, **plan.options)
        traces = count_calls(explainer, "attribute")

        def run(target: int | None = 0, count: int | None = None) -> tfxai.Explanation:
            return explainer(self.images[:count], target=target, verbose=0)

        first = spent(run)
        ratios = self.compare(run, self.bare[plan.unit])
        low, cost, high = np.percentile(ratios, [25, 50, 75], axis=0)
        limit = plan.slack and plan.slack * plan.passes
        if name == "ablation_cam":
            above = self.above(plan.options["layer"])
            limit = above and plan.slack * (1 + plan.passes * above)

        first -= cost * spent(self.bare[plan.unit])
        run(target=None, count=len(self.images) // 2)  # no new trace for predicted classes, a part of a batch, a seed
        if hasattr(explainer, "seed"):
            explainer.seed += 1
        run(target=1, count=1)
        return Row(name, plan, cost, (high - low) / 2, limit, max(0.0, first[0]), traces() - 1)

    def compare(self, run: Callable, bare: Callable) -> np.ndarray:
        """(rounds, clocks) time of ``run`` over that of ``bare``, which takes its turns before and after it."""
        length = int(spent(run)[0] / spent(bare)[0])
        rounds, turns = (self.repeats, 2) if length < 20 else (max(3, self.repeats // 5), length // 10)
        ratios = []
        before = spent(bare, turns)
        for _ in range(rounds):
            own, after = spent(run), spent(bare, turns)
            ratios.append(2 * own / (before + after))
            before = after
        return np.array(ratios)

    def above(self, layer: str) -> float | None:
        """Time of the part of the model above a layer, in forward passes; None if Keras cannot cut it out."""
        try:
            start = self.model.get_layer(layer).output
            part = tf.function(keras.Model(start, self.model.output), autograph=False)
        except ValueError:
            return None
        x = tf.random.normal([len(self.images), *start.shape[1:]])
        part(x)
        calls = 20  # one alone may be too short to be timed
        ratios = self.compare(lambda: [part(x) for _ in range(calls)][-1].numpy(), self.bare[FORWARD])
        return float(np.median(ratios[:, 0])) / calls


def plans(model: keras.Model) -> list[tuple[str, Plan]]:
    """Methods, and for each what it is measured with, how many passes it makes, and how much more it may cost."""
    size = model.input_shape[1:3]
    window = size[0] // 8
    windows = math.prod(math.ceil(length / window) for length in size)
    spatial = [layer for layer in tfxai.layers(model) if layer.spatial]
    late = spatial[-1]
    narrow = min(spatial[: -(len(spatial) // 3) - 2 : -1], key=lambda layer: layer.shape[-1])
    once = Plan(GRADIENT, slack=1.15)
    special = {
        "saliency": once,
        "gradient_x_input": once,
        "guided_backprop": once,
        "deconvnet": once,
        "integrated_gradients": Plan(GRADIENT, 50, 1.1, {"steps": 50}, "50 steps"),
        "gradient_shap": Plan(GRADIENT, 50, 1.15, {"samples": 50}, "50 samples"),
        "guided_ig": Plan(GRADIENT, 51, None, {"steps": 50}, "50 steps"),
        "blur_ig": Plan(GRADIENT, 50, 1.2, {"steps": 50}, "50 steps"),
        "xrai": Plan(GRADIENT, 40, None, {"steps": 20}, "20 steps from each of 2 baselines"),
        "smooth_grad": Plan(GRADIENT, 50, 1.1, {"samples": 50}, "50 samples"),
        "square_grad": Plan(GRADIENT, 50, None, {"samples": 50}, "50 samples"),
        "var_grad": Plan(GRADIENT, 50, None, {"samples": 50}, "50 samples"),
        "guided_grad_cam": Plan(GRADIENT),
        "grad_cam": Plan(slack=1.25),
        "score_cam": _channels(narrow, None),
        "ablation_cam": _channels(late, 1.2),
        "occlusion": Plan(FORWARD, windows, 1.15, {"window": window, "stride": window}, f"{windows} windows"),
        "rise": Plan(FORWARD, 100, 1.15, {"masks": 100}, "100 masks"),
        "lrp": _composite("epsilon_plus", 4),
        "deep_taylor": Plan(GRADIENT),
        "simple_taylor": Plan(GRADIENT),
        "guided_feature_inversion": Plan(GRADIENT),
        "feature_inversion": Plan(GRADIENT),
        "meaningful_perturbation": Plan(GRADIENT),
        "deep_lift": Plan(GRADIENT),
    }
    found = tfxai.methods("decision").items()  # what reads attention is measured by tokens.py
    usual = [(name, special.get(name, Plan())) for name, cls in found if "attention" not in cls.facts.needs]
    others = [("lrp", _composite(name, limit)) for name, limit in (("epsilon", 2.5), ("epsilon_alpha2_beta1", 6))]
    reveal = Plan(GRADIENT, options={"rule": "reveal_cancel"}, setting="reveal_cancel")
    return [*usual, ("ablation_cam", _channels(narrow, 1.2)), *others, ("deep_lift", reveal)]


def _composite(name: str, limit: float) -> Plan:
    return Plan(GRADIENT, slack=limit, options={"composite": name}, setting=name)


def _channels(layer: tfxai.models.Layer, slack: float | None) -> Plan:
    channels = layer.shape[-1]
    return Plan(FORWARD, channels, slack, {"layer": layer.name}, f"{channels} channels of {layer.name}")


def spent(run: Callable, turns: int = 1) -> np.ndarray:
    """Seconds of a call, by each clock."""
    start = np.array([clock() for clock in CLOCKS.values()])
    for _ in range(turns):
        run()
    return (np.array([clock() for clock in CLOCKS.values()]) - start) / turns


def count_calls(owner: Any, name: str) -> Callable[[], int]:
    """Count the calls of a method of one object from now on; returns what tells the number."""
    method = getattr(owner, name)
    calls = []

    def counted(*args: Any) -> Any:
        calls.append(args)
        return method(*args)

    setattr(owner, name, counted)
    return lambda: len(calls)


HEADER = """\
| method | setting | unit | cost, cpu time | cost, wall time | limit | | first call, s |
|---|---|---|---:|---:|---:|---|---:|"""


def line(row: Row, clock: str) -> str:
    """One row in markdown."""
    costs = [f"{cost:.2f} ± {spread:.2f}" for cost, spread in zip(row.cost, row.spread, strict=True)]
    limit = "" if row.limit is None else f"{row.limit:.2f}"
    cells = [row.name, row.plan.setting, row.plan.unit, *costs, limit, row.verdict(clock), f"{row.first:.1f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    gpu = bool(tf.config.list_physical_devices("GPU"))
    parser = argparse.ArgumentParser(description="Cost of every method, in bare passes of the model.")
    parser.add_argument("--model", type=Path, help="a .keras file")
    parser.add_argument("--network", default="MobileNetV2", help="else one of keras.applications, with random weights")
    parser.add_argument("--batch", type=int, default=8, help="images in the batch (default 8)")
    parser.add_argument("--repeats", type=int, default=15, help="rounds; long methods take a fifth (default 15)")
    parser.add_argument(
        "--methods", nargs="+", choices=tfxai.methods("decision"), default=list(tfxai.methods()), metavar="NAME"
    )
    parser.add_argument("--clock", choices=CLOCKS, default="wall" if gpu else "cpu", help="which cost the limit is for")
    parser.add_argument("--json", type=Path, help="write the costs to this file")
    given = parser.parse_args()
    if given.model:
        model = keras.models.load_model(given.model, compile=False)
    else:
        model = getattr(keras.applications, given.network)(weights=None, classifier_activation=None)
    bench = Bench(model, given.batch, given.repeats)
    passes = "; ".join(f"{unit}: {1000 * spent(bare, 10)[1]:.0f} ms each" for unit, bare in bench.bare.items())
    print(f"{model.name}, batch of {given.batch}; {passes}\n{HEADER}", flush=True)

    rows, skipped = [], []
    for name, plan in plans(model):
        if name not in given.methods:
            continue
        try:
            rows.append(bench.measure(name, plan))
            print(line(rows[-1], given.clock), flush=True)
        except ValueError as error:
            skipped.append(f"{name} does not apply to this model: {error}")
    if skipped:
        print(*skipped, sep="\n")
    if given.json:
        index = list(CLOCKS).index(given.clock)
        costs = {
            row.name: {"unit": row.plan.unit, "cost": round(float(row.cost[index]), 2), "setting": row.plan.setting}
            for row in reversed(rows)  # of several for one method, the first
        }
        given.json.write_text(json.dumps(costs, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
