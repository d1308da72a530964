"""Measures of faithfulness against the oracle, and against the closed forms of linear models."""

import keras
import numpy as np
import pytest
import token_networks
from keras import layers
from networks import oracle

import tfxai
from tfxai import metrics

NEAR = {"rtol": 1e-4, "atol": 1e-4}


@pytest.fixture(scope="module")
def vit():
    return token_networks.known("vit")


@pytest.fixture(scope="module")
def probabilities(vit):
    return keras.Model(vit.input, layers.Softmax()(vit.output))


@pytest.fixture(scope="module")
def truth():
    return oracle("vit_metrics")


@pytest.fixture(scope="module")
def given():
    return oracle("vit_inputs")


@pytest.fixture(scope="module")
def linear():
    """A linear score of eight columns, and what each of them adds to that of a row of zeros."""
    model = keras.Sequential([keras.Input((8,)), layers.Dense(3)])
    random = np.random.default_rng(0)
    x = random.normal(size=(5, 8)).astype("f")
    return model, x, x * model.layers[0].kernel.numpy()[:, 1]


@pytest.mark.parametrize(("kind", "fill"), [("logits", "blurred"), ("probabilities", "zero")])
def test_deletion_and_insertion_of_the_oracle(vit, probabilities, truth, given, kind, fill):
    model = vit if kind == "logits" else probabilities
    how = {"steps": 16, "fill": 0.0 if fill == "zero" else given["x_blurred"], "verbose": 0, "batch_size": 9}
    for measure in (metrics.deletion, metrics.insertion):
        curve = measure(model, truth["map"], given["x"], given["labels"], **how)
        key = f"{measure.__name__}/{fill}"
        np.testing.assert_allclose(curve.scores, truth[f"{key}/{kind}"], **NEAR)
        np.testing.assert_allclose(curve.area, truth[f"{key}/auc_{kind}"], **NEAR)
        np.testing.assert_allclose(curve.shares, np.tile(np.linspace(0, 1, 17), (4, 1)))


def test_pixel_flipping_of_the_oracle(vit, truth, given):
    explanation = tfxai.Explanation(truth["map"], given["labels"], given["labels"], given["x"])
    curve = metrics.pixel_flipping(vit, explanation, steps=256, fill=0.0)
    np.testing.assert_allclose(curve.scores, truth["pixel_flipping/logits"], **NEAR)
    np.testing.assert_allclose(curve.area, truth["pixel_flipping/auc_logits"], **NEAR)


def test_subsets_of_the_oracle(vit, truth, given):
    subsets = truth["mu_fidelity/subsets"]
    found = metrics.mu_fidelity(vit, truth["map"], given["x"], given["labels"], subsets=subsets, groups=4)
    np.testing.assert_allclose(found, truth["mu_fidelity/spearman"], atol=1e-3)  # rounding swaps near ties of ranks
    sizes = truth["sensitivity_n/sizes"]
    subsets = truth["sensitivity_n/subsets"].reshape(len(sizes) * 60, 16, 16)
    how = {"shares": sizes / 256, "subsets": subsets, "groups": None}
    found = metrics.sensitivity_n(vit, truth["map"], given["x"], given["labels"], **how)
    np.testing.assert_allclose(found, truth["sensitivity_n/pearson"], **NEAR)


def test_infidelity_of_the_oracle(vit, truth, given):
    for key, values in (("gradient", truth["gradient"]), ("input_x_gradient_scaled", truth["attribution"])):
        how = {"noise": truth["infidelity/noise"], "scaled": key.endswith("scaled")}
        found = metrics.infidelity(vit, values, given["x"], given["labels"], **how)
        np.testing.assert_allclose(found, truth[f"infidelity/{key}"], rtol=1e-4)


@pytest.mark.parametrize("order", ["most", "least"])
def test_road_of_the_oracle(vit, truth, given, order):
    how = {"order": order, "shares": truth["road/shares"], "noise": 0, "score": "logit"}
    curve = metrics.road(vit, truth["map"], given["x"], given["labels"], **how)
    key = {"most": "morf", "least": "lerf"}[order]
    np.testing.assert_allclose(curve.scores, truth[f"road/{key}/logits"], rtol=1e-3, atol=1e-3)
    assert (curve.area < curve.scores.max(1)).all()


