"""
Noise and baselines
===================

Some methods compare the input with something else: with a baseline, with itself under noise, with itself behind a
window. What that is, is part of the question, and it changes the answer.
"""

import matplotlib.pyplot as plt
import numpy as np

import tfxai
from tfxai.datasets import flowers

images, labels, masks = flowers.make("single-6c", n=3, seed=7)
model = flowers.load_model("single-6c")
classes = flowers.CLASSES["single-6c"]

# %%
# Baselines of integrated gradients
# ---------------------------------
# The attributions of `tfxai.IntegratedGradients` sum to the change of the score between a baseline and the image. A
# pixel that is like the baseline gets nothing, whatever it means, and what differs from it may get something for that
# alone. Several baselines are averaged; ``"noise"`` stands for ten.

baselines = {
    "black": 0.0,
    "grey": 127.5,
    "mean colour": "mean",
    "blur": "blur",
    "noise": "noise",
    "black, white": [0.0, 255.0],
}
explanations = {
    name: tfxai.IntegratedGradients(model, baseline=baseline, steps=10, classes=classes)(images)
    for name, baseline in baselines.items()
}
figure = tfxai.plot_grid(explanations)

# %%
# How much of the heat lies on the petals?

print(f"{'share of pixels':16} {masks.mean():.0%}")
for name, explanation in explanations.items():
    maps = explanation.heatmaps()
    print(f"{name:16} {(maps * masks).sum() / maps.sum():.0%}")

# %%
# A class of this network is a colour. Compared with a baseline without colour, such as grey or the image's own mean,
# little but the petals makes a difference. Black lacks more than colour: leaves and background are brighter than it.
# Noise holds every colour, so each pixel also gets the change from that. The best baseline lacks what you ask for, and
# nothing else.

# %%
# Are there enough steps?
# -----------------------
# The sum is exact in the limit of many steps. What is missing is reported as ``extras["completeness_gap"]``, so one
# need not guess. Gauss-Legendre quadrature, the default, comes close with few steps.

steps = [5, 10, 20]
figure, axes = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
for rule in ("gauss_legendre", "trapezoid", "left"):
    gaps = []
    for count in steps:
        explanation = tfxai.IntegratedGradients(model, steps=count, quadrature=rule)(images)
        gaps.append(np.abs(explanation.extras["completeness_gap"] / explanation.score).mean())
    axes.semilogy(steps, gaps, "o-", label=rule)
axes.set_xlabel("steps")
axes.set_ylabel("gap, as a share of the logit")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %%
# Gradients under noise
# ---------------------
# A gradient holds for a very small change, and jumps from pixel to pixel. `tfxai.SmoothGrad` takes the mean over
# noisy copies; `tfxai.VarGrad` and `tfxai.SquareGrad` take variance and mean square. Each may be laid around any
# explainer. The noise is given as a share of the image's range.

smooth = {
    f"noise {noise}": tfxai.SmoothGrad(model, samples=15, noise=noise, classes=classes)(images)
    for noise in (0.02, 0.05, 0.15, 0.4)
}
guided = tfxai.GuidedBackprop(model, classes=classes)
figure = tfxai.plot_grid(
    {"gradient": tfxai.Saliency(model, classes=classes)(images)}
    | smooth
    | {"of guided backprop, 0.05": tfxai.SmoothGrad(guided, samples=15, noise=0.05)(images)}
)

# %%
# A little noise joins the grains. Much of it makes another image: independent noise in three channels colours what is
# grey, and this network responds to colour. So look at more than one level before you believe a smoothed map.

# %%
# What hides a window
# -------------------
# `tfxai.Occlusion` watches the score while a window is hidden, and what hides it is a choice as well. A window of one
# colour is an object with edges; the blurred image is not. What all fills agree on belongs to the image, and what
# only one of them shows, to the fill.

fills = {"black": 0.0, "grey": 127.5, "mean colour": "mean", "blur": "blur"}
figure = tfxai.plot_grid(
    {
        name: tfxai.Occlusion(model, window=16, stride=8, fill=fill, classes=classes)(images)
        for name, fill in fills.items()
    }
)
