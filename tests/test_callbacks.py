"""Explanations during training: right numbers and pictures, an undisturbed training, nothing that stops it."""

import itertools
import logging
import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy.stats import spearmanr

import tfxai
from tfxai.callbacks import ExplanationCallback
from tfxai.plotting import GAP, LINE, overlay, saturate

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 255, (24, 16, 16, 3)).astype(np.float32)
Y = RNG.integers(0, 3, 24)


def small(channels: int = 3, size: int = 16, classes: int = 3, **compiled) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((size, size, channels), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(layers.Rescaling(1 / 255)(inputs))
    x = layers.Dropout(0.3)(layers.BatchNormalization()(x))
    x = layers.Conv2D(4, 3, activation="relu", name="last")(x)
    model = keras.Model(inputs, layers.Dense(classes, name="top")(layers.GlobalAveragePooling2D()(x)), name="small")
    return compiled_(model, **compiled)


def compiled_(model: keras.Model, **options) -> keras.Model:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    given = {"optimizer": keras.optimizers.SGD(0.5), "loss": loss, "metrics": ["accuracy"]} | options
    model.compile(**{"run_eagerly": True} | given)  # to trace so few steps takes longer than they do
    return model


def fit(model, *callbacks, epochs=2, x=X, y=Y, batch_size=12, **options):
    return model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=list(callbacks), **options)


def numbers(callback, title="grad_cam"):
    return [number for number, _ in callback.history[title]]


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "tfxai"]


class Given(tfxai.Explainer):
    """The first channel of the input as the map."""

    facts = tfxai.Saliency.facts

    def attribute(self, run):
        return run.inputs[..., 0]


class TestSimilarity:
    def test_equals_scipy_on_the_weights_of_each_epoch(self):
        """Also: live weights, for each is explained again."""
        model, weights = small(), []
        watch = ExplanationCallback(X[:3], [tfxai.GradCAM, "saliency"], targets=[0, 1, 2])
        keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()))
        fit(model, watch, keep, epochs=4)
        read = {"grad_cam": lambda v: np.maximum(v, 0), "saliency": lambda v: np.abs(v).max(-1)}
        for title, cls in {"grad_cam": tfxai.GradCAM, "saliency": tfxai.Saliency}.items():
            maps, fresh = [], cls(model)
            for own in weights:
                model.set_weights(own)
                maps.append(read[title](fresh(X[:3], [0, 1, 2]).values))
            pairs = itertools.pairwise(maps)
            expected = [
                np.mean([spearmanr(a.ravel(), b.ravel())[0] for a, b in zip(*pair, strict=True)]) for pair in pairs
            ]
            assert numbers(watch, title) == [1, 2, 3]
            np.testing.assert_allclose([value for _, value in watch.history[title]], expected, atol=1e-3)
            assert np.ptp(expected) > 0.01
        np.testing.assert_allclose(
            watch.explanations["saliency"].values, cls(model)(X[:3], [0, 1, 2]).values, rtol=1e-5
        )

    def test_constant_maps_are_left_out(self):
        black = np.zeros_like(X[:1])
        some = ExplanationCallback(np.concatenate([black, X[:1]]), Given)
        none = ExplanationCallback(black, Given)
        fit(small(), some, none)
        assert some.history["saliency"] == [(1, pytest.approx(1))]
        assert np.isnan(none.history["saliency"][0][1])


UNITS = [(1, "epoch"), (2, "batch")]
LAST_BATCH = pytest.mark.skipif(
    keras.__version__.startswith("3.6."),
    reason="of several batches in one call, this Keras tells the first, not the last",
)


