"""What the pages of the documentation speak of without making it: a user's model, images, rows, names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.datasets import flowers

Names = dict[str, Any]


def classifier(
    size: int = 32, classes: int = 6, final: str | None = None, names: tuple[str, ...] = ("conv2", "conv4", "conv5")
) -> keras.Model:
    """A network of random weights that has the layers which a page names, and no others."""
    inputs = x = keras.Input((size, size, 3))
    for number, name in enumerate(names):
        x = layers.Conv2D(16, 3, strides=1 if number > 1 else 2, padding="same", activation="relu", name=name)(x)
    x = layers.Dense(classes, final, name="dense")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x)


def generic() -> Names:
    """A batch of images, and a model of them."""
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (4, 32, 32, 3)).astype("float32")
    return {
        "images": images,
        "labels": np.array([3, 5, 1, 0]),
        "model": classifier(),
        "names": ["tabby cat", "tiger cat", "beagle", "pug", "fox", "wolf"],
    }


def photographs() -> Names:
    for file in ("cat.jpg", "dog.jpg"):
        cv2.imwrite(file, np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8))
    return {}


def mobile_net() -> keras.Model:
    """In place of `keras.applications.MobileNetV2`, whose weights would be downloaded."""
    inputs = keras.Input((224, 224, 3))
    x = layers.ReLU(name="out_relu")(layers.Conv2D(8, 16, strides=16)(inputs))
    return keras.Model(inputs, layers.Dense(1000, "softmax")(layers.GlobalAveragePooling2D()(x)))


def regions() -> Names:
    squares = np.arange(32)[:, None] // 8 * 4 + np.arange(32) // 8
    names = generic()
    images = names["images"][:2]
    own = {"photographs": images, "my_regions": lambda image: squares}
    return {**names, "tfxai": tfxai, "np": np, "images": images, **own}


def errors() -> Names:
    names = generic()
    blank = names["images"][:1] * np.nan
    return {**names, "explainer": tfxai.GradCAM(names["model"]), "dataset": iter((names["images"][:1], blank))}


def data_set() -> Names:
    """A folder of photographs, and a model file."""
    random = np.random.default_rng(0)
    classifier(final="softmax").save("model.keras")
    for label in ("cat", "dog"):
        folder = Path("photos", label)
        folder.mkdir(parents=True)
        for number in range(8):
            cv2.imwrite(str(folder / f"{number}.png"), random.integers(0, 255, (32, 32, 3), np.uint8))
    return {"tfxai": tfxai}


def saved_model() -> Names:
    random = np.random.default_rng(0)
    model = flowers.load_model()

    class Module(tf.Module):
        def __init__(self) -> None:
            self.model = model

        @tf.function(input_signature=[tf.TensorSpec([None, 112, 112, 3], tf.float32)])
        def classify(self, photos: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"probabilities": self.model(photos, training=False)}

    images = random.uniform(0, 255, (2, 112, 112, 3)).astype("float32")
    return {"tf": tf, "tfxai": tfxai, "model": model, "module": Module(), "images": images}


def functions() -> Names:
    random = np.random.default_rng(0)
    weights = tf.constant(random.normal(size=(8, 3)), tf.float32)
    backbone = layers.Conv2D(8, 9, strides=8, activation="relu")
    backbone.build((None, 64, 64, 3))

    def answer(*_: Any, json: list) -> SimpleNamespace:
        return SimpleNamespace(
            json=lambda: {"probabilities": tf.nn.softmax(np.array(json).mean((1, 2))).numpy().tolist()}
        )

    return {
        "tf": tf,
        "np": np,
        "tfxai": tfxai,
        "backbone": backbone,
        "weights": weights,
        "images": random.uniform(0, 255, (1, 64, 64, 3)).astype("float32"),
        "url": "",
        "requests": SimpleNamespace(post=answer),
        "onnxruntime": SimpleNamespace(
            InferenceSession=lambda _: SimpleNamespace(run=lambda _, feed: [feed["input"].mean((1, 2))])
        ),
        "classifier": SimpleNamespace(
            decision_function=lambda x: x @ np.ones((x.shape[1], 3)), predict_proba=lambda x: x[:, :2] ** 2
        ),
        "rows": random.uniform(size=(5, 4)).astype("float32"),
        "means": np.full(4, 0.5, "float32"),
    }


def tables() -> Names:
    random = np.random.default_rng(0)
    train = random.normal(size=(50, 5)).astype("float32")
    model = keras.Sequential([keras.Input((5,)), layers.Dense(8, "relu"), layers.Dense(3)])
    space = keras.utils.FeatureSpace({"colour": "string_categorical", "age": "float_normalized"})
    known = {"colour": ["red", "blue", "red", "green"], "age": [20.0, 30.0, 40.0, 50.0]}
    space.adapt(tf.data.Dataset.from_tensor_slices(known).batch(2))
    return {"keras": keras, "model": model, "train": train, "rows": train[:6], "space": space}


def texts() -> Names:
    vocabulary = ["a", "film", "without", "dull", "minute", "two", "hours", "that", "I", "want", "back"]
    tokenizer = layers.TextVectorization(vocabulary=vocabulary, standardize=None, output_sequence_length=8)
    model = keras.Sequential(
        [keras.Input((8,), dtype="int32"), layers.Embedding(20, 8), layers.GlobalAveragePooling1D(), layers.Dense(2)]
    )
    preprocessor = lambda texts: tokenizer(texts)  # noqa: E731
    preprocessor.tokenizer = tokenizer
    return {"classifier": model, "model": model, "preprocessor": preprocessor, "tokenizer": tokenizer, "mask_id": 1}


def your_model() -> Names:
    names = generic()
    images = names["images"]
    names["model"] = model = classifier(final="softmax")
    model.save("model.keras")
    image, table = keras.Input((32, 32, 3), name="image"), keras.Input((4,), name="table")
    both = layers.Dense(3)(layers.Concatenate()([layers.GlobalAveragePooling2D()(image), table]))
    language = keras.Sequential([keras.Input((6,), dtype="int32"), layers.Embedding(20, 8), layers.Dense(20)])
    segmentation = keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(6, 3, padding="same")])
    series = keras.Sequential([keras.Input((9, 2)), layers.Conv1D(2, 3, padding="same")])
    mask = np.zeros((32, 32), bool)
    mask[5:9] = True
    return {
        **names,
        "tfxai": tfxai,
        "tf": tf,
        "photos": (images * 127.5 + 127.5).astype("uint8"),
        "preprocess": lambda photos: photos / np.float32(127.5) - 1,
        "explainer_of_both": tfxai.Saliency(keras.Model([image, table], both)),
        "language_explainer": tfxai.Saliency(language),
        "segmentation_explainer": tfxai.Saliency(segmentation),
        "series_explainer": tfxai.Saliency(series),
        "rows": np.ones((4, 4), "float32"),
        "dataset": tf.data.Dataset.from_tensor_slices(images).batch(2),
        "files": range(4),
        "load": images.__getitem__,
        "prompts": np.array([[1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]]),
        "series": np.random.default_rng(0).normal(size=(3, 9, 2)).astype("float32"),
        "mask": mask,
    }


def what_a_class_looks_like() -> Names:
    images = np.random.default_rng(0).uniform(-1, 1, (128, 16, 16, 3)).astype("float32")
    size, shape = images[0].size, images.shape[1:]

    def autoencoder() -> keras.Model:
        return keras.Sequential([keras.Input(shape), layers.Conv2D(3, 3, padding="same")])

    encoder = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(4)])
    decoder = [layers.Dense(size, "tanh"), layers.Reshape(shape)]
    return {
        "tfxai": tfxai,
        "model": classifier(16, 1000, names=("conv3", "conv4", "mixed4", "mixed5", "fire9_concat")),
        "images": images,
        "photographs": images[:4],
        "vector": np.ones(16, "float32"),
        "autoencoder": autoencoder(),
        "encoder": encoder,
        "decoder": keras.Sequential([keras.Input((4,)), *decoder]),
        "discriminator": keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(1)]),
        "generator": keras.Sequential([keras.Input((5,)), layers.Dense(size, "tanh"), layers.Reshape(shape)]),
    }


def coming() -> Names:
    """For pages that translate calls of other packages; rows of a table too."""
    table = keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu"), layers.Dense(2, "softmax")])
    train = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
    return {**generic(), "train": train, "table_model": table}


def cookbook() -> Names:
    names = training()
    rows = np.random.default_rng(0).normal(size=(20, 4))
    forest = SimpleNamespace(predict_proba=lambda x: tf.nn.softmax(x[:, :2]).numpy())
    return {**names, "rows": rows, "forest": forest, "before": classifier()}


def training() -> Names:
    names = generic()
    names["model"].compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    return {**names, "keras": keras, "tfxai": tfxai, "train_images": names["images"], "train_labels": names["labels"]}


STAGES: dict[str, Callable[[], Names]] = {
    "README": photographs,
    **dict.fromkeys(("captum", "innvestigate", "shap", "tf_explain", "tf_keras_vis", "xplique"), coming),
    "cookbook": cookbook,
    "how_to_errors": errors,
    "how_to_explain_a_data_set": data_set,
    "how_to_explain_a_saved_model": saved_model,
    "how_to_explain_any_function": functions,
    "how_to_explain_tables": tables,
    "how_to_explain_text": texts,
    "how_to_explain_your_model": your_model,
    "how_to_see_what_a_class_looks_like": what_a_class_looks_like,
    "how_to_use_shapley_values": regions,
    "how_to_watch_training": training,
    "index": generic,
}
