"""Any function as a model: TensorFlow functions, which are looked into, and Python functions, which are not."""

import exports
import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

import tfxai


@pytest.fixture(scope="module")
def zoo():
    return exports.Zoo()


def agree(one, other, tolerance=1e-5):
    assert np.abs(other).max() > 0
    np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * np.abs(other).max())


class Counting:
    """A Python function that writes down how it was called."""

    def __init__(self, function):
        self.function, self.calls = function, []

    def __call__(self, x):
        assert isinstance(x, np.ndarray)
        self.calls.append(x.shape)
        return self.function(x)


# TensorFlow functions


# All ways of using a model on one network; on the others, which are a residual net, some of those that look into it.
WAYS = ["saliency", "integrated_gradients", "guided_backprop", "grad_cam", "ablation_cam"]
PAIRS = [("plain", method) for method in WAYS]
PAIRS += [("nested", "guided_backprop"), ("nested", "ablation_cam"), ("subclassed", "grad_cam")]


@pytest.mark.parametrize(("name", "method"), PAIRS)
def test_a_function_around_a_keras_model_explains_as_the_model(name, method, x, labels):
    model = networks.known(name)
    options = {"steps": 5} if method == "integrated_gradients" else {}
    expected = tfxai.explain(model, x, method, labels, **options)
    functions = [tf.function(model)]
    if (name, method) == ("plain", "grad_cam"):  # a signature changes when a function is traced, whatever is inside
        functions.append(tf.function(lambda x: model(x), input_signature=[tf.TensorSpec([None, *x.shape[1:]])]))
    for function in functions:
        found = tfxai.explain(function, x, method, labels, **options)
        agree(found.values, expected.values)
        assert networks.settled(found.facts) == networks.settled(expected.facts)


def test_softmax_is_stepped_over_in_functions(plain, x):
    function = tf.function(lambda x: tf.nn.softmax(plain(x)))
    agree(tfxai.Saliency(function)(x, 1).values, tfxai.Saliency(plain)(x, 1).values)
    probability = tfxai.Saliency(function, score="probability")(x, 1)
    agree(probability.score, tf.nn.softmax(plain(x))[:, 1])


def test_functions_use_live_variables(x):
    scale = tf.Variable(1.0)
    explainer = tfxai.Saliency(tf.function(lambda x: scale * tf.reduce_mean(x**2, [1, 2])))
    agree(explainer(x, 0).values[..., 0], x[..., 0] / 128)
    scale.assign(3.0)
    agree(explainer(x, 0).values[..., 0], 3 * x[..., 0] / 128)


def test_layers_of_a_function_with_a_signature_are_listed(zoo):
    assert [layer.name for layer in tfxai.layers(zoo.nested)] == ["features", "mul", "head"]
    assert [layer.name for layer in tfxai.layers(zoo.plain.get_concrete_function())] == ["features", "head"]
    with pytest.raises(ValueError, match="not known before it has seen data"):
        tfxai.layers(zoo.inner)


def test_layers_of_a_function_without_signature_are_read_once_it_has_data(zoo, x):
    by_name = tfxai.GradCAM(tf.function(lambda x: zoo.head(zoo.features(x))), layer="features")(x)
    assert by_name.facts["layer"] == "features"
    agree(by_name.values, tfxai.GradCAM(zoo.plain)(x).values)
    with pytest.raises(ValueError, match=r"Unknown layer 'feature'.*'features'"):
        tfxai.GradCAM(tf.function(lambda x: zoo.head(zoo.features(x))), layer="feature")(x)


def test_functions_of_several_inputs_get_them_as_they_are_given(x):
    table = np.ones((len(x), 3), "f")

    def two(image, table):
        return tf.reduce_mean(image, [1, 2]) * table

    listed = tfxai.Saliency(tf.function(lambda both: two(*both)))([x, table], 1)
    named = tfxai.Saliency(tf.function(lambda both: two(both["x"], both["t"])))({"t": table, "x": x}, 1)
    agree(named.values["t"], listed.values["input_1"])
    agree(listed.values["input_1"][:, 1], x.mean((1, 2))[:, 1])
    agree(named.values["x"], listed.values["input_0"])


