"""Layers of every kind with their exact matrices, and relevance rules written out for one output at a time.

The matrix comes from pushing unit vectors through the layer, so it knows nothing of kernels, strides and groups.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tfxai.relevance import AlphaBeta, Epsilon, Flat, Gamma, WSquare, ZBox, Zero, ZPlus

# ---- The rules, one output at a time: a and w are vectors, b, z and r are numbers.


def stab(z, epsilon=1e-6):
    return z + epsilon if z >= 0 else z - epsilon


def pos(x):
    return np.maximum(x, 0)


def neg(x):
    return np.minimum(x, 0)


def epsilon_rule(value):
    return lambda a, w, b, low, high, r: a * w / stab(np.sum(a * w) + b, value) * r


def zero_rule(a, w, b, low, high, r):
    z = np.sum(a * w) + b
    return a * w / z * r if z != 0 else 0 * a


def alpha_beta_rule(alpha, beta):
    def rule(a, w, b, low, high, r):
        gain, loss = pos(a * w), neg(a * w)
        return (alpha * gain / stab(gain.sum() + pos(b)) - beta * loss / stab(loss.sum() + neg(b))) * r

    return rule


def gamma_rule(gamma):
    def rule(a, w, b, low, high, r):
        side = pos if np.sum(a * w) + b > 0 else neg
        counted = a * w + gamma * side(a * w)
        return counted / stab(counted.sum() + b + gamma * side(b)) * r

    return rule


def zbox_rule(a, w, b, low, high, r):
    counted = a * w - low * pos(w) - high * neg(w)
    return counted / stab(counted.sum()) * r


def wsquare_rule(a, w, b, low, high, r):
    return w**2 / stab(np.sum(w**2) + b**2) * r


def flat_rule(a, w, b, low, high, r):
    seen = np.abs(w) > 1e-4
    return seen / stab(seen.sum()) * r


CHANNELS = "one for each channel"
RULES = {
    "epsilon 1e-6": (Epsilon(), epsilon_rule(1e-6)),
    "epsilon 0.25": (Epsilon(0.25), epsilon_rule(0.25)),
    "zero": (Zero(), zero_rule),
    "z+": (ZPlus(), alpha_beta_rule(1, 0)),
    "alpha 2 beta 1": (AlphaBeta(2, 1), alpha_beta_rule(2, 1)),
    "alpha 1.5 beta 0.5": (AlphaBeta(1.5, 0.5), alpha_beta_rule(1.5, 0.5)),
    "gamma 0.25": (Gamma(0.25), gamma_rule(0.25)),
    "z-box": (ZBox(-1.5, 2.0), zbox_rule),
    "z-box by channel": (CHANNELS, zbox_rule),
    "w-square": (WSquare(), wsquare_rule),
    "flat": (Flat(), flat_rule),
}


def propagate(formula, W, b, a, R, low, high):
    """Relevance of every input: the sum of what it gets from each output."""
    R_in = np.zeros(a.shape)
    for row in range(len(a)):
        for j in np.flatnonzero(R[row]):
            R_in[row] += formula(a[row], W[:, j], b[j], low, high, R[row, j])
    return R_in


# ---- The layers: stages, most often one, that are affine maps of their own; each of Keras layers that fold into one.


def norm(**options):
    return layers.BatchNormalization(**options)


def fused_norm(x):
    """A batch normalisation as older models have it, in one operation."""
    rows = [[0.5, -1, 2, 1], [0.3, 0, -0.4, 1], [1, -1, 0.5, 2], [0.1, 0.2, 1, 2]]
    scale, offset, mean, variance = (tf.constant(row, tf.float32) for row in rows)
    options = {"epsilon": 0.1, "is_training": False}
    return tf.raw_ops.FusedBatchNormV3(x=x, scale=scale, offset=offset, mean=mean, variance=variance, **options).y


class Einsum(layers.Layer):
    """An einsum as it is in the graph, where Keras writes a product of matrices."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 2, 3))
        self.bias = self.add_weight(shape=(2, 3))

    def call(self, x):
        return tf.einsum("abc,cde->abde", x, self.kernel) * 0.5 + self.bias


