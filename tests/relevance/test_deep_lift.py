"""DeepLIFT: captum's numbers, sums that are exact, and what the RevealCancel rule is for."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai


def agree(found, expected, tolerance=1e-5):
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=0, atol=tolerance * np.abs(expected).max())


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("f")


# captum


@pytest.mark.parametrize("name", ["plain", "residual"])
def test_rescale_agrees_with_captum(name):
    inputs, oracle = networks.oracle(f"{name}_inputs"), networks.oracle(f"{name}_captum")
    model = networks.known(name)
    agree(tfxai.DeepLift(model)(inputs["x"], inputs["labels"]).values, oracle["deep_lift_rescale"])
    blurred = tfxai.DeepLift(model, baseline=lambda x: inputs["x_blurred"])(inputs["x"], inputs["labels"])
    agree(blurred.values, oracle["deep_lift_rescale_blurred_baseline"])


@pytest.mark.parametrize("name", ["nested", "subclassed", "residual"])
def test_the_way_a_model_is_written_does_not_matter(name):
    inputs = networks.oracle("residual_inputs")
    model = networks.known(name)
    found = tfxai.DeepLift(tf.function(model) if name == "residual" else model)(inputs["x"], inputs["labels"])
    agree(found.values, networks.oracle("residual_captum")["deep_lift_rescale"])


def test_saved_models(tmp_path):
    inputs = networks.oracle("plain_inputs")
    networks.known("plain").export(tmp_path / "saved", verbose=False)
    found = tfxai.DeepLift(tmp_path / "saved")(inputs["x"], inputs["labels"])
    agree(found.values, networks.oracle("plain_captum")["deep_lift_rescale"])


def test_max_pooling_behind_a_relu_is_complete():
    """captum 0.9.0 misses 2 % here."""
    model = keras.Sequential(
        [keras.Input((8, 8, 2)), layers.Conv2D(3, 3), layers.ReLU(), layers.MaxPooling2D(), layers.Flatten()]
    )
    model.add(layers.Dense(2))
    x, other = random(3, 8, 8, 2), random(8, 8, 2, seed=1)
    found = tfxai.DeepLift(model, baseline=other)(x, 1)
    np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-5)
    expected = model(x).numpy()[:, 1] - model(other[None]).numpy()[:, 1]
    np.testing.assert_allclose(found.values.sum((1, 2, 3)), expected, atol=1e-4)


# Sums to the difference


def attention():
    inputs = keras.Input((5, 8))
    x = layers.LayerNormalization()(inputs + layers.MultiHeadAttention(2, 4)(inputs, inputs))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


def gates():
    inputs = keras.Input((6,))
    x = layers.Dense(7, activation="gelu")(inputs)
    x = layers.Dense(4, activation="silu")(x) / (1 + layers.Dense(4, activation="exponential")(x))
    return keras.Model(inputs, layers.Dense(3, activation="log_softmax")(x * layers.Dense(4, "sigmoid")(inputs)))


def maps():
    inputs = keras.Input((8, 8, 4))
    x = layers.GroupNormalization(2)(inputs)
    x = layers.Conv2DTranspose(3, 3, strides=2)(x)
    x = layers.UpSampling2D(interpolation="bilinear")(layers.PReLU()(x))
    x = layers.Maximum()([x, -0.5 * x])
    x = layers.Concatenate()([x, layers.Conv2D(3, 3, dilation_rate=2, padding="same", activation="elu")(x)])
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, activation="tanh")(x))
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), keras.ops.min(x, (1, 2)), keras.ops.sum(x**2, (1, 2))])
    return keras.Model(inputs, layers.Dense(3)(x))


def gru():
    inputs = keras.Input((2, 3))
    return keras.Model(inputs, layers.Dense(3)(layers.GRU(4, unroll=True)(inputs)))


def lstm():
    inputs = keras.Input((2, 3))
    return keras.Model(inputs, layers.Dense(3)(layers.LSTM(5, unroll=True)(inputs)))


def masked():
    inputs = keras.Input((6,))
    x = layers.Lambda(lambda x: x * tf.cast(x > 0, x.dtype))(layers.Dense(5)(inputs))
    x = layers.Lambda(lambda x: tf.where(x > 0.1, x, tf.stop_gradient(0.2 * x)))(layers.Dense(5)(x))
    return keras.Model(inputs, layers.Dense(3)(x + x))


BUILDS = [(build, rule) for build in (attention, gates, maps, masked) for rule in ("rescale", "reveal_cancel")]


@pytest.mark.parametrize(("build", "rule"), [*BUILDS, (gru, "rescale"), (lstm, "reveal_cancel")])
def test_values_sum_to_the_difference(build, rule):
    keras.utils.set_random_seed(0)
    model = build()
    x, other = random(3, *model.input_shape[1:]), random(*model.input_shape[1:], seed=1)
    score = "probability" if build in (attention, gates) else "logit"
    found = tfxai.DeepLift(model, baseline=other, rule=rule, score=score)(x, 1)
    rounding = 1e-5 if rule == "rescale" else 1e-4  # parts that cancel are larger than what they leave
    bound = rounding * np.abs(found.values).sum()
    np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=bound)
    outputs = model(np.stack([*x, other])).numpy()[:, 1]
    outputs = np.exp(outputs) if build is gates else outputs  # which ends in a log-softmax
    np.testing.assert_allclose(found.values.reshape(3, -1).sum(1), outputs[:3] - outputs[3], atol=bound)


# RevealCancel


def functional_minimum():
    two = [keras.Input((1,)), keras.Input((1,))]
    return keras.Model(two, two[0] - keras.ops.relu(two[0] - two[1]))


def dense_minimum():
    two = [keras.Input((1,)), keras.Input((1,))]
    difference = layers.Dense(1, use_bias=False)
    last = layers.Dense(1, use_bias=False)
    relu = layers.ReLU()(difference(layers.Concatenate()(two)))
    model = keras.Model(two, last(layers.Concatenate()([two[0], relu])))
    difference.set_weights([np.array([[1.0], [-1.0]])])
    last.set_weights([np.array([[1.0], [-1.0]])])
    return model


@pytest.mark.parametrize("build", [functional_minimum, dense_minimum])
def test_both_causes_of_a_minimum_are_seen(build):
    """Shrikumar et al. (2017), section 3.5.1: h = min(a, b) from 0 gives h / 2 to each, which Rescale does not."""
    a, b = np.random.default_rng(0).uniform(0.1, 4, (2, 6, 1)).astype("f")
    model = build()

    def contributions(rule):
        return list(tfxai.DeepLift(model, rule=rule)([a, b], lambda outputs: outputs[:, 0]).values.values())

    for found in contributions("reveal_cancel"):
        np.testing.assert_allclose(found, np.minimum(a, b) / 2, rtol=1e-5)
    np.testing.assert_allclose(contributions("rescale")[0], np.where(a < b, a, 0), atol=1e-5)


def test_reveal_cancel_by_hand():
    """One unit, three causes: the formulas of section 3.5.3 in NumPy."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, activation="tanh")])
    w, bias, x0 = np.array([1.5, -2.0, 0.5]), 0.3, np.array([0.1, 0.4, -0.2])
    model.layers[0].set_weights([w[:, None], np.array([bias])])
    x = random(5, 3)
    d = w * (x - x0)
    up, down, start = np.maximum(d, 0).sum(1), np.minimum(d, 0).sum(1), w @ x0 + bias
    f = np.tanh
    rise = (f(start + up) - f(start) + f(start + up + down) - f(start + down)) / 2
    fall = (f(start + down) - f(start) + f(start + up + down) - f(start + up)) / 2
    shares = [np.divide(y, u, out=np.zeros(5), where=u != 0)[:, None] for y, u in ((rise, up), (fall, down))]
    expected = np.where(d > 0, d * shares[0], d * shares[1])
    found = tfxai.DeepLift(model, baseline=x0.astype("f"), rule="reveal_cancel")(x, lambda outputs: outputs[:, 0])
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-6)


