"""Input resampling against two passes in NumPy, against networks whose answer is known, and its invariants."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfxai.resampling import moments
from tfxai.resampling.clouds import CLOUDS, normal, open_cloud, superpixels
from tfxai.resampling.resampling import InputResampling
from tfxai.resampling.scores import METRICS

N = 11
LAYERS = ("relu1", "relu3", "relu4")


def waves(x, seed):
    """A perturbation without random numbers, which XLA draws in its own way."""
    phase = tf.reshape(tf.range(x.shape[1:].num_elements(), dtype=tf.float32), x.shape[1:])
    return x + 0.5 * tf.cos(phase * tf.cast(seed[1], tf.float32))


def cloud_of(x: np.ndarray) -> np.ndarray:
    """(N, n, ...) copies, made one by one."""
    return np.stack([x, *(waves(tf.constant(x), tf.constant([0, i], tf.int64)).numpy() for i in range(1, N))])


def resampling(model, **options) -> InputResampling:
    return InputResampling(model, **{"layers": LAYERS, "perturbation": waves, "samples": N, "activity": 0.02} | options)


SMALL = ("relu1", "relu2")


@pytest.fixture(scope="module")
def waving(small):
    return resampling(small, layers=SMALL)


@pytest.fixture(scope="module")
def two_pass(residual, x):
    """Activations of all copies of three images, (N, n, sites, channels) by layer, and their logits and distances."""
    submodel = keras.Model(residual.input, [*(residual.get_layer(name).output for name in LAYERS), residual.output])
    copies = cloud_of(x[:3])
    *maps, logits = submodel.predict(copies.reshape(-1, *x.shape[1:]), verbose=0)
    maps = {k: a.reshape(N, 3, -1, a.shape[-1]).astype(np.float64) for k, a in zip(LAYERS, maps, strict=True)}
    level = np.sqrt(np.square(copies - x[:3]).mean((2, 3, 4)))
    return maps, logits.reshape(N, 3, -1).astype(np.float64), level.astype(np.float64)


def pearson(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, sites, channels) correlation over the first axis; NaN for what is constant."""
    a, y = a - a.mean(0), (y - y.mean(0))[:, :, None, None]
    with np.errstate(invalid="ignore"):
        r = (a * y).sum(0) / np.sqrt((a**2).sum(0) * (y**2).sum(0))
    return np.where((a**2).sum(0) > 0, r, np.nan)


REDUCE = {
    "mean": lambda r, peak: np.nanmean(r, 1),
    "max": lambda r, peak: np.nanmax(r, 1),
    "peak": lambda r, peak: np.take_along_axis(r, peak[:, None], 1)[:, 0],
}


