"""The scripts of pages, run by node: colours, maps and addresses against Python's."""

import json
import shutil
import subprocess
from importlib import resources

import cv2
import numpy as np
import pytest

import tfxai
from tfxai import display
from tfxai.datasets import flowers
from tfxai.maps import stretched
from tfxai.pages.encoded import grey_map
from tfxai.pages.explained import PALETTES, SCRIPTS, _stops

NODE = shutil.which("node") or shutil.which("nodejs")
pytestmark = pytest.mark.skipif(NODE is None, reason="runs JavaScript by node, which is not installed")
SCRIPT = resources.files("tfxai.pages").joinpath("script")


def run(expression, **given):
    """What an expression of JavaScript gives, in which all functions of the page and ``given`` are known."""
    scripts = "".join(SCRIPT.joinpath(f"{name}.js").read_text() for name in SCRIPTS if name != "start")
    program = f"""
        "use strict";
        const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
        const {{ {", ".join(given)} }} = given;
        {scripts}
        (async () => JSON.stringify(await ({expression}), (key, one) =>
            ArrayBuffer.isView(one) ? [...one] : one === -Infinity ? "-Infinity" : one))()
            .then((text) => console.log(text), (error) => {{ console.error(error); process.exit(1); }});
    """
    done = subprocess.run([NODE, "-e", program], input=json.dumps(given), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_script_is_sound_by_itself():
    for name in SCRIPTS:
        with resources.as_file(SCRIPT.joinpath(f"{name}.js")) as file:
            subprocess.run([NODE, "--check", str(file)], check=True)


FAKE = """
const frame = { style: {}, setAttribute() {}, addEventListener: (name, one) => (frame.loaded = one) };
frame.contentWindow = { postMessage: (sent) => told.push(sent.tfxai) };
const told = [], known = { html: "<p>", state: "#a", height: 9 }, heard = {}, saved = [];
globalThis.document = { createElement: () => frame };
globalThis.window = { addEventListener: (name, one) => (heard[name] = one) };
window.removeEventListener = (name) => delete heard[name];
const model = {
  get: (name) => known[name], set: (name, value) => (known[name] = value), save_changes: () => saved.push(known.state),
  on: (name, one) => (heard[name] = one), off: (name) => delete heard[name],
};
const end = front.render({ model, el: { append() {} } });
frame.loaded();
heard.message({ source: frame.contentWindow, data: { tfxai: "#b" } });
heard["change:state"]();
heard.message({ source: {}, data: { tfxai: "#evil" } });
heard.message({ source: frame.contentWindow, data: 3 });
known.state = "#c";
heard["change:state"]();
end();
console.log(JSON.stringify({ told, saved, left: Object.keys(heard), shown: frame.srcdoc, height: frame.style.height }));
"""


def test_the_front_end_of_the_widget_tells_states_once():
    module = SCRIPT.parent.joinpath("widget.js").read_text().replace("export default", "const front =")
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", module + FAKE], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {
        "told": ["#a", "#c"],
        "saved": ["#b"],
        "left": [],
        "shown": "<p>",
        "height": "9px",
    }


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("strategy", [cv2.IMWRITE_PNG_STRATEGY_DEFAULT, cv2.IMWRITE_PNG_STRATEGY_RLE])
@pytest.mark.parametrize(
    "filtering",
    [
        cv2.IMWRITE_PNG_FILTER_NONE,
        cv2.IMWRITE_PNG_FILTER_SUB,
        cv2.IMWRITE_PNG_FILTER_UP,
        cv2.IMWRITE_PNG_FILTER_AVG,
        cv2.IMWRITE_PNG_FILTER_PAETH,
    ],
)
def test_png_files(bits, strategy, filtering):
    codes = np.random.default_rng(0).integers(0, 2**bits, (5, 7)).astype(f"uint{bits}")
    options = [cv2.IMWRITE_PNG_STRATEGY, strategy, cv2.IMWRITE_PNG_FILTER, filtering]
    data = cv2.imencode(".png", codes, options)[1].tolist()
    found = run("decodePng(Uint8Array.from(data))", data=data)
    assert (found["width"], found["height"]) == (7, 5)
    np.testing.assert_array_equal(np.reshape(found["codes"], (5, 7)), codes)


