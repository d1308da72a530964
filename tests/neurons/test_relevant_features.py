"""Relevant features: descriptors, streams, planted features, paths over the bound."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import tfxai
from tfxai.neurons import bounds, discriminant, gram
from tfxai.neurons.descriptor import describe
from tfxai.neurons.gram import Stream, Sums

CLASSES = 4


@pytest.fixture(scope="module")
def planted() -> keras.Model:
    """Eight channels, copies of the input's; the classes are what the model makes of the first four."""
    inputs = keras.Input((6, 6, 8))
    x = layers.Conv2D(8, 1, activation="relu", use_bias=False, name="copy")(inputs)
    x = layers.Dense(CLASSES, name="logits")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Softmax()(x))
    model.get_layer("copy").set_weights([np.eye(8, dtype=np.float32)[None, None]])
    model.get_layer("logits").set_weights([np.eye(8, CLASSES, dtype=np.float32), np.zeros(CLASSES, np.float32)])
    return model


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray]:
    """Images whose channel j is bright in class j, with noise everywhere."""
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, 200)
    images = random.random((200, 6, 6, 8), dtype=np.float32)
    images[np.arange(200), :, :, labels] += 1
    return images, labels


def fitted(model, noisy, **options) -> tfxai.RelevantFeatures:
    return tfxai.RelevantFeatures(model, **options).fit(*noisy, verbose=0)


# descriptors


def maps(seed: int = 0) -> list[tf.Tensor]:
    random = np.random.default_rng(seed)
    shapes = (5, 4, 4, 3), (5, 7), (5, 6, 2)
    return [tf.constant(random.normal(size=shape), tf.float32) for shape in shapes]


@pytest.mark.parametrize("response", ["l2", "l2sq"])
@pytest.mark.parametrize("layer_norm", ["l1", None])
@pytest.mark.parametrize("global_norm", [True, False])
def test_a_descriptor_is_what_the_formulas_say(response, layer_norm, global_norm):
    parts = []
    for layer in maps():
        sums = (layer.numpy().reshape(5, -1, layer.shape[-1]) ** 2).sum(1)
        sums = np.sqrt(sums) if response == "l2" else sums
        parts.append(sums / sums.sum(1, keepdims=True) if layer_norm else sums)
    expected = np.concatenate(parts, 1)
    if global_norm:
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(describe(maps(), response, layer_norm, global_norm), expected, rtol=1e-5)


def test_a_descriptor_does_not_change_with_scale_and_place():
    first, *others = maps()
    plain = describe([first, *others], "l2sq", "l1", True)
    for changed in (7 * first, first[:, ::-1], first[:, :, ::-1], tf.roll(first, 2, 1)):
        np.testing.assert_allclose(describe([changed, *others], "l2sq", "l1", True), plain, rtol=1e-5)
    assert np.abs(describe([7 * first, *others], "l2sq", None, True) - plain).max() > 0.1


def test_a_layer_without_response_gives_zeros():
    first, *others = maps()
    found = describe([0 * first, *others], "l2sq", "l1", False).numpy()
    assert not found[:, :3].any()
    np.testing.assert_allclose(found[:, 3:].sum(1), 2, rtol=1e-5)  # one for each other layer
    assert not describe([0 * first], "l2", "l1", True).numpy().any()


# layers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", ("relu1", "relu2")),
        ("residual", ("relu1", "relu2", "relu3", "relu4")),  # relu3 follows the sum
        ("nested", ("backbone/stem/relu1", "backbone/stem/relu2", "backbone/stem/relu3", "backbone/top/relu4")),
        ("subclassed", ("block1", "block2", "block3/bn3", "relu4")),  # the ReLU after the sum is no layer
        ("shared", ("conv#0", "conv_1", "silu")),
    ],
)
def test_one_layer_for_each_block_after_its_activation(name, expected):
    keras.backend.clear_session()  # layers without names are numbered
    model = getattr(networks, name)()
    images = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")
    features = tfxai.RelevantFeatures(model).fit(images, "predicted", verbose=0)
    assert features.layers_ == expected
    assert sum(features.channels_) == len(features.weights_) == len(features.index_)


