"""Reference inputs: what integrated gradients start from and what an occluded region is filled with.

A baseline is given as a number, an array, a name (``"mean"``, ``"blur"``, ``"noise"``) or a function of the batch; for
a model with several inputs also as a dict of these by the inputs' names, or a list with one for each of its inputs. An
array has the shape of one input, or that of the batch: one baseline for each input. Several baselines for every input,
to be averaged over, are a `Several`; for a model with one input a list of numbers and names is one too.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import tensorflow as tf

from tfxai.loops import repeated
from tfxai.run import Run
from tfxai.types import Background, Baseline, BaselineName

NAMES = get_args(BaselineName)
SEVERAL = "Several baselines for every input are given by background= of IntegratedGradients and DeepLift."


@dataclass(frozen=True, eq=False)
class Several:
    """Several baselines for every input, to be averaged over.

    Parameters
    ----------
    given : array, list, or dict or list of these
        (b, ...) baselines, or a list of them; for several inputs by name, or one after the other.
    stated : bool
        Whether the user says that it is one.
    """

    given: Any
    stated: bool = True


@dataclass(frozen=True)
class Token:
    """A word as baseline: what stands for no word, such as padding or a mask, by its integer.

    Parameters
    ----------
    id : int
        The integer that stands for it in the model.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.baselines.Token(0)
    Token(id=0)
    """

    id: int


def compared(baseline: Baseline, background: Background | None, name: str = "baseline") -> Baseline | Several:
    """The one of the two that a user gives; ``name``: what the first is called."""
    if background is None:
        return baseline
    if not isinstance(baseline, int | float) or baseline != 0:
        raise ValueError(f"Expected {name}= or background=, got both.")
    return Several(background)


def by_input(spec: Any, names: Sequence[str]) -> dict[str, Any]:
    """What each of the inputs is compared with.

    Raises
    ------
    ValueError
        For names that are not those of inputs, or a list of another length.
    """
    if isinstance(spec, Several):
        alone = len(names) == 1 and not isinstance(spec.given, Mapping)
        given = by_input([spec.given] if alone else spec.given, names)
        return {name: Several(one) for name, one in given.items()}
    if isinstance(spec, Mapping):
        if not spec or not set(spec) <= set(names):
            raise ValueError(f"Expected baselines for the inputs {list(names)}, got them for {list(spec)}.")
        return dict(spec)
    if isinstance(spec, list | tuple):
        if not spec:
            raise ValueError("Expected at least one baseline, got an empty list.")
        if len(names) == 1 and not any(np.ndim(one) for one in spec):
            return {names[0]: Several(spec, stated=False)}
        if len(spec) != len(names):
            raise ValueError(
                f"Expected a list with one baseline for each of the inputs {list(names)}, got {len(spec)} entries. "
                f"{SEVERAL}"
            )
        return dict(zip(names, spec, strict=True))
    return dict.fromkeys(names, spec)


def rows(
    spec: Any, inputs: Mapping[str, np.ndarray], start: int, total: int | None, embeds: bool = False
) -> dict[str, np.ndarray]:
    """Of baselines that are arrays with a row for each input: those of a batch.

    Parameters
    ----------
    spec : as given by the user
        See `by_input`.
    inputs : mapping
        The batch, by input.
    start, total : int
        How many inputs came before it, and how many there are in all, if that is known.
    embeds : bool
        Whether words are compared where they are vectors.

    Raises
    ------
    ValueError
        For baselines with another number of rows than there are inputs.
    """
    found: dict[str, np.ndarray] = {}
    for name, one in by_input(spec, list(inputs)).items():
        shape: tuple[int, ...] = np.shape(one) if hasattr(one, "__array__") else ()
        n = len(inputs[name])
        words = embeds and inputs[name].ndim == 2 and inputs[name].dtype.kind in "iu"
        if len(shape) == inputs[name].ndim + words and shape[0] != 1:  # one row serves all
            if shape[0] != total and (total is not None or shape[0] < start + n):
                raise ValueError(
                    f"Expected a baseline of the shape of one input, {inputs[name].shape[1:]}, or one for each of "
                    f"{total or f'at least {start + n}'} inputs, got {shape}. {SEVERAL}"
                )
            found[name] = _numbers(one[start : start + n], np.float32)
    return found


def compared_with(run: Run, x: tf.Tensor) -> tuple[str, Any]:
    """The name of one of a run's inputs, and what it is compared with."""
    name = run.name(x) if isinstance(run.inputs, dict) else next(iter(run.baselines))
    if name not in run.baselines:
        raise ValueError(f"Expected a baseline for the input {name!r} too, got them for {list(run.baselines)}.")
    return name, run.baselines[name]


