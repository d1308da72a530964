"""Where a map lies: an object is shown where it is, whatever the model does to its input before it looks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tfxai

HEIGHT, WIDTH = 48, 96
OBJECT = (slice(20, 28), slice(58, 66))
CENTRE = (23.5, 61.5)


def blurred(name, size=3, **options):
    """A convolution that lets brightness through, and nothing else."""
    options = {"activation": "relu", "padding": "same"} | options
    return layers.Conv2D(1, size, kernel_initializer="ones", name=name, **options)


def seeing(*parts, size=(HEIGHT, WIDTH, 1)):
    """A model whose score is the brightness of what its last map shows."""
    inputs = x = keras.Input(size)
    for part in parts:
        x = part(x)
    pool = {3: layers.GlobalAveragePooling1D, 4: layers.GlobalAveragePooling2D, 5: layers.GlobalAveragePooling3D}
    return keras.Model(inputs, layers.Dense(1, kernel_initializer="ones")(pool[len(x.shape)]()(x)))


def scene(*size):
    image = np.zeros((1, *size, 1), "float32")
    image[0, *OBJECT] = 1
    return image


def centre_of(heatmap):
    """Where the heat lies along each axis."""
    sums = [heatmap.sum(tuple(set(range(heatmap.ndim)) - {axis})) for axis in range(heatmap.ndim)]
    return [float(one @ np.arange(len(one)) / one.sum()) for one in sums]


class Gate(layers.Layer):
    """Squeeze and excitation: each channel times what is seen of all positions."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1, activation="sigmoid")

    def call(self, x):
        return x * self.dense(ops.mean(x, (1, 2), keepdims=True))


class SelfAttention(layers.Layer):
    """Positions attend to each other, and are added to what they have found."""

    def call(self, x):
        shape = ops.shape(x)
        flat = ops.reshape(x, (-1, x.shape[1] * x.shape[2], x.shape[3]))
        weights = ops.softmax(ops.matmul(flat, ops.transpose(flat, (0, 2, 1))) - 10.0)
        return x + 1e-3 * ops.reshape(ops.matmul(weights, flat), shape)


FORMS = {
    "centre crop": [layers.CenterCrop(48, 48), blurred("end")],
    "cropping": [layers.Cropping2D(((8, 0), (40, 0))), blurred("end")],
    "slice": [layers.Lambda(lambda x: x[:, 10:40, 30:80]), blurred("end")],
    "resized crop": [layers.Resizing(24, 24, crop_to_aspect_ratio=True), blurred("end")],
    "resized": [layers.Resizing(24, 24), blurred("end")],
    "resized with antialias": [layers.Lambda(lambda x: tf.image.resize(x, (24, 24), antialias=True)), blurred("end")],
    "resized and padded": [layers.Resizing(48, 48, pad_to_aspect_ratio=True), blurred("end")],
    "padding before": [layers.ZeroPadding2D(((0, 8), (16, 0))), blurred("end")],
    "padding after": [blurred("first"), layers.ZeroPadding2D(((6, 0), (0, 30)), name="end")],
    "valid": [blurred("first", 7, padding="valid"), blurred("second", 7, padding="valid"), blurred("end")],
    "strides": [blurred("first", strides=2), blurred("second", strides=2), blurred("end")],
    "strides of even windows": [blurred("first", 2, strides=2), blurred("end", 4, strides=2)],
    "valid strides": [blurred("first", 5, strides=3, padding="valid"), blurred("end", padding="valid")],
    "pooling": [blurred("first"), layers.MaxPooling2D(3, 2), layers.AveragePooling2D(2, name="end")],
    "dilation": [blurred("first", dilation_rate=3, padding="valid"), blurred("end")],
    "upsampling": [blurred("first", strides=4), layers.UpSampling2D(2, interpolation="bilinear"), blurred("end")],
    "transposed": [
        blurred("first", strides=4),
        layers.Conv2DTranspose(1, 4, strides=2, padding="same", kernel_initializer="ones", name="end"),
    ],
    "larger than the input": [layers.UpSampling2D(2), blurred("end")],
    "mirrored": [layers.Lambda(lambda x: tf.reverse(x, [2])), blurred("end", strides=2)],
    "turned": [layers.Permute((2, 1, 3)), blurred("end", strides=2)],
    "gate": [blurred("first", strides=2), Gate(), layers.Cropping2D(((0, 0), (10, 0))), blurred("end")],
    "attention": [layers.Cropping2D(((0, 0), (32, 0))), blurred("first", strides=4), SelfAttention(), blurred("end")],
    "stride by slicing": [layers.Lambda(lambda x: x[:, ::2, 1::2]), blurred("end")],
}