def test_one_of_several_outputs(x):
    function = tf.function(lambda x: {"sum": tf.reduce_sum(x, [1, 2]), "mean": tf.reduce_mean(x, [1, 2])})
    np.testing.assert_allclose(tfxai.Saliency(function, output="sum")(x, 1).values[..., 1], 1)
    np.testing.assert_allclose(tfxai.Saliency(function, output="mean")(x, 1).values[..., 1], 1 / 256)
    with pytest.raises(ValueError, match=r"one of \['mean', 'sum'\], got 'max'"):
        tfxai.Saliency(function, output="max")(x, 1)


def test_keras_layers_and_modules_are_functions(zoo, x):
    class Model(tf.Module):
        def __call__(self, x):
            return zoo.head(zoo.features(x))

    agree(tfxai.Saliency(Model())(x, 1).values, tfxai.Saliency(zoo.plain)(x, 1).values)
    pool = tfxai.Saliency(keras.layers.GlobalAveragePooling2D())(x, 1)
    np.testing.assert_allclose(pool.values[..., 1], 1 / 256, rtol=1e-6)


def test_custom_gradients_of_functions_are_used(zoo, x):
    z = np.round(9 * x)
    inner = tfxai.Saliency(zoo.plain)(z, 1)
    agree(tfxai.Saliency(zoo.custom)(x, 1).values, 9 * (9 * x) ** 2 * 3 * inner.values)
    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(3, 3, activation="silu")])
    model.add(keras.layers.GlobalAveragePooling2D())
    agree(tfxai.Saliency(tf.function(model))(x, 1).values, tfxai.Saliency(model)(x, 1).values)


def test_custom_gradients_in_a_function_in_a_function_are_refused(x):
    @tf.function
    def inner(x):
        return exports._tripled(x)

    with pytest.raises(ValueError, match="take the decorator off the inner one"):
        tfxai.Saliency(tf.function(lambda x: tf.reduce_mean(inner(x), [1, 2])))(x)


def test_a_function_that_hands_on_its_input(x):
    flat = x.reshape(len(x), -1)
    np.testing.assert_array_equal(tfxai.Saliency(tf.function(lambda x: x))(flat, 7).values[:, 7], 1)


# Python functions


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_python_functions_are_explained_from_outside(small, method, x, labels):
    options = {"occlusion": {"window": 8, "stride": 4}, "rise": {"masks": 20}}[method]
    expected = tfxai.explain(small, x, method, labels, **options)
    function = Counting(lambda x: small(x).numpy())
    found = tfxai.explain(function, x, method, labels, batch_size=16, **options)
    agree(found.values, expected.values)
    agree(found.score, expected.score)
    # Called with whole batches: once with a row to see the shape, then never with more than batch_size.
    assert function.calls[0] == (1, *x.shape[1:])
    assert found.facts["score"] == "output"
    assert 8 <= max(shape[0] for shape in function.calls) <= 16
    passes = sum(shape[0] for shape in function.calls)
    assert passes <= 1 + len(x) * (1 + (9 if method == "occlusion" else 20)) * 1.3


def test_python_functions_are_called_not_traced(x):
    function = Counting(lambda x: x.mean((1, 2)))
    explainer = tfxai.Occlusion(function, window=8, stride=8)
    first = explainer(x, 0)
    function.function = lambda x: 2 * x.mean((1, 2))  # a traced function would not notice
    agree(explainer(x, 0).values, 2 * first.values)


def test_scikit_learn_is_explained_by_its_weights():
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 8, 8, 1)).astype("f")
    y = x[:, 2:4, 4:6, 0].mean((1, 2)) > 0
    classifier = LogisticRegression().fit(x.reshape(len(x), -1), y)

    def log_odds(x):
        return np.stack([np.zeros(len(x)), classifier.decision_function(x.reshape(len(x), -1))], 1)

    drops = tfxai.Occlusion(log_odds, window=1, stride=1)(x[:3], 1)
    agree(drops.values, classifier.coef_.reshape(8, 8) * x[:3, ..., 0], 1e-4)
    seen = tfxai.RISE(log_odds, masks=300, cells=4, seed=1)(np.ones((1, 8, 8, 1), "f"), 1)
    assert seen.values[0, 2:4, 4:6].mean() > np.quantile(seen.values, 0.9)


