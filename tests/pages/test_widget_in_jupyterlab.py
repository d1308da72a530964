"""The widget in JupyterLab itself: a real kernel, a real browser, and what each tells the other."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tfxai

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
CELL = """import numpy as np, tfxai
from tfxai.datasets import flowers
images, _, _ = flowers.make(n=2)
view = tfxai.widget(tfxai.GradCAM(flowers.load_model())(images), names=["one", "two"])
def answer(change):
    with open("told.txt", "a") as file:
        file.write(change["new"] + "\\n")
    if change["new"] == "#image=2":
        view.state = "#image=1&hide=30"
view.observe(answer, "state")
view"""
NAME = "return document.querySelector('.inputs select').selectedOptions[0].textContent"
DRAWN = "return [...document.querySelectorAll('.frame canvas')].map((one) => one.toDataURL()).join()"


@pytest.fixture
def address(tmp_path):
    """A server with a notebook, which ends with the test."""
    for package in ("jupyterlab", "ipykernel", "anywidget"):
        pytest.importorskip(package, reason="runs a notebook: pip install jupyterlab ipykernel anywidget")
    cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": CELL}
    notebook = {
        "cells": [cell],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}},
    }
    (tmp_path / "try.ipynb").write_text(json.dumps(notebook | {"nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    package = str(Path(tfxai.__file__).parents[1])
    shared = os.pathsep.join(str(Path(folder).parents[2] / "share/jupyter") for folder in sys.path if "site-" in folder)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    options = [f"--notebook-dir={tmp_path}", "--IdentityProvider.token=", "--LabApp.news_url="]
    with open(tmp_path / "log.txt", "w", encoding="utf-8") as log:
        server = subprocess.Popen(
            command + options,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            env=os.environ | own | {"PYTHONPATH": package, "JUPYTER_PATH": shared},
        )
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(120)


def when(condition, what, seconds=120):
    """What the condition gives, once it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.2)
    return found


def serves(address):
    try:
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 1).close()
    except OSError:
        return False
    return True


def test_browser_and_kernel_tell_each_other_the_state(address, driver, tmp_path):
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver import ActionChains, Keys
    from selenium.webdriver.common.by import By

    def run():
        """Whether the cell runs: JupyterLab hears no keys before it has a kernel."""
        try:
            driver.find_element(By.CSS_SELECTOR, ".jp-CodeCell .cm-content").click()
        except WebDriverException:  # it is drawn once more, or lies beneath a note
            return False
        ActionChains(driver).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()
        time.sleep(1)
        return driver.find_element(By.CSS_SELECTOR, ".jp-InputPrompt").text.strip() not in ("", "[ ]:", "[\u00a0]:")

    def within(code):
        driver.switch_to.frame(driver.find_element(By.CSS_SELECTOR, ".jp-OutputArea iframe"))
        found = driver.execute_script(code)
        driver.switch_to.default_content()
        return found

    when(lambda: serves(address), "the server did not start")
    speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": False, **speed})
    driver.get(f"{address}/lab/tree/try.ipynb")
    when(lambda: driver.find_elements(By.CSS_SELECTOR, ".jp-CodeCell .cm-content"), "the notebook did not open")
    when(run, "the cell did not run")
    when(lambda: driver.find_elements(By.CSS_SELECTOR, ".jp-OutputArea iframe"), "no widget", 240)
    when(lambda: within("const one = document.querySelector('.tfxai-page'); return one && one.dataset.drawn"), "blank")
    before = within(DRAWN)
    assert (within(NAME), len(before) > 5000) == ("one", True)
    within("document.querySelector('[aria-label=\"next input\"]').click()")
    when((tmp_path / "told.txt").exists, "the kernel was not told")
    when(lambda: within(NAME) == "one", "the page did not take what the kernel set")
    assert (tmp_path / "told.txt").read_text().split() == ["#image=2", "#image=1&hide=30"]
    when(lambda: within(DRAWN) not in ("", before), "the canvas stayed")
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
