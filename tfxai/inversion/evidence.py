"""What of a layer's channels speaks for the class."""

from __future__ import annotations

import tensorflow as tf

from tfxai.maps import enlarge
from tfxai.run import Run
from tfxai.token_maps import as_maps, grids


def evidence(run: Run, inversion: str, base: str) -> tf.Tensor:
    """What speaks for the class in each channel of the base layer, where it does so in the inversion layer too.

    ::

        E_c = relu(A_c dy/dA_c) relu(sum_k B_k dy/dB_k) / max

    with A of the base layer, B of the inversion layer, enlarged. The first factor, whose sum is LayerCAM (Jiang et al.
    2021), has the positions of the base layer; the second (HiResCAM, Draelos and Carin 2020) those of a deeper one,
    nearer to the class. Where either is zero everywhere, it is left out; where nothing is left, the activations are
    taken.

    Parameters
    ----------
    run : Run
        A pass that read both layers.
    inversion, base : str
        The layers' names.

    Returns
    -------
    tf.Tensor
        (n, h, w, channels) in [0, 1], or the activations.
    """
    a, b = run.read[base], run.read[inversion]
    if a.shape.rank < 3:
        return a
    slopes = run.gradients([a, b])
    fine, wide = (grids(run, name) if run.read[name].shape.rank > 2 else {} for name in (base, inversion))
    a, own = as_maps(a, fine), as_maps(slopes[0], fine)
    b, coarse = as_maps(b, wide), as_maps(slopes[1], wide)
    found = _unit(tf.nn.relu(a * own), or_else=a)
    if base == inversion or b.shape.rank != a.shape.rank:
        return found
    where = _unit(tf.nn.relu(tf.reduce_sum(b * coarse, -1)), or_else=1.0)
    return _unit(found * enlarge(where, a.shape[1:-1])[..., None], or_else=found)


def _unit(maps: tf.Tensor, or_else: tf.Tensor | float) -> tf.Tensor:
    """Maps with a maximum of 1 in each input; or something else, where all of them are zero."""
    most = tf.reduce_max(maps, list(range(1, maps.shape.rank)), keepdims=True)
    return tf.where(most > 0, tf.math.divide_no_nan(maps, most), or_else)
