"""Guided feature inversion: what it must find, when it stops, any layers, and cases in which there is no mask."""

import cv2
import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy.ndimage import gaussian_filter

import tfxai
from tfxai.inversion import PRESETS, Settings


def guided(model, layer=None, base_layer=None, **options):
    options = {"base_layer": base_layer, "inversion_steps": 5, "target_steps": 5} | options
    return tfxai.GuidedFeatureInversion(model, layer, **options)


def assert_finite(explanation):
    assert all(np.isfinite(x).all() for x in [explanation.values, *explanation.extras.values()])


@pytest.fixture(scope="module")
def on_small(small):
    """For tests that need nothing of their own."""
    return guided(small)


PATCHES = np.zeros((3, 16, 16), bool)
PATCHES[0, 2:6, 2:6] = PATCHES[1, 9:14, 8:12] = PATCHES[2, 3:6, 10:15] = True


def three_patches():
    """A network whose class k is the mean of channel k, and an image with a patch in each channel."""
    inputs = keras.Input((16, 16, 3))
    maps = layers.ReLU(name="maps")(inputs)
    outputs = layers.Rescaling(60.0)(layers.GlobalAveragePooling2D()(maps))
    return keras.Model(inputs, outputs), PATCHES.transpose(1, 2, 0)[None].astype("float32")


