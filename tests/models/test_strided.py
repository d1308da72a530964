"""The way back through strided convolutions and max-pooling, against loops in NumPy."""

import itertools

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.models import open_model


def send_back(model, x, signal, rule, jit=False):
    """What arrives at the inputs, if this signal starts from the outputs."""
    view = open_model(model)

    @tf.function(autograph=False, jit_compile=jit)
    def step(x, signal):
        return tf.gradients(view.forward(x, (), rule).outputs, x, grad_ys=signal)[0]

    return step(tf.constant(x), tf.constant(signal)).numpy()


def noise(rng, *shape):
    return rng.normal(size=shape).astype("float32")


# Resampling


def resampled_by_hand(signal, kernel, size, stride, same, dilation=1):
    """One input of one channel: each position takes the value whose window is nearest, and puts down its kernel.

    ``signal`` (h, w), ``kernel`` (k, k); what is put down outside of the input is lost.
    """
    extent = (kernel.shape[0] - 1) * dilation + 1
    missing = max((signal.shape[0] - 1) * stride + extent - size, 0) if same else 0
    count = size + missing - extent + 1
    distance = np.abs(np.arange(count)[:, None] - stride * np.arange(len(signal)))
    near = distance == distance.min(1, keepdims=True)
    weight = near / near.sum(1, keepdims=True)  # the mean of two that are equally near
    enlarged = weight @ signal @ weight.T * (signal.size / count**2)
    canvas = np.zeros((size + missing,) * 2)
    for i, j in itertools.product(range(count), repeat=2):
        for a, b in np.ndindex(kernel.shape):
            canvas[i + a * dilation, j + b * dilation] += enlarged[i, j] * kernel[a, b]
    begin = missing // 2
    return canvas[begin : begin + size, begin : begin + size]


def summed_by_hand(signal, kernel, groups, **options):
    """The same for (h, w, out) and a kernel (k, k, in / groups, out)."""
    inner, outer = kernel.shape[2], kernel.shape[3] // groups
    channels = [
        sum(resampled_by_hand(signal[..., o], kernel[:, :, i, o], **options) for o in range(g * outer, (g + 1) * outer))
        for g in range(groups)
        for i in range(inner)
    ]
    return np.stack(channels, -1)


class Convolution(layers.Layer):
    """A bare convolution, for what Keras's layer refuses: a stride and dilation at once, channels first."""

    def __init__(self, kernel, **options):
        super().__init__()
        self.kernel, self.options = kernel, options

    def call(self, x):
        return tf.nn.conv2d(x, self.kernel, **self.options)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "k", "stride"), [(14, 3, 2), (13, 5, 3), (12, 1, 2), (11, 2, 4), (9, 4, 4)])
def test_convolution_by_hand(size, k, stride, padding):
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((size, size, 2)), layers.Conv2D(3, k, stride, padding)])
    kernel = model.layers[0].kernel.numpy()
    signal = noise(rng, 1, *model.output_shape[1:])
    expected = summed_by_hand(signal[0], kernel, 1, size=size, stride=stride, same=padding == "same")
    found = send_back(model, noise(rng, 1, size, size, 2), signal, "resampled")[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_groups_by_hand(padding):
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((11, 11, 4)), layers.Conv2D(6, 3, 2, padding, groups=2)])
    signal = noise(rng, 1, *model.output_shape[1:])
    kernel = model.layers[0].kernel.numpy()
    expected = summed_by_hand(signal[0], kernel, 2, size=11, stride=2, same=padding == "same")
    np.testing.assert_allclose(send_back(model, noise(rng, 1, 11, 11, 4), signal, "resampled")[0], expected, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_depthwise_by_hand(padding):
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((12, 12, 2)), layers.DepthwiseConv2D(3, 2, padding, depth_multiplier=2)])
    signal = noise(rng, 1, *model.output_shape[1:])
    kernel = model.layers[0].kernel.numpy().reshape(3, 3, 1, 4)  # output 2 i + m is of input i
    expected = summed_by_hand(signal[0], kernel, 2, size=12, stride=2, same=padding == "same")
    np.testing.assert_allclose(send_back(model, noise(rng, 1, 12, 12, 2), signal, "resampled")[0], expected, atol=1e-5)


@pytest.mark.parametrize("padding", ["VALID", "SAME"])
def test_dilation_by_hand(padding):
    rng = np.random.default_rng(0)
    kernel = noise(rng, 3, 3, 2, 3)
    model = keras.Sequential([keras.Input((15, 15, 2)), Convolution(kernel, strides=2, padding=padding, dilations=2)])
    signal = noise(rng, 1, *model.output_shape[1:])
    expected = summed_by_hand(signal[0], kernel, 1, size=15, stride=2, same=padding == "SAME", dilation=2)
    np.testing.assert_allclose(send_back(model, noise(rng, 1, 15, 15, 2), signal, "resampled")[0], expected, atol=1e-5)