@pytest.mark.parametrize("spatial", REDUCE)
@pytest.mark.filterwarnings("ignore:All-NaN slice", "ignore:Mean of empty slice")
def test_one_stream_is_two_passes_in_numpy(residual, x, two_pass, spatial):
    maps, logits, level = two_pass
    result = resampling(residual, spatial=spatial, maps=True)(x[:3], target=2, batch_size=4, verbose=0)
    y = logits[:, :, 2]
    np.testing.assert_allclose(result.score, y[0], rtol=1e-5)
    np.testing.assert_allclose(result.spread, y.std(0), rtol=1e-4)
    for layer, a in maps.items():
        peak = a[0].argmax(1)
        r, r_level = pearson(a, y), pearson(a, level)
        between = pearson(y[:, :, None, None], level)
        partial = (r - r_level * between) / np.sqrt((1 - r_level**2) * (1 - between**2))
        reduce = REDUCE[spatial]
        close = {"rtol": 1e-5, "atol": 1e-5}
        np.testing.assert_allclose(result.scores["correlation"][layer], reduce(abs(r), peak), **close)
        np.testing.assert_allclose(
            result.scores["partial_correlation"][layer], reduce(abs(partial), peak), rtol=1e-4, atol=1e-4
        )
        variance = reduce(a.var(0), peak)
        active = (a.mean((0, 2)) >= 0.02) & (variance > 0)
        np.testing.assert_allclose(
            result.scores["precision"][layer], np.where(active, 1 / np.where(active, variance, 1), np.nan), rtol=1e-4
        )
        np.testing.assert_allclose(result.activity[layer], a.mean((0, 2)), **close)
        np.testing.assert_allclose(result.scores["activation_sum"][layer], a[0].sum(1), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(result.scores["activation_var"][layer], a[0].var(1), rtol=1e-4, atol=1e-6)
        width = residual.get_layer(layer).output.shape[2]
        np.testing.assert_array_equal(result.peaks[layer], np.stack([peak // width, peak % width], -1))
        np.testing.assert_allclose(result.maps["correlation"][layer].reshape(r.shape), r, **close)
        np.testing.assert_allclose(result.maps["variance"][layer].reshape(r.shape), a.var(0), rtol=1e-4, atol=1e-6)
        assert np.nanmax(result.scores["correlation"][layer]) <= 1


def test_moments_where_single_precision_would_cancel():
    """A deviation a ten-thousandth of the mean, in batches, and copies that do not count."""
    random = np.random.default_rng(0)
    a = (1e3 + 0.1 * random.normal(size=(2, 40, 30))).astype(np.float32)
    t = random.normal(size=(2, 40, 3)).astype(np.float32)
    order = random.permutation(40)
    found = []
    for rows in (np.arange(40), order):
        columns = moments.start_columns(tf.constant(t[:, 0]))
        units = (moments.start_units(tf.constant(a[:, 0]), columns),)
        for start in range(0, 40, 8):
            some = rows[[*range(start, start + 8), 0, 1]]
            weights = tf.constant([1.0] * 8 + [0.0] * 2)
            columns, units = moments.add(columns, units, tf.constant(t[:, some]), [tf.constant(a[:, some])], weights)
        found.append((columns, units[0]))
    columns, units = found[0]
    a, t = a.astype(np.float64), t.astype(np.float64)
    da, dt = a - a.mean(1, keepdims=True), t - t.mean(1, keepdims=True)
    np.testing.assert_allclose(columns.mean, t.mean(1), atol=1e-6)
    np.testing.assert_allclose(columns.products, np.einsum("nkm,nkp->nmp", dt, dt), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(units.mean, a.mean(1), rtol=1e-6)
    np.testing.assert_allclose(units.squares, (da**2).sum(1), rtol=1e-3)
    np.testing.assert_allclose(units.products, np.einsum("nkm,nku->nmu", dt, da), atol=5e-3)
    for one, other in zip((columns.mean, units.squares), (found[1][0].mean, found[1][1].squares), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-5)  # the order of copies changes nothing


def test_batches_images_and_seeds(residual, x):
    explainer = resampling(residual, perturbation="multiplicative", sigma=0.3, effect=True)
    together = explainer(x[:3], target=[1, 0, 2], batch_size=32, verbose=0)
    alone = [explainer(x[i : i + 1], target=t, batch_size=3, verbose=0) for i, t in enumerate([1, 0, 2])]
    for metric in (*METRICS[:4], "regression", "effect"):
        for layer in LAYERS:
            parts = np.concatenate([one.scores[metric][layer] for one in alone])
            np.testing.assert_allclose(together.scores[metric][layer], parts, rtol=1e-3, atol=1e-4)
    several = explainer(x[:2], target=[[1, 3], [3, 0]], verbose=0)
    assert several.target.tolist() == [1, 3, 3, 0]
    np.testing.assert_allclose(
        several.scores["correlation"]["relu3"][0], together.scores["correlation"]["relu3"][0], atol=1e-4
    )
    streamed = explainer(tf.data.Dataset.from_tensor_slices(x[:3]).batch(2), target=[1, 0, 2], verbose=0)
    np.testing.assert_allclose(streamed.scores["precision"]["relu3"], together.scores["precision"]["relu3"], rtol=1e-4)
    explainer.seed = 5
    other = explainer(x[:3], target=[1, 0, 2], verbose=0)
    assert np.nanmax(abs(other.scores["correlation"]["relu3"] - together.scores["correlation"]["relu3"])) > 0.01
    explainer.seed = 0
    again = explainer(x[:3], target=[1, 0, 2], verbose=0)
    np.testing.assert_array_equal(again.scores["correlation"]["relu3"], together.scores["correlation"]["relu3"])


def test_the_predicted_class_is_that_of_the_image(waving, small, x):
    result = waving(x[:3], verbose=0)
    classes = small.predict(x[:3], verbose=0).argmax(1)
    np.testing.assert_array_equal(result.target, classes)
    given = waving(x[:3], target=classes, verbose=0)
    np.testing.assert_array_equal(result.scores["correlation"]["relu2"], given.scores["correlation"]["relu2"])


def test_saved_models_and_xla(waving, small, x, tmp_path):
    plain = waving(x[:2], verbose=0)
    small.export(tmp_path / "saved", verbose=False)
    saved = resampling(str(tmp_path / "saved"), layers=SMALL)(x[:2], verbose=0)
    compiled = resampling(small, layers=SMALL, jit_compile=True)(x[:2], verbose=0)
    for metric in METRICS[:5]:
        for layer in SMALL:
            expected = plain.scores[metric][layer]
            np.testing.assert_allclose(saved.scores[metric][layer], expected, rtol=1e-5, atol=1e-6)
            # XLA rounds in its own way, so a site may be active by a hair in one of the two only
            np.testing.assert_allclose(compiled.scores[metric][layer], expected, rtol=1e-3, atol=2e-3)


def test_default_layers_and_a_fixed_batch(x):
    inputs = keras.Input((16, 16, 3), batch_size=2)
    whole = networks.known("small")
    fixed = keras.Model(inputs, whole(inputs))
    free = InputResampling(whole, perturbation=waves, samples=N)(x[:3], verbose=0)
    assert free.layers == SMALL
    found = InputResampling(fixed, perturbation=waves, samples=N)(x[:3], verbose=0)
    assert len(found) == 3
    for (_, ours), (_, theirs) in zip(
        found.scores["correlation"].items(), free.scores["correlation"].items(), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


# networks whose answer is known


def spatial(inputs: int = 8, height: int = 24) -> keras.Model:
    """Maps that are the input's; the classes are means of the first two."""
    x = given = keras.Input((height, height, inputs))
    x = layers.Conv2D(inputs, 1, use_bias=False, name="copy")(x)
    model = keras.Model(given, layers.Dense(2, use_bias=False, name="out")(layers.GlobalAveragePooling2D()(x)))
    model.get_layer("copy").set_weights([np.eye(inputs, dtype=np.float32)[None, None]])
    model.get_layer("out").set_weights([np.eye(inputs, 2, dtype=np.float32)])
    return model


def shared(x, seed):
    """Noise that moves whole maps; channels 0 and 3 alike."""
    noise = tf.random.stateless_normal([1, 1, x.shape[-1]], seed)
    return x + 0.2 * tf.gather(noise, [0, 1, 2, 0, 4, 5, 6, 7], axis=-1)


@pytest.mark.parametrize("spatial_", ["mean", "peak"])
def test_effects_are_those_of_ablation_where_the_output_is_linear(spatial_):
    """Channel 3 goes along with channel 0, and does nothing."""
    model = spatial(height=4)
    weights = np.float32([2, -1, 0.5, 0, 0.2, 0, 0, 3])
    model.get_layer("out").set_weights([np.stack([weights, 0 * weights], 1)])
    image = np.random.default_rng(0).random((1, 4, 4, 8)).astype(np.float32) + 1
    options = {"perturbation": shared, "samples": 40, "spatial": spatial_, "sites": None, "effect": True}
    result = InputResampling(model, ["copy"], **options)(image, target=0, batch_size=16, verbose=0)
    copies = np.stack([image[0], *(shared(image[0], [0, i]) for i in range(1, 40))])
    peaks = np.unravel_index(image[0].reshape(16, 8).argmax(0), (4, 4))
    seen = copies.mean((0, 1, 2)) if spatial_ == "mean" else copies.mean(0)[(*peaks, range(8))] / 16
    truth = abs(weights * seen)  # the mean over copies of what the output loses without the channel, or the unit
    np.testing.assert_allclose(result.scores["effect"]["copy"][0], truth, rtol=1e-4, atol=1e-6)
    clean = result.ablate(("effect",), top=1, units=True).changes["effect"] if spatial_ == "peak" else None
    if clean is not None:
        np.testing.assert_allclose(clean, 3 * image[0][..., 7].max() / 16, rtol=1e-4)
    correlation, regression = (result.scores[metric]["copy"][0] for metric in ("correlation", "regression"))
    assert correlation[3] == pytest.approx(correlation[0], abs=1e-4)
    assert regression[3] > 0.5 * regression[0]  # which goes along is not told from causes


def test_regression_is_the_loss_that_a_line_foretells():
    """Independent noise of many copies: the slope of each map is its weight."""
    model = spatial(height=4)
    model.get_layer("out").set_weights([np.float32([[2, 1], [-1, 1], *[[0.5, 0]] * 6])])

    def shifts(x, seed):
        return x + 0.1 * tf.random.stateless_normal([1, 1, x.shape[-1]], seed)

    image = 1 + np.arange(8, dtype=np.float32) * np.ones((1, 4, 4, 1), np.float32)
    result = InputResampling(model, ["copy"], perturbation=shifts, samples=3000)(image, 0, 1000, verbose=0)
    truth = np.arange(1, 9) * [2, 1, *[0.5] * 6]
    np.testing.assert_allclose(result.scores["regression"]["copy"][0], truth, rtol=0.2)


def test_a_channel_that_is_the_output_has_correlation_one():
    """Noise that moves a whole map at once: its sites, and so the output, are the same."""

    def shifts(x, seed):
        return x + tf.random.stateless_normal([1, 1, x.shape[-1]], seed)

    result = InputResampling(spatial(), ["copy"], perturbation=shifts, samples=200)(
        np.ones((1, 24, 24, 8)), target=1, verbose=0
    )
    for metric in ("correlation", "partial_correlation"):
        scores = result.scores[metric]["copy"][0]
        assert scores[1] == pytest.approx(1, abs=1e-4)
        assert np.delete(scores, 1).max() < 0.5
    assert result.top("correlation", 1)["copy"].tolist() == [[1]]


def test_independent_noise_has_the_chance_level():
    """The output is the mean of one map; the sites of the others are noise of their own."""
    for n in (50, 200):
        result = InputResampling(
            spatial(height=40), ["copy"], perturbation="additive", samples=n, activity=0, sites=None
        )(np.random.default_rng(0).random((1, 40, 40, 8)), target=0, verbose=0)
        assert result.chance == pytest.approx(np.sqrt(2 / (np.pi * n)))
        np.testing.assert_allclose(result.scores["correlation"]["copy"][0, 1:], result.chance, rtol=0.06)
        # additive noise of one strength has the same variance everywhere
        np.testing.assert_allclose(result.scores["precision"]["copy"][0], 100 * n / (n - 1), rtol=0.08)


def test_p_values():
    def shifts(x, seed):
        return x + tf.random.stateless_normal([1, 1, x.shape[-1]], seed)

    options = {"samples": 30, "permutations": 99, "activity": 0}
    result = InputResampling(spatial(60, 3), ["copy"], perturbation=shifts, **options)(
        np.ones((1, 3, 3, 60)), target=0, verbose=0
    )
    for metric in ("correlation", "partial_correlation"):
        p = result.p_values[metric]["copy"][0]
        assert p[0] == pytest.approx(0.01)
        assert 0.35 < p[1:].mean() < 0.65  # uniform where there is nothing
        assert (p[1:] < 0.1).mean() < 0.25
    without = InputResampling(spatial(60, 3), ["copy"], perturbation=shifts, samples=30)(
        np.ones((1, 3, 3, 60)), target=0, verbose=0
    )
    assert not without.p_values
    np.testing.assert_allclose(without.scores["correlation"]["copy"], result.scores["correlation"]["copy"], atol=1e-5)


def test_partial_correlation_takes_the_ramp_out():
    """Two maps that only share the level of noise: sizes grow with it, and nothing else goes together."""

    def drift(x, seed):
        level = tf.cast(seed[1], tf.float32)
        own = tf.random.stateless_normal([1, 1, x.shape[-1]], seed)
        return x + level * (1 + 0.05 * own)

    result = InputResampling(spatial(4, 3), ["copy"], perturbation=drift, samples=100)(
        np.ones((1, 3, 3, 4)), target=0, verbose=0
    )
    assert result.scores["correlation"]["copy"][0].min() > 0.98
    assert result.scores["partial_correlation"]["copy"][0, 0] == pytest.approx(1, abs=1e-2)
    assert result.scores["partial_correlation"]["copy"][0, 2:].max() < 0.5


def test_affine_changes_of_the_output_do_not_matter(waving, x):
    plain = waving(x[:2], target=lambda y: y[:, 1], verbose=0)
    other = waving(x[:2], target=lambda y: 2 - 3 * y[:, 1], verbose=0)
    for layer in SMALL:
        np.testing.assert_allclose(other.scores["correlation"][layer], plain.scores["correlation"][layer], atol=1e-4)


def test_precision_goes_with_the_inverse_square_of_the_scale():
    image = np.random.default_rng(0).random((1, 24, 24, 8)) + 1
    model = spatial()
    plain = InputResampling(model, ["copy"], samples=20)(image, target=0, verbose=0)
    model.get_layer("copy").set_weights([3 * np.eye(8, dtype=np.float32)[None, None]])
    scaled = InputResampling(model, ["copy"], samples=20)(image, target=0, verbose=0)
    np.testing.assert_allclose(9 * scaled.scores["precision"]["copy"], plain.scores["precision"]["copy"], rtol=1e-4)
    np.testing.assert_array_equal(scaled.top("precision", 8)["copy"], plain.top("precision", 8)["copy"])
    np.testing.assert_allclose(scaled.scores["correlation"]["copy"], plain.scores["correlation"]["copy"], atol=1e-5)


def test_probabilities_of_two_classes_have_the_same_influence():
    image = np.random.default_rng(0).random((1, 24, 24, 8))
    model = spatial()
    model = keras.Model(model.input, layers.Softmax()(model.output))
    explainer = InputResampling(model, ["copy"], perturbation="additive", samples=20, score="probability")
    first, second = (explainer(image, target=t, verbose=0).scores["correlation"]["copy"] for t in (0, 1))
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_weights_of_the_kernel(residual, x):
    result = InputResampling(residual, ["relu1", "relu4"], samples=5, activity=0)(x[:2], verbose=0)
    for layer, conv in (("relu1", "conv1"), ("relu4", "conv4")):
        kernel = residual.get_layer(conv).kernel.numpy().reshape(-1, residual.get_layer(conv).filters)
        for row in (0, 1):
            np.testing.assert_allclose(result.scores["weight_sum"][layer][row], kernel.sum(0), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(result.scores["weight_var"][layer][row], kernel.var(0), rtol=1e-4)
    with pytest.raises(ValueError, match=r"relu3.*have no kernel of their own"):
        InputResampling(residual, ["relu1", "relu3"], samples=5, activity=0)(x[:1], verbose=0).top("weight_sum")


def test_kernels_of_other_layers():
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((8, 8, 3))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="silu", name="depthwise")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Dense(5, activation="silu", name="dense")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(2, name="out")(x))
    image = np.random.default_rng(0).random((1, 8, 8, 3))
    result = InputResampling(model, ["depthwise", "dense"], samples=5, activity=0)(image, verbose=0)
    kernels = [model.get_layer(name).kernel.numpy() for name in ("depthwise", "dense")]
    for layer, kernel in zip(("depthwise", "dense"), (kernels[0].reshape(9, 6), kernels[1]), strict=True):
        np.testing.assert_allclose(result.scores["weight_sum"][layer][0], kernel.sum(0), rtol=1e-4, atol=1e-5)
    pooled = InputResampling(model, ["pool"], samples=5, activity=0)(image, verbose=0)
    with pytest.raises(ValueError, match="no kernel"):
        pooled.top("weight_var")


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_fewer_sites(residual, x, two_pass):
    maps, logits, _ = two_pass
    result = resampling(residual, sites=40)(x[:3], target=2, verbose=0)  # 16 x 16 by 3, and 8 x 8 by 2
    for layer, step, width in (("relu1", 3, 16), ("relu4", 2, 8)):
        a = maps[layer].reshape(N, 3, width, width, -1)[:, :, ::step, ::step].reshape(N, 3, -1, maps[layer].shape[-1])
        expected = np.nanmean(abs(pearson(a, logits[:, :, 2])), 1)
        np.testing.assert_allclose(result.scores["correlation"][layer], expected, atol=1e-5)


# degenerate clouds


def test_an_output_that_is_the_same_for_all_copies():
    model = spatial()
    model.get_layer("out").set_weights([np.zeros((8, 2), np.float32)])
    with pytest.warns(UserWarning, match=r"same for all copies of the images \[0, 1\].*Raise sigma"):
        result = InputResampling(model, ["copy"], samples=10)(np.ones((2, 24, 24, 8)), target=0, verbose=0)
    assert not result.spread.any()
    for metric in ("correlation", "partial_correlation"):
        assert np.isnan(result.scores[metric]["copy"]).all()
        assert (result.top(metric)["copy"] == -1).all()
    assert (result.top("precision")["copy"] >= 0).all()
    assert not any(any(one.values()) for one in result.compare().sets(0)[::2])
    assert not result.patches("correlation")["copy"].any()


def test_dead_channels_and_dead_layers():
    image = np.random.default_rng(0).random((1, 24, 24, 8)).astype(np.float32) + 1
    image[..., 3] = 0  # under multiplicative noise it stays
    result = InputResampling(spatial(), ["copy"], samples=10)(image, target=0, verbose=0)
    for metric in ("correlation", "precision"):
        assert np.flatnonzero(np.isnan(result.scores[metric]["copy"][0])).tolist() == [3]
        assert result.top(metric, 8)["copy"][0, -1] == -1
        assert 3 not in result.top(metric, 8)["copy"]
    with pytest.warns(UserWarning, match=r"No channel of copy is active enough.*relative=True"):
        faint = InputResampling(spatial(), ["copy"], samples=10)(image / 1000, target=0, verbose=0)
    assert (faint.top("precision")["copy"] == -1).all()
    assert (faint.top("correlation", 3)["copy"] >= 0).all()
    relative = InputResampling(spatial(), ["copy"], samples=10, relative=True)(image / 1000, target=0, verbose=0)
    np.testing.assert_array_equal(relative.top("precision", 7)["copy"], result.top("precision", 7)["copy"])


def test_channels_that_are_too_quiet_for_a_precision():
    image = np.ones((1, 24, 24, 8), np.float32) * np.float32([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    options = {"perturbation": "multiplicative", "sigma": 0.01, "samples": 10}
    absolute = InputResampling(spatial(), ["copy"], activity=0.35, **options)(image, target=0, verbose=0)
    assert np.flatnonzero(np.isnan(absolute.scores["precision"]["copy"][0])).tolist() == [0, 1, 2]
    relative = InputResampling(spatial(), ["copy"], activity=1, relative=True, **options)(image, target=0, verbose=0)
    assert np.flatnonzero(np.isnan(relative.scores["precision"]["copy"][0])).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 2}, "at least 3 copies"),
        ({"sigma": 0}, "sigma to be positive"),
        ({"sigma": -1}, "sigma to be positive"),
        ({"perturbation": "blur"}, "multiplicative_ramp"),
        ({"spatial": "median"}, "spatial to be one of"),
        ({"activity": -1}, "activity to be 0 or more"),
        ({"permutations": -3}, "permutations to be a positive integer"),
        ({"sites": 0}, "sites to be a positive integer"),
        ({"clip": (1, 0)}, "lowest and the highest"),
        ({"layers": "relu1"}, "list of at least one layer"),
        ({"layers": ["relu11"]}, "Did you mean 'relu1'"),
    ],
)
def test_options_that_do_not_fit(residual, options, message):
    with pytest.raises(ValueError, match=message):
        InputResampling(residual, **options)


def test_targets_and_models_that_do_not_fit(residual, x):
    with pytest.raises(ValueError, match="one target for each of the 3 inputs, got 2"):
        resampling(residual)(x[:3], target=[0, 1], verbose=0)
    with pytest.raises(ValueError, match="0 to 4"):
        resampling(residual)(x[:1], target=7, verbose=0)
    with pytest.raises(ValueError, match="no layers to look into"):
        InputResampling(lambda x: np.zeros((len(x), 2)))
    with pytest.raises(ValueError, match="to return images of shape"):
        resampling(residual, perturbation=lambda x, seed: x[:, 1:])(x[:1], verbose=0)
    with pytest.raises(ValueError, match="empty"):
        resampling(residual)(tf.data.Dataset.from_tensor_slices(x[:0]).batch(2), verbose=0)


# clouds


def copies(kind, x, sigma=0.3, clip=None, count=6):
    sample = open_cloud(kind, sigma, clip)(tf.constant(x))
    return np.stack([sample(tf.constant([4, i], tf.int64)) for i in range(count)])


@pytest.mark.parametrize("kind", [*CLOUDS, waves])
def test_the_first_copy_is_the_image_and_copies_do_not_depend_on_the_batch(x, kind):
    found = copies(kind, x[:3])
    np.testing.assert_array_equal(found[0], x[:3])
    assert all(np.abs(one - x[:3]).max() > 0 for one in found[1:])
    np.testing.assert_allclose(found[:, 1:2], copies(kind, x[1:2]), atol=1e-5)


def test_clouds_are_what_their_formulas_say(x):
    noise = np.stack([normal(tf.TensorShape(x.shape[1:]), tf.constant([4, i], tf.int64)) for i in range(6)])[:, None]
    i = np.arange(6.0).reshape(-1, 1, 1, 1, 1)
    np.testing.assert_allclose(
        copies("multiplicative_ramp", x[:2]), x[:2] * (1 + 0.3 * i * noise), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        copies("multiplicative", x[:2])[1:], (x[:2] * (1 + 0.3 * noise))[1:], rtol=1e-4, atol=1e-6
    )
    spread = np.ptp(x[:2], (1, 2, 3), keepdims=True)
    np.testing.assert_allclose(copies("additive", x[:2])[1:], (x[:2] + 0.3 * spread * noise)[1:], rtol=1e-4, atol=1e-5)
    clipped = copies("additive", x[:2], clip=(-0.2, 0.2))
    np.testing.assert_array_equal(clipped[1:], copies("additive", x[:2])[1:].clip(-0.2, 0.2))


def test_normal_numbers():
    found = normal(tf.TensorShape([101, 99, 3]), tf.constant([0, 1], tf.int64)).numpy().ravel()
    assert np.isfinite(found).all()
    for power, expected in ((1, 0), (2, 1), (3, 0), (4, 3)):
        assert (found**power).mean() == pytest.approx(expected, abs=0.12)
    lags = [np.corrcoef(found[:-k], found[k:])[0, 1] for k in (1, 2, len(found) // 2)]
    assert np.abs(lags).max() < 0.03


def test_superpixels_follow_colour():
    x = np.zeros((1, 28, 28, 3), np.float32)
    x[:, :, 14:] = 1
    x[:, 5:9, 5:9] = 0.5
    labels = superpixels(tf.constant(x))[0].numpy()
    assert 30 <= len(np.unique(labels)) <= 49
    purity = [len(np.unique(x[0, ..., 0][labels == one])) for one in np.unique(labels)]
    assert np.mean(np.array(purity) == 1) > 0.85
    found = copies("mask_superpixel", x, sigma=0.5, count=40)[1:]
    changed = (np.abs(found - x).max(-1) > 0)[:, 0]
    assert changed.mean() == pytest.approx(0.5, abs=0.1)
    one = changed[:, labels == labels[6, 6]]
    assert (one.all(1) | ~one.any(1)).all()  # regions go as a whole
    np.testing.assert_allclose(
        found[changed[:, None]], np.broadcast_to(x.mean((0, 1, 2)), (changed.sum(), 3)), rtol=1e-5
    )


def test_crops_are_parts_of_the_image():
    ramp = np.arange(30, dtype=np.float32)[None, :, None, None] * np.ones((1, 30, 30, 1), np.float32)
    for copy in copies("crop_shift", ramp, sigma=0.4)[1:]:
        rows = copy[0, :, 0, 0]
        assert rows[-1] - rows[0] == pytest.approx(17)  # 18 rows, enlarged
        assert rows[0] >= 0
        assert rows[-1] <= 29
        np.testing.assert_allclose(copy[0], np.repeat(copy[0, :, :1], 30, 1), atol=1e-5)