class TestTraining:
    def test_is_not_disturbed(self, tmp_path):
        def train(watched):
            model = small(run_eagerly=False, optimizer=keras.optimizers.Adam(0.01))
            callbacks = []
            if watched:
                explainers = [["grad_cam", lambda model: tfxai.SmoothGrad(model, samples=2)], "guided_backprop"]
                callbacks = [
                    ExplanationCallback(X[:2], some, every=n, unit=u, log_dir=tmp_path)
                    for some, (n, u) in zip(explainers, UNITS, strict=True)
                ]
            history = fit(model, *callbacks, epochs=3, validation_data=(X[:6], Y[:6]))
            return model, history.history

        alone, alone_history = train(False)
        watched, watched_history = train(True)
        assert watched_history == alone_history
        for a, b in zip(
            alone.variables + alone.optimizer.variables, watched.variables + watched.optimizer.variables, strict=True
        ):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
        assert [len(part.trainable_variables) for part in alone.layers] == [
            len(p.trainable_variables) for p in watched.layers
        ]
        assert [metric.name for metric in alone.metrics] == [metric.name for metric in watched.metrics]
        assert watched.compiled
        assert watched.losses == alone.losses
        assert not any("call" in vars(layer) for layer in watched.layers)

    def test_compiles_once_and_goes_on_in_a_second_fit(self, tmp_path):
        traces = []

        class Counted(tfxai.GradCAM):
            def attribute(self, run):
                traces.append(1)
                return super().attribute(run)

        model = small()
        watch = ExplanationCallback(X[:2], Counted, log_dir=tmp_path)
        fit(model, watch)
        fit(model, watch)
        fit(model, watch, initial_epoch=4, epochs=5)
        assert len(traces) == 1
        assert numbers(watch) == [1, 2, 3, 4]
        assert sorted(path.name for path in tmp_path.glob("*.png")) == [f"epoch_0000{n}.png" for n in range(5)]

    @pytest.mark.parametrize(
        ("options", "steps", "epochs", "expected"),
        [
            ({"every": 2}, 1, 5, [3]),  # after epochs 1 and 3; the first has no value
            ({"unit": "batch", "every": 3}, 1, 3, [6, 9, 12]),
            pytest.param({"unit": "batch", "every": 3}, 2, 5, [6, 10, 12, 16, 18], marks=LAST_BATCH),
        ],
    )
    def test_every(self, options, steps, epochs, expected, tmp_path):
        watch = ExplanationCallback(X[:1], log_dir=tmp_path, tensorboard=False, **options)
        rows = 24 if "unit" in options else 6  # four batches in an epoch, or one
        model = small(steps_per_execution=steps, run_eagerly=steps == 1)
        fit(model, watch, epochs=epochs, x=X[:rows], y=Y[:rows], batch_size=6)
        assert numbers(watch) == expected
        pictures = sorted(tmp_path.iterdir())
        assert len(pictures) == len(expected) + 1
        assert pictures[-1].name == f"{watch.unit}_{expected[-1]:05d}.png"

    def test_jit_compiled(self):
        watch = ExplanationCallback(X[:1], ["grad_cam", "saliency"])
        fit(small(jit_compile=True, run_eagerly=False), watch)
        assert numbers(watch) == numbers(watch, "saliency") == [1]

    def test_mixed_precision(self, tmp_path, caplog):
        keras.config.set_dtype_policy("mixed_float16")
        try:
            model = small()
        finally:
            keras.config.set_dtype_policy("float32")
        assert model.get_layer("conv").compute_dtype == "float16"
        watch = ExplanationCallback(X[:2], ["grad_cam", "saliency"], log_dir=tmp_path)
        fit(model, watch)
        assert numbers(watch) == numbers(watch, "saliency") == [1]
        assert not warnings(caplog)

    def test_mirrored(self, tmp_path):
        """Two devices must be made before TensorFlow starts, so this takes a process of its own."""
        run = subprocess.run(
            [sys.executable, "-c", MIRRORED, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
        )
        assert run.returncode == 0, run.stderr[-3000:]
        assert "done" in run.stdout
        assert len(list(tmp_path.glob("*.png"))) == 3


MIRRORED = """
import sys
import keras, numpy as np, tensorflow as tf, tfxai
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    model = keras.Sequential([
        keras.Input((12, 12, 3)), keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.2), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3),
    ])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
x, y = np.random.default_rng(0).uniform(size=(16, 12, 12, 3)).astype("float32"), np.arange(16) % 3
watch = tfxai.callbacks.ExplanationCallback(x[:3], ["grad_cam", "saliency"], log_dir=sys.argv[1], targets=1)
model.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[watch])
assert [n for n, _ in watch.history["saliency"]] == [n for n, _ in watch.history["grad_cam"]] == [1, 2]
alone = keras.models.clone_model(model)
alone.set_weights(model.get_weights())
fresh = tfxai.Saliency(alone)(x[:3], 1).values
np.testing.assert_allclose(watch.explanations["saliency"].values, fresh, rtol=1e-4, atol=1e-7)
print("done")
"""


def events(folder):
    found = []
    for path in folder.glob("events*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            found += [(event.step, value) for value in event.summary.value]
    return found


@pytest.fixture(scope="module")
def flowers():
    images, labels, _ = tfxai.datasets.flowers.make(n=12)
    return images, labels


class TestWritten:
    def watch(self, flowers, explainers=("grad_cam", "saliency"), **options):
        return ExplanationCallback(flowers[0][:2], list(explainers), classes=list("Äbcdef"), **options)

    def fit(self, flowers, *callbacks, **options):
        callbacks = list(callbacks) or [self.watch(flowers, **options)]
        fit(small(size=112, classes=6), *callbacks, x=flowers[0].astype(np.float32), y=flowers[1])
        return callbacks[0]

    def test_png_shows_the_overlays(self, flowers, tmp_path):
        watch = self.fit(flowers, log_dir=tmp_path / "new" / "folder")
        grid = cv2.imread(str(tmp_path / "new" / "folder" / "epoch_00001.png"))[..., ::-1]
        step = 112 + GAP
        assert grid.shape == (3 * (112 + LINE + GAP) + 2 * LINE + GAP, 2 * step + GAP, 3)  # photographs: no captions
        for row, title in enumerate(["", "grad_cam", "saliency"]):
            for column in range(2):
                top, left = GAP + row * (112 + LINE + GAP) + LINE + max(0, row - 1) * LINE, GAP + column * step
                shown = grid[top : top + 112, left : left + 112]
                expected = flowers[0][column]
                if title:
                    heatmap = saturate(watch.explanations[title].heatmaps()[column][None])[0]
                    expected = overlay(expected, heatmap)
                np.testing.assert_allclose(shown.astype(int), expected.astype(int), atol=1)
                if title:
                    assert grid[top + 112 : top + 112 + LINE, left : left + 112].min() < 150

    def test_tensorboard_events(self, flowers, tmp_path):
        with tf.summary.record_if(False):  # as keras.callbacks.TensorBoard does between its own steps
            watch = self.fit(flowers, log_dir=tmp_path)
        found = events(tmp_path)
        images = [(step, value) for step, value in found if value.tag == "explanations"]
        assert [step for step, _ in images] == [0, 1]
        for step, value in images:
            assert value.metadata.plugin_data.plugin_name == "images"
            width, height, png = value.tensor.string_val
            assert png == (tmp_path / f"epoch_0000{step}.png").read_bytes()
            assert (int(height), int(width)) == cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR).shape[:2]
        for title in ("grad_cam", "saliency"):
            scalars = [
                (step, pytest.approx(float(tf.make_ndarray(value.tensor))))
                for step, value in found
                if value.tag == f"similarity/{title}"
            ]
            assert watch.history[title] == scalars
            assert len(scalars) == 1
        assert len(found) == 4

    def test_events_are_those_of_tensorboard(self, flowers, tmp_path):
        pytest.importorskip("tensorboard")
        self.fit(flowers, log_dir=tmp_path)
        with tf.summary.create_file_writer(str(tmp_path / "theirs")).as_default(0):
            tf.summary.image("explanations", flowers[0][:1])
            tf.summary.scalar("similarity/grad_cam", 0.5)
        theirs = {value.tag: value for _, value in events(tmp_path / "theirs")}
        ours = {value.tag: value for _, value in events(tmp_path)}
        for tag, value in theirs.items():
            assert ours[tag].metadata == value.metadata
            assert ours[tag].tensor.dtype == value.tensor.dtype
            assert ours[tag].tensor.tensor_shape == value.tensor.tensor_shape

    def test_switches_and_photographs_of_mixed_sizes(self, flowers, tmp_path):
        switches = [(True, False), (False, True), (False, False)]
        folders = {(png, tensorboard): tmp_path / f"{png} {tensorboard}" for png, tensorboard in switches}
        watches = [
            self.watch(flowers, ["saliency"], log_dir=folder, png=png, tensorboard=tensorboard)
            for (png, tensorboard), folder in folders.items()
        ]
        white, black = np.full((300, 200, 3), 255, np.uint8), np.zeros((40, 40))
        self.fit(flowers, *watches, self.watch(flowers, ["saliency"], log_dir=tmp_path, photographs=[white, black]))
        for (png, tensorboard), folder in folders.items():
            assert len(list(folder.glob("*.png"))) == 2 * png
            assert len(events(folder)) == 3 * tensorboard
        grid = cv2.imread(str(tmp_path / "epoch_00000.png"))
        top = GAP + LINE
        assert (grid[top : top + 128, GAP : GAP + 85] == 255).all()  # 300 x 200 becomes 128 x 85
        left = GAP + 96 + GAP  # the widest is the enlarged square
        assert (grid[top : top + 96, left : left + 96] == 0).all()
        assert (grid[top + 96 : top + 128, left:] == 255).all()


class TestMaps:
    def test_of_all_epochs_are_kept(self, tmp_path):
        pytest.importorskip("pyarrow", reason='an extra of the package: pip install "tfxai[scale]"')
        model, latest = small(), {}

        class Latest(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                latest[epoch] = dict(watch.explanations)

        watch = ExplanationCallback(X[:3], ["grad_cam", "saliency"], targets=Y[:3], every=2, maps=tmp_path)
        model.fit(X, Y, epochs=4, verbose=0, callbacks=[watch, Latest()])
        found = tfxai.scale.read(tmp_path)
        assert found.complete
        for method in ("grad_cam", "saliency"):
            stored = list(found.explanations(method))
            assert [ids for ids, _ in stored] == [[f"epoch_{n:05}/{row}" for row in range(3)] for n in (1, 3)]
            for epoch, (_, one) in zip((1, 3), stored, strict=True):
                np.testing.assert_allclose(one.heatmaps(), latest[epoch][method].heatmaps(), atol=2e-3)
                np.testing.assert_array_equal(one.score, latest[epoch][method].score)
        before = found.files[0].read_bytes()
        model.fit(X, Y, initial_epoch=4, epochs=6, verbose=0, callbacks=[watch])
        assert [file.stem for file in found.files] == ["00001", "00003", "00005"]
        assert found.files[0].read_bytes() == before

    def test_do_not_mix_with_others(self, tmp_path):
        pytest.importorskip("pyarrow", reason='an extra of the package: pip install "tfxai[scale]"')
        model = small()
        model.fit(X, Y, epochs=1, verbose=0, callbacks=[ExplanationCallback(X[:3], "saliency", maps=tmp_path)])
        other = ExplanationCallback(X[1:4], "saliency", maps=tmp_path)
        with pytest.raises(ValueError, match=r"source digest was .* Choose another folder by maps="):
            model.fit(X, Y, epochs=1, verbose=0, callbacks=[other])
        with pytest.raises(ValueError, match="images of a model of one input"):
            ExplanationCallback({"a": X[:3], "b": X[:3]}, "saliency", maps=tmp_path)

    def test_need_pyarrow(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ImportError, match=r'pip install "tfxai\[scale\]"'):
            small().fit(X, Y, epochs=1, verbose=0, callbacks=[ExplanationCallback(X[:3], "saliency", maps=tmp_path)])


class TestFailures:
    def test_explainers(self, caplog, tmp_path):
        """Unknown layer, no ReLU, an error in the user's function, no explainer: all others go on."""

        class Late(Given):
            def attribute(self, run):
                raise RuntimeError("on purpose")

        explainers = {
            "bad layer": lambda model: tfxai.GradCAM(model, layer="nowhere"),
            "own": lambda model: 1 / 0,
            "none": lambda model: "grad_cam",
            "late": Late,
            "good": "grad_cam",
        }
        watch = ExplanationCallback(X[:2], explainers, log_dir=tmp_path)
        fit(small(), watch, epochs=3)
        assert numbers(watch, "good") == [1, 2]
        assert len(list(tmp_path.glob("*.png"))) == 3
        said = warnings(caplog)
        assert {record.levelno for record in caplog.records} == {logging.WARNING}
        for title, reason in {"bad layer": "Unknown layer 'nowhere'", "own": "division by zero", "none": "str"}.items():
            assert sum(title in line and reason in line for line in said) == 1, said
        for epoch in range(3):
            assert any(line.startswith(f"late failed at epoch {epoch}: RuntimeError: on purpose") for line in said)
        assert len(said) == 6

    def test_nan_weights(self, caplog):
        model = small()
        good = model.get_weights()

        def damage(epoch, logs):
            model.set_weights([np.full_like(w, np.nan) for w in good] if epoch == 1 else good)

        watch = ExplanationCallback(X[:2])
        fit(model, keras.callbacks.LambdaCallback(on_epoch_end=damage), watch, epochs=4)
        assert "grad_cam failed at epoch 1" in warnings(caplog)[0]
        assert "NaN" in warnings(caplog)[0]
        assert len(warnings(caplog)) == 1
        assert watch.history["grad_cam"] == [(2, pytest.approx(1)), (3, pytest.approx(1))]

    def test_disk(self, caplog, tmp_path):
        (tmp_path / "file").write_text("no folder")
        watch = ExplanationCallback(X[:2], log_dir=tmp_path / "file")
        fit(small(), watch)
        assert numbers(watch) == [1]
        assert [line.partition(":")[0] for line in warnings(caplog)] == [
            f"No {what} of epoch {epoch}" for epoch in range(2) for what in ("PNG", "TensorBoard events")
        ]


class TestModels:
    def test_unbuilt(self, tmp_path):
        """Nothing is known before the first batch, if Keras cannot build the model symbolically either."""

        class Lazy(keras.Model):
            def __init__(self):
                super().__init__()
                self.conv, self.top = layers.Conv2D(4, 3, activation="relu"), layers.Dense(3)

            def call(self, x):
                return self.top(keras.ops.mean(self.conv(x), (1, 2)))

        model = compiled_(Lazy())
        watch = ExplanationCallback(X[:2], unit="batch", log_dir=tmp_path)
        watch.set_model(model)
        watch.on_train_begin()
        assert watch._explainers is None
        fit(model, watch)
        assert numbers(watch) == list(range(2, 5))

    def test_grey(self, tmp_path, caplog):
        watch = ExplanationCallback(X[:2, ..., :1], log_dir=tmp_path)
        fit(small(channels=1), watch, x=X[..., :1])
        assert cv2.imread(str(tmp_path / "epoch_00001.png")).shape[1] == 2 * (96 + GAP) + GAP
        assert not warnings(caplog)

    @pytest.mark.filterwarnings("ignore:The structure of `inputs`")  # older Keras about its own lists
    @pytest.mark.parametrize("kind", [dict, list])
    def test_several_inputs(self, kind, tmp_path, caplog):
        image, table = keras.Input((16, 16, 3), name="image"), keras.Input((4,), name="table")
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(image)))
        inputs = {"image": image, "table": table} if kind is dict else [table, image]
        model = compiled_(keras.Model(inputs, layers.Dense(3)(layers.Concatenate()([x, table]))))
        rows = X[:, 0, :4, 0]
        data = {"image": X, "table": rows} if kind is dict else [rows, X]
        chosen = keras.tree.map_structure(lambda part: part[:2], data)
        pictures = ExplanationCallback(chosen, ["grad_cam", "saliency"], log_dir=tmp_path)
        tables = ExplanationCallback(chosen, "saliency", input="table")
        fit(model, pictures, tables, x=data)
        assert numbers(pictures) == numbers(pictures, "saliency") == numbers(tables, "saliency") == [1]
        assert pictures.history["saliency"] != tables.history["saliency"]
        assert len(list(tmp_path.glob("*.png"))) == 2
        assert not warnings(caplog)

    def test_table(self, tmp_path, caplog):
        model = compiled_(keras.Sequential([keras.Input((6,)), layers.Dense(8, "relu"), layers.Dense(3)]))
        watch = ExplanationCallback(X[:3, 0, :6, 0], "saliency", log_dir=tmp_path)
        fit(model, watch, epochs=3, x=X[:, 0, :6, 0])
        assert numbers(watch, "saliency") == [1, 2]
        assert [value.tag for _, value in events(tmp_path)] == ["similarity/saliency"] * 2
        assert not list(tmp_path.glob("*.png"))
        assert len(warnings(caplog)) == 1
        assert "no pictures" in warnings(caplog)[0]

    def test_given_explainers(self):
        model = small()
        mine = tfxai.GradCAM(model, layer="conv")
        probabilities = tfxai.Saliency(keras.Sequential([model, layers.Softmax()]), score="probability")
        watch = ExplanationCallback(X[:2], [mine, tfxai.SmoothGrad(mine, samples=2), probabilities])
        fit(model, watch)
        assert list(watch.history) == ["grad_cam", "smooth_grad", "saliency"]
        np.testing.assert_allclose(watch.explanations["grad_cam"].values, mine(X[:2]).values, rtol=1e-5)
        assert (watch.explanations["saliency"].score < 1).all()

    @pytest.mark.parametrize("explainer", [tfxai.GradCAM, lambda model: tfxai.GradCAM(model)])
    def test_another_model(self, explainer):
        other = small()
        given = ExplanationCallback(X[:2], explainer(other))
        with pytest.raises(ValueError, match=r"shares no weights with the one that is trained, 'small'"):
            fit(small(), given)
        used = ExplanationCallback(X[:2], explainer)
        fit(other, used)
        with pytest.raises(ValueError, match="Make a new ExplanationCallback"):
            fit(small(), used)


