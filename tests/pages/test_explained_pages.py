"""The page of the demo, and pages to explore: what is written into them."""

import re

import cv2
import keras
import numpy as np
import pytest
from explored import items, picture, values

import tfxai
from tfxai.datasets import flowers
from tfxai.evaluation.demo import Comparison, Score
from tfxai.maps import stretched
from tfxai.metrics.curves import Curve
from tfxai.pages import ExplainedPage
from tfxai.pages.demo import comparison, opening
from tfxai.pages.encoded import as_json, grey_map, pairs
from tfxai.pages.explained import SCRIPTS

NASTY = "</script><script>alert(1)</script><b>\"'&$n\u2028"


def explanation(maps=None, **changes):
    maps = np.eye(8, dtype=np.float32)[None] if maps is None else np.asarray(maps, np.float32)
    known = {
        "values": maps,
        "target": np.zeros(len(maps), int),
        "score": np.ones(len(maps), np.float32),
        "inputs": np.full((len(maps), 8, 8, 3), 200, np.float32),
        "classes": ["a <i>rose</i>"],
    }
    return tfxai.Explanation(**(known | changes))


def curve(scores=((3.0, 1.0, 0.5),)):
    scores = np.asarray(scores)
    return Curve(np.tile(np.linspace(0, 1, scores.shape[1]), (len(scores), 1)), scores)


def outside_data(html):
    """A page without what is JSON."""
    return re.sub(r'<script type="application/json".*?</script>', "", html, flags=re.DOTALL)


class TestDemo:
    def test_names_are_text_and_no_tags(self):
        """Of the model and of classes, whatever stands in them; the template's own marks included."""
        images = np.full((1, 8, 8, 3), 200, np.uint8)
        scores = [Score("grad_cam", 0.5, 1.0), Score("whole & rest", 0.25)]
        found = Comparison({"grad_cam": explanation()}, images, images[..., 0] > 0, scores, 0.5, 3)
        html = opening("<b>$n</b>", ["an <i>aster</i>"]) + comparison(found)
        assert html.count("&lt;b&gt;$n&lt;/b&gt;") == 2
        assert "an &lt;i&gt;aster&lt;/i&gt;" in html
        assert "a &lt;i&gt;rose&lt;/i&gt;" in html
        assert "whole &amp; rest" in html
        assert not re.search(r"<i>|<b>\$", html)
        assert "of 50% of 3 painted flowers" in html

    def test_the_part_that_decides_stands_beside_the_methods(self):
        images = np.full((1, 8, 8, 3), 200, np.uint8)
        masks = np.tri(8, dtype=bool)[None]
        scores = [Score("saliency", 0.5, 1.0), Score("disc", 0.4), Score("grad_cam", 0.3, 1.0)]
        found = Comparison({"grad_cam": explanation(), "saliency": explanation()}, images, masks, scores, 0.5, 3)
        (one,) = items(comparison(found))
        assert [entry["method"] for entry in one["entries"]] == ["part that decides", "saliency", "grad_cam"]
        np.testing.assert_allclose(values(one["entries"][0]["map"]), masks[0], atol=1e-4)