def test_genomics_reveals_in_dense_layers_only():
    convolutional = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(3, 3, activation="relu"), layers.GlobalAveragePooling2D()]
    )
    dense = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(2)])
    for model, rules in ((convolutional, ("rescale", "genomics")), (dense, ("rescale", "reveal_cancel", "genomics"))):
        x = random(2, *model.input_shape[1:])
        values = {rule: tfxai.DeepLift(model, rule=rule)(x, 1).values for rule in rules}
        agree(values["genomics"], values[rules[-2]])
    assert np.abs(values["rescale"] - values["reveal_cancel"]).max() > 1e-3


# Baselines and closed forms


def test_several_baselines_are_averaged(small):
    inputs = networks.oracle("plain_inputs")
    model, x = small, inputs["x"]
    found = tfxai.DeepLift(model, baseline=[0.5, "mean"])(x, inputs["labels"], batch_size=8)
    each = [tfxai.DeepLift(model, baseline=one)(x, inputs["labels"]).values for one in (0.5, "mean")]
    agree(found.values, np.mean(each, 0))
    np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-4)
    starts = [0 * x + 0.5, 0 * x + x.mean((1, 2), keepdims=True)]
    mean = np.mean([model(start).numpy() for start in starts], 0)[np.arange(len(x)), inputs["labels"]]
    np.testing.assert_allclose(found.values.sum((1, 2, 3)), found.score - mean, rtol=1e-3)


