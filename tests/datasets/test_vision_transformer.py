"""Tests of the shipped vision transformer: what it is, what it can, and what is said where there is none."""

import keras
import numpy as np
import pytest

import tfxai
from tfxai import metrics
from tfxai.datasets import flowers, train_flowers, vision_transformer
from tfxai.relevance import Composite, Gamma


@pytest.fixture(scope="module")
def vit():
    return flowers.load_model("single-6c", architecture="vit")


def test_it_is_accurate(vit):
    assert train_flowers.accuracy(vit, "single-6c", n=300, seed=77) >= 0.97


def test_its_weights_are_small_and_need_no_class_of_ours(vit):
    assert (flowers.WEIGHTS / "vit-single-6c.weights.h5").stat().st_size < 1_500_000
    assert vit.name == "flowers_vit_single_6c"
    assert not vit.compiled
    assert all(type(layer).__module__.startswith("keras.") for layer in vit.layers)


def test_its_attention_is_found(vit):
    found = tfxai.attention(vit)
    assert [one.name for one in found] == [f"block{n}_attention" for n in (1, 2, 3)]
    assert {one[1:] for one in found} == {("self", 4, 197, 197, 1, False)}


def test_tokens_are_patches_behind_a_class_token():
    model = vision_transformer.build(6)
    tokens = keras.Model(model.input, model.get_layer("tokens").output)
    kernel, bias = model.get_layer("tokens").get_weights()
    bias = np.random.default_rng(0).normal(size=bias.shape).astype(np.float32)
    model.get_layer("tokens").set_weights([kernel, bias])
    image = np.random.default_rng(1).uniform(0, 255, (1, 112, 112, 3)).astype(np.float32)
    found = tokens(image).numpy()[0]
    np.testing.assert_allclose(found[0], bias[0])
    for row, column in ((0, 0), (2, 5), (13, 13)):
        patch = image[0, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] / 127.5 - 1
        number = 1 + 14 * row + column
        np.testing.assert_allclose(found[number], patch.ravel() @ kernel + bias[number], atol=1e-4)


def test_the_class_is_read_from_the_class_token(vit):
    image = flowers.make(n=1)[0].astype(np.float32)
    outputs = vit.get_layer("block3_output").output, vit.get_layer("logits").output
    tokens, logits = (x.numpy() for x in keras.Model(vit.input, outputs)(image))
    first = tokens[:, 0]
    scaled = (first - first.mean()) / np.sqrt(first.var() + 1e-6)
    gamma, beta = vit.get_layer("norm").get_weights()
    kernel, bias = vit.get_layer("logits").get_weights()
    np.testing.assert_allclose(logits, (scaled * gamma + beta) @ kernel + bias, rtol=1e-3, atol=1e-4)


def test_a_method_of_tokens_finds_the_petals_better_than_grad_cam(vit):
    """The flowers are not those of the table in the documentation."""
    images, labels, masks = flowers.make("single-6c", 48, seed=79)
    inputs = images.astype(np.float32)
    explainers = tfxai.LeGrad(vit), tfxai.GradCAM(vit)
    areas = [metrics.iou_curve(one(inputs, target=labels, verbose=0).heatmaps(), masks).mean(1) for one in explainers]
    low, _ = metrics.bootstrap_interval(areas[0] - areas[1])
    assert low > 0


def test_a_network_that_is_not_there():
    with pytest.raises(ValueError, match=r"to be single-6c for the architecture 'vit', got 'double-12c'.*Train one"):
        flowers.load_model("double-12c", architecture="vit")
    with pytest.raises(ValueError, match=r"architecture to be one of .*cnn.*vit.*, got 'mlp'"):
        flowers.load_model(architecture="mlp")
    with pytest.raises(ValueError, match="single-6c, double-12c"):
        flowers.load_model("tulips", "vit")


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves
def test_training_script_writes_loadable_weights(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train_flowers, "accuracy", lambda model, name: 0.5)  # spares 1200 images
    options = ["--architecture", "vit", "--epochs", "1", "--images", "32", "--output", str(tmp_path)]
    train_flowers.main(options)
    assert "single-6c: test accuracy" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["vit-single-6c.weights.h5"]
    vision_transformer.build(6).load_weights(tmp_path / "vit-single-6c.weights.h5")


def test_gammas_of_relevance_know_its_patches(vit):
    """No convolution makes tokens of them, but a product."""
    images, labels, _ = flowers.make("single-6c", 2, seed=5)

    def found(composite):
        return tfxai.LRP(vit, composite=composite)(images, labels).values

    every, patches = (Composite(choices, Gamma(0.05), norms="share") for choices in ([], [("*tokens*", Gamma(1))]))
    ours, written = found("attn_lrp_gamma"), found(patches)
    atol = 1e-4 * np.abs(written).max()
    np.testing.assert_allclose(ours, written, rtol=1e-3, atol=atol)
    assert np.abs(ours - found(every)).max() > 100 * atol
