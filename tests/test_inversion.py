"""Guided feature inversion: what it must find, when it stops, any layers, and cases in which there is no mask."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy.ndimage import gaussian_filter

import tfxai
from tfxai.attribution.inversion import PRESETS, Settings


def guided(model, *layers, **options):
    return tfxai.GuidedFeatureInversion(model, *layers, **{"inversion_steps": 5, "target_steps": 5} | options)


def assert_finite(explanation):
    assert all(np.isfinite(x).all() for x in [explanation.values, *explanation.extras.values()])


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
        """Several classes of an image; the first stage, which knows no class, shows all patches."""
        model, x = three_patches()
        explainer = tfxai.GuidedFeatureInversion(model, "maps", preset="paper", background=0, objective="logit")
        explanation = explainer(x, [[0, 1, 2]])
        assert explanation.target.tolist() == [0, 1, 2]
        assert explanation.extras["weights"].argmax(1).tolist() == [0, 1, 2]
        for number in range(3):
            np.testing.assert_array_equal(explanation.values[number] > 0.5, PATCHES[number])
            np.testing.assert_array_equal(explanation.extras["inversion_values"][number] > 0.5, PATCHES.any(0))
        whole = explanation.extras["foreground"] + explanation.extras["background"]
        np.testing.assert_allclose(whole, np.repeat(x, 3, 0), atol=1e-6)

    def test_several_classes_equal_one_by_one(self, residual, x):
        explainer = guided(residual)
        classes = [[0, 3], [4, 1], [2, 0], [1, 2]]
        together = explainer.explain(x, classes, batch_size=5, verbose=0)  # two images at a time
        for column in (0, 1):
            alone = explainer(x, np.array(classes)[:, column])
            np.testing.assert_array_equal(together.target[column::2], alone.target)
            np.testing.assert_allclose(together.score[column::2], alone.score, rtol=1e-5, atol=1e-6)
            for name in alone.extras:
                a, b = together.extras[name][column::2], alone.extras[name]
                np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * max(np.abs(b).max(), 1), err_msg=name)

    def test_first_stage_alone_knows_no_class(self, residual, x):
        explainer = guided(residual, stages="inversion")
        a, b = explainer(x, 0), explainer(x, 3)
        np.testing.assert_array_equal(a.values, b.values)
        np.testing.assert_array_equal(a.values, a.extras["inversion_values"])
        assert not any("target" in name for name in a.extras)

    def test_second_stage_alone_starts_from_equal_weights(self, residual, x):
        found = guided(residual, stages="target", target_steps=1, target_start="inversion")(x, 0).extras
        assert not any("inversion" in name for name in found)
        np.testing.assert_allclose(found["weights"], 0.1)

    def test_evidence_alone_is_grad_cam(self, residual, x):
        """The second stage starts from Grad-CAM's positive weights, times those of the first stage if there is one."""
        options = {"target_start": "evidence", "target_steps": 1}
        alone = guided(residual, stages="target", **options)(x, 2).extras["weights"]
        both = guided(residual, **options)(x, 2).extras
        activations = keras.Model(residual.inputs[0], residual.get_layer("relu4").output)
        with tf.GradientTape() as tape:
            maps = activations(x)
            tape.watch(maps)
            score = residual.get_layer("dense")(residual.get_layer("gap")(maps))[:, 2]
        evidence = np.maximum(tape.gradient(score, maps).numpy().mean((1, 2)), 0)
        for found, expected in ((alone, evidence), (both["weights"], evidence * both["inversion_weights"])):
            expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
            np.testing.assert_allclose(found / np.linalg.norm(found, axis=1, keepdims=True), expected, atol=1e-5)
            np.testing.assert_allclose(np.linalg.norm(found, axis=1), 0.1 * found.shape[1] ** 0.5, rtol=1e-5)

    def test_no_evidence_leaves_the_first_stage(self, x):
        """A class that every channel speaks against."""
        inputs = keras.Input((16, 16, 3))
        maps = layers.Conv2D(4, 3, activation="relu", name="maps")(inputs)
        against = layers.Dense(2, kernel_initializer=lambda shape, dtype: tf.constant([[1.0, -1.0]] * 4, dtype))
        model = keras.Model(inputs, against(layers.GlobalAveragePooling2D()(maps)))
        found = guided(model, "maps", target_start="evidence", target_steps=1)(x, 1).extras
        np.testing.assert_array_equal(found["weights"], found["inversion_weights"])

    def test_the_way_down(self, residual, x):
        extras = guided(residual, target_steps=20)(x).extras
        assert (extras["weights"] >= 0).all()
        for stage, terms in (("inversion", ("error", "penalty")), ("target", ("foreground", "background", "penalty"))):
            total = extras[f"{stage}_history/total"]
            np.testing.assert_allclose(sum(extras[f"{stage}_history/{term}"] for term in terms), total, rtol=1e-5)
            assert (total.min(1) < total[:, 0]).all()

    def test_preprocessing_does_not_matter(self, residual, x):
        """A model that takes its inputs in another scale, channel by channel, is explained alike."""
        scale, offset = np.float32([2, 0.5, 9]), np.float32([0.3, -0.2, 0.9])
        inputs = keras.Input((16, 16, 3))
        other = keras.Model(inputs, residual((inputs - offset) / scale))
        a = guided(residual, stages="target")(x, 1)
        b = guided(other, stages="target")(x * scale + offset, 1)
        np.testing.assert_allclose(a.values, b.values, atol=2e-3)


