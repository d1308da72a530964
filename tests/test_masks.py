"""Padding that a model masks is left alone by noise, baselines and fills, and gets no values."""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

import tfxai

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not support masking")  # Keras, of convolutions

LENGTHS = (2, 4)


def padded(value=0.0):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 6, 4)).astype("float32")
    for row, length in zip(x, LENGTHS, strict=True):
        row[length:] = value
    return x


class NegativePadding(keras.layers.Layer):
    """A layer with a mask of its own."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def compute_mask(self, x, mask=None):
        return ops.max(x, -1) > -5

    def call(self, x):
        return x * 1.0


def averaged(masking, steps=layers.Dense):
    """Means over the steps that count."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 4))
    maps = steps(6, activation="tanh", name="steps")(masking(inputs))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(maps)))


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        keras.utils.set_random_seed(0)
        self.masking, self.steps = layers.Masking(), layers.Dense(6, activation="tanh", name="steps")
        self.last, self.head = layers.SimpleRNN(5), layers.Dense(3)

    def call(self, x):
        return self.head(self.last(self.steps(self.masking(x))))


def convolved():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 4))
    maps = layers.Conv1D(6, 3, padding="same", activation="relu", name="steps")(layers.Masking()(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(maps)))


def masked_by_an_input():
    keras.utils.set_random_seed(0)
    inputs, mask = keras.Input((6, 4), name="series"), keras.Input((6,), dtype="bool", name="mask")
    steps = layers.Dense(6, activation="tanh", name="steps")(inputs)
    return keras.Model([inputs, mask], layers.Dense(3)(layers.GlobalAveragePooling1D()(steps, mask=mask)))


X = padded()
CASES = {
    "recurrent": (lambda: averaged(layers.Masking(), functools.partial(layers.SimpleRNN, return_sequences=True)), X),
    "masking": (lambda: averaged(layers.Masking()), X),
    "another value": (lambda: averaged(layers.Masking(-999.0)), padded(-999.0)),
    "own mask": (lambda: averaged(NegativePadding()), padded(-9.0)),
    "subclass": (Subclass, X),
    "input": (masked_by_an_input, {"series": X, "mask": (X != 0).any(-1)}),
    "convolution": (convolved, X),
}


@pytest.fixture(scope="module")
def case():
    """A model and its inputs, by its name."""

    @functools.cache
    def made(name):
        make, x = CASES[name]
        model = make()
        if name == "subclass":
            model(x)
        return model, x

    return made


def on_padding(values):
    values = values["series"] if isinstance(values, dict) else values
    assert all(np.abs(row[:length]).max() > 0 for row, length in zip(values, LENGTHS, strict=True))
    return max(np.abs(row[length:]).max() for row, length in zip(values, LENGTHS, strict=True))


PERTURBING = {
    "smooth_grad": lambda model: tfxai.SmoothGrad(model, samples=3),
    "occlusion": lambda model: tfxai.Occlusion(model, window=2, fill=0.7),
    "grad_cam": lambda model: tfxai.GradCAM(model, layer="steps"),
}


# What is padding is found in the same way for all of them; of inputs and of layers.
FOUND = [(name, method) for name in CASES for method in ("smooth_grad", "grad_cam")]
FOUND += [("masking", "occlusion"), ("input", "occlusion")]


@pytest.mark.parametrize(("name", "method"), FOUND)
def test_nothing_lies_on_padding(case, name, method):
    model, x = case(name)
    assert on_padding(PERTURBING[method](model)(x, 1).values) == 0


@pytest.mark.parametrize("name", ["recurrent", "another value", "input"])
def test_baselines_leave_padding_as_it_is(case, name):
    rng = np.random.default_rng(1)
    model, x = case(name)
    for baseline in ("mean", rng.normal(size=X.shape)) if isinstance(x, dict) else ("mean",):
        given = {"series": baseline} if isinstance(x, dict) else baseline
        found = tfxai.IntegratedGradients(model, steps=20, baseline=given)(x, 1)
        assert np.abs(found.extras["completeness_gap"]).max() < 3e-2
        assert on_padding(found.values) == 0


@pytest.fixture(scope="module")
def masking():
    return averaged(layers.Masking())


@pytest.fixture(scope="module")
def masking_another_value():
    return averaged(layers.Masking(-999.0))


def test_every_kind_of_baseline_and_of_map_leaves_it(masking):
    model = masking
    methods = [tfxai.IntegratedGradients(model, steps=3, baseline=["blur", "noise", 0.3])]  # the mean over these
    methods += [tfxai.VarGrad(model, samples=3), tfxai.EigenCAM(model, "steps"), tfxai.AblationCAM(model, "steps")]
    for method in methods:
        assert on_padding(method(X, 1).values) == 0


def test_the_mean_is_that_of_the_steps_that_count(masking_another_value):
    model = masking_another_value
    x = padded(-999.0)
    start = np.where(x == -999, x, 0)
    for row, length in zip(start, LENGTHS, strict=True):
        row[:length] = x[LENGTHS.index(length), :length].mean(0)
    by_name = tfxai.IntegratedGradients(model, steps=5, baseline="mean")(x, 1)
    by_hand = tfxai.IntegratedGradients(model, steps=5, baseline=start)(x, 1)
    assert np.abs(by_hand.values).max() > 1e-3
    np.testing.assert_allclose(by_name.values, by_hand.values, atol=1e-6)


def test_noise_is_a_share_of_the_range_of_the_steps_that_count(masking, masking_another_value):
    """The same series padded by 0 and by -999 are explained alike."""
    zero, large = X, np.where((X == 0).all(-1, keepdims=True), -999, X)
    one = tfxai.SmoothGrad(masking, samples=3)(zero, 1)
    other = tfxai.SmoothGrad(masking_another_value, samples=3)(large, 1)
    assert np.abs(one.values).max() > 1e-3
    np.testing.assert_allclose(one.values, other.values, rtol=1e-3, atol=1e-6)


def test_masks_of_saved_models(masking, tmp_path):
    model = masking
    model.export(tmp_path / "saved", verbose=False)
    found = tfxai.IntegratedGradients(tmp_path / "saved", steps=5, baseline="mean")(X, 1)
    expected = tfxai.IntegratedGradients(model, steps=5, baseline="mean")(X, 1)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
    assert on_padding(found.values) == 0


def test_copies_of_a_series_keep_its_padding(masking):
    """Input resampling: the reading of padded steps is constant over the cloud."""
    result = tfxai.InputResampling(masking, layers=["steps"], samples=8)(X, 1)
    assert np.isfinite(result.scores["correlation"]["steps"]).all()


def test_models_without_masks_are_explained_as_ever():
    plain = averaged(layers.Identity())
    dense = np.abs(tfxai.SmoothGrad(plain, samples=3)(X, 1).values)
    assert dense[0, 2:].sum() > 0
