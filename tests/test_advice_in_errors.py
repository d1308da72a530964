"""Every error of the package that recommends a method is raised here, and what it recommends works on that model."""

import ast
import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tfxai
from tfxai.inversion import figures

pytestmark = pytest.mark.usefixtures("rewritten")  # TensorFlow does not run the old loop as it is
METHODS = {cls.__name__: name for name, cls in tfxai.methods("decision").items()}
NAMED = re.compile(rf"(?<![-\w])(?:{'|'.join(METHODS)})\b")
ADVICE = re.compile(rf"{NAMED.pattern}|\bmethods? (?:that|without)\b")
CHEAP = {"integrated_gradients": {"steps": 2}, "guided_feature_inversion": {"inversion_steps": 2, "target_steps": 2}}
RNG = np.random.default_rng(0)
IMAGES, SERIES, TABLE = (RNG.uniform(size=(2, *shape)).astype("float32") for shape in ((8, 8, 3), (6, 3), (6,)))
TOKENS = RNG.uniform(size=(2, 8, 8)).astype("float32")
SEQUENCES = {"question": TOKENS[:, :4], "memory": TOKENS[:, :5]}
ROWS = RNG.uniform(size=(4, 6)).astype("float32")
IDS = RNG.integers(1, 9, (2, 6))


def advice() -> Iterator[tuple[str, str]]:
    """Where texts of the package recommend a method, and the texts; not docstrings, nor the command line's own."""
    root = Path(tfxai.__file__).parent
    for file in sorted(root.rglob("*.py")):
        if "cli" in file.parts:
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for text in texts:
            sentence = " " in text.value and id(text) not in alone
            reference = re.fullmatch(r".* \d{4}", text.value)
            if (
                sentence
                and not reference
                and ADVICE.search(text.value)
                and not re.match(r"[a-z ]*;|the |\d", text.value)
            ):
                yield f"{file.relative_to(root)}:{text.lineno}", text.value


@dataclass(frozen=True)
class Case:
    """A model on which a method fails; options of what is recommended; what fails, if that is not explaining."""

    method: str
    make: Callable[..., Any]
    x: Any
    options: dict[str, Any] = field(default_factory=dict)
    better: dict[str, dict[str, Any]] = field(default_factory=dict)
    target: Any = 0
    then: Callable[[Any], Any] = lambda found: None


def sequential(*body):
    return lambda folder: keras.Sequential(list(body))


def convolutional(folder):
    body = [layers.Conv2D(4, 3, activation="relu", name="conv"), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    return keras.Sequential([keras.Input((8, 8, 3)), *body])


def unpooled(folder):
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(1, 3), layers.Reshape((36,))])


def flattened(folder):
    body = [layers.Conv2D(2, 3), layers.Activation("tanh"), layers.Flatten(), layers.Dense(2)]
    return keras.Sequential([keras.Input((8, 8, 3)), *body])


def dense(folder):
    return keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="tanh"), layers.Dense(2)])


def words(folder):
    return keras.Sequential(
        [keras.Input((6,), dtype="int32"), layers.Embedding(9, 3), layers.Flatten(), layers.Dense(2)]
    )


def two_tables(folder):
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    return keras.Model([a, b], layers.Dense(2)(layers.Concatenate()([a, b])))


def two_texts(folder):
    ids, image = keras.Input((6,), dtype="int32", name="ids"), keras.Input((6,), dtype="int32", name="more")
    embedded = layers.Embedding(9, 3)
    return keras.Model([ids, image], layers.Dense(2)(layers.Flatten()(layers.Add()([embedded(ids), embedded(image)]))))


def sees_everything(folder):
    inputs = keras.Input((8, 8, 3))
    x = layers.Reshape((3, 3, 4))(layers.Dense(36)(layers.Flatten()(inputs)))
    return keras.Model(
        inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3, padding="same", name="end")(x)))
    )


def wide(folder):
    return keras.Sequential([keras.Input((15,)), layers.Dense(2)])


def waves(folder):
    """No line fits them."""
    return lambda x: np.cos(9 * x.sum(1, keepdims=True))


def function(folder):
    return lambda x: x.reshape(len(x), -1)[:, :3]


def rounding(folder):
    return tf.function(lambda x: tf.round(x)[:, :3])


def contrast(folder):
    return tf.function(lambda x: tf.reduce_mean(tf.image.adjust_contrast(x, 2.0), [1, 2]))


