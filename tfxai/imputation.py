"""Hidden pixels as their surroundings have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
import tensorflow as tf

from tfxai.options import ModelOptions
from tfxai.types import Baseline

# What the neighbours of a pixel weigh in the mean that it is to be (ROAD, Rong et al. 2022).
MEAN = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float32) / 12
# What a point of a grid weighs in those around it on the next finer grid.
HAT = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 4
TOLERANCE = 2e-4  # as a share of the images' range; the noise that ROAD adds has 50 times that
MOST_TURNS = 100
COARSEST, SWEEPS = 3, 4  # points along the shorter side of the last grid, and how often it is smoothed
RADIUS = 3.0  # pixels that OpenCV looks at around each


class Grid(NamedTuple):
    """The system on a grid: A u = diagonal u - share N(share u), with N the weighted sum of neighbours.

    Attributes
    ----------
    share : tf.Tensor
        (1, h, w, planes) how much of the surroundings of a point is hidden; of the image's own grid, whether it is.
    diagonal : tf.Tensor
        What holds a point: hidden neighbours, and known ones.
    inverse : tf.Tensor
        One over that; 0 where nothing is hidden.
    """

    share: tf.Tensor
    diagonal: tf.Tensor
    inverse: tf.Tensor

    def times(self, u: tf.Tensor) -> tf.Tensor:
        """A u."""
        return self.diagonal * u - self.share * _around(self.share * u)

    def smoothed(self, u: tf.Tensor, r: tf.Tensor) -> tf.Tensor:
        """A step of Jacobi for A u = r: what varies from point to point shrinks to a third and less."""
        return u + self.inverse * (r - self.times(u))


def interpolated(x: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Images in which each hidden pixel is the weighted mean of its neighbours, those outside the image left out.

    The linear system of ROAD (Rong et al. 2022): direct neighbours weigh 1/6, diagonal ones 1/12. It is solved by
    conjugate gradients for all images and channels at once, until the next correction is nowhere more than `TOLERANCE`.
    One V-cycle over ever coarser grids preconditions it, without which a hole takes as many turns as it is wide. Where
    nothing is left of an image, it is 0.

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
        For inputs that are not images with channels last.
    """
    planes, mask, restored = _planes(x, hidden, "interpolate")
    known, grids = (1 - mask) * planes, _grids(mask)

    def turn(turns: tf.Tensor, u: tf.Tensor, r: tf.Tensor, p: tf.Tensor, z: tf.Tensor) -> tuple[tf.Tensor, ...]:
        ap, rz = grids[0].times(p), _dot(r, z)
        step = tf.math.divide_no_nan(rz, _dot(p, ap))
        u, r = u + step * p, r - step * ap
        z = mask * _cycle(grids, r)
        return turns + 1, u, r, z + tf.math.divide_no_nan(_dot(r, z), rz) * p, z

    allowed = TOLERANCE * (tf.reduce_max(x) - tf.reduce_min(x))
    r = mask * _around(known)
    z = mask * _cycle(grids, r)
    found = tf.while_loop(
        lambda turns, u, r, p, z: (turns < MOST_TURNS) & (tf.reduce_max(tf.abs(z)) > allowed),
        turn,
        (0, known, r, z, z),
        parallel_iterations=1,
    )
    return restored(found[1])


def inpainted(x: tf.Tensor, hidden: tf.Tensor) -> tf.Tensor:
    """Images in which OpenCV fills what is hidden from its border inwards (Telea 2004); as `interpolated`.

    In 256 steps between the least and the largest number of an image: with floating numbers OpenCV overshoots.
    """
    planes, mask, restored = _planes(x, hidden, "inpaint")

    def fill(planes: np.ndarray, mask: np.ndarray) -> np.ndarray:
        low, high = planes.min((0, 1, 2)), planes.max((0, 1, 2))
        width = np.maximum(high - low, np.finfo(np.float32).tiny)
        steps, holes = np.rint(255 * (planes - low) / width).astype(np.uint8), (mask > 0.5).astype(np.uint8)
        pairs = zip(np.moveaxis(steps[0], -1, 0).copy(), np.moveaxis(holes[0], -1, 0).copy(), strict=True)
        found = np.stack([cv2.inpaint(*pair, RADIUS, cv2.INPAINT_TELEA) for pair in pairs], -1)[None]
        filled = low + found.astype(np.float32) / 255 * width
        return np.where(holes.all((0, 1, 2)), 0, filled).astype(np.float32)

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
            raise ValueError('fill="inpaint" runs in OpenCV, which XLA cannot compile. Use fill="interpolate".')
        options["jit_compile"] = False
    return SURROUNDINGS[fill]


