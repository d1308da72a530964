"""Imports run one way: from the command line over the methods and what they share down to the models."""

from pathlib import Path

import imports
import pytest

import tfxai

# From the bottom to the top. What is named in no line is a helper that all methods may use: it stands above the models.
METHODS = {"attribution", "coalitions", "relevance", "inversion", "neurons", "resampling", "synthesis"}
LEVELS = [
    {"checks"},
    {"models"},
    {"(helpers)"},
    {"runner"},
    {"explainer"},
    METHODS,
    {"api", "examples"},
    {"metrics"},
    {"datasets", "scale"},
    {"evaluation"},
    {"cli", "pages", "callbacks", "quantus"},
    {"public"},
    {"__init__", "__main__"},
]
BELOW_MODELS = {"checks"}
# Explanation.plot, to_html and _repr_html_: the one circle, closed when they are called.
SHOWN = {("shown", "plotting"), ("shown", "pages.page"), ("shown", "pages.notebook")}


@pytest.fixture(scope="module")
def edges() -> dict[str, set[str]]:
    return imports.graph(Path(tfxai.__file__).parent)


def room(module: str) -> str:
    return module.split(".")[0]


def level(module: str) -> int:
    found = [i for i, rooms in enumerate(LEVELS) if room(module) in rooms]
    return found[0] if found else LEVELS.index({"(helpers)"})


def test_there_is_something_to_check(edges):
    assert set().union(*LEVELS) - {"(helpers)"} <= {room(module) for module in edges}
    assert {"goal", "runner", "explanation"} <= edges["explainer"]
    assert {"relevance.lrp", "relevance"} <= edges["public"]  # names handed on, and rooms


def test_no_circles(edges):
    assert {("shown", other) for other in edges["shown"]} == SHOWN
    assert not imports.circles(edges | {"shown": set()})


def test_arrows_run_one_way(edges):
    upwards = [(module, other) for module, others in edges.items() for other in others if level(other) > level(module)]
    assert set(upwards) <= SHOWN


def test_rooms_side_by_side_do_not_import_each_other(edges):
    def across(module: str, other: str) -> bool:
        return level(module) == level(other) and room(module) != room(other) and {room(module), room(other)} <= METHODS

    assert not [(module, other) for module, others in edges.items() for other in others if across(module, other)]


def test_models_stand_alone(edges):
    below = {other for module, others in edges.items() if room(module) == "models" for other in others}
    assert {other for other in below if room(other) != "models"} <= BELOW_MODELS
    assert not edges["checks"]


def test_imports_are_found(tmp_path):
    """Wherever they stand, and not where a package's ``__init__`` only hands a name on."""
    for name, text in {
        "__init__": "from pack.room import *\n",
        "a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.b import thing\n",
        "b": "def late():\n    import pack.a\nthing = 1\n",
        "c": "import os\nfrom pack import room, b as other\nfrom pack.room import handed, own\n",
        "d": "from pack import handed\nfrom pack.room import one\n",
        "room/__init__": "from pack.room.one import first as handed\nown = 1\n",
        "room/one": "first = 1\n",
    }.items():
        path = tmp_path / "pack" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    edges = imports.graph(tmp_path / "pack")
    assert edges == {
        "__init__": {"room"},
        "a": {"b"},
        "b": {"a"},
        "c": {"room", "room.one", "b"},
        "d": {"room.one"},
        "room": {"room.one"},
        "room.one": set(),
    }
    assert imports.circles(edges) == [{"a", "b"}]
