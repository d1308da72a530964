"""Attention, read from graphs: against the oracle, closed forms, and finite differences."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import token_networks
from keras import layers, ops
from networks import oracle

import tfxai
from tfxai.targets import Token

NETS = ["vit", "text", "causal"]
METHODS = {"rollout": tfxai.AttentionRollout, "chefer": tfxai.TransformerAttribution, "legrad": tfxai.LeGrad}


def target(net):
    labels = oracle(f"{net}_inputs")["labels"]
    return Token(labels) if net == "causal" else labels


def explained(net, method, model=None, **options):
    explainer = method(model or token_networks.known(net), **options)
    return explainer(token_networks.inputs(net), target(net))


def values(explanation):
    return explanation.values["token_ids"] if isinstance(explanation.values, dict) else explanation.values


def agrees(ours, theirs, tolerance=1e-4):
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < tolerance * np.abs(theirs).max()


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", METHODS)
def test_agrees_with_the_oracle(net, name):
    theirs = oracle(f"{net}_attention")[f"{name}/{'grid' if net == 'vit' else 'tokens'}"]
    agrees(values(explained(net, METHODS[name])), theirs)


def test_of_the_mean_of_tokens():
    theirs = oracle("vit_attention")["legrad_mean_tokens/grid"]
    agrees(values(explained("vit", tfxai.LeGrad, read="mean")), theirs)


# How attention is found and read in the other networks is in what the methods above make of it.
MAPS = [
    ("vit", "attention1", "attention", "attention/1"),
    ("vit", "attention1", "gradient", "attention_gradient/1"),
    ("vit", "attention1", "attention_x_gradient", "gradient_x_attention/1"),
    ("text", 1, "gradient", "attention_gradient/2"),
    ("causal", 1, "attention", "attention/2"),
]


@pytest.mark.parametrize(("net", "layer", "weight", "key"), MAPS)
def test_maps_and_their_gradients_agree_with_the_oracle(net, layer, weight, key):
    found = explained(net, tfxai.AttentionGradient, layer=layer, weight=weight).extras["heads"]
    agrees(found.mean(1) if weight == "attention_x_gradient" else found, oracle(f"{net}_attention")[key])


def test_of_a_saved_model(tmp_path):
    token_networks.known("vit").export(tmp_path / "vit", verbose=False)
    found = explained("vit", tfxai.TransformerAttribution, model=tmp_path / "vit")
    agrees(found.values, oracle("vit_attention")["chefer/grid"])
    assert [one.name for one in tfxai.attention(tmp_path / "vit")] == ["attention1", "attention2"]


def test_tokens_lie_where_their_patches_are():
    found = explained("vit", tfxai.AttentionRollout)
    side = found.places["input"].sides[0]
    assert (side.first, side.step, side.low, side.high) == (1.5, 4, 0, 15)
    one = np.zeros((1, 4, 4), "f")
    one[0, 0, 2] = 1
    laid = found.places["input"].laid(one, (16, 16, 3), "nearest")
    np.testing.assert_array_equal(np.argwhere(laid[0] > 0).max(0), [3, 11])
    np.testing.assert_array_equal(np.argwhere(laid[0] > 0).min(0), [0, 8])


class Look(layers.Layer):
    """Attention written by hand, in one of many ways; one that learnt nothing looks everywhere alike."""

    def __init__(self, way="einsum", learnt=True, **kwargs):
        super().__init__(**kwargs)
        self.way, self.learnt = way, learnt

    def build(self, x_shape, memory_shape=None):
        initial, width = "glorot_uniform" if self.learnt else "zeros", x_shape[-1]
        for name in ("q", "k", "v"):
            setattr(self, name, self.add_weight(shape=(width, width), initializer=initial, name=name))

    def call(self, x, memory=None):
        memory = x if memory is None else memory
        q, k, v = x @ self.q, memory @ self.k, memory @ self.v
        if self.way == "exp":
            scores = q @ ops.transpose(k, (0, 2, 1)) / 3
            found = ops.exp(scores - ops.max(scores, -1, keepdims=True))
            return found / (ops.sum(found, -1, keepdims=True) + 1e-9) @ v
        if self.way == "matmul":
            return ops.softmax(q @ ops.transpose(k, (0, 2, 1)) / 3) @ v
        q, k, v = (ops.reshape(y, (-1, y.shape[1], 2, y.shape[-1] // 2)) for y in (q, k, v))
        if self.way == "op":
            return ops.reshape(ops.dot_product_attention(q, k, v), ops.shape(x))
        if self.way == "keys first":  # the softmax runs over an axis that is not the last one
            shares = ops.softmax(ops.einsum("nkhd,nqhd->nkqh", k, q), axis=1)
            return ops.reshape(ops.einsum("nkqh,nkhd->nqhd", shares, v), ops.shape(x))
        shares = ops.softmax(ops.einsum("nqhd,nkhd->nhqk", q, k) / 2)
        return ops.reshape(ops.einsum("nhqk,nkhd->nqhd", shares, v), ops.shape(x))

    def compute_output_shape(self, x_shape, memory_shape=None):
        return x_shape


def blocks(*looks, tokens=6, width=8, read=0):
    """Residual blocks of attention alone; the score is read from one token, or from their mean."""
    x = given = keras.Input((tokens, width))
    for look in looks:
        x = x + look(x)
    x = layers.GlobalAveragePooling1D()(x) if read is None else x[:, read]
    return keras.Model(given, layers.Dense(3)(x))


@functools.cache
def rows(n=2, tokens=6, width=8):
    return np.random.default_rng(3).normal(size=(n, tokens, width)).astype("f")


@pytest.mark.parametrize("query", [0, 4, -1])
@pytest.mark.parametrize("depth", [1, 3])
def test_rollout_of_uniform_attention_has_a_closed_form(query, depth):
    model = blocks(*(Look(learnt=False) for _ in range(depth)))
    found = tfxai.AttentionRollout(model, query=query)(rows(), 0).values
    expected = 0.5**depth * np.eye(6)[query] + (1 - 0.5**depth) / 6
    np.testing.assert_allclose(found, np.tile(expected, (2, 1)), atol=1e-6)


@pytest.mark.parametrize("fusion", ["mean", "max", "min"])
def test_rollout_adds_up_to_one_and_moves_with_its_tokens(fusion):
    model, x, order = blocks(Look(), Look(), read=None), rows(), [3, 1, 5, 0, 2, 4]
    method = tfxai.AttentionRollout(model, fusion=fusion)
    found = method(x, 0).values
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(method(x[:, order], 0).values, found[:, order], atol=1e-5)


def test_a_score_that_does_not_depend_on_attention():
    model = blocks(Look(), Look())
    for layer in model.layers:
        if isinstance(layer, Look):
            layer.v.assign(tf.zeros_like(layer.v))
    np.testing.assert_array_equal(
        tfxai.TransformerAttribution(model, query=2)(rows(), 0).values, np.tile(np.eye(6)[2], (2, 1))
    )
    assert not tfxai.LeGrad(model)(rows(), 0).values.any()
    np.testing.assert_array_equal(tfxai.TransformerAttribution(model)(rows(), 0).values, np.tile(np.eye(6)[0], (2, 1)))


def test_the_gradient_is_that_of_an_edited_map():
    """By differences, with shares that are moved by hand."""
    model, x = blocks(Look("matmul")), rows(1)
    look = next(layer for layer in model.layers if isinstance(layer, Look))

    def score(moved):
        y = x[0].astype("d")
        q, k, v = (y @ w.numpy().astype("d") for w in (look.q, look.k, look.v))
        shares = np.exp(q @ k.T / 3)
        y = y + (shares / shares.sum(-1, keepdims=True) + moved) @ v
        dense = model.layers[-1]
        return y[0] @ dense.kernel.numpy().astype("d")[:, 1]

    found = tfxai.AttentionGradient(model, weight="gradient")(x, 1).extras["heads"][0, 0]
    for query, key in ((0, 0), (0, 4), (3, 2)):
        moved = np.zeros((6, 6))
        moved[query, key] = 1e-3
        assert np.isclose((score(moved) - score(-moved)) / 2e-3, found[query, key], atol=1e-5)


def test_from_one_sequence_to_another():
    """Equations 8 to 10 of Chefer et al., with NumPy, on the maps of a decoder."""
    memory, question = keras.Input((5, 8)), keras.Input((4, 8))
    m = memory + Look(name="encoder")(memory)
    q = question + Look(name="decoder")(question)
    q = q + Look(name="cross")(q, m)
    model = keras.Model([memory, question], layers.Dense(3)(q[:, -1]))
    x = [rows(2, 5), rows(2, 4)]
    kinds = [(one.name, one.kind, one.queries, one.keys) for one in tfxai.attention(model)]
    assert sorted(kinds) == [("cross", "cross", 4, 5), ("decoder", "self", 4, 4), ("encoder", "self", 5, 5)]

    A = {}
    for name in ("encoder", "decoder", "cross"):
        heads = tfxai.AttentionGradient(model, name, query=0)(x, 1).extras["heads"]
        A[name] = np.maximum(heads, 0).mean(1)
    to_memory, to_question = np.eye(5) + A["encoder"], np.eye(4) + A["decoder"]

    def normalized(R):
        identity = np.eye(R.shape[-1])
        others = R - identity
        return others / np.maximum(others.sum(-1, keepdims=True), 1e-30) + identity

    crossed = np.swapaxes(normalized(to_question), 1, 2) @ A["cross"] @ normalized(to_memory)
    found = tfxai.TransformerAttribution(model)(x, 1).values
    names = [tensor.name for tensor in model.inputs]
    np.testing.assert_allclose(found[names[0]], crossed[:, -1], atol=1e-6)
    np.testing.assert_allclose(found[names[1]], to_question[:, -1], atol=1e-6)
    for method in (tfxai.AttentionRollout, tfxai.LeGrad):
        with pytest.raises(ValueError, match="Use TransformerAttribution"):
            method(model)(x, 1)


@pytest.mark.parametrize("way", ["einsum", "matmul", "op", "keys first", "exp"])
def test_is_found_however_it_is_written(way):
    model = blocks(Look(way, name="look"), Look(way, name="again"))
    found = tfxai.attention(model)
    assert [(one.name, one.kind, one.heads, one.queries, one.keys, one.windows) for one in found] == [
        (name, "self", 1 if way in ("matmul", "exp") else 2, 6, 6, 1) for name in ("look", "again")
    ]
    shares = tfxai.AttentionGradient(model, weight="attention")(rows(), 0).extras["heads"]
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)


def test_is_found_in_the_layers_of_keras():
    x = keras.Input((6, 8))
    y = layers.GroupQueryAttention(4, 4, 2, name="grouped")(x, x)
    y = layers.MultiHeadAttention(2, 4, name="causal")(y, y, use_causal_mask=True)
    y = layers.Attention(name="plain")([y, y])
    found = tfxai.attention(keras.Model(x, layers.Dense(2)(layers.Flatten()(y))))
    assert [(one.name, one.heads) for one in found] == [("grouped", 4), ("causal", 2), ("plain", 1)]


def test_other_softmaxes_are_no_attention():
    x = keras.Input((6, 8))
    gate = layers.Dense(8, activation="softmax")(layers.GlobalAveragePooling1D()(x))  # squeeze and excite
    y = x * gate[:, None]
    experts = ops.stack([layers.Dense(8)(y) for _ in range(3)], 2)
    mixture = layers.Dense(3, activation="softmax")(y)
    y = ops.einsum("nte,nted->ntd", mixture, experts)
    strength = ops.exp(y @ ops.transpose(y, (0, 2, 1)))
    y = strength / ops.sum(strength, 1, keepdims=True) @ y  # shares of queries, and not of keys
    model = keras.Model(x, layers.Dense(4, activation="softmax")(layers.Flatten()(y)))
    assert tfxai.attention(model) == []
    for method in METHODS.values():
        with pytest.raises(ValueError, match="Use IntegratedGradients"):
            method(model)(rows(), 0)


def test_what_cannot_be_explained_is_told():
    model, x = blocks(Look(), tokens=6), rows()
    with pytest.raises(ValueError, match=r"one of \['look.*or the number of one, got 'nothing'"):
        tfxai.AttentionGradient(model, "nothing")(x, 0)
    with pytest.raises(ValueError, match="head to be 0 to 1 in"):
        tfxai.AttentionGradient(model, head=2)(x, 0)
    with pytest.raises(ValueError, match="product is at most 6"):
        tfxai.AttentionRollout(model, grid=(7,))(x, 0)
    with pytest.raises(ValueError, match="one of 6 tokens, got 6"):
        tfxai.AttentionRollout(model, query=6)(x, 0)
    with pytest.raises(TypeError, match="the number of a token"):
        tfxai.AttentionRollout(model, query="first")
    with pytest.raises(ValueError, match="is a black box"):
        tfxai.attention(lambda x: x)
    with pytest.raises(ValueError, match="use Occlusion"):
        tfxai.AttentionRollout(lambda x: x)
    with pytest.raises(ValueError, match="one of"):
        tfxai.LeGrad(model, read="first")


def windowed():
    """Attention in windows of 4 tokens."""
    x = given = keras.Input((8, 8))
    y = ops.reshape(x, (-1, 4, 8))
    x = x + ops.reshape(Look(name="windows")(y), (-1, 8, 8))
    return keras.Model(given, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


def test_windows_are_refused_by_name():
    model = windowed()
    assert tfxai.attention(model)[0].windows == 2
    with pytest.raises(ValueError, match=r"'windows' has 2 of them\. Use LRP"):
        tfxai.TransformerAttribution(model)(rows(2, 8), 0)


def test_pictures_of_heads_and_of_layers():
    model, x = token_networks.known("vit"), token_networks.inputs("vit")[:2]
    heads = tfxai.plot_attention(model, x, layer="attention1", weight="gradient", target=0)
    titles = [cell.get_title() for cell in heads.axes[:4]]
    assert titles == ["input", "head 0", "head 1", "all heads"]
    layers_ = tfxai.plot_attention(model, x)
    assert [cell.get_title() for cell in layers_.axes[:3]] == ["input", "attention1", "attention2"]
    both = tfxai.AttentionGradient(model, "attention1", query=3)(x)
    alone = tfxai.AttentionGradient(model, "attention1", query=3, head=1)(x)
    np.testing.assert_allclose(both.extras["by_head"][:, 1], alone.values, rtol=1e-5)
    np.testing.assert_allclose(both.extras["by_head"].mean(1), both.values, rtol=1e-5)
    rows = both.extras["heads"][:, 1, 3, 1:].reshape(2, 4, 4)  # the class token stands for no place
    np.testing.assert_allclose(alone.values, rows, rtol=1e-5)
    pairs = both.extras["heads"].mean(1)[:, 1:, 1:].reshape(2, 4, 4, 4, 4)
    np.testing.assert_allclose(both.extras["between"], pairs, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(alone.extras["between"][:, 0, 2], both.extras["heads"][:, 1, 3, 1:].reshape(2, 4, 4))


def test_the_end_of_a_name_does_where_only_one_map_has_it():
    tokens = keras.Input((6, 8))
    x = layers.MultiHeadAttention(2, 4, name="look")(tokens, tokens)
    inner = keras.Model(tokens, layers.MultiHeadAttention(2, 4, name="again")(x, x), name="inner")
    model = keras.Model(tokens, layers.Dense(2)(layers.GlobalAveragePooling1D()(inner(tokens))))
    assert [one.name for one in tfxai.attention(model)] == ["inner/look", "inner/again"]
    found = [tfxai.AttentionGradient(model, layer)(rows(), 0).values for layer in ("inner/look", "look", 0)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    with pytest.raises(ValueError, match="Expected layer to be one of"):
        tfxai.AttentionGradient(model, "ook")(rows(), 0)


def test_pictures_show_the_head_the_layer_and_the_token_that_were_asked_for():
    model, x = token_networks.known("vit"), token_networks.inputs("vit")[:2]

    def cells(figure, columns):
        return [np.asarray(cell.images[0].get_array()) for cell in figure.axes[: 2 * columns]]

    heads = cells(tfxai.plot_attention(model, x, layer=0, query=3, weight="attention_x_gradient", target=0), 4)
    for head in range(2):
        alone = tfxai.AttentionGradient(model, 0, head=head, query=3)(x, 0)
        for row, cell in enumerate(cells(tfxai.plot_grid([alone]), 2)[1::2]):
            np.testing.assert_array_equal(heads[4 * row + 1 + head], cell)
    assert (heads[1] != heads[2]).any()
    strip = cells(tfxai.plot_attention(model, x), 3)
    for layer in range(2):
        alone = tfxai.AttentionGradient(model, layer, weight="attention")(x)
        for row, cell in enumerate(cells(tfxai.plot_grid([alone]), 2)[1::2]):
            np.testing.assert_array_equal(strip[3 * row + 1 + layer], cell)
    assert (strip[1] != strip[2]).any()


def test_pictures_of_attention_over_words():
    """The words that are read, each the redder the more it is looked at; nothing speaks for or against."""
    vectorize = layers.TextVectorization(vocabulary=["the", "cat", "sat", "here"], output_sequence_length=4)
    strings = keras.Input((1,), dtype="string")
    apart = keras.initializers.RandomNormal(stddev=2.0, seed=0)
    x = layers.Embedding(6, 8, embeddings_initializer=apart)(vectorize(strings))
    x = x + layers.MultiHeadAttention(2, 4, name="look")(x, x)
    model = keras.Model(strings, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    text = ["the cat sat here"]
    explanation = tfxai.AttentionGradient(model, weight="attention", query=1)(text)
    figure = tfxai.plot_attention(model, text, layer="look", query=1)
    (page,) = figure.axes
    written = [one.get_text() for one in page.texts]
    assert [one.partition(":")[0] for one in written if one.startswith(("head", "all"))] == [
        "head 0",
        "head 1",
        "all heads",
    ]
    assert written[-2:] == ["nothing", "most"]
    shares = explanation.extras["heads"][0, :, 1]
    paleness = np.array([patch.get_facecolor()[2] for patch in page.patches])[:-2].reshape(3, 4)
    for head in range(2):
        order = np.argsort(shares[head])
        assert (np.diff(paleness[head][order]) <= 1e-6).all()
        assert np.ptp(paleness[head]) > 0


def test_causal_attention_is_told_from_all_others():
    assert {net: {one.causal for one in tfxai.attention(token_networks.known(net))} for net in NETS} == {
        "vit": {False},
        "text": {False},
        "causal": {True},
    }
    words = x = keras.Input((None,), dtype="int32")  # of any number
    x = layers.Embedding(9, 8)(x)
    x = layers.MultiHeadAttention(2, 4, name="look")(x, x, use_causal_mask=True)
    x = layers.MultiHeadAttention(1, 4, name="back")(x, x)
    model = keras.Model(words, layers.Dense(9)(x))
    assert [one.causal for one in tfxai.attention(model)] == [True, False]
