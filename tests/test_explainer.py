"""The contract that all methods keep: targets, batches, seeds, inputs, compilation, errors."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
import token_networks
from keras import layers

import tfxai
from tfxai.targets import Channel, Neuron, class_id

# Five samples of seven inputs do not fill the turns of a loop; of one input they do.
QUICK = {
    "integrated_gradients": {"steps": 5},
    "gradient_shap": {"samples": 5},
    "guided_ig": {"steps": 5},
    "blur_ig": {"steps": 5},
    "xrai": {"steps": 5},
    "smooth_grad": {"samples": 5},
    "square_grad": {"samples": 5},
    "var_grad": {"samples": 5},
    "occlusion": {"window": 5, "stride": 4},
    "rise": {"masks": 7},
    "shapley_values": {"groups": 8},
    "banzhaf": {"groups": 6, "budget": 40},
    "kernel_shap": {"groups": 6, "budget": 30},
    "permutation_shap": {"groups": 6, "samples": 2},
    "partition_shap": {"groups": 4, "budget": 12},
    "lime": {"groups": 6, "budget": 20},
    "feature_ablation": {"groups": 6},
    "sobol": {"groups": 8, "designs": 3},
    "hsic": {"groups": 8, "budget": 9},
    "meaningful_perturbation": {"steps": 3, "cells": 4, "jitter": 1},
    "feature_inversion": {"steps": 3},
    "guided_feature_inversion": {"inversion_steps": 2, "target_steps": 3},
}
METHODS = list(tfxai.methods("decision"))
OF_ATTENTION = ["attention_rollout", "transformer_attribution", "le_grad", "attention_gradient"]
OF_ANY = [method for method in METHODS if method not in OF_ATTENTION]
# The same computation as that of another method, but for a formula at its end.
VARIANTS = ["square_grad", "var_grad", "deconvnet", "hi_res_cam", "x_grad_cam", "grad_cam_plus_plus", "deep_taylor"]
VARIANTS += ["banzhaf", "feature_ablation", "permutation_shap", "sobol", "hsic"]
# Twice a score does not give twice its values, nor another power of two.
NOT_HOMOGENEOUS = ["score_cam", "grad_cam_plus_plus", "x_grad_cam", "guided_feature_inversion"]
NOT_HOMOGENEOUS += ["meaningful_perturbation", "transformer_attribution"]
# One of each way in which the size of the input is used: not at all, by masks and windows, by maps, by convolutions.
OF_TWO_SIZES = ["saliency", "rise", "occlusion", "score_cam", "grad_cam", "guided_grad_cam", "lrp", "feature_inversion"]


def network(method, small):
    """The small network, or for methods that read attention one of the same inputs and classes that has some."""
    return token_networks.known("vit") if method in OF_ATTENTION else small


def make(method, model, **options):
    return tfxai.methods("decision")[method](model, **QUICK.get(method, {}), **options)


def counting(explainer):
    """The explainer, with a list that grows whenever its method is traced."""
    attribute, explainer.traces = explainer.attribute, []
    explainer.attribute = lambda run: explainer.traces.append(1) or attribute(run)
    return explainer


@pytest.fixture(scope="module")
def explainers(small):
    before = small.get_weights()
    yield {method: counting(make(method, network(method, small))) for method in METHODS}
    for was, weights in zip(before, small.get_weights(), strict=True):
        np.testing.assert_array_equal(was, weights)


@pytest.fixture(scope="module")
def any_size():
    """A network for grey images of every size, and its weights."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 1))
    conv = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(conv)))
    return model, model.get_weights()


def of_seven(x):
    return np.concatenate([x, x[:3] * 0.5])


