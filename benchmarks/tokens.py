"""What explanations of words cost, in passes of the same transformer from its embedding to a class."""

from __future__ import annotations

import argparse
import time

import keras
import numpy as np
import tensorflow as tf
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=64, help="tokens of a text")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--methods", nargs="*", help="only these classes")
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    model, rest = transformer(given.steps, given.blocks)
    ids = np.random.default_rng(0).integers(1, WORDS, (given.batch, given.steps)).astype("int32")
    numbers = model.layers[1](ids)

    @tf.function
    def bare(x: tf.Tensor) -> tf.Tensor:
        return tf.gradients(rest(x, training=False)[:, 1], x)[0]

    forward = tf.function(lambda x: rest(x, training=False))
    methods = {
        "Saliency": (tfxai.Saliency(model), bare, 1.2),
        "IntegratedGradients, 50 steps": (tfxai.IntegratedGradients(model), bare, 55.0),
        "LRP, epsilon": (tfxai.LRP(model, composite="epsilon"), bare, None),
        "LRP, attn_lrp": (tfxai.LRP(model, composite="attn_lrp"), bare, 2.5),
        "LRP, cp_lrp": (tfxai.LRP(model, composite="cp_lrp"), bare, 2.5),
        "LRP, attn_lrp_gamma": (tfxai.LRP(model, composite="attn_lrp_gamma"), bare, None),
        "TransformerAttribution": (tfxai.TransformerAttribution(model), bare, 1.3),
        "LeGrad": (tfxai.LeGrad(model), bare, 1.3),
        "AttentionRollout": (tfxai.AttentionRollout(model), forward, 1.1),
    }
    for name, (explainer, one, limit) in methods.items():
        if given.methods and name.split(",")[0] not in given.methods:
            continue
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
        passes = "forward" if one is forward else "gradient"
        print(f"{name:32}{median:7.2f} ± {(high - low) / 2:.2f} {passes} passes{f'   limit {limit}' if limit else ''}")


if __name__ == "__main__":
    main()