class TestMaps:
    @pytest.mark.parametrize("signed", [True, False])
    def test_values_come_back(self, signed):
        rng = np.random.default_rng(0)
        small, large = (rng.normal(size=shape) * 1e-4 for shape in ((7, 9), (90, 70)))
        for maps, bound in ((small, 2e-5), (large, 0.025)):
            maps = (maps if signed else np.abs(maps)).astype(np.float32)
            packed = grey_map(maps, stretched(maps.shape, maps.shape).sides, maps.shape, 100)
            np.testing.assert_allclose(values(packed), maps, atol=bound * np.abs(maps).max())

    def test_a_pixel_far_out_leaves_steps_for_all_others(self):
        maps = np.linspace(0, 1, 70 * 70).reshape(70, 70)
        maps[0, 0] = 100
        found = values(grey_map(maps, stretched((70, 70), (70, 70)).sides, (70, 70), 70))
        assert len(np.unique(found)) >= 9
        np.testing.assert_allclose(found, maps, atol=0.13)

    def test_what_each_patch_gives_to_each(self):
        rng = np.random.default_rng(0)
        given = rng.uniform(size=(3, 4, 3, 4)).astype(np.float32)
        sides = stretched((3, 4), (12, 16)).sides
        packed = pairs(given, sides, (12, 16), 100)
        assert packed["grid"] == [3, 4]
        np.testing.assert_allclose(values(packed).reshape(given.shape), given, atol=0.026)
        coarse = pairs(np.add.outer(np.eye(8), np.ones((8, 8))), stretched((8, 8), (8, 8)).sides, (8, 8), 16)
        assert coarse["grid"] == [4, 4]
        expected = (
            np.kron(np.eye(4), np.ones((1, 16))).reshape(4, 4, 16) / 2 + 1
        )  # half of each 2 x 2 lies on the diagonal
        np.testing.assert_allclose(values(coarse).reshape(4, 4, 16), expected, atol=0.05)

    def test_zeros_are_zeros(self):
        packed = grey_map(np.zeros((3, 3)), stretched((3, 3), (6, 6)).sides, (6, 6), 8)
        np.testing.assert_array_equal(values(packed), 0)
        assert packed["sides"] == [[0.5, 2.0, 0.0, 5.0]] * 2

    def test_large_maps_are_averaged_where_they_are(self):
        x = np.arange(16.0)
        packed = grey_map(np.add.outer(x, x), stretched((16, 16), (16, 16)).sides, (16, 16), 4)
        places = 1.5 + 4 * np.arange(4)
        np.testing.assert_allclose(values(packed), np.add.outer(places, places), atol=1e-3)
        assert packed["sides"] == [[1.5, 4.0, 0.0, 15.0]] * 2

    def test_maps_of_layers_lie_where_their_units_do(self):
        images, _, _ = flowers.make(n=1)
        found = tfxai.GradCAM(flowers.load_model())(images)
        entry = items(found.to_html())[0]["entries"][0]
        np.testing.assert_allclose(values(entry["map"]), found.reduced("signed")[0], atol=1e-4 * found.values.max())
        place = found.places["input"]
        assert entry["map"]["sides"] == [[side.first, side.step, side.low, side.high] for side in place.sides]
        assert (entry["layer"], entry["map"]["size"]) == ("block5_relu", [112, 112])