def batch_mates_do_not_matter(explainer, x, batch_size=None):
    seven, target = of_seven(x), np.array([0, 1, 2, 3, 4, 0, 1])
    whole = explainer(seven, target)
    atol = 1e-5 * np.abs(whole.values).max()
    assert atol > 0
    for rows in ([2], [0, 1], [4, 5, 6], [6, 3, 1, 0, 2, 5, 4]):
        part = explainer(seven[rows], target[rows])
        np.testing.assert_allclose(part.values, whole.values[rows], rtol=1e-4, atol=atol)
    if batch_size:
        again = explainer.explain(seven, target, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(again.values, whole.values, rtol=1e-4, atol=atol)
    np.testing.assert_allclose(explainer(seven, target).values, whole.values, rtol=1e-5, atol=atol)


@pytest.mark.filterwarnings("ignore:LIME's linear model")
@pytest.mark.filterwarnings("ignore:All values are 0")
@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_nothing_is_traced_twice(self, explainers, method, x):
        """Another class, another seed, a last partial batch, a second call: one trace."""
        explainer = explainers[method]
        explainer(x, 0)
        assert len(explainer.traces) == 1
        explainer(x, 1)
        explainer(x, [0, 1, 2, 3])
        explainer(x)
        explainer(x[:3])
        explainer.explain(np.concatenate([x] * 9), verbose=0)  # 32 and a last batch of 4
        if hasattr(explainer, "seed"):
            before, seed = explainer(x).values, explainer.seed
            explainer.seed = 7
            assert np.abs(explainer(x).values - before).max() > 0
            explainer.seed = seed
        assert len(explainer.traces) == 1

    def test_batch_mates_do_not_matter(self, explainers, method, x):
        """Seven inputs equal their parts, in any order and any batch size; so do repeated calls.

        Another batch size is another trace, as another target is: both at once in the test of functions, if it can.
        """
        batch_mates_do_not_matter(explainers[method], x, 3 if method == "cam" or method in NOT_HOMOGENEOUS else None)

    def test_target_matters(self, explainers, method, x):
        explainer = explainers[method]
        a, b = explainer(x, 0), explainer(x, 3)
        assert (a.target == 0).all()
        assert (b.target == 3).all()
        assert np.abs(a.score - b.score).max() > 0.1
        if method not in ("eigen_cam", "feature_inversion", "attention_rollout"):  # they explain no class
            assert np.abs(a.values - b.values).max() > 1e-3 * np.abs(a.values).max()

    def test_predicted_class_is_the_default(self, explainers, method, small, x):
        logits = network(method, small).predict(x, verbose=0)
        default, named = explainers[method](x), explainers[method](x, logits.argmax(1))
        np.testing.assert_array_equal(default.target, logits.argmax(1))
        np.testing.assert_allclose(default.values, named.values, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(default.score, logits.max(1), rtol=1e-5)

    def test_any_function_is_a_target(self, explainers, method, x):
        """Every method honours a score function: twice the logit of class 1; here in batches of three."""
        if method == "cam":
            pytest.skip("CAM is about classes; see test_cam.py")
        seven = of_seven(x)
        double = explainers[method].explain(seven, lambda outputs: 2 * outputs[:, 1], batch_size=3, verbose=0)
        single = explainers[method](seven, 1)
        np.testing.assert_allclose(double.score, 2 * single.score, rtol=1e-5)
        power = {"var_grad": 4, "square_grad": 4, "guided_grad_cam": 4, "eigen_cam": 1, "ablation_cam": 1}
        power |= {"feature_inversion": 1, "attention_rollout": 1, "sobol": 1, "hsic": 1}
        expected = power.get(method, 2) * single.values
        if method in NOT_HOMOGENEOUS:
            assert np.corrcoef(double.values.ravel(), expected.ravel())[0, 1] > 0.9
        else:
            np.testing.assert_allclose(double.values, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())

    def test_other_shapes_and_a_dead_network(self, any_size, method):
        """Grey, not square, odd sizes; one model for every size, in which nothing is active at first."""
        if method in OF_ATTENTION:
            pytest.skip("its network has no attention; see test_attention.py")
        model, alive = any_size
        model.set_weights([np.zeros_like(weights) for weights in alive])
        explainer = make(method, model)
        for size in ((17, 11), (8, 21))[: 2 if method in OF_TWO_SIZES else 1]:
            images = np.random.default_rng(0).uniform(size=(2, *size, 1))
            if size == (17, 11):
                explanation = explainer(images)
                np.testing.assert_allclose(explanation.values, 0, atol=1e-12)
                np.testing.assert_array_equal(explanation.heatmaps(), np.zeros((2, *size)))
                model.set_weights(alive)
            explanation = explainer(images)
            assert explanation.heatmaps().shape == (2, *size)
            assert np.isfinite(explanation.values).all()

    def test_facts(self, method, explainers):
        facts = explainers[method].facts
        assert facts.name == method
        assert all([facts.use, facts.cost, facts.needs, facts.drawback, facts.reference])
        assert "Examples" in type(explainers[method]).__doc__


@pytest.mark.parametrize("method", ["integrated_gradients", "ablation_cam", "lrp"])
def test_batch_mates_do_not_matter_in_a_residual_net(residual, method, x):
    """With gradients, edits and relevance, one row at a time."""
    batch_mates_do_not_matter(make(method, residual), x, batch_size=1)


class GivenNoise(tfxai.SmoothGrad):
    """XLA draws other random numbers than TensorFlow, so the two are compared on given ones."""

    def draw(self, index, sample):
        return tf.gather(np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype("float32"), index)


XLA = {  # one method for each way in which they are computed
    "plain": tfxai.GuidedBackprop,
    "loop_of_gradients": lambda model, **options: GivenNoise(model, samples=3, **options),
    "loop_of_outputs": lambda model, **options: tfxai.RISE(
        model, masks=np.random.default_rng(0).uniform(size=(5, 16, 16)), **options
    ),
    "edits": tfxai.AblationCAM,
    "decomposition": tfxai.EigenCAM,
    "relevance": lambda model, **options: make("lrp", model, **options),
}  # descents: see test_inversion_baselines.py


@pytest.mark.parametrize("way", XLA)
def test_xla_gives_the_same(way, small, x):
    a, b = (XLA[way](small, jit_compile=jit)(x, 1).values for jit in (False, True))
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(a).max())


@pytest.mark.parametrize("method", ["smooth_grad", "rise"])
def test_same_seed_same_result(method, explainers, small, x):
    explainer = make(method, small, seed=1)
    first, again = (explainer(x, 1).values for _ in range(2))
    np.testing.assert_array_equal(first, again)
    explainer.seed = 0  # that of the others
    np.testing.assert_array_equal(explainer(x, 1).values, explainers[method](x, 1).values)
    assert np.abs(first - explainer(x, 1).values).max() > 0


def test_same_seed_same_result_by_xla(small, x):
    explainer = make("rise", small, seed=1, jit_compile=True)
    np.testing.assert_array_equal(explainer(x, 1).values, explainer(x, 1).values)


@pytest.fixture(scope="module")
def saliency(small):
    """For tests of what is given to an explainer, whichever it is."""
    return tfxai.Saliency(small)


class TestTargets:
    def test_classes_by_name(self, small, saliency, x):
        names = ["tench, Tinca tinca", "goldfish", "shark", "ray", "great ray"]
        explainer = tfxai.Saliency(small, classes=names)
        assert explainer(x, "Tinca tinca").target.tolist() == [0] * 4
        assert explainer(x, "ray").target.tolist() == [3] * 4
        assert explainer(x, ["ray", "shark", 1, "great ray"]).target.tolist() == [3, 2, 1, 4]
        for wanted, told in (("golfish", "Similar: .'goldfish'"), ("xyz", "The first of . are .'")):
            with pytest.raises(ValueError, match=rf"No class is called '{wanted}'\. {told}"):
                class_id(wanted, ["tench, Tinca tinca", "goldfish", "kite"])
        with pytest.raises(ValueError, match=r"No class is called 'gold'\. Similar: .'goldfish'"):
            explainer(x, "gold")
        with pytest.raises(ValueError, match="classes="):
            saliency(x, "ray")

    def test_several_classes_of_an_input(self, small, x):
        classes = np.array([[0, 3], [4, 1], [2, 0], [1, 2]])
        explainer = tfxai.GradCAM(small)
        together = explainer.explain(x, classes, batch_size=5, verbose=0)
        assert together.target.tolist() == classes.ravel().tolist()
        np.testing.assert_array_equal(together.inputs, np.repeat(x, 2, 0))
        streamed = explainer.explain(tf.data.Dataset.from_tensor_slices(x).batch(3), classes, verbose=0)
        for column in (0, 1):
            alone = explainer(x, classes[:, column]).values
            for found in (together, streamed):
                np.testing.assert_allclose(found.values[column::2], alone, rtol=1e-4, atol=1e-6)

    def test_neuron_and_channel(self, small, saliency, x):
        a = keras.Model(small.input, small.get_layer("relu2").output)(x).numpy()
        neuron = saliency(x, Neuron("relu2", (3, 4, 5)))
        np.testing.assert_allclose(neuron.score, a[:, 3, 4, 5], rtol=1e-5, atol=1e-6)
        assert neuron.target == "neuron (3, 4, 5) of relu2"
        energy = (a[..., 5] ** 2).sum((1, 2)) / 2
        for reduction, expected in (
            ("energy", energy),
            ("sum", a[..., 5].sum((1, 2))),
            ("mean", a[..., 5].mean((1, 2))),
            ("max", a[..., 5].max((1, 2))),
        ):
            score = saliency(x, Channel("relu2", 5, reduction)).score
            np.testing.assert_allclose(score, expected, rtol=1e-4, atol=1e-5)
        for wrong in (Neuron("relu2", (3, 4)), Neuron("relu2", (16, 0, 0)), Channel("relu2", 8)):
            with pytest.raises(ValueError, match=r"no (unit|channel)"):
                saliency(x, wrong)
        with pytest.raises(ValueError, match="reduction"):
            Channel("relu2", 1, "median")

    def test_a_layer_above_the_target_has_no_map(self, small, x):
        with pytest.raises(ValueError, match="no gradient path from the score to the layer"):
            tfxai.GradCAM(small, layer="relu2")(x, Channel("relu1", 1))

    @pytest.mark.parametrize(
        ("target", "error", "message"),
        [
            (5, ValueError, "5 is out of range: the model has 5 classes, 0 to 4"),
            (-1, ValueError, "count from 0"),
            ([0, 1], ValueError, "each of the 4 inputs, got 2"),
            (np.eye(4, 5, dtype=int), ValueError, "one-hot"),
            ([[0, 1]], ValueError, "each of the 4 inputs, got 1"),
            ([[0, 5]] * 4, ValueError, "5 is out of range"),
            (1.5, TypeError, "class ids"),
            (True, TypeError, "class ids"),
            (lambda outputs: outputs, ValueError, r"one score per input"),
        ],
    )
    def test_bad_targets(self, saliency, x, target, error, message):
        with pytest.raises(error, match=message):
            saliency(x, target)

    def test_maps_as_output_need_a_function(self, x):
        model = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(2, 3, name="conv")])
        with pytest.raises(ValueError, match=r"\(n, classes\)"):
            tfxai.Saliency(model)(x)
        ours = tfxai.Saliency(model)(x, lambda maps: tf.reduce_sum(maps[..., 1], (1, 2)))
        assert ours.values.shape == x.shape


