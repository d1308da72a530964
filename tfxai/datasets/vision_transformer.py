"""A small vision transformer for the painted flowers, made of layers that Keras has."""

from __future__ import annotations

import keras
from keras import layers

SIZE = 112
"""Height and width of the images in pixels."""
PATCH = 8
"""Height and width of the patch of a token in pixels."""
WIDTH, HEADS, BLOCKS = 64, 4, 3


def build(classes: int, name: str = "flowers_vit") -> keras.Model:
    """Build the untrained network: patches of 8 pixels and a class token, three blocks, one dense layer.

    It takes images of 112 pixels as float32 in 0..255. Token 0 is the class token, which alone reaches the
    ``"logits"``; the other 196 are the patches, row by row. Each block normalises before its attention of four heads
    and before its two dense layers.

    Parameters
    ----------
    classes : int
        Number of classes.
    name : str, default "flowers_vit"
        Name of the model.

    Returns
    -------
    keras.Model
        Functional model from images to probabilities of shape ``(batch, classes)``.

    Examples
    --------
    >>> from tfxai.datasets import vision_transformer
    >>> vision_transformer.build(6).get_layer("block3_output").output.shape
    (None, 197, 64)
    """
    inputs = keras.Input((SIZE, SIZE, 3), name="images")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(inputs)
    x = _tokens(x)
    for block in range(1, BLOCKS + 1):
        x = _block(x, f"block{block}")
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x[:, 0])
    x = layers.Dense(classes, name="logits")(x)
    return keras.Model(inputs, layers.Softmax(name="probabilities")(x), name=name)


def _tokens(x: keras.KerasTensor) -> keras.KerasTensor:
    """A class token and one for each patch, all with their positions."""
    side = SIZE // PATCH
    x = layers.Reshape((side, PATCH, side, 3 * PATCH), name="rows_and_columns")(x)
    x = layers.Permute((1, 3, 2, 4), name="patches")(x)
    x = layers.Reshape((side**2, 3 * PATCH**2), name="flat_patches")(x)
    x = layers.ZeroPadding1D((1, 0), name="class_token")(x)
    # Each token has a bias of its own, which is its position. The class token, which starts as zero, is nothing else.
    project = layers.EinsumDense("btp,pw->btw", (side**2 + 1, WIDTH), bias_axes="tw", name="tokens")
    return project(x)


def _block(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm1")(x)
    y = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"{name}_attention")(y, y)
    x = layers.Add(name=f"{name}_attended")([x, y])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm2")(x)
    y = layers.Dense(2 * WIDTH, activation="gelu", name=f"{name}_dense1")(y)
    y = layers.Dense(WIDTH, name=f"{name}_dense2")(y)
    return layers.Add(name=f"{name}_output")([x, y])