class TestPage:
    def test_it_needs_nothing_else(self, tmp_path):
        html = tfxai.page([explanation(method="grad_cam")], path=tmp_path / "page.html")
        assert (tmp_path / "page.html").read_text(encoding="utf-8") == html
        assert not re.search(r"https?://(?!www.w3.org/2000/svg)|<link|@import|url\(| src=|fetch\(|import\(", html)
        assert html.rstrip().endswith("</html>")

    def test_whatever_users_give_is_text(self):
        one = explanation(classes=[NASTY], method="grad_cam", facts={"layer": NASTY, "score": NASTY})
        html = tfxai.page({NASTY: one}, title=NASTY, names=[NASTY])
        assert "<script>alert" not in html
        assert outside_data(html).count("<script>") == 1
        assert html.count("</script>") == 3  # the data of the page, its script, one input
        (item,) = items(html)
        entry = item["entries"][0]
        assert {item["name"], *(entry[name] for name in ("method", "layer", "target", "scale"))} == {NASTY}
        assert "&lt;/script&gt;" in html.split("<title>")[1].split("</title>")[0]

    def test_scripts_never_make_html_of_text(self):
        html = outside_data(tfxai.page(explanation()))
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", html)

    def test_methods_layers_and_classes(self):
        images, _, _ = flowers.make(n=2)
        model = flowers.load_model()
        names = flowers.CLASSES["single-6c"]
        cams = [tfxai.GradCAM(model, layer, classes=names)(images) for layer in ("block5_relu", "block4_relu")]
        other = tfxai.GradCAM(model, classes=names)(images, target=1)
        occlusion = tfxai.Occlusion(model, window=28, classes=names)(images)
        first, _ = items(tfxai.page([*cams, other, occlusion]))
        told = [(one["method"], one["layer"], one["target"], one["signed"]) for one in first["entries"]]
        label = cams[0].label(0)
        assert told == [
            ("grad_cam", "block5_relu", label, False),
            ("grad_cam", "block4_relu", label, False),
            ("grad_cam", "block5_relu", names[1], False),
            ("occlusion", "", label, True),
        ]
        assert first["entries"][0]["scale"] == "logit"
        assert first["entries"][0]["score"] == pytest.approx(cams[0].score[0])

    def test_a_score_that_is_a_probability_is_told_as_one(self):
        images, _, _ = flowers.make(n=1)
        found = tfxai.GradCAM(flowers.load_model(), score="probability")(images)
        entry = items(found.to_html())[0]["entries"][0]
        assert entry["probability"] == pytest.approx(found.score[0])

    def test_the_same_twice_is_told_apart(self):
        (item,) = items(tfxai.page([explanation(method="grad_cam")] * 2))
        assert [one["layer"] for one in item["entries"]] == ["", "(2)"]

    def test_photographs_in_place_of_inputs(self):
        photograph = np.zeros((40, 80, 3), np.uint8)
        photograph[..., 0] = 250
        (item,) = items(explanation().to_html(images=[photograph]))
        assert (item["width"], item["height"], item["size"], item["mean"]) == (80, 40, [8, 8], [250, 0, 0])
        np.testing.assert_allclose(picture(item["photo"]).mean((0, 1)), [250, 0, 0], atol=4)

    def test_images_of_different_size(self):
        images = [np.ones((8, 6, 3)), np.ones((5, 9, 3))]
        found = tfxai.Occlusion(lambda x: x.mean((1, 2)), window=2)(images, target=0, verbose=0)
        assert [one["size"] for one in items(found.to_html())] == [[8, 6], [5, 9]]

    def test_tables_and_texts(self):
        found = tfxai.Occlusion(lambda x: x @ np.array([[2.0], [-1], [3]], "float32"))(np.ones((2, 3)), target=0)
        entry = items(found.to_html())[1]["entries"][0]
        assert entry["kind"] == "bars"
        assert dict(entry["told"]) == {"feature 2 = 1": 3, "feature 0 = 1": 2, "feature 1 = 1": -1}
        words = keras.layers.TextVectorization(output_sequence_length=3)
        words.adapt(["a b c"])
        model = keras.Sequential([keras.Input((1,), dtype="string"), words, keras.layers.Embedding(9, 3)])
        model.add(keras.layers.GlobalAveragePooling1D())
        found = tfxai.GradientXInput(model)(np.array(["c <b>b</b>"]), target=0)
        (item,) = items(found.to_html())
        assert item["name"] == "c <b>b</b>"
        told = item["entries"][0]["told"]
        assert told == [[word, pytest.approx(value)] for word, value in found.words(0)]

    def test_twenty_images_by_eight_methods_take_a_megabyte(self):
        rng = np.random.default_rng(0)
        images, _, _ = flowers.make(n=20, size=224)
        noisy = rng.normal(size=(20, 224, 224)) ** 3  # as gradients: most values are near zero
        maps = [noisy] * 4 + [rng.normal(size=(20, 14, 14))] * 4
        columns = [explanation(one, inputs=images, method=f"method {n}") for n, one in enumerate(maps)]
        html = tfxai.page(columns)
        assert len(html.encode()) < 1_000_000
        assert len(items(html)) == 20

    def test_attention_between_all_patches_stays_within_it(self):
        rng = np.random.default_rng(0)
        images, _, _ = flowers.make(n=20, size=224)
        between = rng.dirichlet(np.ones(196), size=(20, 196)).reshape(20, 14, 14, 14, 14).astype(np.float32)
        noisy = rng.normal(size=(20, 224, 224)) ** 3
        columns = [explanation(noisy, inputs=images, method=f"method {n}") for n in range(3)]
        columns += [explanation(rng.normal(size=(20, 14, 14)), inputs=images, method=f"cam {n}") for n in range(4)]
        columns.append(explanation(rng.normal(size=(20, 14, 14)), inputs=images, extras={"between": between}))
        html = tfxai.page(columns)
        assert '"between"' in html
        assert len(html.encode()) < 1_000_000

    def test_few_maps_keep_their_pixels(self):
        noisy = np.random.default_rng(0).normal(size=(1, 200, 200))
        one = explanation(noisy, inputs=np.zeros((1, 200, 200, 3)))
        assert values(items(one.to_html())[0]["entries"][0]["map"]).shape == (200, 200)
        assert values(items(one.to_html(detail=50))[0]["entries"][0]["map"]).shape == (50, 50)

    @pytest.mark.parametrize(
        ("given", "options", "message"),
        [
            ([], {}, "at least one explanation"),
            ([explanation(), explanation(np.ones((2, 8, 8)))], {}, "same inputs"),
            (explanation(), {"names": ["a", "b"]}, "a name for each"),
            (explanation(), {"detail": 0}, "detail"),
            (explanation(), {"curves": [curve(), curve()]}, "a curve for each of 1 explanations"),
            (explanation(), {"curves": curve(np.ones((2, 3)))}, r"got 1 curves of \[2\] inputs"),
            (explanation(np.ones((1, 4, 4, 4)), inputs=np.ones((1, 4, 4, 4, 1))), {}, r"plot\(\) draws"),
        ],
    )
    def test_errors(self, given, options, message):
        with pytest.raises(ValueError, match=message):
            tfxai.page(given, **options)

    def test_other_things_are_a_type_error(self):
        with pytest.raises(TypeError, match="got ndarray"):
            tfxai.page([np.ones(3)])
        with pytest.raises(TypeError, match="deletion gives them, got ndarray"):
            tfxai.page(explanation(), curves=[np.ones(3)])

    def test_each_input_has_its_part_of_the_curves(self):
        images = flowers.make(n=2)[0]
        model = flowers.load_model()
        found = [tfxai.GradCAM(model)(images), tfxai.Saliency(model)(images)]
        curves = [tfxai.metrics.deletion(model, one, steps=4) for one in found]
        for number, shown in enumerate(items(tfxai.page(found, curves=curves))):
            for own, entry in zip(curves, shown["entries"], strict=True):
                np.testing.assert_allclose(entry["curve"]["shares"], own.shares[number], rtol=1e-4)
                np.testing.assert_allclose(entry["curve"]["scores"], own.scores[number], rtol=1e-4)
        assert "curve" not in items(tfxai.page(found))[0]["entries"][0]

    def test_channels_of_input_resampling(self):
        images, _, _ = flowers.make(n=2)
        model = flowers.load_model()
        found = tfxai.InputResampling(model, ["block3_relu"], samples=10)(images, verbose=0)
        one = items(tfxai.page({"cam": tfxai.GradCAM(model)(images), "mine": found}))[1]
        assert [entry["method"] for entry in one["entries"]] == ["cam", "mine"]
        entry = one["entries"][1]
        boxes = found.boxes({"block3_relu": np.arange(found.channels["block3_relu"])[None].repeat(2, 0)})
        for channel, influence, precision, *box in entry["channels"]:
            for told, metric in ((influence, "correlation"), (precision, "precision")):
                known = found.scores[metric]["block3_relu"][1, channel]
                assert told == pytest.approx(known, rel=1e-3) if np.isfinite(known) else told is None
            assert box == boxes["block3_relu"][1, channel].tolist()
        assert entry["layer"] == "block3_relu"
        with pytest.raises(ValueError, match=r"got \[1, 2\] inputs"):
            tfxai.page([tfxai.GradCAM(model)(images[:1]), found])
        rows = tfxai.Occlusion(lambda x: x[:, :1])(np.ones((2, 3)), target=0)
        with pytest.raises(ValueError, match="explanations are not of images"):
            tfxai.page([rows, found])

    def test_json_holds_what_it_was_given(self):
        import json

        assert json.loads(as_json({"a": NASTY})) == {"a": NASTY}

    def test_all_scripts_are_joined(self):
        from importlib import resources

        folder = resources.files("tfxai.pages").joinpath("script")
        assert sorted(SCRIPTS) == sorted(one.name.removesuffix(".js") for one in folder.iterdir())