class TestInputs:
    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (lambda x: x[0], ValueError, r"add the batch axis"),
            (lambda x: x[:, :8], ValueError, r"shape \(n, 16, 16, 3\), got \(4, 8, 16, 3\)"),
            (lambda x: x[..., :1], ValueError, "shape"),
            (lambda x: x[:0], ValueError, "empty"),
            (
                lambda x: np.where(np.arange(4)[:, None, None, None] == 2, np.nan, x),
                ValueError,
                r"NaN or infinite values, in rows \[2\]",
            ),
            (lambda x: x * np.inf, ValueError, "NaN or infinite"),
            (lambda x: x.astype(str), TypeError, "numbers"),
            (lambda x: x.astype(complex), TypeError, "numbers"),
            (lambda x: (x * 2**40).astype(np.int64), TypeError, "too large"),
            (lambda x: [x, x], ValueError, "shape"),
            (lambda x: {"other": x}, ValueError, r"Expected the inputs \['input'\]"),
        ],
    )
    def test_bad_inputs(self, saliency, x, change, error, message):
        with pytest.raises(error, match=message), np.errstate(invalid="ignore"):
            saliency(change(x))

    def test_integer_images_are_converted(self, saliency):
        pixels = networks.oracle("residual_inputs")["images"]
        ours = saliency(pixels)
        np.testing.assert_array_equal(ours.values, saliency(pixels.astype("float32")).values)
        assert ours.inputs.dtype == np.float32

    def test_tensors_lists_and_doubles(self, saliency, x):
        expected = saliency(x).values
        for given in (tf.constant(x), x.tolist(), x.astype("float64"), list(x)):
            np.testing.assert_allclose(saliency(given).values, expected, rtol=1e-5, atol=1e-7)

    def test_datasets_are_streamed(self, saliency, x):
        seen = []

        def rows():
            for row in np.concatenate([x, x, x[:2]]):
                seen.append(1)
                yield row

        dataset = tf.data.Dataset.from_generator(rows, output_signature=tf.TensorSpec((16, 16, 3)))
        whole = saliency(np.concatenate([x, x, x[:2]]), 2)
        ours = saliency.explain(dataset.batch(4), 2, verbose=0)
        np.testing.assert_allclose(ours.values, whole.values, rtol=1e-4, atol=1e-6)
        assert len(seen) == len(ours) == 10
        labelled = tf.data.Dataset.from_tensor_slices((x, np.arange(4))).batch(2)
        assert len(saliency.explain(labelled, [0, 1, 2, 3], verbose=0)) == 4
        with pytest.raises(ValueError, match="infinite"):
            saliency(dataset.repeat().batch(2))
        with pytest.raises(ValueError, match="dataset is empty"):
            saliency.explain(labelled.take(0), verbose=0)
        for targets in ([0, 1, 2], [0, 1, 2, 3, 4]):
            with pytest.raises(ValueError, match="one target for each"):
                saliency.explain(labelled, targets, verbose=0)

    def test_nothing_computed_is_lost(self, saliency, x):
        bad = np.concatenate([x, x * np.nan])
        dataset = tf.data.Dataset.from_tensor_slices(bad).batch(2)
        with pytest.raises(ValueError, match="NaN") as caught:
            saliency.explain(dataset, 1, verbose=0)
        np.testing.assert_allclose(caught.value.partial.values, saliency(x, 1).values, rtol=1e-4, atol=1e-6)
        assert "4 explanations" in caught.value.__notes__[0]

    def test_progress(self, saliency, x, capsys):
        many = np.concatenate([x] * 3)
        saliency.explain(many, batch_size=4)
        assert "12 of 12 inputs" in capsys.readouterr().out
        saliency.explain(many)
        saliency.explain(many, batch_size=4, verbose=0)
        assert not capsys.readouterr().out
        saliency.explain(many, verbose=1)
        assert "12 of 12 inputs in" in capsys.readouterr().out

    @pytest.mark.parametrize("options", [{"batch_size": 0}, {"batch_size": 2.5}, {"verbose": 3}])
    def test_bad_options(self, saliency, x, options):
        with pytest.raises(ValueError, match=next(iter(options))):
            saliency.explain(x, **options)

    def test_nan_weights_are_reported(self, x):
        model = networks.small()
        model.get_layer("dense").bias.assign(np.full(5, np.nan))
        with pytest.raises(ValueError, match=r"infinite score .* Check the model's weights"):
            tfxai.Saliency(model)(x)

    def test_nan_gradients_are_reported(self):
        inputs = keras.Input((4,))
        model = keras.Model(inputs, layers.Dense(2)(keras.ops.sqrt(inputs)))  # the slope of a root is infinite at 0
        with pytest.raises(ValueError, match=r"infinite values .* gradient exists"):
            tfxai.Saliency(model)(np.zeros((1, 4)))


