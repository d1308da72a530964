"""Maps of models that have lost their weights, against the oracle, copies made by hand and what must come out."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
import token_networks
from keras import layers
from networks import oracle
from scipy import stats

import tfxai
from tfxai.facts import Facts
from tfxai.metrics import data_randomization, map_similarity, model_randomization, random_logit
from tfxai.models import open_model
from tfxai.models.detached import DetachedView

STAGES = {  # of the oracle, from the top down
    "heads": ["head"],
    "norm": ["norm"],
    "block2": ["norm2a", "attention2", "norm2b", "up2", "down2"],
    "block1": ["norm1a", "attention1", "norm1b", "up1", "down1"],
    "embedding": ["prefix", "positions", "patches"],
}


class Edges(tfxai.Explainer):
    """A detector of edges, which does not look at the model."""

    facts = Facts("edges", "", "", "", "", "")

    def attribute(self, run):
        return tf.reduce_sum(tf.abs(tf.image.sobel_edges(run.image)), [-2, -1])


def test_the_oracles_stages():
    model, x, labels = token_networks.known("vit"), token_networks.inputs("vit"), oracle("vit_inputs")["labels"]
    theirs, given = oracle("vit_metrics"), oracle("vit_random_weights")
    before = [one.copy() for one in model.get_weights()]
    report = model_randomization(
        model,
        x,
        "gradient_x_input",
        labels,
        layers=list(STAGES.values()),
        how=lambda name, values, random: given[f"keras/{name}"],
        keep=2,
        verbose=0,
    )
    for number, stage in enumerate(STAGES):
        for name in ("spearman", "spearman_absolute", "ssim"):
            expected = theirs[f"randomised/{stage}/{name}"]
            found = getattr(map_similarity(theirs["map"], theirs[f"randomised/{stage}/map"]), name)
            np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=f"{stage} {name}")
            # of maps that differ by rounding, which neighbours in rank feel
            np.testing.assert_allclose(getattr(report, name)[number], expected, atol=3e-4, err_msg=f"{stage} {name}")
    last = report.kept["patches"]
    np.testing.assert_allclose(last.values.sum(-1), theirs["randomised/embedding/map"][:2], atol=1e-6)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert str(report).splitlines()[0].split() == ["stage", "Spearman", "of", "magnitudes", "SSIM", "empty"]
    assert len(report.plot().axes) == 2 * (2 + len(STAGES))


def test_the_oracles_random_logit():
    model, x, labels = token_networks.known("vit"), token_networks.inputs("vit"), oracle("vit_inputs")["labels"]
    theirs, explainer = oracle("vit_metrics"), tfxai.GradientXInput(token_networks.known("vit"))
    found = random_logit(explainer, x, labels, other=theirs["random_logit/class"])
    for name, values in found._asdict().items():
        np.testing.assert_allclose(values, theirs[f"random_logit/{name}"], atol=3e-4)
    drawn = random_logit(explainer, x)
    assert (drawn.spearman < 0.99).all()
    with pytest.raises(ValueError, match="Expected classes"):
        random_logit(explainer, x, lambda outputs: outputs[:, 0])
    same = data_randomization(model, model, x, tfxai.GradientXInput, labels)
    np.testing.assert_allclose(same.ssim, 1, rtol=1e-6)


@pytest.mark.parametrize("order", ["cascading", "independent"])
def test_a_detector_of_edges_passes_no_test(order, residual, x):
    report = model_randomization(residual, x, Edges, order=order, verbose=0)
    assert report.stages == ("dense", "bn4", "conv4", "bn3", "conv3", "bn2", "conv2", "bn1", "conv1")
    for similarity in (report.spearman, report.spearman_absolute, report.ssim):
        np.testing.assert_allclose(similarity, 1, rtol=1e-6)


@pytest.mark.parametrize("method", ["saliency", "lrp", "grad_cam", "guided_backprop", "smooth_grad:samples=3"])
def test_stages_are_those_of_a_copy(method, residual, x):
    """Random weights that stand in the place of the model's own give what a model with such weights gives."""
    drawn = {}

    def draw(name, values, random):
        drawn[name] = random.permutation(values.ravel()).reshape(values.shape)
        return drawn[name]

    report = model_randomization(residual, x, method, how=draw, keep=4, layers=["dense", "bn4", "conv4"], verbose=0)
    target = residual.predict(x, verbose=0).argmax(1)
    copy = networks.residual()
    for name in ("dense/kernel", "dense/bias", *(f"bn4/{one}" for one in ("moving_mean", "moving_variance", "gamma"))):
        assert name in drawn
    for variable in copy.weights:
        if variable.path in drawn:
            variable.assign(drawn[variable.path])
    expected = tfxai.explain(copy, x, method, target)
    found = report.kept["conv4"]
    np.testing.assert_array_equal(found.target, target)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5 * np.abs(expected.values).max())
    assert np.abs(report.kept["original"].values - found.values).max() > 0.01 * np.abs(found.values).max()


@pytest.mark.parametrize("method", ["saliency", "grad_cam:layer=relu4", "guided_backprop"])
def test_saved_models_are_randomised_as_what_they_were_exported_from(method, residual, x, tmp_path):
    residual.export(str(tmp_path), verbose=False)
    saved = tf.saved_model.load(str(tmp_path))
    before = [one.numpy() for one in saved.signatures["serving_default"].variables]
    given = {"how": lambda name, values, random: values[::-1], "keep": 4, "verbose": 0}
    target = residual.predict(x, verbose=0).argmax(1)
    expected = model_randomization(residual, x, method, target, **given)
    found = model_randomization(saved, x, method, target, **given)
    assert found.stages == expected.stages
    for stage in ("original", *found.stages):
        theirs = expected.kept[stage].values
        np.testing.assert_allclose(found.kept[stage].values, theirs, atol=1e-5 * np.abs(theirs).max())
    assert found.spearman_absolute[-1].max() < 0.99
    for one, old in zip(saved.signatures["serving_default"].variables, before, strict=True):
        np.testing.assert_array_equal(one.numpy(), old)


