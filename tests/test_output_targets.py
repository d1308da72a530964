"""Targets that are numbers of the outputs: the same as a function that picks them, for rows of their own too."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.targets import Box, Class, Continuation, Output, Pixel, Region, Token

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 6, 5, 2)).astype("float32")
MASK = np.zeros((6, 5), bool)
MASK[1:4, 2:] = True


@pytest.fixture(scope="module")
def segmenter():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6, 5, 2)), layers.Conv2D(4, 3, padding="same"), layers.Softmax()])


@pytest.fixture(scope="module")
def sequence():
    """Of a sequence (6, 10): outputs (n, 6, 4), of a language model or a detector."""
    keras.utils.set_random_seed(0)
    steps = layers.Conv1D(5, 3, padding="causal", activation="tanh")
    return keras.Sequential([keras.Input((6, 10)), steps, layers.Dense(4)])


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((60,)), layers.Dense(5, activation="tanh"), layers.Dense(4)])


def logits(outputs):
    """Up to a constant of each pixel."""
    return tf.math.log(outputs)


CASES = {
    "class": ("classifier", Class(2), lambda y: y[:, 2]),
    "class of each": ("classifier", Class([0, 2, 1]), lambda y: tf.gather(y, [0, 2, 1], batch_dims=1)),
    "output": ("classifier", Output(1), lambda y: y[:, 1]),
    "difference": ("classifier", Class(3) - Class(1), lambda y: y[:, 3] - y[:, 1]),
    "sum": ("classifier", 2 * Class(3) + Output(0) - 0.5 * Class(1), lambda y: 2 * y[:, 3] + y[:, 0] - y[:, 1] / 2),
    "negative": ("classifier", -Class(0), lambda y: -y[:, 0]),
    "token": ("sequence", Token(3), lambda y: y[:, -1, 3]),
    "token at": ("sequence", Token([1, 2, 0], [2, 0, -1]), lambda y: tf.stack([y[0, 2, 1], y[1, 0, 2], y[2, 5, 0]])),
    "contrast": ("sequence", Token(3) - Token(1), lambda y: y[:, -1, 3] - y[:, -1, 1]),
    "box": ("sequence", Box(4, 2), lambda y: y[:, 4, 2]),
    "continuation": (
        "sequence",
        Continuation([3, 1]),
        lambda y: tf.nn.log_softmax(y[:, 3])[:, 3] + tf.nn.log_softmax(y[:, 4])[:, 1],
    ),
    "pixel": ("segmenter", Pixel(2, 4, 1) - Pixel(2, 4, 3), lambda y: logits(y)[:, 2, 4, 1] - logits(y)[:, 2, 4, 3]),
    "region": (
        "segmenter",
        Region(MASK, 1) - Region(MASK, 0),
        lambda y: tf.reduce_sum((logits(y)[..., 1] - logits(y)[..., 0])[:, 1:4, 2:], [1, 2]),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_what_a_function_picks(request, name):
    fixture, target, function = CASES[name]
    model = request.getfixturevalue(fixture)
    x = tf.reshape(X, (-1, *model.input_shape[1:]))
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = function(model(x))
    found = tfxai.Saliency(model)(x, target, batch_size=2)
    np.testing.assert_allclose(found.score, score, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.values, tape.gradient(score, x), rtol=1e-3, atol=1e-5)
    assert found.facts["target"] == "outputs"


def test_is_named():
    assert str(Class(3) - Class(5)) == "class 3 - class 5"
    assert str(2 * Token(3, 1) + Token([1, 2])) == "2 * token 3 at position 1 + token of each input at position -1"
    assert str(-Region(MASK, 1)) == "-class 1 in a region"
    assert str(Pixel(1, 2, 3)) == "class 3 at pixel (1, 2)"


def test_results_name_it(classifier, tmp_path):
    found = tfxai.Saliency(classifier)(X.reshape(3, 60), Class(3) - Class(1))
    found.save(tmp_path / "found.npz")
    assert tfxai.Explanation.load(tmp_path / "found.npz").target == found.target == "class 3 - class 1"


def test_other_ids_trace_nothing(sequence):
    explainer, x = tfxai.Saliency(sequence), X.reshape(3, 6, 10)
    explainer(x, Token(1))
    traces = len(explainer._traces)
    explainer(x, Token([0, 1, 2], 3))
    assert len(explainer._traces) == traces == 1


def test_a_region_lights_up_itself(segmenter):
    found = tfxai.Saliency(segmenter)(X, Region(MASK, 1))
    reached = np.abs(found.values).max((0, 3)) > 0
    assert reached[1:4, 2:].all()
    assert not reached[5].any()  # two rows further than a kernel of three reaches
    assert not reached[:, 0].any()


@pytest.mark.parametrize(
    ("fixture", "target", "message"),
    [
        ("classifier", Class(4), r"id of class 4 to lie from 0 to 3.*\(None, 4\)"),
        ("classifier", Class([0, 1]), "one target for each of the 3 inputs, got 2"),
        ("classifier", Token(1), r"Token needs outputs of shape \(n, positions, tokens\).*Class\(id\)"),
        ("sequence", Token(1, 6), "position .* to lie from -6 to 5"),
        ("sequence", Token(4), "id of token 4 .* to lie from 0 to 3"),
        ("sequence", Box(-1, 0), "index of class 0 of box -1 to lie from 0 to 5"),
        ("sequence", Continuation([1] * 6), "fewer tokens than the 6 positions, got 6"),
        ("sequence", Class(1), r"Class needs outputs of shape \(n, classes\).*Token.*Box"),
        ("sequence", None, r"Classes need outputs.*Token\(id, position=-1\).*Box\(index, id\)"),
        ("segmenter", None, r"Classes need outputs.*Region\(mask, id\) and Pixel\(row, column, id\)"),
        ("segmenter", Region(MASK[:3], 1), r"region of the outputs' size, \(6, 5\), got \(3, 5\).*Resize"),
    ],
)
def test_what_does_not_fit_is_told(request, fixture, target, message):
    model = request.getfixturevalue(fixture)
    with pytest.raises(ValueError, match=message):
        tfxai.Saliency(model)(X.reshape(-1, *model.input_shape[1:]), target)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Class(1.5), "id of Class to be an integer"),
        (lambda: Token([[1]]), "id of Token to be an integer"),
        (lambda: Region(MASK & ~MASK, 1), "region is empty"),
        (lambda: Region(1, 1), "mask of Region to be an array with two axes"),
        (lambda: (Class([1, 2]) - Class([1, 2, 3])).count, r"one value for each input, got \[2, 3\]"),
    ],
)
def test_what_is_no_target_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()