@pytest.mark.parametrize("padding", ["SAME", [[0, 0], [0, 0], [1, 2], [2, 1]]], ids=["same", "explicit"])
def test_channels_first_and_explicit_padding_equal_the_usual_writing(padding):
    """On CPUs only XLA runs channels-first convolutions."""
    rng = np.random.default_rng(0)
    kernel, x = noise(rng, 3, 3, 2, 3), noise(rng, 2, 2, 12, 10)
    moved = lambda t: np.moveaxis(t, 1, -1)  # noqa: E731
    first = tf.function(
        lambda x: tf.nn.conv2d(x, kernel, 2, padding, data_format="NCHW"), input_signature=[tf.TensorSpec(x.shape)]
    )
    if padding == "SAME":
        last = keras.Sequential([keras.Input((12, 10, 2)), Convolution(kernel, strides=2, padding=padding)])
    else:
        padded = layers.ZeroPadding2D(((1, 2), (2, 1)))
        last = keras.Sequential([keras.Input((12, 10, 2)), padded, Convolution(kernel, strides=2, padding="VALID")])
    signal = noise(rng, 2, *np.moveaxis(np.empty(last.output_shape[1:]), -1, 0).shape)
    expected = send_back(last, moved(x), moved(signal), "resampled")
    np.testing.assert_allclose(moved(send_back(first, x, signal, "resampled", jit=True)), expected, atol=1e-5)


def test_three_dimensions_are_resampled_too():
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((9, 9, 9, 1)), layers.Conv3D(4, 3, 2, use_bias=False)])
    found = send_back(model, noise(rng, 1, 9, 9, 9, 1), np.ones((1, *model.output_shape[1:]), "float32"), "resampled")
    inside = found[0, 2:-2, 2:-2, 2:-2]
    assert inside.std() < 1e-4 * abs(inside.mean())


# Kernel, stride, padding, size of the input, zeros put around it
STEMS = [
    (11, 4, "valid", 224, 0),
    (11, 4, "valid", 227, 0),
    (11, 4, "same", 224, 0),
    (7, 2, "same", 224, 0),
    (7, 2, "valid", 224, 3),
    (3, 2, "same", 224, 0),
]


def stem(k, stride, padding, size, zeros):
    around = [layers.ZeroPadding2D(zeros)] if zeros else []
    return keras.Sequential([keras.Input((size, size, 3)), *around, layers.Conv2D(8, k, stride, padding)])


