"""From a score of each image to the number that is reported."""

from __future__ import annotations

import numpy as np
from scipy import stats


def mean_by_class(scores: np.ndarray, classes: np.ndarray) -> float:
    """The mean over classes of the mean within each class, so that every class counts the same.

    The accuracy of the pointing game (Zhang et al., 2016) is that of its hits. An image with objects of several classes
    takes part once for each.

    Parameters
    ----------
    scores : ndarray
        (n,): hits, errors, or any other score of an image.
    classes : ndarray
        (n,): the class of each, numbers or names.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the two differ in length, are empty, or a score is not finite.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.metrics.mean_by_class([True, True, True, False], ["cat", "cat", "cat", "dog"])
    0.5
    """
    scores, classes = _scores(scores), np.asarray(classes)
    if scores.shape != classes.shape:
        raise ValueError(f"Expected a class for each of {len(scores)} scores, got classes {classes.shape}.")
    _, place = np.unique(classes, return_inverse=True)
    return float((np.bincount(place, scores) / np.bincount(place)).mean())


def bootstrap_interval(
    values: np.ndarray, level: float = 0.95, samples: int = 10000, seed: int = 0
) -> tuple[float, float]:
    """The interval in which the mean would lie had other images of the same kind been drawn.

    The percentile interval of the bootstrap (Efron & Tibshirani, 1993, chapter 13). To compare two methods on the same
    images, take the interval of the differences image by image.

    Parameters
    ----------
    values : ndarray
        (n,): a score of each image.
    level : float
        Share of intervals that hold the true mean. Default 0.95.
    samples : int
        How often the images are resampled. Default 10000.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    tuple of float
        The lower and the upper end.

    Raises
    ------
    ValueError
        If there are fewer than two values, one is not finite, ``level`` is not between 0 and 1, or ``samples`` is not
        positive.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> errors = np.arange(100) < 40
    >>> low, high = tfxai.metrics.bootstrap_interval(errors)
    >>> 0.28 < low < 0.33 and 0.47 < high < 0.52
    True
    """
    values = _scores(values)
    if len(values) < 2 or not 0 < level < 1 or samples < 1:
        raise ValueError(
            "Expected two values or more, a level between 0 and 1 and one sample or more, "
            f"got {len(values)}, {level} and {samples}."
        )
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=samples,
        batch=max(1, 10**6 // len(values)),  # bounds the memory
        confidence_level=level,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def _scores(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, float)
    if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
        raise ValueError(f"Expected one or more finite scores (n,), got the shape {scores.shape}, or NaN.")
    return scores
