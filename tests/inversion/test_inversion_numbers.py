"""Guided feature inversion in numbers: beside those of the authors' code, and its parts beside NumPy."""

import networks
import numpy as np
import pytest
import tensorflow as tf
from networks import CAM_LAYER, oracle

import tfxai
from tfxai.baselines import gaussian
from tfxai.goal import Goal
from tfxai.inversion.mask import ChannelMask, blend, interpolation
from tfxai.inversion.objective import losses
from tfxai.run import Run


def relative(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


AUTHORS = ("w", "w_after_10", "w_after_80", "mask", "inverted", "perceptual", "norm", "highlight", "suppress", "total")


@pytest.fixture(scope="module", params=["plain", "residual"])
def authors(request):
    """Our explanation of two pictures at once, and what the authors' code finds for each, one at a time."""
    given, theirs = oracle(f"{request.param}_inputs"), oracle(f"{request.param}_gfi")
    layer, model = CAM_LAYER[request.param], getattr(networks, request.param)()

    def explain(**options):
        fill = {"fill": lambda x: given["x_blurred"][:2]}
        explainer = tfxai.GuidedFeatureInversion(model, layer, preset="authors", **fill, **options)
        assert explainer.reads == (layer, layer)
        return explainer(given["x"][:2], given["labels"][:2])

    return explain, [{key: theirs[f"{picture}/float64/{key}"] for key in AUTHORS} for picture in (0, 1)]


def test_authors_weights_masks_and_losses(authors):
    explain, theirs = authors
    explanation = explain()
    assert explanation.extras["target_steps"].tolist() == [69, 69]
    for one, expected in zip(explanation, theirs, strict=True):
        found = {name: x[0] for name, x in one.extras.items()}
        assert relative(found["inversion_weights"], expected["w"][10]) < 1e-3  # after eleven updates
        assert relative(found["weights"], expected["w_after_80"]) < 1e-2
        assert np.abs(one.values[0] - expected["mask"]).max() < 3e-3
        assert np.abs(found["foreground"] - expected["inverted"]).max() < 3e-3
        first, second = slice(0, 11), slice(11, 80)
        for name, history in {
            "inversion_history/error": expected["perceptual"][first],
            "inversion_history/penalty": 5 * expected["norm"][first],
            "inversion_history/total": expected["total"][first],
            "target_history/foreground": expected["highlight"][second],
            "target_history/background": expected["suppress"][second],
            "target_history/penalty": 2 * expected["norm"][second],
            "target_history/total": expected["total"][second],
        }.items():
            assert relative(found[name], history) < 3e-3


def test_authors_weights_after_ten_steps(authors):
    explain, theirs = authors
    weights = explain(stages="inversion", inversion_steps=10).extras["weights"]
    for found, expected in zip(weights, theirs, strict=True):
        assert relative(found, expected["w_after_10"]) < 1e-3


def test_blur_is_nearly_that_of_pil():
    """PIL approximates a Gaussian by boxes; its radius is the standard deviation."""
    pictures = oracle("blur")
    x = tf.constant(pictures["image"][None].astype("float32"))
    ours = gaussian(gaussian(x, 11, 1), 11, 2)[0].numpy()
    difference = np.abs(ours - pictures["pil_radius_11"])
    assert difference.mean() < 1.8
    assert difference.max() < 19


class TestMask:
    rng = np.random.default_rng(0)
    maps = tf.constant(rng.uniform(size=(3, 5, 7, 4)), tf.float32)
    weights = tf.constant(rng.uniform(size=(3, 4)), tf.float32)

    @pytest.mark.parametrize("scaling", ["before", "after"])
    @pytest.mark.parametrize("align_corners", [False, True])
    def test_in_numpy(self, scaling, align_corners):
        mask = ChannelMask(self.maps, (11, 16), scaling, align_corners)(self.weights).numpy()
        for one, maps, weights in zip(mask, self.maps.numpy(), self.weights.numpy(), strict=True):
            q = maps @ weights
            how = {"align_corners": align_corners, "half_pixel_centers": not align_corners}
            enlarged = tf.raw_ops.ResizeBilinear(images=q[None, ..., None], size=(11, 16), **how)[0, ..., 0].numpy()
            if scaling == "after":
                expected = (enlarged - enlarged.min()) / enlarged.max()
            else:
                expected = (enlarged - q.min()) / (q.max() - q.min())
            np.testing.assert_allclose(one, expected, atol=1e-6)

    def test_it_depends_on_directions_only(self):
        mask = ChannelMask(self.maps, (11, 16))
        np.testing.assert_allclose(mask(1e3 * self.weights), mask(self.weights), atol=1e-6)
        order = [2, 0, 3, 1]
        permuted = ChannelMask(tf.gather(self.maps, order, axis=-1), (11, 16))
        np.testing.assert_allclose(permuted(tf.gather(self.weights, order, axis=1)), mask(self.weights), atol=1e-6)
        constant = tf.concat([self.maps, tf.fill([3, 5, 7, 1], 9.0)], -1)
        more = tf.concat([self.weights, tf.ones([3, 1])], 1)
        np.testing.assert_allclose(ChannelMask(constant, (11, 16))(more), mask(self.weights), atol=1e-5)

    def test_it_reaches_nought_and_one(self):
        mask = ChannelMask(self.maps, (5, 7))(self.weights).numpy()
        np.testing.assert_array_equal(mask.min((1, 2)), 0)
        np.testing.assert_array_equal(mask.max((1, 2)), 1)

    @pytest.mark.parametrize("scaling", ["before", "after"])
    def test_where_nothing_varies_there_is_none(self, scaling):
        maps = tf.stack([tf.zeros([5, 7, 4]), tf.fill([5, 7, 4], 0.3), -self.maps[0], self.maps[0]])
        weights = tf.ones([4, 4])
        mask = ChannelMask(maps, (11, 16), scaling)
        assert mask.exists(weights).numpy().tolist() == [False, False, False, True]
        assert mask.exists(1e-7 * weights).numpy().tolist() == [False] * 4

        @tf.function(autograph=False)
        def gradient(weights):
            return mask(weights), tf.gradients(mask(weights), weights)[0]

        values, slope = gradient(weights)
        np.testing.assert_array_equal(values[:3], 0)
        np.testing.assert_array_equal(slope[:3], 0)
        assert np.isfinite(slope).all()

    def test_blending(self):
        rng = np.random.default_rng(1)
        x, p = (tf.constant(rng.normal(size=(3, 11, 16, 3)), tf.float32) for _ in range(2))
        mask = ChannelMask(self.maps, (11, 16))(self.weights)
        np.testing.assert_array_equal(blend(x, p, tf.ones_like(mask)), x)
        np.testing.assert_array_equal(blend(x, p, tf.zeros_like(mask)), p)
        np.testing.assert_allclose(blend(x, p, mask) + blend(p, x, mask), x + p, atol=1e-6)
        np.testing.assert_allclose(blend(x, p, 1 - mask), blend(p, x, mask), atol=1e-6)

    def test_interpolation_of_one_pixel(self):
        for align_corners in (False, True):
            np.testing.assert_array_equal(interpolation(1, 4, align_corners), np.ones((4, 1)))
        np.testing.assert_array_equal(interpolation(6, 6), np.eye(6))


def test_objectives_in_numpy():
    z = np.random.default_rng(0).normal(0, 3, (6, 4)).astype("float32")
    ids = np.array([0, 1, 2, 3, 0, 1])
    own = z[np.arange(6), ids]
    softmax = np.exp(own) / np.exp(z).sum(1)
    for head, p in (("softmax", softmax), ("sigmoid", 1 / (1 + np.exp(-own)))):
        expected = {
            "probability": (-p, p),
            "log_probability": (-np.log(p), np.log(p)),
            "cross_entropy": (-np.log(p), -np.log(1 - p)),
            "logit": (-own, own),
        }
        run = Run(None, tf.constant(own), Goal(tf.constant(ids, tf.int32)), tf.constant(z), {}, 1, head=head)
        for objective in expected:
            np.testing.assert_allclose(losses(run, objective), expected[objective], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(losses(run, objective, head), losses(run, objective), rtol=1e-6)
    certain = Run(None, tf.constant([99.0]), Goal(tf.constant([0])), tf.constant([[99.0, 0, 0]]), {}, 1)
    assert np.isfinite(losses(certain, "cross_entropy")).all()
