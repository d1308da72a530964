"""Evaluation on painted flowers, by the command line and by its parts."""

import contextlib
import csv
import io

import cv2
import keras
import numpy as np
import pytest

import tfxai
from tfxai import metrics
from tfxai.cli import main
from tfxai.datasets import flowers, train_flowers
from tfxai.evaluation.flowers import (
    OF_FEATURES,
    OF_MODELS,
    OF_TRANSFORMERS,
    GuidedGradCAMPlusPlus,
    UpsampledActivation,
    evaluate_flowers,
)

FLOWERS = 24, 2  # images and folds


@pytest.fixture(scope="module")
def flower_table(tmp_path_factory):
    """What `tfxai evaluate flowers` prints and writes, and on how many images each fit was."""
    out = tmp_path_factory.mktemp("flowers")
    fits, fit = [], tfxai.RelevantFeatures.fit

    def recorded(self, inputs, labels, **options):
        fits.append((inputs, labels, self.mu))
        return fit(self, inputs, labels, **options)

    n, folds = map(str, FLOWERS)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.setattr(tfxai.RelevantFeatures, "fit", recorded)
        options = ["--data", "double-12c", "--images", n, "--folds", folds, "--seed", "3", "--mu", "4"]
        assert main(["evaluate", "flowers", *options, "--csv", str(out / "table.csv")]) == 0
    with open(out / "table.csv", newline="") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    return printed.getvalue(), rows, fits


@pytest.fixture(scope="module")
def double():
    images, labels, masks = flowers.make("double-12c", FLOWERS[0], seed=3)
    return flowers.load_model("double-12c"), images.astype(np.float32), labels, masks


def test_the_flower_table_is_what_the_metrics_say(flower_table, double):
    printed, rows, _ = flower_table
    model, images, _, masks = double
    for method, explainer in (("Grad-CAM", tfxai.GradCAM), ("deconvnet + guided", tfxai.GuidedBackprop)):
        curves = metrics.iou_curve(explainer(model)(images).heatmaps(), masks)
        areas = curves.reshape(2, 12, 21).mean((1, 2))
        found = rows[method]
        assert [float(found[f"fold_{k}"]) for k in (1, 2)] == pytest.approx(areas, abs=1e-4)
        assert float(found["area"]) == pytest.approx(areas.mean(), abs=1e-4)
        assert float(found["std"]) == pytest.approx(areas.std(ddof=1), abs=1e-4)
        assert (found["data"], found["images"]) == ("double-12c", "24")
    lines = {line[:28].strip(): line[28:].split() for line in printed.splitlines() if "±" in line}
    assert list(lines) == list(rows) == [*OF_FEATURES, *OF_MODELS]
    best = max(rows, key=lambda method: float(rows[method]["area"]))
    for method, cells in lines.items():
        assert cells[0] == f"{100 * float(rows[method]['area']):.1f}"
        assert (cells[-1] == "*") == (method == best)


def test_features_are_fitted_on_the_other_folds(flower_table, double):
    _, _, fits = flower_table
    _, images, labels, _ = double
    assert len(fits) == 2
    for number, (given, classes, mu) in enumerate(fits):
        others = np.arange(24) // 12 != number
        np.testing.assert_array_equal(given, images[others])
        np.testing.assert_array_equal(classes, labels[others])
        assert mu == 4


def test_relevant_features_are_the_fitted_ones(flower_table, double):
    model, images, labels, masks = double
    test = np.arange(24) < 12
    features = tfxai.RelevantFeatures(model, mu=4).fit(images[~test], labels[~test], verbose=0)
    area = metrics.iou_curve(features.explain(images[test]).heatmaps(), masks[test]).mean()
    assert float(flower_table[1]["relevant features"]["fold_1"]) == pytest.approx(area, abs=1e-4)


def test_upsampled_activations_of_the_features_that_contribute_most(double):
    model, images, labels, _ = double
    features = tfxai.RelevantFeatures(model, mu=5).fit(images, labels, verbose=0)
    submodel = keras.Model(model.input, [*(model.get_layer(name).output for name in features.layers_), model.output])
    *layers, probabilities = (x.numpy() for x in submodel(images[:5]))
    parts = [np.square(layer).sum((1, 2)) for layer in layers]
    x = np.concatenate([part / part.sum(1, keepdims=True) for part in parts], 1)
    contributions = x * features.weights_.T[probabilities.argmax(1)]
    found = UpsampledActivation(features, top=2)(images[:5]).values
    for number in range(5):
        expected = np.zeros((112, 112))
        for k in np.argsort(-contributions[number])[:2]:
            name, channel = features.index_[k]
            small = layers[features.layers_.index(name)][number, ..., channel]
            large = cv2.resize(small, (112, 112), interpolation=cv2.INTER_LINEAR)
            expected = np.maximum(expected, (large - large.min()) / (large.max() - large.min()))
        np.testing.assert_allclose(found[number], expected, atol=1e-4)


