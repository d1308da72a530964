"""Heads that are switched off, against weights that are set to zero."""

import keras
import numpy as np
import pytest
import token_networks
from keras import layers
from networks import oracle

import tfxai
from tfxai.targets import Token


def without(model, layer, heads):
    """A copy of the oracle's network in which nothing of some heads is handed on."""
    again = keras.models.clone_model(model)
    again.set_weights(model.get_weights())
    kernel = again.get_layer(layer).output_dense.kernel  # (heads, size, width)
    changed = kernel.numpy()
    changed[heads] = 0
    kernel.assign(changed)
    return again


def test_a_head_that_is_off_hands_on_nothing():
    model, x, labels = token_networks.known("vit"), token_networks.inputs("vit"), oracle("vit_inputs")["labels"]
    report = tfxai.metrics.head_ablation(model, x, labels)
    rows = np.arange(len(x))
    before = model.predict(x, verbose=0)[rows, labels]
    np.testing.assert_allclose(report.score, before, rtol=1e-5)
    for layer in ("attention1", "attention2"):
        drops = report.drops[layer]
        for heads, drop in ((0, drops[:, 0]), (1, drops[:, 1]), ([0, 1], report.layers[layer])):
            after = without(model, layer, heads).predict(x, verbose=0)[rows, labels]
            np.testing.assert_allclose(drop, before - after, atol=1e-4)
    predicted = model.predict(x, verbose=0).argmax(1)
    default, named = (
        tfxai.metrics.head_ablation(model, x[::-1]),
        tfxai.metrics.head_ablation(model, x[::-1], predicted[::-1]),
    )
    np.testing.assert_allclose(default.drops["attention1"], named.drops["attention1"], atol=1e-5)
    table = report.table()
    assert [row[2] for row in table] == sorted((row[2] for row in table), reverse=True)
    assert all(low <= drop <= high for _, _, drop, (low, high) in table)
    assert str(report).count("\n") == 5  # two heads and all, of two layers


def test_of_words_and_of_any_target():
    labels = oracle("causal_inputs")["labels"]
    report = tfxai.metrics.head_ablation(
        token_networks.known("causal"), token_networks.inputs("causal"), Token(labels), batch_size=3
    )
    assert report.drops["attention2"].shape == (4, 2)
    assert np.abs(report.drops["attention2"]).max() > 0.1


def test_without_attention():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"Use tfxai\.metrics\.ablation"):
        tfxai.metrics.head_ablation(model, np.ones((2, 4), "f"))
