"""A model without some of its channels, against the arithmetic."""

import numpy as np
import pytest
import tensorflow as tf

from tfxai.channels import named, over_sites, without
from tfxai.models import open_model


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("positions", [(), (4,), (4, 5)])
def test_channels_are_zero_at_all_their_sites(rows, positions):
    random = np.random.default_rng(0)
    x = random.normal(size=(3, *positions, 6)).astype(np.float32)
    mask = random.random((rows, 6)) < 0.5

    @tf.function
    def end(x):
        maps = tf.square(x)
        return without({"maps": maps, "other": x}, {"maps": mask}, tf.reduce_sum(tf.exp(maps) + x, range(1, x.ndim)))

    wide = np.broadcast_to(mask.reshape(rows, *[1] * len(positions), 6), x.shape)
    expected = (np.exp(np.where(wide, 0, x**2)) + x).reshape(3, -1).sum(1)
    np.testing.assert_allclose(end(x), expected, rtol=1e-4)
    np.testing.assert_array_equal(np.broadcast_to(over_sites(tf.constant(mask), tf.constant(x)), x.shape), wide)


def test_layers_by_name(residual):
    view = open_model(residual)
    assert named(view, None) is None
    assert named(view, ["relu4", residual.get_layer("relu1"), "relu4"]) == ("relu4", "relu1")
    for wrong in ("relu1", []):
        with pytest.raises(ValueError, match="list of at least one layer"):
            named(view, wrong)
