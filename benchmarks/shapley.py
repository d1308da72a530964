"""Shapley and Banzhaf values: errors after so many evaluations, and time; beside shap and lime, where installed."""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

import tfxai

PLAYERS, SEEDS = 50, 20
BUDGETS = (2 * PLAYERS + 256, 2 * PLAYERS + 2048)


def sum_of_groups(random: np.random.Generator) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray, np.ndarray]:
    """A function of who is there, (m, players), and its Shapley and Banzhaf values: groups count if all are there."""
    groups = [random.choice(PLAYERS, random.integers(1, 6), replace=False) for _ in range(200)]
    weights = random.normal(size=len(groups))
    shapley, banzhaf = np.zeros((2, PLAYERS))
    for group, weight in zip(groups, weights, strict=True):
        shapley[group] += weight / len(group)
        banzhaf[group] += weight / 2 ** (len(group) - 1)

    def together(x: np.ndarray) -> np.ndarray:
        return np.stack([x[:, group].all(1) for group in groups], 1) @ weights

    return together, shapley, banzhaf


def games() -> Iterator[tuple[str, Callable[[np.ndarray], np.ndarray], np.ndarray]]:
    """Functions of who is there, (m, players), and their Shapley values."""
    random = np.random.default_rng(0)
    together, values, _ = sum_of_groups(random)
    yield "sums of groups of 1 to 5", together, values
    first, last = random.normal(size=(PLAYERS, 30)) / 3, random.normal(size=30)

    def network(x: np.ndarray) -> np.ndarray:
        return np.tanh(x @ first - 0.5 * first.sum(0)) @ last

    truth = tfxai.PermutationSHAP(lambda x: network(x)[:, None], samples=20_000)
    found = truth.explain(np.ones((1, PLAYERS)), 0, batch_size=20_000, verbose=0)
    yield "a network, tanh", network, found.values[0]