def _planes(x: tf.Tensor, hidden: tf.Tensor, fill: str) -> tuple[tf.Tensor, tf.Tensor, Callable]:
    """Images and what is hidden as (1, h, w, planes), each channel of each copy for itself; and the way back.

    Planes come last because convolutions of each of many channels are fast there, and of one channel are not.
    """
    if x.shape.rank != 4:
        raise ValueError(f'fill="{fill}" needs images, (n, h, w, c), got {tuple(x.shape)}. Use "mean" or a number.')
    k, n, (height, width, channels) = tf.shape(hidden)[0], tf.shape(x)[0], x.shape[1:]

    def apart(x: tf.Tensor) -> tf.Tensor:
        copies = tf.broadcast_to(x, [k, n, height, width, channels])
        return tf.reshape(tf.transpose(copies, [2, 3, 0, 1, 4]), [1, height, width, k * n * channels])

    def restored(planes: tf.Tensor) -> tf.Tensor:
        return tf.transpose(tf.reshape(planes, [height, width, k, n, channels]), [2, 3, 0, 1, 4])

    return apart(x), apart(hidden), restored


def _grids(mask: tf.Tensor) -> list[Grid]:
    """The system on the grid of the image, exactly, and on coarser ones, each of half the points along a side.

    Two hidden neighbours are joined, and a hidden one is held by those that are known. On a coarser grid points are
    joined as far as the surroundings of both are hidden, and held by all that held those that they stand for.
    """
    share, held, grids = mask, mask * _around(1 - mask), []
    while True:
        diagonal = share * _around(share) + held
        grids.append(Grid(share, diagonal, tf.math.divide_no_nan(1.0, diagonal)))
        if min(share.shape[1:3]) <= COARSEST:
            return grids
        share, held = _coarser(share) / _coarser(tf.ones_like(share)), _coarser(held)


def _cycle(grids: list[Grid], r: tf.Tensor) -> tf.Tensor:
    """About the solution of A u = r: what a step of Jacobi leaves is solved on coarser grids, before another step."""
    grid, *coarser = grids
    u = grid.inverse * r
    if not coarser:
        for _ in range(SWEEPS):
            u = grid.smoothed(u, r)
        return u
    return grid.smoothed(u + _finer(_cycle(coarser, _coarser(r - grid.times(u))), tf.shape(r)), r)


def _around(u: tf.Tensor) -> tf.Tensor:
    """The sum over the neighbours of each point, those in the image, by their weights."""
    return tf.nn.depthwise_conv2d(u, _each(MEAN, u), [1, 1, 1, 1], "SAME")


def _coarser(u: tf.Tensor) -> tf.Tensor:
    return tf.nn.depthwise_conv2d(u, _each(HAT, u), [1, 2, 2, 1], "SAME")


def _finer(u: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """The transpose of `_coarser`: between points, the mean of those around."""
    return tf.nn.depthwise_conv2d_backprop_input(shape, _each(HAT, u), u, [1, 2, 2, 1], "SAME")


def _each(kernel: np.ndarray, u: tf.Tensor) -> tf.Tensor:
    """A kernel for each plane."""
    return tf.tile(tf.constant(kernel)[..., None, None], [1, 1, tf.shape(u)[-1], 1])


def _dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(a * b, [0, 1, 2], keepdims=True)
