"""The experiment on stable and influential channels: its classifier, its stages, the command."""

import csv
import itertools

import cv2
import keras
import numpy as np
import pytest

from tfxai.cli import main
from tfxai.datasets import flowers
from tfxai.evaluation.patch_classifier import cut_out, describe, gradient_histograms, patch_accuracy
from tfxai.evaluation.resampling import SELECTIONS, Stage, evaluate_resampling, plot, table


def test_gradients_of_a_ramp_all_vote_for_its_direction():
    y, x = np.mgrid[:32, :32].astype(np.float32) / 32
    for angle, orientation in ((10, 0), (90, 4), (170, 8), (-170, 0)):
        radians = np.deg2rad(angle)
        ramp = (np.cos(radians) * x + np.sin(radians) * y)[..., None]
        found = gradient_histograms(np.concatenate([ramp, 0.5 * ramp], -1))[1, 1].reshape(4, 9)
        np.testing.assert_allclose(found, np.eye(9)[[orientation] * 4] / 2, atol=1e-3)
    between = gradient_histograms((np.cos(np.deg2rad(20)) * x + np.sin(np.deg2rad(20)) * y)[..., None])[1, 1]
    np.testing.assert_allclose(between.reshape(4, 9)[:, :2], np.sqrt(1 / 8), atol=2e-2)  # half of each vote
    assert not gradient_histograms(np.full((32, 32, 3), 0.7, np.float32)).any()


def test_histograms_follow_the_contrast_of_a_block_only():
    image = np.random.default_rng(0).random((64, 64, 3), dtype=np.float32)
    np.testing.assert_allclose(gradient_histograms(0.5 * image), gradient_histograms(image), atol=1e-4)
    assert gradient_histograms(image).shape == (7, 7, 36)
    assert describe((255 * image).astype(np.uint8)).shape == (1956,)
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    np.testing.assert_allclose(describe(red)[-192:].reshape(64, 3), [[1, 0, 0]] * 64)


def test_a_patch_is_left_at_its_place():
    image = np.random.default_rng(0).integers(1, 255, (20, 30, 3), np.uint8)
    found = cut_out(image, np.array([3, 4, 10, 9]))
    np.testing.assert_array_equal(found[4:9, 3:10], image[4:9, 3:10])
    assert (found > 0).sum() == 5 * 7 * 3


@pytest.fixture(scope="module")
def stripes():
    """Images of two classes, told by the direction of stripes in one place only."""
    random = np.random.default_rng(0)
    images = np.full((40, 64, 64, 3), 128, np.uint8)
    labels = np.arange(40) % 2
    for image, label in zip(images, labels, strict=True):
        patch = np.repeat(random.integers(0, 255, (16, 1, 1), np.uint8), 16, 1)
        image[20:36, 30:46] = patch if label else patch.transpose(1, 0, 2)
    return images, labels


def test_patches_tell_the_class_if_they_hold_it(stripes):
    images, labels = stripes
    train = np.arange(40) < 24
    good, bad = (np.tile([[box]], (40, 1, 1)) for box in ([28, 18, 48, 38], [0, 0, 16, 16]))
    assert patch_accuracy(images, labels, good, train) == 1
    assert patch_accuracy(images, labels, bad, train) == 0.5
    empty = np.concatenate([good, np.zeros_like(good)], 1)
    assert patch_accuracy(images, labels, empty, train) == 1
    for train in (np.ones(40, bool), np.zeros(40, bool)):
        with pytest.raises(ValueError, match="take more images"):
            patch_accuracy(images, labels, good, train)


def test_patches_of_an_image_are_not_both_learned_and_tested():
    """Each image is told by a colour of its own, and labels mean nothing: only who has seen the image can know."""
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (60, 1, 1, 3)).repeat(64, 1).repeat(64, 2).astype(np.uint8)
    boxes = np.tile([0, 0, 64, 64], (60, 4, 1))
    accuracy = patch_accuracy(images, random.permutation(np.arange(60) % 2), boxes, np.arange(60) < 36)
    assert 0.2 < accuracy < 0.8


OPTIONS = {"images": 24, "samples": 6, "top": 2, "seed": 3}


@pytest.mark.usefixtures("eagerly")
def test_stages_of_a_training(monkeypatch):
    """Before the first epoch and after each; what is measured of a stage, the command's test says."""
    weights = []

    def measured(stage, view, *_):
        weights.append(np.concatenate([one.ravel() for one in view.model.get_weights()]))
        return Stage(stage, *np.random.default_rng(len(weights)).random(len(Stage._fields) - 1))

    monkeypatch.setattr("tfxai.evaluation.resampling._measured", measured)
    stages = evaluate_resampling(epochs=2, train_images=32, **OPTIONS)
    assert [stage.name for stage in stages] == ["0", "1", "2"]
    assert all(np.abs(one - other).max() > 0 for one, other in itertools.pairwise(weights))
    figure = plot(stages)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [stage.network for stage in stages])
    lines = table(stages)
    assert len(lines) == 5
    assert lines[-1].split()[1] == f"{np.mean([stage.network for stage in stages]):.3f}"


def test_the_command_measures_checkpoints(tmp_path, capsys):
    keras.utils.set_random_seed(0)
    flowers.build_model(6).save(tmp_path / "early.keras")
    flowers.load_model().save(tmp_path / "late.keras")
    files = [str(tmp_path / f"{name}.keras") for name in ("early", "late")]
    options = [word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))]
    out = ["--csv", str(tmp_path / "stages.csv"), "--figure", str(tmp_path / "curves.png")]
    assert main(["evaluate", "resampling", "--checkpoints", *files, *options, *out]) == 0
    with open(tmp_path / "stages.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["early", "late"]
    assert list(rows[0]) == list(Stage._fields)
    images, labels, _ = flowers.make(n=24, seed=3)
    right = flowers.load_model().predict(images.astype(np.float32), verbose=0).argmax(1) == labels
    assert float(rows[1]["network"]) == pytest.approx(right.mean())
    for row in rows:
        numbers = [float(row[name]) for name in Stage._fields[1:]]
        assert all(0 <= number <= 1 for number in numbers)
        assert float(row["legacy"]) == pytest.approx(float(row["dice"]) / 2)
    printed = capsys.readouterr().out
    assert "early" in printed
    assert all(metric in printed for metric in SELECTIONS)
    assert cv2.imread(str(tmp_path / "curves.png")).std() > 5