class TestEvidence:
    def test_each_class_finds_its_patch(self):
        """Several classes of an image; the first stage, which does not look at the class, shows all patches."""
        model, x = three_patches()
        explainer = tfxai.GuidedFeatureInversion(model, "maps", preset="paper", fill=0, objective="logit")
        explanation = explainer(x, [[0, 1, 2]])
        assert explanation.target.tolist() == [0, 1, 2]
        assert explanation.extras["weights"].argmax(1).tolist() == [0, 1, 2]
        for number in range(3):
            np.testing.assert_array_equal(explanation.values[number] > 0.5, PATCHES[number])
            np.testing.assert_array_equal(explanation.extras["inversion_values"][number] > 0.5, PATCHES.any(0))
        whole = explanation.extras["foreground"] + explanation.extras["background"]
        np.testing.assert_allclose(whole, np.repeat(x, 3, 0), atol=1e-6)

    def test_several_classes_equal_one_by_one(self, on_small, x):
        # With class 4 for the second image, Adam makes a step of a gradient that is 0 but for rounding.
        classes = [[0, 3], [2, 1], [2, 0], [1, 2]]
        together = on_small.explain(x, classes, batch_size=5, verbose=0)  # two images at a time
        for column in (0, 1):
            alone = on_small(x, np.array(classes)[:, column])
            np.testing.assert_array_equal(together.target[column::2], alone.target)
            np.testing.assert_allclose(together.score[column::2], alone.score, rtol=1e-5, atol=1e-6)
            for name in alone.extras:
                a, b = together.extras[name][column::2], alone.extras[name]
                np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * max(np.abs(b).max(), 1), err_msg=name)

    def test_first_stage_alone_knows_no_class(self, small, x):
        explainer = guided(small, stages="inversion")
        a, b = explainer(x, 0), explainer(x, 3)
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.values, a.extras["inversion_values"])
        assert not any("target" in name for name in a.extras)

    def test_second_stage_alone_starts_from_equal_weights(self, small, x):
        found = guided(small, stages="target", target_steps=1, channels="activations")(x, 0).extras
        assert not any("inversion" in name for name in found)
        np.testing.assert_allclose(found["weights"], 0.1)

    def test_evidence_is_layer_cam_times_hires_cam(self, plain, x):
        """The second stage starts from their product, each channel of it weighted as the first stage does."""
        found = guided(plain, "relu2", "relu1", channels="evidence", target_steps=1)(x)
        until = keras.Model(plain.inputs[0], plain.get_layer("relu1").output)
        with tf.GradientTape(persistent=True) as tape:
            fine = until(x)
            tape.watch(fine)
            coarse = plain.get_layer("relu2")(plain.get_layer("conv2")(plain.get_layer("pool1")(fine)))
            pooled = plain.get_layer("flatten")(plain.get_layer("pool2")(coarse))
            score = tf.reduce_max(plain.get_layer("dense")(pooled), 1)
        layer_cam = np.maximum(fine * tape.gradient(score, fine), 0)
        hires_cam = np.maximum((coarse * tape.gradient(score, coarse)).numpy().sum(-1), 0)
        where = np.stack([cv2.resize(one, layer_cam.shape[1:3]) for one in hires_cam])
        expected = layer_cam * where[..., None]
        mask = np.einsum("nhwc,nc->nhw", expected, found.extras["inversion_weights"])
        low, high = mask.min((1, 2), keepdims=True), mask.max((1, 2), keepdims=True)
        np.testing.assert_allclose(found.values, (mask - low) / (high - low), atol=1e-4)

    def test_no_evidence_leaves_the_activations(self, x):
        """A class that every channel speaks against."""
        inputs = keras.Input((16, 16, 3))
        maps = layers.Conv2D(4, 3, activation="relu", name="maps")(inputs)
        against = layers.Dense(2, kernel_initializer=lambda shape, dtype: tf.constant([[1.0, -1.0]] * 4, dtype))
        model = keras.Model(inputs, against(layers.GlobalAveragePooling2D()(maps)))
        explanation = guided(model, "maps", channels="evidence", target_steps=1)(x, 1)
        np.testing.assert_allclose(explanation.values, explanation.extras["inversion_values"], atol=1e-6)

    def test_evidence_in_one_of_the_layers_only(self, x):
        """Where the inversion layer knows nothing of the class, the base layer does without it."""
        inputs = keras.Input((16, 16, 3))
        maps = layers.Conv2D(4, 3, activation="relu", name="maps")(inputs)
        aside = layers.Conv2D(2, 3, name="aside")(maps)
        model = keras.Model(inputs, [layers.Dense(2)(layers.GlobalAveragePooling2D()(maps)), aside])
        options = {"channels": "evidence", "stages": "target", "target_steps": 1, "output": 0}
        with_it, without = (guided(model, layer, "maps", **options)(x, 1) for layer in ("aside", "maps"))
        np.testing.assert_array_equal(with_it.values, without.values)
        assert with_it.values.max() > 0.5

    def test_the_way_down(self, on_small, x):
        extras = on_small(x).extras
        assert (extras["weights"] >= 0).all()
        for stage, terms in (("inversion", ("error", "penalty")), ("target", ("foreground", "background", "penalty"))):
            total = extras[f"{stage}_history/total"]
            np.testing.assert_allclose(sum(extras[f"{stage}_history/{term}"] for term in terms), total, rtol=1e-5)
            assert (total.min(1) < total[:, 0]).all()

    def test_preprocessing_does_not_matter(self, small, x):
        """A model that takes its inputs in another scale, channel by channel, is explained alike."""
        scale, offset = np.float32([2, 0.5, 9]), np.float32([0.3, -0.2, 0.9])
        inputs = keras.Input((16, 16, 3))
        other = keras.Model(inputs, small((inputs - offset) / scale))
        a = guided(small, stages="target")(x, 1)
        b = guided(other, stages="target")(x * scale + offset, 1)
        np.testing.assert_allclose(a.values, b.values, atol=2e-3)


class TestStops:
    def test_each_image_stops_by_itself(self, small, x):
        """Which image stops when depends on no other; a history stays at what was last seen."""
        explainer = guided(
            small, channels="activations", target_steps=40, learning_rate=0.05, patience=3, tolerance=0.02
        )
        together = explainer(x, 1)
        steps = together.extras["target_steps"]
        assert len(set(steps)) > 1
        assert steps.max() < 40
        history = together.extras["target_history/total"]
        for number, last in enumerate(steps):
            np.testing.assert_array_equal(history[number, last - 1 :], history[number, last - 1])
            alone = explainer(x[number : number + 1], 1)
            assert alone.extras["target_steps"] == last
            np.testing.assert_allclose(alone.values[0], together.values[number], atol=1e-4)
            np.testing.assert_allclose(alone.extras["target_history/total"][0], history[number], rtol=1e-3, atol=1e-4)

    def test_best_or_last(self, small, x):
        """At a rate far too high, the best weights of a long way are those of a shorter one."""
        options = {"stages": "inversion", "learning_rate": 0.5, "decay": None}
        best, last = (guided(small, keep_best=keep, inversion_steps=9, **options)(x) for keep in (True, False))
        lowest = best.extras["inversion_history/total"].argmin(1)
        assert (lowest < 8).any()
        assert np.abs(best.values - last.values).max() > 0.01
        steps = int(lowest[0])  # updates that led to it
        if steps:
            again = guided(small, keep_best=False, inversion_steps=steps, **options)(x)
            np.testing.assert_allclose(again.extras["weights"][0], best.extras["weights"][0], rtol=1e-3, atol=1e-5)


