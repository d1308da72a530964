"""Names of classes, in the forms in which people have them."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf

import tfxai
from tfxai.classes import class_names

NAMES = ("ant", "bee", "cat", "dog", "elk")


@pytest.mark.parametrize(
    "given",
    [
        list(NAMES),
        np.array(NAMES),
        np.array(NAMES, object),
        np.array(NAMES, "S"),
        tf.constant(NAMES),
        dict(enumerate(NAMES)),
        {np.int64(number): name for number, name in reversed(list(enumerate(NAMES)))},
        {name: number for number, name in enumerate(NAMES)},
        {name: np.int64(number) for number, name in enumerate(NAMES)}.copy(),
        dict(enumerate(NAMES)).values(),
        (name for name in NAMES),
    ],
)
def test_forms(given):
    assert class_names(given) == NAMES
    assert all(type(name) is str for name in class_names(NAMES))


def test_numbers_are_written_out():
    assert class_names(range(3)) == class_names(np.arange(3)) == class_names({0: 0, 1: "1", 2: "2"}) == ("0", "1", "2")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("cat", TypeError, "got 'cat'"),
        ({"cat", "dog"}, TypeError, "in their order"),
        (5, TypeError, "got 5"),
        ([], ValueError, "got none"),
        ({}, ValueError, "got none"),
        (["cat", None], TypeError, "a string, got None"),
        (["cat", 0.5], TypeError, "a string, got 0.5"),
        ([["cat"], ["dog"]], TypeError, "a string"),
        ({0: "cat", 2: "dog"}, ValueError, r"from 0 to 1, got \[0, 2\]"),
        ({1: "cat", 2: "dog"}, ValueError, r"from 0 to 1, got \[1, 2\]"),
        ({"cat": 0, "dog": 0}, ValueError, r"from 0 to 1, got \[0\]"),
        ({0: 1, 1: 0}, TypeError, "by number"),
        ({"cat": "dog"}, TypeError, "by number"),
    ],
)
def test_what_is_no_set_of_names(given, error, message, residual):
    with pytest.raises(error, match=message):
        tfxai.GradCAM(residual, classes=given)


@pytest.mark.parametrize("given", [dict(enumerate(NAMES)), {name: number for number, name in enumerate(NAMES)}])
def test_names_from_a_dict_are_titles_and_targets(given, residual, x):
    found = tfxai.GradCAM(residual, classes=given)(x[:2], ["dog", "bee"])
    assert found.target.tolist() == [3, 1]
    assert [found.label(row) for row in range(2)] == ["dog", "bee"]
    assert found.plot().axes[0].get_xlabel().startswith("dog")
    plt.close("all")


@pytest.mark.parametrize("names", [NAMES[:3], [*NAMES, "fox"]])
def test_a_name_for_each_class(names, residual, x):
    with pytest.raises(ValueError, match=f"name the model's 5 classes, got {len(names)} names"):
        tfxai.Occlusion(residual, window=4, classes=names)(x[:1])
    with pytest.raises(ValueError, match="5 classes"):
        tfxai.InputResampling(residual, samples=4, classes=names)(x[:1])


def test_one_sigmoid_unit_is_two_classes():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    found = tfxai.Saliency(model, classes=["no", "yes"])(np.ones((1, 4)), "yes")
    assert found.label(0) == "yes"


def test_names_need_not_fit_what_is_no_class(residual, x):
    """A function of the outputs may be explained under any names."""
    found = tfxai.Saliency(residual, classes=["a", "b"])(x[:1], lambda outputs: outputs[:, 4])
    assert found.score.shape == (1,)


def test_names_of_hand_made_explanations(x, tmp_path):
    found = tfxai.Explanation(x, np.arange(4), np.zeros(4), x, classes={0: "ant", 1: "bee"})
    assert [found.label(row) for row in range(4)] == ["ant", "bee", "class 2", "class 3"]
    found.save(tmp_path / "found")
    assert tfxai.Explanation.load(tmp_path / "found").classes == ("ant", "bee")


@pytest.mark.filterwarnings("ignore:Glyph", "ignore:Matplotlib currently does not support")  # it is a matter of fonts
def test_signs_of_formulas_and_other_scripts_are_drawn_as_they_are(residual, x):
    names = ["$5 bill$", r"50 % $\frac", "猫", "a_b^c", "كلب"]
    figure = tfxai.GradCAM(residual, classes=names)(x[:4], [0, 1, 2, 3]).plot()
    figure.canvas.draw()
    assert figure.axes[0].get_xlabel().startswith("$5 bill$")
    plt.close("all")


def test_a_callback_takes_names_from_a_dict():
    watch = tfxai.callbacks.ExplanationCallback(np.zeros((2, 8, 8, 3)), classes={"cat": 0, "dog": 1}, targets="dog")
    assert watch.classes == ("cat", "dog")
