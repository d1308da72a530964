"""What editors show of methods: every parameter, by the same name everywhere; and what is said of any other."""

import dataclasses
import inspect
from typing import Unpack

import pytest
import tensorflow as tf

import tfxai
from tfxai.facts import Facts
from tfxai.inversion.settings import Settings, SettingsOptions
from tfxai.options import InputOptions, ModelOptions
from tfxai.provenance import ELSEWHERE

METHODS = tfxai.methods("decision")
OF_MODEL = {"output", "signature", "score", "classes", "jit_compile", "draws", "preprocessor", "precision"}
SHARED = {"samples", "steps", "masks", "noise", "seed", "baseline", "background", "fill", "layer", "at", "input"}
SHARED |= {"window", "stride", "quadrature", "reduction", "composite", "rule", "strided", "pooling", "interpolation"}
SHARED |= {"cells", "learning_rate", "tv_weight", "beta", "jitter", "start", "patience", "objective", "head"}
SHARED |= {"low", "high", "bias", "operations", "query", "grid", "uncertainty", "until"}
SHARED |= {"groups", "budget"}
# What one method alone has. Before a name is added, look whether another method calls the same thing otherwise.
OWN = {
    "occlusion": {"incremental", "refine"},
    "partition_shap": {"tree", "contexts"},
    "lime": {"distance", "width", "penalty", "alpha"},
    "sobol": {"designs"},
    "guided_ig": {"fraction", "max_dist"},
    "blur_ig": {"max_sigma"},
    "xrai": {"segments", "fast"},
    "rise": {"probability", "balanced"},
    "recipro_cam": {"gaussian"},
    "attention_rollout": {"fusion"},
    "le_grad": {"read"},
    "attention_gradient": {"weight"},
    "simple_taylor": {"root"},
    "feature_inversion": {"alpha", "alpha_weight"},
    "meaningful_perturbation": {"game", "l1_weight"},
    "guided_feature_inversion": {
        "base_layer",
        "preset",
        "stages",
        "frames",
        *(x.name for x in dataclasses.fields(Settings)),
    },
}


def parameters(cls):
    """All but the model."""
    _, *others = inspect.signature(cls).parameters.values()
    return others


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_spells_its_parameters_out(self, name):
        found = parameters(METHODS[name])
        assert {one.name for one in found} >= OF_MODEL
        for one in found:
            assert one.kind is one.KEYWORD_ONLY or (one.name == "layer" and one is found[0]), one
            assert one.default is not one.empty, one
            assert one.annotation not in (one.empty, "Any"), one

    def test_has_names_that_others_have(self, name):
        assert {one.name for one in parameters(METHODS[name])} <= OF_MODEL | SHARED | OWN.get(name, set())

    def test_describes_them(self, name):
        _, _, text = inspect.getdoc(METHODS[name]).partition("Parameters\n----------\n")
        text, _, example = text.partition("\nExamples\n")
        heads = [line.partition(" : ")[0] for line in text.splitlines() if line and line[0] != " "]
        described = {word for head in heads for word in head.split(", ")}
        others = {*OF_MODEL, *SettingsOptions.__annotations__} if "**options" in described else set()
        assert {one.name for one in parameters(METHODS[name])} <= described | others
        assert f"tfxai.{METHODS[name].__name__}(" in example


@pytest.mark.parametrize("name", tfxai.methods())
def test_no_parameter_is_one_of_explain(name):
    ours = set(inspect.signature(tfxai.explain).parameters) - {"model"}
    assert not ours & {one.name for one in parameters(tfxai.methods()[name]) if one.kind is not one.VAR_KEYWORD}


def test_defaults_come_from_base_classes():
    defaults = {one.name: one.default for one in parameters(tfxai.DeepTaylor)}
    none = dict.fromkeys(("at", "low", "high", "operations", *OF_MODEL))
    assert defaults == none | {"bias": True, "jit_compile": "auto", "precision": "float32"}
    assert {one.name: one.default for one in parameters(tfxai.RISE)}["score"] == "auto"
    assert str(inspect.signature(tfxai.XGradCAM)).startswith(
        "(model: 'Model', layer: 'Layer | Sequence[Layer] | None' ="
    )


def test_settings_may_be_given_as_options():
    fields = [(field.name, field.type) for field in dataclasses.fields(Settings)]
    of_settings = {name: kind.__forward_arg__ for name, kind in SettingsOptions.__annotations__.items()}
    assert [item for item in of_settings.items() if item[0] not in OF_MODEL] == fields
    shown = inspect.signature(tfxai.GuidedFeatureInversion).parameters
    assert all(shown[name].default is ELSEWHERE for name, _ in fields)
    assert str(shown["target_steps"]) == "target_steps: 'int' = ..."


class Power(tfxai.Explainer):
    """As users write them."""

    facts = Facts("power", "", "", "", "", "")

    def __init__(self, model, power=2, **options):
        super().__init__(model, **options)
        self.power = power

    def attribute(self, run):
        return tf.abs(run.gradients()) ** self.power


class Typed(Power):
    """The same for type checkers."""

    def __init__(self, model, *, power: int = 3, **options: Unpack[ModelOptions]):
        super().__init__(model, power, **options)


def test_methods_of_users_show_options_too():
    assert [one.name for one in parameters(Power)] == ["power", *InputOptions.__annotations__, "options"]
    assert [one.name for one in parameters(Typed)] == ["power", *ModelOptions.__annotations__]


@pytest.mark.parametrize(
    ("cls", "option", "close"),
    [
        (tfxai.GradCAM, "layr", "'layer'"),
        (tfxai.SmoothGrad, "n_samples", "'samples'"),
        (tfxai.DeepTaylor, "composite", "'jit_compile'"),
        (tfxai.GuidedFeatureInversion, "target_stepz", "'target_steps'"),
        (tfxai.Saliency, "steps", "'score'"),
        (Power, "scores", "'score'"),
        (Typed, "pover", "'power'"),
    ],
)
def test_an_option_that_does_not_exist(cls, option, close):
    with pytest.raises(TypeError, match=rf"{cls.__name__} has no parameter '{option}'. Expected one of .*{close}"):
        cls("no such file", **{option: 3})  # said before the model is opened


def test_what_is_given_twice_or_too_much_is_the_error_of_python(residual):
    with pytest.raises(TypeError, match="positional"):
        tfxai.IntegratedGradients(residual, 0.0)
    with pytest.raises(TypeError, match="multiple values"):
        tfxai.GradCAM(residual, "relu3", layer="relu3")


@pytest.mark.parametrize("cls", [tfxai.InputResampling, tfxai.RelevantFeatures])
def test_statistics_of_channels_say_what_they_take(cls, small):
    assert {one.name for one in parameters(cls)} >= OF_MODEL
    with pytest.raises(TypeError, match=rf"{cls.__name__} has no parameter 'sed'. Expected one of \['seed'"):
        cls(small, sed=1)