def test_blocks_of_many_kinds():
    inputs = x = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, activation="silu", name="fused")(x)
    x = layers.DepthwiseConv2D(3, activation="relu", name="depthwise")(x)  # mixes no channels
    x = layers.SeparableConv2D(5, 3, name="separable")(x)
    x = layers.LayerNormalization(name="norm")(x)
    x = layers.Activation("gelu", name="gelu")(x)
    x = layers.Conv2DTranspose(6, 3, use_bias=False, name="transposed")(x)
    x = layers.BatchNormalization(name="linear")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(7, name="dense")(x)
    x = layers.LeakyReLU(name="leaky")(layers.Dropout(0.5, name="dropout")(x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax", name="classes")(x))
    features = tfxai.RelevantFeatures(model, mu=1).fit(np.ones((2, 16, 16, 3)), [0, 1], verbose=0)
    assert features.layers_ == ("fused", "gelu", "linear", "leaky")
    assert features.channels_ == (4, 5, 6, 7)


def test_layers_of_the_user_keep_their_order(plain):
    images = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")
    chosen = [plain.get_layer("pool2"), "conv1"]
    features = tfxai.RelevantFeatures(plain, chosen).fit(images, [0, 1, 2, 3], verbose=0)
    assert features.layers_ == ("pool2", "conv1")
    assert features.index_[15:17] == [("pool2", 15), ("conv1", 0)]


def test_a_saved_model_gives_the_same(planted, noisy, tmp_path):
    planted.export(tmp_path / "saved", verbose=False)
    keras_weights = fitted(planted, noisy).weights_
    np.testing.assert_allclose(fitted(tmp_path / "saved", noisy).weights_, keras_weights, atol=1e-5)


# fit


@pytest.mark.parametrize("positive", [True, False])
def test_planted_features_are_found(planted, noisy, positive):
    features = fitted(planted, noisy, mu=5, positive=positive)
    assert [features.features_[j][0] for j in range(CLASSES)] == [("copy", j) for j in range(CLASSES)]
    assert (np.abs(features.weights_).sum(0) <= 5 * (1 + 1e-6)).all()
    assert features.counts_.tolist() == np.bincount(noisy[1]).tolist()


def test_the_residual_is_what_is_left(planted, noisy):
    features = fitted(planted, noisy, mu=2)
    images, labels = noisy
    x = describe([tf.constant(images)], "l2sq", "l1", True).numpy()
    left = (x @ features.weights_ - np.eye(CLASSES)[labels]) ** 2
    np.testing.assert_allclose(features.residual_, left.sum(0) / features.counts_, rtol=1e-4)


def test_streamed_in_any_batches_and_order_it_is_the_same(planted, noisy):
    images, labels = noisy
    expected = fitted(planted, noisy).weights_
    order = np.random.default_rng(1).permutation(len(labels))
    data = tf.data.Dataset.from_tensor_slices((images[order], labels[order]))
    for batch in (7, 64):
        streamed = tfxai.RelevantFeatures(planted).fit(data.batch(batch), verbose=0)
        np.testing.assert_allclose(streamed.weights_, expected, atol=1e-5)
    separate = tf.data.Dataset.from_tensor_slices(images).batch(16)
    np.testing.assert_allclose(tfxai.RelevantFeatures(planted).fit(separate, labels).weights_, expected, atol=1e-5)


def test_a_model_with_a_fixed_batch_size(planted, noisy):
    inputs = keras.Input(batch_shape=(32, 6, 6, 8))
    fixed = keras.Model(inputs, planted(inputs))
    np.testing.assert_allclose(fitted(fixed, noisy).weights_, fitted(planted, noisy).weights_, atol=1e-5)


@pytest.mark.parametrize("block", [1, 512])
def test_sums_of_many_rows_are_precise(monkeypatch, block):
    random = np.random.default_rng(0)
    monkeypatch.setattr(gram, "MOST", 300)
    monkeypatch.setattr(gram, "BLOCK", block)
    stream = Stream([10, 1, 21], CLASSES, seed=0)
    rows = random.random((60_000, 32), dtype=np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[random.integers(0, CLASSES, len(rows))]
    for start in range(0, len(rows), 497):
        stream.add(rows[start : start + 497], labels[start : start + 497])
    sums = stream.close()
    whole = sums.totals()
    np.testing.assert_allclose(whole[0], rows.astype(float).T @ rows, rtol=1e-6)
    np.testing.assert_allclose(whole[1], rows.astype(float).T @ labels, rtol=1e-6)
    assert sums.held.shape == (300, 32)
    places = [np.flatnonzero((rows == row).all(1))[0] for row in sums.held]  # a random choice of all rows
    assert len(set(places)) == 300
    assert 25_000 < np.mean(places) < 35_000
    np.testing.assert_array_equal(sums.held_labels, labels[places])


def test_labels_of_all_kinds(planted, noisy):
    images, labels = noisy
    expected = fitted(planted, noisy).weights_
    for same in (np.eye(CLASSES)[labels], labels[:, None], labels.astype(float), labels.tolist()):
        np.testing.assert_array_equal(fitted(planted, (images, same)).weights_, expected)
    predicted = planted.predict(images, verbose=0).argmax(1)
    by_model = fitted(planted, (images, "predicted"))
    np.testing.assert_array_equal(by_model.weights_, fitted(planted, (images, predicted)).weights_)


def test_images_with_several_classes(planted, noisy):
    images, labels = noisy[0].copy(), np.eye(CLASSES)[noisy[1]]
    images[:50, :, :, 2] += 1
    labels[:50, 2] = 1
    features = fitted(planted, (images, labels), mu=5)
    assert features.counts_[2] == labels[:, 2].sum()
    assert features.features_[2][0] == ("copy", 2)


def test_two_classes_of_one_sigmoid_unit(noisy):
    inputs = keras.Input((6, 6, 8))
    x = layers.GlobalAveragePooling2D(name="mean")(layers.Conv2D(8, 1, activation="relu", name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    assert fitted(model, (noisy[0], noisy[1] % 2)).weights_.shape == (8, 2)


def test_permuted_channels_permute_the_weights(planted, noisy):
    expected = fitted(planted, noisy).weights_
    order = np.random.default_rng(2).permutation(8)
    permuted = keras.models.clone_model(planted)
    kernel, (head, bias) = planted.get_layer("copy").get_weights()[0], planted.get_layer("logits").get_weights()
    permuted.get_layer("copy").set_weights([kernel[..., order]])
    permuted.get_layer("logits").set_weights([head[order], bias])
    np.testing.assert_allclose(fitted(permuted, noisy).weights_, expected[order], atol=1e-5)


def test_class_weights_count_like_repeated_images(planted, noisy):
    images, labels = noisy
    twice = np.concatenate([images, images[labels == 1]]), np.concatenate([labels, labels[labels == 1]])
    weighted = fitted(planted, noisy, class_weight=[1, 2, 1, 1], mu=2)
    repeated = fitted(planted, twice, mu=2)
    np.testing.assert_allclose(weighted.weights_, repeated.weights_, atol=1e-5)
    np.testing.assert_allclose(weighted.residual_, repeated.residual_, atol=1e-5)
    assert np.abs(weighted.weights_ - fitted(planted, noisy, mu=2).weights_).max() > 1e-3


def test_the_model_is_not_changed(planted, noisy):
    before = [weight.copy() for weight in planted.get_weights()]
    fitted(planted, noisy)
    assert all(np.array_equal(old, new) for old, new in zip(before, planted.get_weights(), strict=True))
    assert "call" not in vars(planted.get_layer("copy"))


# the path over mu


def test_the_path_over_mu(planted, noisy):
    features = fitted(planted, noisy, mu=0.5)
    points = features.path([0.1, 0.5, 1e4])
    np.testing.assert_array_equal(points[1].weights, features.weights_)
    np.testing.assert_array_equal(points[1].residual, features.residual_)
    assert points[0].active.all()
    assert not points[2].active.any()
    assert (points[0].selected <= points[2].selected).all()
    assert points[0].residual.min() > points[1].residual.max() > points[2].residual.max()
    assert 0.9 < points[1].accuracy <= 1  # the planted classes are easy


def test_accuracy_is_of_images_held_out(planted, noisy):
    """Labels that mean nothing are fitted, but not predicted."""
    images, labels = noisy[0], np.random.default_rng(5).integers(0, CLASSES, 200)
    features = tfxai.RelevantFeatures(planted, positive=False).fit(images, labels, verbose=0)
    x = describe([tf.constant(images)], "l2sq", "l1", True).numpy()
    point = features.path([1000])[0]
    assert point.accuracy < 0.45
    assert ((x @ point.weights).argmax(1) == labels).mean() > point.accuracy


def test_mu_is_chosen_as_small_as_it_may_be(planted, noisy, monkeypatch):
    features = fitted(planted, noisy)
    points = features.path()
    best = max(point.accuracy for point in points)
    assert features.mu_ <= next(point.mu for point in points if point.accuracy == best)
    np.testing.assert_array_equal(features.weights_, fitted(planted, noisy, mu=features.mu_).weights_)
    monkeypatch.setattr(gram, "SHARE", 0)
    with pytest.warns(UserWarning, match="so mu is 1"):
        assert fitted(planted, noisy).mu_ == 1
    assert np.isnan(fitted(planted, noisy, mu=1).path([1])[0].accuracy)


def test_a_bound_is_too_small_if_its_features_classify_worse_by_more_than_chance(monkeypatch):
    sums = Sums(*(np.zeros(0),) * 4, held=np.zeros((100, 1)), held_labels=np.zeros((100, 2)))
    for wrong, chosen in ([9, 3, 0, 0], 2), ([4, 0, 0, 0], 2), ([3, 0, 0, 0], 1), ([0, 0, 0, 0], 1), ([30, 9, 5, 2], 5):
        hits = np.array([np.arange(100) >= count for count in wrong])
        monkeypatch.setattr(bounds, "MUS", (1, 2, 5, 10))
        monkeypatch.setattr(bounds, "correct", lambda *_, hits=hits: hits)
        assert bounds.choose(sums, True) == chosen


def test_what_features_tell_apart_is_what_a_linear_discriminant_does():
    random = np.random.default_rng(1)
    labels = random.choice(3, 400, p=[0.2, 0.3, 0.5])
    rows = random.normal(size=(3, 6))[labels] + random.normal(size=(400, 6)) @ random.normal(size=(6, 6))
    rows = rows.astype(np.float32)
    stream = Stream([6], 3, seed=0)
    stream.add(rows, np.eye(3, dtype=np.float32)[labels])
    sums = stream.close()
    held = (rows[:, None] == sums.held).all(2).any(1)
    found = []
    for features in ([0], [1, 4], [0, 2, 3, 5], list(range(6))):
        judge = LinearDiscriminantAnalysis(solver="lsqr").fit(rows[~held][:, features], labels[~held])
        found.append(discriminant.correct(sums, np.array(features)).mean())
        assert found[-1] == pytest.approx(judge.score(rows[held][:, features], labels[held]), abs=1.5 / held.sum())
    assert found[-1] > found[0]
    assert discriminant.correct(sums, np.array([], int)).mean() == (labels[held] == 2).mean()  # the largest class


def test_rows_with_several_labels_count_for_each():
    """Two independent labels: a feature of its own tells each of them."""
    random = np.random.default_rng(1)
    own = random.random((400, 2)) < 0.5
    labels = np.concatenate([own, ~own.any(1, keepdims=True)], 1).astype(np.float32)
    rows = (labels + 0.1 * random.normal(size=labels.shape)).astype(np.float32)
    stream = Stream([3], 3, seed=0)
    stream.add(rows, labels)
    sums = stream.close()
    assert discriminant.correct(sums, np.arange(3)).mean() > 0.93
    assert discriminant.correct(sums, np.array([2])).mean() < 0.9


# report and files


def test_the_report_names_layers_and_features(planted, noisy):
    names = ["rose", "lily", "iris", "aster"]
    images, labels = noisy[0][noisy[1] != 3], noisy[1][noisy[1] != 3]
    features = tfxai.RelevantFeatures(planted, mu=5, classes=names).fit(images, labels, verbose=0)
    lines = features.report(top=1).splitlines()
    assert "for 3 classes, mu = 5" in lines[0]
    (iris,) = [line for line in lines if line.startswith("iris")]
    share = features.weights_[2, 2] / features.weights_[:, 2].sum()
    assert f"copy 2 ({share:.0%})" in iris
    assert str(features.counts_[2]) in iris
    assert not any(line.startswith("aster") for line in lines)
    assert lines[-1] == "1 classes have no images, so no features."


def test_saved_and_loaded_it_is_the_same(planted, noisy, tmp_path):
    features = fitted(planted, noisy, mu=3, response="l2", positive=False)
    features.save(tmp_path / "features")
    loaded = tfxai.RelevantFeatures.load(tmp_path / "features.npz", planted)
    assert loaded.features_ == features.features_
    assert loaded.report() == features.report()
    assert (loaded.response, loaded.positive, loaded.mu_) == ("l2", False, 3)
    np.testing.assert_array_equal(
        loaded.descriptors({"copy": tf.constant(noisy[0])}), features.descriptors({"copy": tf.constant(noisy[0])})
    )
    with pytest.raises(ValueError, match="files do not hold them"):
        loaded.path()


def test_files_that_hold_something_else(planted, plain, noisy, tmp_path):
    with pytest.raises(ValueError, match="holds no relevant features"):
        tfxai.RelevantFeatures.load(tmp_path / "missing", planted)
    fitted(planted, noisy).save(tmp_path / "features")
    with pytest.raises(ValueError, match="Unknown layer 'copy'"):
        tfxai.RelevantFeatures.load(tmp_path / "features", plain)


# errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mu": 0}, "mu"),
        ({"mu": "best"}, "mu"),
        ({"mu": float("nan")}, "mu"),
        ({"response": "max"}, "response"),
        ({"layer_norm": "l2"}, "layer_norm"),
        ({"layers": []}, "at least one layer"),
        ({"layers": "copy"}, "list"),
        ({"layers": ["copie"]}, "Did you mean 'copy'"),
    ],
)
def test_options_that_do_not_exist(planted, options, message):
    with pytest.raises(ValueError, match=message):
        tfxai.RelevantFeatures(planted, **options)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "labels are missing"),
        ("true", "predicted"),
        (np.zeros(199, int), "200 images"),
        (np.full(200, CLASSES), "from 0 to 3"),
        (np.full(200, -1), "from 0 to 3"),
        (np.full(200, 0.5), "from 0 to 3"),
        (np.full(200, np.nan), "finite"),
        (np.zeros((200, 3)), r"\(n,\) or \(n, 4\)"),
        (np.full((200, 4), 2), "0 or 1"),
        (["rose"] * 200, "finite numbers"),
    ],
)
def test_labels_that_do_not_fit(planted, noisy, labels, message):
    with pytest.raises(ValueError, match=message):
        fitted(planted, (noisy[0], labels))


