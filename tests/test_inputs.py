"""What users hand in: all that `keras.Model.predict` takes, and clear words for the rest."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tfxai
from tfxai.inputs import labelled
from tfxai.joining import RaggedExplanation

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(size=(6, 8, 8, 3)).astype("float32")
Y = np.arange(6) % 2
COLUMNS = {name: RANDOM.normal(size=6) for name in ("TAX", "AGE", "RM")}
SIZES = [(9, 12), (9, 12), (14, 8), (9, 12)]
IMAGES = [RANDOM.uniform(size=(*size, 3)).astype("float32") for size in SIZES]


def net(size):
    pooled = [layers.GlobalAveragePooling2D(), layers.Dense(2)]
    return keras.Sequential([keras.Input((*size, 3)), layers.Conv2D(4, 3, activation="relu", name="conv"), *pooled])


@pytest.fixture(scope="module")
def explainer():
    keras.utils.set_random_seed(0)
    return tfxai.GradCAM(net((8, 8)))


@pytest.fixture(scope="module")
def any_size():
    keras.utils.set_random_seed(0)
    return tfxai.GradCAM(net((None, None)))


@pytest.fixture(scope="module")
def of_columns():
    """A weight of 1, 2, 3 for three columns, each an input, not in the order of the alphabet."""
    inputs = {name: keras.Input((1,), name=name) for name in COLUMNS}
    model = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()([inputs[name] for name in COLUMNS])))
    model.layers[-1].kernel.assign([[1], [2], [3]])
    return tfxai.IntegratedGradients(model)


class Batches(keras.utils.PyDataset):
    """Three batches of two with labels, or without an end."""

    def __init__(self, steps=3):
        super().__init__()
        self.steps = steps

    @property
    def num_batches(self):
        return self.steps

    def __getitem__(self, number):
        return X[2 * number : 2 * number + 2], Y[2 * number : 2 * number + 2]


class WithoutLength(keras.utils.PyDataset):
    def __getitem__(self, number):
        return X[:2]


class Loader:
    """As loaders of other libraries: batches are lists of inputs and labels."""

    def __len__(self):
        return 3

    def __iter__(self):
        return ([X[start : start + 2], Y[start : start + 2]] for start in (0, 2, 4))


class Indexed:
    """Read by number, though it could be read for ever: image generators of Keras 2."""

    def __len__(self):
        return 3

    def __getitem__(self, number):
        return X[2 * number % 6 : 2 * number % 6 + 2], Y[:2]

    def __iter__(self):
        return self

    def __next__(self):
        return X[:2], Y[:2]


class Table:
    """What is needed of a data frame."""

    def __init__(self, columns):
        self.content = columns
        self.columns = list(columns)

    def __getitem__(self, name):
        return self.content[name]

    def __array__(self, dtype=None, copy=None):
        return np.stack([np.asarray(column, object) for column in self.content.values()], 1)


def pairs():
    return ((X[start : start + 2], Y[start : start + 2]) for start in (0, 2, 4))


@pytest.mark.parametrize(
    "given",
    [
        lambda: (x for x, _ in pairs()),
        pairs,
        lambda: (list(pair) for pair in pairs()),
        lambda: ((x, y, np.ones(2)) for x, y in pairs()),
        lambda: iter([X[:1], X[1:]]),
        lambda: map(tf.constant, (X[:3], X[3:])),
        lambda: itertools.repeat(X, 1),
        Batches,
        Loader,
        Indexed,
        lambda: tf.data.Dataset.from_tensor_slices((X, Y, Y)).batch(4),
        lambda: [X],
        lambda: np.array([*X, None], dtype=object)[:-1],
        lambda: tf.RaggedTensor.from_tensor(X),
    ],
)
def test_what_predict_takes_is_explained(explainer, given):
    ours = explainer.explain(given(), Y, verbose=0)
    np.testing.assert_allclose(ours.values, explainer(X, Y).values, rtol=1e-4, atol=1e-6)


def test_image_generators_are_read_once(explainer):
    generator = tf.keras.preprocessing.image.ImageDataGenerator()
    flow = generator.flow(X, Y, batch_size=4, shuffle=False)
    for _ in range(2):
        assert len(explainer.explain(flow, verbose=0)) == 6


@pytest.mark.parametrize(
    "endless",
    [
        lambda: itertools.cycle([X]),
        lambda: itertools.repeat(X),
        lambda: Batches(None),
        WithoutLength,
        lambda: tf.data.Dataset.from_tensors(X).repeat(),
    ],
)
def test_what_has_no_end_is_refused_at_once(explainer, endless):
    with pytest.raises(ValueError, match=r"(infinite|never ends).*(take|num_batches)"):
        explainer(endless())


def test_generators_are_streamed(explainer):
    """The second batch is made when the first is explained; what is done before an error is kept."""
    made = []

    def batches():
        for number in range(10):
            made.append(number)
            yield X[:2] * (np.nan if number == 2 else 1)

    with pytest.raises(ValueError, match="NaN") as caught:
        explainer.explain(batches(), verbose=0)
    assert made == [0, 1, 2]
    assert len(caught.value.partial) == 4
    with pytest.raises(ValueError, match="got 3 for at least 4"):
        explainer.explain(pairs(), [0, 1, 0], verbose=0)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ("image.png", TypeError, "str"),
        ({1, 2}, TypeError, "set"),
        (None, TypeError, "NoneType"),
        (3.5, ValueError, r"\(n, 8, 8, 3\), got \(\)"),
        ([X, X[:2]], ValueError, r"a list of 2, of which the first is an array of shape \(6, 8, 8, 3\).*iter\("),
        (iter([list(X)]), ValueError, r"x, \(x, y\) or \(x, y, weights\), got a list of 6"),
        ({"image": iter([X])}, ValueError, r"Expected the inputs \['.*'\], got \['image'\]"),
    ],
)
def test_errors_tell_what_was_given_and_not_its_content(explainer, wrong, error, message):
    with pytest.raises(error, match=message) as caught:
        explainer.explain(wrong, verbose=0)
    assert len(str(caught.value)) < 400


def test_labels_come_with_batches_of_any_kind(explainer):
    for given in (pairs(), Batches(), Loader()):
        stream, _ = labelled(given, None, explainer.view.takes, 2)
        np.testing.assert_array_equal(np.concatenate([own for _, own in stream]), Y)
    with pytest.raises(ValueError, match="no labels"):
        next(labelled(iter([X]), None, explainer.view.takes, 2)[0])


def test_a_last_axis_of_one_comes_and_goes_as_in_keras():
    with_axis = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
    without = keras.Sequential([keras.Input((8, 8)), layers.Flatten(), layers.Dense(2)])
    for model, shape in ((with_axis, (3, 8, 8, 1)), (without, (3, 8, 8))):
        for given in (X[:3, ..., :1], X[:3, ..., 0]):
            assert tfxai.Saliency(model)(given).values.shape == shape
    any_size = keras.Sequential([keras.Input((None, None, 1)), layers.GlobalAveragePooling2D(), layers.Dense(2)])
    with pytest.raises(ValueError, match="add the batch axis"):  # no eight images of 8 x 1 pixels
        tfxai.Saliency(any_size)(X[0, ..., :1])


class TestColumns:
    @pytest.mark.parametrize(
        "given",
        [
            lambda columns: columns,
            lambda columns: columns | {"PRICE": np.zeros(6)},
            lambda columns: {name: column.tolist() for name, column in columns.items()},
            lambda columns: list(columns.values()),
            Table,
            lambda columns: iter([Table(columns)]),
            lambda columns: tf.data.Dataset.from_tensor_slices((columns, np.zeros(6))).batch(4),
        ],
    )
    def test_columns_are_inputs(self, of_columns, given):
        found = of_columns.explain(given(COLUMNS), 0, verbose=0)
        for weight, (name, column) in enumerate(COLUMNS.items(), 1):
            np.testing.assert_allclose(found.values[name], weight * column[:, None], rtol=1e-4, atol=1e-6)

    def test_a_table_is_one_input_too(self):
        columns = COLUMNS | {"CHAS": COLUMNS["RM"] > 0}  # of several types
        found = tfxai.Saliency(keras.Sequential([keras.Input((4,)), layers.Dense(2)]))(Table(columns))
        np.testing.assert_allclose(found.inputs, np.stack(list(columns.values()), 1), rtol=1e-6)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (Table({"AGE": np.ones(6)}), r"\['TAX', 'AGE', 'RM'\], got \['AGE'\]"),
            (np.ones((6, 3)), r"\['TAX', 'AGE', 'RM'\], got an array of shape \(6, 3\)"),
            ([np.ones(6)] * 2, r"Expected 3 inputs .*, got a list of 2"),
        ],
    )
    def test_missing_columns(self, of_columns, given, message):
        with pytest.raises(ValueError, match=message):
            of_columns(given)

    def test_inputs_without_axes(self):
        scalar, vector = keras.Input((), name="scalar"), keras.Input((2,), name="vector")
        merged = layers.Concatenate()([ops.expand_dims(scalar, -1), vector])
        model = keras.Model({"scalar": scalar, "vector": vector}, layers.Dense(1)(merged))
        explainer = tfxai.IntegratedGradients(model, steps=5)
        for given in (np.ones(6), np.ones((6, 1))):
            found = explainer({"scalar": given, "vector": np.ones((6, 2))}, 0)
            assert found.values["scalar"].shape == (6,)


class TestDifferentSizes:
    @pytest.mark.parametrize(
        "given",
        [
            lambda: IMAGES,
            lambda: np.array(IMAGES, dtype=object),
            lambda: (image[None] for image in IMAGES),
            lambda: tf.ragged.stack(IMAGES),
            lambda: tf.data.Dataset.from_generator(
                lambda: iter(IMAGES), output_signature=tf.TensorSpec((None, None, 3))
            ).ragged_batch(3),
        ],
    )
    def test_each_is_explained_as_if_alone(self, any_size, given):
        found = any_size.explain(given(), [0, 1, 1, 0], verbose=0)
        assert len(found) == 4
        for image, target, one, values in zip(IMAGES, [0, 1, 1, 0], found, found.values, strict=True):
            expected = any_size(image[None], target)
            np.testing.assert_allclose(one.values, expected.values, rtol=1e-4, atol=1e-6)
            np.testing.assert_array_equal(values, one.values[0])
            np.testing.assert_allclose(one.score, expected.score, rtol=1e-5)

    def test_the_result_is_an_explanation(self, any_size, tmp_path):
        found = any_size.explain(IMAGES, verbose=0)
        assert isinstance(found, RaggedExplanation)
        assert [one.shape for one in found.heatmaps()] == SIZES
        assert [one.shape[:2] for one in found.inputs] == SIZES
        assert found[:2].values.shape == (2, 7, 10)
        assert len(found[1:]) == 3
        np.testing.assert_array_equal(found[-1].values, found[3].values)
        for images in (None, IMAGES):
            assert len(tfxai.plot_grid([found, found], images).axes) == 12
        found.save(tmp_path / "found")
        loaded = tfxai.Explanation.load(tmp_path / "found.npz")
        for ours, theirs in zip(loaded.heatmaps(), found.heatmaps(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert (loaded.facts, loaded.target.tolist()) == (found.facts, found.target.tolist())
        with pytest.raises(IndexError, match="4 explanations"):
            found[4]

    def test_inputs_beside_images_of_different_size(self):
        image, table = keras.Input((None, None, 3), name="image"), keras.Input((2,), name="table")
        merged = layers.Concatenate()([layers.GlobalAveragePooling2D()(image), table])
        explainer = tfxai.IntegratedGradients(keras.Model([image, table], layers.Dense(2)(merged)), steps=3)
        found = explainer.explain([IMAGES, np.ones((4, 2))], 1, verbose=0)
        assert [one.shape for one in found.values["image"]] == [(*size, 3) for size in SIZES]
        assert [one.shape for one in found.heatmaps(input="table")] == [(2,)] * 4
        np.testing.assert_allclose(np.stack(found.extras["completeness_gap"]), 0, atol=1e-5)

    def test_what_is_done_is_kept_whatever_its_size(self, any_size):
        with pytest.raises(ValueError, match="NaN") as caught:
            any_size.explain(iter([*(image[None] for image in IMAGES), IMAGES[0][None] * np.nan]), verbose=0)
        assert [one.shape for one in caught.value.partial.heatmaps()] == SIZES

    def test_what_is_done_is_kept_if_there_is_no_memory_to_join_it(self, explainer, monkeypatch):
        def full(*arrays, **options):
            raise MemoryError

        monkeypatch.setattr("tfxai.joining._concatenated", full)
        with pytest.raises(MemoryError) as caught:
            explainer.explain(X, batch_size=2, verbose=0)
        assert len(caught.value.partial) == 6

    def test_rows_are_counted_over_all_sizes(self, any_size):
        with pytest.raises(ValueError, match=r"in rows \[3\]"):
            any_size([*IMAGES[:3], IMAGES[3] * np.nan])


class Listed(keras.Model):
    """Takes a list of inputs."""

    def __init__(self):
        super().__init__()
        self.out = layers.Dense(2, name="out")

    def call(self, inputs):
        return self.out(ops.concatenate(inputs, -1))


class Named(Listed):
    def call(self, inputs):
        return self.out(ops.concatenate([inputs["input_a"], inputs["input_b"]], -1))


class OneByOne(Listed):
    def call(self, image, meta, training=False, mask=None):
        return self.out(ops.concatenate([image, meta], -1))


class TestSubclassesOfSeveralInputs:
    A, B = RANDOM.normal(size=(2, 3, 4))

    def check(self, model, *forms):
        """Values are the weights of the unit, however inputs are given."""
        for form in forms:
            values = list(tfxai.Saliency(model)(form, 1).values.values())
            np.testing.assert_allclose(np.concatenate(values, 1)[0], model.out.kernel.numpy()[:, 1], rtol=1e-5)

    @pytest.mark.parametrize("built", [False, True])
    def test_a_list(self, built):
        model = Listed()
        if built:
            model([self.A, self.B])
            assert tfxai.layers(model) == [("out", "Dense", (None, 2))]
            self.check(model, [self.A, self.B], (self.A, self.B))  # of one shape, and yet two inputs
        self.check(model, [self.A, self.B[:, :4]] if built else [self.A, self.B[:, :3]])

    @pytest.mark.parametrize("built", [False, True])
    def test_a_dict(self, built):
        model, given = Named(), {"input_a": self.A, "input_b": self.B}
        if built:
            model(given)
            assert tfxai.layers(model) == [("out", "Dense", (None, 2))]
        self.check(model, given)

    @pytest.mark.parametrize("built", [False, True])
    def test_arguments(self, built):
        model = OneByOne()
        if built:
            model(self.A, self.B)
        self.check(model, [self.A, self.B], {"meta": self.B, "image": self.A}, iter([((self.A, self.B),)]))
        assert tfxai.layers(model, inputs=[self.A, self.B]) == [("out", "Dense", (None, 2))]
        with pytest.raises(ValueError, match=r"Give a batch: tfxai.layers\(model, inputs=batch\)"):
            tfxai.layers(model)
        with pytest.raises(ValueError, match=r"expected a list or a dict with \['image', 'meta'\]"):
            tfxai.Saliency(model)(self.A)
        with pytest.raises(ValueError, match=r"\['image', 'meta'\], got \['image', 'meta', 'more'\]"):
            tfxai.Saliency(model)({"image": self.A, "meta": self.B, "more": self.B})

    def test_inputs_that_are_no_floats(self):
        class Gathers(keras.Model):
            def __init__(self):
                super().__init__()
                self.out = layers.Dense(2, name="out")

            def call(self, inputs):
                rows, index = inputs
                return self.out(tf.gather(rows, tf.cast(index, tf.int32) if index.dtype.is_integer else index))

        model, given = Gathers(), [self.A, np.array([2, 0, 1])]
        model(given)
        with pytest.raises(ValueError, match=r"types of the inputs .*Give a batch: tfxai.layers"):
            tfxai.layers(model)
        assert tfxai.layers(model, inputs=given)[0].name == "out"


def test_resampling_keeps_what_is_done_before_another_size(any_size):
    resampling = tfxai.InputResampling(any_size.view, layers=["conv"], samples=4)
    with pytest.raises(ValueError, match=r"one size.*\(14, 8, 3\) after the first 2") as caught:
        resampling(IMAGES, 0, verbose=0)
    assert len(caught.value.partial.score) == 2


def test_callbacks_take_a_batch_and_read_no_stream():
    with pytest.raises(TypeError, match="Expected a batch of images, got a dataset"):
        tfxai.callbacks.ExplanationCallback(itertools.cycle([X]))