def test_layers_by_one_and_their_initialisers():
    """Nested models, a batch normalisation and recurrent cells; each weight has random numbers of its own."""
    inputs = keras.Input((6, 4))
    inner = keras.Sequential([layers.Dense(4, name="a"), layers.BatchNormalization(name="b")], name="in")
    outputs = layers.Dense(2, name="c")(layers.LSTM(3, name="r")(inner(inputs)))
    model = keras.Model(inputs, outputs)
    found = DetachedView(open_model(model)).layer_weights()
    assert list(found) == ["c", "r/lstm_cell", "in/b", "in/a"]
    random = np.random.default_rng(0)
    drawn = {one.name: one.initialized(random) for part in found.values() for one in part}
    assert drawn["in/a/kernel"].std() > 0
    np.testing.assert_array_equal(drawn["in/b/moving_variance"], np.ones(4))
    recurrent = drawn["r/lstm_cell/recurrent_kernel"]  # orthogonal
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(3), atol=1e-5)
    x = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("f")
    report = model_randomization(model, x, "saliency", 0, how="initialize", order="independent", verbose=0)
    assert report.ssim is None
    assert (report.spearman[[1, 3]] < 0.99).all()
    np.testing.assert_allclose(report.spearman[2], 1, rtol=1e-6)  # a batch normalisation that has not been trained
    with pytest.raises(ValueError, match="got 'inn'"):
        model_randomization(model, x, "saliency", 0, layers=["inn"])


@pytest.mark.parametrize("method", ["saliency", "attention_gradient"])
def test_models_of_words_forget_too(method):
    """They are run where their words have become numbers, and so by another graph."""
    model, words = token_networks.known("text"), token_networks.inputs("text")
    report = model_randomization(model, words, method, layers=["attention2", "norm1b"], verbose=0)
    assert (report.spearman < 0.9999).any(1).all()


def test_random_labels_leave_nothing_to_see_but_edges():
    """Two readers of the same pictures: the left half is brighter or darker, and only one of them could learn that."""
    random = np.random.default_rng(0)
    x, labels = random.normal(size=(64, 8, 8, 1)).astype("f"), random.integers(2, size=64)
    x[:, :, :4] += 2 * labels[:, None, None, None] - 1
    readers = []
    for own in (labels, random.permutation(labels)):
        keras.utils.set_random_seed(0)
        reader = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
        reader.compile(keras.optimizers.Adam(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        reader.fit(x, own, epochs=10, batch_size=64, verbose=0)
        readers.append(reader)
    edges = data_randomization(*readers, x, Edges)
    np.testing.assert_allclose(edges.spearman, 1, rtol=1e-6)
    found = data_randomization(*readers, x, "gradient_x_input")
    assert found.spearman.mean() + found.spearman.std() < 0.8
    left = [np.abs(tfxai.Saliency(one)(x, 1).values[:, :, :4]).mean() for one in readers]
    assert left[0] > 1.2 * left[1]


def test_one_by_one_convolutions_are_randomised():
    """Permuting the first axis alone, as other packages do, would leave them as they were."""
    given = h = keras.Input((8, 8, 3))
    for number in range(2):
        h = layers.Conv2D(8, 1, activation="relu", use_bias=False, name=f"conv{number}")(h)
    model = keras.Model(given, layers.Dense(4, use_bias=False, name="dense")(layers.GlobalAveragePooling2D()(h)))
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("f")
    report = model_randomization(
        model, x, "gradient_x_input", layers=["conv1", "conv0"], order="independent", verbose=0
    )
    assert (report.spearman < 0.9).all()


def test_the_gradient_of_a_linear_model_is_lost():
    """Permuted, it correlates with itself as chance has it: 0 in the mean over seeds, with variance 1 / (n - 1)."""
    model = keras.Sequential([keras.Input((40,)), layers.Dense(1, use_bias=False, name="w")])
    x = np.ones((2, 40), "f")
    found = [model_randomization(model, x, "gradient_x_input", seed=n, verbose=0).spearman[0, 0] for n in range(16)]
    assert abs(np.mean(found)) < 3 / np.sqrt(39 * 16)
    assert stats.chi2(15).ppf(0.0005) < 39 * 16 * np.var(found) < stats.chi2(15).ppf(0.9995)


def test_alike():
    maps = np.random.default_rng(0).normal(size=(2, 9, 8))
    found = map_similarity(maps, 2 * maps)
    for similarity in found:
        np.testing.assert_allclose(similarity, 1, rtol=1e-6)
    empty = map_similarity(maps, 0 * maps)
    np.testing.assert_array_equal(empty.spearman, 0)
    assert map_similarity(maps[:, :5], maps[:, :5]).ssim is None
    with pytest.raises(ValueError, match="one shape"):
        map_similarity(maps, maps[:, 1:])


def test_what_has_no_weights_to_exchange(x):
    with pytest.raises(ValueError, match="Expected a Keras model, a SavedModel or"):
        model_randomization(lambda x: x.mean((1, 2)), x, "occlusion")
    with pytest.raises(TypeError, match="a class of explainers"):
        model_randomization(networks.known("small"), x, Edges(networks.known("small")))
    with pytest.raises(ValueError, match="of another"):
        model_randomization(networks.known("small"), x, lambda model: Edges(networks.known("small")))
    with pytest.raises(ValueError, match="No maps were kept"):
        model_randomization(networks.known("small"), x[:2], Edges, layers=["dense"]).plot()
