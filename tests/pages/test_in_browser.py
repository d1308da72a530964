"""Pages in a real browser, opened from disk: what is drawn, and how it answers."""

import re
import time

import keras
import numpy as np
import pytest

import tfxai
from tfxai.datasets import flowers

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
NASTY = "<img src=x onerror=alert(1)></script><script>alert(2)</script>'\"&"
SETTINGS = {
    "opacity": "90",
    "threshold": "50",
    "hide": "30",
    "zoom": "3",
    "signs": "against",
    "palette": "magma, brown to teal",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pages of images, a text and a table."""
    folder = tmp_path_factory.mktemp("pages")
    images, _, _ = flowers.make(n=3)
    model, names = flowers.load_model(), flowers.CLASSES["single-6c"]
    found = [
        tfxai.GradCAM(model, "block5_relu", classes=names)(images),
        tfxai.GradCAM(model, "block3_relu", classes=names)(images),
        tfxai.GradCAM(model, "block5_relu", classes=names)(images, target=1),
        tfxai.Occlusion(model, window=28, classes=names)(images),
        tfxai.GradientXInput(model, classes=names)(images),
    ]
    tfxai.page(found, path=folder / "images.html", names=["one", NASTY, "three"])
    words = keras.layers.TextVectorization(output_sequence_length=6)
    words.adapt(["a fine film", "no film at all"])
    keras.utils.set_random_seed(0)
    text = keras.Sequential([keras.Input((1,), dtype="string"), words, keras.layers.Embedding(9, 3)])
    text.add(keras.layers.GlobalAveragePooling1D())
    text.add(keras.layers.Dense(2))
    texts = np.array(["a fine film", "no fine film"])
    tfxai.page([one(text)(texts) for one in (tfxai.GradientXInput, tfxai.Occlusion)], path=folder / "text.html")
    table = tfxai.Occlusion(lambda x: x @ np.array([[2.0], [-1], [3], [-2]], "float32"))(np.ones((2, 4)), target=0)
    table.to_html(folder / "table.html")
    return folder


@pytest.mark.parametrize("name", SETTINGS)
def test_each_control_changes_what_is_drawn_and_the_address_brings_it_back(page, files, name):
    before = page.open(files / "images.html").drawn()
    page.set(name, SETTINGS[name])
    after = page.drawn()
    assert after != before
    assert f"{name}=" in page.hash()
    assert page.open(files / "images.html", page.hash()).drawn() == after
    page.click(".reset")
    assert page.drawn() == before
    assert page.hash() == ""


@pytest.mark.parametrize("file", ["text", "table"])
@pytest.mark.parametrize("name", ["opacity", "threshold", "signs", "palette"])
def test_controls_of_words_and_bars(page, files, file, name):
    before = page.open(files / f"{file}.html").drawn()
    page.set(name, SETTINGS[name])
    assert page.drawn() != before
    hidden = "return getComputedStyle(document.querySelector('.control.zoom')).display"
    assert page.js(hidden) == "none"


def test_smooth_and_pixels(page, files):
    before = page.open(files / "images.html").drawn()
    page.click(".control.smooth button:last-child")
    assert page.drawn() != before
    assert page.texts(".control.smooth [aria-pressed=true]") == ["pixels"]


def test_methods_layers_and_classes(page, files):
    page.open(files / "images.html")
    assert page.texts(".panel b") == ["input", "grad_cam", "grad_cam", "occlusion", "gradient_x_input"]
    page.set("layer", "block3_relu")
    assert page.settled().texts(".panel figcaption > .soft") == ["one", "layer block3_relu"]
    first = page.texts(".what")[0]
    page.set("layer", "")
    page.set("target", flowers.CLASSES["single-6c"][1])
    assert page.settled().texts(".what")[0] != first
    page.click(".methods button")
    assert page.texts(".panel b") == ["input", "occlusion", "gradient_x_input"]
    page.set("target", "*")
    page.click(".methods button")
    assert page.texts(".panel b").count("grad_cam") == 3


def test_an_image_by_its_name(page, files):
    page.open(files / "images.html")
    before = page.drawn()
    page.js("""const select = document.querySelector('select[aria-label=Input]');
        select.value = '2'; select.dispatchEvent(new Event('change'));""")
    assert page.drawn() != before
    assert page.texts(".panel .soft")[0] == NASTY
    assert page.js("return document.querySelectorAll('img:not(.strip-of-inputs img)').length") == 0


def test_the_value_under_the_pointer_is_told_by_all(page, files):
    page.open(files / "images.html", "#methods=occlusion,gradient_x_input&smooth=0")
    page.js("""const canvas = document.querySelectorAll('.frame canvas')[1], box = canvas.getBoundingClientRect();
        canvas.dispatchEvent(new PointerEvent('pointermove',
            { clientX: box.left + 0.25 * box.width, clientY: box.top + 0.5 * box.height, bubbles: true }));""")
    images, _, _ = flowers.make(n=1)
    expected = tfxai.Occlusion(flowers.load_model(), window=28)(images).reduced("signed")[0]
    place, value, other = page.texts(".value")
    assert place == "x 28, y 56"
    told = float(value.replace("\u2212", "-"))
    # values along a side of 112 are averaged to 96 of which each has 80 steps
    near = expected[54:59, 26:31]
    spread = np.abs(expected).max()
    assert near.min() - 0.06 * spread <= told <= near.max() + 0.06 * spread
    assert other.strip()
    assert page.js("return [...document.querySelectorAll('.mark')].every((one) => !one.hidden)")


def test_the_keyboard_alone(page, files):
    page.open(files / "images.html")
    page.js("document.querySelector('.frame canvas').focus()")
    page.press("3", "2")
    assert page.texts(".methods [aria-pressed=true]") == ["grad_cam"]
    page.press("2", "s", "t", "O", "+", "p", "h")
    for part in ("signs=signed", "threshold=5", "opacity=40", "zoom=1.5", "smooth=0", "hide=5"):
        assert part in page.hash()
    keys = pytest.importorskip("selenium.webdriver").Keys
    page.js("document.querySelector('.frame canvas').focus()")
    page.press(keys.ARROW_RIGHT)
    assert "x " in page.texts(".value")[0]
    assert "occlusion" in page.texts("[aria-live]")[0]
    page.js("document.querySelector('.methods button').focus()")
    page.press(keys.ARROW_RIGHT)
    assert "image=2" in page.hash()
    page.js("document.body.focus(); document.querySelector('.inputs button').focus()")
    seen = set()
    for _ in range(30):
        page.press(keys.TAB)
        seen.add(page.js("return document.activeElement.tagName"))
    assert {"BUTTON", "INPUT", "SELECT", "CANVAS"} <= seen


def test_words_and_bars_are_told_under_the_pointer_and_by_keys(page, files):
    page.open(files / "text.html")
    page.js("""document.querySelectorAll('.word')[1].dispatchEvent(
        new PointerEvent('pointerover', { bubbles: true }));""")
    assert [one.split(":")[0] for one in page.texts(".value")] == ["fine", "fine"]
    assert page.js("return document.querySelectorAll('.word.pointed').length") == 2
    page.open(files / "table.html")
    page.js("document.querySelector('.bars').focus()")
    page.press(pytest.importorskip("selenium.webdriver").Keys.ARROW_DOWN)
    assert page.texts(".value") == ["feature 2 = 1: 3"]


def test_everything_has_a_name(page, files):
    """What a screen reader says of controls and maps."""
    for name in ("images", "text", "table"):
        page.open(files / f"{name}.html").settled()
        unnamed = page.js("""
            return [...document.querySelectorAll('button, input, select, canvas, [role=group]')].filter((one) =>
                !(one.getAttribute('aria-label') || one.textContent.trim())).map((one) => one.outerHTML)""")
        assert unnamed == []
    page.open(files / "images.html").settled()
    label = page.js("return document.querySelectorAll('.frame canvas')[1].getAttribute('aria-label')")
    assert label.startswith("one: grad_cam for ")
    assert "% from the left" in label


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("file", ["images", "text", "table"])
def test_nothing_leaves_the_screen_of_a_phone(page, files, file, dark):
    page.screen(360, dark)
    page.open(files / f"{file}.html").settled()
    assert page.js("return document.documentElement.scrollWidth") <= 360
    paper = page.js("return getComputedStyle(document.body).backgroundColor")
    assert (int(paper[4:].split(",")[0]) < 60) is dark


def test_the_score_falls_with_what_is_hidden(page, tmp_path):
    images, model = flowers.make(n=1)[0], flowers.load_model()
    one = tfxai.GradCAM(model)(images)
    curve = tfxai.metrics.deletion(model, one, steps=4)
    tfxai.page(one, curves=curve, path=tmp_path / "curve.html")
    page.open(tmp_path / "curve.html")
    for share in (0, 35, 50):
        page.set("hide", str(share))
        page.settled()
        (said,) = (text for text in page.texts(".panels .soft") if "hidden" in text)
        score, percent = re.fullmatch(r"score (\S+) with (\d+) % hidden", said).groups()
        assert int(percent) == share
        expected = np.interp(share / 100, curve.shares[0], curve.scores[0])
        assert float(score.replace("\N{MINUS SIGN}", "-")) == pytest.approx(expected, rel=0.02, abs=0.01)


def test_names_and_classes_cannot_become_code(page, tmp_path):
    one = tfxai.Explanation(
        np.eye(8, dtype=np.float32)[None], np.zeros(1, int), np.ones(1), np.ones((1, 8, 8, 3)), classes=[NASTY]
    )
    tfxai.page({NASTY: one}, title=NASTY, names=[NASTY], path=tmp_path / "page.html")
    page.open(tmp_path / "page.html").settled()  # an alert would stop it
    assert NASTY in page.texts(".panel b")
    assert page.texts("h1") == [NASTY]
    assert (
        page.js(
            "return document.querySelectorAll('img').length + document.querySelectorAll('script:not([type])').length"
        )
        == 1
    )


def test_three_hundred_images_stay_usable(page, tmp_path):
    images = np.repeat(flowers.make(n=6, size=112)[0], 50, 0)
    rng = np.random.default_rng(0)
    known = {"target": np.zeros(300, int), "score": np.ones(300), "inputs": images}
    columns = [tfxai.Explanation(rng.normal(size=(300, 28, 28)), method=f"m{n}", **known) for n in range(4)]
    tfxai.page(columns, path=tmp_path / "many.html")
    start = time.monotonic()
    page.open(tmp_path / "many.html")
    assert time.monotonic() - start < 10
    before = page.drawn()
    page.js("""const select = document.querySelector('select[aria-label=Input]');
        select.value = '300'; select.dispatchEvent(new Event('change'));""")
    page.wait(lambda: page.texts(".panel .soft")[0] == "input 299")
    assert page.drawn() != before
    assert page.js("return performance.memory.usedJSHeapSize") < 3e8
    assert page.js("return document.querySelectorAll('.strip-of-inputs img').length") < 100