def test_other_png_files_are_an_error():
    data = cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tolist()
    said = run("decodePng(Uint8Array.from(data)).catch((error) => error.message)", data=data)
    assert said == "Expected a grey PNG of 8 or 16 bits, got type 2 of 8 bits."


@pytest.mark.parametrize("shape", [(6, 9), (80, 60)])
def test_maps_come_back(shape):
    maps = np.random.default_rng(0).normal(size=shape)
    packed = grey_map(maps, stretched(shape, shape).sides, shape, 100)
    found = np.reshape(run("decodeMap(packed).then((map) => map.values)", packed=packed), shape)
    np.testing.assert_allclose(found, maps, atol=(3e-5 if shape == (6, 9) else 0.026) * np.abs(maps).max())


WHOLE = "{ left: 0, right: 1, top: 0, bottom: 1 }"


@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_maps_are_enlarged_as_python_does_it(interpolation):
    images, _, _ = flowers.make(n=1)
    found = tfxai.GradCAM(flowers.load_model())(images)
    place, size = found.places["input"], images.shape[1:3]
    packed = grey_map(found.reduced("signed")[0], place.sides, size, 100)
    smooth = interpolation == "linear"
    here = run(
        f"decodeMap(packed).then((map) => enlarge(map, {WHOLE}, 112, 112, smooth))", packed=packed, smooth=smooth
    )
    expected = found.laid("signed", interpolation)[0]
    np.testing.assert_allclose(np.reshape(here, size), expected, atol=1e-4 * expected.max())
    part = "{ left: 0.25, right: 0.5, top: 0.5, bottom: 0.75 }"
    here = run(f"decodeMap(packed).then((map) => enlarge(map, {part}, 28, 28, smooth))", packed=packed, smooth=smooth)
    np.testing.assert_allclose(np.reshape(here, (28, 28)), expected[56:84, 28:56], atol=1e-4 * expected.max())


def test_outside_of_what_a_map_tells_of_there_is_nothing():
    side = [4.0, 2.0, 3.0, 8.0]
    known = {"width": 3, "height": 3, "sides": [side, side], "size": [12, 12], "values": [1.0] * 9}
    found = np.reshape(run(f"enlarge(map, {WHOLE}, 12, 12, true)", map=known), (12, 12))
    expected = np.zeros((12, 12))
    expected[3:9, 3:9] = 1
    np.testing.assert_array_equal(found, expected)


def test_a_value_under_the_pointer():
    side = [0.5, 2.0, 0.0, 3.0]
    known = {"width": 2, "height": 2, "sides": [side, side], "size": [4, 4], "values": [0.0, 1, 2, 3]}
    assert run("valueAt(map, 0.9, 0.1, false)", map=known) == 1
    assert run("valueAt(map, 0.5, 0.5, true)", map=known) == 1.5


def test_what_is_seen_stays_in_the_picture():
    assert run("seen(2, 0, 1)") == {"left": 0, "right": 0.5, "top": 0.5, "bottom": 1}
    assert run("seen(1, 0.9, 0.1)") == {"left": 0, "right": 1, "top": 0, "bottom": 1}


def test_hiding_takes_the_share_with_the_largest_values():
    side = [0.0, 1.0, 0.0, 127.0]
    numbers = np.random.default_rng(0).permutation(128 * 128).astype(float)
    known = {"width": 128, "height": 128, "sides": [side, side], "size": [128, 128], "values": numbers.tolist()}
    for share in (0.1, 0.5):
        cut = run("cutOff(map, share, 'signed')", map=known, share=share)
        assert (numbers > cut).mean() == pytest.approx(share, abs=1e-3)
        cut = run("cutOff(map, share, 'against')", map=known, share=share)
        assert (-numbers > cut).mean() == pytest.approx(share, abs=1e-3)
    assert run("cutOff(map, 1, 'signed')", map=known) == "-Infinity"


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("signed", [True, False])
def test_ramps_are_those_of_matplotlib(name, signed):
    cmap = PALETTES[name][signed]
    ramp = np.reshape(run("rampOf(stops)", stops=_stops(cmap, signed)), (256, 3))
    colours = display.palette(cmap, signed)
    expected = colours[np.linspace(0, len(colours) - 1, 256).round().astype(int)]
    assert np.abs(ramp - expected).max() < 8