def run_references(run: Run, draws: int = 10) -> Any:
    """Baselines of the inputs that are explained: (b, n, ...), b for each input, in the structure of the inputs."""
    if not isinstance(run.floating, dict):
        return input_references(run, run.floating, draws)
    found = {name: input_references(run, x, draws) for name, x in run.floating.items()}
    counts = {name: x.shape[0] for name, x in found.items()}
    most = max(counts.values())
    if not set(counts.values()) <= {1, most}:
        raise ValueError(f"Expected as many baselines of one input as of the others, got {counts}.")
    return {name: repeated(x, most // counts[name]) for name, x in found.items()}


def input_references(run: Run, x: tf.Tensor, draws: int = 1) -> tf.Tensor:
    """Baselines (b, n, ...) of one of a run's inputs, floating, see `references`."""
    name, spec = compared_with(run, x)
    if isinstance(spec, Token):
        return run.with_padding(_embedded(run, run.name(x), spec), x)
    own = x if x.dtype.is_floating else tf.cast(x, tf.float32)
    try:
        return run.with_padding(references(spec, own, draws, run.positions(x), run.kept(x)), x)
    except (TypeError, ValueError) as error:
        if not isinstance(run.inputs, dict):
            raise
        each = ", ".join(f"{one!r}: ..." for one in run.inputs)
        raise type(error)(f"For the input {name!r}: {error} Each input may have its own: {{{each}}}.") from None


def _embedded(run: Run, name: str, token: Token) -> tf.Tensor:
    """(1, n, steps, width) the embedding of one word in the place of all of an input."""
    if run.embedding is None or name not in run.integers:
        raise ValueError(f"Expected a baseline for numbers, got {token}: {name!r} is not an input of words.")
    rows = run.embedding.rows[name]
    if not 0 <= token.id < (rows or np.inf):
        raise ValueError(f"Expected a baseline among the {rows} integers that the model knows, got {token}.")
    words = tf.zeros_like(run.integers[name]) + tf.cast(token.id, run.integers[name].dtype)
    taken = run.taken | {name: words} if isinstance(run.inputs, dict) else words
    return run.embedding.embed(taken, name)[None]


def references(
    spec: Any,
    x: tf.Tensor,
    draws: int = 10,
    positions: Sequence[int] | None = None,
    kept: tf.Tensor | None = None,
) -> tf.Tensor:
    """Baselines of each input of a batch.

    Parameters
    ----------
    spec : number, array, str, callable or Several
        An array has the shape of one input or broadcasts to it (a colour: (channels,)), or that of the batch. A
        function takes the batch and returns one baseline for each of its inputs. ``"mean"``: the mean of each channel
        of each image. ``"blur"``: a Gaussian blur whose sigma is 5 % of the shorter side. ``"noise"``: uniform over
        each image's range. A background: several of these, or an array of the shape of several inputs.
    x : tf.Tensor
        (n, ...) inputs.
    draws : int
        How many baselines ``"noise"`` stands for.
    positions : sequence of int, optional
        Axes of the inputs that are positions. Default: all but the batch and the last.
    kept : tf.Tensor, optional
        (n, steps, 1, ...) False where a step is padding, which counts for no mean, range or blur.

    Returns
    -------
    tf.Tensor
        (b, n, ...), b baselines for each input.

    Raises
    ------
    ValueError, TypeError
        If it is none of these or does not fit the inputs.
    """
    if isinstance(spec, Several):
        return _several(spec, x, draws, positions, kept)
    if isinstance(spec, str):
        if spec not in NAMES:
            raise ValueError(f"Expected a baseline to be a number, an array or one of {NAMES}, got {spec!r}.")
        if spec == "noise":
            return _noise(x, draws, kept)
        axes = tuple(range(1, max(2, x.shape.rank - 1))) if positions is None else positions
        return {"mean": _mean, "blur": _blur}[spec](x, axes, kept)
    if callable(spec):
        return _fit(tf.cast(spec(x), x.dtype)[None], x)
    values = tf.cast(spec, x.dtype) if tf.is_tensor(spec) else tf.constant(_numbers(spec, x.dtype.as_numpy_dtype))
    return _fit(values[None] if values.shape.rank == x.shape.rank else values[None, None], x)


def _several(
    background: Several, x: tf.Tensor, draws: int, positions: Sequence[int] | None, kept: tf.Tensor | None
) -> tf.Tensor:
    given = background.given
    if hasattr(given, "__array__"):
        array = _numbers(given, x.dtype.as_numpy_dtype)
        if array.ndim != x.shape.rank or not len(array):
            shape = ", ".join(map(str, ["b", *x.shape[1:]]))
            raise ValueError(f"Expected a background of shape ({shape}), several inputs, got {array.shape}.")
        return _fit(tf.constant(array)[:, None], x)
    if not isinstance(given, list | tuple) or not given:
        raise ValueError(f"Expected a background to be an array or a list of baselines, got {type(given).__name__}.")
    numbers = all(isinstance(one, int | float) for one in given)
    if not background.stated and numbers and len(given) == x.shape[-1] > 1:
        raise ValueError(
            f"{len(given)} numbers may be a colour or as many separate baselines. Give np.array({list(given)!r}) for "
            "the colour, or background= for the baselines."
        )
    return tf.concat([references(one, x, draws, positions, kept) for one in given], 0)


def _numbers(spec: Any, dtype: Any) -> np.ndarray:
    try:
        array = np.asarray(spec, dtype)
    except (TypeError, ValueError):
        raise TypeError(
            f"Expected a baseline to be a number, an array or one of {NAMES}, got {type(spec).__name__}."
        ) from None
    if not np.isfinite(array).all():
        raise ValueError("The baseline holds NaN or infinite values.")
    return array


def _fit(values: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    try:
        fits = tf.broadcast_static_shape(values.shape[1:], x.shape).is_compatible_with(x.shape)
    except ValueError:
        fits = False
    if not fits:
        shape = tuple(values.shape[2:]) if values.shape[1] == 1 else tuple(values.shape[1:])
        raise ValueError(f"Expected a baseline of shape {tuple(x.shape[1:])}, got {shape}.")
    return tf.broadcast_to(values, tf.concat([tf.shape(values)[:1], tf.shape(x)], 0))


def _mean(x: tf.Tensor, positions: Sequence[int], kept: tf.Tensor | None) -> tf.Tensor:
    if kept is None:
        return _fit(tf.reduce_mean(x, positions, keepdims=True)[None], x)
    counted = tf.broadcast_to(kept, tf.shape(x))
    total = tf.reduce_sum(tf.where(counted, x, 0), positions, keepdims=True)
    number = tf.reduce_sum(tf.cast(counted, x.dtype), positions, keepdims=True)
    return _fit(tf.math.divide_no_nan(total, number)[None], x)


def _noise(x: tf.Tensor, draws: int, kept: tf.Tensor | None) -> tf.Tensor:
    low, high = limits(x, kept)
    # The same draws for every image, so that an explanation does not depend on its batch.
    shares = tf.random.stateless_uniform([draws, 1, *x.shape[1:]], [0, 0], dtype=x.dtype)
    return low + shares * (high - low)


def limits(x: tf.Tensor, kept: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """The least and the largest number of each input, (n, 1, ...), but for padding."""
    axes = list(range(1, x.shape.rank))
    if kept is None:
        return tf.reduce_min(x, axes, keepdims=True), tf.reduce_max(x, axes, keepdims=True)
    low = tf.reduce_min(tf.where(kept, x, x.dtype.max), axes, keepdims=True)
    high = tf.reduce_max(tf.where(kept, x, x.dtype.min), axes, keepdims=True)
    empty = low > high  # all of it is padding
    return tf.where(empty, 0.0, low), tf.where(empty, 0.0, high)


def _blur(x: tf.Tensor, positions: Sequence[int], kept: tf.Tensor | None) -> tf.Tensor:
    if x.shape.rank < 3:
        raise ValueError(f'The baseline "blur" needs images, series or volumes, got inputs of shape {x.shape}.')
    x = unpadded(x, positions, kept)
    sigma = 0.05 * min(x.shape[axis] for axis in positions)
    blurred = x
    for axis in positions:
        blurred = gaussian(blurred, sigma, axis)
    return blurred[None]


def gaussian(x: tf.Tensor, sigma: float, axis: int) -> tf.Tensor:
    """Gaussian blur along one axis, edges repeated."""
    return along(x, blur_matrix(x.shape[axis], sigma), axis)


def along(x: tf.Tensor, matrix: np.ndarray | tf.Tensor, axis: int) -> tf.Tensor:
    """The matrix (new, old) times what lies along one axis."""
    axes = string.ascii_lowercase[: x.shape.rank]
    equation = f"{axes},Z{axes[axis]}->{axes.replace(axes[axis], 'Z')}"
    return tf.einsum(equation, x, tf.convert_to_tensor(matrix, x.dtype))


def unpadded(x: tf.Tensor, positions: Sequence[int], kept: tf.Tensor | None) -> tf.Tensor:
    """Inputs in whose padding there is the mean of the rest, so that it spreads nothing else."""
    return x if kept is None else tf.where(kept, x, _mean(x, positions, kept)[0])


def blur_matrix(size: int, sigma: float) -> np.ndarray:
    """(size, size) matrix of a Gaussian blur; every tap that falls outside adds to the outermost pixel."""
    radius = max(1, int(np.ceil(3 * sigma)))
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / max(sigma, 1e-6)) ** 2)
    matrix = np.zeros((size, size))
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        matrix[np.arange(size), np.clip(np.arange(size) + offset, 0, size - 1)] += weight
    return matrix