def score(outputs):
    return outputs[:, 0] - outputs[:, 1]


TARGETS = {
    "predicted": (None, None),
    "id": (2, "c"),
    "ids": ([1, 0], "b"),
    "name": ("b", "b"),
    "function": (score, "score"),
    "channel": (tfxai.targets.Channel("conv", 1), "channel 1 of conv"),
    "neuron": (tfxai.targets.Neuron("top", (1,)), "neuron (1,) of top"),
}


@pytest.fixture(scope="module")
def watched():
    """A model that was trained once, watched with all kinds of targets."""
    model = small()
    watches = {
        kind: ExplanationCallback(X[:2], "saliency", targets=targets, classes=list("abc"))
        for kind, (targets, _) in TARGETS.items()
    }
    fit(model, *watches.values())
    return model, watches


@pytest.mark.parametrize("kind", TARGETS)
def test_targets(watched, kind):
    model, watches = watched
    targets, label = TARGETS[kind]
    found, expected = watches[kind].explanations["saliency"], tfxai.Saliency(model, classes=list("abc"))(X[:2], targets)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-9)
    assert found.label(0) == (label or expected.label(0))


def test_titles():
    def mine(model):
        return tfxai.GradCAM(model, layer="conv")

    watch = ExplanationCallback(X[:2], ["GradCAM", mine, tfxai.GradCAM, lambda model: mine(model), tfxai.Saliency])
    assert list(watch.history) == ["grad_cam", "mine", "grad_cam 2", "lambda", "saliency"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"unit": "step"}, ValueError, '"epoch" or "batch", got \'step\''),
        ({"every": 0}, ValueError, "every to be a positive integer"),
        ({"batch_size": 2.5}, ValueError, "batch_size to be a positive integer"),
        ({"explainers": "grad_can"}, ValueError, "Unknown method 'grad_can'.*grad_cam"),
        ({"explainers": []}, ValueError, "at least one explainer"),
        ({"explainers": [3]}, TypeError, "Expected a method's name, a class.*got 3"),
        ({"explainers": keras.Model}, TypeError, "Expected a method's name"),
        ({"targets": [0]}, ValueError, "one target for each of the 2 images, got 1"),
        ({"targets": "rose"}, ValueError, "names of all classes"),
        ({"targets": 0.5}, TypeError, "Expected target"),
        ({"photographs": X[:3]}, ValueError, "one photograph for each of the 2 images, got 3"),
        ({"photographs": [X[0], "a.png"]}, ValueError, "Expected images of shape"),
        ({"images": X[:0]}, ValueError, "empty"),
        ({"images": X[:2] * np.nan}, ValueError, "NaN"),
        ({"images": tf.data.Dataset.from_tensors(X)}, TypeError, "got a dataset. Take one"),
        ({"images": {"a": X[:2], "b": X[:2]}, "input": "c"}, ValueError, r"\['a', 'b'\], got 'c'"),
        ({"log_dir": 3}, TypeError, "int"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        ExplanationCallback(**{"images": X[:2]} | arguments)
