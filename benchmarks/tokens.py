"""What explanations of words cost, in passes of the same transformer from its embedding to a class.

    python benchmarks/tokens.py
    python benchmarks/tokens.py --memory --batch 16 --steps 256   # what a block more adds to the peak, on Linux

Every peak is that of a fresh process, above what it held with the model and TensorFlow in it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from inversion_steps import peak_anew, peak_so_far
from keras import layers

import tfxai

WORDS, WIDTH = 1000, 128


def transformer(steps: int, blocks: int) -> tuple[keras.Model, keras.Model]:
    """A classifier of texts, and the part of it behind its embedding."""
    ids = keras.Input((steps,), dtype="int32")
    embedded = x = layers.Embedding(WORDS, WIDTH)(ids)
    for _ in range(blocks):
        x = layers.LayerNormalization()(x + layers.MultiHeadAttention(4, WIDTH // 4)(x, x))
        x = layers.LayerNormalization()(x + layers.Dense(WIDTH)(layers.Dense(4 * WIDTH, activation="gelu")(x)))
    logits = layers.Dense(3)(layers.GlobalAveragePooling1D()(x))
    return keras.Model(ids, logits), keras.Model(embedded, logits)


METHODS = {  # with what they may cost, in passes
    "Saliency": (tfxai.Saliency, "gradient", 1.2),
    "IntegratedGradients, 50 steps": (tfxai.IntegratedGradients, "gradient", 55.0),
    "LRP, epsilon": (partial(tfxai.LRP, composite="epsilon"), "gradient", None),
    "LRP, attn_lrp": (partial(tfxai.LRP, composite="attn_lrp"), "gradient", 2.5),
    "LRP, cp_lrp": (partial(tfxai.LRP, composite="cp_lrp"), "gradient", 2.5),
    "LRP, attn_lrp_gamma": (partial(tfxai.LRP, composite="attn_lrp_gamma"), "gradient", None),
    "TransformerAttribution": (tfxai.TransformerAttribution, "gradient", 1.3),
    "LeGrad": (tfxai.LeGrad, "gradient", 1.3),
    "AttentionRollout": (tfxai.AttentionRollout, "forward", 1.1),
}
FEW, MANY = 2, 8  # blocks, between which memory is compared


def some_texts(batch: int, steps: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, WORDS, (batch, steps)).astype("int32")


def cost(given: argparse.Namespace, names: list[str]) -> None:
    keras.utils.set_random_seed(0)
    model, rest = transformer(given.steps, given.blocks)
    ids = some_texts(given.batch, given.steps)
    numbers = model.layers[1](ids)

    @tf.function
    def bare(x: tf.Tensor) -> tf.Tensor:
        return tf.gradients(rest(x, training=False)[:, 1], x)[0]

    passes = {"gradient": bare, "forward": tf.function(lambda x: rest(x, training=False))}
    for name in names:
        made, kind, limit = METHODS[name]
        explainer, one = made(model), passes[kind]
        one(numbers)
        explainer(ids, 1, batch_size=given.batch, verbose=0)
        ratios = []
        for _ in range(given.repeats):
            start = time.process_time()
            one(numbers).numpy()
            middle = time.process_time()
            explainer(ids, 1, batch_size=given.batch, verbose=0)
            ratios.append((time.process_time() - middle) / (middle - start))
        low, median, high = np.percentile(ratios, [25, 50, 75])
        print(f"{name:32}{median:7.2f} ± {(high - low) / 2:.2f} {kind} passes{f'   limit {limit}' if limit else ''}")


def peak(name: str, blocks: int, batch: int, steps: int) -> float:
    """MB above what this process held before it explained."""
    keras.utils.set_random_seed(0)
    model, _ = transformer(steps, blocks)
    explainer, ids = METHODS[name][0](model), some_texts(batch, steps)
    before = peak_anew()
    explainer(ids, 1, batch_size=batch, verbose=0)
    return peak_so_far() - before


def memory(given: argparse.Namespace, names: list[str]) -> None:
    print(f"| method | {FEW} blocks, MB | {MANY} blocks, MB | a block more, MB |\n|---|---:|---:|---:|")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as fresh:
        for name in names:
            few, many = (fresh.submit(peak, name, n, given.batch, given.steps).result() for n in (FEW, MANY))
            print(f"| {name} | {few:.0f} | {many:.0f} | {(many - few) / (MANY - FEW):.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=64, help="tokens of a text")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--methods", nargs="*", help="only these classes")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--memory", action="store_true", help="of memory instead of time")
    given = parser.parse_args()
    names = [name for name in METHODS if not given.methods or name.split(",")[0] in given.methods]
    (memory if given.memory else cost)(given, names)


if __name__ == "__main__":
    main()