class TestDegenerate:
    def test_nothing_is_ever_nan(self, on_small):
        rng = np.random.default_rng(0)
        x = rng.normal(0, rng.uniform(0, 3, (200, 1, 1, 1)), (200, 16, 16, 3))
        x[0], x[1], x[2], x[3] = 0, 0.7, -1e4, 1e4 * np.sign(x[3])
        x[4, ..., 1:] = 0
        x[5, 8, 8] = 1e5
        explanation = on_small.explain(x, verbose=0)
        assert_finite(explanation)
        assert explanation.values.min() >= 0
        assert explanation.values.max() <= 1
        assert explanation.extras["degenerate"][:3].all()
        assert (explanation.extras["degenerate"] == 0).sum() > 150

    def test_an_input_that_is_its_own_background(self, small, x):
        explanation = guided(small, fill=lambda x: x)(x, 1)
        assert explanation.extras["degenerate"].tolist() == [2] * 4
        assert explanation.extras["target_steps"].tolist() == [0] * 4
        np.testing.assert_allclose(explanation.extras["weights"], 0.1)
        assert_finite(explanation)

    def test_a_layer_without_positions_makes_no_mask(self, small, x):
        inputs = keras.Input((16, 16, 3))
        pooled = layers.GlobalAveragePooling2D(keepdims=True, name="pooled")(layers.Conv2D(4, 3, name="conv")(inputs))
        model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(pooled)))
        explanation = guided(model, "conv", "pooled")(x, 1)
        assert explanation.extras["degenerate"].tolist() == [1] * 4
        np.testing.assert_array_equal(explanation.values, 0)
        assert_finite(explanation)

    def test_weights_that_run_to_zero_are_brought_back(self, residual, x):
        """The paper's penalty beside a relative loss; see its preset."""
        options = {"loss": "relative", "decay": None, "inversion_steps": 30, "inversion_penalty": 1e3}
        explanation = guided(residual, preset="paper", stages="inversion", **options)(x)
        assert explanation.extras["degenerate"].tolist() == [3] * 4
        assert (explanation.extras["weights"].max(1) > 1e-6).all()
        assert (explanation.values.max((1, 2)) > 0.5).all()
        assert_finite(explanation)

    def test_losses_that_overflow(self, x):
        inputs = keras.Input((16, 16, 3))
        maps = layers.Rescaling(1e30, name="huge")(layers.Conv2D(4, 3, activation="relu", name="maps")(inputs))
        model = keras.Model(inputs, layers.GlobalAveragePooling2D()(maps))
        explanation = guided(model, "huge", "maps", preset="paper", stages="inversion")(x, 1)
        assert explanation.extras["degenerate"].tolist() == [3] * 4
        np.testing.assert_allclose(explanation.extras["weights"], 0.1)
        assert_finite(explanation)


def vgg():
    keras.utils.set_random_seed(0)
    parts = [keras.Input((16, 16, 3))]
    for name, filters in (("one", 4), ("two", 6)):
        parts += [layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"{name}_conv")]
        parts += [layers.MaxPooling2D(2, name=f"{name}_pool")]
    return keras.Sequential([*parts, layers.Dropout(0.5), layers.Flatten(), layers.Dense(3, activation="softmax")])


