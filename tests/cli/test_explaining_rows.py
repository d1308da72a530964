"""Texts and tables on the command line: what is printed, drawn and kept is what Python gives."""

import csv
import io
import re

import cv2
import keras
import numpy as np
import pytest
from explored import items
from keras import layers

import tfxai
from tfxai.cli import main

TEXTS = ["a fine film", "a dull and poor film", "fine"]
HEADER = ["age", "red", "blue", "label"]
ROWS = np.random.default_rng(0).normal(size=(5, 4)).round(3)
WORDS = """
import numpy as np

def numbers(texts):
    return np.array([[len(word) for word in text.split()[:2]] + [0] * (2 - len(text.split()[:2])) for text in texts])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of texts, one of their integers, one of a table, and what these explain."""
    folder = tmp_path_factory.mktemp("rows")
    keras.utils.set_random_seed(0)
    words = layers.TextVectorization(output_sequence_length=6)
    words.adapt(TEXTS)
    body = [layers.Embedding(12, 4, mask_zero=True), layers.GlobalAveragePooling1D(), layers.Dense(2)]
    keras.Sequential([keras.Input((), dtype="string"), words, *body]).save(folder / "texts.keras")
    ids = keras.Sequential(
        [keras.Input((2,), dtype="int32"), layers.Embedding(9, 3), layers.Flatten(), layers.Dense(2)]
    )
    ids.save(folder / "integers.keras")
    table = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(2)])
    table.save(folder / "table.keras")
    (folder / "texts.txt").write_text("\n\n".join(TEXTS) + "\n")
    (folder / "names.txt").write_text("bad\ngood\n")
    (folder / "my_words.py").write_text(WORDS)
    with (folder / "rows.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([HEADER, *ROWS.tolist()])
    return folder


def explain(folder, model, *more):
    return main(["explain", str(folder / model), *map(str, more)])


def read(file):
    with file.open(newline="") as lines:
        return list(csv.reader(lines))


def test_words_are_printed_with_their_values(folder, tmp_path, capsys):
    options = ["--output", tmp_path, "--classes", folder / "names.txt", "--target", "good", "--batch-size", 2]
    assert explain(folder, "texts.keras", "--text", folder / "texts.txt", *options) == 0
    printed = capsys.readouterr().out
    model = keras.models.load_model(folder / "texts.keras")
    expected = tfxai.IntegratedGradients(model, classes=["bad", "good"])(TEXTS, "good")
    for number, text in enumerate(TEXTS):
        told = "  ".join(f"{word} {value:+.3g}" for word, value in expected.words(number))
        assert f"\n{text}\n" in printed
        assert f"integrated_gradients, for good:\n    {told}\n" in printed
    chances = keras.ops.softmax(model(np.array(TEXTS))).numpy()[0]
    best = int(chances.argmax())
    assert re.findall(r"([\d.]+)%  (.+)", printed)[0] == (f"{chances[best]:.2%}"[:-1], ["bad", "good"][best])
    loaded = tfxai.Explanation.load(tmp_path / "integrated_gradients.npz")
    np.testing.assert_allclose(loaded.values, expected.values, atol=1e-6)
    assert loaded.texts == tuple(TEXTS)
    assert {file.name for file in tmp_path.iterdir()} == {
        "integrated_gradients.npz",
        *(f"text-{number}.png" for number in (1, 2, 3)),
    }
    assert cv2.imread(str(tmp_path / "text-2.png")).std() > 5


def test_texts_come_from_the_standard_input_and_go_to_a_page(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("a <b>fine</b> film\n"))
    methods = ["--method", "saliency", "occlusion:window=1,fill=1"]
    assert explain(folder, "texts.keras", "--text", "-", "--html", "--output", tmp_path, *methods) == 0
    assert "occlusion:window=1,fill=1, for class" in capsys.readouterr().out
    page = (tmp_path / "explanations.html").read_text()
    assert "<b>fine" not in page
    (item,) = items(page)
    assert item["name"] == "a <b>fine</b> film"
    assert [one["method"] for one in item["entries"]] == ["saliency", "occlusion:window=1,fill=1"]
    assert [[word for word, _ in one["told"]] for one in item["entries"]] == [["a", "[UNK]", "film"]] * 2
    assert item["entries"][0]["probability"] is None  # without names of classes these are numbers


def test_a_preprocessor_of_ones_own(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    options = ["--text", "texts.txt", "--output", tmp_path, "--method", "gradient_x_input", "--target", 1]
    assert explain(folder, "integers.keras", *options) == 2
    assert "--preprocessor MODULE:NAME" in capsys.readouterr().err
    assert explain(folder, "integers.keras", *options, "--preprocessor", "my_words:numbers") == 0
    loaded = tfxai.Explanation.load(tmp_path / "gradient_x_input.npz")
    np.testing.assert_array_equal(loaded.inputs, [[1, 4], [1, 4], [4, 0]])


def test_rows_of_a_table_are_told_by_the_names_of_columns(folder, tmp_path, capsys):
    given = ["--table", folder / "rows.csv", "--without", "label", "--groups", "colour=red,blue", "--target", 1]
    methods = ["--method", "occlusion", "saliency", "--batch-size", 2, "--html"]
    assert explain(folder, "table.keras", *given, "--output", tmp_path, *methods) == 0
    printed = capsys.readouterr().out
    model = keras.models.load_model(folder / "table.keras")
    expected = tfxai.Occlusion(model, groups=[[1, 2]])(ROWS[:, :3], 1)
    table = tfxai.tables.Table(expected, HEADER[:3], {"colour": [1, 2]})
    for row in range(5):
        told = "  ".join(f"{name} {value:+.3g}" for name, value in table.told(row))
        assert f"  occlusion, for class 1:\n    {told}\n" in printed.split(f"\nrow {row}\n")[1]
    header, *lines = read(tmp_path / "occlusion.csv")
    assert header == ["explained", "score", "age", "colour"]
    np.testing.assert_allclose(np.array(lines)[:, 2:].astype(float), table.values, atol=1e-5)
    names = {
        f"{method}{end}" for method in ("occlusion", "saliency") for end in (".npz", ".csv", "-rows.png", "-all.png")
    }
    assert {file.name for file in tmp_path.iterdir()} == names | {"explanations.html"}
    page = items((tmp_path / "explanations.html").read_text())
    assert [one["name"] for one in page] == [f"row {row}" for row in range(5)]
    assert {entry["kind"] for one in page for entry in one["entries"]} == {"bars"}


def test_columns_go_to_inputs_of_their_name(folder, tmp_path):
    inputs = {name: keras.Input((1,), name=name) for name in ("blue", "age")}
    total = layers.Dense(1, use_bias=False)(layers.Concatenate()([inputs["blue"], inputs["age"]]))
    model = keras.Model(inputs, total)
    model.layers[-1].kernel.assign([[2.0], [3.0]])
    model.save(folder / "named.keras")
    given = ["--table", folder / "rows.csv", "--method", "saliency", "--output", tmp_path]
    assert explain(folder, "named.keras", *given) == 0
    assert read(tmp_path / "saliency.csv")[:2][0] == ["explained", "score", "blue", "age"]
    np.testing.assert_allclose(float(read(tmp_path / "saliency.csv")[1][1]), ROWS[0] @ [3, 0, 2, 0], rtol=1e-4)


def test_columns_of_strings_go_to_models_that_take_them(folder, tmp_path, capsys):
    colour, age = keras.Input((1,), dtype="string", name="colour"), keras.Input((1,), name="age")
    one_hot = layers.StringLookup(vocabulary=["red", "blue"], output_mode="one_hot")(colour)
    dense = layers.Dense(1, use_bias=False)
    model = keras.Model({"colour": colour, "age": age}, dense(layers.Concatenate()([one_hot, age])))
    dense.kernel.assign([[0.0], [3.0], [-2.0], [0.1]])
    model.save(folder / "strings.keras")
    (folder / "strings.csv").write_text("age,colour\n10,blue\n20,red\n")
    given = ["--table", folder / "strings.csv", "--output", tmp_path]
    assert explain(folder, "strings.keras", *given) == 0
    printed = capsys.readouterr().out
    assert "colour = blue -2  age = 10 +1" in printed
    assert "colour = red +3  age = 20 +2" in printed
    assert set(read(tmp_path / "integrated_gradients.csv")[0]) == {"explained", "score", "colour", "age"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", "missing.txt"], "There is no file 'missing.txt' with texts"),
        (["--text", "empty.txt"], "There are no texts in 'empty.txt'"),
        (["--text", "empty.txt", "--table", "rows.csv"], "Expected one of these: image files, --text FILE, or --table"),
        (["rows.csv", "--table", "rows.csv"], "Expected one of these"),
        (["--text", "texts.txt", "--preprocessor", "my_words:none"], "Expected --preprocessor as MODULE:NAME"),
        (["--table", "missing.csv"], "There is no file 'missing.csv' with a table"),
        (["--table", "empty.txt"], "Expected a line with the names of columns and rows below it"),
        (["--table", "uneven.csv"], "Expected 2 columns in each row of 'uneven.csv', got 1 in row 3"),
        (["--table", "twice.csv"], "got ['a'] more than once"),
        (["--table", "words.csv"], "Expected numbers in the column 'b' of 'words.csv'"),
        (["--table", "rows.csv"], "The model takes 3 columns, and 'rows.csv' has 4"),
        (["--table", "rows.csv", "--without", "colour"], "Expected --without to name columns of 'rows.csv'"),
        (["--table", "rows.csv", "--without", "age", "--groups", "colour"], "Expected --groups as NAME=COLUMN,COLUMN"),
        (["--table", "rows.csv", "--without", "age", "--groups", "colour=age"], "'age', which is not a column"),
        (["--table", "rows.csv", "--without", "age", "--method", "grad_cam"], "Use a method that needs no layer"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(folder, capsys, monkeypatch, options, message):
    monkeypatch.chdir(folder)
    (folder / "empty.txt").write_text("\n")
    (folder / "uneven.csv").write_text("a,b\n1,2\n3\n")
    (folder / "twice.csv").write_text("a,a,c\n1,2,3\n")
    (folder / "words.csv").write_text("a,b,c\n1,red,3\n")
    assert explain(folder, "table.keras", *options, "--output", "none") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "none").exists()


def test_what_is_done_is_kept_if_it_ends_early(folder, tmp_path, monkeypatch):
    explained = tfxai.Saliency.explain

    def interrupted(self, inputs, *args):
        if list(inputs) == TEXTS[2:]:
            raise KeyboardInterrupt
        return explained(self, inputs, *args)

    monkeypatch.setattr(tfxai.Saliency, "explain", interrupted)
    options = ["--method", "saliency", "--batch-size", 2, "--output", tmp_path]
    assert explain(folder, "texts.keras", "--text", folder / "texts.txt", *options) == 130
    assert tfxai.Explanation.load(tmp_path / "saliency.npz").texts == tuple(TEXTS[:2])


def test_a_page_of_a_name_of_ones_own(folder, tmp_path, capsys):
    given = ["--table", folder / "rows.csv", "--without", "label", "--method", "saliency", "--output", tmp_path / "out"]
    assert explain(folder, "table.keras", *given, "--html", tmp_path / "deep" / "my.html") == 0
    assert len(items((tmp_path / "deep" / "my.html").read_text())) == 5
    assert str(tmp_path / "deep" / "my.html") in capsys.readouterr().out
    with pytest.raises(SystemExit):
        explain(folder, "table.keras", *given, "--html", "cat.jpg")
    assert "ends in .html, got 'cat.jpg'" in capsys.readouterr().err


def test_a_table_from_the_standard_input(folder, tmp_path, monkeypatch):
    options = ["--without", "label", "--method", "occlusion", "--output"]
    monkeypatch.setattr("sys.stdin", io.StringIO((folder / "rows.csv").read_text()))
    assert explain(folder, "table.keras", "--table", "-", *options, tmp_path / "piped") == 0
    assert explain(folder, "table.keras", "--table", folder / "rows.csv", *options, tmp_path / "read") == 0
    assert read(tmp_path / "piped" / "occlusion.csv") == read(tmp_path / "read" / "occlusion.csv")
