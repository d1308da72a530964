"""Which layer is explained, where none is named: the last maps that all paths from the input to the output pass."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tfxai
from tfxai.inversion.base_layer import default_base_layer
from tfxai.models import open_model

GAP = layers.GlobalAveragePooling2D


def conv(x, name=None, filters=4, **options):
    return layers.Conv2D(filters, 3, padding="same", activation="relu", name=name, **options)(x)


def classes(x, n=3):
    return layers.Dense(n, activation="softmax")(x)


def encoder(shape, *top, name="enc"):
    flat = layers.GlobalAveragePooling1D() if len(shape) == 2 else GAP()
    first = layers.Conv1D if len(shape) == 2 else layers.Conv2D
    return keras.Sequential([keras.Input(shape), first(4, 3, name="c"), flat, *top], name=name)


def lifted(shape, *steps):
    """Images that are made inside the model."""
    x = inputs = keras.Input(shape)
    for step in steps:
        x = step(x)
    return keras.Model(inputs, classes(GAP()(conv(x, "conv"))))


def shapes_of_a_sum():
    """The size of the input enters by a side path, which carries no data; so does a mask."""
    x = inputs = keras.Input((12, 12, 1))
    x = conv(x, "conv")
    size = layers.Lambda(lambda x: tf.cast(tf.shape(x)[1] * tf.shape(x)[2], tf.float32), output_shape=())(inputs)
    return keras.Model(inputs, classes(ops.sum(x, (1, 2)) / size))


def padded(*between):
    """A padding is followed by a convolution of which one position is left, as in networks on small images."""
    x = inputs = keras.Input((16, 16, 1))
    x = layers.ZeroPadding2D(((0, 4), (0, 4)), name="pad")(layers.MaxPooling2D(4, name="pool")(conv(x)))
    for layer in between:
        x = layer(x)
    return keras.Model(inputs, layers.Flatten()(layers.Conv2D(1, 8)(x)))


def padded_series():
    x = inputs = keras.Input((16, 2))
    x = layers.ZeroPadding1D((0, 4), name="pad")(layers.Conv1D(4, 3, padding="same", name="conv")(x))
    return keras.Model(inputs, layers.Flatten()(layers.Conv1D(1, 20)(x)))


def gated():
    """Squeeze and excitation."""
    inputs = keras.Input((12, 12, 3))
    x = conv(inputs)
    gate = layers.Dense(4, activation="sigmoid")(GAP(keepdims=True)(x))
    return keras.Model(inputs, classes(GAP()(layers.Multiply(name="gate")([x, gate]))))


def joined(join, convolved=False):
    inputs = keras.Input((12, 12, 3))
    x = join([conv(inputs), conv(layers.AveragePooling2D(1)(inputs))])
    x = conv(x, "after") if convolved else x
    return keras.Model(inputs, classes(GAP()(x)))


def dense_block():
    inputs = keras.Input((12, 12, 3))
    x = conv(inputs)
    for _ in range(2):
        x = layers.Concatenate()([x, conv(x)])
    return keras.Model(inputs, classes(GAP()(layers.ReLU(name="last")(x))))


def pointwise(size):
    """A dense layer on maps, as ConvNeXt has, flattens the positions in between."""
    inputs = keras.Input((size, size, 3))
    return keras.Model(inputs, classes(GAP()(layers.Dense(4, name="dense")(conv(inputs)))))


def unet(*head):
    inputs = keras.Input((16, 16, 3))
    first = conv(inputs)
    x = layers.UpSampling2D()(conv(layers.MaxPooling2D()(first)))
    x = conv(layers.Concatenate()([first, x]), "decoder")
    for layer in head:
        x = layer(x)
    return keras.Model(inputs, x)


def with_table():
    image, table = keras.Input((12, 12, 3)), keras.Input((4,))
    return keras.Model([image, table], classes(layers.Concatenate()([GAP()(conv(image, "conv")), table])))


def pair(join):
    left, right = keras.Input((12, 12, 1)), keras.Input((12, 12, 1))
    body = keras.Sequential([keras.Input((12, 12, 1)), layers.Conv2D(4, 3, name="c")], name="enc")
    return keras.Model([left, right], classes(GAP()(join([body(left), body(right)]))))


def columns():
    """Text from pictures: a sequence of columns is made of the maps, turned round."""
    x = inputs = keras.Input((16, 24, 1))
    x = layers.MaxPooling2D((4, 2), name="pool")(conv(x))
    x = layers.Reshape((12, 16))(layers.Permute((2, 1, 3), name="turned")(x))
    return keras.Model(inputs, classes(layers.GRU(4)(layers.GRU(4, return_sequences=True)(x))))


def hybrid():
    """Tokens attend to each other, and become maps again."""
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 4))(layers.MaxPooling2D(4)(conv(x)))
    x = x + layers.MultiHeadAttention(2, 4)(x, x)
    return keras.Model(inputs, classes(GAP()(layers.Reshape((4, 4, 4), name="grid")(x))))


def pooled_by_attention():
    """Maps are weighted by where they are looked at: the maps themselves are the last that say what is there."""
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Reshape((-1, 4))(conv(x, "conv"))
    weights = layers.Softmax(axis=1)(layers.Dense(1)(x))
    return keras.Model(inputs, classes(ops.sum(x * weights, 1)))


def over_pixels():
    inputs = keras.Input((16, 16, 3))
    where = layers.Softmax(axis=(1, 2))(conv(inputs, "conv")) * np.linspace(0, 1, 16, dtype="f")[:, None]
    return keras.Model(inputs, classes(ops.sum(where, (1, 2))))


def series(*body, shape=(12, 3)):
    x = inputs = keras.Input(shape)
    for layer in body:
        x = layer(x)
    return keras.Model(inputs, classes(x))


def series_transformer():
    x = inputs = keras.Input((12, 3))
    x = layers.Dense(8)(x)
    x = layers.LayerNormalization(name="last")(x + layers.MultiHeadAttention(2, 4)(x, x))
    return keras.Model(inputs, classes(layers.GlobalAveragePooling1D()(x)))


def frames():
    x = inputs = keras.Input((3, 12, 12, 1))
    x = layers.TimeDistributed(layers.Conv2D(4, 3), name="frames")(x)
    return keras.Model(inputs, classes(layers.LSTM(4)(layers.TimeDistributed(GAP())(x))))


def volume():
    x = inputs = keras.Input((6, 8, 8, 1))
    return keras.Model(inputs, classes(layers.GlobalAveragePooling3D()(layers.Conv3D(4, 3, name="conv")(x))))


def text():
    x = inputs = keras.Input((12,), dtype="int32")
    x = layers.Conv1D(4, 3, name="conv")(layers.Embedding(20, 4)(x))
    return keras.Model(inputs, classes(layers.GlobalMaxPooling1D()(x)))


CHOSEN = {
    "images without channels": (
        lambda: lifted((28, 28), layers.Rescaling(1 / 255), layers.Reshape((28, 28, 1))),
        "conv",
    ),
    "flat images": (lambda: lifted((144,), layers.Rescaling(1 / 255), layers.Reshape((12, 12, 1))), "conv"),
    "spectrogram": (lambda: lifted((400,), layers.Lambda(lambda x: abs(tf.signal.stft(x, 64, 32))[..., None])), "conv"),
    "sizes": (shapes_of_a_sum, "conv"),
    "padding": (padded, "pool"),
    "padding and activation": (lambda: padded(layers.ReLU(), layers.BatchNormalization()), "pool"),
    "padding of a series": (padded_series, "conv"),
    "gate": (gated, "gate"),
    "sum of branches": (lambda: joined(layers.Add(name="fused")), "fused"),
    "concatenated branches": (lambda: joined(layers.Concatenate(name="fused")), "fused"),
    "after branches": (lambda: joined(layers.Add(), convolved=True), "after"),
    "dense block": (dense_block, "last"),
    "pointwise": (lambda: pointwise(8), "dense"),
    "pointwise, any size": (lambda: pointwise(None), "dense"),
    "segmentation": (lambda: unet(layers.Conv2D(3, 1, activation="softmax")), "decoder"),
    "segmentation, enlarged": (
        lambda: unet(layers.Conv2D(3, 1), layers.UpSampling2D(), layers.Reshape((-1, 3)), layers.Softmax()),
        "decoder",
    ),
    "image and table": (with_table, "conv"),
    "fused pair": (lambda: pair(layers.Subtract(name="fused")), "fused"),
    "columns": (columns, "pool"),
    "hybrid": (hybrid, "grid"),
    "attention pooling": (pooled_by_attention, "conv"),
    "softmax over pixels": (over_pixels, "conv"),
    "masked series": (
        lambda: series(layers.Masking(), layers.LSTM(4, return_sequences=True, name="last"), layers.LSTM(4)),
        "last",
    ),
    "unrolled series": (
        lambda: series(
            *[layers.GRU(4, return_sequences=True, unroll=True, name="last"), layers.GRU(4, unroll=True)], shape=(4, 3)
        ),
        "last",
    ),
    "rows of an image as series": (
        lambda: series(layers.LSTM(4, return_sequences=True, name="last"), layers.LSTM(4), shape=(28, 28)),
        "last",
    ),
    "autoencoder of series": (
        lambda: series(layers.LSTM(4, return_sequences=True, name="last")),
        "last",
    ),
    "transformer of series": (series_transformer, "last"),
    "frames": (frames, "frames"),
    "volume": (volume, "conv"),
    "text": (text, "conv"),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_last_maps_that_all_paths_pass(case):
    build, expected = CHOSEN[case]
    model = build()
    found = open_model(model).last_spatial()
    assert found.rsplit("/", 1)[-1] == expected
    function = open_model(as_function(model)).last_spatial()
    assert expected in function.split("/")


def as_function(model):
    specs = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in model.inputs]
    return tf.function(lambda *x: model(list(x) if x[1:] else x[0], training=False), specs, autograph=False)


def test_the_explained_map_is_that_of_the_layer():
    """For an image without a channel axis the values are those that are asked for by name."""
    model = CHOSEN["images without channels"][0]()
    x = np.random.default_rng(0).uniform(0, 255, (2, 28, 28)).astype("f")
    found = tfxai.GradCAM(model)(x, 1)
    assert found.facts["layer"] == "conv"
    np.testing.assert_array_equal(found.values, tfxai.GradCAM(model, layer="conv")(x, 1).values)


# No such layer


def ensemble(shape, join):
    inputs = keras.Input(shape)
    nets = [encoder(shape, layers.Dense(3, activation="softmax"), name=f"net{k}") for k in range(3)]
    return keras.Model(inputs, join([net(inputs) for net in nets]))


def siamese():
    left, right, body = keras.Input((12, 12, 1)), keras.Input((12, 12, 1)), encoder((12, 12, 1))
    return keras.Model([left, right], layers.Dense(1)(body(left) - body(right)))


def two_branches():
    inputs = keras.Input((12, 12, 1))
    return keras.Model(inputs, classes(layers.Concatenate()([GAP()(conv(inputs, "a")), GAP()(conv(inputs, "b"))])))


def past_the_layer():
    """The mean of the image is known beside the features."""
    inputs = keras.Input((12, 12, 1))
    return keras.Model(inputs, classes(layers.Concatenate()([GAP()(conv(inputs, "conv")), GAP()(inputs)])))


def clip(by_hand):
    inputs, body = keras.Input((3, 12, 12, 1)), encoder((12, 12, 1))
    x = ops.stack([body(inputs[:, k]) for k in range(3)], 1) if by_hand else layers.TimeDistributed(body)(inputs)
    return keras.Model(inputs, classes(layers.GRU(4)(x)))


def error_of_autoencoder():
    inputs = keras.Input((12, 3))
    x = layers.Dense(3, name="decoder")(layers.LSTM(4, return_sequences=True)(inputs))
    return keras.Model(inputs, ops.mean((inputs - x) ** 2, (1, 2))[:, None])


BRANCHES = {
    "ensemble": (lambda: ensemble((12, 12, 1), layers.Average()), ["net0/c", "net1/c", "net2/c"]),
    "ensemble of series": (
        lambda: ensemble((12, 2), lambda outputs: ops.mean(ops.stack(outputs, 1), 1)),
        ["net0/c", "net1/c", "net2/c"],
    ),
    "siamese": (siamese, ["enc/c#0", "enc/c#1"]),
    "two branches": (two_branches, ["a", "b"]),
    "past the layer": (past_the_layer, ["conv"]),
    "clip": (lambda: clip(False), ["c#0", "c#1", "c#2"]),
    "clip by hand": (lambda: clip(True), ["c#0", "c#1", "c#2"]),
    "error": (error_of_autoencoder, ["decoder"]),
}


@pytest.mark.parametrize("case", BRANCHES)
def test_branches_are_listed_and_none_is_taken_by_luck(case):
    build, names = BRANCHES[case]
    model = build()
    for view in (open_model(model), open_model(as_function(model))):
        with pytest.raises(ValueError, match="no maps that all paths") as error:
            view.last_spatial()
        listed = str(error.value).split("one of these: ")[1].split(".")[0].replace("'", "").split(", ")
        assert len(listed) == len(names)
        assert all(any(one.endswith(name) for one in listed) for name in names)
        assert [view.find(one) for one in listed] == listed


WITHOUT_MAPS = {
    "table": (lambda: keras.Sequential([keras.Input((8,)), layers.Dense(3)]), "IntegratedGradients"),
    "pixels": (
        lambda: keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Rescaling(2.0),
                layers.BatchNormalization(),
                layers.Flatten(),
                layers.Dense(3),
            ]
        ),
        "IntegratedGradients",
    ),
    "bytes": (
        lambda: keras.Sequential([keras.Input((8, 8, 1), dtype="uint8"), layers.Flatten(), layers.Dense(3)]),
        "Occlusion",
    ),
}


@pytest.mark.parametrize("case", WITHOUT_MAPS)
def test_what_is_recommended_instead_works(case):
    build, recommended = WITHOUT_MAPS[case]
    model = build()
    with pytest.raises(ValueError, match=f"no layer with spatial output.*{recommended}"):
        tfxai.GradCAM(model)
    x = np.ones((1, *model.input_shape[1:]), model.inputs[0].dtype)
    options = {"window": 4, "stride": 4} if recommended == "Occlusion" else {"steps": 2}
    assert np.isfinite(getattr(tfxai, recommended)(model, **options)(x, 0).values).all()


# Tokens


def vision_transformer(residual=True, heads=2, mixer=False, stem=False):
    x = inputs = keras.Input((16, 16, 3))
    x = layers.ReLU()(layers.Conv2D(6, 3, padding="same")(x)) if stem else x
    x = layers.Reshape((16, 8))(layers.Conv2D(8, 4, strides=4, name="patch")(x))
    h = layers.LayerNormalization(name="ln")(x)
    if mixer:
        h = layers.Permute((2, 1))(layers.Dense(16)(layers.Dense(4, activation="gelu")(layers.Permute((2, 1))(h))))
    else:
        h = layers.MultiHeadAttention(heads, 4, name="mha")(h, h)
    x = x + h if residual else h
    return keras.Model(inputs, classes(layers.GlobalAveragePooling1D()(x)))


TRANSFORMERS = {
    "vit": {},
    "no residual": {"residual": False},
    "one head": {"residual": False, "heads": 1},
    "mixer": {"mixer": True},
    "stem": {"stem": True},
}


@pytest.mark.parametrize("case", TRANSFORMERS)
def test_tokens_of_an_image_lie_where_their_patches_are(case):
    """Also of the last layer that meets all others, if it is there still known which token is which."""
    model, x = (
        vision_transformer(**TRANSFORMERS[case]),
        np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("f"),
    )
    for one in (model, as_function(model)):
        explainer = tfxai.GradCAM(one)
        found = explainer(x)
        assert found.values.shape == (2, 4, 4)
        assert [(side.first, side.step) for side in found.places["input"].sides] == [(1.5, 4)] * 2
        assert explainer.reads[0].lower().startswith("ln" if "residual" in TRANSFORMERS[case] else "add")
    assert tfxai.GradCAM(model, layer="patch")(x).values.shape == (2, 4, 4)


@pytest.mark.parametrize("method", [tfxai.GradCAM, tfxai.ScoreCAM, tfxai.AblationCAM, tfxai.EigenCAM])
def test_layers_without_a_grid_are_refused_at_once(method):
    model, x = vision_transformer(), np.ones((1, 16, 16, 3), "f")
    with pytest.raises(ValueError, match=r"'mha/query'.*holds tokens"):
        method(model, layer="mha/query")(x)
    with pytest.raises(ValueError, match=r"'mha/query'.*holds tokens"):
        method(model, layer="mha/query", grid=(4, 4))(x)


def test_a_grid_that_is_given():
    """It counts where the graph does not tell: here attention has mixed all tokens, and nothing goes past it."""
    model, x = vision_transformer(residual=False), np.ones((1, 16, 16, 3), "f")
    with pytest.raises(ValueError, match=r"such as grid=\(14, 14\)"):
        tfxai.EigenCAM(model, layer="mha")(x)
    found = tfxai.EigenCAM(model, layer="mha", grid=(4, 4))(x)
    assert found.heatmaps().shape == (1, 16, 16)
    with pytest.raises(ValueError, match="product is at most 16"):
        tfxai.EigenCAM(model, layer="mha", grid=(5, 5))(x)


# Other methods that take a layer by default


def test_inversion_takes_no_padding_and_no_attention():
    """The base layer of guided feature inversion: fine, without rings, and on the way to the inversion layer."""
    x = inputs = keras.Input((32, 32, 3))
    x = layers.ZeroPadding2D(1, name="pad")(conv(x, "fine"))
    x = layers.ReLU(name="padded_relu")(x)
    x = conv(layers.MaxPooling2D(4)(x), "coarse")
    view = open_model(keras.Model(inputs, classes(GAP()(x))))
    assert view.last_spatial() == "coarse"
    assert default_base_layer("fine", "coarse", view, None) == "fine"


# Traces


class Counted(keras.layers.Layer):
    calls = 0

    def call(self, x):
        Counted.calls += 1
        return 2 * x


def test_a_model_is_traced_once_for_its_layer():
    inputs = keras.Input((12, 12, 1))
    model = keras.Model(inputs, classes(GAP()(conv(Counted()(inputs), "conv"))))
    tfxai.GradCAM(model)
    Counted.calls = 0
    assert tfxai.GradCAM(model).reads == tfxai.LayerCAM(model).reads == ("conv",)
    tfxai.layers(model)
    first = Counted.calls
    tfxai.layers(model).clear()  # what is kept is not handed out
    assert len(tfxai.layers(model)) == len(model.layers) - 1
    assert first == Counted.calls <= 1


def test_another_output_or_another_layer_is_looked_for_anew():
    inputs = keras.Input((12, 12, 1))
    x = conv(inputs, "first")
    model = keras.Model(inputs, [classes(GAP()(x)), classes(GAP()(conv(x, "second")))])
    assert [open_model(model, output).last_spatial() for output in (0, 1)] == ["first", "second"]
    net = keras.Sequential(
        [keras.Input((12, 12, 1)), layers.Conv2D(2, 3, name="a"), layers.Conv2D(2, 3, name="b"), GAP()]
    )
    assert open_model(net).last_spatial() == "b"
    net.pop(), net.pop()
    net.add(GAP())
    assert open_model(net).last_spatial() == "a"


def test_nothing_keeps_the_model_alive():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="no layer"):
        tfxai.GradCAM(model)
    model = two_branches()
    with pytest.raises(ValueError, match="no maps"):
        tfxai.GradCAM(model)
    alive = weakref.ref(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    assert alive() is None
