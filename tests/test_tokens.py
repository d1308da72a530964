"""Words: explained where they become numbers, with the values that captum and a plain tape have."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import token_networks
from keras import layers
from networks import oracle

import tfxai
from tfxai.baselines import Token
from tfxai.targets import Token as NextToken

PAD = {"text": 0, "causal": 2}
TAP = {"text": "token_embedding", "causal": "embedding"}


def target(net):
    labels = oracle(f"{net}_inputs")["labels"]
    return labels if net == "text" else NextToken(labels)


@functools.cache
def explained(net, method, **options):
    return method(token_networks.known(net), **options)(token_networks.inputs(net), target(net))


def values(explanation):
    return explanation.values["token_ids"] if isinstance(explanation.values, dict) else explanation.values


def agrees(ours, theirs):
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()


ORACLE = {
    "gradient": (tfxai.Saliency, {}),
    "gradient_x_value": (tfxai.GradientXInput, {}),
    "integrated_gradients/tokens_zero": (tfxai.IntegratedGradients, {}),
    "integrated_gradients/tokens_absent": (tfxai.IntegratedGradients, {"baseline": "absent"}),
}


# What is made of the gradient does not hang on the network.
PAIRS = [("text", name) for name in ORACLE] + [("causal", "gradient"), ("causal", "integrated_gradients/tokens_absent")]


@pytest.mark.parametrize(("net", "name"), PAIRS)
def test_agrees_with_the_oracle(net, name):
    method, options = ORACLE[name]
    if options:
        options = {"baseline": Token(PAD[net])}
    found = explained(net, method, **options)
    key = name if "/" in name else f"{TAP[net]}/{name}"
    theirs = oracle(f"{net}_gradients")[key]
    agrees(values(found).sum(-1) if theirs.ndim == 2 else values(found), theirs)
    agrees(found.tokens(), values(found).sum(-1))
    if "absent" in name:
        np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=2e-2)


@pytest.mark.parametrize(
    ("net", "key", "fill"), [("text", "absent", 0), ("text", "mask_id", 1), ("causal", "absent", 2)]
)
def test_occlusion_exchanges_words(net, key, fill):
    found = explained(net, tfxai.Occlusion, window=1, stride=1, fill=fill)
    agrees(found.values, oracle(f"{net}_perturbation")[f"occlusion/{key}"])


def test_behind_the_embedding_as_the_oracle_has_it():
    model, x, theirs = token_networks.known("text"), token_networks.inputs("text"), oracle("text_gradients")
    found = tfxai.IntegratedGradients(model, at="positions")(x, target("text"))
    agrees(values(found), theirs["integrated_gradients/embedding_zero"])
    agrees(values(tfxai.Saliency(model, at="positions")(x, target("text"))), theirs["embedding/gradient"])


@pytest.mark.parametrize(
    ("net", "method"),
    [("text", tfxai.DeepLift), ("causal", tfxai.DeepLift), ("text", tfxai.SimpleTaylor), ("text", tfxai.LRP)],
)
def test_relevance_reaches_words(net, method):
    baseline = {"baseline": Token(PAD[net])} if method is tfxai.DeepLift else {}
    found = explained(net, method, **baseline)
    assert values(found).shape == (4, {"text": 12, "causal": 10}[net], token_networks.WIDTHS[net])
    if method is tfxai.DeepLift:
        np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-3)
    if method is tfxai.SimpleTaylor:
        np.testing.assert_allclose(found.tokens().sum(1), found.score - found.extras["remainder"], rtol=1e-3)
    assert np.abs(found.tokens()).max(1).all()
    if net == "text":
        padding = ~token_networks.inputs("text")["padding_mask"]
        assert padding.any()
        assert not found.tokens()[padding].any()


def test_relevance_of_words_is_that_of_the_oracle():
    """Of a network without biases and means that are taken away, as attention-aware relevance has it."""
    found = explained("causal", tfxai.LRP, composite=tfxai.relevance.Epsilon(1e-6))
    theirs = oracle("causal_lrp")["epsilon_0/embedding"]
    assert np.abs(found.values - theirs).max() < 3e-4 * np.abs(theirs).max()
    plain = explained("causal", tfxai.GradientXInput).values
    assert np.abs(plain - theirs).max() > 0.1 * np.abs(theirs).max()  # it is not the plain gradient


class Wrapped(keras.Model):
    """A subclass that hides what it is made of."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize("net", ["text", "causal"])
