"""What a reader clicks in pages beside the controls: patches and words that attend, channels; in a real browser."""

import re

import keras
import numpy as np
import pytest

import tfxai
from tfxai.datasets import flowers

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


LOOK = "return document.querySelector('.controls details').offsetHeight"


@pytest.fixture(scope="module")
def resampled():
    images, _, _ = flowers.make(n=2)
    method = tfxai.InputResampling(flowers.load_model(), ["block2_relu", "block3_relu"], samples=20)
    return method(images, verbose=0), tfxai.GradCAM(flowers.load_model())(images)


def test_a_channel_shows_its_patch(page, resampled, tmp_path):
    found, cam = resampled
    tfxai.page([cam, found], path=tmp_path / "page.html")
    page.open(tmp_path / "page.html")
    assert page.texts(".panel b") == ["input", "grad_cam", "input_resampling", "input_resampling"]
    assert page.js(LOOK) > 0
    before = page.drawn()
    influence, precision = (found.scores[name]["block2_relu"][0] for name in ("correlation", "precision"))
    best = np.nanargmax(np.where(np.isfinite(precision), influence, np.nan))
    expected = f"channel {best}: influence "
    assert page.texts(".panels .plot + figcaption .value")[0].startswith(expected)
    dot = "document.querySelectorAll('.plot')[0].querySelectorAll('circle')[arguments[0]]"
    for number in (0, 4):
        page.js(
            f"""const dot = {dot}, box = dot.getBoundingClientRect();
            const at = {{ clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true }};
            dot.dispatchEvent(new MouseEvent('click', at));""",
            number,
        )
        assert page.drawn() != before
        channel = np.flatnonzero(np.isfinite(precision) & np.isfinite(influence))[number]
        assert f"channel=block2_relu%3A{channel}" in page.hash()
        said = page.texts(".panels .plot + figcaption .value")[0]
        shown = [told(one) for one in re.fullmatch(r"channel (.*): influence (.*), precision (.*)", said).groups()]
        np.testing.assert_allclose(shown, [channel, influence[channel], precision[channel]], rtol=0.01)
    after = page.drawn()
    assert page.open(tmp_path / "page.html", page.hash()).drawn() == after
    page.js("document.querySelector('.plot').focus()")
    page.press("\ue015")
    assert page.drawn() != after
    page.click(".reset")
    assert page.drawn() == before
    page.set("layer", "block3_relu")
    assert page.settled().js("return document.querySelectorAll('.plot').length") == 1


def test_channels_alone(page, resampled, tmp_path):
    tfxai.page(resampled[0], path=tmp_path / "page.html")
    page.screen(360)
    page.open(tmp_path / "page.html").settled()
    assert page.texts(".panel b") == ["input", "input_resampling", "input_resampling"]
    assert page.js(LOOK) == 0  # no maps are drawn
    assert page.js("return document.documentElement.scrollWidth") <= 360
    unnamed = page.js("""return [...document.querySelectorAll('canvas, [role=group]')].filter((one) =>
        !one.getAttribute('aria-label')).length""")
    assert unnamed == 0


def test_the_loss_of_the_stages_of_guided_feature_inversion(page, tmp_path):
    images, _, _ = flowers.make(n=1)
    found = tfxai.GuidedFeatureInversion(flowers.load_model(), inversion_steps=3, target_steps=4)(images)
    tfxai.page(found, path=tmp_path / "page.html")
    page.open(tmp_path / "page.html").settled()
    lines = page.js("return [...document.querySelectorAll('.steps polyline')].map((one) => one.getAttribute('points'))")
    assert [len(one.split()) for one in lines] == [3, 4]
    for stage, line in zip(("inversion", "target"), lines, strict=True):
        heights = [38 - float(one.split(",")[1]) for one in line.split()]
        loss = found.extras[f"{stage}_history/total"][0]
        np.testing.assert_allclose(heights, 34 * (loss - loss.min()) / np.ptp(loss), atol=0.2)
    assert any("loss over 3 and 4 steps" in one for one in page.texts(".more figcaption"))
    assert not page.js("return document.querySelector('.film')")  # the masks were not kept


def test_the_film_of_guided_feature_inversion(page, tmp_path):
    images, _, _ = flowers.make(n=1)
    method = tfxai.GuidedFeatureInversion(flowers.load_model(), inversion_steps=3, target_steps=4, frames=True)
    tfxai.page(method(images), path=tmp_path / "page.html")
    page.screen(1000)
    page.open(tmp_path / "page.html").settled()

    def seen(step=None):
        if step is not None:
            page.js(
                """const slider = document.querySelector('.film input'); slider.value = arguments[0];
                slider.dispatchEvent(new Event('input', { bubbles: true }));""",
                step,
            )
        page.settled()
        return page.js("return document.querySelector('.film canvas').toDataURL()"), page.texts(".film .soft")[0]

    last, said = seen()
    assert said == "the mask at step 4 of 4, stage 2 of 2"
    first, said = seen(0)
    assert said == "the mask at step 1 of 3, stage 1 of 2"
    assert first != last
    page.set("opacity", 30)
    assert seen()[1] == said  # where it was before the panel was made again
    page.set("opacity", 70)
    assert seen(6)[0] != first
    page.click(".film button")
    page.wait(lambda: page.texts(".film .soft")[0].startswith("the mask at step 2 of 3"))
    page.wait(lambda: page.texts(".film .soft")[0] == "the mask at step 4 of 4, stage 2 of 2")
    assert seen()[0] != first


@pytest.mark.parametrize("dark", [False, True])
def test_printed_pages_are_dark_on_white_and_have_no_controls(page, patches, dark):
    page.screen(1200, dark)
    page.open(patches, "#from=0.25,0.5")
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": [scheme]})
    colours = page.settled().js("""
        return [...document.querySelectorAll('h1, .panel b, .what')].map((one) => getComputedStyle(one).color)""")
    assert all(max(map(int, re.findall(r"\d+", one))) < 60 for one in colours)
    shown = page.js("""return ['.controls', '.help', '.back', '.frame canvas', '.chooser'].map((one) =>
        getComputedStyle(document.querySelector(one)).display != 'none')""")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": [scheme]})
    assert shown == [False, False, False, True, True]
