"""
Choosing a layer
================

Methods of the CAM family make a map of a layer. An early layer has fine maps of simple things, a late layer coarse maps
of what matters for the class. Which one should it be?
"""

import matplotlib.pyplot as plt

import tfxai
from tfxai.datasets import flowers

names = [f"block{number}_relu" for number in range(1, 6)]
data = {name: flowers.make(name, n=24, seed=3) for name in ("single-6c", "double-12c")}
models = {name: flowers.load_model(name) for name in data}

# %%
# Which layers are there?
# -----------------------
# `tfxai.layers` lists them in the order in which they run, with the names that ``layer=`` takes. Those that are
# spatial can be chosen; without a choice it is the last of them.

for layer in tfxai.layers(models["single-6c"]):
    print(f"{layer.name:14} {layer.kind:24} {layer.shape!s:26} {'spatial' if layer.spatial else ''}")


# %%
# Grad-CAM through the network
# ----------------------------
# Every explainer is told its layer, and explains the true class. Figures show the first images only.


def explain(method, name):
    images, labels, _ = data[name]
    classes = flowers.CLASSES[name]
    return {layer: method(models[name], layer=layer, classes=classes)(images, target=labels) for layer in names}


grad_cam = {name: explain(tfxai.GradCAM, name) for name in data}
figure = tfxai.plot_grid({layer: explanation[:3] for layer, explanation in grad_cam["single-6c"].items()})

# %%
# From left to right the maps get coarser and wider: a unit of a late layer sees many pixels, and responds when a petal
# is anywhere near. What the early layers are worth depends on what a class is. Grad-CAM gives each channel one weight
# for the whole image. The channels of block 1 respond to edges and colours wherever they are, and where a class is
# more than that, one weight is a compromise.
#
# In the second set the class is a colour *and* the part that has it, petals or leaves:

figure = tfxai.plot_grid({layer: explanation[:4] for layer, explanation in grad_cam["double-12c"].items()})

# %%
# LayerCAM
# --------
# `tfxai.LayerCAM` weights every position by its own gradient, so it need not believe that a channel means the same
# everywhere. The price shows in networks with max pooling: below a pooling only the winners get a gradient, and the
# maps break up into points.

layer_cam = {"single-6c": explain(tfxai.LayerCAM, "single-6c")}
figure = tfxai.plot_grid({layer: explanation[:3] for layer, explanation in layer_cam["single-6c"].items()})

# %%
# In numbers
# ----------
# The mean intersection over union with the pixels that decide the class, over all thresholds:


def score(explanation, name):
    return tfxai.metrics.iou_curve(explanation.heatmaps(), data[name][2]).mean()


figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for title, family in {"Grad-CAM": grad_cam, "LayerCAM": layer_cam}.items():
    for name, explanations in family.items():
        axes.plot(names, [score(one, name) for one in explanations.values()], "o-", label=f"{title}, {name}")
axes.set_ylabel("mean IoU with the decisive part")
axes.set_ylim(0)
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %%
# The last layer is the usual choice, and seldom the best. Where a map looks too wide, go back to the last layer of
# the next higher resolution. Or give a list: then the map is the mean of the layers' heat-maps.

images, labels, _ = data["double-12c"]
explainer = tfxai.GradCAM(models["double-12c"], layer=["block2_relu", "block3_relu", "block4_relu"])
print(f"mean IoU of blocks 2 to 4 together: {score(explainer(images, target=labels), 'double-12c'):.2f}")
