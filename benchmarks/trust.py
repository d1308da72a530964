"""What measures without truth say of methods, and which of them rank methods as the truth does.

For each network: the mean of each measure for each method. On flowers, whose decisive pixels are known, also the rank
correlation, over methods, with the area under the curve of intersection over union with the petals, and with the share
of the heat-map on them; intervals by drawing the images anew.

    python benchmarks/trust.py single-6c double-12c --images 60
    python benchmarks/trust.py resnet20 vgg8 squeezenet --data FOLDER      # networks and photographs of one's own
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import keras
import numpy as np
from ablation import load, pixels, prepared
from scipy import stats

import tfxai
from tfxai.datasets import flowers
from tfxai.metrics import iou_curve
from tfxai.metrics.judge import MEASURES
from tfxai.metrics.trust import blind_maps

METHODS = (
    "saliency",
    "gradient_x_input",
    "integrated_gradients",
    "smooth_grad",
    "guided_backprop",
    "deconvnet",
    "lrp",
    "deep_lift",
    "grad_cam",
    "grad_cam_plus_plus",
    "layer_cam",
    "guided_grad_cam",
    "occlusion",
    "rise:masks=300",
    "guided_feature_inversion",
)

# File of a network, of its pictures, and its preprocessing.
NETWORKS = {
    "resnet20": ("cifar10_resnet20", "cifar", "cifar10"),
    "resnet56": ("cifar10_resnet56", "cifar", "cifar10"),
    "vgg8": ("cifar10_vgg8", "cifar", "cifar10_vgg8"),
    "squeezenet": ("squeezenet_v1_0", "ilsvrc", "squeezenet_v1_0_227"),
    "mobilenet_v2": ("mobilenet_v2_224", "ilsvrc", "mobilenet_v2_warp"),
}


def case(name: str, data: Path | None, images: int, seed: int) -> tuple[keras.Model, np.ndarray, np.ndarray | None]:
    """A network, images, and masks where they are known."""
    if name not in NETWORKS:
        model = flowers.load_model(name)
        drawn, _, masks = flowers.make(name, n=images, seed=seed)
        return model, drawn, masks
    if data is None:
        raise SystemExit(f"Expected --data with the folder of {name} and its pictures.")
    file, kind, key = NETWORKS[name]
    chosen = np.random.default_rng(seed).permutation(len(found := pixels(data, kind)))[:images]
    model = load(data, file)
    size = model.input_shape[1:3]
    return model, prepared(np.stack([cv2.resize(one, size) for one in found[chosen]]), data, key), None


def correlations(truth: np.ndarray, measures: dict[str, np.ndarray], draws: int = 1000) -> dict[str, np.ndarray]:
    """Of (methods, n) each: rank correlation of the means over images, and the ends of its 95 % interval."""
    random = np.random.default_rng(0)
    rows = [np.arange(truth.shape[1]), *(random.integers(0, truth.shape[1], (draws, truth.shape[1])))]
    found = {}
    for name, x in measures.items():
        sign = 1 if MEASURES[name.partition(",")[0]].larger else -1
        each = [stats.spearmanr(truth[:, row].mean(1), sign * x[:, row].mean(1)).statistic for row in rows]
        found[name] = np.array([each[0], *np.percentile(each[1:], [2.5, 97.5])])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=["single-6c", "double-12c"])
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--seed", type=int, default=900)
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--measures", nargs="*", default=list(MEASURES))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--data", type=Path, help="folder of networks and pictures that are no flowers")
    parser.add_argument("--fills", nargs="*", default=["0", "mean", "blur"], help="what hides a part")
    given = parser.parse_args()
    for kind in given.kinds:
        model, images, masks = case(kind, given.data, given.images, given.seed)
        found = {name: tfxai.explain(model, images, name, verbose=0) for name in given.methods}
        names = [*found, "random map", "centre map"]
        measures: dict[str, np.ndarray] = {}
        for fill in given.fills:
            value = float(fill) if fill.isdigit() else fill
            report = tfxai.trust(found, model, measures=given.measures, steps=given.steps, fill=value, verbose=0)
            print(f"\n{kind}, hidden by {fill}\n{report}", flush=True)
            for measure, own in report.values.items():
                measures[f"{measure}, {fill}"] = np.stack([own[name] for name in names])
        if masks is None:
            continue
        heatmaps = {name: one.heatmaps() for name, one in found.items()} | blind_maps(len(images), images.shape[1:3], 0)
        maps = np.stack([_unit(heatmaps[name]) for name in names])
        area = np.stack([iou_curve(one, masks).mean(1) for one in maps])
        mass = (maps * masks).sum((2, 3)) / maps.sum((2, 3))
        print(f"\n{kind}: area under the IoU curve and share of the heat-map on the petals")
        for row in np.argsort(-area.mean(1)):
            print(f"  {names[row]:28}{area[row].mean():.3f}  {mass[row].mean():.3f}")
        for what, truth in (("area", area), ("share", mass)):
            print(f"rank correlation over methods with the {what}")
            for name, (middle, low, high) in correlations(truth, measures).items():
                print(f"  {name:28}{middle:+.2f} [{low:+.2f}, {high:+.2f}]", flush=True)


def _unit(maps: np.ndarray) -> np.ndarray:
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    return (maps - low) / (high - low)


if __name__ == "__main__":
    main()
