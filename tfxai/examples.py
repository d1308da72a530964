"""The data that excite a channel most, to be seen beside what excites it by design."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tfxai.neurons.average import AverageImage, average_images
from tfxai.synthesis.objective import Objective
from tfxai.types import Inputs, Layer, Model, Verbose

TOP = 9  # images of a channel, as Zeiler and Fergus (2013) show it


def examples_for(
    model: Model,
    channel: tuple[Layer, int] | Objective,
    images: Inputs,
    *,
    top: int = TOP,
    display: Callable | Sequence[np.ndarray] | None = None,
    size: tuple[int, int] | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
) -> AverageImage:
    """The images that excite a channel most, each cut to what the strongest unit sees of it.

    Parameters
    ----------
    model : keras.Model, SavedModel, tf.function or path
        A model of images.
    channel : (layer, int) or Objective
        Which channel, or unit of a dense layer; or the objective `tfxai.objectives.channel` of one.
    images : array, tensor or tf.data.Dataset
        Images as the model takes them; a dataset of batches is streamed.
    top : int
        How many. Default 9 (Zeiler and Fergus 2013).
    display, size, batch_size, verbose
        As for `tfxai.neurons.average.average_images`.

    Returns
    -------
    AverageImage
        Its ``crops`` are the parts of the images, the strongest first; ``images`` their numbers, ``responses`` the
        largest values of the channel.

    Raises
    ------
    ValueError
        If the layer or the channel does not exist, or the objective is not that of one channel.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=12)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> tfxai.examples_for(model, ("block3_relu", 5), images, top=4).crops.shape
    (4, 18, 18, 3)
    """
    if isinstance(channel, Objective):
        if channel.kind[0] != "channel" or channel.rows != 1:  # type: ignore[index]
            raise ValueError(f"Expected the objective of one channel, got {channel}.")
        channel = channel.layers[0], int(channel.values[0][0])
    (found,) = average_images(
        model,
        [channel],
        images,
        crops=top,
        response="max",
        display=display,
        size=size,
        batch_size=batch_size,
        verbose=verbose,
    )
    return found
