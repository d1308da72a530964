"""Texts: strings on the way to a model, words put together from pieces, and their pictures."""

import functools
import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.text import strings
from tfxai.text_pictures import MARGIN, WIDTH

TEXTS = ["a fine film", "a dull and poor film", "fine"]


@functools.cache
def vectorization():
    found = layers.TextVectorization(output_sequence_length=6)
    found.adapt(TEXTS)
    return found


def rest():
    return [layers.Embedding(12, 4, mask_zero=True), layers.GlobalAveragePooling1D(), layers.Dense(3)]


@functools.cache
def whole():
    """From strings to classes."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((), dtype="string"), vectorization(), *rest()])


@functools.cache
def classifier():
    """The same without its first layer."""
    ids = keras.Input((6,), dtype="int64")
    x = ids
    for layer in whole().layers[1:]:
        x = layer(x)
    return keras.Model(ids, x)


@functools.cache
def explainer():
    return tfxai.GradientXInput(whole())


@functools.cache
def explained():
    return explainer()(TEXTS, 1)


def functional():
    text = keras.Input((1,), dtype="string")
    x = vectorization()(text)
    for layer in whole().layers[1:]:
        x = layer(x)
    return keras.Model(text, x)


def unbuilt():
    return keras.Sequential(whole().layers)


class Task(keras.Model):
    """As KerasHub has them: a preprocessor of its own, which gives a tuple."""

    def __init__(self):
        super().__init__()
        self.inner = classifier()
        self.preprocessor = lambda texts: (vectorization()(texts),)

    def call(self, ids):
        return self.inner(ids)


@pytest.mark.parametrize("make", [whole, functional, unbuilt, Task])
def test_strings_are_what_their_integers_are(make):
    ids = vectorization()(TEXTS).numpy()
    found = tfxai.GradientXInput(make())(TEXTS, 1)
    np.testing.assert_allclose(found.values, tfxai.GradientXInput(classifier())(ids, 1).values, atol=1e-6)
    assert found.texts == tuple(TEXTS)


@pytest.mark.parametrize(
    "given",
    [
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        tf.constant(TEXTS)[:, None],
        [text.encode() for text in TEXTS],
        tf.data.Dataset.from_tensor_slices(TEXTS).batch(2),
        tf.data.Dataset.from_tensor_slices((TEXTS, [0, 1, 0])).batch(2),
    ],
)
def test_strings_come_in_many_forms(given):
    found = explainer()(given, 1, verbose=0)
    np.testing.assert_allclose(found.tokens(), explained().tokens(), atol=1e-6)
    assert found.texts == tuple(TEXTS)
    assert [word for word, _ in found.words(1)] == TEXTS[1].split()


def test_a_preprocessor_is_an_option_of_every_method():
    options = {"preprocessor": vectorization(), "target": 1}
    for method in ("occlusion:window=1,fill=1", "rise:masks=2,fill=1", "smooth_grad(saliency):samples=2", "lrp"):
        found = tfxai.explain(classifier(), TEXTS, method, **options)
        assert found.texts == tuple(TEXTS)
        assert [word for word, _ in found.words(0)] == TEXTS[0].split()
    assert json.dumps(found.facts)


def test_words_have_the_values_of_their_tokens():
    found = explained()
    assert [word for word, _ in found.words(0)] == TEXTS[0].split()
    assert [value for _, value in found.words(0)] == found.tokens()[0, :3].tolist()
    assert not found.tokens()[0, 3:].any()


def test_several_classes_of_each_text():
    found = tfxai.GradientXInput(whole())(TEXTS, [[0, 1]] * 3, batch_size=4, verbose=0)
    assert found.texts == tuple(np.repeat(TEXTS, 2))
    assert found.words(3) == [(word, pytest.approx(x, abs=1e-6)) for word, x in explained().words(1)]


class Tokenizer:
    """Words by a list, as tokenizers of several makes have them."""

    pad_token_id = 0

    def __init__(self, *tokens):
        self.tokens = ["<pad>", *tokens]

    def id_to_token(self, number):
        return self.tokens[number]


class Preprocessor:
    def __init__(self, *tokens):
        self.tokenizer, self.ids = Tokenizer(*tokens), [*range(1, 1 + len(tokens)), 0]

    def __call__(self, texts):
        return tf.constant([self.ids] * len(texts))


PIECES = {
    "word_piece": (("[CLS]", "un", "##lov", "##able", "film", "[SEP]"), ["[CLS]", "unlovable", "film", "[SEP]"]),
    "sentence_piece": (("<s>", "▁un", "lov", "able", "▁film", "</s>"), ["<s>", "unlovable", "film", "</s>"]),
    "bytes": (("un", "lov", "able", "ĠfÃ", "©", "<|end|>"), ["unlovable", "fé", "<|end|>"]),
    "lines": (("Ġun", "lov", "Ċ", "fil", "m", "Ġ##"), ["unlov", "film", "##"]),
    "words": (("an", "other", "film"), ["an", "other", "film"]),
}


@pytest.mark.parametrize("make", PIECES)
def test_words_are_put_together(make):
    tokens, expected = PIECES[make]
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((len(tokens) + 1,), dtype="int32"), *rest()])
    found = tfxai.GradientXInput(model, preprocessor=Preprocessor(*tokens))(["..."], 1)
    assert [word for word, _ in found.words(0)] == expected
    assert sum(value for _, value in found.words(0)) == pytest.approx(found.tokens().sum(), abs=1e-6)
    pieces = found.words(0, whole=False)
    assert [value for _, value in pieces] == pytest.approx(found.tokens()[0, :-1].tolist())
    if make == "word_piece":
        assert [piece for piece, _ in pieces] == ["[CLS]", "un", "lov", "able", "film", "[SEP]"]


def test_a_mask_tells_of_padding():
    ids, mask = keras.Input((3,), dtype="int32", name="token_ids"), keras.Input((3,), dtype="bool", name="padding_mask")
    x = layers.Embedding(9, 3)(ids) * keras.ops.cast(mask, "float32")[..., None]
    model = keras.Model({"token_ids": ids, "padding_mask": mask}, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))

    def preprocessor(texts):
        return {"token_ids": np.array([[1, 2, 1]]), "padding_mask": np.array([[True, True, False]])}

    preprocessor.tokenizer = Tokenizer("fine", "film")
    found = tfxai.Saliency(model, preprocessor=preprocessor)(["fine film"], 0)
    assert [word for word, _ in found.words(0)] == ["fine", "film"]


def test_parts_joins_and_files_keep_words(tmp_path):
    found = explained()
    assert (found[1].texts, found[1:].texts) == ((TEXTS[1],), tuple(TEXTS[1:]))
    assert found[1].words(0) == found.words(1)
    found.save(tmp_path / "one")
    again = tfxai.Explanation.load(tmp_path / "one.npz")
    assert (again.texts, again.pieces) == (found.texts, found.pieces)
    assert again.words(1) == found.words(1)


def test_batches_of_texts_of_different_length(tmp_path):
    longest = layers.TextVectorization(vocabulary=vectorization().get_vocabulary()[2:])
    model = keras.Sequential([longest, *whole().layers[1:]])
    found = tfxai.GradientXInput(model)(tf.data.Dataset.from_tensor_slices(TEXTS).batch(1), 1, verbose=0)
    assert found.texts == tuple(TEXTS)
    assert [len(found.words(number)) for number in range(3)] == [3, 5, 1]
    assert found.words(1) == [(word, pytest.approx(x, abs=1e-6)) for word, x in explained().words(1)]
    assert "dull" in found._repr_html_()
    found.save(tmp_path / "ragged")
    assert tfxai.Explanation.load(tmp_path / "ragged.npz").words(1) == found.words(1)


def test_integers_are_words_where_nobody_tells():
    ids = np.array([[3, 5, 0, 0], [2, 0, 4, 1]])
    found = tfxai.GradientXInput(keras.Sequential([keras.Input((4,), dtype="int32"), *rest()]))(ids, 0)
    assert [[word for word, _ in found.words(number)] for number in (0, 1)] == [["3", "5"], ["2", "0", "4", "1"]]
    assert found.texts is None
    assert ">5</span>" in found._repr_html_()


def test_errors_of_strings():
    with pytest.raises(TypeError, match=r"got an array of type <U11. Strings need preprocessor="):
        tfxai.Saliency(classifier())(TEXTS[:1])
    with pytest.raises(TypeError, match=r"Expected a list of strings, got one string. Give \[text\]."):
        tfxai.Saliency(whole())(TEXTS[0])
    with pytest.raises(TypeError, match="preprocessor to be a function"):
        tfxai.Saliency(classifier(), preprocessor="words")
    with pytest.raises(ValueError, match="to make 3 rows from as many strings, got 2"):
        tfxai.Saliency(classifier(), preprocessor=lambda texts: vectorization()(texts[1:]))(TEXTS)
    text = keras.Input((1,), dtype="string")
    joined = layers.Lambda(tf.strings.lower, output_shape=(1,), dtype="string")(text)
    other = keras.Model(text, layers.StringLookup(vocabulary=["a"], output_mode="one_hot")(joined))
    with pytest.raises(TypeError, match=r"takes strings.*preprocessor= may be what makes"):
        tfxai.Saliency(other)(TEXTS)


def test_what_is_no_batch_of_strings():
    for other in ([], [1, "a"], np.zeros(3), [["a", "b"]], np.array([["a", "b"]]), None):
        assert strings(other) is None


def test_images_have_no_words(residual, x):
    found = tfxai.Saliency(residual)(x[:1])
    assert "<span" not in found._repr_html_()  # but a picture
    with pytest.raises(ValueError, match="Expected values of a sequence"):
        found.words(0)


# ---- pictures


def test_html_escapes_texts():
    model = keras.Sequential([keras.Input((4,), dtype="int32"), *rest()])
    preprocessor = Preprocessor("<script>", 'a"b', "&amp;")
    found = tfxai.Saliency(model, preprocessor=preprocessor, classes=["<b>", "c", "d"])(["..."], 0)
    shown = found._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "&amp;amp;" in shown
    assert "a&quot;b" in shown
    assert "saliency: &lt;b&gt;, " in shown
    assert shown.count('title="') == 3


def test_html_has_values_and_colours():
    shown = explained()._repr_html_()
    assert all(f">{word}</span>" in shown for word in TEXTS[1].split())
    assert f'title="{explained().words(0)[1][1]:+.4g}"' in shown


def boxes(figure):
    """Where letters and their backgrounds stand, in inches."""
    (page,) = figure.axes
    renderer = figure.canvas.get_renderer()
    letters = [one.get_window_extent(renderer).transformed(page.transData.inverted()) for one in page.texts]
    return letters, [one.get_bbox() for one in page.patches]


def test_a_figure_has_a_paragraph_for_each_text():
    figure = explained().plot()
    words = [one.get_text() for one in figure.axes[0].texts]
    assert words[:4] == [f"gradient_x_input: class 1, score {explained().score[0]:.3g}", *TEXTS[0].split()]
    assert words[-2:] == ["against", "for"]
    two = tfxai.plot_grid({"one": explained(), "two": explained()}, cmap="PiYG")
    assert len(two.axes[0].patches) == 2 * (len(figure.axes[0].patches) - 2) + 2
    with pytest.raises(ValueError, match="Expected no images="):
        explained().plot(polarity="positive")


def test_long_texts_are_wrapped():
    ids = np.arange(1, 81)[None]
    tokens = [f"word{number}" for number in range(79)] + ["$long_" * 40]
    preprocessor = Preprocessor(*tokens)
    preprocessor.ids = ids[0].tolist()
    model = keras.Sequential(
        [keras.Input((80,), dtype="int32"), layers.Embedding(82, 2), layers.Flatten(), layers.Dense(2)]
    )
    letters, backgrounds = boxes(tfxai.GradientXInput(model, preprocessor=preprocessor)(["..."], 0).plot())
    assert max(box.x1 for box in letters) < WIDTH - MARGIN / 2
    assert len({box.y0 for box in backgrounds}) > 8
    for one, other in itertools.pairwise(backgrounds):
        assert other.x0 > one.x1 or other.y0 > one.y1
    for box, ground in zip(letters[1:], backgrounds, strict=True):
        assert ground.x0 <= box.x0
        assert box.x1 <= ground.x1 + 0.02


@pytest.mark.parametrize("give", [str, str.encode, tf.constant, lambda text: [text]])
def test_tokenizers_that_only_detokenize(give):
    """As those that leave the pieces open, whatever they give a text as."""

    class Detokenizer:
        def id_to_token(self, number):
            raise NotImplementedError

        def detokenize(self, ids):
            return give(" ".join(vectorization().get_vocabulary()[one] for one in ids))

    def preprocessor(texts):
        return vectorization()(texts)

    preprocessor.tokenizer = Detokenizer()
    found = tfxai.GradientXInput(classifier(), preprocessor=preprocessor)(TEXTS[:1], 1)
    assert [word for word, _ in found.words(0)][:3] == TEXTS[0].split()
