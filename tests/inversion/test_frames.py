"""The masks on the way of guided feature inversion: what shorter descents end with."""

import numpy as np
import pytest

import tfxai
from tfxai.inversion.mask import interpolation

STEPS = {"inversion_steps": 3, "target_steps": 4}
PLAIN = {"keep_best": False, "scaling": "before"}


def enlarged(frames, size):
    """(n, h, w) at the size of the input."""
    down, across = (interpolation(*lengths) for lengths in zip(frames.shape[1:], size, strict=True))
    return np.einsum("nhw,Hh,Ww->nHW", frames, down, across)


@pytest.fixture(scope="module")
def found(small):
    x = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    return x, tfxai.GuidedFeatureInversion(small, frames=True, **STEPS, **PLAIN)(x, [[0, 1], [1, 2]])


@pytest.mark.parametrize("steps", [1, 3])
def test_a_frame_is_the_mask_of_so_many_steps(small, found, steps):
    x, whole = found
    shorter = tfxai.GuidedFeatureInversion(small, **STEPS | {"target_steps": steps}, **PLAIN)(x, [[0, 1], [1, 2]])
    frames = whole.extras["target_frames"]
    assert frames.shape[:2] == (4, 4)
    np.testing.assert_allclose(enlarged(frames[:, steps], x.shape[1:3]), shorter.values, atol=1e-5)
    assert np.ptp(frames, axis=1).max() > 1e-3  # they move


def test_the_first_stage_begins_with_equal_weights(small, found):
    x, whole = found
    frames = whole.extras["inversion_frames"]
    assert frames.shape[:2] == (4, 3)
    shorter = tfxai.GuidedFeatureInversion(small, stages="inversion", inversion_steps=2, **PLAIN)(x)
    np.testing.assert_allclose(enlarged(frames[::2, 2], x.shape[1:3]), shorter.values, atol=1e-5)


def test_they_change_nothing_and_are_not_kept_unasked(small, found):
    x, whole = found
    without = tfxai.GuidedFeatureInversion(small, **STEPS, **PLAIN)(x, [[0, 1], [1, 2]])
    np.testing.assert_allclose(without.values, whole.values, atol=1e-6)
    assert set(whole.extras) - set(without.extras) == {"inversion_frames", "target_frames"}
    for name, kept in without.extras.items():
        np.testing.assert_allclose(whole.extras[name], kept, rtol=1e-5, atol=1e-6)
