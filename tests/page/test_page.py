"""The page of the demo, and the one of explained images."""

import base64
import re

import cv2
import numpy as np
import pytest

import tfxai
from tfxai.datasets import flowers
from tfxai.evaluation.demo import Comparison, Score
from tfxai.page import ExplainedPage
from tfxai.page.demo import comparison, opening


def test_names_are_text_and_no_tags():
    """Of the model and of classes, whatever stands in them; the template's own marks included."""
    images = np.full((1, 8, 8, 3), 200, np.uint8)
    explanation = tfxai.Explanation(
        values=np.eye(8, dtype=np.float32)[None],
        target=np.zeros(1, int),
        score=np.ones(1, np.float32),
        inputs=images.astype(np.float32),
        classes=["a <i>rose</i>"],
    )
    scores = [Score("grad_cam", 0.5, 1.0), Score("whole & rest", 0.25)]
    found = Comparison({"grad_cam": explanation}, images, images[..., 0] > 0, scores, 0.5, 3)
    html = opening("<b>$n</b>", ["an <i>aster</i>"]) + comparison(found)
    assert html.count("&lt;b&gt;$n&lt;/b&gt;") == 2
    assert "an &lt;i&gt;aster&lt;/i&gt;" in html
    assert "a &lt;i&gt;rose&lt;/i&gt;" in html
    assert "whole &amp; rest" in html
    assert not re.search(r"<i>|<b>\$", html)
    assert "of 50% of 3 painted flowers" in html


class TestExplained:
    """A page that grows: with what methods find beside their heat-maps."""

    @pytest.fixture
    def page(self, tmp_path):
        return ExplainedPage(tmp_path / "page.html", "<b>$n</b>", lambda x: np.round(255 * x).astype(np.uint8))

    def explanation(self, **extras):
        return tfxai.Explanation(
            values=np.eye(8, dtype=np.float32)[None],
            target=np.zeros(1, int),
            score=np.ones(1, np.float32),
            inputs=np.zeros((1, 8, 8, 3), np.float32),
            method="guided_feature_inversion",
            classes=["a <i>rose</i>"],
            extras=extras,
        )

    def pictures(self, text):
        """Pictures by the words beneath them."""
        found = re.findall(r'base64,([^"]+)" alt="[^"]*"><figcaption>([^<]*)</figcaption>', text)
        return {
            caption: cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            for data, caption in found
        }

    def test_it_is_whole_after_each_image(self, page):
        photograph = np.full((20, 40, 3), 200, np.uint8)
        page.add("one.png", photograph, ["<u>12 %</u>"], {"grad & cam": self.explanation()})
        first = page.path.read_text(encoding="utf-8")
        page.add("two.png", photograph, ["3 %"], {"grad & cam": self.explanation()})
        both = page.path.read_text(encoding="utf-8")
        assert both.startswith(first)
        assert (first.count("<article>"), both.count("<article>"), both.count("</article>")) == (1, 2, 2)
        assert both.count("<!doctype html>") == 1
        assert not re.search(r"https?://|<script|<link|@import|url\(|<i>|<u>|<b>\$", both)
        assert "&lt;b&gt;$n&lt;/b&gt;" in both
        assert "a &lt;i&gt;rose&lt;/i&gt;" in both
        assert {one.shape for one in self.pictures(both).values()} == {(112, 224, 3)}  # as the photograph

    def test_both_sides_of_a_mask(self, page):
        sides = {"foreground": (1, 0, 0), "background": (0, 0, 1)}
        extras = {name: np.full((1, 8, 8, 3), colour, np.float32) for name, colour in sides.items()}
        extras["inversion_values"] = np.eye(8, dtype=np.float32)[None, ::-1]
        explanation = self.explanation(**extras)
        page.add("one.png", np.full((20, 40, 3), 200, np.uint8), [], {"inverted": explanation})
        found = self.pictures(page.path.read_text(encoding="utf-8"))
        assert list(found) == ["input", "inverted", "inversion mask", *sides]
        for name, colour in sides.items():
            np.testing.assert_allclose(found[name].mean((0, 1)), 255 * np.array(colour), atol=4)
        flipped = found["inversion mask"][:, ::-1].astype(float)
        np.testing.assert_allclose(flipped.mean(), found["inverted"].mean(), atol=2)
        assert np.abs(found["inversion mask"] - found["inverted"].astype(float)).mean() > 10

    def test_features_that_speak(self, page):
        images, labels, _ = flowers.make(n=12, size=32)
        features = tfxai.RelevantFeatures(flowers.load_model(), mu=5).fit(images, labels, verbose=0)
        explanation = features.explain(images[:1], top=2)
        page.add("one.png", images[0], [], {"relevant_features": explanation})
        found = self.pictures(page.path.read_text(encoding="utf-8"))
        expected = [f"{one.layer} {one.channel}: {one.contribution:.2g}" for one in explanation.evidence()[0]]
        assert len(expected) == 2
        assert list(found) == ["input", "relevant_features", *expected]
