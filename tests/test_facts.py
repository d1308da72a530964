"""What an explanation says about how it was made: enough to make it again."""

import inspect
import json

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

import tfxai
from tfxai import provenance
from tfxai.facts import Facts
from tfxai.relevance import Composite, Epsilon, Flat, first


def test_quadrature_can_be_chosen_by_name(small, x):
    found = tfxai.explain(small, x, "integrated_gradients", 1, steps=3, quadrature="trapezoid")
    expected = tfxai.IntegratedGradients(small, steps=3, quadrature="trapezoid")(x, 1)
    np.testing.assert_array_equal(found.values, expected.values)


MADE = [
    ("integrated_gradients", {"steps": 4, "baseline": "blur", "quadrature": "middle"}),
    ("smooth_grad", {"samples": 3, "noise": 0.1, "seed": 5, "reduction": "sum"}),
    ("hi_res_cam", {"layer": ["relu1", "relu2"]}),
    ("guided_grad_cam", {"interpolation": "linear", "strided": "resampled"}),
    ("occlusion", {"window": (4, 4), "stride": 2, "fill": "mean", "score": "logit"}),
    ("rise", {"masks": 8, "cells": 3, "seed": 2}),
    ("lrp", {"composite": "epsilon_gamma_box", "low": -3.0, "high": 3.0, "at": "relu1"}),
]


@pytest.mark.parametrize(("name", "options"), MADE)
def test_an_explanation_is_made_anew_from_its_facts(name, options, small, x, tmp_path):
    tfxai.explain(small, x[:2], name, 1, **options).save(tmp_path / "found")
    found = tfxai.Explanation.load(tmp_path / "found")
    again = tfxai.explain(small, x[:2], found.method, found.target, **found.facts["options"])
    np.testing.assert_array_equal(again.values, found.values)
    assert again.facts == found.facts
    given = {option: list(value) if isinstance(value, tuple) else value for option, value in options.items()}
    assert given.items() <= {**found.facts["options"]}.items()


@pytest.mark.parametrize("name", tfxai.methods("decision"))
def test_facts_name_every_option_of_the_constructor(name, small):
    cls = tfxai.methods("decision")[name]
    facts = provenance.origin(cls(small))
    parameters = inspect.signature(cls).parameters.items()
    named = {name for name, one in parameters if one.default is not provenance.ELSEWHERE}
    assert facts["options"].keys() == named - {"model", "classes"} >= {"score", "output", "signature", "jit_compile"}
    assert facts.get("seed") == facts["options"].get("seed")
    assert json.loads(json.dumps(facts)) == facts


def test_fields_of_settings_are_options(small):
    explainer = tfxai.GuidedFeatureInversion(small, preset="paper", target_steps=3)
    options = provenance.origin(explainer)["options"]
    assert (options["preset"], options["target_steps"]) == ("paper", 3)


def test_facts_name_the_versions(small, x):
    facts = tfxai.Saliency(small)(x[:1]).facts
    assert [facts[name] for name in ("version", "tensorflow", "keras")] == [
        *(tfxai.__version__, tf.__version__, keras.__version__)
    ]


class GradientPower(tfxai.Explainer):
    """As users write them, with an option of their own."""

    facts = Facts("gradient_power", "", "", "", "", "")

    def __init__(self, model, power=2, **options):
        super().__init__(model, **options)
        self.power = power

    def attribute(self, run):
        return tf.abs(run.gradients()) ** self.power


class Cube(GradientPower):
    """Whose constructor decides what that of its base leaves open."""

    def __init__(self, model, **options):
        super().__init__(model, 3, **options)


class Plain(tfxai.Explainer):
    """Without a constructor."""

    facts = Facts("plain", "", "", "", "", "")

    def attribute(self, run):
        return run.gradients()


COMMON = {
    name: option.default
    for name, option in inspect.signature(tfxai.Explainer).parameters.items()
    if name not in ("model", "classes")
}


@pytest.mark.parametrize(
    ("cls", "options", "expected"),
    [
        (GradientPower, {}, {"power": 2}),
        (GradientPower, {"power": np.float32(1.5), "score": "auto"}, {"power": 1.5, "score": "auto"}),
        (Cube, {}, {}),
        (Plain, {"jit_compile": False}, {"jit_compile": False}),
    ],
)
def test_options_of_methods_of_users(cls, options, expected, plain, x):
    assert cls(plain, **options)(x[:1]).facts["options"] == COMMON | expected


