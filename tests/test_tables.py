"""Tables: all methods against reference values, names and groups of columns, and what the pictures say."""

import itertools
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from networks import known, oracle

import tfxai
from tfxai.explanation import Explanation
from tfxai.groups import partition
from tfxai.tables import Table

GIVEN = oracle("table_inputs")
X, BACKGROUND = GIVEN["x"], GIVEN["background"]
MEAN = oracle("table_explanations")["background_mean"]
TOLERANCE = 1e-4
EXACT = {"steps": 4000, "quadrature": "middle"}  # as the references; each ReLU is a kink on the way
METHODS = {
    "gradient": (tfxai.Saliency, {}),
    "input_x_gradient": (tfxai.GradientXInput, {}),
    "integrated_gradients_50_mean": (tfxai.IntegratedGradients, {"baseline": MEAN}),
    "integrated_gradients_exact_mean": (tfxai.IntegratedGradients, {"baseline": MEAN} | EXACT),
    "gradient_shap_expectation": (tfxai.IntegratedGradients, {"background": BACKGROUND} | EXACT),
    "occlusion_mean": (tfxai.Occlusion, {"fill": MEAN}),
    "deep_lift_rescale_mean": (tfxai.DeepLift, {"baseline": MEAN}),
}
KINDS = {
    "value": ("table", {}),
    "logit": ("table_classes", {}),
    "probability": ("table_classes", {"score": "probability"}),
}
WEIGHTS = np.array([2.0, -1, 0.5, 3, -2], "float32")


def explained(kind, key, model=None):
    method, options = METHODS[key]
    name, scale = KINDS[kind]
    target = None if kind == "value" else GIVEN["labels"]
    return method(known(name) if model is None else model, **options, **scale)(X, target, batch_size=8000)


def linear(weights=WEIGHTS):
    dense = layers.Dense(1)
    model = keras.Sequential([keras.Input((len(weights),)), dense])
    dense.kernel.assign(weights[:, None])
    return model


def rows(n=6, columns=5):
    return np.random.default_rng(3).normal(size=(n, columns)).astype("float32")


def made(values, data=None, **options):
    values = np.asarray(values, "float32")
    data = np.ones_like(values) if data is None else data
    return Explanation(values, "it", values.sum(1), data, "made", **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", METHODS)
def test_reference_values(kind, key):
    theirs = oracle("table_explanations")
    if f"{kind}/{key}" not in theirs:
        assert (kind, key) == ("probability", "deep_lift_rescale_mean")
        return
    ours = explained(kind, key)
    np.testing.assert_allclose(ours.score, theirs[f"{kind}/score"], rtol=1e-4, atol=1e-5)
    assert np.abs(ours.values - theirs[f"{kind}/{key}"]).max() < TOLERANCE * np.abs(theirs[f"{kind}/{key}"]).max()


class Wrapped(keras.Model):
    """A subclass that hides what it is made of."""

    def call(self, x):
        return known("table_classes")(x)


def test_other_forms_of_a_model(tmp_path):
    known("table_classes").export(tmp_path, verbose=False)
    for model in (str(tmp_path), Wrapped()):
        for key in ("integrated_gradients_50_mean", "occlusion_mean"):
            theirs = oracle("table_explanations")[f"logit/{key}"]
            ours = explained("logit", key, model).values
            assert np.abs(ours - theirs).max() < TOLERANCE * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (tfxai.Occlusion, {"fill": 0.5}),
        (tfxai.IntegratedGradients, {"baseline": 0.5}),
        (tfxai.DeepLift, {"baseline": 0.5}),
    ],
)
def test_of_a_linear_model_each_column_has_its_own_share(method, options):
    x = rows()
    explanation = method(linear(), **options)(x)
    expected = WEIGHTS * (x - 0.5)
    np.testing.assert_allclose(explanation.values, expected, atol=1e-5)
    table = Table(explanation, groups={"pair": [1, 4]})
    assert table.features == ("feature 0", "pair", "feature 2", "feature 3")
    np.testing.assert_allclose(table.values[:, 1], expected[:, [1, 4]].sum(1), atol=1e-5)
    np.testing.assert_allclose(table.values.sum(1), explanation.values.sum(1), atol=1e-5)