def grid_energy(image, stride):
    """Share of the spectrum, without its mean, at the frequency of the stride and its multiples, along the rows."""
    size = len(image) - len(image) % stride
    power = np.abs(np.fft.rfft(image[:size].mean((1, 2)))) ** 2
    return power[size // stride :: size // stride].sum() / power[0]


@pytest.mark.parametrize("case", STEMS)
def test_a_constant_signal_arrives_without_a_grid(case):
    k, stride, _, size, _ = case
    model = stem(*case)
    signal = np.ones((1, *model.output_shape[1:]), "float32")
    ripple, energy = {}, {}
    for rule in ("flat", "resampled"):
        found = send_back(model, np.zeros((1, size, size, 3), "float32"), signal, rule)[0]
        assert found.shape == (size, size, 3)
        inside = found[k:-k, k:-k]
        ripple[rule] = (inside.std((0, 1)) / np.abs(inside.mean((0, 1)))).max()
        energy[rule] = grid_energy(inside, stride)
    assert ripple["resampled"] < 0.02 < 0.1 < ripple["flat"]
    assert energy["resampled"] < energy["flat"] / 10


def blob(model, rows):
    """What arrives from a square of units, all kernels being ones: total, and middle along the rows."""
    rng = np.random.default_rng(0)
    signal = np.zeros((1, *model.output_shape[1:]), "float32")
    signal[:, rows, rows] = 1
    shape = (1, *model.input_shape[1:])
    found = {rule: send_back(model, noise(rng, *shape), signal, rule)[0, ..., 0] for rule in ("flat", "resampled")}
    return {rule: (f.sum(), (f.sum(1) * np.arange(len(f))).sum() / f.sum()) for rule, f in found.items()}


def test_the_sum_of_the_signal_is_that_of_the_gradient():
    """Else a branch with a stride would outshout one without."""
    model = keras.Sequential([keras.Input((65, 65, 1)), layers.Conv2D(1, 3, 2, kernel_initializer="ones")])
    found = blob(model, slice(9, 20))
    assert found["resampled"][0] == pytest.approx(found["flat"][0], rel=0.05)  # one row at the end is shared by fewer


@pytest.mark.parametrize("rows", [slice(1, 2), slice(5, 6)])
def test_the_signal_stays_where_it_is(rows):
    """Stretched over all positions, as in the paper's code, it would move by 9 pixels; what remains is the border."""
    convolutions = [layers.Conv2D(1, 3, 2, "same", kernel_initializer="ones") for _ in range(5)]
    found = blob(keras.Sequential([keras.Input((224, 224, 1)), *convolutions]), rows)
    assert found["resampled"][1] == pytest.approx(found["flat"][1], abs=3)


def test_the_way_back_is_linear_in_the_signal():
    rng = np.random.default_rng(0)
    model = stem(7, 2, "same", 40, 0)
    x, one, two = noise(rng, 1, 40, 40, 3), *(noise(rng, 1, *model.output_shape[1:]) for _ in range(2))
    parts = [send_back(model, x, signal, "resampled") for signal in (one, two, 3 * one - two)]
    np.testing.assert_allclose(3 * parts[0] - parts[1], parts[2], atol=1e-5)


def test_inputs_of_any_size():
    rng = np.random.default_rng(0)
    kernel, x, signal = noise(rng, 5, 5, 3, 2), noise(rng, 1, 21, 17, 3), noise(rng, 1, 7, 6, 2)
    convolution = Convolution(kernel, strides=3, padding="SAME")
    fixed, free = (keras.Sequential([keras.Input(shape), convolution]) for shape in ((21, 17, 3), (None, None, 3)))
    found = send_back(free, x, signal, "resampled")
    np.testing.assert_allclose(found, send_back(fixed, x, signal, "resampled"), atol=1e-6)


def test_kernels_that_are_computed_keep_their_gradient():
    rng = np.random.default_rng(0)
    kernel, x = noise(rng, 3, 3, 1, 2), noise(rng, 1, 9, 9, 1)
    function = tf.function(
        lambda x: tf.nn.conv2d(tf.stop_gradient(x), kernel * tf.reduce_mean(x), 2, "VALID"),
        input_signature=[tf.TensorSpec([None, 9, 9, 1])],
    )
    signal = noise(rng, 1, 4, 4, 2)
    plain, found = (send_back(function, x, signal, rule) for rule in ("flat", "resampled"))
    np.testing.assert_array_equal(found, plain)
    assert np.abs(found).max() > 0


# Pooling by switches


def unpooled_by_hand(x, signal, k, stride, same):
    """Window by window, row by row: a later window overwrites."""
    size = x.shape[0]
    missing = max((signal.shape[0] - 1) * stride + k - size, 0) if same else 0
    begin = missing // 2
    canvas = np.zeros_like(x)
    for i, j in np.ndindex(signal.shape):
        rows = [r for r in range(i * stride - begin, i * stride - begin + k) if 0 <= r < size]
        columns = [c for c in range(j * stride - begin, j * stride - begin + k) if 0 <= c < size]
        best = max(itertools.product(rows, columns), key=lambda at: x[at])  # the first of equals
        canvas[best] = signal[i, j]
    return canvas


POOLINGS = [(13, 3, 2), (12, 3, 2), (7, 3, 1), (8, 2, 2), (11, 4, 3)]
SWITCHES = [(*pooling, padding, False) for pooling in POOLINGS for padding in ("valid", "same")]
SWITCHES += [(13, 3, 2, "same", True), (12, 3, 2, "valid", True)]  # XLA: with and without padding


@pytest.mark.parametrize(("size", "k", "stride", "padding", "jit"), SWITCHES)
def test_switches_by_hand(size, k, stride, padding, jit):
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((size, size, 2)), layers.MaxPooling2D(k, stride, padding)])
    x = rng.integers(-6, 3, (2, size, size, 2)).astype("float32")  # many equals
    signal = noise(rng, 2, *model.output_shape[1:])
    found = send_back(model, x, signal, "switch", jit)
    for n, c in np.ndindex(2, 2):
        expected = unpooled_by_hand(x[n, ..., c], signal[n, ..., c], k, stride, padding == "same")
        np.testing.assert_array_equal(found[n, ..., c], expected)


def test_switches_of_channels_first():
    rng = np.random.default_rng(0)
    x, signal = noise(rng, 1, 2, 9, 8), noise(rng, 1, 2, 4, 3)
    first = tf.function(
        lambda x: tf.nn.max_pool2d(x, (3, 3), (2, 2), "VALID", "NCHW"), input_signature=[tf.TensorSpec(x.shape)]
    )
    last = keras.Sequential([keras.Input((9, 8, 2)), layers.MaxPooling2D(3, 2)])
    expected = send_back(last, np.moveaxis(x, 1, -1), np.moveaxis(signal, 1, -1), "switch")
    found = send_back(first, x, signal, "switch", jit=True)
    np.testing.assert_array_equal(np.moveaxis(found, 1, -1), expected)