# Units that divide the input evenly are laid so, though "same" padding moves what they see by up to half a step.
MOVED = {"strides": 1.5, **dict.fromkeys(("upsampling", "transposed", "mirrored", "turned", "gate"), 0.5)}


@pytest.mark.parametrize("form", FORMS)
def test_an_object_is_shown_where_it_is(form):
    model = seeing(*FORMS[form])
    explanation = tfxai.GradCAM(model, layer="end")(scene(HEIGHT, WIDTH), target=0)
    for interpolation in ("linear", "nearest", "cubic"):
        heatmap = explanation.heatmaps(interpolation=interpolation)[0]
        assert heatmap.shape == (HEIGHT, WIDTH)
        slack = (0.6 if interpolation == "linear" else 1.1) + MOVED.get(form, 0)
        np.testing.assert_allclose(centre_of(heatmap), CENTRE, atol=slack)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_a_decoder_joined_with_its_encoder(interpolation):
    inputs = keras.Input((HEIGHT, WIDTH, 1))
    skip = blurred("encoder")(inputs)
    low = blurred("bottom")(layers.AveragePooling2D(4)(skip))
    joined = layers.Concatenate()([layers.UpSampling2D(4, interpolation=interpolation)(low), skip])
    model = keras.Model(inputs, blurred("end")(joined))
    explanation = tfxai.GradCAM(model, layer="end")(scene(HEIGHT, WIDTH), target=lambda y: tf.reduce_mean(y, [1, 2, 3]))
    np.testing.assert_allclose(centre_of(explanation.heatmaps()[0]), CENTRE, atol=0.6)


def test_units_that_divide_the_input_are_laid_evenly():
    halvings = [blurred(name, strides=2) for name in ("a", "b", "c", "d", "end")]
    explanation = tfxai.GradCAM(seeing(*halvings, size=(64, 64, 1)), layer="end")(np.ones((1, 64, 64, 1)), target=0)
    (place,) = explanation.places.values()
    assert [(side.first, side.step) for side in place.sides] == [(15.5, 32.0)] * 2
    shifted = [layers.ZeroPadding2D(((8, 0), (8, 0))), layers.Cropping2D(((0, 8), (0, 8))), *halvings[:2]]
    explanation = tfxai.GradCAM(seeing(*shifted, size=(64, 64, 1)), layer="b")(np.ones((1, 64, 64, 1)), target=0)
    (place,) = explanation.places.values()
    assert [(side.first, side.step) for side in place.sides] == [(-5.0, 4.0)] * 2  # where they see, not where 16 fit


@pytest.mark.parametrize("method", [tfxai.ScoreCAM, tfxai.GuidedGradCAM, tfxai.LRP])
def test_every_method_knows_what_a_crop_has_left(method):
    model = seeing(*FORMS["centre crop"])
    layer = {"at": "end"} if method is tfxai.LRP else {"layer": "end"}
    heatmap = method(model, **layer)(scene(HEIGHT, WIDTH), target=0).heatmaps()[0]
    np.testing.assert_allclose(centre_of(heatmap), CENTRE, atol=0.6)
    assert not heatmap[:, :23].any()
    assert not heatmap[:, 73:].any()


def test_what_no_unit_sees_is_dark():
    model = seeing(layers.CenterCrop(48, 48), blurred("first", 9), blurred("end", 9))
    heatmap = tfxai.GradCAM(model, layer="end")(np.ones((1, HEIGHT, WIDTH, 1)), target=0).heatmaps()[0]
    assert (heatmap > 0).any(0).nonzero()[0].tolist() == list(range(24, 72))  # however far the windows reach


def test_padding_is_no_part_of_the_input():
    inputs = keras.Input((16, 16, 1))
    x = layers.ZeroPadding2D(((0, 4), (0, 4)), name="pad")(layers.MaxPooling2D(4)(blurred("first")(inputs)))
    model = keras.Model(inputs, layers.Flatten()(layers.Conv2D(1, 8, kernel_initializer="ones")(x)))
    image = np.zeros((1, 16, 16, 1))
    image[0, 12:, 12:] = 1
    heatmap = tfxai.GradCAM(model, layer="pad")(image, target=0).heatmaps()[0]
    assert heatmap[12:, 12:].max() == 1
    assert heatmap[:8, :8].max() < 0.1


def test_layers_of_several_sizes_meet_at_the_object():
    model = seeing(layers.CenterCrop(48, 48), blurred("first"), blurred("second", strides=2), blurred("end", strides=2))
    explanation = tfxai.GradCAM(model, layer=["first", "second", "end"])(scene(HEIGHT, WIDTH), target=0)
    assert explanation.values.shape == (1, HEIGHT, WIDTH)
    np.testing.assert_allclose(centre_of(explanation.heatmaps()[0]), CENTRE, atol=1.1)