def test_an_option_given_by_its_place_has_its_name(small, x):
    assert tfxai.GradCAM(small, "relu1")(x[:1]).facts["options"]["layer"] == "relu1"


def test_a_wrapped_explainer_keeps_its_options(small, x):
    found = tfxai.SmoothGrad(tfxai.GradCAM(small, layer="relu1"), samples=2, seed=7)(x[:2])
    facts = found.facts
    assert (facts["base"], facts["base_options"]["layer"], facts["seed"]) == ("grad_cam", "relu1", 7)
    base = tfxai.methods("decision")[facts["base"]](small, **facts["base_options"])
    again = tfxai.methods("decision")[found.method](base, **facts["options"])(x[:2])
    np.testing.assert_array_equal(again.values, found.values)
    twice = tfxai.VarGrad(tfxai.SmoothGrad(tfxai.GuidedBackprop(small), samples=2), samples=2)(x[:1]).facts
    assert twice["base_options"]["base"] == "guided_backprop"
    assert twice["base_options"]["base_options"]["pooling"] == "gradient"


def test_the_seed_is_that_of_the_moment(small, x):
    explainer = tfxai.SmoothGrad(small, samples=2)
    explainer.seed = 9
    facts = explainer(x[:1]).facts
    assert facts["seed"] == facts["options"]["seed"] == 9


def test_what_json_cannot_hold_is_described(small, x):
    baseline = np.zeros((16, 16, 3), np.float32)
    of_zeros = tfxai.IntegratedGradients(small, baseline=baseline, steps=2)(x[:1]).facts["options"]["baseline"]
    assert (of_zeros["shape"], of_zeros["dtype"]) == ([16, 16, 3], "float32")
    baseline[0, 0, 0] = 1  # also not a reference to what the user may change
    other = tfxai.IntegratedGradients(small, baseline=baseline, steps=2)(x[:1]).facts["options"]["baseline"]
    assert other["sha256"] != of_zeros["sha256"]

    def half(x):
        return 0.5 * x

    named = tfxai.IntegratedGradients(small, baseline=half, steps=2)(x[:1]).facts["options"]["baseline"]
    assert named.endswith("half")
    layer = small.get_layer("relu1")
    assert tfxai.GradCAM(small, layer=layer)(x[:1]).facts["options"]["layer"] == "relu1"
    rules = tfxai.LRP(small, composite=Composite([(first, Flat())], Epsilon(0.5)))(x[:1]).facts["options"]["composite"]
    assert rules["class"] == "Composite"
    assert rules["default"] == {"class": "Epsilon", "bias": True, "epsilon": 0.5}
    assert "0x" not in json.dumps(rules)


def test_facts_say_which_model(small, x, tmp_path):
    small.save(tmp_path / "net.keras")
    small.export(tmp_path / "exported", verbose=False)
    function = tf.function(small)

    def remote(x):
        return small(x).numpy()

    def which(model, cls=tfxai.Saliency, **options):
        facts = cls(model, **options)(x[:1]).facts
        return tuple(facts.get(name) for name in ("model", "model_kind", "model_path"))

    assert which(small) == ("small", "Keras model", None)
    path = str(tmp_path / "net.keras")
    assert which(path) == ("small", "Keras model", path)
    assert which(tmp_path / "exported") == ("exported", "SavedModel", str(tmp_path / "exported"))
    assert which(tf.saved_model.load(str(tmp_path / "exported")))[1] == "SavedModel"
    assert which(function)[1] == "TensorFlow function"
    assert which(remote, tfxai.Occlusion, window=8) == ("remote", "Python function", None)


def test_facts_say_which_output_and_signature(x, tmp_path):
    base = networks.small()
    model = keras.Model(
        base.input, {"a": base.output, "b": keras.layers.Dense(2, name="other")(base.get_layer("gap").output)}
    )
    facts = tfxai.Saliency(model, output="b")(x[:1]).facts
    assert facts["output"] == facts["options"]["output"] == "b"
    model.export(tmp_path, verbose=False)
    facts = tfxai.Saliency(tmp_path, output="a", signature="serving_default")(x[:1]).facts
    assert (facts["output"], facts["signature"]) == ("a", "serving_default")
    shared = tfxai.models.open_model(model, "b")  # the options of a view are told too
    assert tfxai.Saliency(shared)(x[:1]).facts["options"]["output"] == "b"
