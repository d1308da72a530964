"""The page that compares methods."""

import re

import numpy as np

import tfxai
from tfxai.evaluation.demo import Comparison, Score
from tfxai.page import comparison_page


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
    found = Comparison({"grad_cam": explanation}, images, images[..., 0] > 0, scores, "<b>$n</b>", 0.5, 3)
    html = comparison_page(found)
    assert html.count("&lt;b&gt;$n&lt;/b&gt;") == 2
    assert "a &lt;i&gt;rose&lt;/i&gt;" in html
    assert "whole &amp; rest" in html
    assert not re.search(r"<i>|<b>\$", html)
    assert "of 50% of 3 painted flowers" in html
