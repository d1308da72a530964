"""What tests share."""

import functools
import gc
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
import networks
import tensorflow as tf
from browser import driver, page  # noqa: F401 - fixtures
from tensorflow.python.framework import ops  # has no public name

from tfxai import steadiness
from tfxai.models import ModelView
from tfxai.models.keras import KerasView

# TensorFlow notes for each operation which lines made it, for messages of its own. Below pytest and a loop in a graph
# this is a stack of a hundred calls and more: it takes a tenth of the time of the tests, and none of them reads it.
ops._create_c_op = functools.partial(ops._create_c_op, extract_traceback=False)
# So does rewriting each graph before its first run, a quarter of it. A core of the tests, which .ci/run repeats with
# oneDNN, and all of them in .ci/nightly have graphs rewritten, as users have.
REWRITTEN = os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "1"
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not REWRITTEN})
gc.freeze()  # else every full collection walks through all of TensorFlow again: a tenth of the time of the tests
gc.set_threshold(50_000, 10, 10)  # graphs are many small objects that live long, so they are looked at rarely

# Each explainer looks whether its model gives the same outputs twice, a twentieth of the time of the tests. For a model
# and a kind of batch the answer is the same for all explainers. What is refused is looked at again.
_check, _seen = steadiness.check, weakref.WeakKeyDictionary()


@functools.wraps(_check)
def _check_once(view: ModelView, batch: Any, *given: Any) -> None:
    specs = tf.nest.map_structure(lambda x: (x.shape[1:], x.dtype.str), batch)
    kind = repr((specs, given, getattr(view, "output", None)))
    known = _seen.setdefault(view.model, set()) if isinstance(view, KerasView) else set()
    if kind not in known:
        _check(view, batch, *given)
        known.add(kind)


steadiness.check = _check_once


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Random weights are those of the run before, whichever tests ran first; fixtures of all scopes too."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def closed():
    """Figures are let go, for pyplot keeps all that are open and warns of many."""
    yield
    plt.close("all")


@pytest.fixture
def rewritten() -> Iterator[None]:
    """Graphs are rewritten before they run, as they are for users."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not REWRITTEN})


@pytest.fixture
def eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are trained without being traced, which takes longer than the few steps that tests make."""
    monkeypatch.setattr(keras.Model, "compile", functools.partialmethod(keras.Model.compile, run_eagerly=True))


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder with real networks and photographs, which are not part of the package."""
    folder = os.environ.get("TFXAI_TEST_DATA")
    if not folder:
        pytest.skip("TFXAI_TEST_DATA is not set: real networks and photographs are not part of the package")
    return Path(folder)


@pytest.fixture(scope="session")
def small():
    return networks.known("small")


@pytest.fixture(scope="session")
def plain():
    return networks.known("plain")


@pytest.fixture(scope="session")
def residual():
    return networks.known("residual")


@pytest.fixture(scope="session")
def x() -> np.ndarray:
    return networks.oracle("residual_inputs")["x"]


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    return networks.oracle("residual_inputs")["labels"]
