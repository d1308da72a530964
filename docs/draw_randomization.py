"""Draw `images/randomization.jpg`: which maps stay while the weights of a network of ImageNet are lost.

The photograph comes with scikit-image, and is in the public domain (CC0). The network does not come with tfxai. Run as
``python docs/draw_randomization.py MODEL.keras``; the model takes pixels scaled to -1..1.
"""

import itertools
import sys
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from draw_front_page import square
from skimage import data

import tfxai
from tfxai.display import overlay
from tfxai.reading import read

METHODS = ("guided_backprop", "deconvnet", "saliency", "grad_cam")
COLUMNS = ("photograph", "trained", "a quarter random", "half", "three quarters", "all")


def main(model: str) -> None:
    photograph = square(data.chelsea())
    network, image = keras.models.load_model(model), photograph[None] / np.float32(127.5) - 1
    names = [layer.name for layer in network.layers if layer.weights]
    cuts = np.linspace(len(names), 0, len(COLUMNS) - 1).round().astype(int)
    stages = [names[low:high] for high, low in itertools.pairwise(cuts)]  # from the output down
    figure, axes = plt.subplots(len(METHODS), len(COLUMNS), figsize=(11, 7.6), layout="constrained")
    for method, row in zip(METHODS, axes, strict=True):
        report = tfxai.metrics.model_randomization(network, image, method, layers=stages, how="initialize", keep=1)
        readings = [read(one, "absolute") for one in report.kept.values()]
        for cell, picture in zip(
            row, [photograph, *(overlay(photograph, one.maps[0]) for one in readings)], strict=True
        ):
            cell.imshow(picture)
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
        row[0].set_ylabel(method)
        for cell, alike in zip(row[2:], report.spearman_absolute, strict=True):
            cell.set_xlabel(f"{alike[0]:+.2f}")
    for cell, title in zip(axes[0], COLUMNS, strict=True):
        cell.set_title(title, fontsize=11)
    figure.savefig(Path(__file__).parent / "images" / "randomization.jpg", dpi=80, pil_kwargs={"quality": 88})


if __name__ == "__main__":
    main(*sys.argv[1:])
