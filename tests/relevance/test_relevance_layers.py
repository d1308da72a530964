"""Every kind of layer: relevance is kept without biases, and DeepLIFT is complete."""

import numpy as np
import pytest
from layer_branches import EVERY, NAMES, side_by_side

import tfxai


@pytest.mark.parametrize(("shape", "branches"), EVERY, ids=NAMES)
def test_every_layer(shape, branches):
    """All in one model, side by side."""
    model, count = side_by_side(shape, branches)
    x = np.tile(np.random.default_rng(1).normal(size=shape).astype("f"), (count, *[1] * len(shape)))
    every = np.arange(count)

    relevance = tfxai.LRP(model, composite="epsilon", bias=False)(x, every)
    kept = relevance.values.reshape(count, -1).sum(1)
    bound = 1e-3 * np.abs(relevance.values).reshape(count, -1).sum(1)
    assert not [number for number in every if abs(kept[number] - relevance.score[number]) > bound[number]]
    for rule in ("rescale", "reveal_cancel"):
        found = tfxai.DeepLift(model, baseline=0.3, rule=rule)(x, every)
        bound = 1e-5 * np.abs(found.values).reshape(count, -1).sum(1)
        assert not [number for number in every if abs(found.extras["completeness_gap"][number]) > bound[number]]
