"""Networks without some of their channels, against networks that were written without them."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.datasets import flowers
from tfxai.metrics.ablation import _Ablated, _with_controls
from tfxai.models.graph import edited

CHANNELS = {"relu1": 8, "relu2": 8, "relu3": 8, "relu4": 16}  # of the residual network
SOME = [("relu4", 2), ("relu1", 0), ("relu3", 5), ("relu1", 3), ("relu2", 7), ("relu4", 2), ("relu4", 11)]
BY_CLASS = {0: SOME[:3], 1: [("relu3", 1)], 2: [("relu4", 9)], 3: [("relu2", 1), ("relu4", 3)], 4: []}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(70, 16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def truth(images):
    """What the residual network predicts, but for every third image."""
    predicted = networks.known("residual")(images).numpy().argmax(1)
    return np.where(np.arange(70) % 3, predicted, (predicted + 1) % 5)


def without(pairs):
    """The residual network, with the outputs of its ReLUs multiplied by zeros and ones by hand."""

    def relu(name):
        keep = np.ones(CHANNELS[name], np.float32)
        keep[[channel for layer, channel in pairs if layer == name]] = 0
        return lambda x: layers.ReLU(name=name)(x) * keep

    return networks.residual(relu)


def accuracy(logits, truth):
    """Class mean, top-1 and probability, by NumPy."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    hits = logits.argmax(1) == truth
    return np.mean([hits[truth == c].mean() for c in set(truth)]), hits.mean(), p[np.arange(len(p)), truth].mean()


def measured(model, features, images, truth, mode="union", **options):
    return tfxai.metrics.ablation(model, features, images, truth, mode=mode, verbose=0, **options)


@pytest.fixture(scope="module")
def of_some(images, truth, residual):
    return measured(residual, SOME, images, truth)


def test_union_is_a_network_written_without_the_channels(images, truth, residual, of_some):
    report = of_some
    np.testing.assert_allclose(report.before, accuracy(residual(images).numpy(), truth), atol=1e-6)
    np.testing.assert_allclose(report.after, accuracy(without(SOME)(images).numpy(), truth), atol=1e-6)
    assert report.removed == {"relu1": 2, "relu2": 1, "relu3": 1, "relu4": 2}
    assert report.images == 70
    assert abs(report.drop.probability) > 0.01
    np.testing.assert_array_equal(report.drop, np.subtract(report.before, report.after))


def test_per_class_each_image_loses_the_channels_of_its_class(images, truth, residual):
    report = measured(residual, BY_CLASS, images, truth, "per_class")
    by_class = np.stack([without(BY_CLASS[c])(images).numpy() for c in range(5)])
    logits = by_class[truth, np.arange(70)]
    np.testing.assert_allclose(report.after, accuracy(logits, truth), atol=1e-6)
    assert report.removed == {"relu1": 0.2, "relu2": 0.2, "relu3": 0.4, "relu4": 0.6}