def test_a_linear_model_in_closed_form():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    x, x0 = random(2, 4), random(4, seed=1)
    found = tfxai.DeepLift(model, baseline=x0)(x, 2).values
    agree(found, (x - x0) * model.layers[0].kernel.numpy()[:, 2])


def test_an_input_at_its_baseline_gets_nothing(small, x):
    assert not tfxai.DeepLift(small, baseline=lambda x: x)(x, 1).values.any()
    half = tfxai.DeepLift(small, baseline=lambda x: tf.concat([x[..., :1], 0 * x[..., 1:]], -1))(x, 1).values
    assert not half[..., 0].any()
    assert half[..., 1:].any()


def test_a_saturated_unit_is_seen():
    """The gradient of 1 - relu(1 - x) is 0 at x = 2, its difference from x = 0 is 1 (the paper's figure 1)."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, 1 - keras.ops.relu(1 - inputs))
    two = np.full((1, 1), 2, "f")
    assert not tfxai.Saliency(model)(two, 0).values.any()
    assert tfxai.DeepLift(model)(two, 0).values == pytest.approx(1)


def test_mixed_precision():
    inputs = networks.oracle("plain_inputs")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = networks.plain()
    finally:
        keras.config.set_dtype_policy("float32")
    found = tfxai.DeepLift(half)(inputs["x"], inputs["labels"])
    agree(found.values, networks.oracle("plain_captum")["deep_lift_rescale"], 0.02)


def test_targets_and_smoothing(small, x, labels):
    explainer = tfxai.DeepLift(small)
    for target in (tfxai.targets.Neuron("relu2", (3, 3, 0)), lambda outputs: outputs[:, 1] ** 2):
        found = explainer(x, target)
        np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-4)
        assert found.values.any()
    smooth = tfxai.SmoothGrad(explainer, samples=2, noise=1e-6)(x, labels)
    agree(smooth.values, explainer(x, labels).values, 1e-2)


def test_errors():
    with pytest.raises(ValueError, match="rule to be one of"):
        tfxai.DeepLift(networks.known("plain"), rule="linear")
    sorted_ = keras.Sequential([keras.Input((6,)), layers.Lambda(lambda x: tf.sort(x), name="ordered")])
    with pytest.raises(ValueError, match=r"no multipliers for the operation '.*ordered.*TopK"):
        tfxai.DeepLift(sorted_)(np.ones((1, 6), "f"))
    looped = keras.Sequential([keras.Input((4, 3)), layers.LSTM(2)])
    with pytest.raises(ValueError, match="unroll=True"):
        tfxai.DeepLift(looped)(np.ones((1, 4, 3), "f"))