def test_preprocessing_inside_the_model_leaves_values_in_the_units_of_the_table():
    x = rows() * 10 + 50
    scale = layers.Normalization()
    scale.adapt(x)
    inner = linear()
    model = keras.Sequential([keras.Input((5,)), scale, inner])
    values = tfxai.IntegratedGradients(model, baseline=x.mean(0))(x).values
    np.testing.assert_allclose(values, WEIGHTS * (x - x.mean(0)) / x.std(0), rtol=1e-3, atol=1e-4)


def test_encoded_features_are_named_and_grouped():
    """Keras' FeatureSpace makes several columns of one feature; the model behind it is explained."""
    space = keras.utils.FeatureSpace(
        {
            "size": keras.utils.FeatureSpace.float_normalized(),
            "colour": keras.utils.FeatureSpace.string_categorical(num_oov_indices=0),
            "age": keras.utils.FeatureSpace.float(),
            "rooms": keras.utils.FeatureSpace.integer_categorical(num_oov_indices=0),
        },
        output_mode="concat",
    )
    frame = {
        "size": np.array([1.0, 2, 3, 4], "float32"),
        "colour": np.array(["red", "blue", "red", "green"]),
        "age": np.array([50.0, 60, 70, 80], "float32"),
        "rooms": np.array([2, 3, 2, 3]),
    }
    space.adapt(tf.data.Dataset.from_tensor_slices(frame).batch(4))
    names, groups = [], {}
    for name in sorted(space.features):  # as it puts them
        kinds = getattr(space.preprocessors[name], "get_vocabulary", list)()
        groups |= {name: [f"{name}={kind}" for kind in kinds]} if kinds else {}
        names += groups.get(name, [name])
    x = np.asarray(space(frame))
    assert list(x[:, names.index("age")]) == [50, 60, 70, 80]
    assert list(x[:, names.index("colour=red")]) == [1, 0, 1, 0]
    weights = np.arange(1, x.shape[1] + 1).astype("float32")
    table = Table(
        tfxai.Occlusion(linear(weights), groups=[[names.index(one) for one in groups["colour"]]])(x), names, groups
    )
    assert table.features == ("age", "colour", "rooms", "size")
    expected = [weights[names.index(f"colour={colour}")] for colour in frame["colour"]]
    np.testing.assert_allclose(table.values[:, 1], expected, rtol=1e-5)
    assert "colour = blue" in texts(table.plot_bars(1))


def test_inputs_side_by_side_are_one_table():
    """Of a model with an input for each column, and an image beside them."""
    data = {"age": np.full((2, 1), 3.0, "f"), "place": np.ones((2, 2), "f"), "photo": np.zeros((2, 4, 4, 3), "f")}
    values = {name: np.ones_like(x) for name, x in data.items()}
    explanation = Explanation(
        values, "it", np.full(2, 55.0, "f"), data, "made", extras={"completeness_gap": np.zeros(2)}
    )
    table = Table(explanation)
    assert table.features == ("age", "place 0", "place 1")
    np.testing.assert_allclose(table.start, 55 - 3 - 48)
    assert texts(table.plot_bars(0))[-2:] == ["other inputs", "this row: score 55"]
    assert Table(explanation, input="place").features == ("feature 0", "feature 1")
    assert Table(explanation, input="age").features == ("age",)
    with pytest.raises(ValueError, match="for each row values \\(4, 4, 3\\)"):
        Table(explanation, input="photo")