class TestLayers:
    def test_pooled_ones(self, residual, plain):
        """A last pooling is inverted and the maps before it make the mask; else one layer is both."""
        reads = {
            model: guided(make(), preset="paper").reads
            for model, make in {"vgg": vgg, "plain": lambda: plain, "residual": lambda: residual}.items()
        }
        assert reads == {"vgg": ("two_pool", "two_conv"), "plain": ("pool2", "relu2"), "residual": ("relu4", "relu4")}
        assert guided(plain, preset="authors").reads == ("pool2", "pool2")
        within = keras.Sequential([keras.Input((16, 16, 3)), plain])
        assert guided(within, "pool2", preset="paper").reads == ("pool2", "plain/relu2")
        chosen = guided(residual, residual.get_layer("gap"), "relu2", stages="inversion")
        assert chosen.reads == ("gap", "relu2")
        assert chosen(np.ones((1, 16, 16, 3)) * np.arange(16)[:, None, None]).values.max() == 1

    @pytest.mark.parametrize(
        ("relu", "expected"),
        [
            ("layers.ReLU", "fine"),
            ("keras.ops.relu", "relu_1"),
            ("Lambda tf.nn.relu", "fine"),
            ("subclass", "fine"),
            ("maximum", "fine"),
            ("keras.ops.maximum", "maximum_1"),
            ("high ceiling", "fine"),
        ],
    )
    def test_fine_ones(self, relu, expected):
        """The last maps without negative values that lead to the inversion layer and are not too small."""
        keras.backend.clear_session()
        inputs = x = keras.Input((26, 26, 3))
        x = layers.Conv2D(4, 3, padding="same", name="early")(x)
        x = layers.MaxPooling2D(2)(networks.SPELLINGS[relu]("rectified")(x))
        layers.Conv2D(4, 1, activation="relu", name="aside")(x)
        maps = networks.SPELLINGS[relu]("fine")(layers.Conv2D(4, 1, name="signed")(x))
        x = layers.Conv2D(4, 1, name="signed_too")(layers.ZeroPadding2D(1, name="padded")(maps))
        x = layers.ReLU(name="coarse")(layers.Conv2D(4, 3, 3, name="strided")(x))
        model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
        assert guided(model).reads == ("coarse", expected)

    def test_fine_ones_of_any_sign_or_none(self):
        """Without maps that are never negative any will do; without fine ones the rule is that of the paper."""
        inputs = keras.Input((26, 26, 3))
        x = layers.MaxPooling2D(2, name="pool")(layers.Conv2D(4, 3, activation="gelu", padding="same")(inputs))
        x = layers.Conv2D(4, 3, 3, activation="gelu", name="last")(x)
        model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
        assert guided(model).reads == ("last", "pool")
        small = keras.Sequential([keras.Input((8, 8, 3)), *[layers.Conv2D(2, 3, name="a"), layers.MaxPooling2D(2)]])
        assert guided(keras.Sequential([small, layers.Flatten(), layers.Dense(2)])).reads[1].endswith("a")

    def test_sizes_that_only_the_data_tell(self):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((None, None, 3))
        x = layers.Conv2D(4, 3, 2, padding="same", activation="relu", name="first")(inputs)
        x = layers.Conv2D(4, 3, 2, padding="same", activation="relu", name="second")(x)
        x = layers.Conv2D(4, 3, 2, padding="same", activation="relu", name="third")(x)
        model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
        for size, base in ((24, "first"), (48, "second")):
            images = np.random.default_rng(0).normal(size=(1, size, size, 3))
            explanation = guided(model, stages="inversion")(images)
            assert explanation.facts["base_layer"] == base
            assert explanation.values.shape == (1, size, size)

    def test_saved_models(self, small, x, tmp_path):
        model = vgg()
        for one, name in ((model, "vgg"), (small, "small")):
            one.export(tmp_path / name, verbose=False)
            assert guided(one).reads == guided(tmp_path / name).reads
        tmp_path = tmp_path / "vgg"
        ours, theirs = guided(model)(x, 1), guided(tmp_path)(x, 1)
        assert networks.settled(ours.facts) == networks.settled(theirs.facts)
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-4)
        np.testing.assert_allclose(ours.extras["weights"], theirs.extras["weights"], rtol=1e-3, atol=1e-5)

    def test_negative_activations_count_as_zero(self, small, x):
        before, after = (guided(small, "relu2", base, stages="inversion")(x) for base in ("conv2", "relu2"))
        np.testing.assert_allclose(before.values, after.values, atol=1e-5)

    def test_the_way_outputs_are_written_does_not_matter(self, small, x):
        options = {"stages": "target", "objective": "probability", "channels": "activations"}
        logits = guided(small, **options)(x, 1)
        with_softmax = keras.Sequential([small, layers.Softmax()])
        found = guided(with_softmax, score="probability", **options)(x, 1)
        np.testing.assert_allclose(found.values, logits.values, atol=1e-5)
        several = keras.Sequential([small, layers.Activation("sigmoid")])
        labels = guided(several, **options)(x, 1)
        assert np.abs(labels.values - logits.values).max() > 1e-4
        forced = guided(small, head="sigmoid", **options)(x, 1)
        np.testing.assert_allclose(labels.values, forced.values, atol=1e-5)

    def test_two_classes_written_as_one(self, x):
        inputs = keras.Input((16, 16, 3))
        maps = layers.Conv2D(4, 3, activation="relu")(inputs)
        logit = layers.Dense(1)(layers.GlobalAveragePooling2D()(maps))
        one = keras.Model(inputs, layers.Activation("sigmoid")(logit))
        two = keras.Model(inputs, layers.Softmax()(layers.Concatenate()([0 * logit, logit])))
        options = {"stages": "target", "channels": "activations", "classes": ("no", "yes")}
        as_one, as_two = (guided(model, **options) for model in (one, two))
        for target in (0, 1):
            np.testing.assert_allclose(as_one(x, target).values, as_two(x, target).values, atol=1e-4)


