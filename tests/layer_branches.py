"""Branches of one layer each, of all kinds: what holds for every layer is tested on them."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

IMAGES = (6, 6, 4)
SERIES = (6, 4)
VOLUMES = (4, 4, 4, 2)

ACTIVATIONS = [
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "softsign", "tanh"),
    *("sigmoid", "hard_sigmoid", "hard_silu", "exponential", "log_sigmoid", "hard_tanh", "tanh_shrink", "soft_shrink"),
    *("hard_shrink", "squareplus", "sparse_plus", "sparse_sigmoid"),
]


def activations():
    return [layers.Activation(name) for name in ACTIVATIONS if hasattr(keras.activations, name)]


def of_images():
    return [
        *(layers.AveragePooling2D(2), layers.AveragePooling2D(3, 2, "same"), layers.MaxPooling2D(3, 2, "same")),
        *(layers.GlobalAveragePooling2D(), layers.GlobalMaxPooling2D(), layers.ZeroPadding2D(), layers.Cropping2D(1)),
        *(layers.UpSampling2D(interpolation=how) for how in ("nearest", "bilinear", "bicubic")),
        *(layers.Resizing(4, 4), layers.CenterCrop(4, 4), layers.Permute((2, 1, 3)), layers.Reshape((36, 4))),
        *(layers.Dropout(0.5), layers.SpatialDropout2D(0.5), layers.GaussianNoise(1.0)),
        *(layers.BatchNormalization(), layers.GroupNormalization(2), layers.LayerNormalization()),
        *(layers.UnitNormalization(), layers.PReLU()),
        *(layers.Rescaling(2.0, 0.5), layers.Normalization(mean=[0.5] * 4, variance=[2.0] * 4)),
        *(layers.TimeDistributed(layers.Dense(3)), layers.SpectralNormalization(layers.Conv2D(3, 3))),
        *(layers.SeparableConv2D(3, 3), layers.DepthwiseConv2D(2), layers.Conv2DTranspose(2, 3, 2)),
        lambda x: x * layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x)),
    ]


def of_series():
    return [
        *(layers.AveragePooling1D(2), layers.MaxPooling1D(2), layers.GlobalAveragePooling1D()),
        *(layers.ZeroPadding1D(), layers.Cropping1D(1), layers.UpSampling1D(), layers.GlobalMaxPooling1D()),
        *(layers.Conv1D(3, 3), layers.Conv1DTranspose(3, 3, 2), layers.SeparableConv1D(3, 3)),
        lambda x: layers.Average()([x, layers.Subtract()([x, layers.Dense(4)(x)])]),
        lambda x: layers.Maximum()([x, layers.Minimum()([0.5 * x, layers.Dense(4)(x)])]),
        lambda x: layers.Dot(-1)([x, layers.Dense(4)(x)]),
        lambda x: keras.ops.concatenate([keras.ops.flip(x, 1), keras.ops.roll(x, 1, 1)], -1),
        lambda x: keras.ops.where(x > 0, x, 0.1 * x) + keras.ops.clip(x, -1, 1),
        lambda x: keras.ops.swapaxes(x, 1, 2)[:, :3, 1:4] + keras.ops.std(x, (1, 2), keepdims=True),
        lambda x: layers.Lambda(lambda x: tf.reduce_max(tf.reshape(x, [-1, 6, 2, 2]), -1))(x),
    ]


def of_volumes():
    return [
        *(layers.AveragePooling3D(2), layers.MaxPooling3D(2), layers.GlobalMaxPooling3D(), layers.Conv3D(2, 2)),
        *(layers.UpSampling3D(), layers.ZeroPadding3D(), layers.Cropping3D(1), layers.Conv3DTranspose(2, 2)),
    ]


EVERY = [(SERIES, activations), (IMAGES, of_images), (SERIES, of_series), (VOLUMES, of_volumes)]
NAMES = ["activations", "images", "series", "volumes"]


def side_by_side(shape, branches):
    """One model of all branches, with an output for each, and how many these are."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    start = layers.Dense(shape[-1], use_bias=False)(inputs)
    ends = [layers.Flatten()(branch(start)) for branch in branches()]
    outputs = layers.Dense(len(ends))(layers.Concatenate()(ends))
    model = keras.Model(inputs, outputs)
    kernel = np.zeros(model.layers[-1].kernel.shape)
    row = 0
    for number, end in enumerate(ends):
        kernel[row : row + end.shape[1], number] = np.random.default_rng(0).normal(size=end.shape[1])
        row += end.shape[1]
    model.layers[-1].set_weights([kernel, np.zeros(len(ends))])
    return model, len(ends)