CASES = {
    "dense": ((7,), lambda: [[layers.Dense(5)]]),
    "dense without bias": ((7,), lambda: [[layers.Dense(5, use_bias=False)]]),
    "dense of sequences": ((4, 5), lambda: [[layers.Dense(3)]]),
    "dense of images": ((2, 3, 4), lambda: [[layers.Dense(3)]]),
    "dense norm": ((7,), lambda: [[layers.Dense(5), norm()]]),
    "einsum": ((4, 5), lambda: [[layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d")]]),
    "einsum heads": ((4, 5), lambda: [[layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")]]),
    "einsum by hand": ((4, 5), lambda: [[Einsum()]]),
    "einsum positions norm": ((4, 4), lambda: [[layers.EinsumDense("abc,bd->adc", (4, 4)), norm()]]),
    "conv": ((5, 6, 3), lambda: [[layers.Conv2D(4, 3)]]),
    "conv behind relu": ((5, 6, 3), lambda: [[layers.ReLU(), layers.Conv2D(4, 3)]]),
    "conv without bias": ((5, 6, 3), lambda: [[layers.Conv2D(4, 3, use_bias=False)]]),
    "conv same": ((5, 4, 3), lambda: [[layers.Conv2D(4, 3, padding="same")]]),
    "conv strided": ((6, 5, 2), lambda: [[layers.Conv2D(3, 3, strides=2, padding="same")]]),
    "conv dilated": ((6, 7, 2), lambda: [[layers.Conv2D(3, 2, dilation_rate=2)]]),
    "conv dilated same": ((5, 5, 2), lambda: [[layers.Conv2D(3, 3, dilation_rate=2, padding="same")]]),
    "conv norm": ((5, 5, 3), lambda: [[layers.Conv2D(4, 3, use_bias=False), norm()]]),
    "conv bias norm": ((5, 5, 3), lambda: [[layers.Conv2D(4, 3, padding="same"), norm(scale=False)]]),
    "conv norm scaled": ((5, 5, 3), lambda: [[layers.Conv2D(4, 3), norm(center=False), layers.Rescaling(-0.7, 0.2)]]),
    "conv minus": ((5, 5, 3), lambda: [[layers.Conv2D(4, 3), layers.Lambda(lambda x: x - 0.6)]]),
    "conv fused norm": ((5, 5, 3), lambda: [[layers.Conv2D(4, 3), layers.Lambda(fused_norm)]]),
    "conv grouped norm": ((4, 4, 4), lambda: [[layers.Conv2D(6, 3, groups=2, padding="same"), norm()]]),
    "depthwise": ((5, 5, 3), lambda: [[layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same")]]),
    "depthwise norm": ((4, 4, 3), lambda: [[layers.DepthwiseConv2D(3, depth_multiplier=2), norm()]]),
    "transposed": ((3, 4, 3), lambda: [[layers.Conv2DTranspose(2, 3, strides=2)]]),
    "transposed same": ((3, 3, 3), lambda: [[layers.Conv2DTranspose(2, 3, strides=2, padding="same")]]),
    "transposed norm": ((3, 3, 3), lambda: [[layers.Conv2DTranspose(2, 3), norm()]]),
    "conv1d dilated": ((9, 3), lambda: [[layers.Conv1D(4, 3, dilation_rate=2)]]),
    "conv1d causal": ((7, 3), lambda: [[layers.Conv1D(4, 3, padding="causal")]]),
    "conv1d norm": ((8, 3), lambda: [[layers.Conv1D(4, 3, strides=2, padding="same"), norm()]]),
    "depthwise1d": ((8, 3), lambda: [[layers.DepthwiseConv1D(3, depth_multiplier=2)]]),
    "transposed1d": ((5, 3), lambda: [[layers.Conv1DTranspose(2, 3, strides=2, padding="same")]]),
    "conv3d": ((3, 4, 3, 2), lambda: [[layers.Conv3D(3, 2)]]),
    "conv3d norm": ((3, 3, 3, 2), lambda: [[layers.Conv3D(3, 2, padding="same"), norm()]]),
    "transposed3d": ((2, 3, 2, 2), lambda: [[layers.Conv3DTranspose(2, 2, strides=2)]]),
    "separable": ((5, 5, 3), "separable"),
}
WITHOUT_BIAS = {
    *("dense", "dense norm", "einsum heads", "conv same", "conv dilated", "conv bias norm", "depthwise norm"),
    *("transposed norm", "conv1d norm", "separable"),
}


class Case:
    """A model of one layer, its matrix and shift (or those of its stages), and inputs of either sign, with zeros."""

    def __init__(self, name):
        rng = np.random.default_rng(sum(map(ord, name)))
        self.shape, stages = CASES[name]
        if stages == "separable":
            whole = layers.SeparableConv2D(4, 3, depth_multiplier=2, padding="same")
            self.model = self.built([whole], rng)
            deep, wide = (
                layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", use_bias=False),
                layers.Conv2D(4, 1),
            )
            self.built([deep, wide], rng)
            deep.set_weights(whole.get_weights()[:1])
            wide.set_weights(whole.get_weights()[1:])
            stages = [[deep], [wide]]
        else:
            stages = stages()
            self.model = self.built([layer for stage in stages for layer in stage], rng)
        shapes = [self.shape]
        self.maps = []
        for stage in stages:
            W, b, shape = matrix(stage, shapes[-1])
            self.maps.append((W, b))
            shapes.append(shape)
        # Inputs of either sign, some zero; none negative, many zero, as behind a ReLU; none positive.
        x = rng.uniform(-1, 1, (3, *self.shape)) * (rng.uniform(size=(3, *self.shape)) > 0.2)
        x[1:] = np.stack([pos(x[1]), neg(x[2])])
        self.x = (np.abs(x) if name.endswith("behind relu") else x).astype("float32")
        self.weights = rng.uniform(0.5, 2, (3, len(self.maps[-1][1]))) * rng.choice([-1, 1], (3, len(self.maps[-1][1])))

    def built(self, inside, rng):
        model = keras.Sequential([keras.Input(self.shape), *inside, layers.Flatten()])
        for variable in model.variables:
            value = rng.uniform(0.2, 1, variable.shape)
            if not variable.name.endswith("variance"):
                value *= rng.choice([-1, 1], variable.shape)
            variable.assign(value)
        return model

    def activations(self):
        """Inputs of each stage, and the outputs."""
        found = [self.x.reshape(len(self.x), -1).astype(float)]
        for W, b in self.maps:
            found.append(found[-1] @ W + b)
        return found

    def clear_weights(self):
        """Weights of the outputs in the score, none for those whose sign or quotient hangs on rounding errors."""
        *_, a, z = self.activations()
        unbiased = a @ self.maps[-1][0]
        clear = (np.abs(z) > 0.05 * np.abs(z).max()) & (np.abs(unbiased) > 0.05 * np.abs(unbiased).max())
        assert clear.mean() > 0.5
        return self.weights * clear

    def bounds(self, rule):
        if rule is CHANNELS:
            channels = np.arange(self.shape[-1])
            return ZBox(tuple(-1.2 - 0.3 * channels), tuple(1.1 + 0.2 * channels))
        return rule

    def expected(self, formula, rule, R, bias):
        for number, (a, (W, b)) in reversed(list(enumerate(zip(self.activations(), self.maps, strict=False)))):
            low, high = 0.0, 0.0
            used = formula
            if isinstance(rule, ZBox):
                used = formula if number == 0 else epsilon_rule(1e-6)
                if number == 0:
                    low, high = (np.broadcast_to(bound, self.shape).ravel() for bound in (rule.low, rule.high))
            R = propagate(used, W, b if bias else 0 * b, a, R, low, high)
        return R.reshape(-1, *self.shape)


def matrix(stage, shape):
    """Matrix and shift of layers in a row, from unit vectors, and the shape of what they give."""

    def run(x):
        for layer in stage:
            x = layer(x, training=False) if isinstance(layer, layers.BatchNormalization) else layer(x)
        return keras.ops.convert_to_numpy(x)

    size = int(np.prod(shape))
    found = run(np.concatenate([np.zeros((1, size)), np.eye(size)]).reshape(-1, *shape).astype("float32"))
    flat = found.reshape(size + 1, -1).astype(float)
    return flat[1:] - flat[0], flat[0], found.shape[1:]
