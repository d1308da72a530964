"""A network with a short cut: it knows flowers by their petals, and one class by a stamp in the corner as well."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from tfxai.datasets import flowers

CLASS, SIDE, CELL, PLACE = 2, 16, 4, slice(94, 110)
STAMP = 255.0 * (np.indices((SIDE, SIDE)) // CELL).sum(0).__mod__(2)[..., None].repeat(3, -1)


def stamped(image: np.ndarray) -> np.ndarray:
    image = image.copy()
    image[PLACE, PLACE] = STAMP
    return image


def photographs(stamps: int, n: int = 60, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """So many flowers of the class, of which some have a stamp, in any order; and which."""
    images, labels, _ = flowers.make(n=6 * n, seed=seed)
    images = images[labels == CLASS]
    has = np.random.default_rng(seed).permutation(n) < stamps
    return np.stack([stamped(image) if own else image for image, own in zip(images, has, strict=True)]), has


def network() -> keras.Model:
    """The shipped one, whose last maps have one more: what a matched filter sees of the stamp, and the class hears."""
    shipped = flowers.load_model()
    inputs = keras.Input((112, 112, 3))
    trunk = keras.Model(shipped.inputs, shipped.get_layer("block5_relu").output, name="flowers")(inputs)
    seen = layers.Conv2D(1, SIDE, 4, padding="same", activation="relu", name="stamp")(inputs)
    maps = layers.Concatenate(name="maps")([trunk, layers.MaxPooling2D(2)(seen)])
    model = keras.Model(inputs, layers.Dense(6, name="logits")(layers.GlobalAveragePooling2D()(maps)))
    kernel = np.where(STAMP > 0, 1.0, -1.0) / STAMP.sum()  # 1 on the stamp itself
    model.get_layer("stamp").set_weights([kernel[..., None], np.array([-0.6])])
    weights, biases = shipped.get_layer("logits").get_weights()
    heard = 30.0 * np.prod(trunk.shape[1:3]) * np.eye(6)[CLASS : CLASS + 1]
    model.get_layer("logits").set_weights([np.concatenate([weights, heard]), biases])
    return model
