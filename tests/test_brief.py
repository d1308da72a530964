"""What a console shows: makers and results in one short line, and of explainers what users call."""

import numpy as np
import pytest

import tfxai
from tfxai import objectives


@pytest.fixture(scope="module")
def flowers():
    images, labels, _ = tfxai.datasets.flowers.make(n=24)
    return tfxai.datasets.flowers.load_model(), images, labels


def test_makers_tell_their_model_and_what_was_chosen(flowers):
    model, *_ = flowers
    name = model.name
    assert repr(tfxai.GradCAM(model)) == f"GradCAM({name})"
    assert repr(tfxai.GradCAM(model, "block3_relu")) == f"GradCAM({name}, layer='block3_relu')"
    inner = tfxai.SmoothGrad(tfxai.GuidedBackprop(model), samples=5)
    assert repr(inner) == f"SmoothGrad({name}, base='guided_backprop', samples=5)"
    assert repr(tfxai.RISE(model, masks=7)) == f"RISE({name}, masks=7)"
    for one in (
        tfxai.RelevantFeatures(model),
        tfxai.InputResampling(model),
        tfxai.ActivationMaximization(model, objectives.class_score(1), shape=(56, 56, 3)),
        tfxai.DeepDream(model, {"block3_relu": 1.0}),
        tfxai.Occlusion(lambda x: x.mean((1, 2)), window=2),
        tfxai.IntegratedGradients(model, baseline=np.zeros((112, 112, 3))),
    ):
        told = repr(one)
        assert told.startswith(f"{type(one).__name__}(")
        assert " at 0x" not in told
        assert len(told) < 200


def test_results_are_short(flowers):
    model, images, labels = flowers
    result = tfxai.InputResampling(model, samples=8)(images[:2])
    explanation = tfxai.GradCAM(model)(images)
    features = tfxai.RelevantFeatures(model).fit(images, labels, verbose=0)
    found = [
        result,
        result.compare("correlation", "precision"),
        tfxai.metrics.deletion(model, explanation, steps=3),
        features.interpret(images, verbose=0),
        explanation[:1],
    ]
    for one in found:
        assert len(repr(one)) < 400, repr(one)
        assert "\n" not in repr(one)
    assert repr(result) == "Resampling(2 inputs, 216 channels of 5 layers, target array([3, 2], dtype=int32))"


def test_completion_shows_what_users_call(flowers):
    explainer = tfxai.GradCAM(flowers[0])
    assert [name for name in dir(explainer) if not name.startswith("_")] == [
        *("classes", "explain", "facts", "polarity", "score")
    ]
    assert all(hasattr(explainer, name) for name in dir(explainer))

    class Own(tfxai.GradCAM):
        """Of a user."""

        def more(self):
            """What users wrote is theirs."""

    assert "more" in dir(Own(flowers[0]))
