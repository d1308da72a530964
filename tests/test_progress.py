"""Progress: lines that logs can hold, where there is no terminal."""

import io
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


def test_rate_failures_and_what_was_done_before(capsys):
    lines = progress.Lines(2000, "input", done=500, stream=sys.stderr, rate=True)
    lines.done, lines.failed = 1000, 3
    assert lines.line(100) == "1,000 of 2,000 inputs, 5.0 a second, 3 min left, 3 failed"
    lines.total = None
    assert lines.line(10) == "1,000 inputs in 10 s, 50.0 a second, 3 failed"
    assert capsys.readouterr() == ("", "500 of 2,000 inputs were done before\n")


def test_lines_in_a_terminal_are_written_over():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    lines = progress.Lines(3, "input", stream=Terminal())
    for _ in range(3):
        lines.add(1)
    told = lines.stream.getvalue()
    assert told.count("\r") == 2
    assert [part.strip() for part in told.split("\r")][-1] == "3 of 3 inputs in 0 s"
    progress.Lines(3, "input", done=1, stream=lines.stream, shown=False).add(2)
    assert lines.stream.getvalue() == told


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