class TestGrowing:
    """A page that grows: with what methods find beside their heat-maps."""

    @pytest.fixture
    def page(self, tmp_path):
        return ExplainedPage(tmp_path / "page.html", "<b>$n</b>", lambda x: np.round(255 * x).astype(np.uint8))

    def test_it_is_whole_after_each_image(self, page):
        photograph = np.full((20, 40, 3), 200, np.uint8)
        page.add("one.png", photograph, ["<u>12 %</u>"], {"grad & cam": explanation()}, np.array([0.12]))
        first = page.path.read_text(encoding="utf-8")
        page.add("two.png", photograph, ["3 %"], {"grad & cam": explanation()})
        both = page.path.read_text(encoding="utf-8")
        assert both.startswith(first)
        assert [one["name"] for one in items(first)] == ["one.png"]
        found = items(both)
        assert [one["name"] for one in found] == ["one.png", "two.png"]
        assert [one["entries"][0]["probability"] for one in found] == [pytest.approx(0.12), None]
        assert both.count("<!doctype html>") == 1
        assert not re.search(r"<i>|<u>|<b>\$", both)
        assert "&lt;b&gt;$n&lt;/b&gt;" in both

    def test_both_sides_of_a_mask(self, page):
        sides = {"foreground": (1, 0, 0), "background": (0, 0, 1)}
        extras = {name: np.full((1, 8, 8, 3), colour, np.float32) for name, colour in sides.items()}
        extras["inversion_values"] = np.eye(8, dtype=np.float32)[None, ::-1]
        found = explanation(method="guided_feature_inversion", extras=extras)
        page.add("one.png", np.full((20, 40, 3), 200, np.uint8), [], {"inverted": found})
        entry = items(page.path.read_text(encoding="utf-8"))[0]["entries"][0]
        more = {one["caption"]: one for one in entry["more"]}
        assert list(more) == ["inversion mask", *sides]
        for name, colour in sides.items():
            np.testing.assert_allclose(picture(more[name]["photo"]).mean((0, 1)), 255 * np.array(colour), atol=4)
        np.testing.assert_allclose(values(more["inversion mask"]["map"]), values(entry["map"])[::-1], atol=1e-4)

    def test_words_that_attend(self, page):
        words = x = keras.Input((4,), dtype="int32")
        x = keras.layers.Embedding(9, 8)(x)
        x = keras.layers.GlobalAveragePooling1D()(x + keras.layers.MultiHeadAttention(2, 4)(x, x))
        found = tfxai.AttentionGradient(keras.Model(words, keras.layers.Dense(2)(x)))(np.array([[5, 1, 7, 2]]))
        page.add_told("text", [], {"attention": found}, {"attention": found.words(0)}, "words")
        (entry,) = items(page.path.read_text(encoding="utf-8"))[0]["entries"]
        np.testing.assert_allclose(values(entry["between"]), found.extras["between"][0], atol=1e-4)

    def test_features_that_speak(self, page):
        images, labels, _ = flowers.make(n=12, size=32)
        features = tfxai.RelevantFeatures(flowers.load_model(), mu=5).fit(images, labels, verbose=0)
        found = features.explain(images[:1], top=2)
        page.add("one.png", images[0], [], {"relevant_features": found})
        more = items(page.path.read_text(encoding="utf-8"))[0]["entries"][0]["more"]
        expected = found.evidence()[0]
        assert len(expected) == 2
        for one, evidence in zip(more, expected, strict=True):
            assert one["caption"] == f"{evidence.layer} {evidence.channel}: {evidence.contribution:.2g}"
            np.testing.assert_allclose(values(one["map"]), evidence.heatmap, atol=0.01)

        learned = features.interpret(images, verbose=0)
        more = items(tfxai.page(found, interpretation=learned))[0]["entries"][0]["more"]
        assert [one["caption"] for one in more[::2]] == [
            f"{one.layer} {one.channel}: {one.contribution:.2g}" for one in expected
        ]
        for one, evidence in zip(more[1::2], expected, strict=True):
            assert one["caption"] == f"what {evidence.layer} {evidence.channel} looks for"
            average = learned.averages[int(found.target[0])][evidence.layer, evidence.channel].average
            np.testing.assert_allclose(picture(one["photo"]).mean((0, 1)), average.mean((0, 1)), atol=6)


