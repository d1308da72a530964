"""Models that serve in other threads while they are explained, and explainers that several threads share."""

import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai

X = np.random.default_rng(0).uniform(size=(2, 12, 12, 3)).astype("float32")


class Compiled(keras.layers.Layer):
    """A layer whose call is a graph of its own."""

    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(4,), initializer="ones", name="scale")

    @tf.function
    def call(self, x):
        return x * self.scale if tf.reduce_sum(self.scale) > 0 else x


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(4, 3, activation="relu", name="conv")
        self.pool, self.head = layers.GlobalAveragePooling2D(), layers.Dense(3)

    def call(self, x):
        return self.head(self.pool(self.conv(x)))


def functional(*middle):
    keras.utils.set_random_seed(0)
    conv = layers.Conv2D(4, 3, activation="relu", name="conv")
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            conv,
            *middle,
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def subclass():
    keras.utils.set_random_seed(0)
    model = Subclass()
    model(X)
    return model


MODELS = {
    "functional": functional,
    "nested": lambda: keras.Sequential([keras.Input((12, 12, 3)), functional()]),
    "subclass": subclass,
    "compiled layer": lambda: functional(Compiled()),
}
EXPLAINERS = {
    "default layer": tfxai.GradCAM,
    "named layer": lambda model: tfxai.GradCAM(model, layer="conv"),
    "gradient": tfxai.Saliency,
    "modified": tfxai.GuidedBackprop,
}


class Serving:
    """Threads that call a model until the end of the block, and what went wrong in them."""

    def __init__(self, *calls):
        self.stop, self.errors, self.ready = threading.Event(), [], threading.Barrier(len(calls) + 1)
        self.threads = [threading.Thread(target=self.serve, args=(call,), daemon=True) for call in calls]

    def serve(self, call):
        expected = call()
        self.ready.wait()
        while not self.stop.is_set():
            try:
                np.testing.assert_allclose(call(), expected, rtol=1e-5)
            except Exception as error:
                self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize(
    ("kind", "explainer"),
    [*((kind, "default layer") for kind in MODELS), ("functional", "modified"), ("nested", "named layer")],
)
def test_a_model_may_serve_while_it_is_explained_for_the_first_time(kind, explainer):
    expected = EXPLAINERS[explainer](MODELS[kind]())(X, 1)
    model = MODELS[kind]()
    with Serving(lambda: model(X), lambda: model(X)) as serving:
        found = EXPLAINERS[explainer](model)(X, 1)
    assert not serving.errors
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-6)
    assert not any("call" in vars(layer) for layer in model._flatten_layers())


def test_graphs_that_other_threads_trace_meanwhile_are_right():
    """A function of theirs, traced while layers are wrapped, holds the model and no more."""
    model = functional(Compiled())
    with Serving(lambda: tf.function(model)(X), lambda: model.predict_on_batch(X)) as serving:
        for make in (tfxai.GradCAM, tfxai.GuidedBackprop):
            make(model)(X)
    assert not serving.errors


def test_losses_of_the_last_call_are_left_to_it():
    model = functional()
    model.layers[-1].activity_regularizer = keras.regularizers.L2(1.0)
    model(X)
    before = model.losses
    tfxai.GradCAM(model)(X)
    assert before[0] is model.losses[0]
    assert len(model.losses) == 1


@pytest.mark.parametrize("kind", ["keras", "subclass", "tf.function", "signature"])
def test_threads_share_an_explainer(kind, tmp_path):
    """Its first calls, of several kinds, all at once: each is traced once, and each gets its own result."""
    model = subclass() if kind == "subclass" else functional()
    if kind == "signature":
        model.export(tmp_path / "saved", verbose=False)
    opened = {"tf.function": tf.function(model), "signature": tmp_path / "saved"}.get(kind, model)
    calls = [(X[:n], target, size) for n in (1, 2) for target in (0, 2) for size in (4, 8)] * 2
    explainer, alone = tfxai.Saliency(opened), tfxai.Saliency(model)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda call: explainer(*call, verbose=0).values, calls))
    assert len(explainer._traces) == 2
    for call, values in zip(calls, found, strict=True):
        np.testing.assert_allclose(values, alone(*call, verbose=0).values, rtol=1e-4, atol=1e-6)


def test_explainers_of_one_model_in_many_threads():
    expected = {name: make(functional())(X, 1).values for name, make in EXPLAINERS.items()}
    model = functional()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: (name, EXPLAINERS[name](model)(X, 1).values), EXPLAINERS))
    for name, values in found:  # traced side by side
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-6)


def test_more_kinds_of_targets_than_are_kept_in_many_threads(monkeypatch):
    monkeypatch.setattr("tfxai.runner.MOST_TRACES", 2)
    explainer = tfxai.Saliency(functional())

    def run(number):
        return explainer(X, lambda outputs: number * outputs[:, 0]).score

    with ThreadPoolExecutor(8) as pool:
        scores = list(pool.map(run, range(1, 9)))
    np.testing.assert_allclose(scores, np.arange(1, 9)[:, None] * scores[0], rtol=1e-5)


def test_each_thread_is_told_its_own_error():
    """An explainer of a Python function that fails for some inputs, in its own words."""

    def fails(x):
        if x.max() > 1:
            raise KeyError(f"no row {x.max():.0f}")
        return x.reshape(len(x), -1)[:, :3]

    explainer = tfxai.Occlusion(fails, window=6, stride=6)
    explainer(X)

    def run(number):
        try:
            explainer(np.full((1, 12, 12, 3), number, "float32"))
        except KeyError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(1, 9))) == [None, *(f"'no row {number}'" for number in range(2, 9))]
