"""Receptive fields against what units answer to: images that are dark but for one row or column."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras import layers

import tfxai

SIZE = (19, 23)


def seen(model):
    """For each axis, (pixels, units): whether a unit answers to one row or column; all weights are 1."""
    model.set_weights([np.ones_like(w) if w.ndim > 1 else w for w in model.get_weights()])
    found = []
    for axis, pixels in enumerate(model.input_shape[1:-1]):
        lit = np.zeros((pixels, *model.input_shape[1:]), "float32")
        np.moveaxis(lit, axis + 1, 1)[np.arange(pixels), np.arange(pixels)] = 1
        answers = model(lit).numpy()
        found.append(np.abs(answers).sum(3).sum(2 - axis) > 0)
    return found


def field_of(model, **options):
    return tfxai.receptive_field(model, model.output._keras_history.operation, **options)


def check(model, exact=True):
    """No unit answers to what is outside its box; those whose boxes are inside the image answer to both ends."""
    field = field_of(model)
    for axis, answers in enumerate(seen(model)):
        assert field.units[axis] in (1, answers.shape[1])
        for unit in range(answers.shape[1]):
            box = field.box(*(unit if other == axis else 0 for other in (0, 1)))
            start, stop = box[1 - axis], box[3 - axis]
            (pixels,) = np.nonzero(answers[:, unit])
            assert pixels.size == 0 or start <= pixels[0] <= pixels[-1] < stop
            if (
                exact and start >= 0 and stop <= len(answers) and answers.shape[1] > 1
            ):  # what all see ends with the image
                assert (pixels[0], pixels[-1]) == (start, stop - 1)
    return field


def chain(*parts, size=SIZE, channels=2):
    inputs = x = keras.Input((*size, channels))
    for part in parts:
        x = part(x)
    return keras.Model(inputs, x)


pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
padding = st.sampled_from(["same", "valid"])
one = pair.map(lambda n: (1, 1))
strided = st.one_of(st.tuples(pair, one), st.tuples(one, pair))  # strides or dilation


@st.composite
def steps(draw):
    """How to make a layer that moves a window, or pads: its class and options."""
    kind = draw(st.sampled_from(["conv", "depthwise", "grouped", "max", "mean", "pad"]))
    if kind == "pad":
        return layers.ZeroPadding2D, {"padding": (draw(pair), draw(pair))}
    stride, dilation = draw(strided)
    options = {"strides": stride, "padding": draw(padding)}
    if kind in ("max", "mean"):
        return {"max": layers.MaxPooling2D, "mean": layers.AveragePooling2D}[kind], options | {"pool_size": draw(pair)}
    options |= {"kernel_size": draw(pair), "dilation_rate": dilation, "activation": "relu"}
    if kind == "depthwise":
        return layers.DepthwiseConv2D, options | {"strides": stride[:1] * 2}
    return layers.Conv2D, options | {"filters": 2, "groups": 2 if kind == "grouped" else 1}


NO_SHRINKING = [Phase.explicit, Phase.generate]  # which would take minutes


@settings(max_examples=25, deadline=None, derandomize=True, phases=NO_SHRINKING)
@given(parts=st.lists(steps(), min_size=1, max_size=5))
def test_windows(parts):
    """Kernels, strides, dilations, paddings, pooling, depthwise and grouped, in any order; each axis for itself."""
    try:
        model = chain(*(layer(**options) for layer, options in parts))
    except ValueError:  # the window is larger than what is left
        return
    check(model)


@settings(max_examples=10, deadline=None, derandomize=True, phases=NO_SHRINKING)
@given(left=st.lists(steps(), min_size=1, max_size=2), right=st.lists(steps(), max_size=2), add=st.booleans())
def test_branches(left, right, add):
    """A unit sees what any of its branches sees."""
    x = inputs = layers.Conv2D(2, 3, padding="same")(keras.Input((*SIZE, 2)))
    ends = []
    try:
        for parts in (left, right):
            for layer, options in parts:
                x = layer(**options)(x)
            ends.append(x)
            x = inputs
    except ValueError:
        return
    if ends[0].shape != ends[1].shape:
        ends = [layers.CenterCrop(*map(min, *(end.shape[1:3] for end in ends)))(end) for end in ends]
    joined = layers.Add()(ends) if add else layers.Concatenate()(ends)
    check(keras.Model(inputs._keras_history.operation.input, layers.Conv2D(2, 2)(joined)), exact=False)


def residual_stage(x):
    """Two 3 x 3 convolutions around a shortcut with stride, as in a ResNet."""
    branch = layers.Conv2D(2, 3, strides=2, padding="same")(x)
    branch = layers.BatchNormalization()(layers.Conv2D(2, 3, padding="same", activation="relu")(branch))
    return layers.Add()([layers.Conv2D(2, 1, strides=2, padding="same")(x), branch])


EXACT = {
    "residual": (residual_stage, residual_stage),
    "inception": (lambda x: layers.Concatenate()([layers.Conv2D(2, k, padding="same")(x) for k in (1, 5, 3)]),),
    "separable": (layers.SeparableConv2D(3, (3, 2), strides=2, padding="same"),),
    "dense on maps": (layers.Conv2D(2, 3, strides=2), layers.Dense(3), layers.Conv2D(2, 2)),
    "layer norm": (layers.Conv2D(2, 3), layers.Rescaling(2.0), layers.Activation("silu"), layers.Dropout(0.5)),
    "dilated": (layers.Conv2D(2, 3, dilation_rate=(2, 3), padding="same"), layers.Conv2D(2, 3, dilation_rate=2)),
    "split": (lambda x: layers.Concatenate()(keras.ops.split(layers.Conv2D(4, 3)(x), 2, axis=-1)),),
    "shuffled": (
        layers.Conv2D(4, 3),
        lambda x: keras.ops.reshape(
            keras.ops.swapaxes(keras.ops.reshape(x, (-1, 17, 21, 2, 2)), 3, 4), (-1, 17, 21, 4)
        ),
        layers.Conv2D(2, 3),
    ),
    "tokens and back": (
        layers.Conv2D(2, 3, strides=2),
        layers.Reshape((99, 2)),
        layers.Dense(2),
        layers.Reshape((9, 11, 2)),
        layers.Conv2D(2, 2),
    ),
    "transposed axes": (
        layers.Conv2D(2, 3, strides=2),
        layers.Permute((3, 1, 2)),
        layers.Permute((2, 3, 1)),
        residual_stage,
    ),
    "sliced channels": (layers.Conv2D(4, 3), lambda x: x[..., 1:3], residual_stage),
    "einsum": (
        layers.Conv2D(2, 3, strides=2),
        layers.EinsumDense("nhwc,cd->nhwd", (None, None, 3)),
        layers.Conv2D(2, 2),
    ),
    "product": (
        layers.Conv2D(2, 3, strides=2),
        lambda x: keras.ops.matmul(x, np.ones((2, 3), "f")),
        layers.Conv2D(2, 2),
    ),
    "taken": (layers.Conv2D(2, 3), lambda x: keras.ops.take(x, [1, 0, 1], axis=-1), layers.Conv2D(2, 2)),
    "stacked": (
        layers.Conv2D(2, 3, strides=2),
        lambda x: keras.ops.unstack(keras.ops.stack([2 * x, x], axis=1), axis=1)[0],
        layers.Conv2D(2, 2),
    ),
    "tiled and summed": (
        layers.Conv2D(2, 3),
        lambda x: keras.ops.sum(keras.ops.tile(keras.ops.expand_dims(x, 1), (1, 3, 1, 1, 2)), 1),
        layers.Conv2D(2, 2),
    ),
    "patches": (lambda x: keras.ops.image.extract_patches(x, (3, 2), strides=(2, 2)), layers.Conv2D(2, 2)),
    "explicit padding": (
        layers.Lambda(lambda x: tf.nn.conv2d(x, tf.ones([4, 3, 2, 2]), (1, 2), [[0, 0], [1, 2], [2, 0], [0, 0]])),
        layers.Conv2D(2, 2),
    ),
    "one of several results": (
        layers.Conv2D(2, 3),
        layers.Lambda(lambda x: tf.identity_n([x, tf.reduce_mean(x, [1, 2])])[0]),
        layers.Conv2D(2, 2),
    ),
    "dilated by hand": (
        layers.Lambda(lambda x: tf.space_to_batch(x, [2, 3], [[2, 1], [1, 3]])),
        layers.Conv2D(2, 2),
        layers.Lambda(lambda x: tf.compat.v1.batch_to_space_nd(x, [2, 3], [[1, 0], [2, 1]])),
    ),
    "space to depth": (
        layers.Cropping2D(((0, 1), (0, 1))),
        layers.Lambda(lambda x: tf.nn.space_to_depth(x, 2)),
        layers.Conv2D(2, 2),
    ),
}


@pytest.mark.parametrize("parts", EXACT.values(), ids=EXACT)
def test_exact(parts):
    check(chain(*parts))


BOUNDS = {  # layers behind a pooling by 2, and by how many pixels a box may be larger than what any unit sees
    "repeated": (layers.UpSampling2D(3), 2),
    "bilinear": (layers.UpSampling2D(2, interpolation="bilinear"), 2),
    "bicubic": (layers.UpSampling2D(2, interpolation="bicubic"), 4),
    "resized": (layers.Resizing(7, 20), 4),
    "transposed convolution": (layers.Conv2DTranspose(2, 3, strides=2, padding="same"), 2),
    "transposed convolution, valid": (layers.Conv2DTranspose(2, (2, 4), strides=3), 2),
    "shifted and joined": (lambda x: keras.ops.concatenate([x[:, :3], x[:, 5:]], axis=1), 4),
    "every other": (lambda x: x[:, 1::2, -4:], 0),
    "depth to space": (layers.Lambda(lambda x: tf.nn.depth_to_space(tf.concat([x, x], -1), 2)), 1),
}


@pytest.mark.parametrize(("part", "slack"), BOUNDS.values(), ids=BOUNDS)
def test_bounds(part, slack):
    """Where units differ in more than their place a box is the smallest that serves all of them, or a little larger."""
    model = chain(layers.MaxPooling2D(2), part)
    field = check(model, exact=False)
    for axis, answers in enumerate(seen(model)):
        largest = max(np.ptp(np.flatnonzero(column)) + 1 for column in answers.T if column.any())
        assert largest <= field.size[axis] <= largest + slack


WHOLE = {
    "global mean": layers.GlobalAveragePooling2D(keepdims=True),
    "gate": lambda x: x * layers.GlobalMaxPooling2D(keepdims=True)(x),
    "group norm": layers.GroupNormalization(1),
    "fft": layers.Lambda(lambda x: tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64)))),
    "attention": lambda x: layers.MultiHeadAttention(1, 2, attention_axes=(1, 2))(x, x),
    "mirrored": lambda x: keras.ops.flip(x, 1) + keras.ops.flip(x, 2),
}


@pytest.mark.parametrize("part", WHOLE.values(), ids=WHOLE)
def test_whole(part):
    """What mixes positions sees the whole image, and so does what is not known."""
    field = field_of(chain(layers.Conv2D(2, 3, padding="same"), part, layers.ReLU()))
    assert field.whole
    assert (field.size, field.box()) == (SIZE, (0, 0, 23, 19))


def test_dense():
    """A dense layer sees what the layers before it have not cut off."""
    model = chain(layers.Cropping2D(((1, 2), (3, 0))), layers.Flatten(), layers.Dense(3))
    field = field_of(model)
    assert field.box() == field.box(0, 0) == (3, 1, 23, 17)
    assert not field.whole


def test_series_and_volumes():
    series = chain(layers.Conv1D(2, 3, dilation_rate=2, padding="causal"), layers.MaxPooling1D(2), size=(30,))
    field = field_of(series)
    assert (field.size, field.stride, field.box(3)) == ((6,), (2.0,), (2, 8))
    volume = chain(layers.Conv3D(2, (1, 2, 3), strides=(1, 1, 2)), layers.AveragePooling3D(2), size=(8, 9, 11))
    field = tfxai.receptive_field(volume)
    assert (field.size, field.stride, field.box(1, 0, 0)) == ((2, 3, 5), (2.0, 2.0, 4.0), (0, 0, 2, 5, 3, 4))


def test_same_padding_depends_on_the_size():
    """TensorFlow puts the odd pixel behind: of even images none is before."""
    model = keras.Sequential(
        [keras.Input((None, None, 1)), layers.Conv2D(1, 3, strides=2, padding="same", name="conv")]
    )
    assert tfxai.receptive_field(model, "conv", (10, 11)).offset == (0, -1)
    assert tfxai.receptive_field(model, "conv", (10, 11)).centre == (1.5, 0.5)
    with pytest.raises(ValueError, match="give the size="):
        tfxai.receptive_field(model, "conv")


def test_saved_model(tmp_path):
    """A SavedModel, of any image size, has the receptive fields of the Keras model; so has a function."""
    inputs = x = keras.Input((None, None, 2))
    for part in (residual_stage, residual_stage, layers.UpSampling2D(2), layers.Conv2D(3, 3, name="last")):
        x = part(x)
    model = keras.Model(inputs, x)
    model.export(tmp_path / "saved", verbose=False)
    expected = tfxai.receptive_field(model, "last", SIZE)
    assert tfxai.receptive_field(tmp_path / "saved", "last", SIZE) == expected
    function = tf.function(model, input_signature=[tf.TensorSpec([4, *SIZE, 2])])
    assert tfxai.receptive_field(function, "last") == expected


def test_channels_first():
    """Inside a model; such a convolution does not run on every processor, but can be followed."""

    @tf.function(input_signature=[tf.TensorSpec([None, *SIZE, 2])])
    def function(x):
        x = tf.nn.conv2d(tf.transpose(x, [0, 3, 1, 2]), tf.ones([3, 5, 2, 4]), (2, 1), "SAME", "NCHW")
        x = tf.nn.max_pool2d(tf.nn.bias_add(x, tf.ones(4), "NCHW"), (1, 2), (1, 2), "VALID", "NCHW")
        return tf.transpose(x, [0, 2, 3, 1])

    chained = chain(layers.Conv2D(4, (3, 5), strides=(2, 1), padding="same"), layers.MaxPooling2D((1, 2)))
    assert tfxai.receptive_field(function) == field_of(chained)


def test_errors(plain):
    with pytest.raises(ValueError, match=r"of size \(16, 16\), got size=\(8, 8\)"):
        tfxai.receptive_field(plain, "conv1", (8, 8))
    with pytest.raises(ValueError, match="Unknown layer"):
        tfxai.receptive_field(plain, "conv9")
    with pytest.raises(ValueError, match="none to show"):
        tfxai.receptive_field(lambda x: x)
    with pytest.raises(ValueError, match="one input that has positions"):
        tfxai.receptive_field(chain(layers.Dense(2), size=()))
    x, other = keras.Input((8, 8, 1)), keras.Input((3,))
    model = keras.Model([x, other], [layers.Conv2D(1, 3)(x), layers.Dense(2, name="aside")(other)])
    with pytest.raises(ValueError, match="does not depend on the image"):
        tfxai.receptive_field(tfxai.models.open_model(model, 1), "aside")
    with pytest.raises(IndexError, match=r"\(16, 16\) units, got \(16, 0\)"):
        tfxai.receptive_field(plain, "conv1").box(16, 0)


# Araujo, Norris and Sim (2019) give 315 for all of MobileNet v1.
NETWORKS = {
    "squeezenet_v1_0": {"fire5_concat": 59, "fire9_concat": 155},
    "mobilenet_v1_025_224": {"conv_pw_5_relu": 43, "conv_pw_13_relu": 315},
    "mobilenet_v2_224": {"block_5_add": 59, "conv_last_relu": 491},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_real_networks(data, name):
    """The unit in the middle answers to the first and last row and column of its box, and not to those beyond."""
    model = keras.models.load_model(data / "models" / f"{name}.keras", compile=False)
    for layer in model.layers:  # without negative weights and shifts, so that nothing dies and nothing cancels out
        kernels = [np.full_like(w, 1 / np.prod(w.shape[:-1])) for w in layer.get_weights() if w.ndim > 1]
        others = [np.zeros_like(w) for w in layer.get_weights() if w.ndim == 1]
        if isinstance(layer, layers.BatchNormalization):
            others[0] += 1
            others[3] += 1
        layer.set_weights([*kernels, *others])
    maps = keras.Model(model.input, {layer: model.get_layer(layer).output for layer in NETWORKS[name]})
    pixels = model.input_shape[1]
    for layer, size in NETWORKS[name].items():
        field = tfxai.receptive_field(model, layer)
        assert field.size == (size, size)
        middle = [units // 2 for units in field.units]
        xmin, ymin, xmax, ymax = field.box(*middle)
        inside = [max(ymin, 0), min(ymax, pixels) - 1]
        beyond = [row for row in (ymin - 1, ymax) if 0 <= row < pixels]
        lit = np.zeros((2 * len(inside + beyond), pixels, pixels, 3), "float32")
        for number, row in enumerate(inside + beyond):
            lit[2 * number, row] = lit[2 * number + 1, :, row] = 1
        assert (xmin, xmax) == (ymin, ymax)
        answers = maps(lit)[layer].numpy()[:, middle[0], middle[1]].max(-1) > 0
        assert answers.tolist() == [True] * 4 + [False] * (2 * len(beyond))
