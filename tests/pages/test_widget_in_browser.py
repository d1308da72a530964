"""The front end of the widget in a real browser, with a model that is not Jupyter's."""

import base64
import json

import pytest

import tfxai
from tfxai.datasets import flowers
from tfxai.pages.parts import file

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
HOST = """<!doctype html><body><div id="one"></div><div id="two"></div><script type="module">
const known = SYNCED, listeners = {}, saved = [];
const model = {
  get: (name) => known[name],
  set: (name, value) => {
    if (known[name] === value) return;
    known[name] = value;
    (listeners[`change:${name}`] || []).forEach((one) => one());
  },
  save_changes: () => saved.push(known.state),
  on: (name, one) => (listeners[name] = [...(listeners[name] || []), one]),
  off: (name, one) => (listeners[name] = listeners[name].filter((other) => other !== one)),
};
const { default: front } = await import("data:text/javascript;base64,MODULE");
const away = ["one", "two"].map((id) => front.render({ model, el: document.getElementById(id) }));
window.host = { model, saved, listeners, away };
</script>"""


@pytest.fixture(scope="module")
def html():
    images, _, _ = flowers.make(n=2)
    return tfxai.page(tfxai.GradCAM(flowers.load_model())(images), names=["one", "two"])


@pytest.fixture
def host(page, html, tmp_path):
    """A page that shows the widget twice."""
    synced = json.dumps({"html": html, "state": "#image=2", "height": 500}).replace("<", "\\u003c")
    module = base64.b64encode(file("widget.js").encode()).decode()
    (tmp_path / "host.html").write_text(HOST.replace("SYNCED", synced).replace("MODULE", module), encoding="utf-8")
    page.driver.get((tmp_path / "host.html").as_uri())
    page.wait(lambda: page.js("return window.host && document.querySelectorAll('iframe').length == 2"))
    return page


def within(host, number, code):
    """What code gives in one of the frames."""
    host.driver.switch_to.frame(number)
    host.wait(lambda: host.js("const one = document.querySelector('.tfxai-page'); return one && one.dataset.drawn"))
    found = host.settled().js(code)
    host.driver.switch_to.default_content()
    return found


NAME = "return document.querySelector('.inputs select').selectedOptions[0].textContent"


def test_states_go_both_ways(host):
    host.wait(lambda: within(host, 0, NAME) == "two")
    press = "document.querySelector('[aria-label=\"previous input\"]').click()"
    within(host, 0, press)
    host.wait(lambda: host.js("return host.saved") == [""])
    host.wait(lambda: within(host, 1, NAME) == "one")  # the other view of the widget follows
    host.js("host.model.set('state', '#image=2&hide=30')")
    assert [within(host, number, NAME) for number in (0, 1)] == ["two", "two"]
    assert within(host, 0, "return document.querySelector('.control.hide output').textContent") == "30 %"
    assert host.js("return host.saved") == [""]  # what came from Python is not told to it again
    host.js("host.model.set('state', '#nonsense=1')")
    host.wait(lambda: within(host, 1, NAME) == "one")


def test_maps_are_drawn_and_follow_the_controls(host):
    drawn = "return [...document.querySelectorAll('.frame canvas')].map((one) => one.toDataURL()).join()"
    host.wait(lambda: within(host, 0, NAME) == "two")
    before = within(host, 0, drawn)
    assert len(before) > 5000
    set_ = "const one = document.querySelector('.control.opacity input'); one.value = 90;"
    within(host, 0, f"{set_} one.dispatchEvent(new Event('input'))")
    assert within(host, 0, drawn) != before
    assert host.js("return host.model.get('state')") == "#image=2&opacity=90"


def test_height_page_and_end(host):
    host.js("host.model.set('height', 333)")
    assert host.js("return document.querySelector('iframe').getBoundingClientRect().height") == 333
    host.js("host.model.set('html', '<p>other</p>')")
    host.wait(lambda: host.js("return document.querySelector('iframe').srcdoc") == "<p>other</p>")
    host.js("host.away.forEach((end) => end())")
    assert host.js("return Object.values(host.listeners).flat().length") == 0


def test_the_page_cannot_reach_what_holds_it(host):
    reach = "try { return String(window.parent.document) } catch (error) { return error.name }"
    assert within(host, 0, reach) == "SecurityError"
