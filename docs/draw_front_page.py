"""Draw `images/front_page.png`: what several methods say of photographs, by a network of ImageNet.

The photographs come with scikit-image, and are in the public domain (CC0): a cat, a cup, a rocket. The network does not
come with tfxai. Run as ``python docs/draw_front_page.py MODEL.keras CLASSES.csv``; the model
takes pixels scaled to -1..1.
"""

import csv
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
from skimage import data

import tfxai

SIDE = 224
METHODS = {
    "Grad-CAM": {"method": "grad_cam"},
    "LRP": {"method": "lrp", "composite": "epsilon_plus_flat"},
    "guided feature inversion": {"method": "guided_feature_inversion"},
    "occlusion": {"method": "occlusion", "window": 32, "stride": 8, "fill": "blur"},
    "KernelSHAP": {"method": "kernel_shap", "fill": "blur", "budget": 1000},
}


def main(model: str, classes: str) -> None:
    with open(classes) as file:
        names = [row[-1].split(",")[0] for row in csv.reader(file)][1:]
    photographs = np.stack([square(photograph) for photograph in (data.chelsea(), data.coffee(), data.rocket())])
    network, images = keras.models.load_model(model), photographs / np.float32(127.5) - 1
    found = {title: tfxai.explain(network, images, classes=names, **how) for title, how in METHODS.items()}
    figure = tfxai.plot_grid(found, photographs)
    figure.savefig(Path(__file__).parent / "images" / "front_page.png", dpi=72)


def square(image: np.ndarray) -> np.ndarray:
    """The middle of a photograph, as large as the network takes it."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return cv2.resize(image[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main(*sys.argv[1:])
