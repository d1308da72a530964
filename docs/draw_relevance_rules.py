"""Draw `images/which_rule_where.png`: what composites of relevance rules show of a photograph, for several networks.

Networks are given with the preprocessing that they expect, one of `tfxai.images.prepare`:

    python docs/draw_relevance_rules.py --model squeezenet.keras=caffe --model mobilenet_v2.keras=-1..1

The photographs come with scikit-learn: china.jpg by danielbuechele and flower.jpg by vultilion, both from Flickr under
CC BY 2.0, https://creativecommons.org/licenses/by/2.0/.
"""

import argparse
from pathlib import Path

import cv2
import keras
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

import tfxai
from tfxai import display, images
from tfxai.relevance import Composite, Flat, ZPlus, convolution, depthwise

CELL = 130  # pixels
COLOURS = 128  # of the PNG
PERCENTILE = 99.5  # of the absolute relevance, where colours end


def explainers(model: keras.Model, low: tuple, high: tuple) -> dict[str, tfxai.Explainer]:
    """What makes the rows."""
    names = ("epsilon", "epsilon_plus", "epsilon_plus_flat", "epsilon_gamma_box", "epsilon_alpha2_beta1_flat")
    found = {name: tfxai.LRP(model, composite=name, low=low, high=high) for name in names}
    flat_at_depthwise = Composite([(depthwise, Flat()), (convolution, ZPlus())])
    return found | {
        "epsilon_plus, Flat at depthwise convolutions": tfxai.LRP(model, composite=flat_at_depthwise),
        "deep_taylor": tfxai.DeepTaylor(model, low=low, high=high),
        "excitation_backprop": tfxai.LRP(model, composite="excitation_backprop"),
        "DeepLift, baseline: blur": tfxai.DeepLift(model, baseline="blur"),
    }


def coloured(values: np.ndarray) -> np.ndarray:
    """Relevance of one image on white: red speaks for the class, blue against it."""
    relevance = cv2.resize(values.sum(-1), (CELL, CELL), interpolation=cv2.INTER_AREA)
    top = np.percentile(np.abs(relevance), PERCENTILE) or 1
    return display.overlay(relevance, np.clip(0.5 + relevance / (2 * top), 0, 1), alpha=1, cmap="seismic")


def column(path: str, mode: str, photo: np.ndarray) -> tuple[dict[str, np.ndarray], int]:
    """Pictures by the name of their row, and the class that is explained."""
    model = keras.models.load_model(path, compile=False)
    x = images.prepare([photo], model.input_shape[1:3], mode=mode)
    black, white = (np.full((1, 1, 3), value, np.uint8) for value in (0, 255))
    low, high = (tuple(images.prepare([one], mode=mode)[0, 0, 0].tolist()) for one in (black, white))
    found = {name: explainer(x, verbose=0) for name, explainer in explainers(model, low, high).items()}
    pictures = {name: coloured(explanation.values[0]) for name, explanation in found.items()}
    small = cv2.resize(photo, (CELL, CELL), interpolation=cv2.INTER_AREA)
    return {"photograph": small} | pictures, int(found["epsilon"].target[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, metavar="PATH=PREPROCESSING")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "which_rule_where.png")
    arguments = parser.parse_args()

    columns, captions = [], []
    for photo in ("china.jpg", "flower.jpg"):
        for path, _, mode in (model.rpartition("=") for model in arguments.model):
            pictures, target = column(path, mode, load_sample_image(photo))
            columns.append(pictures)
            captions.append(f"{Path(path).stem.split('_')[0]}: class {target}")
    rows = [(name, [one[name] for one in columns], [""] * len(columns)) for name in columns[0]]
    drawn = display.sheet([(rows[0][0], rows[0][1], captions), *rows[1:]])
    Image.fromarray(drawn).quantize(COLOURS, dither=Image.Dither.NONE).save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()