@pytest.mark.parametrize("kind", ["saved", "subclassed"])
def test_other_forms_of_a_model_have_the_same_values(net, kind, tmp_path):
    model, x = token_networks.known(net), token_networks.inputs(net)
    if kind == "saved":
        model.export(tmp_path, verbose=False)
        model = str(tmp_path)
    else:
        model = Wrapped(model)
        model(x)
    # to a subclass Keras hands a mask as numbers, which then have a baseline of their own: themselves
    mask = {"padding_mask": x["padding_mask"].astype("f")} if net == "text" and kind == "subclassed" else {}
    baseline = {"token_ids": Token(PAD[net])} | mask if mask else Token(PAD[net])
    found = tfxai.IntegratedGradients(model, baseline=baseline)(x, target(net))
    agrees(values(found), oracle(f"{net}_gradients")["integrated_gradients/tokens_absent"])


class Nested(keras.Model):
    """A subclass around an inner model, which Keras gives numbers where words are meant."""

    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential([layers.Embedding(9, 4, mask_zero=True), layers.LSTM(5), layers.Dense(3)])

    def call(self, ids):
        return self.inner(ids)


def sequential():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6,)), layers.Embedding(9, 4, mask_zero=True), layers.GRU(5), layers.Dense(3)])


def nested():
    keras.utils.set_random_seed(0)
    model = Nested()
    model(np.ones((2, 6), "int32"))
    return model


def one_hot():
    keras.utils.set_random_seed(0)
    ids = keras.Input((6,), dtype="int32")
    x = layers.Lambda(lambda ids: keras.ops.one_hot(ids, 9), output_shape=(6, 9))(ids)
    return keras.Model(ids, layers.Dense(3)(layers.GRU(5)(layers.Dense(4, use_bias=False)(x))))


IDS = np.array([[3, 5, 1, 8, 2, 4], [7, 1, 4, 2, 0, 0]], "int32")


@pytest.mark.parametrize("make", [sequential, nested])
def test_sums_are_those_of_a_tape_at_the_embedding(make):
    model = make()
    found = tfxai.GradientXInput(model)(IDS, 1)
    inner = model.layers if make is sequential else model.inner.layers
    embedding, *rest = [one for one in inner if not isinstance(one, layers.InputLayer)]
    with tf.GradientTape() as tape:
        numbers = embedding(IDS)
        tape.watch(numbers)
        mask = embedding.compute_mask(IDS)
        score = rest[1](rest[0](numbers, mask=mask))[:, 1]
    expected = (tape.gradient(score, numbers) * numbers).numpy().sum(-1) * (IDS != 0)
    np.testing.assert_allclose(found.tokens(), expected, atol=1e-6)
    assert found.heatmaps().shape == IDS.shape


def test_a_model_that_has_seen_nothing_takes_words():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([layers.Embedding(9, 4), layers.GRU(5), layers.Dense(3)])
    found = tfxai.IntegratedGradients(model, baseline=Token(0))(IDS.astype("int64"), 1)
    assert found.values.shape == (2, 6, 4)
    np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-4)


def test_a_one_hot_vector_is_an_embedding():
    model = one_hot()
    found = tfxai.IntegratedGradients(model)(IDS, 1)
    assert found.values.shape == (2, 6, 9)
    np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-4)
    chosen = np.eye(9)[IDS].astype(bool)
    assert not found.values[~chosen].any()  # from zero, only what is there has moved


def test_images_of_integers_have_gradients():
    image = keras.Input((6, 6, 1), dtype="uint8")
    x = layers.Rescaling(1 / 255)(image)
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(layers.Conv2D(2, 3)(x))))
    found = tfxai.GradientXInput(model)(np.full((1, 6, 6, 1), 200, "uint8"), 0)
    assert found.values.shape == (1, 6, 6, 1)
    assert np.isclose(found.values.sum(), model(np.full((1, 6, 6, 1), 200.0))[0, 0], atol=1e-4)  # biases are zero


def pair():
    ids, more = (keras.Input((5,), dtype="int32", name=name) for name in ("ids", "more"))
    x = [layers.Flatten()(layers.Embedding(rows, 3)(one)) for one, rows in ((ids, 20), (more, 30))]
    return keras.Model([ids, more], layers.Dense(2)(layers.Concatenate()(x)))


PAIR = {"ids": IDS[:, :5], "more": IDS[:, 1:]}


