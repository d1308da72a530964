"""Methods by name: one around another, with options, and features that were fitted before."""

import argparse

import keras
import numpy as np
import pytest

import tfxai
from tfxai.api import named
from tfxai.cli import main
from tfxai.cli.work.given import chosen_methods
from tfxai.datasets import flowers


@pytest.fixture(scope="module")
def model():
    return flowers.load_model()


@pytest.fixture(scope="module")
def painted():
    return flowers.make(n=12, size=48)[:2]


@pytest.fixture(scope="module")
def features(model, painted):
    return tfxai.RelevantFeatures(model, mu=5).fit(*painted, verbose=0)


@pytest.mark.parametrize(
    ("text", "options", "composed"),
    [
        (
            "VarGrad(occlusion:window=(8, 6),stride=4):samples=2,seed=4",
            {"score": "probability"},
            lambda model: tfxai.VarGrad(
                tfxai.Occlusion(model, window=(8, 6), stride=4, score="probability"), samples=2, seed=4
            ),
        ),
        (
            "smooth_grad(square_grad(saliency:score=probability):samples=2,noise=0.1):samples=3",
            {"classes": list("abcde")},
            lambda model: tfxai.SmoothGrad(
                tfxai.SquareGrad(
                    tfxai.Saliency(model, score="probability", classes=list("abcde")), samples=2, noise=0.1
                ),
                samples=3,
            ),
        ),
    ],
)
def test_one_method_around_another(small, x, text, options, composed):
    model = keras.Sequential([small, keras.layers.Softmax()])
    found, expected = tfxai.explain(model, x[:2], text, **options), composed(model)(x[:2])
    assert np.ptp(expected.values) > 0
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.facts == expected.facts
    assert (found.method, found.classes) == (expected.method, expected.classes)


def test_options_of_the_model_reach_the_innermost(painted):
    inputs = keras.Input((48, 48, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    two = keras.Model(inputs, {"a": keras.layers.Dense(2)(pooled), "b": keras.layers.Dense(2)(pooled)})
    found = tfxai.explain(two, painted[0][:2], "smooth_grad(saliency)", 1, output="b", samples=2, jit_compile=False)
    expected = tfxai.SmoothGrad(tfxai.Saliency(two, output="b", jit_compile=False), samples=2)(painted[0][:2], 1)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.facts == expected.facts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "grad_cam(saliency)",
            "grad_cam does not wrap another method. Those that do are smooth_grad, square_grad, var_grad",
        ),
        ("smooth_grad(grad_camm)", "Unknown method 'grad_camm'. Expected one of .'grad_cam'"),
        ("smooth_grad()", "Unknown method ''"),
        ("smooth_grad(saliency", "parentheses of 'smooth_grad.saliency' are not balanced"),
        ("smooth_grad(saliency))", "not balanced"),
        ("smooth_grad:samples=5)", "not balanced"),
        ("smooth_grad)saliency(", "Expected METHOD:OPTION=VALUE"),
        ("smooth_grad(saliency)samples=3", "Expected METHOD:OPTION=VALUE"),
        ("smooth_grad(saliency:window=3)", "The method saliency has no option 'window'"),
        ("smooth_grad(saliency:score)", "Expected options as NAME:OPTION=VALUE"),
        ("input_resampling", "does not explain predictions. Use it as tfxai.InputResampling"),
    ],
)
def test_what_is_no_method_is_told(text, message):
    with pytest.raises(ValueError, match=message):
        named(text)


def test_what_does_not_fit_the_call_is_told(model, painted):
    with pytest.raises(ValueError, match="The option samples is given twice"):
        tfxai.explain(model, painted[0], "smooth_grad:samples=3", samples=4)
    with pytest.raises(TypeError, match="Expected the name of a method"):
        tfxai.explain(model, painted[0], tfxai.GradCAM)
    with pytest.raises(ValueError, match="to the explainer that is wrapped"):
        tfxai.explain(model, painted[0], "smooth_grad(saliency)", reduction="sum")


def test_features_that_are_given_or_lie_in_a_file(model, painted, features, tmp_path):
    images = painted[0][:3]
    features.save(tmp_path / "features.npz")
    options = {"top": 2, "relus": "deconvnet", "strided": "gradient", "pooling": "switch"}
    expected = features.explain(images, **options)
    assert expected.values.max() > 0
    for given in (features, tmp_path / "features.npz"):
        found = tfxai.explain(model, images, "relevant_features", features=given, **options)
        assert type(found) is type(expected)
        np.testing.assert_array_equal(found.values, expected.values)
        for name, x in expected.extras.items():
            np.testing.assert_array_equal(found.extras[name], x)
    assert tfxai.explain(model, images, f"relevant_features:features={tmp_path}/features.npz,top=1").extras[
        "top"
    ].shape == (3, 1)


