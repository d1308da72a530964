"""Which axes of an input are positions, and to which input a map belongs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tfxai


def classified(inputs, x, classes=3):
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def without_channel():
    """An image (28, 20) to which the model gives a channel itself."""
    inputs = keras.Input((28, 20))
    x = layers.Reshape((28, 20, 1))(layers.Rescaling(1 / 255)(inputs))
    return classified(inputs, layers.Conv2D(4, 3, activation="relu", name="conv")(x))


LIFTED = {
    "reshape": without_channel,
    "new axis": lambda: _lifted(lambda x: x[..., None]),
    "repeated": lambda: _lifted(lambda x: tf.repeat(tf.expand_dims(x, -1), 3, -1)),
    "stacked": lambda: _lifted(lambda x: tf.stack([x, x, x], -1)),
    "function": lambda: tf.function(without_channel(), input_signature=[tf.TensorSpec([None, 28, 20])]),
}


def _lifted(lift):
    inputs = keras.Input((28, 20))
    return classified(inputs, layers.Conv2D(4, 3, activation="relu", name="conv")(layers.Lambda(lift)(inputs)))


@pytest.mark.parametrize("form", LIFTED)
def test_an_image_without_channel_is_an_image(form):
    rng = np.random.default_rng(0)
    model, images = LIFTED[form](), rng.uniform(0, 255, (2, 28, 20))
    explanation = tfxai.Saliency(model)(images, target=0)
    assert explanation.values.any()
    np.testing.assert_allclose(explanation.reduced("absolute"), np.abs(explanation.values))
    assert explanation.heatmaps().shape == (2, 28, 20)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (tfxai.GradCAM, {"layer": "conv"}),
        (tfxai.ScoreCAM, {"layer": "conv"}),
        (tfxai.GuidedGradCAM, {"layer": "conv"}),
        (tfxai.LRP, {"at": "conv"}),
        (tfxai.Occlusion, {"fill": "blur"}),
        (tfxai.RISE, {"masks": 8}),
        (tfxai.IntegratedGradients, {"baseline": "mean", "steps": 2}),
        (tfxai.SmoothGrad, {"samples": 2}),
    ],
)
def test_every_method_sees_an_image_without_channel(method, options):
    keras.utils.set_random_seed(3)  # guided backpropagation lets nothing through random weights of one sign
    rng = np.random.default_rng(0)
    explanation = method(without_channel(), **options)(rng.uniform(0, 255, (2, 28, 20)), target=0)
    assert explanation.values.any()
    assert explanation.heatmaps().shape == (2, 28, 20)


def test_occlusion_hides_windows_and_not_rows():
    rng = np.random.default_rng(0)
    model, images = without_channel(), rng.uniform(0, 255, (1, 28, 20)).astype("float32")
    explanation = tfxai.Occlusion(model, window=(7, 5), stride=(7, 5))(images, target=0)
    hidden = images.copy()
    hidden[:, 7:14, 5:10] = 0
    drop = (model(images) - model(hidden)).numpy()[0, 0]
    np.testing.assert_allclose(explanation.values[0, 7:14, 5:10], drop, rtol=1e-3, atol=1e-5)


def test_series_keep_their_channels():
    rng = np.random.default_rng(0)
    inputs = keras.Input((28, 6))
    for layer in (layers.Conv1D(4, 3), layers.SimpleRNN(4, return_sequences=True), layers.Dense(4)):
        model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(layer(inputs))))
        batch = rng.normal(size=(2, 28, 6))
        assert tfxai.Saliency(model)(batch, target=0).heatmaps().shape == (2, 28)
        assert tfxai.Occlusion(model)(batch, target=0).values.shape == (2, 28)


def test_channels_may_come_first():
    rng = np.random.default_rng(0)
    inputs = keras.Input((3, 24, 24))
    x = layers.Conv2D(4, 3, strides=2, name="conv")(layers.Permute((2, 3, 1))(inputs))
    model, images = classified(inputs, x), rng.uniform(size=(2, 3, 24, 24))
    assert tfxai.Saliency(model)(images, target=0).heatmaps().shape == (2, 24, 24)
    assert tfxai.Occlusion(model)(images, target=0).values.shape == (2, 24, 24)
    assert tfxai.GradCAM(model, layer="conv")(images, target=0).heatmaps().shape == (2, 24, 24)


@pytest.fixture(scope="module")
def clips():
    clips = np.zeros((2, 4, 24, 24, 3))
    clips[:, 2, 6:10, 12:18] = 1
    return clips


@pytest.fixture(scope="module")
def recurrent():
    conv = layers.Conv2D(2, 3, strides=2, activation="relu", kernel_initializer="ones", name="conv")
    frame = keras.Sequential([keras.Input((24, 24, 3)), conv, layers.GlobalAveragePooling2D()])
    inputs = keras.Input((4, 24, 24, 3))
    x = layers.LSTM(3, kernel_initializer="ones")(layers.TimeDistributed(frame)(inputs))
    return keras.Model(inputs, layers.Dense(1, kernel_initializer="ones")(x))


class TestClips:
    """Frames, each seen by the same network."""

    def test_a_run_lies_at_its_frame(self, recurrent, clips):
        explanation = tfxai.HiResCAM(recurrent, layer="conv#2")(clips, target=0)
        heatmaps = explanation.heatmaps()
        assert explanation.values.shape == (2, 11, 11)
        assert heatmaps.shape == (2, 4, 24, 24)
        assert heatmaps.any((0, 2, 3)).tolist() == [False, False, True, False]

    def test_runs_make_a_clip(self, recurrent, clips):
        explanation = tfxai.GradCAM(recurrent, layer=[f"conv#{frame}" for frame in range(4)])(clips, target=0)
        assert explanation.values.shape == (2, 4, 24, 24)
        self.check(explanation)

    def test_layers_of_frames(self, clips):
        inputs = keras.Input((4, 24, 24, 3))
        conv = layers.Conv2D(2, 3, strides=2, activation="relu", kernel_initializer="ones")
        x = layers.TimeDistributed(layers.GlobalAveragePooling2D())(layers.TimeDistributed(conv, name="frames")(inputs))
        model = keras.Model(inputs, layers.Dense(1, kernel_initializer="ones")(layers.GlobalAveragePooling1D()(x)))
        explanation = tfxai.GradCAM(model, layer="frames")(clips, target=0)
        assert explanation.values.shape == (2, 4, 11, 11)
        self.check(explanation)

    def check(self, explanation):
        heatmap = explanation.heatmaps()[1]
        assert heatmap.shape == (4, 24, 24)
        frame, row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
        assert frame == 2
        assert 6 <= row < 10
        assert 12 <= column < 18


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    return {name: rng.uniform(size=(2, 24, 24, 1)) for name in ("left", "right")}


@pytest.fixture(scope="module")
def siamese():
    keras.utils.set_random_seed(0)  # of random weights half have nothing that speaks for class 1
    conv = layers.Conv2D(4, 3, activation="relu", name="conv")
    encoder = keras.Sequential([keras.Input((24, 24, 1)), conv, layers.GlobalAveragePooling2D()])
    left, right = (keras.Input((24, 24, 1), name=name) for name in ("left", "right"))
    distance = ops.sum((encoder(left) - encoder(right)) ** 2, -1, keepdims=True)
    return keras.Model([left, right], layers.Dense(1, activation="sigmoid")(distance))


class TestPairs:
    """Two images, seen by one network."""

    def test_a_map_belongs_to_the_image_that_it_saw(self, siamese, pairs):
        for run, own, other in (("conv#0", "left", "right"), ("conv#1", "right", "left")):
            explanation = tfxai.GradCAM(siamese, layer=run)(pairs)
            assert explanation.values.any()
            np.testing.assert_array_equal(explanation.heatmaps(), explanation.heatmaps(input=own))
            with pytest.raises(ValueError, match=f"one of \\['{own}'\\]"):
                explanation.heatmaps(input=other)

    def test_runs_over_both_make_a_map_of_each(self, siamese, pairs):
        both = tfxai.GradCAM(siamese, layer=["conv#0", "conv#1"])(pairs)
        for run, name in enumerate(("left", "right")):
            one = tfxai.GradCAM(siamese, layer=f"conv#{run}")(pairs)
            assert both.values[name].shape == (2, 24, 24)
            assert both.values[name].any()
            np.testing.assert_allclose(both.heatmaps(input=name), one.heatmaps(), atol=0.05)  # enlarged, then cut at 0
        with pytest.raises(ValueError, match="choose one by input="):
            both.heatmaps()

    @pytest.mark.parametrize(
        ("method", "options"),
        [(tfxai.Occlusion, {"window": 8}), (tfxai.RISE, {"masks": 8}), (tfxai.GuidedGradCAM, {"layer": "conv#1"})],
    )
    def test_methods_that_draw_on_an_image_ask_which(self, siamese, pairs, method, options):
        explanation = method(siamese, input="right", **options)(pairs)
        assert explanation.values.any()
        assert explanation.heatmaps().shape == (2, 24, 24)
        with pytest.raises(ValueError, match=r"one of \['right'\]"):
            explanation.heatmaps(input="left")
        with pytest.raises(ValueError, match=r"one of \['left', 'right'\]"):
            method(siamese, input="middle", **options)(pairs)

    def test_the_layer_tells_which_image_is_masked(self, siamese, pairs):
        assert list(tfxai.ScoreCAM(siamese, layer="conv#1")(pairs).places) == ["right"]
        assert list(tfxai.GuidedGradCAM(siamese, layer="conv#1")(pairs).places) == ["right"]
        with pytest.raises(ValueError, match='input="left"'):
            tfxai.Occlusion(siamese)(pairs)


def test_a_map_beside_columns_belongs_to_the_image():
    rng = np.random.default_rng(0)
    image, columns = keras.Input((16, 16, 3), name="image"), keras.Input((5,), name="columns")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(image))
    model = keras.Model([image, columns], layers.Dense(2)(layers.Concatenate()([x, columns])))
    batch = [rng.uniform(size=(2, 16, 16, 3)), rng.normal(size=(2, 5))]
    explanation = tfxai.GradCAM(model, layer="conv")(batch, target=0)
    assert list(explanation.places) == ["image"]
    assert explanation.values.any()
    assert explanation.heatmaps().shape == (2, 16, 16)
    assert tfxai.Occlusion(model)(batch, target=0).heatmaps().shape == (2, 16, 16)


def test_a_spectrogram_is_shown_over_time():
    rng = np.random.default_rng(0)
    inputs = keras.Input((1600,))
    x = layers.Lambda(lambda s: tf.abs(tf.signal.stft(s, 64, 32))[..., None])(inputs)
    x = layers.Conv2D(1, 3, padding="same", activation="relu", kernel_initializer="ones", name="conv")(x)
    model = keras.Model(inputs, layers.Dense(1, kernel_initializer="ones")(layers.GlobalAveragePooling2D()(x)))
    signals = np.zeros((1, 1600))
    signals[:, 900:1000] = rng.normal(size=100)
    explanation = tfxai.GradCAM(model, layer="conv")(signals, target=0)
    heatmap = explanation.heatmaps()[0]
    assert explanation.values.shape == (1, 49, 33)
    assert heatmap.shape == (1600,)
    assert 900 <= heatmap.argmax() < 1000
    assert tfxai.Occlusion(model, window=100, input="input")(signals, target=0).values[0].argmax() in range(850, 1050)
