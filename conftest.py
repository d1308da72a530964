"""Examples in docstrings share the network of flowers: it is read once, and traced once for what all ask of it."""

import functools

import pytest

from tfxai.datasets import flowers

load_once = functools.cache(flowers.load_model)


@pytest.fixture(autouse=True)
def one_network_of_flowers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.setattr(flowers, "load_model", load_once)
