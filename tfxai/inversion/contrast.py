"""An image against its background: which of the two has the class, where a mask divides them."""

from __future__ import annotations

from typing import Unpack, get_args

import tensorflow as tf

from tfxai.checks import one_of
from tfxai.explainer import Explainer
from tfxai.inversion.mask import blend
from tfxai.inversion.objective import Head, Objective, losses
from tfxai.loops import accumulate, column, merge, split
from tfxai.options import ModelOptions
from tfxai.run import Run, gradients, tiled
from tfxai.runner import Runner
from tfxai.types import Model


class Contrast(Explainer):
    """Base of explainers that lay an image over a background.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    head : {"softmax", "sigmoid"}, optional
        What turns the model's logits into probabilities, if not what the model ends in, or a softmax if it ends in
        logits.
    **options
        As for `Explainer`.
    """

    def __init__(self, model: Model, *, head: Head | None = None, **options: Unpack[ModelOptions]):
        super().__init__(model, **options)
        one_of("head", head, (None, *get_args(Head)))
        self.head: Head | None = head
        self._logits = Runner(self.view, classes=self.classes)

    def contrast(
        self, run: Run, x: tf.Tensor, p: tf.Tensor, masks: tf.Tensor, weights: tuple[float, float], objective: Objective
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Losses of the foreground, x m + p (1 - m), without the class and of the background, x (1 - m) + p m, with it.

        Parameters
        ----------
        run : Run
            The pass of the images themselves.
        x, p : tf.Tensor
            (n, h, w, c) images, and what is seen instead.
        masks : tf.Tensor
            (n, h, w) in [0, 1], m.
        weights : tuple of float
            Of the two losses; one without weight is not computed, and 0.
        objective : str
            As for `losses`.

        Returns
        -------
        tuple of tf.Tensor
            The gradient of the sum with respect to the masks, and the losses, (n, 2).
        """
        runner = self._logits if run.goal.what is None else self
        counted = [number for number, weight in enumerate(weights) if weight]

        def sides(index: tf.Tensor, active: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            """Foreground (0), background (1) or both: the gradient of their losses, and these losses."""
            number, own = tf.gather(counted, index), tf.identity(masks)
            foreground = column(tf.equal(number, 0), own[None])
            shares = merge(tf.where(foreground, own, 1 - own))
            repeats = tf.size(index)
            copies = run.with_image(blend(tiled(x, repeats), tiled(p, repeats), shares), repeats)
            again = runner.rerun(run, copies, repeats)
            keep, drop = (split(loss, run.count) for loss in losses(again, objective, self.head))
            loss = tf.where(tf.reshape(foreground, [-1, 1]), weights[0] * keep, weights[1] * drop) * active[:, None]
            gradient = gradients(loss, own)
            return gradient, tf.tensordot(loss, tf.one_hot(number, 2), [[0], [0]])

        zeros = tf.zeros_like(masks), tf.zeros([run.count, 2])
        return accumulate(sides, zeros, len(counted), run.count, run.batch_size)
