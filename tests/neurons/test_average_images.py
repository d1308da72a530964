"""Average images against a slow and obvious way to make them, and by hand."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.datasets import flowers
from tfxai.models import open_model
from tfxai.neurons.average import average_images
from tfxai.neurons.interpretation import interpret

FEATURES = [("block3_relu", 5), ("block1_relu", 3), ("block3_relu", 0), ("block2_pool", 7), ("logits", 2)]


@pytest.fixture(scope="module")
def model():
    return flowers.load_model()


@pytest.fixture(scope="module")
def data():
    return flowers.make(n=30, size=48, seed=3)


def copying(size=None):
    """Its two maps are the red and the green pixels, each seen through windows of 3 x 5."""
    kernel = np.zeros((3, 5, 3, 2), "float32")
    kernel[1, 2, 0, 0] = kernel[1, 2, 1, 1] = 1
    conv = layers.Conv2D(2, (3, 5), padding="same", use_bias=False, name="conv")
    model = keras.Sequential([keras.Input((size, size, 3)), conv, layers.GlobalMaxPooling2D(name="max")])
    model.set_weights([kernel])
    return model


def lit(*points, n=9):
    """Dark images with red points, an image for each list of (row, column, brightness)."""
    images = np.zeros((len(points), n, n, 3), "uint8")
    for image, found in zip(images, points, strict=True):
        for row, column, brightness in found:
            image[row, column] = brightness, 10, brightness // 2
    return images


def same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.units, b.units)
        np.testing.assert_array_equal(a.crops, b.crops)
        np.testing.assert_allclose(a.responses, b.responses, rtol=1e-5)
        np.testing.assert_allclose(a.average, b.average, atol=1e-3)


@pytest.mark.parametrize("response", ["l2", "max"])
def test_average_by_loops(model, data, response):
    images = data[0]
    for (layer, channel), found in zip(
        FEATURES, average_images(model, FEATURES, images, crops=8, response=response, verbose=0), strict=True
    ):
        maps = keras.Model(model.input, model.get_layer(layer).output).predict(images.astype("float32"), verbose=0)
        maps = maps[..., channel].reshape(len(images), *(maps.shape[1:-1] or (1, 1)))
        strength = np.sqrt((maps**2).sum((1, 2))) if response == "l2" else maps.max((1, 2))
        best = [number for number in np.argsort(-strength) if strength[number] > 0][:8]
        assert found.images.tolist() == best
        np.testing.assert_allclose(found.responses, strength[best], rtol=1e-5)
        field = tfxai.receptive_field(model, layer, (48, 48))
        crops = []
        for number, unit in zip(best, found.units, strict=True):
            assert maps[number][tuple(unit)] == pytest.approx(maps[number].max())
            xmin, ymin, xmax, ymax = field.box(*unit)
            wide = np.pad(images[number].astype(float), ((60, 60), (60, 60), (0, 0)), constant_values=np.nan)
            crops.append(wide[ymin + 60 : ymax + 60, xmin + 60 : xmax + 60])
        np.testing.assert_array_equal(found.covered, np.isfinite(crops)[..., 0])
        np.testing.assert_array_equal(found.crops[found.covered], np.array(crops)[found.covered])
        np.testing.assert_allclose(found.average, np.nanmean(crops, 0), atol=1e-4)


@pytest.fixture(scope="module")
def expected(model, data):
    return average_images(model, FEATURES, data[0].astype("float32"), crops=6, verbose=0)


def test_compiled_by_xla(model, data, expected, monkeypatch):
    """As it is where there is a GPU."""
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["one"])
    same(average_images(model, FEATURES, data[0], crops=6), expected)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_batches_do_not_matter(model, data, expected, batch_size):
    """Neither does whether the images are an array or a stream."""
    images = data[0].astype("float32")
    same(average_images(model, FEATURES, images, crops=6, batch_size=batch_size, verbose=0), expected)
    stream = tf.data.Dataset.from_tensor_slices((images, data[1])).batch(batch_size)
    same(average_images(model, FEATURES, stream, crops=6, verbose=0), expected)


def test_identical_crops():
    """The average of crops that are alike is the crop, wherever in the images they were."""
    images = lit([(3, 3, 200)], [(4, 6, 200)], [(5, 2, 200)])
    (found,) = average_images(copying(), [("conv", 0)], images)
    assert found.units.tolist() == [[3, 3], [4, 6], [5, 2]]
    np.testing.assert_array_equal(found.average, lit([(1, 2, 200)], n=5)[0, :3])
    np.testing.assert_array_equal(found.crops, np.broadcast_to(found.average, (3, 3, 5, 3)))


def test_pixels_beyond_the_image_do_not_count():
    images = lit([(0, 0, 100)], [(4, 4, 80)])
    images[1, 3:6, 2:7, 2] = 50
    (found,) = average_images(copying(), [("conv", 0)], images)
    assert found.covered[0].tolist() == [
        [False] * 5,
        [False, False, True, True, True],
        [False, False, True, True, True],
    ]
    assert found.covered[1].all()
    assert found.average[0, 0].tolist() == [0, 0, 50]  # of the second alone
    assert found.average[2, 4].tolist() == [0, 0, 25]
    assert found.average[1, 2].tolist() == [90, 10, 50]
    (alone,) = average_images(copying(), [("conv", 0)], images[:1])
    np.testing.assert_allclose(alone.average[0, 0], alone.average[alone.covered[0]].mean(0))  # which no crop covers


def test_equals_keep_their_order():
    images = lit(*[[(2, 2, 100)]] * 5, [(2, 2, 101)], *[[(2, 2, 100)]] * 5)
    for batch_size in (1, 4, 32):
        (found,) = average_images(copying(), [("conv", 0)], images, crops=4, batch_size=batch_size, verbose=0)
        assert found.images.tolist() == [5, 0, 1, 2]


def test_response():
    """Many pixels have the larger norm, a bright one the larger maximum; the place is that of the maximum."""
    images = lit([(2, 2, 100)], [(row, row, 60 + row) for row in range(9)])
    for response, first in (("l2", 1), ("max", 0)):
        (found,) = average_images(copying(), [("conv", 0)], images, response=response)
        assert found.images[0] == first
        assert found.units[list(found.images).index(1)].tolist() == [8, 8]


def test_channel_that_nothing_excites():
    images = np.zeros((3, 9, 9, 3), "uint8")
    for found, size in zip(average_images(copying(), [("conv", 0), ("max", 1)], images), [(3, 5), (9, 9)], strict=True):
        assert not found.parts
        assert found.crops.shape == (0, *size, 3)
        assert (found.average == np.zeros((*size, 3))).all()


def test_images_of_a_class(model, data):
    images, labels, _ = data
    pairs = [(0, ("block3_relu", 5)), (4, ("block3_relu", 5)), (4, ("logits", 4))]
    features, classes = [f for _, f in pairs], [one for one, _ in pairs]
    found = average_images(model, features, images, labels, classes=classes, crops=50, verbose=0)
    for one, average in zip(classes, found, strict=True):
        assert set(average.images) <= set(np.flatnonzero(labels == one))
    assert sorted(found[2].images) == np.flatnonzero(labels == 4).tolist()
    several = np.eye(6)[labels]
    stream = tf.data.Dataset.from_tensor_slices((images.astype("float32"), labels)).batch(8)
    same(average_images(model, features, stream, classes=classes, crops=50, verbose=0), found)
    (own,) = average_images(model, FEATURES[:1], images, "predicted", classes=[3], crops=50, verbose=0)
    assert set(own.images) <= set(np.flatnonzero(model.predict(images, verbose=0).argmax(1) == 3))
    same(average_images(model, features, images, several, classes=classes, crops=50, verbose=0), found)
    for broken in (labels[:-1], np.append(labels, 0)):
        with pytest.raises(ValueError, match="Expected label"):
            average_images(model, features, images, broken, classes=classes, batch_size=16, verbose=0)


def test_display(model, data):
    """Preprocessed inputs are shown by a function, or as the photographs that they were."""
    inputs = keras.Input((48, 48, 3))
    shifted = keras.Model(inputs, keras.Model(model.input, model.get_layer("block3_relu").output)(inputs * 60 + 100))
    layer = "block3_relu"
    x = ((data[0] - 100.0) / 60).astype("float32")
    expected = average_images(model, FEATURES[:1], data[0], crops=5)
    shown = average_images(shifted, [(layer, 5)], x, crops=5, display=lambda x: np.round(x * 60 + 100))
    np.testing.assert_array_equal(shown[0].crops, expected[0].crops)
    large = [np.repeat(np.repeat(photo, 2, 0), 3, 1) for photo in data[0]]
    for batch_size in (4, 32):
        photos = average_images(shifted, [(layer, 5)], x, crops=5, display=large, batch_size=batch_size, verbose=0)
        np.testing.assert_array_equal(photos[0].crops, expected[0].crops)
    with pytest.raises(ValueError, match="Expected a picture for each of images 0 to 29, got 3"):
        average_images(shifted, [(layer, 5)], x, display=large[:3])


def test_sizes(data):
    """Crops get a common size; images of several sizes have crops of several."""
    images = lit([(4, 4, 200)])
    (found,) = average_images(copying(), [("conv", 0)], images, size=(6, 10))
    assert found.crops.shape == (1, 6, 10, 3)
    assert found.average[2:4, 4:6, 0].min() > found.average[0, 0, 0]
    stream = tf.data.Dataset.from_generator(
        lambda: iter([images, lit([(4, 4, 100)], n=7)]), output_signature=tf.TensorSpec([None, None, None, 3])
    )
    (found,) = average_images(copying(), [("max", 0)], stream, verbose=0)
    assert found.crops.shape == (2, 9, 9, 3)
    assert found.covered.all()


def test_fields_larger_than_the_image():
    """Along an axis on which a unit sees more than the image, the crop is the image."""
    images = lit([(2, 0, 100)], [(1, 3, 90)], n=4)
    (found,) = average_images(copying(), [("conv", 0)], images)
    assert found.covered.all()
    np.testing.assert_array_equal(found.crops, [images[0, 1:4], images[1, 0:3]])
    (flat,) = average_images(copying(), [("conv", 0)], images[:, 1:3])
    np.testing.assert_array_equal(flat.crops, images[:, 1:3])


def test_whole_pictures_are_kept_once(data):
    found = average_images(copying(), [("max", 0), ("max", 1)], data[0], verbose=0)
    first, second = ({part.image: part.pixels for part in one.parts} for one in found)
    assert first.keys() == second.keys()
    assert all(np.shares_memory(first[number], second[number]) for number in first)


def test_fixed_batch(data):
    """A model that takes four images at once, and a last batch of two."""
    inputs = keras.Input(batch_shape=(4, 48, 48, 3))
    free = copying()
    fixed = keras.Model(inputs, layers.GlobalMaxPooling2D()(free.layers[0](inputs)))
    expected = average_images(free, [("conv", 0)], data[0], crops=9, verbose=0)
    same(average_images(fixed, [("conv", 0)], data[0], crops=9, verbose=0), expected)


def test_saved_model(model, data, expected, tmp_path):
    model.export(tmp_path / "saved", verbose=False)
    features = FEATURES[:-1]
    same(average_images(tmp_path / "saved", features, data[0], crops=6), expected[:-1])


def test_errors(model, data):
    images = data[0]
    for features, options, message in (
        ([], {}, "at least one feature"),
        ([("block1_relu", 99)], {}, "has channels 0 to 15"),
        ([("blok1_relu", 0)], {}, "Did you mean 'block1_relu'"),
        (FEATURES, {"response": "mean"}, "response to be one of"),
        (FEATURES, {"crops": 0}, "crops to be a positive integer"),
        (FEATURES, {"labels": data[1]}, "the class of each feature"),
    ):
        with pytest.raises(ValueError, match=message):
            average_images(model, features, images, **options)
    series = keras.Sequential([keras.Input((9, 2)), layers.Conv1D(2, 3, name="conv")])
    with pytest.raises(ValueError, match="a model of images"):
        average_images(series, [("conv", 0)], np.zeros((2, 9, 2), "float32"))


@pytest.fixture
def features(model):
    """What an interpretation asks of RelevantFeatures."""
    index = [("block3_relu", channel) for channel in range(4)] + [("logits", 2)]
    weights = np.float32([[0, 0, 1], [2, 0, 0], [0, 0, 0], [0, 0, 0], [1, 0, 3]])
    chosen = {j: [index[k] for k in np.argsort(-w, kind="stable") if w[k]] for j, w in enumerate(weights.T)}
    return SimpleNamespace(view=open_model(model), classes=None, index_=index, weights_=weights, features_=chosen)


def test_interpret(model, data, features):
    found = interpret(features, data[0], crops=5, verbose=0)
    assert found.weights == {0: {("block3_relu", 1): 2, ("logits", 2): 1}, 2: {("logits", 2): 3, ("block3_relu", 0): 1}}
    assert found.averages[0]["logits", 2] is found.averages[2]["logits", 2]
    same(
        [found.averages[0]["block3_relu", 1]], average_images(model, [("block3_relu", 1)], data[0], crops=5, verbose=0)
    )
    own = interpret(features, data[0], data[1], classes=[2], top=1, crops=50, verbose=0)
    assert list(own.averages) == [2]
    assert list(own.averages[2]) == [("logits", 2)]
    assert sorted(own.averages[2]["logits", 2].images) == np.flatnonzero(data[1] == 2).tolist()
    for classes, message in (([1], "None of the classes"), ([0, 7], "no class 7: the classes are 0 to 2")):
        with pytest.raises(ValueError, match=message):
            interpret(features, data[0], classes=classes)


def test_figure(data, features):
    features.classes = ("a, alias", "b", "c")
    found = interpret(features, data[0], crops=5, verbose=0)
    figure = found.plot(crops=3)
    shown = [cell for cell in figure.axes if cell.images]
    assert len(shown) == 8
    assert [cell.get_title(loc="left") for cell in shown if cell.get_title(loc="left")] == ["a", "c"]
    assert shown[0].texts[0].get_text() == "block3_relu 1\n2"
    np.testing.assert_allclose(shown[0].images[0].get_array(), found.averages[0]["block3_relu", 1].average / 255)
    crops = found.averages[0]["block3_relu", 1].crops[:3]
    mosaic = np.asarray(shown[2].images[0].get_array())
    np.testing.assert_array_equal(mosaic[:18, -18:], crops[1])
    assert (mosaic[-18:, -18:] == 255).all()
    assert len([cell for cell in found.plot(2, top=1).axes if cell.images]) == 1
    for classes, message in ((1, "no average images of class 1"), ([], "has a relevant feature")):
        with pytest.raises(ValueError, match=message):
            found.plot(classes)
