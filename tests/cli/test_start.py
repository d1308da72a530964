"""What is told before TensorFlow starts, and what its start tells."""

import os
import subprocess
import sys

import pytest

import tfxai
from tfxai.facts import Facts, all_facts
from tfxai.neurons.prediction import PredictionByFeatures

HEAVY = ("tensorflow", "keras", "numpy", "cv2", "matplotlib", "sklearn")
PROGRAM = """
import sys
import tfxai
from tfxai.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as exit:
    code = exit.code
print([name for name in {heavy} if name in sys.modules], code)
"""


def last_line(program, *arguments):
    ran = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["methods"], 0),
        (["explain", "--help"], 0),
        (["evaluate", "faithfulness", "--help"], 0),
        (["evaluate"], 2),
        (["explain", "model.keras", "cat.jpg", "--preproces", "0.1"], 2),
        (["explain", "missing.keras", "cat.jpg"], 2),
        (["explain", sys.executable, "missing.jpg"], 2),
    ],
)
def test_nothing_heavy_is_imported_where_it_is_not_needed(arguments, code):
    assert last_line(PROGRAM.format(heavy=HEAVY), *arguments) == f"[] {code}"


SWITCHED_OFF = """
import sys
import tfxai
print("numpy" in sys.modules, "tfxai.public" in sys.modules)
import tensorflow as tf
tf.compat.v1.disable_v2_behavior()
import tfxai.explainer, tfxai.scale
print("tfxai.public" in sys.modules)
tfxai.GradCAM
from tfxai import api, GradCAM
print("tfxai.public" in sys.modules, api.by_name("grad_cam") is GradCAM is tfxai.GradCAM)
import keras
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
for look in (tfxai.Saliency, tfxai.layers, tfxai.InputResampling, lambda model: tfxai.DeepDream(model, {})):
    try:
        look(model)
    except ValueError as error:
        print("refused:", error)
"""


@pytest.fixture(scope="module")
def switched_off():
    """What a process prints in which eager execution is switched off; one, for TensorFlow takes seconds to start."""
    done = subprocess.run([sys.executable, "-c", SWITCHED_OFF], capture_output=True, text=True, timeout=300, check=True)
    return done.stdout.splitlines()


def test_names_are_imported_when_they_are_asked_for(switched_off):
    assert switched_off[0] == "False False"


def test_a_module_may_be_the_first(switched_off):
    """Before the names of the package are."""
    assert switched_off[1:3] == ["False", "True True"]


def test_eager_execution_that_is_switched_off_is_said(switched_off):
    assert len(switched_off) == 7
    assert all(line.startswith("refused: Expected eager execution") for line in switched_off[3:])


def test_the_package_has_what_it_names():
    assert set(tfxai.__all__) <= set(dir(tfxai))
    assert all(getattr(tfxai, name) is not None for name in tfxai.__all__)
    with pytest.raises(AttributeError, match="module 'tfxai' has no attribute 'GradCAN'"):
        tfxai.GradCAN  # noqa: B018


def test_the_file_of_facts_tells_of_each_method():
    told = all_facts()
    assert list(told) == list(tfxai.methods())
    assert all(cls.facts is told[name] for name, cls in tfxai.methods().items())
    assert isinstance(PredictionByFeatures.facts, Facts)


def test_lines_of_tensorflow_are_shown_only_if_its_start_fails():
    program = (
        "import os, sys\n"
        "from tfxai.cli.quiet import quiet_start\n"
        "with quiet_start():\n"
        "    os.write(2, b'one')\n"
        "os.write(2, b'two')\n"
        "with quiet_start():\n"
        "    os.write(2, b'three')\n"
        "    raise ImportError('four')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ)
    assert ran.stderr.startswith("twothree")
    assert "ImportError: four" in ran.stderr
