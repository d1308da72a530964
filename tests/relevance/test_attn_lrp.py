"""Relevance through transformers: the oracle's numbers, the gradient form, and what is conserved."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import token_networks
from keras import layers, ops
from networks import oracle

import tfxai
from tfxai.models.attention import find
from tfxai.relevance import Composite, Gamma, convolution
from tfxai.targets import Token

MLP = [(convolution, Gamma(0.25)), ("up*", Gamma(0.05)), ("down*", Gamma(0.05)), ("head", Gamma(0.05))]
# the oracle's kind -> composite
KINDS = {
    "epsilon_0": None,  # which for these networks is "attn_lrp"
    "cp_epsilon_1e-6": "cp_lrp",
    "gamma_all": Composite([(convolution, Gamma(0.25))], Gamma(0.05), norms="share", epsilon=1e-9),
    "gamma_mlp": Composite(MLP, norms="share", epsilon=1e-9),
    "gamma_cp_all": Composite([(convolution, Gamma(0.25))], Gamma(0.05), attention="constant", norms="share"),
}
# the oracle's tap -> layer
TAPS = {
    "vit": {"input": None, "patches": "to_tokens", "embedding": "positions", "block/1": "add1b", "block/2": "add2b"},
    "text": {"token_embedding": None, "block/1": "norm1b"},  # the output of a norm, in place of a sum
    "causal": {"embedding": None},
}
# What goes wrong on the way is wrong at the input too, which is enough for the other kinds.
PAIRS = [(net, "epsilon_0", tap) for net in TAPS for tap in TAPS[net]]
PAIRS += [("vit", kind, "input") for kind in KINDS if kind != "epsilon_0"]


def explained(net, composite, at=None):
    labels = oracle(f"{net}_inputs")["labels"]
    explainer = tfxai.LRP(token_networks.known(net), composite=composite, at=at)
    return explainer(token_networks.inputs(net), Token(labels) if net == "causal" else labels)


@functools.cache
def of_kind(net, kind, tap):
    return explained(net, KINDS[kind], TAPS[net][tap])


def values(explanation):
    return explanation.values["token_ids"] if isinstance(explanation.values, dict) else explanation.values


def off(found, expected):
    """The largest difference, in parts of the largest value."""
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize(("net", "kind", "tap"), PAIRS)
def test_agrees_with_the_oracle(net, kind, tap):
    assert off(values(of_kind(net, kind, tap)), oracle(f"{net}_lrp")[f"{kind}/{tap}"]) < 1e-4


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential([keras.Input((16, 16, 3)), token_networks.known("vit")])

    def call(self, x):
        return self.inner(x)


def exported(folder):
    token_networks.known("vit").export(folder / "saved", verbose=False)
    return str(folder / "saved")


@pytest.mark.parametrize(
    ("form", "kind"),
    [(lambda _: Subclassed(), "epsilon_0"), (exported, "cp_epsilon_1e-6")],
    ids=["subclassed and nested", "exported"],
)
def test_the_form_of_the_model_does_not_matter(form, kind, tmp_path):
    found = tfxai.LRP(form(tmp_path), composite=KINDS[kind])(
        token_networks.inputs("vit"), oracle("vit_inputs")["labels"]
    )
    assert off(found.values, oracle("vit_lrp")[f"{kind}/input"]) < 1e-4


# The gradient form: gradient times input, where products hand back half, activations act(x) / x, and spreads are
# constants. It shares nothing with the package's way back through the graph.


class Plain:
    """What a transformer is made of."""

    def product(self, equation, a, b):
        return ops.einsum(equation, a, b)

    def activation(self, x):
        return ops.silu(x)

    def weights(self, scores):
        return ops.softmax(scores)

    def spread(self, x):
        return ops.rsqrt(ops.mean(ops.square(x), -1, keepdims=True) + 1e-6)


class AttnLRP(Plain):
    def product(self, equation, a, b):
        y = super().product(equation, a, b)
        return y / 2 + tf.stop_gradient(y / 2)

    def activation(self, x):
        return x * tf.stop_gradient(super().activation(x) / x)

    def spread(self, x):
        return tf.stop_gradient(super().spread(x))


class CPLRP(AttnLRP):
    def product(self, equation, a, b):
        return Plain.product(self, equation, a, b) if equation == "nqk,nkd->nqd" else super().product(equation, a, b)

    def weights(self, scores):
        return tf.stop_gradient(super().weights(scores))


STEPS, WIDTH, WIDE = 5, 8, 12


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("f")


def transformer(x, form):
    """Two blocks without biases: layer and RMS norm, attention, gated units; the mean of all tokens, three scores."""
    for block in (0, 1):
        q, k, v, out = (random(WIDTH, WIDTH, seed=10 * block + i) / WIDTH**0.5 for i in range(4))
        gate, up, down = (random(*s, seed=10 * block + 4) / 3 for s in [(WIDTH, WIDE), (WIDTH, WIDE), (WIDE, WIDTH)])
        centred = x - ops.mean(x, -1, keepdims=True)
        y = centred * form.spread(centred)
        shares = form.weights(form.product("nqd,nkd->nqk", y @ q, y @ k) / WIDTH**0.5)
        x = x + form.product("nqk,nkd->nqd", shares, y @ v) @ out
        y = x * form.spread(x)
        x = x + form.product("ntd,ntd->ntd", form.activation(y @ gate), y @ up) @ down
    return ops.mean(x, 1) @ random(WIDTH, 3, seed=30)


def as_function(f):
    return tf.function(f, input_signature=[tf.TensorSpec([None, STEPS, WIDTH])])


@pytest.mark.parametrize(("composite", "form"), [("attn_lrp", AttnLRP()), ("cp_lrp", CPLRP())])
def test_agrees_with_the_gradient_form(composite, form):
    x = random(3, STEPS, WIDTH, seed=1)
    found = tfxai.LRP(as_function(lambda x: transformer(x, Plain())), composite=composite)(x, 1)
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        score = transformer(given, form)[:, 1]
    np.testing.assert_allclose(found.score, score, rtol=1e-4)
    assert off(found.values, (given * tape.gradient(score, given)).numpy()) < 1e-4
    if composite == "cp_lrp":  # what a softmax keeps is the only loss without biases
        np.testing.assert_allclose(found.values.sum((1, 2)), found.score, rtol=1e-3)
    assert off(found.values, tfxai.GradientXInput(as_function(lambda x: transformer(x, Plain())))(x, 1).values) > 0.1


# Norms


def centred_by_hand(x):
    mean = tf.reduce_mean(x, -1, keepdims=True)
    return (x - mean) / tf.sqrt(tf.reduce_mean((x - mean) ** 2, -1, keepdims=True) + 1e-3)


NORMS = {
    "keras": lambda x: layers.LayerNormalization(center=False, scale=False)(x),
    "keras, scale and shift": lambda x: layers.LayerNormalization()(x),
    "by hand": centred_by_hand,
    "moments": lambda x: tf.nn.batch_normalization(x, *tf.nn.moments(x, [-1], keepdims=True), None, None, 1e-3),
}


@pytest.mark.parametrize("writing", NORMS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_mean_takes_its_share(writing, bias):
    x, weights = random(2, 6), random(6, 3, seed=1)
    inputs = keras.Input((6,))
    norm = NORMS[writing] if writing.startswith("keras") else layers.Lambda(NORMS[writing], output_shape=(6,))
    model = keras.Model(inputs, norm(inputs) @ weights)
    found = tfxai.LRP(model, composite="attn_lrp", bias=bias)(x, 1)
    k = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-3)
    g = k * weights[:, 1]
    np.testing.assert_allclose(found.values, x * (g - g.mean(-1, keepdims=True)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.values.sum(1), found.score, rtol=1e-3)


def test_the_shift_of_a_norm_takes_its_share():
    norm = layers.LayerNormalization()
    model = keras.Sequential([keras.Input((6,)), layers.Dense(6, use_bias=False), norm, layers.Dense(3)])
    norm.beta.assign(np.arange(6.0))
    model.layers[-1].bias.assign([1.0, 2, 3])
    x = random(2, 6)
    found = tfxai.LRP(model, composite="attn_lrp")(x, 1)
    of_inputs = (model(x) - model.layers[-1](norm.beta[None]))[:, 1]  # the score without both shifts
    np.testing.assert_allclose(found.values.sum(1), of_inputs, rtol=1e-3)
    kept = tfxai.LRP(model, composite="attn_lrp", bias=False)(x, 1)
    np.testing.assert_allclose(kept.values.sum(1), kept.score, rtol=1e-3)


@pytest.mark.parametrize(
    "root",
    [
        lambda x: ops.rsqrt(x),
        lambda x: ops.power(x, -0.5),
        lambda x: ops.reciprocal(ops.sqrt(x)),
        lambda x: 1 / ops.power(x, 0.5),
    ],
)
def test_an_rms_norm_hands_all_to_what_it_scales(root):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, inputs * root(ops.mean(ops.square(inputs), -1, keepdims=True) + 1e-6))
    found = tfxai.LRP(model, composite="attn_lrp")(random(2, 6), 2)
    np.testing.assert_allclose(found.values, found.score[:, None] * np.eye(6)[2:3], rtol=1e-5)


# Attention


def weights_of(layer):
    return [variable.numpy() for variable in layer.weights]


def attention(writing):
    """The same attention of two heads of width 4, without biases: queries (n, 3, 8) from keys and values (n, 5, 8)."""
    queries, tokens = keras.Input((3, 8), name="queries"), keras.Input((5, 8), name="tokens")
    q, k, v = (random(8, 2, 4, seed=i) for i in range(3))
    out = random(2, 4, 8, seed=3)
    split = [ops.einsum("ntd,dhe->nthe", x, W) for x, W in ((queries, q), (tokens, k), (tokens, v))]
    if writing in ("MultiHeadAttention", "GroupQueryAttention"):
        if writing == "MultiHeadAttention":
            layer = layers.MultiHeadAttention(2, 4, use_bias=False)
        else:
            layer = layers.GroupQueryAttention(4, 2, 2, use_bias=False)
        mixed = layer(queries, tokens)
        for variable, value in zip(layer.weights, (q, k, v, out), strict=True):
            variable.assign(value)
        return keras.Model([queries, tokens], layers.Flatten()(mixed))
    if writing == "dot_product_attention":
        mixed = ops.dot_product_attention(*split)
    elif writing == "einsum":
        shares = ops.softmax(ops.einsum("nqhe,nkhe->nhqk", *split[:2]) / 2)
        mixed = ops.einsum("nhqk,nkhe->nqhe", shares, split[2])
    else:
        q, k, v = (ops.transpose(x, (0, 2, 1, 3)) for x in split)
        mixed = ops.transpose(ops.softmax(q @ ops.swapaxes(k, -1, -2) * 0.5) @ v, (0, 2, 1, 3))
    return keras.Model([queries, tokens], layers.Flatten()(ops.einsum("nqhe,hed->nqd", mixed, out)))


WRITINGS = ["einsum", "matmul", "MultiHeadAttention", "GroupQueryAttention", "dot_product_attention"]
X = {"queries": random(2, 3, 8, seed=5), "tokens": random(2, 5, 8, seed=6)}


@functools.cache
def of_attention(writing, composite):
    return tfxai.LRP(attention(writing), composite=composite)(X, 11)


@pytest.mark.parametrize("writing", WRITINGS)
def test_attention_gets_the_same_however_it_is_written(writing):
    for composite in ("attn_lrp", "cp_lrp"):
        found, expected = (of_attention(one, composite) for one in (writing, "einsum"))
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-4)
        for name in X:
            np.testing.assert_allclose(found.values[name], expected.values[name], rtol=1e-3, atol=1e-4)


def test_attention_as_a_constant_gives_queries_nothing():
    constant, halved = of_attention("einsum", "cp_lrp"), of_attention("einsum", "attn_lrp")
    assert not constant.values["queries"].any()
    np.testing.assert_allclose(constant.values["tokens"].sum((1, 2)), constant.score, rtol=1e-3)
    assert halved.values["queries"].any()


MASKS = {
    "where": lambda scores, mask: ops.where(mask, scores, -np.inf),
    "added": lambda scores, mask: scores + ops.where(mask, 0.0, -np.inf),
    "added, finite": lambda scores, mask: scores + (1 - ops.cast(mask, "float32")) * -1e9,
    "half precision": lambda scores, mask: scores + (1 - ops.cast(mask, "float32")) * -1e4,
    "softmax": None,
}


def masked(mask, count):
    """Attention of which the keys behind the third are masked, or are not there."""
    tokens = keras.Input((count, 8))
    scores = ops.einsum("nqd,nkd->nqk", tokens[:, :3] @ random(8, 8), tokens @ random(8, 8, seed=1)) / 3
    open_keys = np.arange(count) < 3
    if mask == "softmax":
        shares = layers.Softmax()(scores, np.broadcast_to(open_keys, (1, 3, count)))
    else:
        shares = ops.softmax(scores if mask is None else MASKS[mask](scores, open_keys))
    return keras.Model(tokens, layers.Flatten()(ops.einsum("nqk,nkd->nqd", shares, tokens @ random(8, 4, seed=2))))


@pytest.mark.parametrize("mask", MASKS)
def test_masked_keys_are_as_if_they_were_not_there(mask):
    x = random(2, 5, 8, seed=3)
    found = tfxai.LRP(masked(mask, 5), composite="attn_lrp")(x, 6).values
    assert not found[:, 3:].any()
    expected = tfxai.LRP(masked(None, 3), composite="attn_lrp")(x[:, :3], 6).values
    np.testing.assert_allclose(found[:, :3], expected, rtol=1e-3, atol=1e-5)


# Which composite


def test_the_composite_follows_from_what_the_graph_holds(small, x):
    assert tfxai.LRP(small)(x[:1]).facts["composite"] == "epsilon_plus"
    for net, taps in TAPS.items():
        assert of_kind(net, "epsilon_0", next(iter(taps))).facts["composite"] == "attn_lrp"
    assert explained("causal", "cp_lrp").facts["composite"] == "cp_lrp"
    inputs = keras.Input((4, 6))
    gated = layers.Flatten()(inputs * layers.Softmax()(layers.Dense(6)(inputs)))
    assert tfxai.LRP(keras.Model(inputs, gated))(random(1, 4, 6), 1).facts["composite"] == "epsilon_plus"


def test_gammas_of_the_composite_for_images():
    found = explained("vit", "attn_lrp_gamma")
    written = Composite([(convolution, Gamma(1))], Gamma(0.05), norms="share")
    assert off(found.values, explained("vit", written).values) < 1e-3
    assert off(found.values, oracle("vit_lrp")["gamma_all/input"]) > 0.01


def test_conventions_that_do_not_exist():
    with pytest.raises(ValueError, match=r"Expected attention to be one of .*'half', 'constant'.* got 'all'"):
        Composite([], attention="all")
    with pytest.raises(ValueError, match=r"Expected norms to be one of .*'pass', 'share'.* got None"):
        Composite([], norms=None)


class Watched(tfxai.LRP):
    """Notes the maps of attention, and the operations of the pass before relevance goes back."""

    def attribute(self, run):
        self.forward = {op.name for op in run.outputs.graph.get_operations()}
        self.maps = find(tf.nest.flatten(run.floating), run.outputs)
        return super().attribute(run)


@pytest.mark.parametrize("net", ["vit", "causal"])
def test_scores_of_attention_are_not_kept_for_the_way_back(net):
    """They are made again from queries and keys: no operation of the way back takes those of the forward pass."""
    explainer = Watched(token_networks.known(net), composite="attn_lrp")
    explainer(token_networks.inputs(net)[:2], Token(0) if net == "causal" else 0)

    def later(tensor):
        return {user.name for user in tensor.consumers()} - explainer.forward

    assert explainer.maps
    for one in explainer.maps:
        scores = one.weights.op.inputs[0]
        assert one.weights.op.type == "Softmax"
        assert later(one.weights)
        while scores.op.type not in ("Einsum", "BatchMatMulV2"):
            assert not later(scores), scores.name
            scores = next(x for x in scores.op.inputs if x.dtype.is_floating and x.shape.rank == 4)
        assert not later(scores), scores.name


def test_relevance_of_a_map_of_attention():
    """Where all that follows is linear and without biases, half of A dS/dA."""
    x = given = keras.Input((6, 8))
    x = x + layers.MultiHeadAttention(2, 4, use_bias=False, name="look")(x, x)
    model = keras.Model(given, layers.Dense(3, use_bias=False)(x[:, 0]))
    tokens = np.random.default_rng(0).normal(size=(2, 6, 8)).astype("f")
    wanted = tfxai.attention(model)[0]
    found = tfxai.LRP(model, composite="attn_lrp", at=wanted)(tokens, 1)
    expected = tfxai.AttentionGradient(model)(tokens, 1).extras["heads"] / 2
    assert np.abs(found.values - expected).max() < 1e-5 * np.abs(expected).max()
    assert found.facts["attention"] == "look"
    with pytest.raises(ValueError, match="gives all to the values"):
        tfxai.LRP(model, composite="cp_lrp", at=wanted)(tokens, 1)
    with pytest.raises(ValueError, match="Expected at= to be one of the maps"):
        tfxai.LRP(model, composite="attn_lrp", at=wanted._replace(name="other"))(tokens, 1)