def test_shared_maxima_are_overwritten_and_the_gradient_adds():
    model = keras.Sequential([keras.Input((5, 5, 1)), layers.MaxPooling2D(3, 2)])
    x = np.zeros((1, 5, 5, 1), "float32")
    x[0, 2, 2] = 1  # the maximum of all four windows
    signal = np.array([[1, 2], [3, 5]], "float32").reshape(1, 2, 2, 1)
    assert send_back(model, x, signal, "flat")[0, 2, 2, 0] == 11
    assert send_back(model, x, signal, "switch")[0, 2, 2, 0] == 5


# As options of the methods

OPTIONS = {"strided": "resampled", "pooling": "switch"}


def strided_network():
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 5, 2, "same", activation="relu")(inputs)
    x = layers.MaxPooling2D(3, 2, "same")(x)
    branch = layers.DepthwiseConv2D(3, 2, "same", activation="relu")(x)
    x = layers.ReLU(max_value=4)(layers.Add()([branch, layers.Conv2D(8, 1, 2)(x)]))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network with strides, and where it is saved."""
    keras.utils.set_random_seed(0)
    model, path = strided_network(), tmp_path_factory.mktemp("exported")
    model.export(path, verbose=False)
    return model, path


@pytest.mark.parametrize("method", [tfxai.GuidedBackprop, tfxai.GuidedGradCAM])
def test_saved_model_equals_keras(exported, method):
    rng = np.random.default_rng(3)  # the class activation map of one of the images is positive somewhere
    (model, path), x = exported, noise(rng, 3, 32, 32, 3)
    expected = method(model, **OPTIONS)(x, target=1)
    found = method(path, **OPTIONS)(x, target=1)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6 * np.abs(expected.values).max())
    assert OPTIONS.items() <= found.facts.items()
    plain = method(model)(x, target=1)
    np.testing.assert_array_equal(plain.score, expected.score)
    assert plain.facts["modified_relus"] == expected.facts["modified_relus"]
    assert np.corrcoef(plain.values.ravel(), expected.values.ravel())[0, 1] < 0.99


@pytest.mark.parametrize("method", [tfxai.GuidedBackprop, tfxai.Deconvnet])
def test_each_option_changes_what_it_says(method):
    rng = np.random.default_rng(0)
    x = noise(rng, 1, 32, 32, 3)
    inputs = keras.Input((32, 32, 3))
    pooled = layers.MaxPooling2D(3, 2)(layers.Conv2D(4, 3, activation="relu")(inputs))
    pooling = keras.Model(inputs, layers.Flatten()(pooled))
    strided = keras.Model(inputs, layers.Flatten()(layers.Conv2D(4, 3, 2, activation="relu")(inputs)))
    for model, option, other in ((pooling, "pooling", "strided"), (strided, "strided", "pooling")):
        total = lambda y: tf.reduce_sum(y, 1)  # noqa: E731
        plain = method(model)(x, total).values
        assert not np.allclose(method(model, **{option: OPTIONS[option]})(x, total).values, plain)
        np.testing.assert_array_equal(method(model, **{other: OPTIONS[other]})(x, total).values, plain)


@pytest.mark.parametrize("name", ["plain", "subclassed"])
def test_networks_without_strides_and_overlaps_are_unchanged(name, x):
    model = networks.known(name)
    plain = tfxai.GuidedBackprop(model)(x, target=1)
    np.testing.assert_array_equal(tfxai.GuidedBackprop(model, **OPTIONS)(x, target=1).values, plain.values)


def test_unknown_options(plain):
    with pytest.raises(ValueError, match=r"strided to be one of \['gradient', 'resampled'\], got True"):
        tfxai.GuidedBackprop(plain, strided=True)
    with pytest.raises(ValueError, match=r"pooling to be one of \['gradient', 'switch'"):
        tfxai.GuidedGradCAM(plain, pooling="switches")


def test_no_grid_in_a_real_network(data):
    """Five strided convolutions, four of them depthwise."""
    rng = np.random.default_rng(0)
    model = keras.models.load_model(data / "models" / "mobilenet_v2_224.keras", compile=False)
    x = tf.image.resize(noise(rng, 2, 14, 14, 3), (224, 224)).numpy()
    energy = {}
    for strided in ("gradient", "resampled"):
        power = np.abs(np.fft.fft2(tfxai.GuidedBackprop(model, strided=strided)(x, 3).heatmaps())) ** 2
        grid = power[:, ::56, ::56].sum() - power[:, 0, 0].sum()
        energy[strided] = grid / (power.sum() - power[:, 0, 0].sum())
    assert energy["resampled"] < energy["gradient"] / 10