@pytest.mark.parametrize("signed", [True, False])
def test_maps_are_laid_over_pictures_as_python_does_it(signed):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    heatmap = np.linspace(-signed, 1, 20).reshape(4, 5)
    pixels = np.dstack([image, np.full((4, 5), 255)]).ravel().tolist()
    for alpha in (0.2, 0.5, 1):
        look = {"signs": "signed" if signed else "for", "top": 3.0, "threshold": 0, "alpha": alpha}
        first = next(iter(PALETTES.values()))[signed]  # what pages begin with is what figures take by default
        stops = _stops(first, signed)
        code = "(() => { lay(pixels, values, { ...look, ramp: rampOf(stops) }); return pixels; })()"
        found = run(code, pixels=pixels, values=(3 * heatmap).ravel().tolist(), look=look, stops=stops)
        expected = display.overlay(image, heatmap, alpha, signed=signed)
        assert np.abs(np.reshape(found, (4, 5, 4))[..., :3] - expected).max() < 6


def test_signs():
    assert run("[signsOf('auto', { signed: true }), signsOf('auto', {}), signsOf('against', { unsigned: true })]") == [
        "signed",
        "for",
        "for",
    ]
    assert run("[-2, 3].map((one) => ['signed', 'for', 'against'].map((signs) => shownOf(one, signs)))") == [
        [-2, 0, 2],
        [3, 3, 0],
    ]
    strengths = run("[-4, -1, 1, 3].map((one) => strengthOf(one, 'signed', 2, 0.6))")
    assert strengths == [-1, 0, 0, 1]
    assert run("strengthOf(0, 'signed', 0, 0)") == 0


def test_the_last_colour_is_reached_at_the_percentile_that_python_takes():
    maps = np.random.default_rng(0).normal(size=300)
    assert run("topOf(maps, 'signed')", maps=maps.tolist()) == pytest.approx(np.percentile(np.abs(maps), 99))
    assert run("topOf(maps, 'for')", maps=[0.0] * 999 + [5.0]) == 5
    assert run("topOf([], 'for')") == 0


def test_ink_is_read_on_its_colour():
    shades = "[-1, 0, 1].map((one) => shade(one, 'signed', rampOf(stops), 0.5, paper))"
    code = f"[[28, 31, 39], [255, 255, 255]].map((paper) => {shades})"
    for paper in run(code, stops=_stops(None, True)):
        for one in paper:
            dark = np.array([int(x) for x in one["background"][4:-1].split(",")]) @ [0.299, 0.587, 0.114]
            ink = 17 if one["ink"] == "#111" else 244
            assert abs(ink - dark) > 90


def test_numbers_are_told_in_few_digits():
    assert run("[0, 1.23456, -0.0001234, 123456, -12.3456].map(told)") == [
        "0",
        "1.23",
        "\u22121.23e-4",
        "1.23e+5",
        "\u221212.3",
    ]


class TestAddress:
    allowed = {"methods": ["a,b", "c"], "palette": ["x", "y"], "signs": ["auto", "signed"], "images": 5}  # noqa: RUF012

    def read(self, text):
        return run(
            "readHash(text, initial(allowed.methods, allowed.palette), allowed)", text=text, allowed=self.allowed
        )

    def test_a_state_comes_back(self):
        state = self.read("") | {
            "image": 3,
            "methods": ["a,b"],
            "layer": "conv&1",
            "target": "a = b",
            "opacity": 80,
            "palette": "y",
            "signs": "signed",
            "smooth": False,
            "hide": 12,
            "zoom": 2.5,
            "x": 0.25,
            "from": "0.25,0.5",
        }
        code = "writeHash(state, initial(allowed.methods, allowed.palette))"
        assert self.read(run(code, state=state, allowed=self.allowed)) == state

    def test_what_nobody_changed_is_not_told(self):
        first = self.read("")
        assert (
            run("writeHash(state, initial(allowed.methods, allowed.palette))", state=first, allowed=self.allowed) == ""
        )

    @pytest.mark.parametrize(
        "text",
        [
            "#image=99",
            "#image=x&opacity=&threshold=-3&hide=1e9",
            "#zoom=0&palette=none&signs=3&other=1",
            "#%%%&methods=%E0%A4%A",
            "#from=a,b",
            "#from=0.5,0.5,0.5",
            "#from=-1",
        ],
    )
    def test_nonsense_changes_nothing(self, text):
        found, first = self.read(text), self.read("")
        found["image"] = first["image"] if "99" not in text else found["image"]
        if "99" in text:
            assert found.pop("image") == 5
            first.pop("image")
        if "methods" in text:
            found["methods"] = first["methods"]
        assert found == first


