"""Masks of series and volumes: where the class is planted, they find it."""

import keras
import numpy as np
import pytest
from keras import layers

import tfxai

KINDS = {
    1: (layers.Conv1D, layers.GlobalAveragePooling1D, (48,)),
    3: (layers.Conv3D, layers.GlobalAveragePooling3D, (12, 12, 12)),
}


def planted(axes):
    """Two inputs of noise with a burst, where the bursts are, and a model whose class 1 is the sum of magnitudes."""
    convolution, pooling, size = KINDS[axes]
    rng = np.random.default_rng(0)
    x, masks = 0.001 * rng.normal(size=(2, *size, 1)), np.zeros((2, *size), bool)
    for row, start in enumerate((2, 6)):
        masks[row][(slice(start, start + 4),) * axes] = True
        x[row][masks[row]] += rng.choice([-1, 1], (4**axes, 1))
    model = keras.Sequential([keras.Input((*size, 1)), convolution(2, 1), layers.ReLU(), pooling(), layers.Dense(2)])
    model.layers[0].set_weights([np.reshape([1.0, -1.0], (*(1,) * axes, 1, 2)), np.zeros(2)])
    model.layers[-1].set_weights([np.array([[0.0, 10 * np.prod(size) / 4**axes]] * 2), np.zeros(2)])
    return model, x.astype("float32"), masks


MASK = {"steps": 40, "cells": 12, "jitter": 0, "objective": "logit", "l1_weight": 0.02}


@pytest.mark.parametrize("axes", KINDS)
@pytest.mark.parametrize(
    "method",
    [
        tfxai.GuidedFeatureInversion,
        lambda model: tfxai.MeaningfulPerturbation(
            model, steps=40, cells=12, jitter=0, objective="logit", l1_weight=0.02
        ),
    ],
)
def test_masks_find_what_was_planted(axes, method):
    model, x, masks = planted(axes)
    found = method(model)(x, 1)
    assert found.values.shape == masks.shape
    assert (found.extras["degenerate"] == 0).all()
    maps = found.heatmaps()
    for heatmap, mask in zip(maps, masks, strict=True):
        assert (heatmap * mask).sum() / heatmap.sum() > 4 * mask.mean()
    foreground = model.predict(found.extras["foreground"], verbose=0)[:, 1]
    background = model.predict(found.extras["background"], verbose=0)[:, 1]
    assert (foreground > background).all()


def test_tables_have_no_places():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"Use a gradient method|needs images, series or volumes"):
        tfxai.MeaningfulPerturbation(model)(np.ones((1, 6)), 0)
