"""Relevance rules against their formulas, written out for one output at a time with the exact matrix of the layer.

The matrix comes from pushing unit vectors through the layer, so it knows nothing of kernels, strides and groups.
"""

import functools
import itertools
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfxai.explainer import Explainer
from tfxai.relevance import LRP, AlphaBeta, Composite, Epsilon, Flat, Gamma, WSquare, ZBox, Zero, ZPlus
from tfxai.relevance import first as is_first

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


CASES = {
    "dense": ((7,), lambda: [[layers.Dense(5)]]),
    "dense without bias": ((7,), lambda: [[layers.Dense(5, use_bias=False)]]),
    "dense of sequences": ((4, 5), lambda: [[layers.Dense(3)]]),
    "dense of images": ((2, 3, 4), lambda: [[layers.Dense(3)]]),
    "dense norm": ((7,), lambda: [[layers.Dense(5), norm()]]),
    "einsum": ((4, 5), lambda: [[layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d")]]),
    "einsum heads": ((4, 5), lambda: [[layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")]]),
    "einsum positions norm": ((4, 4), lambda: [[layers.EinsumDense("abc,bd->adc", (4, 4)), norm()]]),
    "conv": ((5, 6, 3), lambda: [[layers.Conv2D(4, 3)]]),
    "conv without bias": ((5, 6, 3), lambda: [[layers.Conv2D(4, 3, use_bias=False)]]),
    "conv same": ((5, 4, 3), lambda: [[layers.Conv2D(4, 3, padding="same")]]),
    "conv strided": ((6, 5, 2), lambda: [[layers.Conv2D(3, 3, strides=2, padding="same")]]),
    "conv dilated": ((6, 7, 2), lambda: [[layers.Conv2D(3, 2, dilation_rate=2)]]),
    "conv dilated same": ((5, 5, 2), lambda: [[layers.Conv2D(3, 3, dilation_rate=2, padding="same")]]),
    "conv grouped": ((4, 5, 4), lambda: [[layers.Conv2D(6, 3, groups=2, padding="same")]]),
    "conv norm": ((5, 5, 3), lambda: [[layers.Conv2D(4, 3, use_bias=False), norm()]]),
    "conv bias norm": ((5, 5, 3), lambda: [[layers.Conv2D(4, 3, padding="same"), norm(scale=False)]]),
    "conv norm scaled": ((5, 5, 3), lambda: [[layers.Conv2D(4, 3), norm(center=False), layers.Rescaling(-0.7, 0.2)]]),
    "conv minus": ((5, 5, 3), lambda: [[layers.Conv2D(4, 3), layers.Lambda(lambda x: x - 0.6)]]),
    "conv fused norm": ((5, 5, 3), lambda: [[layers.Conv2D(4, 3), layers.Lambda(fused_norm)]]),
    "conv grouped norm": ((4, 4, 4), lambda: [[layers.Conv2D(6, 3, groups=2), norm()]]),
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
        self.x = x.astype("float32")
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


@pytest.fixture(scope="module")
def case_of():
    return functools.cache(Case)


class EachRule(Explainer):
    """LRP by several rules in one graph, as tracing the model once for each would take most of the time."""

    facts, rule = LRP.facts, LRP.rule

    def __init__(self, model, rules, bias=True):
        super().__init__(model)
        composites = [Composite([(is_first, rule)]) if isinstance(rule, ZBox) else rule for rule in rules]
        self.each = [LRP(self.view, composite, bias=bias) for composite in composites]

    def attribute(self, run):
        return tf.stack([lrp.attribute(run) for lrp in self.each], 1)


def explain(case, rules, weights, bias):
    """By the package, for each rule: every output counts as its weight says, so its relevance is z_j weights_j."""
    constant = tf.constant(weights, tf.float32)
    found = EachRule(case.model, rules, bias)(case.x, target=lambda outputs: tf.reduce_sum(outputs * constant, 1))
    return np.moveaxis(found.values, 1, 0)


def assert_close(found, expected, rule=""):
    """Of every row by itself, in parts of its largest value."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * np.abs(other).max(), err_msg=rule)


# Its shift varies along an axis of the data, so it is no part of the layer and is shared for itself: under the epsilon
# rule that comes to the same.
APART = "einsum positions norm"
COMBINATIONS = [
    (name, rule, True) for name in CASES for rule in RULES if name != APART or rule in ("epsilon 1e-6", "zero")
]
COMBINATIONS += [(name, rule, False) for name in CASES if name in WITHOUT_BIAS for rule in RULES]


@pytest.fixture(scope="module")
def found_of(case_of):
    """Relevance by all rules that a case is combined with."""

    @functools.cache
    def found(name, bias):
        rules = [rule for other, rule, with_bias in COMBINATIONS if (other, with_bias) == (name, bias)]
        case = case_of(name)
        values = explain(case, [case.bounds(RULES[rule][0]) for rule in rules], case.clear_weights(), bias)
        return dict(zip(rules, values, strict=True))

    return found


@pytest.mark.parametrize(("name", "rule", "bias"), COMBINATIONS)
def test_formulas(case_of, found_of, name, rule, bias):
    case, (given, formula) = case_of(name), RULES[rule]
    R = case.activations()[-1] * case.clear_weights()
    expected = case.expected(formula, case.bounds(given), R, bias)
    assert (np.abs(expected).reshape(3, -1).max(1) > 1e-3).all()
    assert_close(found_of(name, bias)[rule], expected)


def test_the_formulas_differ(case_of):
    """No two rules may be taken for each other, or comparing with them would say nothing."""
    for name in ("dense", "conv same"):
        case = case_of(name)
        R = case.activations()[-1] * case.clear_weights()
        maps = {
            (rule, bias): case.expected(formula, case.bounds(given), R, bias)
            for rule, (given, formula) in RULES.items()
            for bias in (True, False)
            if rule != "zero" and (bias or not rule.startswith(("flat", "z-box")))
        }
        for one, other in itertools.combinations(maps, 2):
            gap = np.abs(maps[one] - maps[other]).reshape(3, -1).max(1) / np.abs(maps[other]).reshape(3, -1).max(1)
            assert (gap > 1e-2).all(), (name, one, other)


def test_classes(case_of):
    """Of a class, the relevance is that of one output alone, and starts as its value."""
    case = case_of("conv bias norm")
    z = case.activations()[-1]
    classes = np.abs(z).argmax(1)
    R = np.eye(z.shape[1])[classes] * z
    rules = [case.bounds(given) for given, _ in RULES.values()]
    explanation = EachRule(case.model, rules)(case.x, classes)
    np.testing.assert_allclose(explanation.score, R.sum(1), rtol=1e-4)
    for number, (name, (_, formula)) in enumerate(RULES.items()):
        assert_close(explanation.values[:, number], case.expected(formula, rules[number], R, True), name)


def test_weights_on_the_left():
    """A product with weights shares among the data alone, on whichever side the weights stand."""
    A = np.random.default_rng(0).uniform(0.1, 1, (4, 4)).astype("float32")
    x = np.random.default_rng(1).uniform(0.1, 1, (2, 4, 3)).astype("float32")
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, layers.Flatten()(keras.ops.matmul(keras.ops.convert_to_tensor(A), inputs)))
    found = LRP(model, Zero())(x, target=lambda outputs: tf.reduce_sum(outputs, 1))
    assert_close(found.values, x * A.sum(0)[:, None])


def test_bias_is_an_option_of_rules_too(case_of):
    case = case_of("conv bias norm")
    weights = case.clear_weights()
    rules = (Epsilon(), ZPlus(), WSquare())
    of_rule = explain(case, [replace(rule, bias=False) for rule in rules], weights, True)
    np.testing.assert_array_equal(of_rule, explain(case, rules, weights, False))
    for without, with_bias in zip(of_rule, explain(case, rules, weights, True), strict=True):
        assert np.abs(without - with_bias).max() > 1e-2 * np.abs(without).max()


def test_zero_is_not_epsilon():
    """Where z is as small as epsilon, the epsilon rule absorbs half; where it is zero, both give nothing."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, use_bias=False)])
    model.layers[0].set_weights([np.array([[1.0], [-1.0]])])
    x = np.array([[3e-6, 2e-6], [-2e-6, -1e-6], [1.0, 1.0], [0.0, 0.0]], "float32")
    expected = np.array([[3e-6, -2e-6], [-2e-6, 1e-6], [0, 0], [0, 0]])
    np.testing.assert_allclose(LRP(model, Zero())(x, 0).values, expected, rtol=1e-4)
    np.testing.assert_allclose(LRP(model, Epsilon())(x, 0).values, expected / 2, rtol=1e-4)


@pytest.mark.parametrize("name", ["dense", "conv same", "conv bias norm", "depthwise", "transposed same"])
def test_conservation(case_of, name):
    """Without biases all rules conserve relevance, if there is anything to share it by.

    The rules by sign do not where an output has no product of that sign: here such outputs do not count. With biases
    only the z-box and the flat rule conserve it, as they leave the bias out anyhow.
    """
    case = case_of(name)
    weights = case.clear_weights()
    *_, a, z = case.activations()
    products = a[:, :, None] * case.maps[-1][0]
    both = (pos(products).sum(1) > 0.05) & (neg(products).sum(1) < -0.05)
    assert both.mean() > 0.3
    weights *= both
    score = z * weights
    scale = np.abs(score).sum(1)
    rules = [case.bounds(given) for given, _ in RULES.values()]

    def check(rules, bias):
        for rule, found in zip(rules, explain(case, rules, weights, bias), strict=True):
            kept = 1.0
            if isinstance(rule, Epsilon) and rule.epsilon > 1e-3:  # which absorbs some
                unbiased = np.abs(a @ case.maps[-1][0])
                kept = unbiased / (unbiased + rule.epsilon)
            total = found.reshape(3, -1).sum(1)
            np.testing.assert_allclose(total / scale, (score * kept).sum(1) / scale, atol=1e-4, err_msg=str(rule))

    check(rules, bias=False)
    check([rule for rule in rules if isinstance(rule, ZBox | Flat)], bias=True)


def test_biases_take_their_part(case_of):
    """What the sum lacks is what the formulas give to the bias."""
    case = case_of("dense")
    weights = case.clear_weights()
    z, b = case.activations()[-1], case.maps[0][1]
    found = explain(case, [Zero()], weights, True)[0].sum(1)
    np.testing.assert_allclose(found, (weights * (z - b)).sum(1), rtol=1e-4)
    assert (np.abs(found - (weights * z).sum(1)) > 1e-2).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda model: AlphaBeta(2, 2), ValueError, "alpha - beta = 1"),
        (lambda model: AlphaBeta(0.5, -0.5), ValueError, "beta >= 0"),
        (lambda model: ZBox(1, 0), ValueError, "low < high"),
        (lambda model: ZBox((0.0, 1.0), (1.0, 1.0)), ValueError, "low < high"),
        (lambda model: LRP(model, "epsilon_gamma_box"), ValueError, "low= and high="),
        (lambda model: LRP(model, "epsilon_gamma_box", low=0), ValueError, "low= and high="),
        (lambda model: LRP(model, "epsilon_gamma_box", low=1, high=0), ValueError, "low < high"),
        (lambda model: LRP(model, "epsilon_minus"), ValueError, "epsilon_minus.*|one of"),
        (lambda model: LRP(model, 0.25), TypeError, "float"),
        (lambda model: LRP(model, None), TypeError, "NoneType"),
    ],
)
def test_bad_options(case_of, make, error, message):
    with pytest.raises(error, match=message):
        make(case_of("dense").model)


@pytest.mark.parametrize("name", ["separable", "conv1d norm", "depthwise norm"])
def test_other_forms_of_the_model(case_of, tmp_path, name):
    case = case_of(name)
    case.model.export(tmp_path / "saved", verbose=False)
    rules = (Gamma(), AlphaBeta(), WSquare())
    expected = EachRule(case.model, rules)(case.x, 2)
    for model in (tf.function(case.model), tf.saved_model.load(tmp_path / "saved"), tmp_path / "saved"):
        found = EachRule(model, rules)(case.x, 2)
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-4, atol=1e-5)
        for number, rule in enumerate(rules):
            assert_close(found.values[:, number], expected.values[:, number], str(rule))