def test_two_layers_in_numpy():
    random = np.random.default_rng(3)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, activation="relu", name="a"),
            layers.Dense(7, activation="relu", name="b"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    x, truth = random.normal(size=(50, 6)).astype(np.float32), random.integers(0, 3, 50)
    (A, a), (B, b), (C, c) = zip(*[iter(model.get_weights())] * 2, strict=True)
    h = np.maximum(x @ A + a, 0)
    h[:, [1, 4, 6]] = 0
    h = np.maximum(h @ B + b, 0)
    h[:, [0, 2]] = 0
    report = measured(model, [("a", 4), ("b", 0), ("a", 1), ("b", 2), ("a", 6)], x, truth)
    np.testing.assert_allclose(report.after, accuracy(h @ C + c, truth), atol=1e-6)


def test_random_channels_are_those_that_were_not_given(images, truth, residual):
    """With half of the channels of each layer given, the other half is the only random set."""
    half = [(layer, channel) for layer, count in CHANNELS.items() for channel in range(0, count, 2)]
    others = [(layer, channel + 1) for layer, channel in half]
    report = measured(residual, half, images, truth, controls=3)
    np.testing.assert_allclose(report.random, accuracy(without(others)(images).numpy(), truth), atol=1e-6)
    np.testing.assert_allclose(report.random_std, 0, atol=1e-7)
    np.testing.assert_array_equal(report.random_drop, np.subtract(report.before, report.random))


def test_random_sets_are_matched_layer_by_layer_and_row_by_row():
    selected = np.random.default_rng(0).random((40, 9)) < np.linspace(0, 1, 40)[:, None]
    first, *random = _with_controls({"a": selected, "b": selected[:, :4]}, 6, 1)["a"]
    np.testing.assert_array_equal(first, selected)
    for mask in random:
        np.testing.assert_array_equal(mask.sum(1), selected.sum(1))
        np.testing.assert_array_equal((mask & selected).sum(1), np.maximum(0, 2 * selected.sum(1) - 9))
    assert len({mask.tobytes() for mask in random}) == 6
    alone = np.zeros((1, 5), bool)
    alone[0, 2] = True
    drawn = np.concatenate(_with_controls({"a": alone}, 2000, 0)["a"][1:]).mean(0)
    np.testing.assert_allclose(drawn, [0.25, 0.25, 0, 0.25, 0.25], atol=0.04)


def test_mean_and_deviation_over_random_sets(images, truth, residual, of_some):
    """One random set at a time, by its seed, against several at once."""
    masks = _with_controls({"relu1": _mask(8, 0, 3), "relu4": _mask(16, 2)}, 4, 9)
    found = []
    for number in range(1, 5):
        pairs = [(layer, channel) for layer, sets in masks.items() for channel in np.flatnonzero(sets[number, 0])]
        found.append(accuracy(without(pairs)(images).numpy(), truth))
    report = measured(residual, [("relu1", 0), ("relu1", 3), ("relu4", 2)], images, truth, controls=4, seed=9)
    np.testing.assert_allclose(report.random, np.mean(found, 0), atol=1e-6)
    np.testing.assert_allclose(report.random_std, np.std(found, 0), atol=1e-6)
    assert report.random_std.probability > 1e-4
    assert measured(residual, SOME, images, truth) == of_some
    assert measured(residual, SOME, images, truth, seed=1).random != of_some.random


def _mask(count, *channels):
    return np.isin(np.arange(count), channels)[None]


def test_every_kind_of_model(images, truth, residual, tmp_path):
    expected = measured(residual, SOME[:2], images, truth)
    residual.export(tmp_path / "saved", verbose=False)
    model = tfxai.models.open_model(tmp_path / "saved")
    for other in (networks.known("nested"), networks.known("subclassed"), model):
        given = [("block1", 0), SOME[0]] if isinstance(other, networks.Subclassed) else SOME[:2]
        found = measured(other, given, images, truth)
        np.testing.assert_allclose([*found.before, *found.after], [*expected.before, *expected.after], atol=1e-6)
    np.testing.assert_array_equal(residual.get_weights()[0], networks.residual().get_weights()[0])


def test_one_trace_for_all_batches_classes_and_random_sets(images, truth, residual, monkeypatch):
    traces, compute = [], _Ablated.compute

    def counted(self, run):
        traces.append(1)
        return compute(self, run)

    monkeypatch.setattr(_Ablated, "compute", counted)
    reports = [measured(residual, BY_CLASS, images, truth, "per_class", batch_size=size) for size in (70, 16, 1)]
    assert len(traces) == 3
    for report in reports[1:]:
        np.testing.assert_allclose(report.after, reports[0].after, atol=1e-6)
        np.testing.assert_allclose(report.random, reports[0].random, atol=1e-6)


def test_datasets_with_their_labels_or_with_others(images, truth, residual, of_some):
    expected = of_some
    data = tf.data.Dataset.from_tensor_slices((images, truth)).batch(32)
    for given, labels in ((data, None), (data.map(lambda x, y: x), truth), (data.filter(lambda x, y: True), None)):
        found = measured(residual, SOME, given, labels)
        np.testing.assert_allclose(found.after, expected.after, atol=1e-6)
        assert found.images == 70


def test_models_of_a_fixed_batch(images, truth, residual):
    inputs = keras.Input(batch_shape=(4, 16, 16, 3))
    fixed = keras.Model(inputs, residual(inputs))
    found, expected = (measured(model, SOME, images[:10], truth[:10]) for model in (fixed, residual))
    np.testing.assert_allclose([*found.after, *found.random], [*expected.after, *expected.random], atol=1e-6)


def test_heads(images, truth, plain):
    """A softmax, a log-softmax and none are the same classifier; a single sigmoid has two classes."""
    pairs = [("relu1", 1), ("relu2", 4), ("relu2", 5)]
    expected = measured(plain, pairs, images, truth)
    for head in (layers.Softmax(), layers.Activation("log_softmax")):
        found = measured(keras.Sequential([plain, head]), pairs, images, truth)
        np.testing.assert_allclose([*found.before, *found.after], [*expected.before, *expected.after], atol=1e-5)
    single = keras.Sequential([plain, layers.Dense(1, activation="sigmoid")])
    found = measured(single, pairs, images, truth % 2)
    p = single(images).numpy()[:, 0]
    assert found.before.probability == pytest.approx(np.where(truth % 2, p, 1 - p).mean(), abs=1e-6)
    assert found.before.top_1 == ((p > 0.5) == truth % 2).mean()


def test_only_layers_with_positions(images, truth, residual):
    pairs = [*SOME[:2], ("gap", 3)]
    found = measured(residual, pairs, images, truth, scope="conv")
    assert found.removed == {"relu1": 1, "relu4": 1}
    assert found == measured(residual, pairs[:2], images, truth)
    assert found.after != measured(residual, pairs, images, truth).after


def test_layers_that_run_twice_and_layers_as_objects(images):
    model = networks.known("shared")
    truth = np.arange(70) % 4
    once, twice = (measured(model, [(layer, 1)], images, truth) for layer in ("conv#0", "conv#1"))
    assert once.before == twice.before
    assert once.after != twice.after
    assert measured(model, [(model.get_layer("conv_1"), 1)], images, truth).removed == {"conv_1": 1}


def test_names_of_the_same_tensor_are_removed_together(images, truth, residual):
    """An inner model and its last layer come to the same."""
    pairs = [("backbone", 2), ("backbone/top/relu4", 11)]
    found = measured(networks.known("nested"), pairs, images, truth)
    np.testing.assert_allclose(
        found.after, accuracy(without([("relu4", 2), ("relu4", 11)])(images).numpy(), truth), atol=1e-6
    )


class Fitted:
    features_ = BY_CLASS


def test_fitted_objects_and_reports(images, truth, residual):
    report = measured(residual, Fitted(), images, truth)
    assert report == measured(residual, [pair for pairs in BY_CLASS.values() for pair in pairs], images, truth)
    first, before, after, random = str(report).splitlines()
    assert first.split() == ["class", "mean", "top-1", "probability"]
    assert before.split() == ["before", *(f"{x:.3f}" for x in report.before)]
    assert after.split()[2] == f"{report.after.top_1:.3f}"
    assert random.split()[-1] == f"{report.random_std.probability:.3f}"


def test_relevant_channels_of_flowers_matter_more_than_others():
    """The channels with the largest weights of the last layer for a class, for that class."""
    images, labels, _ = flowers.make(n=120, seed=8)
    model = flowers.load_model()
    best = model.get_layer("logits").kernel.numpy().argsort(0)[::-1]
    features = {c: [("block5_relu", k) for k in best[:8, c]] for c in range(6)}
    report = measured(model, features, images, labels, "per_class")
    assert report.drop.probability > 5 * abs(report.random_drop.probability)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"features": [("relu9", 0)]}, ValueError, "Unknown layer 'relu9'"),
        ({"features": [("relu1", 8)]}, ValueError, "channels 0 to 7, so no channel 8"),
        ({"features": [("relu1", -1)]}, ValueError, "no channel -1"),
        ({"features": [("relu1", 1.5)]}, TypeError, r"\('relu1', 1\.5\)"),
        ({"features": ["relu1"]}, TypeError, "pairs"),
        ({"features": []}, ValueError, "Expected channels to remove, got none"),
        ({"features": [("gap", 0)], "scope": "conv"}, ValueError, "in layers with positions"),
        ({"features": SOME, "mode": "per_class"}, ValueError, "dict of class"),
        ({"features": {5: SOME}, "mode": "per_class"}, ValueError, "classes 0 to 4, got some of 5"),
        ({"mode": "all"}, ValueError, "mode"),
        ({"scope": "dense"}, ValueError, "scope"),
        ({"controls": 0}, ValueError, "controls"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"labels": None}, ValueError, "labels are missing"),
        ({"labels": "predicted"}, ValueError, "Expected labels as the number"),
        ({"labels": [0, 1]}, ValueError, "Expected labels for 3 images"),
        ({"labels": np.eye(3)}, ValueError, "argmax"),
        ({"labels": [0, 1, 5]}, ValueError, "class 5 is out of range"),
        ({"model": lambda x: x}, ValueError, "tf.function"),
    ],
)
def test_what_does_not_fit(images, residual, change, error, message):
    given = {"model": residual, "features": SOME, "images": images[:3], "labels": [0, 1, 2], "verbose": 0} | change
    with pytest.raises(error, match=message):
        tfxai.metrics.ablation(**given)


