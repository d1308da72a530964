"""Progress: lines that logs can hold, where there is no terminal."""

import sys
import time

import keras
import numpy as np
import pytest

import tfxai
from tfxai import progress


def test_logs_have_no_escape_codes(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    tfxai.Saliency(model)(np.ones((5, 4)), batch_size=2, verbose=1)
    printed = capsys.readouterr().out
    assert [line.split(",")[0].split(" in ")[0] for line in printed.splitlines()] == [
        "2 of 5 inputs",
        "4 of 5 inputs",
        "5 of 5 inputs",
    ]
    assert "left" in printed.splitlines()[0]
    assert not set(printed) & {"\x1b", "\b", "\r"}


def test_lines_are_seldom(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    lines = progress.bar(100, "image")
    for _ in range(100):
        now[0] += 0.5
        lines.add(1)
    assert capsys.readouterr().out.splitlines() == [
        "20 of 100 images, 40 s left",
        "40 of 100 images, 30 s left",
        "60 of 100 images, 20 s left",
        "80 of 100 images, 10 s left",
        "100 of 100 images in 50 s",
    ]


def test_streams_of_unknown_length(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0)
    progress.bar(None, "batch").add(3)
    assert capsys.readouterr().out == "3 batches in 0 s\n"


def test_terminals_have_the_bar_of_keras(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert isinstance(progress.bar(3, "batch"), keras.utils.Progbar)


@pytest.mark.parametrize(("seconds", "told"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h")])
def test_durations(seconds, told):
    assert progress.duration(seconds) == told
