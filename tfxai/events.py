"""TensorBoard's events, as TensorFlow alone can write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


def summarize(grid: np.ndarray | None, png: bytes | None, similarities: dict[str, float]) -> None:
    """Write what `tf.summary` would, but without the package TensorBoard and without encoding the picture again."""

    def write(tag: str, value: Any, plugin: str) -> None:
        metadata = tf.compat.v1.SummaryMetadata()
        metadata.plugin_data.plugin_name = plugin
        tf.summary.write(tag, value, metadata=metadata)

    for title, value in similarities.items():
        write(f"similarity/{title}", np.float32(value), "scalars")
    if grid is not None and png is not None:
        height, width = grid.shape[:2]
        write("explanations", tf.constant([str(width).encode(), str(height).encode(), png]), "images")
