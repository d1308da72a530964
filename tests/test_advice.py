"""What an error advises works on the model at hand."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, 9, (2, 7))
TABLE = RNG.normal(size=(2, 5)).astype("float32")


def tokens(mask=False):
    keras.utils.set_random_seed(0)
    ids = keras.Input((7,), dtype="int32")
    embedded = layers.Embedding(9, 4, mask_zero=mask)(ids)
    return keras.Model(ids, layers.Dense(3)(layers.SimpleRNN(4)(embedded) if mask else layers.Flatten()(embedded)))


def table():
    return keras.Sequential([keras.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(3)])


def pair():
    ids, more = keras.Input((7,), dtype="int32", name="ids"), keras.Input((4,), dtype="int32", name="more")
    embedded = [layers.Flatten()(layers.Embedding(9, 3)(x)) for x in (ids, more)]
    return keras.Model([ids, more], layers.Dense(3)(layers.Concatenate()(embedded)))


CASES = {
    "tokens": (tokens, TOKENS),
    "function of tokens": (lambda: tf.function(tokens()), TOKENS.astype("int32")),
    "two rows of tokens": (pair, {"ids": TOKENS, "more": TOKENS[:, :4]}),
    "table": (table, TABLE),
    "function of a table": (lambda: lambda x: np.tanh(x)[:, :3], TABLE),
}
NAMED = re.compile(r"\b(?:Saliency|IntegratedGradients|Occlusion|RISE|GradCAM)\b(?! needs| weighs)")
METHODS = [
    "saliency",
    "integrated_gradients",
    "smooth_grad",
    "guided_backprop",
    "lrp",
    "deep_lift",
    "occlusion",
    "rise",
    "grad_cam",
    "score_cam",
    "guided_feature_inversion",
    "meaningful_perturbation",
]


def advised(model, x, method, **given):
    """(method, options) that the error of a method names; nothing if it works."""
    try:
        tfxai.explain(model, x, method, 0, **given, **({"masks": 4} if method == "rise" else {}))
    except ValueError as error:
        options = given | ({"input": next(iter(x))} if "with input=" in str(error) else {})
        if "such as at=" in str(error):
            return [one for at in (next(iter(x)), list(x)) for one in advised(model, x, method, at=at)]
        return [(name, options) for name in NAMED.findall(str(error))] or pytest.fail(f"{method}: {error}")
    return []


@pytest.mark.parametrize("name", CASES)
def test_methods_work_or_advise_one_that_does(name):
    make, x = CASES[name]
    model = make()
    found = [one for method in METHODS for one in advised(model, x, method)]
    for method, options in [one for number, one in enumerate(found) if one not in found[:number]]:
        assert np.isfinite(tfxai.explain(model, x, method, 0, **options).score).all()


def test_what_rounds_is_explained_from_outside():
    model = tf.function(lambda x: tf.round(x)[:, :3])
    assert advised(model, TABLE, "saliency") == [("Occlusion", {})]
    assert not advised(model, TABLE, "occlusion")


def test_windows_of_words_are_hidden_by_the_number_of_none():
    model = tokens()
    found = tfxai.Occlusion(model, window=1, fill=8)(TOKENS, 1)
    for place in range(7):
        hidden = TOKENS.copy()
        hidden[:, place] = 8
        drop = found.score - model.predict(hidden, verbose=0)[:, 1]
        np.testing.assert_allclose(found.values[:, place], drop, atol=1e-5)
    assert found.heatmaps().shape == (2, 7)


def test_padded_words_have_no_values():
    ids = TOKENS.copy()
    ids[:, 4:] = 0
    found = tfxai.Occlusion(tokens(mask=True), window=2, stride=1, fill=5)(ids, 1)
    assert np.abs(found.values[:, :4]).min() > 0
    assert not found.values[:, 4:].any()


def test_columns_of_a_table_are_hidden():
    model = table()
    found = tfxai.Occlusion(model, fill="mean")(TABLE, 1)
    assert found.values.shape == TABLE.shape
    assert found.heatmaps().shape == TABLE.shape


def recurrent(layer):
    size = (2, 5, 5, 2) if isinstance(layer, layers.ConvLSTM2D) else (3, 3)
    return keras.Sequential([keras.Input(size), layer, layers.Flatten(), layers.Dense(2)]), RNG.normal(size=(2, *size))


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.LSTM(3),
        lambda: layers.Bidirectional(layers.GRU(3)),
        lambda: layers.ConvLSTM2D(2, 3),
    ],
)
def test_loops_are_told_how_to_unroll(make):
    """And gradients need none of that: those of the loop are those of its steps."""
    model, x = recurrent(make())
    gradients = tfxai.Saliency(model)(x, 0).values
    for method in (tfxai.LRP, tfxai.DeepLift):
        with pytest.raises(ValueError, match=r"Set layer\.unroll = True, for a Bidirectional on its forward_layer"):
            method(model)(x, 0)
    layer = model.layers[0]
    for one in (getattr(layer, "forward_layer", layer), getattr(layer, "backward_layer", layer)):
        one.unroll = True
    np.testing.assert_allclose(tfxai.Saliency(model)(x, 0).values, gradients, atol=1e-6)
    assert tfxai.LRP(model, composite="epsilon")(x, 0).values.any()
    found = tfxai.DeepLift(model)(x, 0)
    np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-5)