def test_entries_of_the_chosen_methods_layers_and_classes():
    entries = [
        {"method": "cam", "layer": "a", "target": "cat"},
        {"method": "cam", "layer": "b", "target": "cat"},
        {"method": "cam", "layer": "a", "target": "dog"},
        {"method": "lrp", "layer": "", "target": "fox"},
    ]

    def chosen(**state):
        state = {"methods": ["cam", "lrp"], "layer": "", "target": ""} | state
        found = run("chosenEntries(entries, state)", entries=entries, state=state)
        return ["".join(one.values()) for one in found]

    assert chosen() == ["camacat", "cambcat", "lrpfox"]
    assert chosen(layer="b") == ["cambcat", "lrpfox"]
    assert chosen(target="dog") == ["camadog", "lrpfox"]
    assert chosen(target="*") == ["camacat", "cambcat", "camadog", "lrpfox"]
    assert chosen(methods=["lrp"], target="dog") == ["lrpfox"]
    assert chosen(methods=[]) == []


def test_the_patch_or_word_that_looks():
    sides = [[3.5, 8, 0, 15], [3.5, 8, 0, 23]]  # two rows and three columns of patches of 8 pixels
    between = {"grid": [2, 3], "sides": sides, "size": [16, 24], "width": 6, "height": 6}
    places = ["", "3", "0,0", "0.34,0.1", "0.99,0.6", "1,1"]
    assert run("places.map((one) => patchAt(between, one))", places=places, between=between) == [-1, -1, 0, 1, 5, 5]
    assert run("middleOf(between, '0.99,0.6')", between=between) == {"x": pytest.approx(5 / 6), "y": 0.75}
    assert run("middleOf(between, '')", between=between) is None
    assert run("['', '5', '6', '0,0'].map((one) => wordAt(between, one))", between=between) == [-1, 5, -1, -1]
    rows = f"{{ ...between, values: Float32Array.from({list(range(36))}) }}"
    shown = run(f"mapFrom({{ map: 1, between: {rows} }}, '0,1')", between=between)
    assert (shown["values"], shown["width"], shown["height"]) == (list(range(18, 24)), 3, 2)
    assert run(f"mapFrom({{ map: 1, between: {rows} }}, '')", between=between) == 1


def test_channels_are_placed_by_their_scores():
    channels = [
        [0, 0.5, 1.0, 0, 0, 4, 4],
        [1, None, 2.0, 0, 0, 4, 4],
        [2, 0.9, 100.0, 1, 2, 3, 4],
        [3, 0.1, 10.0, 0, 0, 4, 4],
    ]
    points = run("placed(channels)", channels=channels)
    assert [one["number"] for one in points] == [0, 2, 3]
    assert [one["x"] for one in points] == pytest.approx([8, 96, 52])
    assert [one["y"] for one in points] == pytest.approx([47.5, 5, 90])
    assert points[1]["box"] == [1, 2, 3, 4]
    chosen = "['', 'a:3', 'b:3', 'a:1'].map((one) => chosenPoint(points, 'a', one).number)"
    assert run(chosen, points=points) == [2, 3, 2, 2]
    assert run("[placed([]), chosenPoint([], 'a', '')]") == [[], None]


def test_a_curve_between_its_points():
    curve = {"shares": [0, 0.5, 1], "scores": [4.0, 2, 2]}
    assert run("[0, 0.25, 0.5, 0.8, 1].map((share) => scoreAt(curve, share))", curve=curve) == [4, 3, 2, 2, 2]