class TestStops:
    def test_each_image_stops_by_itself(self, residual, x):
        """Which image stops when depends on no other; a history stays at what was last seen."""
        explainer = guided(
            residual, target_start="inversion", target_steps=40, learning_rate=0.05, patience=3, tolerance=0.02
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

    def test_best_or_last(self, residual, x):
        """At a rate far too high, the best weights of a long way are those of a shorter one."""
        options = {"stages": "inversion", "learning_rate": 0.5, "decay": None}
        best, last = (guided(residual, keep_best=keep, inversion_steps=9, **options)(x) for keep in (True, False))
        lowest = best.extras["inversion_history/total"].argmin(1)
        assert (lowest < 8).any()
        assert np.abs(best.values - last.values).max() > 0.01
        steps = int(lowest[0])  # updates that led to it
        if steps:
            again = guided(residual, keep_best=False, inversion_steps=steps, **options)(x)
            np.testing.assert_allclose(again.extras["weights"][0], best.extras["weights"][0], rtol=1e-3, atol=1e-5)


class TestDegenerate:
    def test_nothing_is_ever_nan(self, residual):
        rng = np.random.default_rng(0)
        x = rng.normal(0, rng.uniform(0, 3, (200, 1, 1, 1)), (200, 16, 16, 3))
        x[0], x[1], x[2], x[3] = 0, 0.7, -1e4, 1e4 * np.sign(x[3])
        x[4, ..., 1:] = 0
        x[5, 8, 8] = 1e5
        explanation = guided(residual, inversion_steps=4, target_steps=4).explain(x, batch_size=100, verbose=0)
        assert_finite(explanation)
        assert explanation.values.min() >= 0
        assert explanation.values.max() <= 1
        assert explanation.extras["degenerate"][:3].all()
        assert (explanation.extras["degenerate"] == 0).sum() > 150

    def test_an_input_that_is_its_own_background(self, residual, x):
        explanation = guided(residual, background=lambda x: x)(x, 1)
        assert explanation.extras["degenerate"].tolist() == [2] * 4
        assert explanation.extras["target_steps"].tolist() == [0] * 4
        np.testing.assert_allclose(explanation.extras["weights"], 0.1)
        assert_finite(explanation)

    def test_a_layer_without_positions_makes_no_mask(self, residual, x):
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
    def test_chosen_ones(self, residual, plain):
        """A last pooling is inverted and the maps before it make the mask; else one layer is both."""
        reads = {
            model: tfxai.GuidedFeatureInversion(make()).reads
            for model, make in {"vgg": vgg, "plain": lambda: plain, "residual": lambda: residual}.items()
        }
        assert reads == {"vgg": ("two_pool", "two_conv"), "plain": ("pool2", "relu2"), "residual": ("relu4", "relu4")}
        assert tfxai.GuidedFeatureInversion(plain, preset="authors").reads == ("pool2", "pool2")
        within = keras.Sequential([keras.Input((16, 16, 3)), plain])
        assert guided(within, "pool2").reads == ("pool2", "plain/relu2")
        chosen = guided(residual, residual.get_layer("gap"), "relu2")
        assert chosen.reads == ("gap", "relu2")
        assert chosen(np.ones((1, 16, 16, 3)) * np.arange(16)[:, None, None]).values.max() == 1

    @pytest.mark.parametrize("make", [vgg, networks.residual])
    def test_saved_models(self, make, x, tmp_path):
        model = make()
        model.export(tmp_path, verbose=False)
        ours, theirs = guided(model)(x, 1), guided(tmp_path)(x, 1)
        assert ours.facts == theirs.facts
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-4)
        np.testing.assert_allclose(ours.extras["weights"], theirs.extras["weights"], rtol=1e-3, atol=1e-5)

    def test_negative_activations_count_as_zero(self, residual, x):
        before, after = (guided(residual, "relu4", base, stages="inversion")(x) for base in ("bn4", "relu4"))
        np.testing.assert_allclose(before.values, after.values, atol=1e-5)

    def test_the_way_outputs_are_written_does_not_matter(self, residual, x):
        options = {"stages": "target", "objective": "probability", "target_start": "inversion"}
        logits = guided(residual, **options)(x, 1)
        with_softmax = keras.Sequential([residual, layers.Softmax()])
        for score in ("logit", "probability"):
            explainer = guided(with_softmax, score=score, **options)
            np.testing.assert_allclose(explainer(x, 1).values, logits.values, atol=1e-5)
        several = keras.Sequential([residual, layers.Activation("sigmoid")])
        labels = guided(several, **options)(x, 1)
        assert np.abs(labels.values - logits.values).max() > 1e-4
        forced = guided(residual, head="sigmoid", **options)(x, 1)
        np.testing.assert_allclose(labels.values, forced.values, atol=1e-5)

    def test_two_classes_written_as_one(self, x):
        inputs = keras.Input((16, 16, 3))
        maps = layers.Conv2D(4, 3, activation="relu")(inputs)
        logit = layers.Dense(1)(layers.GlobalAveragePooling2D()(maps))
        one = keras.Model(inputs, layers.Activation("sigmoid")(logit))
        two = keras.Model(inputs, layers.Softmax()(layers.Concatenate()([0 * logit, logit])))
        as_one, as_two = (guided(model, stages="target", target_start="inversion") for model in (one, two))
        for target in (0, 1):
            np.testing.assert_allclose(as_one(x, target).values, as_two(x, target).values, atol=1e-4)