def choosing(positions):
    """A class is chosen, and adds to the output what no input is given a share of."""

    def make(folder):
        inputs = keras.Input((6, 3) if positions else (6,))
        x = layers.Dense(4)(layers.Flatten()(inputs))
        chosen = layers.Lambda(lambda x: tf.one_hot(tf.argmax(x, -1), 4), output_shape=(4,))(x)
        return keras.Model(inputs, layers.Dense(2)(layers.Add()([x, chosen])))

    return make


def image_without_channels(folder):
    body = [layers.Reshape((6, 6, 1)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    return keras.Sequential([keras.Input((6, 6)), *body])


def series(folder):
    return keras.Sequential([keras.Input((6, 3)), layers.Conv1D(2, 3, name="conv"), layers.GlobalMaxPooling1D()])


def eight_bits(folder):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3, activation="relu"), layers.Dense(2)])
    with pytest.warns(UserWarning, match="quantize"):
        model.quantize("float8")
    return model


def windows(folder):
    inputs = keras.Input((8, 8))
    x = layers.Dense(8)(inputs)
    y = layers.MultiHeadAttention(2, 4, name="windows")(*[ops.reshape(x, (-1, 4, 8))] * 2)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x + ops.reshape(y, (-1, 8, 8)))))


def merging(folder):
    x = inputs = keras.Input((8, 8))
    for name in ("first", "second"):
        x = x + layers.MultiHeadAttention(2, 4, name=name)(x, x)
        x = layers.Reshape((4, 16))(x) if name == "first" else x
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


def crossing(folder):
    question, memory = keras.Input((4, 8), name="question"), keras.Input((5, 8), name="memory")
    x = question + layers.MultiHeadAttention(2, 4)(question, memory)
    return keras.Model([question, memory], layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


def parallel(folder):
    inputs = keras.Input((8, 8))
    x = inputs + layers.MultiHeadAttention(2, 4)(inputs, inputs) + layers.MultiHeadAttention(2, 4)(inputs, inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


@tf.custom_gradient
def tripled(x):
    factor = 3 * tf.sin(x)  # of which the pass itself makes nothing
    return tf.identity(x), lambda signal: signal * factor


def unreachable(folder):
    return tf.function(lambda x: tripled(x)[:, :2])


def unsaved(folder):
    module = tf.Module()
    module.call = tf.function(lambda x: {"out": tripled(x)[:, :2]}, [tf.TensorSpec([None, 6])])
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), module.call, options)
    return folder


def old_loop(folder):
    tf.compat.v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            x = tf.compat.v1.placeholder(tf.float32, [None, 6])
            y = tf.while_loop(lambda i, _: i < 2, lambda i, x: (i + 1, x * x), (0, x))[1]
            outputs = {"out": tf.ensure_shape(y, [None, 6])}
            tf.compat.v1.saved_model.simple_save(session, str(folder / "old"), {"x": x}, outputs)
    finally:
        tf.compat.v1.enable_control_flow_v2()
    return folder / "old"