def errors() -> None:
    """Root mean squared error of the values, as a share of their standard deviation, over seeds."""
    x = np.ones((1, PLAYERS))
    for name, game, exact in games():
        print(f"{name}, {PLAYERS} players, {SEEDS} seeds")
        for budget in BUDGETS:
            kernel = tfxai.KernelSHAP(lambda x, game=game: game(x)[:, None], budget=budget)
            orders = tfxai.PermutationSHAP(lambda x, game=game: game(x)[:, None], samples=budget // (2 * PLAYERS - 2))
            found: dict[str, list[np.ndarray]] = {"KernelSHAP": [], "PermutationSHAP": [], "shap, Kernel": []}
            for seed in range(SEEDS):
                for name_of, explainer in (("KernelSHAP", kernel), ("PermutationSHAP", orders)):
                    explainer.seed = seed
                    found[name_of].append(explainer.explain(x, 0, batch_size=4096, verbose=0).values[0])
                if importlib.util.find_spec("shap"):
                    import shap

                    np.random.seed(seed)  # noqa: NPY002 - shap draws by it
                    theirs = shap.KernelExplainer(game, np.zeros((1, PLAYERS)))
                    found["shap, Kernel"].append(theirs.shap_values(x, nsamples=budget, l1_reg=0, silent=True)[0])
            for who, values in found.items():
                if values:
                    print_error(budget, who, np.array(values), exact)


def print_error(budget: int, who: str, values: np.ndarray, exact: np.ndarray) -> None:
    wrong = np.sqrt(np.mean((values - exact) ** 2, 1)) / exact.std()
    print(f"  {budget:5} evaluations, {who:22}{wrong.mean():.4f} ± {wrong.std() / SEEDS**0.5:.4f}")


def banzhaf_errors() -> None:
    """The same of Banzhaf values, beside the means of all coalitions with a player and without (Wang and Jia 2023)."""
    game, _, exact = sum_of_groups(np.random.default_rng(0))
    print(f"Banzhaf values of sums of groups of 1 to 5, {PLAYERS} players, {SEEDS} seeds")
    for budget in BUDGETS:
        explainer = tfxai.Banzhaf(lambda x: game(x)[:, None], budget=budget)
        ours, reused = [], []
        for seed in range(SEEDS):
            explainer.seed = seed
            ours.append(explainer.explain(np.ones((1, PLAYERS)), 0, batch_size=4096, verbose=0).values[0])
            there = np.random.default_rng(seed).random((budget, PLAYERS)) < 0.5
            worth = game(there)
            reused.append([worth[own].mean() - worth[~own].mean() for own in there.T])
        print_error(budget, "Banzhaf", np.array(ours), exact)
        print_error(budget, "maximum sample reuse", np.array(reused), exact)


def times(coalitions: int, batch: int, repeats: int) -> None:
    """Of one image in 49 super-pixels, beside as many forward passes."""
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(weights=None, classifier_activation=None)
    image = np.random.default_rng(0).uniform(-1, 1, (14, 14, 3)).repeat(16, 0).repeat(16, 1).astype("float32")
    forward = tf.function(lambda x: model(x, training=False))
    explainers = {
        "KernelSHAP": tfxai.KernelSHAP(model, budget=coalitions),
        "Banzhaf": tfxai.Banzhaf(model, groups="superpixels", budget=coalitions),
        "LIME": tfxai.LIME(model, budget=coalitions),
        "PermutationSHAP": tfxai.PermutationSHAP(model, samples=coalitions // 96),
        "PartitionSHAP": tfxai.PartitionSHAP(model, budget=coalitions),
        "Sobol": tfxai.SobolAttribution(model, groups="superpixels", designs=coalitions // 51),
        "HSIC": tfxai.HSICAttribution(model, groups="superpixels", budget=coalitions),
    }

    def by(explainer: tfxai.Explainer) -> Callable[[], object]:
        return lambda: explainer.explain(image[None], 1, batch_size=batch, verbose=0)

    ways = {name: by(explainer) for name, explainer in explainers.items()}
    labels = explainers["KernelSHAP"].explain(image[None], 1, verbose=0).extras["player_of"][0]

    def predict(x: np.ndarray) -> np.ndarray:
        """As people hand Keras models to these libraries."""
        return model.predict(x, batch_size=batch, verbose=0)

    if importlib.util.find_spec("shap"):
        import shap

        def shown(z: np.ndarray) -> np.ndarray:
            parts = np.array_split(z, -(-len(z) // 128))  # so that images fit into memory
            return np.concatenate([predict(image * part[:, labels][..., None])[:, 1] for part in parts])

        kernel = shap.KernelExplainer(shown, np.zeros((1, 49)))
        ways["shap, Kernel"] = lambda: kernel.shap_values(np.ones((1, 49)), nsamples=coalitions, l1_reg=0, silent=True)
    if importlib.util.find_spec("lime"):
        from lime.lime_image import LimeImageExplainer

        def lime() -> object:
            return LimeImageExplainer(random_state=0).explain_instance(
                image.astype(float), predict, labels=(1,), top_labels=None, hide_color=0, num_samples=coalitions,
                batch_size=batch, segmentation_fn=lambda _: labels,
            )  # fmt: skip

        ways["lime, image"] = lime
    many = np.repeat(image[None], batch, 0)
    print(f"MobileNetV2, {coalitions} coalitions of one image in 49 super-pixels, {batch} at a time")
    for name, way in ways.items():
        ratios, walls = [], []
        for turn in range(repeats + 1):
            start = time.process_time()
            for _ in range(coalitions // batch):
                forward(many).numpy()
            middle, clock = time.process_time(), time.perf_counter()
            way()
            if turn:  # the first traces
                ratios.append((time.process_time() - middle) / (middle - start))
                walls.append(time.perf_counter() - clock)
        print(f"  {name:18}{np.median(ratios):6.2f} forward passes a coalition{np.median(walls):8.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--what", choices=["errors", "banzhaf", "times"], nargs="+", default=["errors", "times"])
    parser.add_argument("--coalitions", type=int, default=992)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    warnings.filterwarnings("ignore")  # of a game whose linear model is a bad one
    if "errors" in given.what:
        errors()
    if "banzhaf" in given.what:
        banzhaf_errors()
    if "times" in given.what:
        times(given.coalitions, given.batch, given.repeats)


if __name__ == "__main__":
    main()
