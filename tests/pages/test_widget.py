"""The page as a widget of notebooks, on the side of Python."""

import sys

import pytest

import tfxai
from tfxai.datasets import flowers
from tfxai.pages.widget import _class


@pytest.fixture(scope="module")
def shown():
    pytest.importorskip("anywidget", reason='makes widgets by anywidget: pip install "tfxai[widget]"')
    images, _, _ = flowers.make(n=2)
    model = flowers.load_model()
    found = [tfxai.GradCAM(model)(images), tfxai.Saliency(model)(images)]
    return tfxai.widget(found, names=["one", "two"], state="#image=2", height=500), found


def test_it_has_the_page_and_its_state(shown):
    made, found = shown
    assert made.html == tfxai.page(found, names=["one", "two"])
    assert (made.state, made.height) == ("#image=2", 500)
    assert {"html", "state", "height", "_esm"} <= set(made.get_state())
    assert repr(made) == "PageWidget(state='#image=2', height=500)"
    seen = []
    made.observe(lambda change: seen.append(change["new"]), "state")
    made.set_state({"state": "#hide=10"})  # as a message of the front end does
    assert seen == ["#hide=10"]
    made.state = "#image=2"


@pytest.mark.parametrize("height", [0, 1.5, True])
def test_heights_are_whole_numbers(shown, height):
    with pytest.raises(ValueError, match="Expected height to be a positive integer"):
        tfxai.widget(shown[1], height=height)


def test_without_anywidget_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    _class.cache_clear()
    with pytest.raises(ImportError, match=r'pip install "tfxai\[widget\]"\. Without it, tfxai\.page'):
        tfxai.widget([])