class TestGroups:
    def test_partition(self):
        names = ["a", "b", "c", "d"]
        assert partition(None, names) == [("a", [0]), ("b", [1]), ("c", [2]), ("d", [3])]
        assert partition([[3, 1], ["c"]], names) == [("a", [0]), ("d + b", [3, 1]), ("c", [2])]
        assert partition({"x": np.array([2, 3]), "y": ["a"]}, names) == [("y", [0]), ("b", [1]), ("x", [2, 3])]

    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            ({"x": [1, 2], "y": [2]}, "'y' holds the column 2, 'c', which is in 'x' already"),
            ({"x": [4]}, "'x' holds 4, which is not a column: expected numbers from 0 to 3, or names of"),
            ({"x": [-1]}, "'x' holds -1"),
            ({"x": ["e"]}, "'x' holds 'e'"),
            ({"x": []}, "'x' is empty"),
            ({"x": "ab"}, "'x' is 'ab': expected a list of columns"),
            ([1, 2], "expected a list of columns"),
        ],
    )
    def test_what_is_wrong(self, groups, message):
        with pytest.raises(ValueError, match=message):
            partition(groups, ["a", "b", "c", "d"])


class TestNames:
    def test_of_a_table_with_columns(self):
        assert Table(made([[1, 2]]), SimpleNamespace(columns=["a", "b"])).features == ("a", "b")

    @pytest.mark.parametrize(
        ("features", "groups", "message"),
        [
            (["a"], None, "name each of 2 columns, got 1 names"),
            (["a", "a"], None, "different names, got \\['a'\\] more than once"),
            ("ab", None, "list of names, got the text 'ab'"),
            (["a", "b"], {"b": ["a"]}, "different names, got \\['b'\\]"),
        ],
    )
    def test_what_is_wrong(self, features, groups, message):
        with pytest.raises(ValueError, match=message):
            Table(made([[1, 2]]), features, groups)

    def test_images_are_no_table(self):
        with pytest.raises(ValueError, match="a value for each of \\(n, features\\)"):
            Table(made(np.ones((2, 4, 4)), np.ones((2, 4, 4, 3))))
        with pytest.raises(ValueError, match="a value for each of \\(n, features\\)"):
            Table(made(np.ones((2, 4, 7)), np.ones((2, 4))))  # words that were embedded


def texts(figure, cell=0):
    return [label.get_text() for label in figure.axes[cell].get_yticklabels()]


class TestBars:
    def test_values_that_sum_lead_from_the_baseline_to_the_score(self):
        x = rows()
        explanation = tfxai.IntegratedGradients(linear(), baseline=0.5)(x)
        table = Table(explanation, list("abcde"))
        np.testing.assert_allclose(table.start, WEIGHTS.sum() * 0.5, rtol=1e-5)
        figure = table.plot_bars(2, top=3)
        order = np.argsort(-np.abs(explanation.values[2]))
        names = texts(figure)
        assert names[1:4] == [f"{'abcde'[i]} = {x[2, i]:.4g}" for i in order[:3]]
        assert names[0] == "baseline: score 1.25"
        assert names[4:] == ["2 other features", f"this row: score {explanation.score[2]:.3g}"]
        bars = figure.axes[0].patches
        for above, below in itertools.pairwise(bars):
            assert above.get_x() + above.get_width() == pytest.approx(below.get_x(), abs=1e-5)
        assert bars[0].get_x() == pytest.approx(1.25)
        assert bars[-1].get_x() + bars[-1].get_width() == pytest.approx(explanation.score[2], abs=1e-4)
        assert "\n" not in figure.axes[0].get_title()  # no gap to speak of

    def test_a_gap_is_told(self):
        gap = {"completeness_gap": np.array([-1.0], "f")}
        figure = Table(made([[1, 3]], extras=gap)).plot_bars()
        assert "the values sum to 4, and the score changes by 5" in figure.axes[0].get_title()

    def test_values_of_other_methods_begin_at_zero_and_claim_nothing(self):
        table = Table(tfxai.Occlusion(linear())(rows()))
        assert table.start is None
        figure = table.plot_bars([0, 3])
        assert len(figure.axes) == 2
        assert not any("score" in name for name in texts(figure))
        assert all(bar.get_x() == 0 for bar in figure.axes[1].patches)
        assert figure.axes[0].get_xlabel() == "value (occlusion)"

    def test_a_group_shows_which_column_is_on(self):
        data = np.array([[1, 0, 1.0], [1, 1, 0]], "f")
        table = Table(made([[1, 2, 1], [1, 2, 1]], data), ["age", "colour_red", "colour_blue"], {"colour": [1, 2]})
        assert texts(table.plot_bars(0)) == ["colour = blue", "age = 1"]
        assert texts(table.plot_bars(1)) == ["colour = red", "age = 1"]
        neither = Table(made([[1, 2]], np.ones((1, 2), "f")), ["a", "b"], {"both": [0, 1]})
        assert texts(neither.plot_bars(0)) == ["both"]

    @pytest.mark.parametrize("chosen", [6, -7, [0, 9], 1.5, "0", []])
    def test_rows_that_are_not_there(self, chosen):
        with pytest.raises(ValueError, match="one or several of 0 to 5"):
            Table(made(rows())).plot_bars(chosen)

    def test_too_many_rows(self):
        with pytest.raises(ValueError, match="at most 16 rows, got 17"):
            Table(made(rows(17))).plot_bars()

    def test_an_explanation_of_a_table_is_drawn_so(self):
        explanation = made(rows(2))
        assert texts(explanation.plot(features=list("abcde"), top=1, rows=1))[1] == "4 other features"
        assert len(explanation.plot(titles=["mine"]).axes) == 4  # what only grids take draws a grid
        words = made(np.ones((1, 4)), np.ones((1, 4), int))
        assert len(words.plot().axes) == 2


