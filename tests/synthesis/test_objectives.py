"""Objectives: each against plain NumPy, their algebra by hand, and what the model does not have."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.models import open_model
from tfxai.synthesis.objective import Seen
from tfxai.synthesis.objectives import as_objective

o = tfxai.objectives


def value(objective, model, x, what="compute"):
    """What an objective is for images, in a graph."""
    view = open_model(model)
    names = tuple(view.find(one) for one in objective.layers)
    numbers = [tf.constant(one) for one in objective.spread(len(x))]
    call = tf.function(lambda x: getattr(objective, what)(Seen(view, view.forward(x, names)), numbers), autograph=False)
    return call(tf.constant(x)).numpy()


def maps(model, layer, x):
    return keras.Model(model.inputs[0], model.get_layer(layer).output).predict(x, verbose=0)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


class TestClasses:
    def test_of_logits(self, residual, x):
        logits = residual.predict(x, verbose=0)
        np.testing.assert_allclose(value(o.class_score(3), residual, x), logits[:, 3], rtol=1e-5)
        each = value(o.class_score([0, 4, 1, 2]), residual, x)
        np.testing.assert_allclose(each, logits[range(4), [0, 4, 1, 2]], rtol=1e-5)
        found = value(o.class_score(3, on="probability"), residual, x)
        np.testing.assert_allclose(found, softmax(logits)[:, 3], rtol=1e-4)
        found = value(o.class_score(3, on="log_probability"), residual, x)
        np.testing.assert_allclose(found, np.log(softmax(logits)[:, 3]), rtol=1e-4)

    @pytest.mark.parametrize("on", ["logit", "log_probability", "probability"])
    def test_a_softmax_changes_nothing(self, residual, x, on):
        with_softmax = keras.Sequential([residual, layers.Softmax()])
        objective = o.class_score([0, 4, 1, 2], on=on)
        np.testing.assert_allclose(value(objective, with_softmax, x), value(objective, residual, x), rtol=1e-5)

    def test_of_one_sigmoid(self, residual, x):
        model = keras.Sequential([residual, layers.Dense(1, activation="sigmoid")])
        p = model.predict(x, verbose=0)[:, 0]
        np.testing.assert_allclose(value(o.class_score(1, on="probability"), model, x), p, rtol=1e-4)
        np.testing.assert_allclose(value(o.class_score(0, on="probability"), model, x), 1 - p, rtol=1e-4)
        np.testing.assert_allclose(value(o.class_score(0), model, x), np.log((1 - p) / p), rtol=1e-3, atol=1e-4)

    def test_of_one_logit(self, residual, x):
        model = keras.Sequential([residual, layers.Dense(1)])
        np.testing.assert_allclose(value(o.class_score(0), model, x), model.predict(x, verbose=0)[:, 0], rtol=1e-5)
        with pytest.raises(ValueError, match="probabilities are unknown"):
            value(o.class_score(0, on="probability"), model, x)


class TestLayers:
    @pytest.mark.parametrize(
        ("reduction", "reduce"),
        [
            ("mean", lambda m: m.mean((1, 2))),
            ("sum", lambda m: m.sum((1, 2))),
            ("max", lambda m: m.max((1, 2))),
            ("energy", lambda m: (m**2).sum((1, 2)) / 2),
        ],
    )
    def test_channels(self, residual, x, reduction, reduce):
        expected = reduce(maps(residual, "relu3", x))
        np.testing.assert_allclose(
            value(o.channel("relu3", 5, reduction=reduction), residual, x), expected[:, 5], rtol=1e-5
        )
        each = value(o.channel("relu3", [1, 0, 7, 7], reduction=reduction), residual, x)
        np.testing.assert_allclose(each, expected[range(4), [1, 0, 7, 7]], rtol=1e-5)

    def test_neurons(self, residual, x):
        found = maps(residual, "pool", x)
        np.testing.assert_allclose(value(o.neuron("pool", (2, 7, 3)), residual, x), found[:, 2, 7, 3], rtol=1e-5)
        np.testing.assert_allclose(value(o.neuron("pool", 3), residual, x), found[:, 4, 4, 3], rtol=1e-5)
        unit = value(o.neuron(residual.get_layer("gap"), 9), residual, x)
        np.testing.assert_allclose(unit, maps(residual, "gap", x)[:, 9], rtol=1e-5)

    def test_whole_layers(self, residual, x):
        found = maps(residual, "add", x)
        np.testing.assert_allclose(value(o.layer("add"), residual, x), (found**2).sum((1, 2, 3)) / 2, rtol=1e-5)
        np.testing.assert_allclose(
            value(o.layer("add", reduction="mean"), residual, x), found.mean((1, 2, 3)), rtol=1e-4
        )

    def test_directions(self, residual, x):
        found, v = maps(residual, "add", x), np.linspace(-1, 1, 8)
        np.testing.assert_allclose(value(o.direction("add", v), residual, x), (found @ v).mean((1, 2)), rtol=1e-4)
        cosine = found @ v / np.linalg.norm(found, axis=-1) / np.linalg.norm(v)
        expected = (found @ v * np.maximum(cosine, 0.1) ** 2).mean((1, 2))
        np.testing.assert_allclose(value(o.direction("add", v, cosine=2), residual, x), expected, rtol=1e-3)
        one_channel = value(o.direction("add", np.eye(8)[[2, 5, 0, 1]]), residual, x)
        np.testing.assert_allclose(one_channel, value(o.channel("add", [2, 5, 0, 1]), residual, x), rtol=1e-4)

    def test_diversity(self, residual, x):
        found = maps(residual, "relu2", x).reshape(4, -1, 8)
        grams = np.einsum("npc,npd->ncd", found, found).reshape(4, -1)
        grams /= np.linalg.norm(grams, axis=1, keepdims=True)
        expected = [-np.mean([grams[i] @ grams[j] for j in range(4) if j != i]) for i in range(4)]
        np.testing.assert_allclose(value(o.diversity("relu2"), residual, x), expected, rtol=1e-4)
        assert value(o.diversity("relu2"), residual, x[:1]).tolist() == [0]

    def test_functions(self, residual, x):
        found = value(o.function(lambda a, b: tf.reduce_max(a, 1) * b[:, 0], "gap", "dense"), residual, x)
        expected = maps(residual, "gap", x).max(1) * residual.predict(x, verbose=0)[:, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


class TestAlgebra:
    def test_by_hand(self, residual, x):
        a, b, c = o.class_score(3), o.channel("relu4", 2), o.class_score([0, 1, 2, 3])
        u, v, w = (value(one, residual, x) for one in (a, b, c))
        cases = {
            0.7 * a - b: 0.7 * u - v,
            a * b + c * c: u * v + w * w,
            -(a + b) * 2: -2 * (u + v),
            5 - a / 4 + 1: 6 - u / 4,
            sum([a, b, c]): u + v + w,
            np.array([1.0, 0.0, -1.0, 2.0]) * a: np.array([1.0, 0.0, -1.0, 2.0]) * u,
            a - (b - c): u - v + w,
        }
        for objective, expected in cases.items():
            np.testing.assert_allclose(value(objective, residual, x), expected, rtol=1e-4, atol=1e-5)

    def test_in_words(self):
        a, b = o.class_score(3), o.channel("relu4", 2)
        assert str(0.7 * a - b) == "0.7 * class 3 - channel 2 of relu4"
        assert str(2 * (a + b)) == "2 * (class 3 + channel 2 of relu4)"
        assert str(a - (b - a)) == "class 3 - (channel 2 of relu4 - class 3)"
        assert str(o.class_score(range(5))) == "class 0, class 1, class 2, ..."
        assert (a + o.class_score([4, 5])).text(1) == "class 3 + class 5"

    def test_probability_is_that_of_the_first_class(self, residual, x):
        p = softmax(residual.predict(x, verbose=0))
        objective = o.channel("relu4", 2) + 0.5 * o.class_score(4) - o.class_score(1)
        np.testing.assert_allclose(value(objective, residual, x, "probability"), p[:, 4], rtol=1e-4)
        assert o.channel("relu4", 2).probability is None
        assert (2 * o.layer("relu4")).probability is None

    def test_what_others_are_taken_for(self, residual, x):
        assert str(as_objective(4)) == "class 4"
        assert as_objective([1, 2]).rows == 2
        found = value(as_objective(lambda logits: logits[:, 1] ** 2), keras.Sequential([residual, layers.Softmax()]), x)
        np.testing.assert_allclose(found, residual.predict(x, verbose=0)[:, 1] ** 2, rtol=1e-4)


@pytest.mark.parametrize("make", [networks.residual, networks.nested, networks.subclassed])
def test_any_kind_of_model(make, residual, x, tmp_path):
    """Nested and subclassed models, and SavedModels of them."""
    model = make()
    layer = "head/gap" if make is networks.subclassed else "gap"
    objective = o.class_score(3) - 0.5 * o.channel(layer, 2) + o.neuron(layer, 1)
    expected = value(o.class_score(3) - 0.5 * o.channel("gap", 2) + o.neuron("gap", 1), residual, x)
    np.testing.assert_allclose(value(objective, model, x), expected, rtol=1e-4, atol=1e-5)
    if make is not networks.nested:
        model.export(tmp_path, verbose=False)
        np.testing.assert_allclose(value(objective, tmp_path, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (o.class_score(5), "class 5 is out of range: the model has 0 to 4"),
        (o.class_score([0, 7, 1]), "class 7 is out of range"),
        (o.channel("relu4", 16), "channel 16 is out of range: the layer 'relu4' has 0 to 15"),
        (o.channel("relu9", 1), "Unknown layer 'relu9'"),
        (2 * o.class_score(1) + o.channel("relu4", 99), "channel 99"),
        (o.neuron("relu4", (8, 0, 0)), r"no unit \(8, 0, 0\)"),
        (o.neuron("relu4", (0, 0)), r"no unit \(0, 0\)"),
        (o.neuron("relu4", 16), "no unit 16"),
        (o.direction("relu4", np.ones(3)), "16 channels, the vector 3"),
        (o.class_score([0, 1]) + o.class_score(1), None),
    ],
)
def test_what_a_model_does_not_have(residual, objective, message):
    if message is None:
        tfxai.ActivationMaximization(residual, objective)
        return
    with pytest.raises(ValueError, match=message):
        tfxai.ActivationMaximization(residual, objective)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: o.class_score(-1), "class"),
        (lambda: o.class_score(1.5), "class"),
        (lambda: o.class_score(1, on="loss"), "on"),
        (lambda: o.channel("a", 1, reduction="median"), "reduction"),
        (lambda: o.neuron("a", (0, -1)), "index"),
        (lambda: o.direction("a", [np.nan, 1]), "finite vector"),
        (lambda: o.class_score([1, 2]) + o.class_score([1, 2, 3]), "for 2 and for 3 images"),
        (lambda: o.class_score([1, 2]).spread(3), "made for 2 images, got 3"),
    ],
)
def test_bad_values(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bad_types():
    for make in (lambda: o.class_score(1) + "a", lambda: o.function(3), lambda: as_objective("goldfish")):
        with pytest.raises(TypeError):
            make()
