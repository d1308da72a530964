"""Inversions of a vision transformer, whose layers are tokens."""

import keras
import numpy as np
import token_networks
from networks import oracle

import tfxai


def test_masks_are_made_of_tokens():
    """A mask is a sum of channels laid out as the patches lie; the foreground keeps the class."""
    model, x, labels = token_networks.known("vit"), token_networks.inputs("vit"), oracle("vit_inputs")["labels"]
    found = tfxai.GuidedFeatureInversion(model)(x, labels)
    assert found.values.shape == (4, 16, 16)
    assert (found.facts["layer"], found.facts["base_layer"]) == ("add1b", "add1b")
    assert found.extras["weights"].shape == (4, 16)
    rows = np.arange(4)
    foreground, background = (
        model.predict(found.extras[side], verbose=0)[rows, labels] for side in ("foreground", "background")
    )
    assert (foreground > background).sum() >= 3
    assert foreground.mean() > background.mean() + 2


def test_the_first_stage_lays_patches_out():
    """Of one channel alone, without steps: the channel itself, as the patches lie, enlarged."""
    model, x = token_networks.known("vit"), token_networks.inputs("vit")
    found = tfxai.GuidedFeatureInversion(model, "add1b", stages="inversion", inversion_steps=1)(x, 0)
    tokens = found.extras["weights"]
    reader = keras.Model(model.input, model.get_layer("add1b").output)
    maps = np.maximum(reader.predict(x, verbose=0)[:, 1:].reshape(4, 4, 4, 16), 0)
    q = np.einsum("nhwc,nc->nhw", maps, tokens)
    q = (q - q.min((1, 2), keepdims=True)) / np.ptp(q, (1, 2), keepdims=True)
    inner = found.values.reshape(4, 4, 4, 4, 4)[:, :, 1:3, :, 1:3].mean((2, 4))
    assert min(np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(inner, q, strict=True)) > 0.99


def test_features_of_tokens_are_inverted():
    found = tfxai.FeatureInversion(token_networks.known("vit"), steps=20)(token_networks.inputs("vit"), 0)
    error = found.extras["history/error"]
    assert found.values.shape == (4, 16, 16, 3)
    assert (error[:, -1] < error[:, 0]).all()