def test_gradients_of_a_python_function_are_refused(x):
    def service(x):
        return x.mean((1, 2))

    for method in (tfxai.Saliency, tfxai.GuidedBackprop, tfxai.GradCAM, tfxai.AblationCAM):
        with pytest.raises(ValueError, match=r"the Python function 'service' has none to show.*tf\.function\(f\)"):
            method(service)(x)
    with pytest.raises(ValueError, match="has none to show"):
        tfxai.layers(service)
    with pytest.raises(ValueError, match="cannot be compiled by XLA"):
        tfxai.RISE(service, jit_compile=True)
    with pytest.raises(ValueError, match="returns the output itself"):
        tfxai.RISE(service, output="scores")


def test_wrong_results_of_a_python_function_are_reported(x):
    with pytest.raises(ValueError, match=r"one row of numbers for each of 1 inputs, got float32 of shape \(3,\)"):
        tfxai.RISE(lambda x: x.mean((0, 1, 2)))(x)
    with pytest.raises(ValueError, match=r"one row of numbers .* of shape \(1,\)"):
        tfxai.RISE(lambda x: np.array(["cat"] * len(x)))(x)
    with pytest.raises(ValueError, match="out of range: the model has 3 classes"):
        tfxai.RISE(lambda x: x.mean((1, 2)))(x, 3)
    ragged = iter([4, 4, 5, 5, 5])
    with pytest.raises(ValueError, match=r"to return rows of shape \(4,\), as before, got \(5,\)"):
        tfxai.RISE(lambda x: np.ones((len(x), next(ragged))), masks=10)(x[:1])


def test_errors_of_a_python_function_are_its_own_and_nothing_computed_is_lost(x):
    class Offline(Exception):
        pass

    function = Counting(lambda x: x.mean((1, 2)))
    first = tfxai.Occlusion(function, window=16)(x[:1], 1)

    def service(x):
        if len(again.calls) > len(function.calls):
            raise Offline("no connection")
        return x.mean((1, 2))

    again = Counting(service)
    with pytest.raises(Offline, match="no connection") as caught:  # in the second batch
        tfxai.Occlusion(again, window=16)(x[:2], 1, batch_size=1, verbose=0)
    np.testing.assert_array_equal(caught.value.partial.values, first.values)


def test_what_a_service_answered_before_its_error_is_not_asked_again():
    asked = []

    def service(x):
        asked.append(len(x))
        if len(asked) == 7:
            raise ConnectionError("the line is dead")
        return np.sin(x).sum((1, 2))

    x = np.random.default_rng(0).normal(size=(1, 8, 8, 1)).astype("float32")
    explainer = tfxai.RISE(service, masks=40)
    with pytest.raises(ConnectionError, match="the line is dead") as raised:
        explainer.explain(x, 0, batch_size=4)
    answered = int(raised.value.__notes__[0].split()[0])
    assert "Explain again" in raised.value.__notes__[0]
    before = len(asked)
    found = explainer.explain(x, 0, batch_size=4)
    whole = len(asked) - before + answered
    before = len(asked)
    np.testing.assert_array_equal(explainer.explain(x, 0, batch_size=4).values, found.values)
    assert len(asked) - before == whole


def test_several_inputs_reach_a_python_function_as_they_were_given(x):
    table = np.ones((len(x), 3), "f")

    def service(both):
        return both["image"].mean((1, 2)) * both["table"]

    found = tfxai.Occlusion(service, window=16)({"image": x, "table": table}, 1)
    agree(found.values, np.broadcast_to(x.mean((1, 2))[:, 1, None, None], found.values.shape))


def test_what_is_no_function_is_refused():
    for wrong in (3, object(), keras.Model, None):
        with pytest.raises(TypeError, match="Expected a Keras 3 model, a SavedModel, a function, or the path"):
            tfxai.Saliency(wrong)
