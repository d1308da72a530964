"""
Where a transformer looks
=========================

A vision transformer cuts an image into patches, makes a token of each, and lets tokens look at each other. A small one
comes with the package. It tells the colours of petals apart, so it is known which patches ought to count.
"""

import matplotlib.pyplot as plt
import numpy as np

import tfxai
from tfxai.datasets import flowers

model = flowers.load_model("single-6c", architecture="vit")
classes = flowers.CLASSES["single-6c"]
images, labels, masks = flowers.make("single-6c", n=60, seed=5)
images = images.astype("float32")

# %%
# Its attention
# -------------
# `tfxai.attention` reads from the graph where tokens look at each other. Here there are 14 x 14 patches of 8 pixels and
# a class token before them, from which the class is read.

for found in tfxai.attention(model):
    print(found)

names = [found.name for found in tfxai.attention(model)]

# %%
# What one token looks at
# -----------------------
# A map of attention has a row for each token: how it shares its attention among all others. `tfxai.plot_attention`
# shows one row, by default that of the class token. Here are the four heads of the last map, side by side.

figure = tfxai.plot_attention(model, images[:3], layer=names[-1], classes=classes)

# %%
# Any other token can be asked too, by its number. The one in row r and column c has the number 1 + 14 r + c; its patch
# is marked.

row, column = 6, 4
figure = tfxai.plot_attention(model, images[:1], layer=names[0], query=1 + 14 * row + column, classes=classes)
for cell in figure.axes[:6]:
    cell.add_patch(plt.Rectangle((8 * column - 0.5, 8 * row - 0.5), 8, 8, fill=False, color="white"))

# %%
# From layer to layer
# -------------------
# The class token's attention in each layer. `tfxai.AttentionRollout` makes one map of all of them.

figure = tfxai.plot_attention(model, images[:3], classes=classes)

# %%
# What speaks for the class
# -------------------------
# Attention says where a token looked, and not what for. The other methods ask the gradient too.

methods = {
    "transformer attribution": tfxai.TransformerAttribution,
    "LeGrad": tfxai.LeGrad,
    "Grad-CAM": tfxai.GradCAM,
    "LayerCAM": tfxai.LayerCAM,
}
explained = {title: made(model, classes=classes)(images, target=labels, verbose=0) for title, made in methods.items()}
figure = tfxai.plot_grid({title: one[:4] for title, one in explained.items()})

# %%
# In numbers
# ----------
# The mean intersection over union with the pixels of the petals, over all thresholds. Intervals hold 95 per cent, and
# are of differences from Grad-CAM, flower by flower.

areas = {title: tfxai.metrics.iou_curve(one.heatmaps(), masks).mean(1) for title, one in explained.items()}
for title, area in areas.items():
    difference = area - areas["Grad-CAM"]
    low, high = tfxai.metrics.bootstrap_interval(difference) if np.any(difference) else (0, 0)
    print(f"{title:24} {area.mean():.3f}   {difference.mean():+.3f} ({low:+.3f} to {high:+.3f})")
