"""Relevance rules against their formulas, on layers of every kind."""

import functools
import itertools
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from affine_cases import CASES, RULES, WITHOUT_BIAS, Case, neg, pos
from keras import layers

from tfxai import LRP
from tfxai.explainer import Explainer
from tfxai.relevance import AlphaBeta, Composite, Epsilon, Flat, Gamma, WSquare, ZBox, Zero, ZPlus
from tfxai.relevance import first as is_first


@pytest.fixture(scope="module")
def case_of():
    return functools.cache(Case)


class EachRule(Explainer):
    """LRP by several rules in one graph, as tracing the model once for each would take most of the time."""

    facts, backward = LRP.facts, LRP.backward

    def __init__(self, model, rules, bias=True):
        super().__init__(model)
        composites = [Composite([(is_first, rule)]) if isinstance(rule, ZBox) else rule for rule in rules]
        self.each = [LRP(self.view, composite=composite, bias=bias) for composite in composites]

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
# Other numbers in the same formulas, which are the same whatever the layer is.
AGAIN = ["epsilon 1e-6", "alpha 2 beta 1"]
ONCE = [rule for rule in RULES if rule not in AGAIN]
COMBINATIONS = [(name, rule, True) for name in CASES if name != APART for rule in ONCE]
COMBINATIONS += [(name, rule, False) for name in CASES if name in WITHOUT_BIAS for rule in ONCE]
COMBINATIONS += [("conv bias norm", rule, bias) for rule in AGAIN for bias in (True, False)]
COMBINATIONS += [(APART, rule, True) for rule in ("epsilon 1e-6", "zero")]


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
    found = LRP(model, composite=Zero())(x, target=lambda outputs: tf.reduce_sum(outputs, 1))
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
    np.testing.assert_allclose(LRP(model, composite=Zero())(x, 0).values, expected, rtol=1e-4)
    np.testing.assert_allclose(LRP(model, composite=Epsilon())(x, 0).values, expected / 2, rtol=1e-4)


@pytest.mark.parametrize("name", ["dense", "conv bias norm", "transposed same"])
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
        (lambda model: LRP(model, composite="epsilon_gamma_box"), ValueError, "low= and high="),
        (lambda model: LRP(model, composite="epsilon_gamma_box", low=0), ValueError, "low= and high="),
        (lambda model: LRP(model, composite="epsilon_gamma_box", low=1, high=0), ValueError, "low < high"),
        (lambda model: LRP(model, composite="epsilon_minus"), ValueError, "epsilon_minus.*|one of"),
        (lambda model: LRP(model, composite=0.25), TypeError, "float"),
        (lambda model: LRP(model, composite=[Epsilon()]), TypeError, "list"),
    ],
)
def test_bad_options(case_of, make, error, message):
    with pytest.raises(error, match=message):
        make(case_of("dense").model)


@pytest.mark.parametrize("name", ["separable", "conv1d norm"])
def test_other_forms_of_the_model(case_of, tmp_path, name):
    case = case_of(name)
    case.model.export(tmp_path / "saved", verbose=False)
    rules = (Gamma(), AlphaBeta(), WSquare())
    expected = EachRule(case.model, rules)(case.x, 2)
    for model in (tf.function(case.model), tmp_path / "saved"):
        found = EachRule(model, rules)(case.x, 2)
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-4, atol=1e-5)
        for number, rule in enumerate(rules):
            assert_close(found.values[:, number], expected.values[:, number], str(rule))
