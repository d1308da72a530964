"""Models with strings in front of a table: explained behind the layers that make categories, by names of columns."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.models.categories import apart
from tfxai.tables import Table

RNG = np.random.default_rng(0)
COLOURS = np.array(["red", "green", "blue"])
N = 64
DATA = {
    "colour": COLOURS[RNG.integers(0, 3, N)],
    "shop": np.array(["north", "south"])[RNG.integers(0, 2, N)],
    "age": RNG.normal(40, 10, N).astype("float32"),
    "rooms": RNG.integers(1, 5, N),
}


@functools.cache
def space():
    features = {"colour": "string_categorical", "shop": "string_hashed", "age": "float_normalized"}
    features["shop"] = keras.utils.FeatureSpace.string_hashed(num_bins=4)
    features["rooms"] = "integer_categorical"
    crosses = [keras.utils.FeatureSpace.cross(("colour", "rooms"), crossing_dim=5)]
    made = keras.utils.FeatureSpace(features, crosses=crosses, output_mode="concat")
    made.adapt(tf.data.Dataset.from_tensor_slices(DATA).batch(16))
    return made


@functools.cache
def of_feature_space():
    """The colour decides nearly alone: its columns have the large weights."""
    encoded = space().get_encoded_features()
    dense = layers.Dense(1)
    model = keras.Model(dict(space().get_inputs()), dense(encoded))
    kernel = RNG.normal(size=dense.kernel.shape) * 0.01
    assert sorted(space().features) == ["age", "colour", "rooms", "shop"]
    kernel[1:5] = [[0], [3], [-2], [1]]  # behind the age: unknown, and three colours
    dense.kernel.assign(kernel)
    return model


@functools.cache
def of_lookups():
    """A category in columns, one that is embedded, a number that is normalized."""
    keras.utils.set_random_seed(0)
    colour, shop = (keras.Input((1,), dtype="string", name=name) for name in ("colour", "shop"))
    age = keras.Input((1,), name="age")
    one_hot = layers.StringLookup(vocabulary=COLOURS.tolist(), output_mode="one_hot")(colour)
    number = layers.StringLookup(vocabulary=["north", "south"])(shop)
    embedded = layers.Flatten()(layers.Embedding(3, 2)(number))
    normalized = layers.Normalization(mean=40, variance=100)(age)
    hidden = layers.Dense(4, activation="tanh")(layers.Concatenate()([one_hot, embedded, normalized]))
    return keras.Model({"colour": colour, "shop": shop, "age": age}, layers.Dense(2)(hidden))


def rows(n=4, names=("colour", "shop", "age")):
    return {name: DATA[name][:n] for name in names}


def predicted(model, data):
    return model({name: tf.constant(data[name])[:, None] for name in model.input}).numpy()


def test_scores_are_those_of_the_whole_model():
    model = of_lookups()
    found = tfxai.IntegratedGradients(model)(rows(), 1)
    np.testing.assert_allclose(found.score, predicted(model, rows())[:, 1], rtol=1e-5)
    whole = of_feature_space()
    found = tfxai.Saliency(whole)({name: x[:5] for name, x in DATA.items()}, verbose=0)
    np.testing.assert_allclose(
        found.score, predicted(whole, {name: x[:5] for name, x in DATA.items()})[:, 0], rtol=1e-5
    )


def test_the_column_that_decides_comes_out_on_top():
    data = {name: x[:40] for name, x in DATA.items()}
    found = tfxai.IntegratedGradients(of_feature_space())(data)
    table = Table(found)
    assert table.summary().features[0] == "colour"
    assert set(table.features) == {"age", "colour", "rooms", "shop", "colour x rooms"}
    column = table.values[:, table.features.index("colour")]
    kernel = of_feature_space().layers[-1].kernel.numpy()[:, 0]
    vocabulary = space().preprocessors["colour"].get_vocabulary()
    weights = {word: kernel[1 + number] for number, word in enumerate(vocabulary)}
    np.testing.assert_allclose(column, [weights[word] for word in data["colour"]], rtol=1e-4)
    names = [name for name, _ in table.told(0)]
    assert f"colour = {data['colour'][0]}" in names
    assert f"rooms = {data['rooms'][0]}" in names


def test_embedded_categories_are_told_by_their_words():
    found = tfxai.GradientXInput(of_lookups())(rows(), 1)
    table = Table(found)
    assert table.features == ("colour", "shop", "age")
    told = dict(table.told(1))
    assert f"shop = {DATA['shop'][1]}" in told
    assert table.values[1, 1] == pytest.approx(found.values["shop"][1].sum())
    assert [label.get_text() for label in found.plot(rows=0).axes[0].get_yticklabels()]


def test_names_of_columns_survive_a_file(tmp_path):
    found = tfxai.Saliency(of_lookups())(rows(), 1)
    found.save(tmp_path / "a.npz")
    again = Table(tfxai.Explanation.load(tmp_path / "a.npz"))
    assert again.told(0) == Table(found).told(0)


@pytest.mark.parametrize("form", ["table", "dataset", "columns", "encoded", "list"])
def test_rows_come_in_many_forms(form):
    expected = tfxai.Saliency(of_lookups())(rows(), 1)
    frame = type("Frame", (), {"columns": list(rows()), "__getitem__": lambda self, name: rows()[name]})()
    given = {
        "table": frame,
        "dataset": tf.data.Dataset.from_tensor_slices(rows()).batch(3),
        "columns": {name: x[:, None] for name, x in rows().items()},
        "encoded": expected.inputs,
        "list": list(rows().values()),
    }[form]
    found = tfxai.Saliency(of_lookups())(given, 1, verbose=0)
    for name, values in expected.values.items():
        np.testing.assert_allclose(found.values[name], values, rtol=1e-5)


def test_gradients_are_those_of_the_rest():
    """By the tape, of the same layers on one-hot columns."""
    model = of_lookups()
    embedding, hidden, last = (layer for layer in model.layers if layer.weights and "normal" not in layer.name)
    colour = tf.one_hot([1 + COLOURS.tolist().index(one) for one in DATA["colour"][:4]], 4)
    shop = embedding(tf.constant([1 + (one == "south") for one in DATA["shop"][:4]]))
    age = tf.constant(DATA["age"][:4, None])
    with tf.GradientTape() as tape:
        tape.watch([colour, shop, age])
        score = last(hidden(tf.concat([colour, shop, (age - 40) / 10], 1)))[:, 1]
    found = tfxai.GradientXInput(model)(rows(), 1)
    for name, x, gradient in zip(
        found.values, (colour, shop, age), tape.gradient(score, [colour, shop, age]), strict=True
    ):
        np.testing.assert_allclose(found.values[name].reshape(x.shape), gradient * x, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"colour": ["red"], "age": [1.0]}, r"\['shop'\] are missing in \['colour', 'age'\]"),
        ({"colour": ["red"], "shop": [None], "age": [1.0]}, "Expected strings in the column 'shop', got None"),
        ({"colour": ["red"], "shop": ["north"], "age": ["old"]}, "Expected numbers in the column 'age'"),
        (np.zeros((2, 3)), "Expected a dict or a table with \\['colour', 'shop', 'age'\\], got ndarray"),
    ],
)
def test_what_is_wrong_is_told(data, message):
    with pytest.raises(ValueError, match=message):
        tfxai.Saliency(of_lookups())(data, 1)


def test_strings_that_go_elsewhere_stay_an_error():
    text = keras.Input((1,), dtype="string")
    length = layers.Lambda(lambda x: tf.cast(tf.strings.length(x), tf.float32), output_shape=(1,))(text)
    model = keras.Model(text, layers.Dense(1)(length))
    assert apart(model) == (model, None)
    with pytest.raises(TypeError, match="takes strings as input"):
        tfxai.Saliency(model)(np.array([["a"]]))


def test_models_of_numbers_stay_as_they_are():
    ids = keras.Input((1,), dtype="int64")
    model = keras.Model(ids, layers.Dense(1)(layers.IntegerLookup(vocabulary=[1, 2], output_mode="one_hot")(ids)))
    assert apart(model) == (model, None)


def test_a_sequential_model_of_one_column_of_strings():
    lookup = layers.StringLookup(vocabulary=["red", "blue"], output_mode="one_hot")
    model = keras.Sequential([keras.Input((1,), dtype="string"), lookup, layers.Dense(2)])
    colours = np.array([["red"], ["blue"], ["green"]])
    found = tfxai.GradientXInput(model)(colours, 1)
    kernel = model.layers[-1].kernel.numpy()[:, 1]
    np.testing.assert_allclose(found.values, np.eye(3)[[1, 2, 0]] * kernel, rtol=1e-6)
    np.testing.assert_allclose(found.score, model(tf.constant(colours)).numpy()[:, 1], rtol=1e-5)