cumulative = sequential(keras.Input((6,)), layers.Lambda(lambda x: tf.cumsum(x, 1)), layers.Dense(2))
ordered = sequential(keras.Input((6,)), layers.Lambda(tf.sort), layers.Dense(2))
BACKGROUND = {"background": np.zeros((3, 6), "float32")}
SEVERAL = {"integrated_gradients": BACKGROUND, "deep_lift": BACKGROUND}
SHARED = {"operations": {"TopKV2": lambda op, relevance: [relevance[0], None]}}
UNCERTAIN = ("smooth_grad", "square_grad", "var_grad", "gradient_shap", "rise")
CASES = [
    Case("cam", flattened, IMAGES),
    Case("cam", unpooled, IMAGES),
    Case("attention_rollout", function, IMAGES),
    Case("attention_rollout", dense, TABLE),
    Case("attention_rollout", windows, TOKENS),
    Case("attention_rollout", merging, TOKENS, better={"grad_cam": {"layer": "second"}}),
    Case("attention_rollout", crossing, SEQUENCES),
    Case("le_grad", crossing, SEQUENCES),
    Case("le_grad", parallel, TOKENS),
    Case("integrated_gradients", dense, TABLE, {"baseline": np.zeros((5, 6), "float32")}, SEVERAL),
    Case("grad_cam", sees_everything, IMAGES, {"layer": "end"}, then=lambda found: found.heatmaps()),
    Case("grad_cam", convolutional, IMAGES, then=lambda found: figures.stages(found)),
    Case("saliency", unsaved, TABLE),
    Case("saliency", unreachable, TABLE),
    Case("guided_backprop", eight_bits, TABLE),
    Case("saliency", function, TABLE),
    Case("saliency", old_loop, TABLE),
    Case("grad_cam", dense, TABLE),
    Case("grad_cam", words, IDS),
    Case("grad_cam", two_texts, {"ids": IDS, "more": IDS}, better={"occlusion": {"input": "ids"}}),
    Case("lrp", choosing(True), SERIES),
    Case("lrp", choosing(False), TABLE),
    Case("deep_lift", ordered, TABLE, better={"lrp": SHARED}),
    Case("lrp", cumulative, TABLE),
    Case("rise", two_tables, {"a": TABLE, "b": TABLE}, better={"occlusion": {"input": "a"}}),
    Case("saliency", rounding, TABLE),
    Case("saliency", contrast, IMAGES),
    Case("meaningful_perturbation", words, IDS),
    Case("feature_inversion", series, SERIES, {"layer": "conv"}),
    Case("meaningful_perturbation", image_without_channels, RNG.uniform(size=(2, 6, 6)).astype("float32")),
    Case("saliency", convolutional, IMAGES, {"at": "conv"}, {"lrp": {"at": "conv"}, "cam": {"layer": "conv"}}),
    Case("guided_backprop", dense, TABLE),
    Case("input_resampling", function, IMAGES),
    Case(
        "saliency",
        convolutional,
        IMAGES,
        then=lambda found: found.uncertainty,
        better={name: {"uncertainty": True} for name in UNCERTAIN},
    ),
    Case("grad_cam", convolutional, IMAGES, then=lambda found: tfxai.metrics.max_sensitivity(found, IMAGES)),
    Case("shapley_values", wide, np.ones((2, 15), "float32")),
    Case("lime", waves, TABLE),
    Case("feature_ablation", dense, TABLE, then=tfxai.plot_force, better={"partition_shap": {"background": ROWS}}),
    Case("kernel_shap", dense, TABLE, then=tfxai.plot_interactions),
    Case("occlusion", convolutional, IMAGES, then=tfxai.plot_players),
    Case(
        "grad_cam",
        convolutional,
        IMAGES,
        {"precision": "float16"},
        {name: {"precision": "float16"} for name in ("occlusion", "rise", "kernel_shap")},
    ),
]


@functools.cache
def raised(number: int, folder: Path) -> tuple[str, Any]:
    """What the error says, and the model."""
    case = CASES[number]
    model = case.make(folder)
    with pytest.raises((ValueError, TypeError, UserWarning)) as caught:  # of warnings tests make errors
        fail(case, model)
    return str(caught.value), model


def fail(case: Case, model: Any) -> None:
    if case.method == "input_resampling":
        tfxai.InputResampling(model)(case.x)
    options = CHEAP.get(case.method, {}) | case.options
    case.then(tfxai.explain(model, case.x, case.method, case.target, **options))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("advice")


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{CASES[n].method}-{CASES[n].make.__name__}")
def test_what_is_recommended_works(number, folder):
    case = CASES[number]
    message, model = raised(number, folder)
    failed = {name for name, method in METHODS.items() if method == case.method and method not in case.better}
    names = [name for name in dict.fromkeys(NAMED.findall(message)) if name not in failed]
    assert names, message
    for name in names:
        options = CHEAP.get(METHODS[name], {}) | case.better.get(METHODS[name], {})
        found = tfxai.explain(model, case.x, METHODS[name], case.target, **options)
        assert np.isfinite(found.score).all()


def test_no_advice_is_left_out(folder):
    messages = [raised(number, folder)[0] for number in range(len(CASES))]
    left = [(where, text) for where, text in advice() if not any(text.strip() in message for message in messages)]
    assert not left


def test_advice_is_found():
    """In the texts of errors, also where these are put together; not in docstrings and facts."""
    texts = [text for _, text in advice()]
    assert len(texts) > 20
    assert any(text.startswith("CAM needs global average pooling") for text in texts)
    assert "Saliency or IntegratedGradients" in texts
