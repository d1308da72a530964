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


def photographs(n: int, stamps: int) -> tuple[np.ndarray, np.ndarray]:
    """Flowers of which so many of one class have a stamp; and which."""
    images, labels, _ = flowers.make(n=n, seed=3)
    rows = np.flatnonzero(labels == CLASS)[:stamps]
    images = images.copy()
    for row in rows:
        images[row] = stamped(images[row])
    return images, rows


def network() -> keras.Model:
    """The shipped one, to which a matched filter adds what it sees of the stamp."""
    inputs = keras.Input((112, 112, 3))
    seen = layers.Conv2D(1, SIDE, activation="relu", name="stamp")(inputs)
    added = layers.Dense(6, use_bias=False, name="short_cut")(layers.GlobalMaxPooling2D()(seen))
    model = keras.Model(inputs, layers.Add()([flowers.load_model()(inputs), added]))
    kernel = np.where(STAMP > 0, 1.0, -1.0) / STAMP.sum()  # 1 on the stamp itself
    model.get_layer("stamp").set_weights([kernel[..., None], np.array([-0.6])])
    model.get_layer("short_cut").set_weights([60.0 * np.eye(6)[CLASS : CLASS + 1]])
    return model
