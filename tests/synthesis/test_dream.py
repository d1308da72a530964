"""DeepDream: what rises, octaves, tiles without seams, steps by hand, and what stays as it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.synthesis.tiles import from_tiles, to_tiles

o = tfxai.objectives


@pytest.fixture(scope="module")
def model():
    """A model of images of any size."""
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((None, None, 3))
    for name, filters in (("one", 4), ("two", 5)):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


PHOTO = np.random.default_rng(0).uniform(0.2, 0.8, (2, 21, 34, 3)).astype("float32")


def dream(model, layers, images=PHOTO, **options):
    given = {"octaves": (-1, 0), "steps": 4, "jitter": 3}
    return tfxai.DeepDream(model, layers, preprocess=(0, 1), **given | options)(images, verbose=0)


def energy(model, layer, images):
    found = keras.Model(model.inputs[0], model.get_layer(layer).output).predict(images, verbose=0)
    return (found**2).sum((1, 2, 3)) / 2


class TestSteps:
    def test_by_hand(self, model):
        """One octave, without jitter: x + rate * g / mean|g|, clipped."""
        part = keras.Model(model.inputs[0], model.get_layer("two").output)
        for norm, size in (("mean", lambda g: np.abs(g).mean((1, 2, 3))), ("std", lambda g: g.std((1, 2, 3)))):
            x = PHOTO
            for _ in range(3):
                with tf.GradientTape() as tape:
                    tensor = tf.constant(x)
                    tape.watch(tensor)
                    loss = tf.reduce_sum(part(tensor) ** 2) / 2
                slope = tape.gradient(loss, tensor).numpy()
                x = np.clip(x + 0.07 * slope / size(slope)[:, None, None, None], 0, 1)
            found = dream(model, "two", octaves=[0], steps=3, jitter=0, rate=0.07, norm=norm)
            np.testing.assert_allclose(found.images, x, atol=1e-4)
            np.testing.assert_allclose(found.score, energy(model, "two", x), rtol=1e-4)
            np.testing.assert_allclose(found.history["objective"][:, 0], energy(model, "two", PHOTO), rtol=1e-4)

    def test_octaves_by_hand(self, model):
        """What was changed in the smaller image is enlarged and added."""
        options = {"octave_scale": 1.5, "jitter": 0, "steps": 2}
        small = tf.image.resize(PHOTO, [14, 23], antialias=True)
        first = dream(model, "two", small.numpy(), octaves=[0], **options).images
        start = PHOTO + tf.image.resize(first - small, [21, 34], antialias=True).numpy()
        found = dream(model, "two", octaves=[-1, 0], **options)
        again = dream(model, "two", np.clip(start, 0, 1), octaves=[0], **options)
        np.testing.assert_allclose(found.frames[1], np.clip(start, 0, 1), atol=1e-5)
        np.testing.assert_allclose(found.images, again.images, atol=0.02)

    @pytest.mark.parametrize("preset", ["inceptionism", "nn_interpretability"])
    def test_what_is_sought_rises(self, model, preset):
        options = {"preset": preset, "octaves": (-1, 0, 1), "steps": 5, "jitter": 8}
        found = dream(model, "two", **options)
        assert found.images.shape == PHOTO.shape
        assert (energy(model, "two", found.images) > 1.5 * energy(model, "two", PHOTO)).all()
        assert found.images.min() >= 0
        assert found.images.max() <= 1
        assert found.frames.shape == (4, *PHOTO.shape)
        np.testing.assert_array_equal(found.frames[0], PHOTO)
        assert found.frame_steps == [0, 5, 10, 15]

    @pytest.mark.parametrize("octaves", [(0,), (-2, 0), (-1, 1)])
    def test_a_rate_of_zero_changes_nothing(self, model, octaves):
        np.testing.assert_array_equal(dream(model, "two", rate=0.0, octaves=octaves).images, PHOTO)

    def test_bounds_of_each_channel(self, model):
        low, high = np.float32([-1, 0, 2]), np.float32([0, 4, 9])
        x = low + (high - low) * PHOTO
        found = tfxai.DeepDream(model, "two", preprocess=(low, high), octaves=[0], steps=30, rate=0.2)(x, verbose=0)
        for channel in range(3):
            assert found.images[..., channel].min() >= low[channel]
            assert found.images[..., channel].max() <= high[channel]
            assert np.ptp(found.images[..., channel]) > 0.9 * (high - low)[channel]
        with pytest.raises(ValueError, match="Expected pixels between"):
            tfxai.DeepDream(model, "two", preprocess=(low, high))(PHOTO * 100)

    def test_images_do_not_depend_on_the_batch_and_seeds_decide(self, model):
        together = dream(model, "two").images
        np.testing.assert_allclose(dream(model, "two", PHOTO[1]).images[0], together[1], atol=1e-5)
        np.testing.assert_array_equal(dream(model, "two").images, together)
        assert np.abs(dream(model, "two", seed=1).images - together).max() > 1e-3


class TestWhat:
    def test_layers_with_weights_and_channels(self, model):
        """A dict is a sum of objectives; so is a list; a channel is one."""
        cases = [
            ({"one": 0.3, "two": 2.0}, {}, 0.3 * o.layer("one") + 2 * o.layer("two")),
            (["one", "two"], {}, o.layer("one") + o.layer("two")),
            ("two", {"channel": 3, "reduction": "mean"}, o.channel("two", 3, reduction="mean")),
            ("two", {"preset": "nn_interpretability"}, o.layer("two", reduction="mean")),
        ]
        for given, options, objective in cases:
            shape = {"octaves": [0], "steps": 2, "jitter": 2, "preset": options.pop("preset", "inceptionism")}
            a = dream(model, given, **shape, **options)
            b = dream(model, objective, **shape)
            np.testing.assert_allclose(a.images, b.images, atol=1e-6)
        assert a.labels == ["layer two", "layer two"]

    def test_a_saved_model(self, plain, x, tmp_path):
        plain.export(tmp_path, verbose=False)
        options = {"preprocess": (-5, 5), "octaves": (-1, 0, 1), "steps": 3}
        a, b = (tfxai.DeepDream(model, "pool1", **options)(np.clip(x, -5, 5), verbose=0) for model in (plain, tmp_path))
        np.testing.assert_allclose(a.images, b.images, atol=1e-3)

    def test_xla(self, model):
        options = {"octaves": [0], "jitter": 0}
        a, b = (dream(model, "two", jit_compile=jit, **options).images for jit in (False, True))
        np.testing.assert_allclose(a, b, atol=1e-4)


class TestTiles:
    @pytest.mark.parametrize("tile", [(5, 8), (21, 34), (30, 7)])
    def test_there_and_back(self, tile):
        tiles, grid = to_tiles(tf.constant(PHOTO), tile)
        assert grid.numpy().tolist() == [-(-21 // tile[0]), -(-34 // tile[1])]
        assert tiles.shape[1:] == (2, *tile, 3)
        wrapped = np.pad(PHOTO, [(0, 0), (0, tile[0]), (0, tile[1]), (0, 0)], "wrap")
        np.testing.assert_array_equal(tiles[0], wrapped[:, : tile[0], : tile[1]])
        if grid[1] > 1:
            np.testing.assert_array_equal(tiles[1], wrapped[:, : tile[0], tile[1] : 2 * tile[1]])
        np.testing.assert_array_equal(from_tiles(tiles, grid, tf.constant(PHOTO)), PHOTO)

    def test_what_a_unit_sees_fits_into_a_tile(self):
        """Of a model that looks at single pixels, tiles make no difference."""
        keras.utils.set_random_seed(0)
        inputs = keras.Input((None, None, 3))
        maps = layers.Conv2D(4, 1, activation="relu", name="maps")(inputs)
        model = keras.Model(inputs, layers.GlobalAveragePooling2D()(maps))
        options = {"octaves": (-1, 0), "jitter": 0}
        whole, tiled = dream(model, "maps", **options), dream(model, "maps", tile=8, **options)
        inner = tiled.images[:, :16, :32]
        np.testing.assert_allclose(whole.images[:, :16, :32], inner, atol=0.02)

    def test_models_of_one_size_take_any_photograph(self, residual):
        """Larger and smaller than the 16 pixels that the model takes."""
        for shape in ((1, 37, 50, 3), (1, 9, 13, 3)):
            x = np.random.default_rng(0).uniform(-1, 1, shape).astype("f")
            found = tfxai.DeepDream(residual, "relu3", preprocess=(-2, 2), octaves=(-1, 0), steps=8)(x, verbose=0)
            assert found.images.shape == shape
            assert found.score[0] > 1.5 * found.history["objective"][0, 8]

    def test_no_seams(self, residual):
        """Rolled before each step, the image changes as much along the edges of tiles as elsewhere."""
        x = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 3)).astype("f")
        options = {"octaves": [0], "steps": 60, "rate": 0.002}
        steps = {}
        for jitter in (0, 16):
            made = tfxai.DeepDream(residual, "relu3", preprocess=(-2, 2), jitter=jitter, **options)(x, verbose=0).images
            change = np.abs(np.diff(made - x, axis=1)).mean((0, 2, 3))
            edges = np.zeros(63, bool)
            edges[15::16] = True
            steps[jitter] = change[edges].mean() / change[~edges].mean()
        assert abs(steps[16] - 1) < 0.2
        assert abs(steps[0] - 1) > abs(steps[16] - 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "three"}, "Unknown layer 'three'"),
        ({"layers": []}, "at least one layer"),
        ({"channel": 5}, "channel 5 is out of range"),
        ({"layers": o.layer("one"), "channel": 1}, "no channel="),
        ({"preset": "nightmare"}, "preset"),
        ({"octaves": (0, -1)}, "octaves"),
        ({"octave_scale": 1}, "octave_scale"),
        ({"norm": "max"}, "norm"),
        ({"rate": -1}, "rate"),
        ({"steps": 0}, "steps"),
        ({"tile": 0}, "tile"),
        ({"images": np.zeros((2, 5))}, "finite images"),
    ],
)
def test_bad_values(model, options, message):
    with pytest.raises(ValueError, match=message):
        dream(model, **{"layers": "two"} | options)


def test_models_of_no_images(residual):
    series = keras.Sequential([keras.Input((20, 3)), layers.Conv1D(4, 5, name="conv")])
    with pytest.raises(ValueError, match="one image"):
        tfxai.DeepDream(series, "conv")
    with pytest.raises(ValueError, match="no other tile"):
        tfxai.DeepDream(residual, "relu3", tile=8)
