"""Neurons of a vision transformer: what a token shows is the patch that it stands for."""

import keras
import numpy as np
import pytest
import token_networks
from networks import oracle

import tfxai
from tfxai.neurons.average import average_images


@pytest.fixture(scope="module")
def photographs():
    x = np.tile(token_networks.inputs("vit"), (5, 1, 1, 1))
    return x + np.random.default_rng(0).normal(0, 0.1, x.shape).astype("f"), np.tile(oracle("vit_inputs")["labels"], 5)


@pytest.mark.parametrize("layer", ["to_tokens", "norm2a"])
def test_the_patch_of_a_token_is_cut_out(photographs, layer):
    model, (x, _) = token_networks.known("vit"), photographs
    found = average_images(model, [(layer, 3)], x, crops=3)[0]
    values = keras.Model(model.input, model.get_layer(layer).output).predict(x, verbose=0)[..., 3]
    prefix = values.shape[1] - 16
    for part in found.parts:
        token = int(values[part.image].argmax())
        assert part.unit[0] == token
        if token < prefix:
            assert part.pixels.shape == (16, 16, 3)
            continue
        row, column = divmod(token - prefix, 4)
        assert part.pixels.shape == (4, 4, 3)
        shown = average_images(model, [(layer, 3)], x[part.image : part.image + 1], crops=1)[0]
        whole = shown.parts[0]
        np.testing.assert_array_equal(whole.pixels, part.pixels)
        colours = x[part.image, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        assert np.corrcoef(colours.ravel(), part.pixels.ravel())[0, 1] > 0.99


def test_a_prediction_explained_by_features_of_tokens(photographs):
    model, (x, labels) = token_networks.known("vit"), photographs
    features = tfxai.RelevantFeatures(model).fit(x, labels, verbose=0)
    with pytest.raises(ValueError, match='Give relus="gradient"'):
        features.explain(x[:2])
    with_any = [int(label) for label in labels[:4] if features.features_[label]]
    found = features.explain(x[:1], with_any[0], relus="gradient")
    assert found.values.shape == (1, 16, 16)
    assert found.values.max() == pytest.approx(1)


def test_resampling_looks_at_patches():
    x = token_networks.inputs("vit")[:1]
    result = tfxai.InputResampling(token_networks.known("vit"), layers=["add1b"], samples=16, seed=0)(x)
    boxes = result.patches("correlation", top=3)["add1b"]
    sizes = boxes[..., 2:] - boxes[..., :2]
    assert set(sizes.ravel().tolist()) <= {4, 16}  # a patch, or all that the class token sees
