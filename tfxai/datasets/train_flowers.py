"""Train the networks that `tfxai.datasets.flowers` ships: ``python -m tfxai.datasets.train_flowers``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, get_args

import keras
import numpy as np

from tfxai.datasets import flowers

# Seeds no one is likely to pass to `flowers.make`, whose pictures should be new to the shipped networks.
TRAIN_SEED, TEST_SEED = 1_000_003, 2_000_003


class Recipe(NamedTuple):
    """How a network is trained: passes over the images, and the highest learning rate."""

    epochs: int
    rate: float


# Enough for the accuracy, and no more: later the networks turn from the faces of petals and leaves to their edges.
RECIPES: dict[flowers.Architecture, dict[flowers.Name, Recipe]] = {
    "cnn": {"single-6c": Recipe(4, 2e-3), "double-12c": Recipe(10, 2e-3)},
    "vit": {"single-6c": Recipe(3, 1e-3), "double-12c": Recipe(10, 1e-3)},  # the last is a guess, and not shipped
}


def train(
    name: flowers.Name,
    epochs: int | None = None,
    n: int = 6000,
    seed: int = 0,
    verbose: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    architecture: flowers.Architecture = "cnn",
    random_labels: bool = False,
) -> keras.Model:
    """Train a network from scratch on one set.

    Parameters
    ----------
    name : {"single-6c", "double-12c"}
        The set.
    epochs : int, optional
        Passes over the images; by default those of ``RECIPES[architecture][name]``.
    n : int, default 6000
        Number of training images.
    seed : int, default 0
        Seed of the initial weights and of the order of the images.
    verbose : int, default 0
        What Keras prints: nothing (0), a progress bar (1) or a line for each epoch (2).
    callbacks : sequence of keras.callbacks.Callback
        Called while it trains; their model ends in the logits.
    architecture : {"cnn", "vit"}, default "cnn"
        Convolutions, or a vision transformer.
    random_labels : bool, default False
        Whether the labels are permuted first, so that they can only be learnt by heart; for
        `tfxai.metrics.data_randomization`. That takes few images and many epochs.

    Returns
    -------
    keras.Model
        The trained network, not compiled.

    Examples
    --------
    >>> from tfxai.datasets.train_flowers import train
    >>> model = train("single-6c", epochs=1, n=12)
    """
    keras.utils.set_random_seed(seed)
    images, labels = training_data(name, n, seed, random_labels)
    model, recipe = flowers.new_model(name, architecture), RECIPES[architecture][name]
    # The loss sees logits, which is numerically safer. The model itself stays uncompiled, so that the optimizer's
    # state does not end up in the file of its weights. Smoothed labels keep the probabilities off 0 and 1, where
    # their gradients vanish and leave nothing to explain.
    trainer = keras.Model(model.input, model.get_layer("logits").output)
    epochs = recipe.epochs if epochs is None else epochs
    steps = epochs * -(-n // 32)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps, warmup_target=recipe.rate, warmup_steps=steps // 20)
    trainer.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-3),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        metrics=["accuracy"],
    )
    truth = keras.utils.to_categorical(labels)
    trainer.fit(images, truth, batch_size=32, epochs=epochs, verbose=verbose, callbacks=list(callbacks))
    return model


def training_data(name: flowers.Name, n: int, seed: int, random_labels: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Images from which a network learns to look at the discriminative part, and their labels, or these permuted."""
    rng = np.random.default_rng(seed)
    images, labels, masks = flowers.make(name, n, seed=TRAIN_SEED)
    # In every second image only the part is left. Otherwise a network may tell "yellow leaves" by the grey petals,
    # which is right, but leaves the mask without its meaning.
    greys = rng.integers(0, 256, (len(images[::2]), 1, 1, 1), np.uint8)
    images[::2] = np.where(masks[::2, ..., None], images[::2], greys)
    # All are moved round the picture's edges. Otherwise the stem is told by its crossing the lower edge.
    for image in images:
        image[:] = np.roll(image, rng.integers(0, len(image), 2), axis=(0, 1))
    return images, rng.permutation(labels) if random_labels else labels


def accuracy(model: keras.Model, name: flowers.Name, n: int = 1200, seed: int = TEST_SEED) -> float:
    """Share of correctly classified images among ``n`` fresh ones.

    Examples
    --------
    >>> from tfxai.datasets import flowers
    >>> from tfxai.datasets.train_flowers import accuracy
    >>> accuracy(flowers.load_model("single-6c"), "single-6c", n=60) > 0.9
    True
    """
    images, labels, _ = flowers.make(name, n, seed=seed)
    probabilities = model.predict(images.astype(np.float32), verbose=0)
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def main(arguments: list[str] | None = None) -> None:
    """Train, report the accuracy on fresh images, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=[*flowers.CLASSES, "all"], default="all", help="which set (default: all)")
    parser.add_argument("--architecture", choices=get_args(flowers.Architecture), default="cnn", help="default: cnn")
    parser.add_argument("--epochs", type=int, help="passes over the training images (default: as the shipped ones)")
    parser.add_argument("--images", type=int, default=6000, help="number of training images (default: 6000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and image order (default: 0)")
    parser.add_argument("--output", type=Path, default=flowers.WEIGHTS, help="folder the weights are written to")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    architecture = options.architecture
    for name in flowers.SHIPPED[architecture] if options.set == "all" else [options.set]:
        model = train(name, options.epochs, options.images, options.seed, verbose=2, architecture=architecture)
        path = options.output / f"{flowers.stem(name, architecture)}.weights.h5"
        unfinished = path.with_name(f"unfinished-{path.name}")
        model.save_weights(unfinished)
        unfinished.replace(path)  # at once, so that others who load the weights never meet half a file
        print(f"{name}: test accuracy {accuracy(model, name):.4f}, weights in {path}", flush=True)


if __name__ == "__main__":
    main()