def test_datasets_that_do_not_fit(images, residual):
    data = tf.data.Dataset.from_tensor_slices(images).batch(32)
    labelled = data.map(lambda x: (x, tf.zeros(tf.shape(x)[0], tf.int32)))
    for given, message in (
        (data, "has no labels"),
        (labelled.repeat(), "infinite"),
        (labelled.take(0), "empty"),
        (labelled.map(lambda x, y: (x, tf.one_hot(y, 5))), "argmax"),
    ):
        with pytest.raises(ValueError, match=message):
            tfxai.metrics.ablation(residual, SOME, given, verbose=0)


def test_edits_see_the_edits_before_them():
    @tf.function(autograph=False)
    def function(x):
        a = x + 1
        b = a * 2
        c = b + a
        d = tf.exp(x)
        end = c * d
        edits = [(b, lambda t: t + 100), (a, lambda t: -t), (b, lambda t: t / 2)]
        return edited(edits, end), edited(edits[1:2], end), edited(edits[:1], b), end

    x = tf.constant([0.5, 2.0])
    all_of_them, sign, last, plain = function(x)
    a = -(x + 1)
    np.testing.assert_allclose(all_of_them, ((a * 2 + 100) / 2 + a) * tf.exp(x), rtol=1e-6)
    np.testing.assert_allclose(sign, -plain)
    np.testing.assert_allclose(last, (x + 1) * 2 + 100)


def test_edits_that_can_have_no_effect_are_refused():
    def function(x):
        return edited([(x + 1, tf.negative)], x * 2)

    with pytest.raises(ValueError, match="does not depend on"):
        tf.function(function, autograph=False)(tf.ones(2))