def test_curves_of_a_linear_model_are_sorted_sums(linear):
    model, x, parts = linear
    down = np.sort(-parts, axis=1).cumsum(1)
    whole = model(x).numpy()[:, 1:2]
    bias = whole - parts.sum(1, keepdims=True)
    curve = metrics.deletion(model, parts, x, 1)
    assert curve.scores.shape == (5, 9)  # one column after the other, though 50 steps are the default
    np.testing.assert_allclose(curve.scores, whole + np.pad(down, ((0, 0), (1, 0))), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(curve.scores[:, -1:], bias, atol=1e-5)
    mirrored = metrics.insertion(model, parts, x, 1, fill=0.0)
    np.testing.assert_allclose(mirrored.scores - bias, whole - curve.scores, atol=1e-5)
    other = metrics.deletion(model, np.random.default_rng(1).normal(size=x.shape), x, 1)
    assert (other.area >= curve.area).all()  # no order deletes faster than that of the parts
    slow = metrics.pixel_flipping(model, parts, x, 1, order="least", fill=0.0)
    assert (slow.drop <= curve.drop).all()
    without = metrics.comprehensiveness(model, parts, x, 1, shares=[0.25, 1])
    np.testing.assert_allclose(without, -(down[:, 1] + down[:, -1]) / 2, atol=1e-5)
    left = metrics.sufficiency(model, parts, x, 1, shares=[0.25])
    np.testing.assert_allclose(left, parts.sum(1) + down[:, 1], atol=1e-5)


def test_sums_of_a_linear_model_tell_everything(linear):
    model, x, parts = linear
    assert metrics.mu_fidelity(model, parts, x, 1, subsets=30).min() > 1 - 1e-6
    np.testing.assert_allclose(metrics.sensitivity_n(model, parts, x, 1, shares=(0.2, 0.5), subsets=30), 1, atol=1e-5)
    gradient = tfxai.Saliency(model)(x, 1)
    assert metrics.infidelity(model, gradient, samples=20).max() < 1e-10
    assert metrics.infidelity(model, parts, x, 1, samples=20).min() > 1e-4
    constant = np.ones_like(x)
    assert not metrics.mu_fidelity(model, constant, x, 1, subsets=30).any()
    assert metrics.infidelity(model, 0 * x, x, 1, samples=5, noise=0.0, scaled=True).max() < 1e-12


def test_parts_are_hidden_as_a_whole(small, x):
    """Columns of a patch, regions of like colour, and labels of any shape, against sums and choices by NumPy."""
    values, images = np.random.default_rng(0).normal(size=(3, 16, 16)).astype("f"), x[:3]
    patches = np.arange(16) // 4
    labels = 4 * patches[:, None] + patches
    curves = [
        metrics.deletion(small, values, images, 1, groups=groups, fill="mean")
        for groups in (4, labels, np.tile(labels, (3, 1, 1)))
    ]
    order = np.argsort(-values.reshape(3, 4, 4, 4, 4).sum((2, 4)).reshape(3, -1), axis=1)
    mean = images.mean((1, 2), keepdims=True)
    for number in range(17):
        hidden = np.stack([np.isin(labels, one) for one in order[:, :number]])[..., None]
        score = small.predict(np.where(hidden, mean, images), verbose=0)[:, 1]
        for curve in curves:
            np.testing.assert_allclose(curve.scores[:, number], score, rtol=1e-4, atol=1e-4)
    regions = metrics.deletion(small, values, images, 1, groups="superpixels", steps=49)
    assert (np.diff(regions.shares) >= 0).all()
    np.testing.assert_allclose(regions.shares[:, -1], 1)
    np.testing.assert_allclose(regions.scores[:, -1], small.predict(0 * images[:1], verbose=0)[0, 1], rtol=1e-5)


def test_words_and_their_padding():
    model, inputs = token_networks.known("text"), token_networks.inputs("text")
    explanation = tfxai.Occlusion(model, window=1, stride=1)(inputs, oracle("text_inputs")["labels"])
    curve = metrics.deletion(model, explanation, score="logit", steps=12, input="token_ids")
    words = inputs["padding_mask"].sum(1)
    assert words.min() < 12
    counts = np.rint(np.arange(13) / 12 * words[:, None])  # padding is no part of a text
    np.testing.assert_allclose(curve.shares, counts / words[:, None], rtol=1e-6)
    best = explanation.extras["drops"].max(1)
    one = np.array(
        [scores[row == 1][0] if 1 in row else np.nan for scores, row in zip(curve.scores, counts, strict=True)]
    )
    assert np.isfinite(one).any()
    np.testing.assert_allclose((explanation.score - one)[np.isfinite(one)], best[np.isfinite(one)], atol=1e-4)
    hidden = {**inputs, "token_ids": np.where(inputs["padding_mask"], 0, inputs["token_ids"])}
    whole = tfxai.Saliency(model)(hidden, oracle("text_inputs")["labels"]).score
    np.testing.assert_allclose(curve.scores[:, -1], whole, atol=1e-4)


@pytest.mark.parametrize("fill", ["interpolate", "inpaint"])
def test_surroundings_continue_what_they_are(fill):
    """An image that is linear in x and y is the same again in the place of its holes; and one colour is one colour."""
    model = tfxai.models.open_model(lambda images: np.abs(images - ramp).max((1, 2, 3))[:, None])
    y, x = np.mgrid[:20, :24].astype("f")
    ramp = np.stack([y, 2 * x - y, 0 * x + 3], -1)[None]
    holes = np.zeros((1, 20, 24), "f")
    holes[:, 3:9, 4:12], holes[:, 12, 12] = 2, 1
    curve = metrics.deletion(model, holes, ramp, 0, steps=480, fill=fill)
    count = int((holes > 0).sum())
    assert curve.scores[0, : count + 1].max() < (0.02 if fill == "interpolate" else 0.1 * np.ptp(ramp))
    assert curve.scores[0, -1] > 10


def test_texts_of_which_nothing_is_left():
    """A mean over no words is no number; with an unknown word in their place it is one."""
    ids = keras.Input((4,), dtype="int32")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(9, 3, mask_zero=True)(ids))
    model, words = keras.Model(ids, layers.Dense(2)(x)), np.array([[3, 4, 5, 0], [6, 7, 8, 2]])
    explanation = tfxai.GradientXInput(model)(words, 1)
    with pytest.raises(ValueError, match="take that of an unknown word"):
        metrics.deletion(model, explanation)
    curve = metrics.deletion(model, explanation, fill=1)
    unknown = model(np.array([[1, 1, 1, 0], [1, 1, 1, 1]])).numpy()[:, 1]
    np.testing.assert_allclose(curve.scores[:, -1], unknown, rtol=1e-5)
    assert metrics.mu_fidelity(model, explanation, subsets=20, fill=1).shape == (2,)


