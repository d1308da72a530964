"""What inputs are compared with: one baseline for all, for each input of a batch, for each input of a model."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(4, 6)).astype("float32")
BASELINES = RNG.normal(size=(4, 6)).astype("float32")


@pytest.fixture(scope="module")
def table():
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="tanh"), layers.Dense(3)])


@pytest.fixture(scope="module")
def image_and_features():
    keras.utils.set_random_seed(2)
    image, features = keras.Input((8, 8, 1), name="image"), keras.Input((4,), name="feat")
    maps = layers.Conv2D(3, 3, activation="relu")(image)
    joined = layers.Concatenate()([layers.Flatten()(maps), features])
    return keras.Model([image, features], layers.Dense(3, activation="softmax")(joined))


@pytest.fixture(scope="module")
def with_ids():
    """Numbers, and the number of a category beside them."""
    keras.utils.set_random_seed(3)
    numbers, ids = keras.Input((6,), name="numbers"), keras.Input((1,), dtype="int32", name="ids")
    embedded = layers.Flatten()(layers.Embedding(5, 3)(ids))
    hidden = layers.Dense(8, activation="relu")(layers.Concatenate()([numbers, embedded]))
    return keras.Model([numbers, ids], layers.Dense(2)(hidden))


PAIR = {"image": RNG.uniform(size=(3, 8, 8, 1)).astype("float32"), "feat": RNG.normal(size=(3, 4)).astype("float32")}
TAKING = {
    "integrated_gradients": lambda m, baseline: tfxai.IntegratedGradients(m, steps=4, baseline=baseline),
    "deep_lift": lambda m, baseline: tfxai.DeepLift(m, baseline=baseline),
}
TAKING["smooth_grad"] = lambda *given: tfxai.SmoothGrad(TAKING["integrated_gradients"](*given), samples=3, noise=0)


@pytest.fixture(scope="module")
def alone(table):
    """Values of one row with its own baseline, by name of the method."""

    @functools.cache
    def found(name, row):
        return TAKING[name](table, BASELINES[row])(ROWS[row : row + 1], 1).values[0]

    return found


@pytest.mark.parametrize(
    ("name", "wrap"), [*((name, np.asarray) for name in TAKING), ("integrated_gradients", tf.constant)]
)
def test_an_array_of_the_batch_s_shape_is_one_baseline_for_each_input(table, alone, name, wrap):
    together = TAKING[name](table, wrap(BASELINES))(ROWS, 1, batch_size=3)
    for row in (1, 3):  # of the first batch and of the second
        expected = alone("deep_lift" if name == "deep_lift" else "integrated_gradients", row)  # there is no noise
        np.testing.assert_allclose(together.values[row], expected, rtol=1e-4, atol=1e-6)


def test_each_input_keeps_its_baseline_in_datasets_with_several_classes_and_in_fixed_batches(table):
    explainer = tfxai.IntegratedGradients(table, baseline=BASELINES, steps=4)
    expected = explainer(ROWS, 1).values
    np.testing.assert_allclose(explainer(tf.data.Dataset.from_tensor_slices(ROWS).batch(3), 1).values, expected, 1e-5)
    several = explainer(ROWS, np.tile([[0, 1]], (4, 1)))
    np.testing.assert_allclose(several.values[1::2], expected, rtol=1e-4, atol=1e-6)
    fixed = keras.Sequential([keras.Input(batch_shape=(3, 6)), *table.layers])
    again = tfxai.IntegratedGradients(fixed, baseline=BASELINES, steps=4)(ROWS, 1)
    np.testing.assert_allclose(again.values, expected, rtol=1e-4, atol=1e-6)


def test_what_hides_windows_is_one_image_for_each_image(small, x):
    rng = np.random.default_rng(1)
    fills = rng.uniform(size=x.shape).astype("float32")
    for make in (
        lambda f: tfxai.Occlusion(small, window=8, fill=f),
        lambda f: tfxai.RISE(small, masks=6, fill=f),
    ):
        together = make(fills)(x, 1, batch_size=3).values
        for row in (1, 3):  # of the first batch and of the second
            alone = make(fills[row])(x[row : row + 1], 1).values[0]
            np.testing.assert_allclose(together[row], alone, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("rows", [2, 5])
@pytest.mark.parametrize("make", [tfxai.IntegratedGradients, tfxai.DeepLift])
def test_another_number_of_baselines_than_of_inputs_is_refused(table, make, rows):
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match=r"one for each of 4 inputs, got \(\d, 6\).*background="):
        make(table, baseline=rng.normal(size=(rows, 6)))(ROWS)
    with pytest.raises(ValueError, match="background="):
        make(table, baseline=rng.normal(size=(2, 6)))(tf.data.Dataset.from_tensor_slices(ROWS).batch(3))
    with pytest.raises(ValueError, match="background="):
        make(table, baseline=list(BASELINES))(ROWS)


@pytest.mark.parametrize("make", [tfxai.IntegratedGradients, tfxai.DeepLift])
def test_a_background_is_averaged_over(table, make):
    """Also if it has as many rows as there are inputs."""
    together = make(table, background=BASELINES[:2])(ROWS[:2], 1)
    each = [make(table, baseline=one)(ROWS[:2], 1).values for one in BASELINES[:2]]
    np.testing.assert_allclose(together.values, np.mean(each, 0), rtol=1e-4, atol=1e-6)
    assert np.abs(together.extras["completeness_gap"]).max() < 1e-4
    with pytest.raises(ValueError, match="got both"):
        make(table, baseline=0.5, background=BASELINES)
    with pytest.raises(ValueError, match=r"\(b, 6\), several inputs, got \(6,\)"):
        make(table, background=BASELINES[0])(ROWS)


@pytest.mark.parametrize("make", [tfxai.IntegratedGradients, tfxai.DeepLift])
def test_one_baseline_for_each_input_of_the_model(image_and_features, make):
    x = PAIR
    found = make(image_and_features, baseline={"image": "blur", "feat": x["feat"][0]})(x, 1)
    blurred = tfxai.baselines.references("blur", tf.constant(x["image"]))[0]
    again = make(image_and_features, baseline=[blurred, x["feat"][0]])([x["image"], x["feat"]], 1)
    for name in x:
        np.testing.assert_allclose(found.values[name], again.values[name], rtol=1e-4, atol=1e-6)
    assert not found.values["feat"][0].any()
    assert np.abs(found.extras["completeness_gap"]).max() < 1e-3


@pytest.mark.parametrize("make", [tfxai.IntegratedGradients, tfxai.DeepLift])
def test_one_background_for_each_input_of_the_model(image_and_features, make):
    rows = {name: one[:2] for name, one in PAIR.items()}
    each = [make(image_and_features, baseline={n: one[k] for n, one in rows.items()})(PAIR, 1) for k in range(2)]
    for background in (rows, [rows["image"], rows["feat"]])[: 1 if make is tfxai.DeepLift else 2]:
        together = make(image_and_features, background=background)(PAIR, 1)
        for name in rows:
            mean = np.mean([one.values[name] for one in each], 0)
            np.testing.assert_allclose(together.values[name], mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ({"picture": 0.0, "feat": 0.0}, r"\['image', 'feat'\], got them for \['picture', 'feat'\]"),
        ({"image": 0.0}, "'feat' too"),
        ([0.0], r"each of the inputs \['image', 'feat'\], got 1 entries"),
        ("blur", r"'feat': .*\{'image': \.\.\., 'feat': \.\.\.\}"),
        ({"image": np.zeros((5, 5, 1)), "feat": 0.0}, r"'image'.*\(8, 8, 1\), got \(5, 5, 1\)"),
        ({"image": PAIR["image"][:2], "feat": 0.0}, r"each of 3 inputs, got \(2, 8, 8, 1\)"),
    ],
)
def test_baselines_that_fit_no_input_are_told_by_name_and_shape(image_and_features, baseline, message):
    with pytest.raises(ValueError, match=message) as error:
        tfxai.IntegratedGradients(image_and_features, baseline=baseline)(PAIR)
    assert len(str(error.value)) < 400  # no arrays in print


GRADIENTS = {
    "saliency": tfxai.Saliency,
    "gradient_x_input": tfxai.GradientXInput,
    "integrated_gradients": tfxai.IntegratedGradients,
    "guided_backprop": tfxai.GuidedBackprop,
    "smooth_grad": lambda model: tfxai.SmoothGrad(model, samples=3),
    "lrp": tfxai.LRP,
    "deep_lift": tfxai.DeepLift,
    "simple_taylor": tfxai.SimpleTaylor,
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_integers_beside_numbers_have_values_where_they_are_embedded(with_ids, name, tmp_path):
    x = {"numbers": ROWS, "ids": np.array([[1], [2], [3], [4]])}
    found = GRADIENTS[name](with_ids)(x, 1)
    assert found.values["ids"].shape == (4, 1, 3)
    assert found.heatmaps(input="numbers").shape == (4, 6)
    found.save(tmp_path / "found.npz")
    assert list(tfxai.Explanation.load(tmp_path / "found.npz")[1:].values) == ["numbers", "ids"]
    if name in ("integrated_gradients", "deep_lift"):
        np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-2)
    if name == "saliency":
        numbers = tf.constant(ROWS)
        with tf.GradientTape() as tape:
            tape.watch(numbers)
            score = with_ids([numbers, tf.constant(x["ids"])])[:, 1]
        np.testing.assert_allclose(found.values["numbers"], tape.gradient(score, numbers), rtol=1e-4, atol=1e-6)


def test_values_are_asked_for_inputs_that_have_them(with_ids):
    found = tfxai.Occlusion(with_ids, input="ids")({"numbers": ROWS, "ids": np.ones((4, 1), int)})
    with pytest.raises(ValueError, match=r"one of \['ids'\].*got 'numbers'"):
        found.heatmaps(input="numbers")