class TestNotebooks:
    def test_pictures_with_their_signs(self):
        signed = np.zeros((1, 8, 8))
        signed[0, :4] = -1
        html = explanation(signed, method="occlusion")._repr_html_()
        (address,) = re.findall(r'<img src="([^"]+)"', html)
        drawn = picture(address).astype(int)
        assert (drawn[:3, :, 2] - drawn[:3, :, 0]).min() > 40  # blue: against
        assert "a &lt;i&gt;rose" in html
        assert "<i>" not in html
        assert len(html) < 5000

    def test_no_more_than_a_few(self):
        html = explanation(np.ones((11, 8, 8)))._repr_html_()
        assert html.count("<img") == 8
        assert "3 more" in html

    def test_rows_and_what_is_not_drawn(self):
        rows = explanation([[1.0, -2, 3]], inputs=np.ones((1, 3), np.float32))._repr_html_()
        assert re.findall(r">(feature \d) = 1 ([+-]\d)<", rows) == [
            ("feature 2", "+3"),
            ("feature 1", "-2"),
            ("feature 0", "+1"),
        ]
        assert explanation(np.ones((1, 5)), inputs=np.ones((1, 5, 2)))._repr_html_() is None


def test_photographs_are_no_larger_than_they_are_shown():
    html = explanation().to_html(images=[cv2.resize(flowers.make(n=1)[0][0], (900, 600))])
    assert picture(items(html)[0]["photo"]).shape == (192, 288, 3)


def test_costs_are_those_of_the_options_that_were_used():
    model = tfxai.datasets.flowers.load_model()
    images, _, _ = tfxai.datasets.flowers.make(n=1)
    told = tfxai.RISE(model, masks=30)(images).to_html()
    assert re.search(r"Costs 30 [^.]*\(masks\)", told)
    assert not tfxai.RISE.facts.cost.startswith("30 ")
    assert "Costs 1 gradient pass" in tfxai.Saliency(model)(images).to_html()