def test_xla_finds_the_same(small, x):
    values = np.random.default_rng(0).normal(size=(4, 16, 16))
    given = {"groups": 4, "steps": 8, "fill": "interpolate"}
    plain, compiled = (metrics.deletion(small, values, x, 1, jit_compile=xla, **given) for xla in (False, True))
    np.testing.assert_allclose(compiled.scores, plain.scores, rtol=1e-3, atol=1e-4)


def test_heatmaps_as_veils(small, x):
    probable = keras.Sequential([small, layers.Softmax()])
    images, everything = x[:3], np.ones((3, 16, 16))
    everything[:, 0, 0] = 0  # a constant map shows nothing
    values = np.where(np.arange(16) < 8, 1.0, -1.0) + np.zeros((3, 16, 16))
    before, after = (probable.predict(one, verbose=0) for one in (images, images * (values > 0)[..., None]))
    ids, rows = before.argmax(1), np.arange(3)
    before, after = before[rows, ids], after[rows, ids]
    found = metrics.average_drop(probable, values, images)
    np.testing.assert_allclose(found, np.maximum(before - after, 0) / before, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(metrics.increase(probable, values, images), after > before)
    assert metrics.average_drop(probable, everything, images).max() < 0.2
    with pytest.raises(ValueError, match="positive scores"):
        metrics.average_drop(small, values, images, small.predict(images, verbose=0).argmin(1), score="logit")


def test_what_does_not_fit(small, x):
    values = np.zeros((3, 16, 16))
    cases = [
        (TypeError, "an explanation or an array", ("saliency",), {}),
        (ValueError, r"inputs= with an array", (values,), {}),
        (ValueError, "values with a row for each of 3", (values[:2], x[:3]), {}),
        (ValueError, r"the positions \(16, 16\)", (values[:, :4], x[:3]), {}),
        (ValueError, "finite values", (values * np.nan, x[:3]), {}),
        (ValueError, "groups to be one of", (values, x[:3]), {"groups": "squares"}),
        (ValueError, "number of a part for each position", (values, x[:3]), {"groups": np.zeros((4, 4), int)}),
        (ValueError, "whole numbers from 0", (values, x[:3]), {"groups": np.full((16, 16), 0.5)}),
        (ValueError, "Groups of columns need a table", (values, x[:3]), {"groups": {"left": [0, 1]}}),
        (ValueError, "steps to be a positive integer", (values, x[:3]), {"steps": 0}),
        (ValueError, "baseline", (values, x[:3]), {"fill": "black"}),
    ]
    for error, message, given, options in cases:
        with pytest.raises(error, match=message):
            metrics.deletion(small, *given, **options)
    with pytest.raises(ValueError, match="which XLA cannot compile"):
        metrics.deletion(small, values, x[:3], fill="inpaint", jit_compile=True)
    with pytest.raises(ValueError, match="shares between 0 and 1 that grow"):
        metrics.road(small, values, x[:3], shares=(0.5, 0.2))
    with pytest.raises(ValueError, match="mu_fidelity, which takes any map"):
        metrics.infidelity(small, values, x[:3])
    with pytest.raises(ValueError, match="subsets of 16 parts"):
        metrics.mu_fidelity(small, values, x[:3], groups=4, subsets=np.ones((5, 3)))
    function = tfxai.targets.Class(0) - tfxai.targets.Class(1)
    with pytest.raises(ValueError, match=r"Give target= again"):
        metrics.deletion(small, tfxai.Saliency(small)(x[:2], function))
