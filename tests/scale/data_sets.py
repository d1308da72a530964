"""The same few images as every kind of source, and results by the bytes of their files."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf
from keras import layers

SHARD = 8  # rows


def pictures(n: int = 22, size: tuple[int, int] = (16, 16)) -> np.ndarray:
    """uint8 images, of which no two are alike."""
    return np.random.default_rng(0).integers(0, 256, (n, *size, 3), np.uint8)


def encoded(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def tree(folder: Path, images: np.ndarray) -> Path:
    """A folder tree whose order is that of the images."""
    for number, image in enumerate(images):
        file = folder / f"{'ab'[number >= len(images) // 2]}" / f"{number:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(image))
    return folder


def table(file: Path, paths: list[str], column: str = "path") -> Path:
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerows([[column, "note"], *([path, "x"] for path in paths)])
    return file


def records(file: Path, contents: list[bytes], name: str = "image/encoded") -> Path:
    with tf.io.TFRecordWriter(str(file)) as writer:
        for content in contents:
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
            example = tf.train.Example(features=tf.train.Features(feature={name: feature}))
            writer.write(example.SerializeToString())
    return file


def contents(folder: Path) -> dict[str, str]:
    """The hash of every file of results; what is unfinished shows as well."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def model_file(folder: Path) -> Path:
    """A network of pixels from 0 to 255, so that files and arrays are the same to it."""
    path = folder / "model.keras"
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3)]
    keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3, strides=3, activation="relu"), *head]).save(path)
    return path
