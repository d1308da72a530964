"""How alike maps of a flowers network and of its twin that has learnt random labels by heart are (Adebayo et al. 2018).

Both are trained on the same few images, with the same initial weights, order and number of epochs.

    python benchmarks/data_randomization.py --train 96 --epochs 200 --images 60
"""

from __future__ import annotations

import argparse

import keras
import numpy as np

import tfxai
from tfxai.datasets import flowers, train_flowers
from tfxai.metrics.similarity import said

METHODS = (
    "saliency",
    "gradient_x_input",
    "integrated_gradients",
    "smooth_grad",
    "guided_backprop",
    "deconvnet",
    "lrp",
    "grad_cam",
    "occlusion",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", default="single-6c", choices=list(flowers.CLASSES))
    parser.add_argument("--train", type=int, default=96, help="training images")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--images", type=int, default=60, help="fresh images that are explained")
    parser.add_argument("--seeds", type=int, default=1, help="pairs of networks")
    given = parser.parse_args()
    images, _, _ = flowers.make(given.kind, n=given.images, seed=900)
    for seed in range(given.seeds):
        pair = [trained(given.kind, given.train, given.epochs, seed, random) for random in (False, True)]
        print(f"seed {seed}\n{'method':24}Spearman, of magnitudes, SSIM", flush=True)
        for method in METHODS:
            found = tfxai.metrics.data_randomization(*pair, images, method, verbose=0)
            print(f"{method:24}" + "  ".join(said(x) for x in found if x is not None), flush=True)


def trained(kind: flowers.Name, n: int, epochs: int, seed: int, random_labels: bool) -> keras.Model:
    """A network, and in print what it has learnt."""
    model = train_flowers.train(kind, epochs, n, seed, random_labels=random_labels)
    images, labels = train_flowers.training_data(kind, n, seed, random_labels)
    seen = np.mean(model.predict(images.astype(np.float32), verbose=0).argmax(1) == labels)
    fresh = train_flowers.accuracy(model, kind)
    print(f"labels {'random' if random_labels else 'true'}: accuracy {seen:.3f} on what was seen, {fresh:.3f} on fresh")
    return model


if __name__ == "__main__":
    main()
