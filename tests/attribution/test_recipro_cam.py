"""ReciproCAM: the score of one position alone, against heads that are run by hand."""

import keras
import numpy as np
import pytest
import token_networks
from keras import layers
from scipy.ndimage import convolve

import tfxai

GAUSSIAN = np.outer([1, 2, 1], [1, 2, 1]) / 16


def mask(place, size, gaussian):
    """One position, or the Gaussian around it, written out."""
    one = np.zeros(size)
    one[place] = 1
    return convolve(one, GAUSSIAN, mode="constant") if gaussian else one


@pytest.mark.parametrize("gaussian", [False, True])
def test_under_global_average_pooling_it_is_what_each_position_adds(small, x, gaussian):
    added = tfxai.HiResCAM(small)(x, 2).values
    if gaussian:
        added = np.stack([convolve(one, GAUSSIAN, mode="constant") for one in added])
    found = tfxai.ReciproCAM(small, gaussian=gaussian)(x, 2).values
    np.testing.assert_allclose(found, added, rtol=1e-3, atol=1e-5 * np.abs(added).max())


@pytest.mark.parametrize("gaussian", [False, True])
def test_it_is_the_head_run_on_each_position(residual, x, gaussian):
    """Of a layer above which there are further convolutions; at the paper's own probabilities."""
    probabilities = keras.Sequential([residual, layers.Softmax()])
    layer = residual.get_layer("pool")
    body, head = keras.Model(residual.input, layer.output), keras.Model(layer.output, residual.output)
    A, expected = body(x).numpy(), np.zeros((4, 8, 8))
    empty = keras.ops.softmax(head(0 * A))[:, 3]
    for place in np.ndindex(8, 8):
        alone = head(A * mask(place, (8, 8), gaussian)[..., None].astype("f"))
        expected[(slice(None), *place)] = keras.ops.softmax(alone)[:, 3] - empty
    found = tfxai.ReciproCAM(probabilities, "pool", gaussian=gaussian, score="probability")(x, 3)
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_the_class_token_is_kept():
    """Patches of a transformer are set to zero in all but one place; the class token still reads what is left."""
    model, x = token_networks.known("vit"), token_networks.inputs("vit")
    layer = model.get_layer("add1b")
    body, head = keras.Model(model.input, layer.output), keras.Model(layer.output, model.output)
    A = body(x).numpy()
    empty, expected = A.copy(), np.zeros((4, 4, 4))
    empty[:, 1:] = 0
    for place in np.ndindex(4, 4):
        alone = empty.copy()
        token = 1 + np.ravel_multi_index(place, (4, 4))
        alone[:, token] = A[:, token]
        expected[(slice(None), *place)] = head(alone)[:, 1] - head(empty)[:, 1]
    found = tfxai.ReciproCAM(model, "add1b", gaussian=False)(x, 1)
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
    assert found.heatmaps().shape == (4, 16, 16)


def test_where_nothing_is_active_the_map_is_zero():
    """Whatever the bias of the head says."""
    model = keras.Sequential(
        [keras.Input((6, 9, 2)), layers.Conv2D(3, 3), layers.ReLU(), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    )
    model.set_weights([np.zeros_like(weights) for weights in model.get_weights()[:-1]] + [np.ones(2)])
    found = tfxai.ReciproCAM(model)(np.ones((2, 6, 9, 2)), 1)
    np.testing.assert_array_equal(found.values, 0)
    np.testing.assert_array_equal(found.heatmaps(), 0)
