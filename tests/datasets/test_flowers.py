"""Tests of the painted flowers and of the networks shipped with them."""

import cv2
import keras
import numpy as np
import pytest

from tfxai.datasets import flowers, train_flowers

SETS = list(flowers.CLASSES)


def hue_saturation(images):
    """Hue in degrees and saturation in 0..1, by OpenCV's conversion and not by the module's own."""
    hsv = np.stack([cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HSV) for image in images])
    return hsv[..., 0], hsv[..., 1]


def hue_distance(a, b):
    return np.abs((a - b + 180) % 360 - 180)


def class_hues(name, labels):
    return np.array([flowers.COLOURS[flowers.CLASSES[name][label].split()[0]] for label in labels])


@pytest.fixture(scope="module", params=SETS)
def sample(request):
    return request.param, *flowers.make(request.param, n=240, seed=5)


def test_shapes_and_types(sample):
    _, images, labels, masks = sample
    assert (images.shape, images.dtype) == ((240, 112, 112, 3), np.uint8)
    assert (labels.shape, labels.dtype) == ((240,), np.int64)
    assert (masks.shape, masks.dtype) == ((240, 112, 112), bool)


def test_class_names():
    assert flowers.CLASSES["single-6c"][0] == "red petals"
    assert len(set(flowers.CLASSES["single-6c"])) == 6
    assert len(set(flowers.CLASSES["double-12c"])) == 12


def test_class_hues_are_far_apart():
    hues = np.sort(list(flowers.COLOURS.values()))
    assert np.diff(np.append(hues, hues[0] + 360)).min() >= 40


@pytest.mark.parametrize("name", SETS)
def test_same_seed_same_pictures_and_other_seed_others(name):
    first, again, other = flowers.make(name, 6, 48, 1), flowers.make(name, 6, 48, 1), flowers.make(name, 6, 48, 2)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first[0] != other[0]).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("name", SETS)
def test_more_images_continue_the_sequence(name):
    for few, many in zip(flowers.make(name, 10, 40), flowers.make(name, 31, 40), strict=True):
        np.testing.assert_array_equal(few, many[:10])


def test_defaults(monkeypatch):
    def blank(rng, name, label, size):
        return np.zeros((size, size, 3), np.uint8), np.zeros((size, size), bool)

    monkeypatch.setattr(flowers, "_paint", blank)  # to paint so many takes seconds
    images, labels, masks = flowers.make()
    assert len(images) == len(labels) == len(masks) == 600
    assert images.shape[1:] == (112, 112, 3)


def test_another_size_shows_the_same_scenes():
    small, labels, _ = flowers.make("double-12c", 12, 56, seed=4)
    large, large_labels, _ = flowers.make("double-12c", 12, 112, seed=4)
    np.testing.assert_array_equal(labels, large_labels)
    halved = np.stack([cv2.resize(image, (56, 56), interpolation=cv2.INTER_AREA) for image in large])
    assert np.abs(halved.astype(int) - small).mean() < 2


def test_labels_are_balanced_and_mixed(sample):
    name, _, labels, _ = sample
    classes = len(flowers.CLASSES[name])
    np.testing.assert_array_equal(np.bincount(labels), np.full(classes, 240 // classes))
    assert (labels != np.arange(240) % classes).mean() > 0.5
    partial = np.bincount(flowers.make(name, classes + 2, 16)[1], minlength=classes)
    assert partial.max() - partial.min() == 1


def test_mask_has_the_hue_of_the_class(sample):
    name, images, labels, masks = sample
    hue, saturation = hue_saturation(images)
    distance = hue_distance(hue, class_hues(name, labels)[:, None, None])
    agrees = (distance < 20) & (saturation > 0.25)
    for i in range(len(images)):
        assert agrees[i][masks[i]].mean() > 0.98, f"image {i}"


def test_nothing_outside_the_mask_has_a_class_colour(sample):
    _, images, _, masks = sample
    # The last ring of half-covered pixels around the part is rightly tinted; beyond it all is neutral.
    near = np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))) for mask in masks]).astype(bool)
    _, saturation = hue_saturation(images)
    assert (saturation[~masks] > 0.5).mean() < 0.003
    assert (saturation[~near] > 0.25).mean() < 1e-4


def test_mask_covers_every_coloured_pixel(sample):
    _, images, _, masks = sample
    _, saturation = hue_saturation(images)
    for i in range(len(images)):
        coloured = saturation[i] > 0.5
        assert (coloured & masks[i]).sum() / (coloured | masks[i]).sum() > 0.85, f"image {i}"


def test_mask_area(sample):
    _, _, _, masks = sample
    area = masks.mean(axis=(1, 2))
    assert area.min() > 0.02
    assert area.max() < 0.4
    assert 0.05 < area.mean() < 0.2


def test_disc_hides_the_petals():
    _, _, masks = flowers.make("single-6c", 30, 112)
    for mask in masks:
        centre = np.argwhere(mask).mean(axis=0).round().astype(int)
        assert not mask[tuple(centre)]


def test_petals_lie_above_leaves():
    _, labels, masks = flowers.make("double-12c", 48, 64)
    height = np.array([np.argwhere(mask)[:, 0].mean() for mask in masks])
    assert height[labels < 6].mean() + 10 < height[labels >= 6].mean()


def test_nothing_beyond_the_part_tells_the_colour(sample):
    """The class mean that is nearest to what the rest of an image looks like is that of its class by chance only."""
    _, images, labels, masks = sample
    near = np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))) for mask in masks]).astype(bool)
    rest = np.where(near[..., None], 0, images.astype(float)).sum((1, 2)) / (~near).sum((1, 2))[:, None]
    colours = labels % 6
    first, second = np.arange(240) < 120, np.arange(240) >= 120
    hits = []
    for known, asked in ((first, second), (second, first)):
        means = np.stack([rest[known & (colours == colour)].mean(0) for colour in range(6)])
        hits.append(np.square(rest[asked, None] - means).sum(-1).argmin(1) == colours[asked])
    assert np.mean(hits) < 1 / 6 + 0.08  # 240 guesses: a standard deviation is 0.024