def test_features_keep_the_options_that_they_were_made_with(model, painted, features, tmp_path):
    features.save(tmp_path / "features.npz")
    loaded = tfxai.RelevantFeatures.load(tmp_path / "features.npz", model, classes=list("abcdef"), score="probability")
    found = tfxai.explain(model, painted[0][:2], "relevant_features", features=loaded)
    assert found.classes == tuple("abcdef")
    assert ((found.score > 0) & (found.score < 1)).all()
    named_here = tfxai.explain(model, painted[0][:2], "relevant_features", features=loaded, classes=list("uvwxyz"))
    assert named_here.classes == tuple("uvwxyz")


def test_features_that_are_missing_or_others(model, painted, features, tmp_path):
    with pytest.raises(ValueError, match=r"tfxai.RelevantFeatures\(model\).fit\(images, labels\)"):
        tfxai.explain(model, painted[0], "relevant_features")
    with pytest.raises(ValueError, match="holds no relevant features"):
        tfxai.explain(model, painted[0], "relevant_features", features=tmp_path / "none.npz")
    with pytest.raises(TypeError, match="to be RelevantFeatures or their file, got int"):
        tfxai.explain(model, painted[0], "relevant_features", features=5)
    with pytest.raises(ValueError, match="fitted to another model"):
        tfxai.explain(flowers.load_model(), painted[0], "relevant_features", features=features)
    with pytest.raises(ValueError, match="not fitted"):
        tfxai.explain(model, painted[0], "relevant_features", features=tfxai.RelevantFeatures(model))
    assert tfxai.methods()["relevant_features"] is tfxai.RelevantFeatures


def test_on_the_command_line(model, painted, features, tmp_path, capsys):
    model.save(tmp_path / "flowers.keras")
    keras.utils.save_img(tmp_path / "flower.png", painted[0][0], scale=False)
    features.save(tmp_path / "features.npz")
    texts = ["smooth_grad(GradCAM):samples=2", f"relevant_features:features={tmp_path}/features.npz,top=2"]
    given = [
        "explain",
        str(tmp_path / "flowers.keras"),
        str(tmp_path / "flower.png"),
        "--output",
        str(tmp_path / "out"),
    ]
    assert main([*given, "--layer", "block3_relu", "--score", "probability", "--method", *texts]) == 0
    (smooth,) = (tmp_path / "out").glob("smooth_grad*.npz")
    assert smooth.name == "smooth_grad_grad_cam_samples=2.npz"
    base = tfxai.GradCAM(model, layer="block3_relu", score="probability")
    expected = tfxai.SmoothGrad(base, samples=2)(painted[0][:1])
    np.testing.assert_allclose(tfxai.Explanation.load(smooth).values, expected.values, rtol=1e-4, atol=1e-7)
    by_features = tmp_path / "out" / "relevant_features_features=features.npz,top=2.npz"
    found = tfxai.Explanation.load(by_features)
    np.testing.assert_allclose(found.values, features.explain(painted[0][:1], top=2).values, atol=1e-5)
    assert len(found.evidence()[0]) == 2
    assert main([*given, "--method", "relevant_features"]) == 2
    assert "relevant_features:features=FILE" in capsys.readouterr().err


def test_files_of_features_go_by_their_name_unless_it_is_taken():
    texts = [f"smooth_grad(relevant_features:features={folder}/features.npz)" for folder in ("/a", "/b")]
    given = argparse.Namespace(batch_size=1, method=texts, score=None, layer=None)
    assert list(chosen_methods(given)) == ["smooth_grad(relevant_features:features=features.npz)", texts[1]]


def test_while_a_model_trains(model, painted):
    callback = tfxai.callbacks.ExplanationCallback(painted[0][:2], "smooth_grad(grad_cam):samples=2")
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_end(0)
    callback.on_train_end()
    expected = tfxai.SmoothGrad(tfxai.GradCAM(model), samples=2)(painted[0][:2])
    np.testing.assert_array_equal(callback.explanations["smooth_grad(grad_cam):samples=2"].values, expected.values)


@pytest.mark.parametrize("text", ["gradcam++", "GradCAM++", "grad-cam++", "grad_cam_plus_plus", "GradCAMPlusPlus"])
def test_names_are_understood_as_others_write_them(text):
    assert named(text).cls is tfxai.GradCAMPlusPlus


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shap", r"Expected one of \['gradient_shap', 'kernel_shap', 'permutation_shap', 'partition_shap'\]"),
        ("grad_cam+", r"Expected one of \['grad_cam'"),
        ("integrated_gradients:n_steps=5", r"has no option 'n_steps'\. Expected one of \['steps'\]"),
    ],
)
def test_close_names_are_told(text, message):
    with pytest.raises(ValueError, match=message):
        named(text)