def test_images_of_any_size():
    model = seeing(layers.Cropping2D(((0, 0), (10, 10))), blurred("end", strides=2), size=(None, None, 1))
    explainer = tfxai.GradCAM(model, layer="end")
    for size in ((HEIGHT, WIDTH), (37, 83)):
        heatmap = explainer(scene(*size), target=0).heatmaps()[0]
        assert heatmap.shape == size
        np.testing.assert_allclose(centre_of(heatmap), CENTRE, atol=1.1)


def test_functions_and_saved_models(tmp_path):
    model = seeing(*FORMS["cropping"])
    function = tf.function(lambda x: model(x), input_signature=[tf.TensorSpec([None, HEIGHT, WIDTH, 1])])
    model.export(tmp_path / "saved", verbose=False)
    for form in (function, tmp_path / "saved"):
        name = next(layer.name for layer in tfxai.layers(form) if layer.name.endswith("end"))
        heatmap = tfxai.GradCAM(form, layer=name)(scene(HEIGHT, WIDTH), target=0).heatmaps()[0]
        np.testing.assert_allclose(centre_of(heatmap), CENTRE, atol=0.6)


def test_series():
    inputs = keras.Input((60, 3))
    x = layers.Conv1D(2, 5, strides=2, kernel_initializer="ones", name="conv")(layers.Cropping1D((20, 0))(inputs))
    y = layers.Bidirectional(layers.LSTM(2, return_sequences=True), name="recurrent")(x)
    model = keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(y)))
    batch = np.zeros((1, 60, 3))
    for layer in ("conv", "recurrent"):
        (side,) = tfxai.GradCAM(model, layer=layer)(batch, target=0).places["input"].sides
        assert (side.first, side.step, side.low, side.high) == (22, 2, 20, 58)  # windows of 5, two apart


def test_volumes():
    model = seeing(
        layers.Cropping3D(((0, 0), (0, 0), (8, 0))),
        layers.Conv3D(1, 3, strides=2, activation="relu", kernel_initializer="ones", name="first"),
        layers.Conv3D(2, 3, activation="relu", kernel_initializer="ones", name="end"),
        size=(12, 20, 24, 1),
    )
    volume = np.zeros((1, 12, 20, 24, 1))
    volume[0, 4:8, 8:12, 14:18] = 1
    calls = [
        tfxai.GradCAM(model, layer="first"),
        tfxai.GradCAM(model, layer=["first", "end"]),
        tfxai.GuidedGradCAM(model, layer="end"),
        tfxai.ScoreCAM(model, layer="end"),
        tfxai.Occlusion(model, window=4, stride=2, fill="blur"),
        tfxai.RISE(model, masks=200, cells=4),
        tfxai.IntegratedGradients(model, baseline="blur", steps=4),
    ]
    for explainer in calls:
        heatmap = explainer(volume, target=0).heatmaps()[0]
        assert heatmap.shape == (12, 20, 24)
        top = np.unravel_index(heatmap.argmax(), heatmap.shape)
        np.testing.assert_allclose(top, (5.5, 9.5, 15.5), atol=2.6)


def test_what_sees_everything_has_no_place():
    rng = np.random.default_rng(0)
    inputs = keras.Input((12, 12, 1))
    x = layers.Reshape((3, 3, 4))(layers.Dense(36)(layers.Flatten()(inputs)))
    x = layers.Conv2D(2, 3, padding="same", name="end")(x)
    model = keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))
    image = rng.uniform(size=(1, 12, 12, 1))
    explanation = tfxai.GradCAM(model, layer="end")(image, target=0)
    assert explanation.values.shape == (1, 3, 3)
    with pytest.raises(ValueError, match="'end' have no places in the input"):
        explanation.heatmaps()
    for explainer in (tfxai.ScoreCAM(model, layer="end"), tfxai.GuidedGradCAM(seeing(*FORMS["gate"]), layer="end")):
        if isinstance(explainer, tfxai.ScoreCAM):
            with pytest.raises(ValueError, match="'end' has no places"):
                explainer(image, target=0)


def test_places_are_kept(tmp_path):
    whole = tfxai.GradCAM(seeing(*FORMS["slice"]), layer="end")(np.repeat(scene(HEIGHT, WIDTH), 3, 0), target=0)
    whole.save(tmp_path / "whole.npz")
    loaded = tfxai.Explanation.load(tmp_path / "whole.npz")
    assert loaded.places == whole.places
    assert whole.heatmaps().any()
    for one in (loaded, whole[1], next(iter(whole))):
        np.testing.assert_array_equal(one.heatmaps()[0], whole.heatmaps()[0])
