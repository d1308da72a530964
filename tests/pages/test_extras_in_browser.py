"""What a reader clicks in pages beside the controls: patches and words that attend, in a real browser."""

import keras
import numpy as np
import pytest

import tfxai
from tfxai.datasets import flowers

pytest_plugins = ("browser",)
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def told(text):
    return float(text.replace("\N{MINUS SIGN}", "-"))


@pytest.fixture(scope="module")
def attention():
    model = flowers.load_model(architecture="vit")
    images, _, _ = flowers.make(n=2)
    return tfxai.AttentionGradient(model, weight="attention")(images)


@pytest.fixture(scope="module")
def patches(attention, tmp_path_factory):
    path = tmp_path_factory.mktemp("attention") / "page.html"
    tfxai.page(attention, path=path)
    return path


@pytest.fixture(scope="module")
def sentence():
    words = keras.layers.TextVectorization(output_sequence_length=5)
    words.adapt(["a fine film", "no film at all"])
    keras.utils.set_random_seed(0)
    x = given = keras.Input((1,), dtype="string")
    x = keras.layers.Embedding(9, 8, keras.initializers.RandomNormal(stddev=1))(words(x))  # of attention that differs
    x = keras.layers.GlobalAveragePooling1D()(x + keras.layers.MultiHeadAttention(2, 4)(x, x))
    model = keras.Model(given, keras.layers.Dense(2)(x))
    return tfxai.AttentionGradient(model, weight="attention")(np.array(["no fine film"]))


def click(page, x, y):
    page.js(
        """const canvas = document.querySelectorAll('.frame canvas')[1], box = canvas.getBoundingClientRect();
        const at = { clientX: box.left + arguments[0] * box.width, clientY: box.top + arguments[1] * box.height };
        canvas.dispatchEvent(new MouseEvent('click', { ...at, bubbles: true }));
        canvas.dispatchEvent(new PointerEvent('pointermove', { ...at, bubbles: true }));""",
        x,
        y,
    )
    return page.settled()


def test_a_patch_shows_what_it_attends_to(page, patches, attention):
    page.open(patches, "#smooth=0")
    before = page.drawn()
    assert "click a patch" in page.texts(".chooser")[0]
    click(page, 0.25, 0.5)
    assert page.drawn() != before
    assert "from=" in page.hash()
    row, column = 7, 3  # of the patch, of 14 x 14
    expected = float(attention.extras["between"][0, row, column, row, column])
    assert told(page.texts(".value")[1]) == pytest.approx(expected, abs=0.02 * float(attention.extras["between"].max()))
    own = attention.values[0, row, column]
    assert abs(expected - own) > 1e-4
    assert not page.js("return document.querySelector('.looks').hidden")
    after = page.drawn()
    assert page.open(patches, page.hash()).drawn() == after
    click(page, 0.8, 0.2)
    assert page.drawn() != after
    page.click(".back")
    assert page.drawn() == before
    assert page.texts(".chooser .back") == ["show all"]
    assert page.js("return document.querySelector('.back').hidden")


def test_a_patch_by_keys(page, patches):
    page.open(patches)
    before = page.drawn()
    page.js("document.querySelectorAll('.frame canvas')[1].focus()")
    page.press("\ue014", "\ue007")  # right, Enter
    assert "from=0.52" in page.hash()
    assert page.drawn() != before
    page.press("\ue00c")
    assert page.hash() == ""
    assert page.js("return document.querySelector('.looks').hidden")


def test_a_word_shows_what_it_attends_to(page, sentence, tmp_path):
    tfxai.page(sentence, path=tmp_path / "text.html")
    before = page.open(tmp_path / "text.html").drawn()
    assert "click a word" in page.texts(".chooser")[0]
    for number in (0, 2):
        page.js("document.querySelectorAll('.word')[arguments[0]].click()", number)
        shown = [
            told(one) for one in page.settled().js("return [...document.querySelectorAll('.word')].map((x) => x.title)")
        ]
        np.testing.assert_allclose(shown, sentence.extras["between"][0, number, :3], rtol=0.006, atol=1e-4)
        assert page.drawn() != before
        assert page.hash() == f"#from={number}"
    assert page.js("return document.querySelectorAll('.word.chosen').length") == 1
    page.js("document.querySelector('.text').focus()")
    page.press("\ue014", "\ue007")
    assert page.hash() == "#from=0"
    page.click(".reset")
    assert page.drawn() == before


def test_pages_without_attention_ask_for_nothing(page, tmp_path):
    images, _, _ = flowers.make(n=1)
    tfxai.page(tfxai.Saliency(flowers.load_model())(images), path=tmp_path / "page.html")
    before = page.open(tmp_path / "page.html").drawn()
    click(page, 0.25, 0.5)
    assert page.hash() == ""
    assert page.js("return document.querySelectorAll('.chooser').length") == 0
    page.js("document.querySelector('.frame canvas').dispatchEvent(new PointerEvent('pointerleave'))")
    assert page.drawn() == before