class TestAllRows:
    table = Table(made([[1, -2, 0], [1, 2, 0.5], [1, 4, -1]], rows(3, 3)), ["a", "b", "c"])

    def test_summary(self):
        summary = self.table.summary()
        assert summary.features == ("b", "a", "c")
        np.testing.assert_allclose(summary.magnitude, [8 / 3, 1, 0.5])
        np.testing.assert_allclose(summary.mean, [4 / 3, 1, -1 / 6], rtol=1e-6)
        figure = self.table.plot_summary(top=2)
        np.testing.assert_allclose([bar.get_width() for bar in figure.axes[0].patches], [8 / 3, 1])
        assert texts(figure) == ["b", "a"]
        assert "not shown: 1 of 3 features" in figure.axes[0].get_xlabel()

    def test_beeswarm(self):
        figure = self.table.plot_beeswarm()
        assert texts(figure) == ["b", "a", "c"]
        points = figure.axes[0].collections
        np.testing.assert_allclose(points[0].get_offsets()[:, 0], [-2, 2, 4])
        order = np.argsort(self.table.explanation.inputs[:, 1])
        assert (np.diff(points[0].get_array()[order]) > 0).all()  # coloured by the feature's own value
        aside = points[1].get_offsets()[:, 1]
        assert len(set(aside)) == 3  # points of one place lie apart, within their line
        assert np.abs(aside - 1).max() <= 0.4

    def test_of_constant_features_and_groups(self):
        same = Table(made(np.zeros((4, 3)), np.ones((4, 3), "f")), groups=[[0, 1]])
        figure = same.plot_beeswarm()
        assert len(figure.axes[0].collections) == 2
        figure.canvas.draw()
        assert len(Table(made(np.ones((4, 2))), groups=[[0, 1]]).plot_beeswarm().axes) == 1  # no colours to explain

    def test_dataframe(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
        frame = self.table.to_dataframe()
        assert {len(column) for column in frame.values()} == {9}
        assert list(frame["feature"][:4]) == ["a", "b", "c", "a"]
        assert list(frame["row"][:4]) == [0, 0, 0, 1]
        np.testing.assert_allclose(frame["value"][3:6], [1, 2, 0.5])
        np.testing.assert_allclose(frame["input"], self.table.explanation.inputs.ravel())

    def test_dataframe_without_pandas(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(ImportError, match="needs pandas: pip install pandas"):
            self.table.to_dataframe()