def test_flowers_vary_as_described():
    """Five to nine petals, scaled by 0.7 to 1.1, moved by a tenth of the image, tilted to either side."""
    rng = np.random.default_rng(0)
    counts = {len(flowers._petals(rng, (0, 1, 1))[0]) // 3 for _ in range(100)}
    assert counts == {5, 6, 7, 8, 9}
    corners = np.array([[[0, 0.14], [1, 0.14], [0, 1.14]]])  # the turn goes round the first
    placed = np.stack([flowers._place(rng, [(corners, None)])[0][0][0] for _ in range(500)])
    side = placed[:, 1] - placed[:, 0]
    scale, tilt = np.hypot(*side.T), np.degrees(np.arctan2(*side.T[::-1]))
    for values, low, high in (
        (scale, 0.7, 1.1),
        (placed[:, 0, 0], 0.4, 0.6),
        (placed[:, 0, 1], 0.42, 0.62),
        (tilt, -20.1, 20.1),
    ):
        assert low <= values.min() < low + 0.03 * (high - low)
        assert high >= values.max() > high - 0.03 * (high - low)
    np.testing.assert_allclose(np.hypot(*(placed[:, 2] - placed[:, 0]).T), scale)


@pytest.mark.parametrize("size", [16, 17, 33, 65, 150, np.int64(20)])
@pytest.mark.parametrize("name", SETS)
def test_sizes(name, size):
    images, _, masks = flowers.make(name, 12, size)
    assert images.shape == (12, size, size, 3)
    assert masks.shape == (12, size, size)
    assert (masks.mean(axis=(1, 2)) > 0.01).all()


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"name": "tulips"}, ValueError, "one of single-6c, double-12c, got 'tulips'"),
        ({"name": 6}, TypeError, "single-6c.*int"),
        ({"n": 0}, ValueError, "Expected n to be at least 1, got 0"),
        ({"n": 2.5}, TypeError, r"Expected n to be an integer, got 2\.5"),
        ({"n": True}, TypeError, "n to be an integer"),
        ({"size": 15}, ValueError, "size to be at least 16, got 15"),
        ({"size": (112, 112)}, TypeError, "size to be an integer"),
        ({"seed": -1}, ValueError, "seed to be at least 0"),
        ({"seed": None}, TypeError, "seed to be an integer, got None"),
    ],
)
def test_wrong_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        flowers.make(**arguments)


def test_wrong_model_arguments():
    with pytest.raises(ValueError, match="single-6c, double-12c"):
        flowers.load_model("tulips")
    with pytest.raises(TypeError, match="to be a string"):
        flowers.load_model(12)
    with pytest.raises(ValueError, match="classes to be at least 1"):
        flowers.build_model(0)


@pytest.fixture(scope="module", params=SETS)
def shipped(request):
    return request.param, flowers.load_model(request.param)


def test_shipped_model_is_accurate(shipped):
    name, model = shipped
    assert train_flowers.accuracy(model, name, n=300, seed=77) >= 0.95


def test_random_labels_are_those_of_other_images():
    images, labels = train_flowers.training_data("single-6c", 24, 0)
    same, drawn = train_flowers.training_data("single-6c", 24, 0, random_labels=True)
    np.testing.assert_array_equal(images, same)
    np.testing.assert_array_equal(np.sort(labels), np.sort(drawn))
    assert (labels != drawn).any()


def test_shipped_model_structure(shipped):
    name, model = shipped
    assert model.name == f"flowers_{name.replace('-', '_')}"
    assert model.output_shape == (None, len(flowers.CLASSES[name]))
    assert [layer.name for layer in model.layers[-3:]] == ["average", "logits", "probabilities"]
    assert model.get_layer("block5_relu").compute_output_shape((1, 14, 14, 64)) == (1, 14, 14, 64)
    assert not model.compiled


def test_shipped_model_looks_at_the_part(shipped):
    """The class activation map peaks on the part, or within half a unit (4 pixels) of it."""
    name, model = shipped
    images, labels, masks = flowers.make(name, 120, seed=78)
    features = keras.Model(model.input, model.get_layer("block5_relu").output)(images.astype(np.float32)).numpy()
    assert features.shape[1:3] == (14, 14)
    maps = np.einsum("nhwc,cn->nhw", features, model.get_layer("logits").kernel.numpy()[:, labels])
    rows, columns = np.unravel_index(maps.reshape(120, -1).argmax(axis=1), (14, 14))
    near = np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) for mask in masks])
    assert near[np.arange(120), 8 * rows + 4, 8 * columns + 4].mean() > 0.9
    assert near.mean() < 0.3  # what a map that peaks anywhere would reach


def test_shipped_weights_are_small():
    sizes = [(flowers.WEIGHTS / f"{name}.weights.h5").stat().st_size for name in SETS]
    assert sum(sizes) < 1_000_000


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves
@pytest.mark.usefixtures("eagerly")
def test_training_script_writes_loadable_weights(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train_flowers, "accuracy", lambda model, name: 0.5)  # spares 1200 images
    train_flowers.main(["--set", "single-6c", "--epochs", "1", "--images", "32", "--output", str(tmp_path)])
    assert "single-6c: test accuracy" in capsys.readouterr().out
    flowers.build_model(6).load_weights(tmp_path / "single-6c.weights.h5")
