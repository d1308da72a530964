"""Relevance propagation through whole networks: zennit's numbers, conservation, and every way to write a model."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.relevance import AlphaBeta, Composite, Epsilon, Flat, Gamma, WSquare, ZBox, Zero, ZPlus, first

# zennit's name -> ours
ORACLE = {
    "epsilon": Epsilon(),
    "epsilon_0.25": Epsilon(0.25),
    "zplus": ZPlus(),
    "gamma_0.25": Gamma(0.25),
    "alpha2_beta1": AlphaBeta(2, 1),
    "zplus_wsquare_first": Composite([(first, WSquare())], ZPlus()),
    "zplus_flat_first": Composite([(first, Flat())], ZPlus()),
    "zplus_zbox_first": Composite([(first, ZBox(-1, 1))], ZPlus()),
    "epsilon_wsquare_first": Composite([(first, WSquare())]),
    "EpsilonPlus": "epsilon_plus",
    "EpsilonPlusFlat": "epsilon_plus_flat",
    "EpsilonGammaBox": "epsilon_gamma_box",
    "EpsilonAlpha2Beta1": "epsilon_alpha2_beta1",
    "EpsilonAlpha2Beta1Flat": "epsilon_alpha2_beta1_flat",
    "ExcitationBackprop": "excitation_backprop",
}


def agree(found, expected, tolerance=1e-4):
    expected = expected.reshape(found.shape)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def explained(model, inputs, target, composite="epsilon_plus", **options):
    return tfxai.LRP(model, composite=composite, low=-1, high=1, **options)(inputs, target)


# zennit


# For single rules on layers of every kind see test_relevance_rules.py.
PAIRS = [("residual", rules) for rules in ORACLE]
PAIRS += [("plain", rules) for rules, composite in ORACLE.items() if isinstance(composite, str)]


@pytest.mark.parametrize(("name", "rules"), PAIRS)
def test_rules_agree_with_zennit(name, rules):
    inputs = networks.oracle(f"{name}_inputs")
    found = explained(networks.known(name), inputs["x"], inputs["labels"], ORACLE[rules])
    agree(found.values, networks.oracle(f"{name}_zennit")[rules])


@pytest.mark.parametrize("name", ["plain", "residual"])
@pytest.mark.parametrize(("rules", "composite"), [("EpsilonPlus", "epsilon_plus"), ("zplus", ZPlus())])
def test_rules_without_biases_agree_with_zennit(name, rules, composite):
    inputs = networks.oracle(f"{name}_inputs")
    found = explained(networks.known(name), inputs["x"], inputs["labels"], composite, bias=False)
    agree(found.values, networks.oracle(f"{name}_zennit")[f"{rules}_zero_bias"])


@pytest.mark.parametrize("name", ["plain", "residual"])
def test_relevance_at_layers_agrees_with_zennit(name):
    inputs, oracle = networks.oracle(f"{name}_inputs"), networks.oracle(f"{name}_zennit")
    at = [key.rsplit("/")[-1] for key in oracle if "/at/" in key]
    assert len(at) >= 6
    for layer in at:
        found = explained(networks.known(name), inputs["x"], inputs["labels"], at=layer)
        agree(found.values, oracle[f"EpsilonPlus/at/{layer}"])
        assert found.facts["layer"] == layer


# Every way to write a model


@pytest.mark.parametrize("name", ["nested", "subclassed", "residual"])
def test_the_way_a_model_is_written_does_not_matter(name, x, labels):
    model = networks.known(name)
    model = tf.function(model) if name == "residual" else model
    agree(explained(model, x, labels).values, networks.oracle("residual_zennit")["EpsilonPlus"])


def test_saved_models_are_propagated_through(tmp_path, x, labels):
    networks.known("residual").export(tmp_path / "saved", verbose=False)
    agree(explained(tmp_path / "saved", x, labels).values, networks.oracle("residual_zennit")["EpsilonPlus"])


@pytest.mark.parametrize("spelling", ["keras.ops.relu", "Lambda tf.nn.relu", "maximum", "LeakyReLU 0", "PReLU"])
def test_activations_pass_relevance_however_they_are_written(spelling, x, labels):
    model = networks.residual(networks.SPELLINGS[spelling])
    agree(explained(model, x, labels).values, networks.oracle("residual_zennit")["EpsilonPlus"])


def test_mixed_precision(x, labels):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = networks.residual()
    finally:
        keras.config.set_dtype_policy("float32")
    agree(explained(model, x, labels).values, networks.oracle("residual_zennit")["EpsilonPlus"], 0.02)


def test_softmax_is_stepped_over(residual, x, labels):
    model = keras.Sequential([residual, layers.Softmax()])
    agree(explained(model, x, labels).values, networks.oracle("residual_zennit")["EpsilonPlus"])


# Closed forms


def test_the_zero_rule_is_gradient_times_input_without_biases(x):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(4, 3, activation="relu", use_bias=False),
            layers.MaxPooling2D(),
            layers.Conv2D(4, 3, strides=2, use_bias=False),
            layers.LeakyReLU(),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(3, use_bias=False),
        ]
    )
    expected = tfxai.GradientXInput(model)(x, 1)
    agree(explained(model, x, 1, Zero()).values, expected.values, 1e-3)  # poolings have an epsilon


def test_a_gate_gets_nothing_and_a_product_is_halved():
    inputs = keras.Input((4, 4, 2))
    gate = keras.ops.sigmoid(layers.Dense(2)(layers.GlobalAveragePooling2D(keepdims=True)(inputs)))
    gated = keras.Model(inputs, layers.Flatten()(layers.Multiply()([inputs, gate])))
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 2)).astype("f")
    found = explained(gated, x, 5).values.reshape(2, -1)
    np.testing.assert_allclose(found[:, 5], gated(x)[:, 5], rtol=1e-5)
    assert not np.delete(found, 5, 1).any()
    two = [keras.Input((3,)), keras.Input((3,))]
    product = tfxai.LRP(keras.Model(two, keras.ops.multiply(*two)), composite="epsilon")(
        [x[0, 0, :3, 0][None] + 3] * 2, 1
    )
    a, b = product.values.values()
    np.testing.assert_allclose(a[0], [0, product.score[0] / 2, 0])
    np.testing.assert_allclose(a, b)


def test_activations_that_are_products_keep_relevance():
    for activation in ("silu", "gelu", "mish", "hard_swish"):
        model = keras.Sequential([keras.Input((5,)), layers.Activation(activation)])
        x = np.linspace(0.5, 2, 5, dtype="f")[None]
        found = explained(model, x, 3)
        np.testing.assert_allclose(found.values, found.score * np.eye(5)[3:4], rtol=1e-5)


def test_layer_normalisation_keeps_relevance():
    model = keras.Sequential([keras.Input((6,)), layers.LayerNormalization(gamma_initializer="normal")])
    found = explained(model, np.random.default_rng(0).normal(size=(2, 6)).astype("f"), 2)
    np.testing.assert_allclose(found.values, found.score[:, None] * np.eye(6)[2:3], rtol=1e-5)


def test_softmax_and_bilinear_products_follow_the_paper():
    """Achtibat et al. (2024), proposition 3.1 and 3.3, in NumPy."""
    two = [keras.Input((3, 3)), keras.Input((3, 2))]
    model = keras.Model(two, layers.Flatten()(keras.ops.matmul(keras.ops.softmax(two[0]), two[1])))
    random = np.random.default_rng(0)
    x, v = random.normal(size=(1, 3, 3)).astype("f"), random.uniform(0.5, 1, (1, 3, 2)).astype("f")
    s = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    o = s @ v
    R = np.zeros_like(o)
    R[0, 1, 0] = o[0, 1, 0]
    R_s = s * ((R / o) @ v.transpose(0, 2, 1)) / 2
    R_v = v * (s.transpose(0, 2, 1) @ (R / o)) / 2
    R_x = x * (R_s - s * R_s.sum(-1, keepdims=True))
    found = list(tfxai.LRP(model, composite="epsilon")([x, v], 2).values.values())
    agree(found[0], R_x)
    agree(found[1], R_v)


def test_attention_is_propagated_through():
    inputs = keras.Input((5, 8))
    attended = layers.MultiHeadAttention(2, 4)(inputs, inputs)
    x = layers.LayerNormalization()(inputs + attended)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))
    values = explained(model, np.random.default_rng(0).normal(size=(2, 5, 8)).astype("f"), 1).values
    assert values.shape == (2, 5, 8)
    assert np.isfinite(values).all()
    assert values.any()


# Conservation

LARGER = ["ResNet50", "ConvNeXtTiny"]


@pytest.mark.parametrize("name", ["VGG16", *(pytest.param(name, marks=pytest.mark.nightly) for name in LARGER)])
def test_relevance_is_conserved_in_large_networks(name):
    keras.utils.set_random_seed(0)
    size, random = 32 if name == "ConvNeXtTiny" else 64, np.random.default_rng(0)
    shape = (size, size, 3)
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=shape, classes=10, classifier_activation=None, pooling=None)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            for variable in layer.weights:
                spread = random.uniform(0.5, 1.5, variable.shape)
                around_zero = variable.name in ("beta", "moving_mean")
                variable.assign((spread - 1) / 5 if around_zero else spread)
    x = random.normal(size=(1, *shape)).astype("f")
    found = explained(model, x, 3, bias=False)
    np.testing.assert_allclose(found.values.sum((1, 2, 3)), found.score, rtol=0.01)


# Errors


def test_operations_without_a_rule_are_named():
    model = keras.Sequential([keras.Input((6,)), layers.Lambda(tf.math.cumsum, name="running"), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"no sound relevance rule for the operation '.*running.*' \(Cumsum\)"):
        tfxai.LRP(model)(np.ones((1, 6), "f"))


def test_layers_that_get_no_relevance_are_refused(residual, x):
    with pytest.raises(ValueError, match="Unknown layer"):
        tfxai.LRP(residual, at="relu9")


def test_targets_of_every_kind(small, x):
    explainer = tfxai.LRP(small)
    for target in (tfxai.targets.Neuron("relu2", (3, 3, 0)), tfxai.targets.Channel("relu2", 0, "sum")):
        assert explainer(x, target).values.any()
    difference = explainer(x, lambda outputs: outputs[:, 1] - outputs[:, 2]).values
    each = [explainer(x, target).values for target in (1, 2)]
    agree(difference, each[0] - each[1])


def test_lrp_composes(small, x):
    explainer = tfxai.LRP(small)
    smooth = tfxai.SmoothGrad(explainer, samples=3, noise=1e-6)(x, 1)
    agree(smooth.values, explainer(x, 1).values, 1e-2)


def test_composites_choose_by_first_condition_that_holds(plain, x, labels):
    chosen = []

    def choose(layer):
        chosen.append((layer.name, layer.kind, layer.depth, layer.first))
        return Epsilon()

    agree(explained(plain, x, labels, choose).values, explained(plain, x, labels, Epsilon()).values)
    assert sorted(set(chosen), key=lambda facts: facts[2]) == [
        ("plain/conv1", "convolution", 0.0, True),
        ("plain/conv2", "convolution", 0.5, False),
        ("plain/dense", "dense", 1.0, False),
    ]
    by_name = Composite([("conv1", Flat()), ("conv*", ZPlus()), ("*", Epsilon(1e9))], Epsilon())
    same = Composite([(first, Flat()), (lambda layer: layer.kind == "convolution", ZPlus())], Epsilon(1e9))
    agree(explained(plain, x, labels, by_name).values, explained(plain, x, labels, same).values)