def test_presets_differ_and_options_override(small):
    assert set(PRESETS) == {"tfxai", "paper", "authors"}
    model = small
    changed = tfxai.GuidedFeatureInversion(model, preset="authors", target_steps=3, fill="noise").settings
    assert (changed.inversion_steps, changed.target_steps, changed.fill) == (11, 3, "noise")
    assert tfxai.GuidedFeatureInversion(model, preset=Settings(decay=None)).settings.decay is None
    assert PRESETS["authors"].target_steps == 69


@pytest.mark.parametrize("fill", ["blur", "mean", np.zeros(3, "f")])
def test_fills(fill):
    x = np.random.default_rng(0).uniform(size=(2, 224, 112, 3)).astype("float32")
    inputs = keras.Input((224, 112, 3))
    maps = layers.Conv2D(2, 9, 8, activation="relu")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(maps)))
    extras = guided(model, fill=fill, stages="inversion", inversion_steps=1)(x).extras
    found = extras["foreground"] + extras["background"] - x
    if isinstance(fill, str):
        mean = np.broadcast_to(x.mean((1, 2), keepdims=True), x.shape)
        expected = {"blur": gaussian_filter(x, (0, 5.5, 5.5, 0), mode="nearest", truncate=3), "mean": mean}
        np.testing.assert_allclose(found, expected[fill], atol=1e-4)
    else:
        np.testing.assert_allclose(found, np.broadcast_to(fill, x.shape), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "best"}, "preset"),
        ({"stages": "third"}, "stages"),
        ({"head": "relu"}, "head"),
        ({"loss": "l2"}, "loss"),
        ({"penalty": "l0"}, "penalty"),
        ({"objective": "score"}, "objective"),
        ({"scaling": "never"}, "scaling"),
        ({"target_steps": 0}, "target_steps"),
        ({"patience": 0.5}, "patience"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"target_penalty": -1.0}, "target_penalty"),
        ({"base_layer": "relu9"}, "relu9"),
    ],
)
def test_bad_options(small, options, message):
    with pytest.raises(ValueError, match=message):
        tfxai.GuidedFeatureInversion(small, **options)


def test_bad_inputs(residual, x):
    with pytest.raises(ValueError, match="one fill for each image, got 2"):
        guided(residual, fill=[0.0, 1.0])(x)
    with pytest.raises(ValueError, match=r"'dense'.*not a stack of maps"):
        guided(residual, "relu4", "dense")(x)
    with pytest.raises(TypeError, match="speed"):
        guided(residual, speed=3)


def test_nothing_is_written_to_the_log(small, x, caplog, capfd):
    """Not even by TensorFlow, about names of nodes."""
    guided(small, "relu2", "relu1", inversion_steps=1, target_steps=1)(x[:1])
    assert not caplog.records
    assert "WARNING" not in capfd.readouterr().err
