"""Which measures rank methods as the truth does, on remarks of which one word decides.

The network and the remarks are those of the gallery's "Which words decide". Truth is known: whether the largest value
is that of the deciding word, and which share of what is positive lies on it; both of the predicted class.

    python benchmarks/trust_text.py --texts 60 --seeds 3
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
from keras import layers
from scipy import stats

import tfxai
from tfxai.metrics.similarity import said

GOOD, BAD = ["brilliant", "moving", "witty", "gripping"], ["dull", "clumsy", "shallow", "tedious"]
THINGS = ["film", "plot", "story", "cast", "ending", "music"]
FRAMES = [
    "the {thing} is {word} from the first minute",
    "what a {word} {thing} this is",
    "I found the {thing} {word}",
    "we saw it on a Sunday and the {thing} was {word}",
    "a {word} {thing} by a director of whom I know nothing",
]
METHODS = (
    "saliency",
    "gradient_x_input",
    "integrated_gradients",
    "smooth_grad",
    "guided_backprop",
    "lrp",
    "deep_lift",
    "kernel_shap",
    "occlusion",
)
LARGER = {"deletion": -1, "insertion": 1, "mu_fidelity": 1, "sufficiency": -1}  # of sufficiency less is lost


def remarks(n: int, seed: int) -> tuple[list[str], np.ndarray, list[str]]:
    """Texts, whether they praise, and the word that tells."""
    random = np.random.default_rng(seed)
    praise = random.integers(2, size=n)
    words = [str(random.choice(GOOD if one else BAD)) for one in praise]
    return [random.choice(FRAMES).format(thing=random.choice(THINGS), word=word) for word in words], praise, words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=60, help="fresh texts that are explained")
    parser.add_argument("--seeds", type=int, default=3, help="networks")
    parser.add_argument("--methods", nargs="*", default=METHODS)
    given = parser.parse_args()
    found = [one_network(given.texts, seed, given.methods) for seed in range(given.seeds)]
    columns = {name: np.concatenate([one[name] for one in found], 1) for name in found[0]}  # (methods, texts)
    print(f"{'method':24}" + "".join(f"{name:26}" for name in columns))
    for row, method in enumerate(given.methods):
        print(f"{method:24}" + "".join(f"{said(x[row].astype(float)):26}" for x in columns.values()))
    print("rank correlation over methods with the truth, 95 % intervals over texts")
    columns = {name: LARGER.get(name, 1) * x for name, x in columns.items()}
    random = np.random.default_rng(0)
    count = given.texts * given.seeds
    draws = [np.arange(count), *random.integers(0, count, (1000, count))]
    for measure in LARGER:
        for truth in ("largest", "share"):
            # rounded, for several methods are the same here but for rounding
            means = [[columns[name][:, row].mean(1).round(3) for name in (truth, measure)] for row in draws]
            each = [stats.spearmanr(*pair).statistic for pair in means]
            low, high = np.nanpercentile(each[1:], [2.5, 97.5])
            print(f"  {measure:14}{truth:10}{each[0]:+.2f} [{low:+.2f}, {high:+.2f}]")


def one_network(count: int, seed: int, methods: tuple[str, ...]) -> dict[str, np.ndarray]:
    """For each measure and truth (methods, texts)."""
    keras.utils.set_random_seed(seed)
    texts, praise, _ = remarks(1000, seed)
    vectorize = layers.TextVectorization(output_sequence_length=16)
    vectorize.adapt(texts)
    unknown = vectorize.get_vocabulary().index("[UNK]")
    model = keras.Sequential(
        [
            layers.Embedding(vectorize.vocabulary_size(), 16, mask_zero=True),
            layers.Dense(16, activation="relu"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(vectorize(texts), praise, batch_size=64, epochs=4, verbose=0)
    texts, praise, words = remarks(count, 1000 + seed)
    tokens = vectorize(texts).numpy()
    predicted = model.predict(tokens, verbose=0).argmax(1)
    print(f"seed {seed}: accuracy {np.mean(predicted == praise):.1%} on {count} fresh texts", flush=True)

    def explained(method: str) -> tfxai.Explanation:
        more = {
            "integrated_gradients": {"baseline": tfxai.baselines.Token(unknown)},
            "deep_lift": {"baseline": tfxai.baselines.Token(unknown)},
            "kernel_shap": {"fill": unknown},
            "occlusion": {"window": 1, "stride": 1, "fill": unknown},
        }
        return tfxai.explain(model, tokens, method, predicted, verbose=0, **more.get(method, {}))

    explanations = {method: explained(method) for method in methods}
    report = tfxai.trust(explanations, model, fill=unknown, verbose=0)
    print(report, flush=True)
    found = {measure: np.stack([own[name] for name in methods]) for measure, own in report.values.items()}
    found["sufficiency"] = np.stack(
        [tfxai.metrics.sufficiency(model, one, fill=unknown, verbose=0) for one in explanations.values()]
    )
    deciding = tokens == vectorize([[word] for word in words]).numpy()[:, :1]
    values = np.stack([one.values.reshape(*tokens.shape, -1).sum(-1) for one in explanations.values()])
    values = np.where(tokens > 0, values, -np.inf)
    found["largest"] = np.take_along_axis(deciding[None], values.argmax(-1)[..., None], -1)[..., 0].astype(float)
    positive = np.maximum(values, 0)
    found["share"] = (positive * deciding).sum(-1) / np.maximum(positive.sum(-1), np.finfo(float).tiny)
    return found


if __name__ == "__main__":
    main()
