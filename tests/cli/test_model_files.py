"""Files of models that Keras reads only if it knows more, or not at all."""

import re
import sys
import zipfile

import keras
import pytest

import tfxai
from tfxai.cli import main

MY_LAYERS = """
import keras

class Scale(keras.layers.Layer):
    def __init__(self, by=2.0, **options):
        super().__init__(**options)
        self.by = by

    def call(self, x):
        return twice(x) * self.by / 2

    def get_config(self):
        return super().get_config() | {"by": self.by}

def twice(x):
    return 2 * x

objects = {"Scale": Scale, "twice": twice}
"""


@pytest.fixture(scope="module")
def custom(tmp_path_factory):
    """A folder with networks that need a class and a function of a module beside them."""
    folder = tmp_path_factory.mktemp("custom")
    (folder / "my_tfxai_layers.py").write_text(MY_LAYERS)
    known = {"__name__": "__main__"}
    exec(MY_LAYERS, known)
    layers = keras.layers
    body = [layers.Conv2D(2, 3, activation=known["twice"], name="conv"), layers.GlobalAveragePooling2D()]
    network = keras.Sequential([keras.Input((8, 8, 3)), known["Scale"](), *body, layers.Dense(2)])
    for suffix in ("keras", "h5"):
        network.save(folder / f"custom.{suffix}")
    plain = keras.Sequential([keras.Input((8, 8, 3)), layers.Lambda(lambda x: x * 2), layers.Flatten()])
    plain.save(folder / "lambda.keras")
    return folder


@pytest.mark.parametrize("model", ["custom.keras", "custom.h5"])
def test_custom_layers_are_named(custom, capsys, monkeypatch, model):
    monkeypatch.chdir(custom)
    for given in (["my_tfxai_layers:Scale", "my_tfxai_layers:twice"], ["my_tfxai_layers:objects"]):
        options = [word for one in given for word in ("--custom-objects", one)]
        assert main(["layers", *options, model]) == 0
        assert re.search(r"^conv +Conv2D", capsys.readouterr().out, re.MULTILINE)
    sys.path.remove(str(custom))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "it needs 'Scale', which Keras does not know. Say where it is: --custom-objects MODULE:Scale"),
        (["--custom-objects", "my_tfxai_layers:Scale"], "--custom-objects MODULE:twice"),
        (["--custom-objects", "no_such_module:Scale"], "No module named 'no_such_module'"),
        (["--custom-objects", "my_tfxai_layers:Scales"], "has no attribute 'Scales'"),
        (["--custom-objects", "my_tfxai_layers:__file__"], "to be a class, a function or a dict, got str"),
    ],
)
def test_custom_layers_that_are_missing_are_told(custom, capsys, monkeypatch, options, message):
    monkeypatch.chdir(custom)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["layers", "custom.keras", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert len(error) < 400


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("custom.keras", r"needs 'Scale'.*keras.models.load_model\(path, custom_objects=\{'Scale': Scale\}"),
        ("custom.h5", r"needs 'Scale'.*keras.models.load_model\(path, custom_objects=\{'Scale': Scale\}"),
        ("lambda.keras", r"Lambda layer.*safe_mode=False.*model.export"),
        ("keras2.keras", r"written by Keras 2\.15\.0.*model\.h5"),
    ],
)
def test_files_that_keras_does_not_read_say_what_to_do(custom, file, message):
    with zipfile.ZipFile(custom / "keras2.keras", "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "2.15.0"}')
        archive.writestr("config.json", '{"module": "keras.src.engine.sequential", "class_name": "Sequential"}')
    with pytest.raises(ValueError, match=message) as caught:
        tfxai.GradCAM(custom / file)
    assert len(str(caught.value)) < 450
    assert "--" not in str(caught.value)  # options of the command line are nothing to Python
