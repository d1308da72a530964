"""Passes of what a window can change equal full passes, whatever the layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from layer_branches import EVERY, NAMES, side_by_side

import tfxai
from tfxai.models import incremental, plan
from tfxai.models.incremental import Copies, Incremental
from tfxai.models.regions import Region, lengths


def windows_of(size, window):
    """Boxes in the corners, in the middle and at random."""
    random = np.random.default_rng(0)
    last = np.array(size) - window
    starts = [0 * last, last, last // 2, *(random.integers(0, last + 1) for _ in range(3))]
    return Region(np.stack(starts), tuple(np.broadcast_to(window, len(size)).tolist()))


def compared(model, x, region):
    """Outputs by incremental passes and by full ones, of every window of every input; and the estimated share."""
    random, count, inputs = np.random.default_rng(1), len(region.starts), len(x)
    values = random.normal(size=(count, len(x), *region.sizes, x.shape[-1])).astype("float32")
    full = np.repeat(x[None], count, 0)
    for window, start in enumerate(region.starts):
        box = tuple(slice(a, a + size) for a, size in zip(start, region.sizes, strict=True))
        full[(window, slice(None), *box)] = values[window]
    share = []

    @tf.function(autograph=False)
    def passes(x, values):
        passes = Incremental(x, model(x, training=False), region)
        share.append(passes.share)
        rows = tf.range(count * inputs)
        return passes(values, Copies(rows // inputs, rows % inputs))

    passes = passes.get_concrete_function(tf.TensorSpec([None, *x.shape[1:]]), tf.TensorSpec([None, *values.shape[2:]]))
    found = passes(tf.constant(x), tf.reshape(values, [-1, *values.shape[2:]]))
    return found.numpy(), model.predict(full.reshape(-1, *x.shape[1:]), verbose=0), share[0]


@pytest.fixture
def wherever_possible(monkeypatch):
    """Regions are taken also where that does not pay."""
    monkeypatch.setattr(plan, "SHARES", (1.0,))


@pytest.mark.parametrize(("shape", "branches"), EVERY, ids=NAMES)
def test_every_layer(wherever_possible, shape, branches):
    model, _ = side_by_side(shape, branches)
    x = np.random.default_rng(2).normal(size=(2, *shape)).astype("float32")
    found, expected, _ = compared(model, x, windows_of(shape[:-1], 2))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_series(wherever_possible, padding):
    inputs = keras.Input((40, 3))
    x = layers.Conv1D(4, 3, dilation_rate=2, padding=padding, activation="relu")(inputs)
    x = layers.MaxPooling1D(2)(layers.Conv1D(4, 3, padding=padding)(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Conv1D(4, 5, strides=2)(x))))
    x = np.random.default_rng(2).normal(size=(2, 40, 3)).astype("float32")
    found, expected, _ = compared(model, x, windows_of((40,), 4))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def blocks(x, kind):
    """A few layers of each kind that networks have, with every border."""
    if kind == "plain":
        x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
        x = layers.Conv2D(8, (5, 3), strides=(2, 1), activation="tanh")(x)
        return layers.AveragePooling2D(3, 2, padding="same")(x)
    if kind == "dilated":
        x = layers.Conv2D(8, 3, padding="same", dilation_rate=(2, 3))(x)
        x = layers.Cropping2D(((2, 1), (0, 3)))(x)
        return layers.DepthwiseConv2D(3, dilation_rate=2)(x)
    if kind == "residual":
        x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
        x = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, use_bias=False)(x))
        y = layers.Conv2D(8, 3, padding="same")(layers.ReLU()(x))
        return layers.ReLU(6.0)(layers.Add()([x, y]))
    if kind == "separable":
        x = layers.SeparableConv2D(8, 3, padding="same", activation="silu")(x)
        x = layers.DepthwiseConv2D(3, strides=2, padding="same")(x)
        return layers.Conv2D(8, 1, strides=2)(layers.LayerNormalization()(x))
    if kind == "branches":
        wide = layers.Conv2D(4, 5, padding="same", dilation_rate=2)(x)
        pooled = layers.MaxPooling2D(3, 1, padding="same")(x)
        return layers.Concatenate()([wide, pooled, layers.AveragePooling2D(3, 1, padding="same")(x), x])
    squeezed = layers.Dense(x.shape[-1], activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Conv2D(4, 3, padding="same")(layers.Multiply()([x, squeezed]))


KINDS = ["plain", "dilated", "residual", "separable", "branches", "squeezed"]


@pytest.mark.parametrize("kinds", [*([one] for one in KINDS), KINDS[1:]])
def test_networks(wherever_possible, kinds):
    inputs = keras.Input((21, 26, 3))
    x = inputs
    for kind in kinds:
        x = blocks(x, kind)
    model = keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([np.random.default_rng(0).uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    x = np.random.default_rng(2).normal(size=(2, 21, 26, 3)).astype("float32")
    found, expected, share = compared(model, x, windows_of((21, 26), 4))
    assert np.ptp(expected[::2], 0).min() > 1e-3  # windows count
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert share != 1  # regions were taken


@pytest.mark.nightly
@pytest.mark.parametrize(
    "name",
    [
        *("VGG16", "ResNet50", "ResNet50V2", "MobileNet", "MobileNetV2"),
        *("DenseNet121", "InceptionV3", "Xception", "EfficientNetV2B0", "EfficientNetB0"),
    ],
)
def test_applications(name):
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, classifier_activation=None, input_shape=(160, 160, 3))
    x = np.random.default_rng(2).uniform(-1, 1, (2, 160, 160, 3)).astype("float32")
    found, expected, share = compared(model, x, windows_of((160, 160), 16))
    assert np.abs(found - expected).max() < 1e-3 * np.ptp(expected[::2], 0).max()  # between windows
    assert (share < 0.9) == (name != "EfficientNetB0")


def test_regions_are_what_a_window_changes(wherever_possible):
    """NaN in a window reaches what it can change: regions hold all of that, and of the largest no place more."""
    inputs = keras.Input((40, 33, 2))
    x = layers.Conv2D(3, 3, padding="same")(inputs)
    x = layers.Conv2D(3, 5, strides=3)(x)
    x = layers.ZeroPadding2D(2)(x)
    x = layers.Conv2D(3, 3, dilation_rate=2, padding="same")(x)
    outputs = layers.AveragePooling2D(2, 1, padding="same")(x)
    model, region = keras.Model(inputs, outputs), windows_of((40, 33), (5, 7))
    traced = tf.function(lambda x: model(x, training=False)).get_concrete_function(tf.TensorSpec([None, 40, 33, 2]))
    steps = plan.cheapest(traced.inputs[0], traced.outputs[0], region)[0].steps
    found, end = steps[-1].region, traced.outputs[0]
    seen = []
    for window, start in enumerate(region.starts):
        x = np.zeros((1, 40, 33, 2), "float32")
        x[0, start[0] : start[0] + 5, start[1] : start[1] + 7] = np.nan
        rows, columns, _ = np.nonzero(np.isnan(model(x).numpy()[0]))
        first, last = np.array([rows.min(), columns.min()]), np.array([rows.max(), columns.max()])
        assert (found.starts[window] <= first).all()
        assert (last < found.ends[window]).all()
        seen.append(last - first + 1)
    assert found.sizes == tuple(np.max(seen, 0))
    assert (found.ends <= lengths(end)).all()


@pytest.mark.parametrize("fill", [0.3, "mean", "noise", "blur", [0.0, "blur"]])
def test_occlusion_is_the_same(fill):
    """On the shipped network, with windows that the border cuts, and several baselines."""
    model, x = tfxai.datasets.flowers.load_model(), tfxai.datasets.flowers.make(n=3)[0]
    options = {"window": (24, 20), "stride": (24, 20), "fill": fill}
    full = tfxai.Occlusion(model, incremental=False, **options)(x, batch_size=5)
    fast = tfxai.Occlusion(model, incremental=True, **options)(x, batch_size=5)
    assert fast.facts["incremental"] < 0.8
    assert "incremental" not in full.facts
    np.testing.assert_allclose(fast.extras["drops"], full.extras["drops"], atol=1e-4)
    np.testing.assert_allclose(fast.values, full.values, atol=1e-4)


def test_ablation_of_parts_is_the_same(monkeypatch):
    """Parts of any form; the coalition of all but one, asked for as one of many, is always a full pass."""
    model, x = tfxai.datasets.flowers.load_model(), tfxai.datasets.flowers.make(n=2)[0]
    labels = (np.indices(x.shape[1:3]).sum(0) // 40 + 3 * (np.indices(x.shape[1:3])[0] // 56)).astype(int)
    for groups in (28, labels):
        fast = tfxai.FeatureAblation(model, groups=groups, fill="mean")(x)
        assert fast.facts["incremental"] < 0.9
        with monkeypatch.context() as patched:
            patched.setattr("tfxai.hidden_boxes.WORTH", 0.0)
            full = tfxai.FeatureAblation(model, groups=groups, fill="mean")(x)
        assert full.facts["incremental"] is None
        np.testing.assert_allclose(fast.extras["players"], full.extras["players"], atol=1e-4)


def test_where_nothing_is_saved():
    """Whole passes by default; and an error that says why, where incremental ones are insisted on."""
    inputs = keras.Input((16, 16, 3))
    mixed = keras.Model(inputs, layers.Dense(2)(layers.Dense(8)(layers.Flatten()(inputs))))
    x = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype("float32")
    assert tfxai.Occlusion(mixed)(x, 0).facts["incremental"] is None
    with pytest.raises(ValueError, match=r"incremental=True saves nothing here: a window changes nearly all"):
        tfxai.Occlusion(mixed, incremental=True)(x, 0)
    with pytest.raises(ValueError, match=r"incremental=True saves nothing here: it needs a model in TensorFlow"):
        tfxai.Occlusion(lambda x: x.mean((1, 2)), incremental=True)(x, 0)
    with pytest.raises(ValueError, match="Expected incremental to be one of"):
        tfxai.Occlusion(mixed, incremental="yes")
    one = keras.Model(fixed := keras.Input((16, 16, 3), batch_size=1), layers.GlobalMaxPooling2D()(fixed))
    with pytest.raises(ValueError, match="batches of one size only"):
        tfxai.Occlusion(one, incremental=True)(x, 0)


def test_room_is_what_memory_allows():
    """A copy holds what its largest step reads and writes, three times over where that is put together."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Activation("relu")(layers.Conv2D(8, 3, padding="same")(inputs))
    ends, rooms = (layers.GlobalAveragePooling2D()(x), layers.Dense(3)(layers.Flatten()(x))), []
    model, region = keras.Model(inputs, ends), windows_of((16, 16), 4)

    @tf.function(autograph=False)
    def look(x):
        rooms.extend(Incremental(x, end, region).room for end in model(x))

    look.get_concrete_function(tf.TensorSpec([None, 16, 16, 3]))
    whole = 16 * 16 * (8 + 8)  # of the activation, which is the largest step of a full pass
    region_of_convolution = 6 * 6 * 8 + 3 * 8 * 8 * 3
    flattened = 3 * 16 * 16 * 8 + 16 * 16 * 8  # the change among what was there before
    assert rooms == [whole // region_of_convolution, max(1, whole // flattened)]


def test_copies_at_a_time_change_nothing(monkeypatch):
    inputs = keras.Input((32, 32, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, padding="same", activation="relu")(inputs))
    model = keras.Model(inputs, layers.Dense(3)(pooled))
    x, maps, sizes = np.random.default_rng(0).normal(size=(3, 32, 32, 3)).astype("float32"), [], []
    before = Copies.before

    def seen(copies, x, region):
        tf.py_function(lambda count: sizes[-1].add(int(count)), [copies.count], [])
        return before(copies, x, region)

    monkeypatch.setattr(Copies, "before", seen)
    for most in (1, 4):
        monkeypatch.setattr(incremental, "MOST", most)
        sizes.append(set())
        explain = tfxai.Occlusion(model, window=4, stride=4, incremental=True)
        maps.append(explain(x, target=1, batch_size=6, verbose=0).values)
    assert sizes == [{6}, {24}]  # 16 windows of 3 images
    np.testing.assert_allclose(maps[1], maps[0], rtol=1e-4, atol=1e-6)
