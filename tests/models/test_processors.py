"""What does not hang on the processor: kernels that TensorFlow has for some of them only."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.models import open_model

# One of each way of sending something back; others of the same way on one model.
METHODS = ["saliency", "guided_backprop", "lrp", "deep_lift"]
OTHERS = ["deconvnet", "deep_taylor"]


def noise(rng, *shape):
    return rng.normal(size=shape).astype("float32")


@pytest.mark.parametrize(
    ("groups", "stride", "dilation", "padding"),
    [
        (2, 1, 1, "SAME"),
        (2, 2, 1, "VALID"),
        (4, 3, 1, "SAME"),
        (1, 1, 2, "VALID"),
        (1, 2, (1, 2), "SAME"),
        (2, (1, 2), 2, [[0, 0], [2, 1], [0, 3], [0, 0]]),
        (2, 1, 1, [[0, 0], [4, 3], [3, 3], [0, 0]]),
    ],
)
def test_gradients_of_convolutions_equal_those_of_xla(groups, stride, dilation, padding):
    """At the input, and at a kernel that is computed of the input, against what XLA has on every processor."""
    rng = np.random.default_rng(0)
    kernel, weight = noise(rng, 3, 2, 4 // groups, 8), noise(rng, 2, 20, 20, 8)

    def score(x):
        scaled = kernel * tf.reduce_mean(x**2)
        y = tf.nn.conv2d(x, scaled, stride, padding, dilations=dilation)
        return tf.reduce_sum(y * weight[:, : y.shape[1], : y.shape[2]], [1, 2, 3])

    x = noise(rng, 2, 11, 10, 4)
    function = tf.function(score, input_signature=[tf.TensorSpec(x.shape)])
    view = open_model(function)
    step = tf.function(lambda x: tf.gradients(view.forward(x).outputs, x)[0], autograph=False)
    expected = tf.function(lambda x: tf.gradients(score(x), x)[0], autograph=False, jit_compile=True)
    np.testing.assert_allclose(step(tf.constant(x)), expected(tf.constant(x)), rtol=1e-4, atol=1e-3)


def grouped(norm=False):
    first = [layers.Conv2D(8, 3, groups=2, use_bias=not norm), *([layers.BatchNormalization()] if norm else [])]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3)]
    second = layers.Conv2D(8, 3, 2, "same", groups=8, activation="relu")
    return keras.Sequential([keras.Input((9, 8, 4)), *first, layers.ReLU(), second, *head])


def in_series():
    inside = [layers.Conv1D(6, 3, groups=3, activation="relu"), layers.Conv1D(6, 3, groups=2, dilation_rate=2)]
    return keras.Sequential([keras.Input((12, 3)), *inside, layers.ReLU(), layers.Flatten(), layers.Dense(3)])


def dense_twin(model):
    """The same model without groups: kernels with zeros between the groups."""
    twin = keras.models.clone_model(
        model, clone_function=lambda layer: type(layer).from_config(layer.get_config() | has_groups(layer))
    )
    for old, new in zip(model.layers, twin.layers, strict=True):
        weights = old.get_weights()
        if getattr(old, "groups", 1) > 1:
            inner, outer = weights[0].shape[-2], weights[0].shape[-1] // old.groups
            kernel = np.zeros(new.kernel.shape)
            for g in range(old.groups):
                own = slice(g * outer, (g + 1) * outer)
                kernel[..., g * inner : (g + 1) * inner, own] = weights[0][..., own]
            weights[0] = kernel
        new.set_weights(weights)
    return twin


def has_groups(layer):
    return {"groups": 1} if hasattr(layer, "groups") else {}


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """By name, a model with grouped convolutions, as a Keras model or a SavedModel, its twin without, and inputs."""
    return functools.cache(lambda name: make_twins(name, tmp_path_factory))


def make_twins(name, tmp_path_factory):
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    model = in_series() if name == "series" else grouped(norm=name == "norm")
    for variable in model.variables:
        if variable.path.endswith(("bias", "beta", "moving_mean")):
            variable.assign(0.3 * noise(rng, *variable.shape))
    twin = dense_twin(model)
    if name == "saved":
        path = tmp_path_factory.mktemp("grouped")
        model.export(path, verbose=False)
        model = str(path)
    return model, twin, noise(rng, 2, *twin.input_shape[1:])


# Only what shares relevance looks at norms; series and SavedModels lead to the same operations.
GROUPED = [("bias", method) for method in METHODS + OTHERS] + [("norm", "lrp"), ("norm", "deep_lift")]
GROUPED += [(name, method) for name in ("series", "saved") for method in ("guided_backprop", "lrp")]


@pytest.mark.parametrize(("name", "method"), GROUPED)
def test_groups_make_no_difference(twins, name, method):
    model, twin, x = twins(name)
    found, expected = (tfxai.explain(one, x, method, target=1).values for one in (model, twin))
    assert expected.any()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=min(1e-5, 1e-2 * np.abs(expected).max()))


@pytest.mark.parametrize("method", METHODS)
def test_a_model_whose_convolution_is_dilated_by_itself(method):
    """By `tf.nn.conv2d`, whose gradient some processors have no kernel for."""
    rng = np.random.default_rng(0)
    kernel, bias, head = noise(rng, 3, 3, 2, 4), noise(rng, 4), noise(rng, 4, 3)

    @tf.function(input_signature=[tf.TensorSpec([None, 9, 9, 2])])
    def raw(x):
        return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "VALID", dilations=2) + bias), [1, 2]) @ head

    keras.utils.set_random_seed(0)
    convolution = layers.Conv2D(4, 3, dilation_rate=2, activation="relu")
    usual = keras.Sequential([keras.Input((9, 9, 2)), convolution, layers.GlobalAveragePooling2D(), layers.Dense(3)])
    usual.set_weights([kernel, bias, head, np.zeros(3)])
    x = noise(rng, 2, 9, 9, 2)
    found, expected = (tfxai.explain(model, x, method, target=0).values for model in (raw, usual))
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_a_grouped_convolution_is_neither_fused_nor_differentiated_by_its_own_kernel():
    """So that it runs everywhere; an ordinary one stays as it is."""
    model = keras.Sequential([keras.Input((9, 9, 4)), layers.Conv2D(8, 3, groups=2), layers.Conv2D(4, 3)])
    view = open_model(model)

    @tf.function(autograph=False)
    def step(x):
        return tf.gradients(view.forward(x, (), "flat").outputs, x)[0]

    operations = step.get_concrete_function(tf.TensorSpec([None, 9, 9, 4])).graph.get_operations()
    behind = {
        op.type for op in operations for x in op.inputs if x.op.type == "Conv2D" and x.op.inputs[1].shape[-2] == 2
    }
    assert behind == {"EnsureShape"}
    assert sum(op.type == "Conv2DBackpropInput" for op in operations) == 1


@pytest.fixture(scope="module")
def formats():
    """The same network with channels first and last."""
    keras.utils.set_random_seed(0)
    pair = [
        keras.Sequential(
            [
                keras.Input(shape),
                layers.Conv2D(4, 3, activation="relu", data_format=form, name="conv"),
                layers.GlobalAveragePooling2D(data_format=form),
                layers.Dense(3),
            ]
        )
        for form, shape in (("channels_first", (2, 9, 7)), ("channels_last", (9, 7, 2)))
    ]
    pair[1].set_weights(pair[0].get_weights())
    return pair


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("method", ["saliency", "lrp", "occlusion"])
def test_channels_first_runs_or_says_how(formats, method, compiled):
    """Some processors have no kernels for it; XLA has."""
    rng = np.random.default_rng(0)
    first, last = formats
    x = noise(rng, 2, 2, 9, 7)
    try:
        found = tfxai.explain(first, x, method, target=0, jit_compile=compiled)
    except ValueError as error:
        assert "jit_compile=True" in str(error)  # noqa: PT017
        assert not compiled
        return
    expected = tfxai.explain(last, x.transpose(0, 2, 3, 1), method, target=0)
    assert np.abs(expected.values).max() > 1e-3
    np.testing.assert_allclose(found.heatmaps(), expected.heatmaps(), atol=1e-4)
