"""Transforms of images against NumPy and OpenCV, and how numbers make images."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

import tfxai
from tfxai.synthesis.box import box
from tfxai.synthesis.parameterization import Fourier
from tfxai.synthesis.transforms import sampled

t = tfxai.transforms
IMAGE = np.random.default_rng(0).normal(size=(2, 9, 12, 3)).astype("float32")


def moved(x, down, right):
    """Images moved by whole pixels, edges repeated."""
    rows = np.clip(np.arange(x.shape[1]) - down, 0, x.shape[1] - 1)
    columns = np.clip(np.arange(x.shape[2]) - right, 0, x.shape[2] - 1)
    return x[:, rows][:, :, columns]


def warped(x, matrix):
    """The same sampling by OpenCV, whose matrix is of (column, row) counted from the corner."""
    _, h, w, _ = x.shape
    centre = np.array([(h - 1) / 2, (w - 1) / 2])
    part, shift = matrix[:2, :2], matrix[:2, 2] + centre - matrix[:2, :2] @ centre
    rows, columns = np.einsum("ab,bhw->ahw", part, np.mgrid[:h, :w]) + shift[:, None, None]
    maps = columns.astype("f"), rows.astype("f")
    return np.stack([cv2.remap(one, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for one in x])


def test_jitter_moves_whole_pixels():
    seen = set()
    for step in range(60):
        found = t.jitter(2)(IMAGE, (0, step)).numpy()
        fits = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if np.array_equal(found, moved(IMAGE, down, right))
        ]
        assert len(fits) == 1
        seen.update(fits)
    assert {down for down, _ in seen} == {right for _, right in seen} == set(range(-2, 3))


def test_a_share_of_the_side():
    places = np.broadcast_to(np.arange(60.0, dtype="f")[None, None, :, None], (1, 30, 60, 1))
    by = {float(t.jitter(0.1)(places, (1, step))[0, 15, 30, 0]) - 30 for step in range(50)}
    assert by == {-3, -2, -1, 0, 1, 2, 3}


def test_scale_and_rotation():
    square = IMAGE[:, :, :9]
    np.testing.assert_array_equal(t.rotate(90, 90)(square, (0, 0)), np.rot90(square, axes=(1, 2)))
    np.testing.assert_array_equal(t.rotate(180, 180)(IMAGE, (0, 0)), IMAGE[:, ::-1, ::-1])
    twice = t.scale(2, 2)(IMAGE[:, :, :11], (0, 0)).numpy()
    np.testing.assert_allclose(twice[:, ::2, 1::2], IMAGE[:, 2:7, 3:8], atol=1e-6)
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    smooth = cv2.GaussianBlur(np.random.default_rng(1).normal(size=(40, 50, 3)), (0, 0), 3).astype("f")[None]
    np.testing.assert_allclose(t.rotate(20, 20)(smooth, (0, 0)), warped(smooth, turn), atol=0.01)


def test_random_factors_lie_within_their_bounds():
    ramp = np.broadcast_to(np.linspace(-10, 10, 21, dtype="f")[None, None, :, None], (1, 21, 21, 1))
    factors = [1 / (t.scale(0.5, 2)(ramp, (3, step)).numpy()[0, 10, 11, 0]) for step in range(40)]
    assert 0.5 <= min(factors) < 0.8
    assert 1.7 < max(factors) <= 2


def test_crop_and_pad():
    ramp = np.broadcast_to(np.arange(100.0, dtype="f")[None, :, None, None], (1, 100, 100, 1))
    starts = []
    for step in range(30):
        column = t.crop(0.5)(ramp, (0, step)).numpy()[0, :, 50, 0]
        np.testing.assert_allclose(np.diff(column)[2:-2], 0.5, atol=1e-3)
        starts.append(column[0])
    assert min(starts) >= 0
    assert max(starts) <= 50.5
    assert np.ptp(starts) > 30
    padded = t.pad(0.5)(ramp, (0, 0)).numpy()[0, :, 50, 0]
    assert (padded[:25] == 0).all()
    assert (padded[75:] == 99).all()
    np.testing.assert_allclose(np.diff(padded[27:73]), 2, atol=1e-3)


def test_any_affine_map_and_its_gradient():
    matrix = np.array([[0.9, 0.2, 1.3], [-0.1, 1.1, -0.7], [0, 0, 1]])
    smooth = cv2.GaussianBlur(np.random.default_rng(1).normal(size=(31, 40, 2)), (0, 0), 3).astype("f")[None]
    x = tf.constant(smooth)
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = sampled(x, tf.constant(matrix, tf.float32))
    np.testing.assert_allclose(found, warped(smooth, matrix), atol=0.01)
    weights = np.random.default_rng(2).normal(size=found.shape).astype("f")
    with tf.GradientTape() as tape:
        tape.watch(x)
        product = tf.reduce_sum(sampled(x, tf.constant(matrix, tf.float32)) * weights)
    direction = np.random.default_rng(3).normal(size=smooth.shape).astype("f")
    change = tf.reduce_sum(sampled(tf.constant(direction), tf.constant(matrix, tf.float32)) * weights)
    np.testing.assert_allclose(tf.reduce_sum(tape.gradient(product, x) * direction), change, rtol=1e-3)


def test_composition():
    """One after the other; affine ones are sampled once, which for whole pixels makes no difference."""
    both = t.compose(t.rotate(90, 90), t.scale(2, 2))
    one_by_one = t.scale(2, 2)(t.rotate(90, 90)(IMAGE[:, :, :9], (0, 0)), (0, 0))
    np.testing.assert_allclose(both(IMAGE[:, :, :9], tf.constant([0, 0])), one_by_one, atol=1e-5)
    # Moving and then turning is not turning and then moving.
    right = t.Affine(lambda seed, size: tf.constant([[1.0, 0, 0], [0, 1, -2], [0, 0, 1]]))
    turned = t.compose(right, t.rotate(90, 90))(IMAGE[:, :, :9], tf.constant([0, 0]))
    np.testing.assert_array_equal(turned, np.rot90(moved(IMAGE[:, :, :9], 0, 2), axes=(1, 2)))
    own = t.compose(t.rotate(180, 180), lambda images, seed: 2 * images, t.rotate(180, 180))
    np.testing.assert_array_equal(own(IMAGE, tf.constant([0, 0])), 2 * IMAGE)
    np.testing.assert_array_equal(t.compose()(IMAGE, tf.constant([0, 0])), IMAGE)


@pytest.mark.parametrize("make", [t.robust, lambda: t.jitter(3), lambda: t.crop(0.5)])
def test_images_move_alike_and_seeds_decide(make):
    call, seed = make(), tf.constant([4, 7])
    together = call(IMAGE, seed).numpy()
    np.testing.assert_array_equal(together[1:], call(IMAGE[1:], seed))
    np.testing.assert_array_equal(together, call(IMAGE, seed))
    assert any(not np.array_equal(together, call(IMAGE, tf.constant([4, step]))) for step in range(8, 12))
    compiled = tf.function(call, jit_compile=True)(tf.constant(IMAGE), seed)
    assert compiled.shape == IMAGE.shape


@pytest.mark.parametrize(
    "make",
    [
        lambda: t.jitter(-1),
        lambda: t.jitter(1.5),
        lambda: t.scale(0, 1),
        lambda: t.scale(2, 1),
        lambda: t.rotate(5, -5),
        lambda: t.crop(0),
        lambda: t.pad(-0.1),
        lambda: t.jitter(1)(np.zeros((2, 5)), (0, 0)),
    ],
)
def test_bad_values(make):
    with pytest.raises(ValueError):
        make()


class TestFourier:
    @pytest.mark.parametrize("shape", [(8, 8, 3), (7, 10, 1), (9, 5, 3), (1, 6, 2), (13, 13, 4)])
    def test_there_and_back(self, shape):
        fourier, x = Fourier(shape), np.random.default_rng(0).normal(size=(2, *shape)).astype("f")
        numbers = fourier.numbers(tf.constant(x))
        assert numbers.shape == (2, *fourier.shape)
        np.testing.assert_allclose(fourier.image(numbers), x, atol=1e-5)

    def test_by_hand(self):
        """The inverse transform as a sum of waves, in mixed colours."""
        fourier = Fourier((6, 5, 3))
        numbers = np.random.default_rng(0).normal(size=(1, *fourier.shape))
        coefficients = (numbers[0, ..., 0] + 1j * numbers[0, ..., 1]) * fourier.scale
        rows, columns = np.mgrid[:6, :5]
        planes = np.zeros((3, 6, 5))
        for row in range(6):
            for column in range(3):
                wave = np.exp(2j * np.pi * (row * rows / 6 + column * columns / 5)) / 30
                planes += (2 if column else 1) * np.real(coefficients[:, row, column, None, None] * wave)
        expected = np.einsum("khw,kc->hwc", planes, fourier.mix)
        np.testing.assert_allclose(fourier.image(tf.constant(numbers, tf.float32))[0], expected, atol=1e-5)

    @pytest.mark.parametrize("shape", [(32, 32, 3), (31, 48, 3), (40, 27, 1)])
    def test_unit_noise_has_unit_variance(self, shape):
        fourier = Fourier(shape)
        numbers = np.random.default_rng(0).normal(size=(300, *fourier.shape)).astype("f")
        found = fourier.image(tf.constant(numbers)).numpy()
        assert abs(found.var() - 1) < 0.1

    @pytest.mark.parametrize("decay", [1, 1.5])
    def test_amplitudes_fall_with_frequency(self, decay):
        fourier = Fourier((64, 64, 3), decay)
        numbers = np.random.default_rng(0).normal(size=(200, *fourier.shape)).astype("f")
        found = fourier.image(tf.constant(numbers)).numpy()
        power = (np.abs(np.fft.fft2(found, axes=(1, 2))) ** 2).mean((0, 3))
        np.testing.assert_allclose(power[0, 4] / power[0, 16], 16**decay, rtol=0.3)
        brightness, colour = found.mean(-1).var(), (found[..., 0] - found[..., 2]).var()
        np.testing.assert_allclose(brightness / colour, (1 / 3) / (2 * 0.28**2), rtol=0.1)

    def test_needs_images(self):
        with pytest.raises(ValueError, match=r"images \(h, w, c\)"):
            Fourier((7,))


class TestBox:
    @pytest.mark.parametrize("way", ["sigmoid", "clip"])
    def test_bounds_of_a_preprocessing(self, way):
        pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3)).astype(np.uint8)
        for mode in tfxai.images.MODES:
            own, x = box(mode, 3, way), tfxai.images.prepare(list(pixels), mode=mode)
            assert (x >= own.low - 1e-4).all()
            assert (x <= own.high + 1e-4).all()
            np.testing.assert_array_equal(own.pixels(x), pixels)
            back = own.image(own.free(tf.constant(x))).numpy()
            np.testing.assert_array_equal(own.pixels(back), pixels)
            np.testing.assert_allclose(own.image(tf.zeros([1, 1, 1, 3])), np.broadcast_to(own.middle, (1, 1, 1, 3)))

    def test_a_sigmoid_stays_within(self):
        own = box((-2, 5))
        free = np.linspace(-30, 30, 7, dtype="f")
        np.testing.assert_allclose(own.image(tf.constant(free)), -2 + 7 / (1 + np.exp(-free)), atol=1e-5)

    def test_no_bounds(self):
        own, x = box(None), np.float32([[[[-7.0], [9.0]]]])
        np.testing.assert_array_equal(own.image(own.free(tf.constant(x))), x)
        assert own.pixels(x)[0, 0, :, 0].tolist() == [0, 255]

    @pytest.mark.parametrize(
        ("given", "message"),
        [("vgg", "preprocess"), ((1, 0), "low below high"), ((0, [1, 2]), "3 channels, got 2"), (3, r"\(low, high\)")],
    )
    def test_bad_values(self, given, message):
        with pytest.raises(ValueError, match=message):
            box(given, 3)
