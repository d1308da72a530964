"""Linear models of the score: which players are there, and what that is worth."""

from __future__ import annotations

import tensorflow as tf

RIDGE = 1e-9  # of the diagonal


def moments(coalitions: tf.Tensor, weights: tf.Tensor, worth: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The normal equations of a weighted regression on coalitions.

    Parameters
    ----------
    coalitions : tf.Tensor
        (m, players)
    weights : tf.Tensor
        (1 or n, m)
    worth : tf.Tensor
        (n, m)

    Returns
    -------
    tuple of tf.Tensor
        (1 or n, players, players) and (n, players), float64.
    """
    x, w, y = (tf.cast(given, tf.float64) for given in (coalitions, weights, worth))
    return tf.matmul(x * w[..., None], x, transpose_a=True), tf.matmul(y * w, x)


def constrained(A: tf.Tensor, b: tf.Tensor, total: tf.Tensor, playing: tf.Tensor) -> tf.Tensor:
    """(n, players) values with a given sum that solve the normal equations as well as they can.

    Those of players that do not play are 0.
    """
    p = tf.cast(playing, tf.float64)
    ones = p + tf.zeros_like(b)
    free, by_one = solved(A, b, p), solved(A, ones, p)
    excess = tf.reduce_sum(free, 1) - tf.cast(total, tf.float64)
    return tf.cast(free - tf.math.divide_no_nan(excess, tf.reduce_sum(by_one, 1))[:, None] * by_one, tf.float32)


def solved(A: tf.Tensor, b: tf.Tensor, playing: tf.Tensor) -> tf.Tensor:
    """(n, players) the solutions of normal equations in which only some players have values.

    Of too few coalitions there are many solutions, of which this is about the shortest.
    """
    among = _among(A, playing) + tf.zeros([tf.shape(b)[0], 1, 1], tf.float64)
    return tf.linalg.solve(among, (b * playing)[..., None])[..., 0]


def _among(A: tf.Tensor, playing: tf.Tensor) -> tf.Tensor:
    """Normal equations of those who play alone; of others, that their value is as it is."""
    return A * playing[:, :, None] * playing[:, None] + tf.linalg.diag(1 - playing + RIDGE * tf.linalg.diag_part(A))


def with_errors(x: tf.Tensor, weights: tf.Tensor, y: tf.Tensor, playing: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Coefficients of y on x, without an intercept, and their standard errors, both (n, players) in float64.

    Errors may be of different size from sample to sample (HC2 of MacKinnon and White 1985).

    Parameters
    ----------
    x : tf.Tensor
        (m, players)
    weights : tf.Tensor
        (1 or n, m) 1 of samples that count, else 0.
    y : tf.Tensor
        (n, m)
    playing : tf.Tensor
        (1 or n, players)
    """
    A, b = moments(x, weights, y)
    x, weights, y, p = (tf.cast(given, tf.float64) for given in (x, weights, y, playing))
    inverse = tf.linalg.inv(_among(A, p))
    values = tf.matmul((b * p)[:, None], inverse)[:, 0]
    own = x * p[:, None] + tf.zeros_like(A[:, :1])  # (1 or n, m, players)
    pull = tf.matmul(own, inverse)  # by how much each sample moves the coefficients
    leverage = tf.reduce_sum(pull * own, 2)
    residual = y - tf.matmul(values, x, transpose_b=True)
    squares = weights * tf.square(residual) / tf.maximum(1 - leverage, RIDGE)
    return values, tf.sqrt(tf.reduce_sum(tf.square(pull) * squares[..., None], 1))


def deviations(A: tf.Tensor, parts: tf.Tensor, playing: tf.Tensor) -> tf.Tensor:
    """(n, k, players) by how much each of so many random parts of the normal equations' ``b`` moved the values.

    ``parts`` (n, k, players) are what they add to the residual; the values' sum stays what it is.
    """
    p = tf.cast(playing, tf.float64)
    inverse = tf.linalg.inv(_among(A, p))
    by_one = tf.linalg.matvec(inverse, p)[:, None]
    free = tf.matmul(parts * p[:, None], inverse)
    excess = tf.reduce_sum(free * p[:, None], 2, keepdims=True)
    return free - tf.math.divide_no_nan(excess, tf.reduce_sum(by_one * p[:, None], 2, keepdims=True)) * by_one


def lasso(A: tf.Tensor, b: tf.Tensor, alpha: float, steps: int = 1000) -> tf.Tensor:
    """(n, players) minimisers of x A x / 2 - b x + alpha |x|, by accelerated proximal steps (Beck and Teboulle 2009).

    ``A`` is (1 or n, players, players), ``b`` (n, players).
    """
    size = tf.norm(A, axis=[1, 2])  # the largest eigenvalue is no larger than the root of the sum of squares
    rate = tf.math.divide_no_nan(tf.ones([], A.dtype), size)[:, None]

    def step(number: tf.Tensor, x: tf.Tensor, ahead: tf.Tensor, t: tf.Tensor) -> tuple:
        moved = ahead - rate * (tf.matmul(ahead[:, None], A)[:, 0] - b)
        now = tf.sign(moved) * tf.nn.relu(tf.abs(moved) - rate * alpha)
        later = (1 + tf.sqrt(1 + 4 * t**2)) / 2
        return number + 1, now, now + (t - 1) / later * (now - x), later

    start = tf.zeros_like(b)
    return tf.while_loop(lambda number, *_: number < steps, step, (0, start, start, tf.ones([], A.dtype)))[1]
