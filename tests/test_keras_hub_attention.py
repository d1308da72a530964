"""Attention and token maps of KerasHub's models, tiny and with random weights."""

import keras
import numpy as np
import pytest
from test_keras_hub import CLASSIFIERS, LANGUAGE, PADDED, SEGMENTS, STEPS, T5, WHOLE, models, of_t5
from test_keras_hub import SIZE as OF_TEXT

import tfxai
from tfxai.targets import Token

pytestmark = pytest.mark.filterwarnings("default")

IMAGES = np.random.default_rng(0).random((2, 32, 32, 3), "float32")
SIZE = {"image_shape": (32, 32, 3), "patch_size": 8, "num_layers": 2, "num_heads": 2, "hidden_dim": 16}
METHODS = [tfxai.AttentionRollout, tfxai.TransformerAttribution, tfxai.LeGrad, tfxai.AttentionGradient]


def of_first_token(backbone):
    output = backbone.output
    output = next(iter(output.values())) if isinstance(output, dict) else output
    return keras.Model(backbone.input, keras.layers.Dense(3)(output[:, 0]))


VISION = {
    "vit": lambda: models.ViTImageClassifier(models.ViTBackbone(**SIZE, mlp_dim=32), 3),
    "deit": lambda: models.DeiTImageClassifier(models.DeiTBackbone(**SIZE, intermediate_dim=32), 3),
    "dino_v2": lambda: of_first_token(models.DINOV2Backbone(**SIZE, intermediate_dim=32, num_register_tokens=2)),
    "clip": lambda: of_first_token(
        models.CLIPVisionEncoder(**SIZE, intermediate_dim=32, intermediate_activation="quick_gelu")
    ),
}
ATTENDING = [name for name in (*CLASSIFIERS, *LANGUAGE) if name != "f_net"]


@pytest.mark.parametrize("name", VISION)
def test_of_images(name):
    keras.utils.set_random_seed(0)
    model = VISION[name]()
    prefix = {"deit": 2, "dino_v2": 3}.get(name, 1)  # class, distillation and register tokens
    found = tfxai.attention(model)
    assert [(one.kind, one.heads, one.queries, one.windows) for one in found] == [("self", 2, 16 + prefix, 1)] * 2
    for method in (*METHODS, tfxai.GradCAM, tfxai.ScoreCAM):
        explanation = method(model)(IMAGES, 0, verbose=0)
        assert explanation.values.shape == (2, 4, 4), method
        assert [(side.first, side.step) for side in explanation.places["input"].sides] == [(3.5, 8)] * 2
        assert np.ptp(explanation.values) > 0, method


@pytest.mark.parametrize("name", ATTENDING)
def test_of_words(name):
    keras.utils.set_random_seed(0)
    model = (CLASSIFIERS | LANGUAGE)[name]()
    inputs = WHOLE if name in LANGUAGE else PADDED | ({"segment_ids": SEGMENTS} if name == "bert" else {})
    target = Token(3) if name in LANGUAGE else 1
    found = tfxai.attention(model, inputs=inputs)
    assert [(one.kind, one.heads, one.queries, one.keys) for one in found] == [("self", 2, STEPS, STEPS)] * 2
    assert all("/" in one.name and "softmax" not in one.name for one in found)
    for method in METHODS:
        explanation = method(model)(inputs, target)
        tokens = explanation.tokens("token_ids")
        assert tokens.shape == (2, STEPS)
        assert tokens.any()
        if method is tfxai.AttentionRollout:
            np.testing.assert_allclose(tokens.sum(1), 1, atol=1e-5)
    shares = tfxai.AttentionGradient(model, 0, weight="attention")(inputs, target).extras["heads"]
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-4)


def test_from_an_encoder_to_a_decoder():
    keras.utils.set_random_seed(0)
    options = {"output": "decoder_sequence_output", "at": ["encoder_token_ids", "decoder_token_ids"]}
    model = models.T5Backbone(**OF_TEXT, num_heads=2)
    kinds = [one.kind for one in tfxai.attention(model, "decoder_sequence_output", inputs=T5)]
    assert sorted(kinds) == ["cross"] * 2 + ["self"] * 4
    found = tfxai.TransformerAttribution(model, **options)(T5, of_t5)
    assert {name: values.shape for name, values in found.values.items()} == dict.fromkeys(options["at"], (2, STEPS))
    with pytest.raises(ValueError, match="Use TransformerAttribution"):
        tfxai.AttentionRollout(model, **options)(T5, of_t5)


def test_windows():
    """Maps of a Swin transformer: tokens are shifted, meet in windows, and are merged."""
    keras.utils.set_random_seed(0)
    backbone = models.SwinTransformerBackbone(
        image_shape=(32, 32, 3), patch_size=4, embed_dim=8, depths=(2, 2), num_heads=(2, 2), window_size=4
    )
    model = models.SwinTransformerImageClassifier(backbone, 3)
    assert [one.windows for one in tfxai.attention(model)] == [4, 4, 1, 1]
    for method in METHODS[:3]:
        with pytest.raises(ValueError, match=r"not defined across windows, and .*stage_0/blocks_0.* has 4 of them"):
            method(model)(IMAGES, 0)
    for method in (tfxai.AttentionGradient, tfxai.GradCAM):
        explanation = method(model)(IMAGES, 0)
        assert explanation.values.shape == (2, 4, 4)
        assert [(side.first, side.step) for side in explanation.places["input"].sides] == [(3.5, 8)] * 2