@pytest.fixture(scope="module")
def two_inputs():
    image, table = keras.Input((8, 8, 3), name="image"), keras.Input((5,), name="table")
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu", name="conv")(image))
    merged = layers.Concatenate()([pooled, layers.Dense(4, activation="relu")(table)])
    return keras.Model([image, table], layers.Dense(3, activation="softmax")(merged))


@pytest.fixture(scope="module")
def of_series():
    inputs = keras.Input((20, 3))
    pooled = layers.GlobalAveragePooling1D()(layers.Conv1D(4, 5, activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(2)(pooled))


@pytest.fixture(scope="module")
def of_volumes():
    inputs = keras.Input((6, 7, 8, 2))
    pooled = layers.GlobalAveragePooling3D()(layers.Conv3D(3, 3, activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(2)(pooled))


@pytest.fixture(scope="module")
def of_tables():
    return keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(2)])


class TestOtherModels:
    @pytest.mark.parametrize("method", [m for m in OF_ANY if m != "cam" and m not in VARIANTS])
    def test_several_inputs(self, two_inputs, method):
        rng = np.random.default_rng(0)
        image, table = rng.normal(size=(3, 8, 8, 3)), rng.normal(size=(3, 5))
        explainer = make(method, two_inputs)
        as_dict, as_list = explainer({"table": table, "image": image}, 1), explainer([image, table], 1)
        if isinstance(as_dict.values, dict):
            assert {name: v.shape for name, v in as_dict.values.items()} == {"image": (3, 8, 8, 3), "table": (3, 5)}
            np.testing.assert_array_equal(as_dict.values["table"], as_list.values["table"])
            assert as_dict.heatmaps(input="image").shape == (3, 8, 8)
            assert as_dict.heatmaps(input="table").shape == (3, 5)
            with pytest.raises(ValueError, match="choose one by input="):
                as_dict.heatmaps()
        else:
            np.testing.assert_array_equal(as_dict.values, as_list.values)
            assert as_dict.heatmaps().shape == (3, 8, 8)
        with pytest.raises(ValueError, match=r"2 inputs"):
            explainer(image)

    def test_completeness_over_several_inputs(self, two_inputs):
        rng = np.random.default_rng(0)
        inputs = {"image": rng.normal(size=(3, 8, 8, 3)), "table": rng.normal(size=(3, 5))}
        explainer = tfxai.IntegratedGradients(two_inputs, steps=200)
        gap = explainer(inputs, 1).extras["completeness_gap"]
        assert np.abs(gap).max() < 5e-3

    def test_several_outputs(self, x):
        inputs = keras.Input((16, 16, 3))
        shared = layers.Conv2D(4, 3, activation="relu", name="shared")(inputs)
        a = layers.Dense(3, name="a")(layers.GlobalAveragePooling2D()(shared))
        other = layers.Conv2D(4, 3, activation="relu", name="other")(shared)
        b = layers.Dense(2, activation="softmax", name="b")(layers.GlobalAveragePooling2D()(other))
        model = keras.Model(inputs, [a, b])
        with pytest.raises(ValueError, match=r"2 outputs; expected output= to be one of \['a', 'b'\]"):
            tfxai.Saliency(model)(x)
        assert tfxai.GradCAM(model, output="a").reads == ("shared",)  # the last layer before this output
        assert tfxai.GradCAM(model, output="b").reads == ("other",)
        np.testing.assert_allclose(tfxai.Saliency(model, output="a")(x, 2).score, model(x)[0][:, 2], rtol=1e-5)
        by_number, by_name = tfxai.Saliency(model, output=1)(x, 1), tfxai.Saliency(model, output="b")(x, 1)
        np.testing.assert_array_equal(by_number.values, by_name.values)
        as_dict = keras.Model(inputs, {"first": a, "second": b})
        np.testing.assert_allclose(tfxai.Saliency(as_dict, output="second")(x, 1).values, by_name.values, rtol=1e-5)
        assert [layer.name for layer in tfxai.layers(model)][:2] == ["shared", "other"]
        with pytest.raises(ValueError, match="'c'"):
            tfxai.Saliency(model, output="c")(x)

    @pytest.mark.parametrize(
        "method", ["saliency", "gradient_x_input", "integrated_gradients", "smooth_grad", "guided_backprop", "rise"]
    )
    def test_tables(self, of_tables, method):
        explanation = make(method, of_tables)(np.random.default_rng(0).normal(size=(3, 6)))
        assert explanation.values.shape == (3, 6)
        assert explanation.heatmaps().shape == (3, 6)

    @pytest.mark.parametrize("method", ["grad_cam", "score_cam", "cam"])
    def test_maps_of_tables_are_refused(self, of_tables, method):
        with pytest.raises(ValueError, match=r"positions|spatial"):
            make(method, of_tables)(np.ones((3, 6)))

    @pytest.mark.parametrize(
        "method",
        [m for m in OF_ANY if m not in ("rise", "score_cam", "xrai") and not m.endswith(("inversion", "perturbation"))],
    )
    def test_series(self, of_series, method):
        explanation = make(method, of_series)(np.random.default_rng(0).normal(size=(3, 20, 3)))
        assert explanation.heatmaps().shape == (3, 20)

    @pytest.mark.parametrize("method", ["saliency", "grad_cam", "cam", "eigen_cam", "ablation_cam", "occlusion"])
    def test_volumes(self, of_volumes, method):
        explanation = make(method, of_volumes)(np.ones((2, 6, 7, 8, 2)), 1)
        inside = (4, 5, 6) if "cam" in method else (6, 7, 8)
        assert explanation.values.shape[:4] == (2, *inside)
        assert explanation.heatmaps().shape == (2, 6, 7, 8)

    def test_tokens_are_explained_where_they_are_embedded(self):
        model = keras.Sequential(
            [keras.Input((7,), dtype="int32"), layers.Embedding(9, 4), layers.GlobalAveragePooling1D(), layers.Dense(2)]
        )
        assert tfxai.Saliency(model)(np.zeros((2, 7), int)).values.shape == (2, 7, 4)
        with pytest.raises(TypeError, match="integers"):
            tfxai.Saliency(model)(np.full((2, 7), 0.5))

    def test_no_gradient_path(self, x):
        inputs = keras.Input((16, 16, 3))
        cut = layers.Lambda(tf.stop_gradient)(layers.Conv2D(3, 3)(inputs))
        model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(cut)))
        for method in ("saliency", "integrated_gradients", "smooth_grad"):
            with pytest.raises(ValueError, match="no gradient path"):
                make(method, model)(x)
        assert np.abs(make("occlusion", model)(x, 0).values).max() > 0  # what needs no gradient works

    def test_recurrent_models(self):
        model = keras.Sequential([keras.Input((9, 4)), layers.LSTM(5), layers.Dense(2)])
        values = tfxai.IntegratedGradients(model, steps=100)(np.random.default_rng(0).normal(size=(2, 9, 4)), 1)
        assert np.abs(values.extras["completeness_gap"]).max() < 1e-3

    def test_fixed_batch_size(self):
        inputs = keras.Input(batch_shape=(4, 8, 8, 3))
        pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(inputs))
        fixed = keras.Model(inputs, layers.Dense(3)(pooled))
        free = keras.Sequential([keras.Input((8, 8, 3)), *fixed.layers[1:]])
        x = np.random.default_rng(0).normal(size=(6, 8, 8, 3))
        for method in ("grad_cam", "occlusion", "ablation_cam"):
            ours, same = make(method, fixed)(x, 1), make(method, free)(x, 1)
            np.testing.assert_allclose(ours.values, same.values, rtol=1e-4, atol=1e-6)
        longer = make("ablation_cam", fixed)(tf.data.Dataset.from_tensors(x), 1, verbose=0)  # batches of six
        np.testing.assert_allclose(longer.values, same.values, rtol=1e-4, atol=1e-6)

    def test_subclass_that_has_seen_no_data(self, x):
        class Lazy(keras.Model):
            def __init__(self):
                super().__init__()
                self.parts = [layers.Conv2D(3, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(2)]

            def call(self, x):
                for part in self.parts:
                    x = part(x)
                return x

        model = Lazy()
        with pytest.raises(ValueError, match="not known before"):
            tfxai.layers(model)
        assert tfxai.GradCAM(model)(x).values.shape == (4, 14, 14)
        assert tfxai.layers(model)[0].kind == "Conv2D"


def test_explain_by_name(small, x):
    by_name = tfxai.explain(small, x, "grad_cam", 1, layer="relu1")
    np.testing.assert_array_equal(by_name.values, tfxai.GradCAM(small, layer="relu1")(x, 1).values)
    assert tfxai.explain(small, x, "GradCAM").method == "grad_cam"
    with pytest.raises(ValueError, match=r"Unknown method 'grad_cm'.*'grad_cam'"):
        tfxai.explain(small, x, "grad_cm")
    with pytest.raises(TypeError, match="steps"):
        tfxai.explain(small, x, "grad_cam", steps=3)


def test_bad_constructor_options(residual):
    with pytest.raises(ValueError, match="score"):
        tfxai.Saliency(residual, score="loss")
    with pytest.raises(ValueError, match="jit_compile"):
        tfxai.Saliency(residual, jit_compile="yes")