def test_presets_differ_and_options_override():
    assert set(PRESETS) == {"tfxai", "paper", "authors"}
    model = networks.residual()
    changed = tfxai.GuidedFeatureInversion(model, preset="authors", target_steps=3, background="noise").settings
    assert (changed.inversion_steps, changed.target_steps, changed.background) == (11, 3, "noise")
    assert tfxai.GuidedFeatureInversion(model, preset=Settings(decay=None)).settings.decay is None
    assert PRESETS["authors"].target_steps == 69


@pytest.mark.parametrize("background", ["blur", "mean", "noise", 0.5, np.zeros(3, "f")])
def test_backgrounds(background):
    x = np.random.default_rng(0).uniform(size=(2, 224, 112, 3)).astype("float32")
    inputs = keras.Input((224, 112, 3))
    maps = layers.Conv2D(2, 9, 8, activation="relu")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(maps)))
    extras = guided(model, background=background, stages="inversion", inversion_steps=1)(x).extras
    found = extras["foreground"] + extras["background"] - x
    if isinstance(background, str):
        mean = np.broadcast_to(x.mean((1, 2), keepdims=True), x.shape)
        expected = {"blur": gaussian_filter(x, (0, 5.5, 5.5, 0), mode="nearest", truncate=3), "mean": mean}
        if background == "noise":
            np.testing.assert_allclose(found.mean(), 0.5, atol=0.01)
            return
        np.testing.assert_allclose(found, expected[background], atol=1e-4)
    else:
        np.testing.assert_allclose(found, np.broadcast_to(background, x.shape), atol=1e-6)


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
def test_bad_options(residual, options, message):
    with pytest.raises(ValueError, match=message):
        tfxai.GuidedFeatureInversion(residual, **options)


def test_bad_inputs(residual, x):
    with pytest.raises(ValueError, match="one background for each image, got 2"):
        guided(residual, background=[0.0, 1.0])(x)
    with pytest.raises(ValueError, match=r"'dense'.*no stack of maps"):
        guided(residual, "relu4", "dense")(x)
    with pytest.raises(TypeError, match="speed"):
        guided(residual, speed=3)
    series = keras.Sequential([keras.Input((20, 3)), layers.Conv1D(4, 5), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match="needs images"):
        guided(series)(np.ones((1, 20, 3)))
