"""Hidden pixels as their surroundings have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
import tensorflow as tf

from tfxai.options import ModelOptions
from tfxai.types import Baseline

# What the neighbours of a pixel weigh in the mean that it is to be (ROAD, Rong et al. 2022).
MEAN = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float32)[..., None, None] / 12
# What a point of a grid weighs in those around it on the next finer grid.
HAT = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32)[..., None, None] / 4
TOLERANCE, MOST_TURNS = 3e-5, 1000  # of the largest residual, as a share of the images' range
RADIUS = 3.0  # pixels that OpenCV looks at around each


def interpolated(x: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Images in which each hidden pixel is the weighted mean of its neighbours, those outside the image left out.

    The linear system of ROAD (Rong et al. 2022): direct neighbours weigh 1/6, diagonal ones 1/12. It is solved by
    conjugate gradients for all images and channels at once, preconditioned on ever coarser grids (Bramble, Pasciak and
    Xu 1990), without which a hole takes as many turns as it is wide. Where nothing is left of an image, it is 0.

    Parameters
    ----------
    x : tf.Tensor
        (n, h, w, c) images.
    hidden : tf.Tensor
        (k, 1 or n, h, w, c) 1 where a pixel is hidden, of all channels, else 0.

    Returns
    -------
    tf.Tensor
        (k, n, h, w, c).

    Raises
    ------
    ValueError
        For inputs that are no images with channels last.
    """
    planes, mask, restored = _planes(x, hidden, "interpolate")
    known = (1 - mask) * planes
    number = _neighbours(tf.ones_like(planes[:1]))
    scales = _scales(mask, number)

    def residual(u: tf.Tensor) -> tf.Tensor:
        return mask * (_neighbours(u) - number * u)

    def on_all_grids(r: tf.Tensor) -> tf.Tensor:
        parts = [r]
        for _ in scales[1:]:
            parts.append(tf.nn.conv2d(parts[-1], HAT, 2, "SAME"))
        z = parts[-1] / scales[-1]
        for part, scale in zip(parts[-2::-1], scales[-2::-1], strict=True):
            z = tf.nn.conv2d_transpose(z, HAT, tf.shape(part), 2, "SAME") + part / scale
        return mask * z

    def turn(turns: tf.Tensor, u: tf.Tensor, r: tf.Tensor, p: tf.Tensor, rz: tf.Tensor) -> tuple[tf.Tensor, ...]:
        ap = -residual(p)
        step = tf.math.divide_no_nan(rz, _dot(p, ap))
        u, r = u + step * p, r - step * ap
        z = on_all_grids(r)
        after = _dot(r, z)
        return turns + 1, u, r, z + tf.math.divide_no_nan(after, rz) * p, after

    allowed = TOLERANCE * (tf.reduce_max(x) - tf.reduce_min(x))
    r = residual(known)
    z = on_all_grids(r)
    found = tf.while_loop(
        lambda turns, u, r, *_: (turns < MOST_TURNS) & (tf.reduce_max(tf.abs(r)) > allowed),
        turn,
        (0, known, r, z, _dot(r, z)),
        parallel_iterations=1,
    )
    return restored(found[1])


def inpainted(x: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Images in which OpenCV fills what is hidden from its border inwards (Telea 2004); as `interpolated`.

    In 256 steps between the least and the largest number of an image: with floating numbers OpenCV overshoots.
    """
    planes, mask, restored = _planes(x, hidden, "inpaint")

    def fill(planes: np.ndarray, mask: np.ndarray) -> np.ndarray:
        low, high = planes.min((1, 2), keepdims=True), planes.max((1, 2), keepdims=True)
        width = np.maximum(high - low, np.finfo(np.float32).tiny)
        steps, holes = np.rint(255 * (planes - low) / width).astype(np.uint8), (mask > 0.5).astype(np.uint8)
        found = [cv2.inpaint(*pair, RADIUS, cv2.INPAINT_TELEA) for pair in zip(steps, holes, strict=True)]
        filled = low + np.stack(found)[..., None].astype(np.float32) / 255 * width
        return np.where(holes.all((1, 2), keepdims=True), 0, filled).astype(np.float32)

    found = tf.numpy_function(fill, [planes, mask], tf.float32)
    return restored(tf.ensure_shape(found, planes.shape))


Around: TypeAlias = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
# What hides a part: as for `tfxai.Occlusion`; what its surroundings say, by a linear system or by OpenCV.
Fill: TypeAlias = Baseline | Literal["interpolate", "inpaint"]
SURROUNDINGS: dict[str, Around] = {"interpolate": interpolated, "inpaint": inpainted}


def from_surroundings(fill: Any, options: ModelOptions) -> Around | None:
    """What finds a fill of this name in the surroundings, if it is one; of OpenCV's, options say no XLA then."""
    if not isinstance(fill, str) or fill not in SURROUNDINGS:
        return None
    if fill == "inpaint":
        if options.get("jit_compile") is True:
            raise ValueError('fill="inpaint" is OpenCV\'s, which XLA cannot compile. Use fill="interpolate".')
        options["jit_compile"] = False
    return SURROUNDINGS[fill]


def _planes(x: tf.Tensor, hidden: tf.Tensor, fill: str) -> tuple[tf.Tensor, tf.Tensor, Callable]:
    """Images and what is hidden as (planes, h, w, 1), each channel of each copy for itself; and the way back."""
    if x.shape.rank != 4:
        raise ValueError(f'fill="{fill}" needs images, (n, h, w, c), got {tuple(x.shape)}. Use "mean" or a number.')
    k, n, (height, width, channels) = tf.shape(hidden)[0], tf.shape(x)[0], x.shape[1:]

    def apart(x: tf.Tensor) -> tf.Tensor:
        copies = tf.broadcast_to(x, [k, n, height, width, channels])
        return tf.reshape(tf.transpose(copies, [0, 1, 4, 2, 3]), [-1, height, width, 1])

    def restored(planes: tf.Tensor) -> tf.Tensor:
        return tf.transpose(tf.reshape(planes, [k, n, channels, height, width]), [0, 1, 3, 4, 2])

    return apart(x), apart(hidden), restored


def _neighbours(u: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(u, MEAN, 1, "SAME")


def _scales(mask: tf.Tensor, number: tf.Tensor) -> list[tf.Tensor]:
    """The diagonal of the system on each grid, about: that of a grid alone, and what known pixels hold fast."""
    fast = mask * _neighbours(1 - mask)
    scales = [number]
    while min(fast.shape[1:3]) > 4:
        fast = tf.nn.conv2d(fast, HAT**2, 2, "SAME")
        scales.append(0.75 + fast)
    return scales


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(a * b, [1, 2, 3], keepdims=True)