def test_of_two_inputs_of_words_one_says_which():
    model = pair()
    with pytest.raises(ValueError, match=r"several inputs, \['ids', 'more'\].*at='ids' or at=\['ids', 'more'\]"):
        tfxai.Saliency(model)(PAIR, 0)
    assert list(tfxai.Saliency(model, at="more")(PAIR, 0).values) == ["more"]
    both = tfxai.IntegratedGradients(model, at=["ids", "more"], steps=2)(PAIR, 0)
    assert list(both.values) == ["ids", "more"]
    np.testing.assert_allclose(both.extras["completeness_gap"], 0, atol=1e-5)  # linear behind the embedding
    with pytest.raises(ValueError, match="at= to name an input of integers that are embedded"):
        tfxai.Saliency(model, at=model.layers[-1].name)(PAIR, 0)


def test_segments_stay_as_they_are():
    ids, kinds = keras.Input((5,), dtype="int32", name="ids"), keras.Input((5,), dtype="int32", name="kinds")
    x = layers.Embedding(20, 3)(ids) + layers.Embedding(2, 3)(kinds)
    model = keras.Model([ids, kinds], layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    found = tfxai.GradientXInput(model)({"ids": IDS[:, :5], "kinds": IDS[:, :5] % 2}, 0)
    assert list(found.values) == ["ids"]
    assert found.facts["without_values"] == ["kinds"]


@pytest.mark.parametrize(
    ("baseline", "message"),
    [(Token(9), "among the 9 integers"), (np.zeros((6, 3)), r"baseline of shape \(6, 9\), got \(6, 3\)")],
)
def test_baselines_that_fit_no_words_are_told(baseline, message):
    with pytest.raises(ValueError, match=message):
        tfxai.IntegratedGradients(one_hot(), baseline=baseline)(IDS, 0)


def test_a_baseline_of_words_needs_words():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="is not an input of words"):
        tfxai.IntegratedGradients(model, baseline=Token(1))(np.ones((1, 4)), 0)


def test_methods_that_look_at_no_numbers_take_no_embedding():
    with pytest.raises(TypeError, match="GradCAM has no parameter 'at'"):
        tfxai.GradCAM(pair(), at="ids")


def test_smoothing_and_batches_change_nothing_else():
    explainer = tfxai.SmoothGrad(nested(), samples=3)
    together, alone = explainer(IDS, 0), explainer(IDS[1:], 0)
    np.testing.assert_allclose(together.values[1:], alone.values, atol=1e-6)
    assert not together.tokens()[IDS == 0].any()


@pytest.mark.parametrize("method", [tfxai.Saliency, tfxai.Occlusion])
def test_integers_that_no_table_knows_are_told(method):
    with pytest.raises(ValueError, match=r"looks up 9 in a table that knows 0 to 8\. Expected integers"):
        method(nested())(np.where(IDS == 8, 9, IDS), 0)


def test_integers_are_words_where_nobody_tells_what_they_mean():
    found = tfxai.GradientXInput(nested())(IDS, 0)
    words = found.words(1)
    assert [word for word, _ in words] == ["7", "1", "4", "2"]
    np.testing.assert_allclose([value for _, value in words], found.tokens()[1, :4])
    drawn = {text.get_text() for text in found.plot().findobj(lambda one: hasattr(one, "get_text"))}
    assert {"8", "7"} <= {text.strip() for text in drawn}


def test_a_place_behind_no_embedding_is_refused():
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Conv2D(2, 3, name="conv"), layers.Flatten(), layers.Dense(2)]
    )
    with pytest.raises(ValueError, match=r"at=\['conv'\] says where integers are embedded, but the model takes none"):
        tfxai.Saliency(model, at="conv")(np.ones((1, 4, 4, 1)), 0)


@pytest.mark.parametrize("method", [tfxai.Saliency, tfxai.Occlusion])
def test_a_mask_that_hides_everything(method):
    inputs = {name: x.copy() for name, x in token_networks.inputs("text").items()}
    inputs["padding_mask"][1] = False
    with pytest.raises(ValueError, match=r"'padding_mask' of row 1 is nothing but zeros.*hides everything"):
        method(token_networks.known("text"))(inputs, 0)


def test_texts_of_one_padded_length_are_traced_once():
    model, inputs = token_networks.known("text"), token_networks.inputs("text")
    explainer = tfxai.Saliency(model)
    first = explainer(inputs, 0)
    other = {name: x[::-1][:3].copy() for name, x in inputs.items()}
    again = explainer(other, 1)
    assert len(explainer._traces) == 1
    assert len(first.values["token_ids"]) == 4
    assert len(again.values["token_ids"]) == 3
