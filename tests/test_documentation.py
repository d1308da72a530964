"""What the documentation shows runs: each snippet of a page after the ones above it, each command as it is parsed."""

from __future__ import annotations

import functools
import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
from documented import STAGES, mobile_net

import tfxai
from tfxai.cli.program import _joined, _parser
from tfxai.datasets import flowers

ROOT = Path(__file__).parents[1]
load_once, make = functools.cache(flowers.load_model), flowers.make
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The blocks of code in this language, each with its first line's number."""
    text = page.read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, match.start(1)), match[1]) for match in found]


LONG = {"how_to_trust_an_explanation"}  # two minutes
OF_ONE_SIZE = {"how_to_explain_transformers"}  # the network takes no other


def fewer(name: flowers.Name = "single-6c", n: int = 600, size: int = 112, seed: int = 0) -> tuple[np.ndarray, ...]:
    """In place of `flowers.make`: what a page does runs on less."""
    return make(name, min(n, 60), size // 2, seed)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.nightly] if page.stem in LONG else [])
        for page in PAGES
        if blocks(page, "python")
    ],
)
def test_snippets_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(flowers, "load_model", load_once)
    if page.stem not in OF_ONE_SIZE:
        monkeypatch.setattr(flowers, "make", fewer)
    monkeypatch.setattr(keras.applications, "MobileNetV2", mobile_net)
    names = STAGES.get(page.stem, dict)()
    for line, code in blocks(page, "python"):
        exec(compile("\n" * line + code, page, "exec"), names)


COMMANDS = [
    pytest.param(command, id=f"{page.stem}:{line}")
    for page in PAGES
    for line, block in blocks(page, "(?:console|sh|bash)")
    for command in re.findall(r"^(?:\$ )?(?:[^$\n]*\| )?(tfxai .*)$", block.replace("\\\n", " "), re.MULTILINE)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command):
    words = shlex.split(command, comments=True)[1:]
    if words[-1] != "--help":
        assert _parser().parse_args(_joined(words)).work


def test_methods_are_counted():
    assert f"{len(tfxai.methods())} methods behind one interface" in (ROOT / "README.md").read_text()
