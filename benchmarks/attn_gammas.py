"""Which gammas suit relevance through a ViT: a small one, trained on flowers whose decisive pixels are known.

The gammas of the patches and of all dense layers are chosen on some images, and compared on others. Rank accuracy is
the share of the decisive pixels among as many of highest relevance, mass accuracy the share of positive relevance
in decisive pixels.

    python benchmarks/attn_gammas.py
    python benchmarks/attn_gammas.py --name double-12c --epochs 40
    python benchmarks/attn_gammas.py --weights vit-single-6c.weights.h5 --patches 0 0.25 1 --dense 0 0.05 0.25

The last is of a network that `tfxai.datasets.train_flowers` has trained, on which no gamma was chosen.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import replace

import keras
import numpy as np
from keras import layers

import tfxai
from tfxai.datasets import flowers, vision_transformer
from tfxai.relevance import Composite, Epsilon, Gamma, Rule, ZPlus, first

SIZE, PATCH, WIDTH, HEADS, BLOCKS = 48, 6, 64, 4, 4
PATCHES, DENSE = (0, 0.1, 0.25, 1, np.inf), (0, 0.01, 0.05, 0.1, 0.25, 1)
PAPER, OURS = (0.25, 0.05), (1, 0.05)  # of Achtibat et al. (2024), and of the composite "attn_lrp_gamma"
NEARLY_ZERO = 1e-9


@keras.saving.register_keras_serializable("benchmarks")
class Positions(layers.Layer):
    """Add a learnt vector to each position."""

    def build(self, shape: tuple) -> None:
        self.embeddings = self.add_weight(shape=shape[1:], initializer="random_normal")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x + self.embeddings


def vit(classes: int) -> keras.Model:
    """A ViT with norms before attention and units, and the mean of all tokens at the end."""
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(WIDTH, PATCH, strides=PATCH)(layers.Rescaling(1 / 127.5, offset=-1)(images))
    x = Positions()(layers.Reshape((-1, WIDTH))(x))
    for _ in range(BLOCKS):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(y, y)
        y = layers.LayerNormalization()(x)
        x = x + layers.Dense(WIDTH)(layers.Dense(2 * WIDTH, activation="gelu")(y))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(images, layers.Dense(classes)(x))


def network(given: argparse.Namespace) -> tuple[keras.Model, int]:
    """A ViT and the size of its images: one that was trained before, or one that is trained now."""
    if given.weights is None:
        return train(given.name, given.train, given.epochs, given.seed), SIZE
    model = flowers.new_model(given.name, "vit")
    model.load_weights(given.weights)
    return model, vision_transformer.SIZE


def train(name: flowers.Name, images: int, epochs: int, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    x, y, _ = flowers.make(name, images, SIZE, seed=1_000_003)
    model = vit(len(flowers.CLASSES[name]))
    steps = epochs * -(-images // 64)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=2e-3, warmup_steps=steps // 10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.05), loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=2)
    return model


def rule(gamma: float) -> Rule:
    """From epsilon to z+."""
    return ZPlus() if np.isinf(gamma) else Gamma(gamma) if gamma else Epsilon(NEARLY_ZERO)


def composite(patches: float, dense: float) -> Composite:
    return Composite([(first, rule(patches))], rule(dense), norms="share", epsilon=NEARLY_ZERO)


def accuracies(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """(2, n): rank and mass accuracy of each map."""
    mass = np.maximum(maps, 0)
    found = [(mass * masks).sum((1, 2)) / mass.sum((1, 2))]
    for row, mask in zip(maps.reshape(len(maps), -1), masks.reshape(len(maps), -1), strict=True):
        highest = np.argsort(-row)[: mask.sum()]
        found.append(mask[highest].mean())
    return np.stack([np.array(found[1:]), found[0]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="single-6c", choices=list(flowers.CLASSES))
    parser.add_argument("--train", type=int, default=6000, help="images to train on")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--weights", metavar="FILE", help="of a ViT that train_flowers has trained, to train none")
    parser.add_argument("--patches", type=float, nargs="+", default=PATCHES, help="gammas of the patches to try")
    parser.add_argument("--dense", type=float, nargs="+", default=DENSE, help="gammas of dense layers to try")
    parser.add_argument("--choose", type=int, default=120, help="images on which gammas are chosen")
    parser.add_argument("--report", type=int, default=360, help="other images, on which they are compared")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    model, size = network(given)
    x, y, masks = flowers.make(given.name, given.choose + given.report, size, seed=2_000_003)
    right = model.predict(x, batch_size=64, verbose=0).argmax(-1) == y
    print(f"{right.mean():.1%} of {len(x)} new images are classified rightly")
    kept = right & masks.any((1, 2))
    x, y, masks, chosen_on = x[kept], y[kept], masks[kept], np.arange(len(right))[kept] < given.choose

    found = {}
    grid = dict.fromkeys([(0, 0), PAPER, OURS, *itertools.product(given.patches, given.dense)])
    for gammas in grid:
        explanation = tfxai.LRP(model, composite=composite(*gammas))(x, y, verbose=0)
        found[gammas] = accuracies(explanation.values.sum(-1), masks)
        rank, mass = found[gammas][:, chosen_on].mean(1)
        print(f"chosen on: patches {gammas[0]:<5} dense {gammas[1]:<5} rank {rank:.3f} mass {mass:.3f}", flush=True)
    constant = replace(composite(*OURS), attention="constant")
    others = {
        "gradient x input": tfxai.GradientXInput(model),
        "epsilon_plus": tfxai.LRP(model, composite="epsilon_plus"),
        "cp_lrp": tfxai.LRP(model, composite="cp_lrp"),
        "attn_lrp_gamma, attention constant": tfxai.LRP(model, composite=constant),
    }
    best = max(found, key=lambda gammas: found[gammas][0, chosen_on].mean())
    rows = {"attn_lrp": found[0, 0], "attn_lrp_gamma": found[OURS], f"chosen {best}": found[best]}
    rows |= {name: accuracies(explainer(x, y, verbose=0).values.sum(-1), masks) for name, explainer in others.items()}
    paper = found[PAPER][:, ~chosen_on]
    print(f"\nreported on {paper.shape[1]} other images: mean, and difference to the gammas of the paper {PAPER}")
    print(f"{'the paper':40} rank {paper[0].mean():.3f}  mass {paper[1].mean():.3f}")
    for name, values in rows.items():
        values = values[:, ~chosen_on]
        difference = values - paper
        half = 1.96 * difference.std(1, ddof=1) / np.sqrt(difference.shape[1])
        parts = [
            f"{kind} {values[i].mean():.3f} ({difference[i].mean():+.3f} ± {half[i]:.3f})"
            for i, kind in enumerate(("rank", "mass"))
        ]
        print(f"{name:40} {'  '.join(parts)}")


if __name__ == "__main__":
    main()