def test_guided_grad_cam_plus_plus_is_the_product(double):
    model, images, *_ = double
    found = GuidedGradCAMPlusPlus(model)(images[:3]).values
    guided = tfxai.GuidedBackprop(model)(images[:3]).values
    cam = np.maximum(tfxai.GradCAMPlusPlus(model)(images[:3]).values, 0).repeat(8, 1).repeat(8, 2)
    np.testing.assert_allclose(found, guided * cam[..., None], rtol=1e-3, atol=1e-6 * abs(found).max())
    assert abs(found - tfxai.GuidedGradCAM(model)(images[:3]).values).max() > 0.1 * abs(found).max()


def test_networks_are_trained_for_each_fold_and_wrong_ones_left_out(monkeypatch, capsys):
    """A network that is right for the classes 0 to 2 only; the next seed gives another."""
    seeds = []

    def train(name, seed, architecture):
        seeds.append((name, seed, architecture))
        model = flowers.load_model(name)
        model.get_layer("logits").bias.assign_add([0, 0, 0, -99, -99, -99])
        return model

    monkeypatch.setattr(train_flowers, "train", train)
    monkeypatch.setattr("tfxai.evaluation.flowers.OF_FEATURES", {})
    monkeypatch.setattr("tfxai.evaluation.flowers.OF_MODELS", {"Grad-CAM": tfxai.GradCAM})
    found = evaluate_flowers("single-6c", 24, folds=2, retrain=True, only_correct=True)
    assert seeds == [("single-6c", 0, "cnn"), ("single-6c", 1, "cnn")]
    assert found["Grad-CAM"].images == 12
    assert "fold 2 of 2" in capsys.readouterr().out


def test_a_transformer_is_scored_by_its_own_methods(monkeypatch, capsys):
    chosen = {"rollout": tfxai.AttentionRollout, "Grad-CAM": tfxai.GradCAM}
    assert {made for made in OF_TRANSFORMERS.values() if isinstance(made, type)} >= set(chosen.values())
    monkeypatch.setattr("tfxai.evaluation.flowers.OF_TRANSFORMERS", chosen)
    assert main(["evaluate", "flowers", "--architecture", "vit", "--images", "12", "--folds", "2", "--seed", "3"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "±" in line]
    assert [line[0] for line in lines] == list(chosen)
    images, _, masks = flowers.make("single-6c", 12, seed=3)
    model = flowers.load_model("single-6c", "vit")
    for line, made in zip(lines, chosen.values(), strict=True):
        area = metrics.iou_curve(made(model)(images.astype(np.float32), verbose=0).heatmaps(), masks).mean()
        assert float(line[-4 if line[-1] == "*" else -3]) == pytest.approx(100 * area, abs=0.06)


def test_no_transformer_comes_for_some_flowers(capsys):
    assert main(["evaluate", "flowers", "--architecture", "vit", "--data", "double-12c", "--images", "6"]) == 2
    assert "single-6c for the architecture 'vit'" in capsys.readouterr().err


def test_iou_over_folds():
    random = np.random.default_rng(0)
    heatmaps, masks = random.random((9, 6, 7)), random.random((9, 6, 7)) > 0.7
    folds, scored = np.array([0, 2, 2, 0, 1, 1, 0, 2, 1]), np.arange(9) != 3
    found = metrics.iou_over_folds(heatmaps, masks, folds, scored=scored, thresholds=[0.2, 0.5, 0.9])
    curves = metrics.iou_curve(heatmaps, masks, thresholds=[0.2, 0.5, 0.9])
    parts = np.array([curves[rows].mean(0) for rows in ([0, 6], [4, 5, 8], [1, 2, 7])])
    np.testing.assert_allclose(found.curve, parts.mean(0))
    np.testing.assert_allclose(found.curve_std, np.sqrt(((parts - parts.mean(0)) ** 2).sum(0) / 2))
    np.testing.assert_allclose(found.areas, parts.mean(1))
    assert found.area == pytest.approx(parts.mean())
    assert found.area_std == pytest.approx(parts.mean(1).std(ddof=1))
    assert found.images == 8
    assert len(metrics.iou_over_folds(heatmaps, masks, folds).curve) == 21


@pytest.mark.parametrize(
    ("folds", "scored", "message"),
    [
        ([0, 1], None, "for each of 3 images"),
        ([0, 1, 1], [True], "for each of 3 images"),
        ([1, 1, 1], None, "2 folds or more"),
        ([0, 1, 1], [False, True, True], "there is none in 0"),
    ],
)
def test_folds_that_do_not_fit(folds, scored, message):
    with pytest.raises(ValueError, match=message):
        metrics.iou_over_folds(np.ones((3, 4, 4)), np.ones((3, 4, 4), bool), folds, scored=scored)


@pytest.mark.parametrize(("n", "folds"), [(4, 5), (10, 1)])
def test_too_few_flowers_or_folds(n, folds, capsys):
    assert main(["evaluate", "flowers", "--images", str(n), "--folds", str(folds)]) == 2
    assert f"{folds} folds of {n} flowers" in capsys.readouterr().err