def test_datasets_that_do_not_fit(planted, noisy):
    images = tf.data.Dataset.from_tensor_slices(noisy[0])
    features = tfxai.RelevantFeatures(planted)
    with pytest.raises(ValueError, match="no labels"):
        features.fit(images.batch(50), verbose=0)
    with pytest.raises(ValueError, match="got 100 for at least 150"):
        features.fit(images.batch(50), noisy[1][:100], verbose=0)
    with pytest.raises(ValueError, match="each of 200 images, got 250"):
        features.fit(images.batch(50), np.zeros(250, int), verbose=0)
    with pytest.raises(ValueError, match="infinite"):
        features.fit(images.batch(50).repeat(), "predicted")
    with pytest.raises(ValueError, match="empty"):
        features.fit(images.batch(50).take(0), "predicted")


def test_images_with_nan(planted, noisy):
    images = noisy[0].copy()
    images[3, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fitted(planted, (images, noisy[1]))


def test_before_fit(planted, noisy):
    features = tfxai.RelevantFeatures(planted)
    for use in (features.report, features.path, lambda: features.save("x"), lambda: features.explain(noisy[0])):
        with pytest.raises(ValueError, match=r"call fit\(images, labels\) first"):
            use()


def test_class_weights_that_do_not_fit(planted, noisy):
    for wrong in ([1, 2], [1, 1, 1, 0]):
        with pytest.raises(ValueError, match="4 positive numbers"):
            fitted(planted, noisy, class_weight=wrong)


def test_too_many_channels_name_layers_to_choose(planted, noisy, monkeypatch):
    monkeypatch.setattr("tfxai.neurons.descriptor.MOST_FEATURES", 20)
    model = keras.Sequential([keras.Input((6, 6, 8))])
    for name in ("first", "second", "third"):
        model.add(layers.Conv2D(8, 1, activation="relu", name=name))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(CLASSES))
    with pytest.raises(ValueError, match=r"24 channels.*the last 2, from 'second' on"):
        fitted(model, noisy)
    assert fitted(model, noisy, layers=["second", "third"]).channels_ == (8, 8)


def test_models_without_layers_or_features(noisy):
    with pytest.raises(ValueError, match="needs gradients or layers"):
        fitted(lambda x: np.zeros((len(x), CLASSES)), noisy)
    linear = keras.Sequential([keras.Input((6, 6, 8)), layers.Flatten(), layers.Dense(CLASSES)])
    with pytest.raises(ValueError, match="so no features"):
        fitted(linear, noisy)


# real networks


def test_squeezenet(data):
    model = keras.models.load_model(data / "models" / "squeezenet_v1_0.keras", compile=False)
    images = np.random.default_rng(0).normal(0, 50, (2, 227, 227, 3))
    features = tfxai.RelevantFeatures(model, mu=1).fit(images, "predicted", verbose=0)
    assert len(features.layers_) == 25  # three in each of eight modules, and the first; not the classes' own
    assert len(features.weights_) == 2976
