"""
Grids from strides, and maps without them
=========================================

A convolution with a stride skips positions. On the way back its gradient skips them too: some pixels take part in more
windows than others, and the map shows a grid that has nothing to do with the image. Oramas et al. (2019) remove it by
letting the signal pass as if the stride were 1.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import tfxai
from tfxai.datasets import flowers

# %%
# A network with strides
# ----------------------
# Many networks begin with one or two such convolutions; this one has nothing else, and learns the colours of petals in
# a few seconds.

keras.utils.set_random_seed(0)
images, labels, masks = flowers.make("single-6c", n=840, seed=3)
model = keras.Sequential(
    [
        keras.Input((112, 112, 3)),
        layers.Rescaling(1 / 127.5, -1),
        layers.Conv2D(24, 7, strides=4, padding="same", activation="relu", name="conv1"),
        layers.Conv2D(32, 3, strides=2, padding="same", activation="relu", name="conv2"),
        layers.Conv2D(48, 3, strides=2, padding="same", activation="relu", name="conv3"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(6),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
model.fit(images[40:], labels[40:], epochs=8, verbose=0)
images, labels, masks = images[:40], labels[:40], masks[:40]
print(f"accuracy {model.evaluate(images, labels, verbose=0)[1]:.0%}")

# %%
# A signal that is the same everywhere
# ------------------------------------
# Send it back through the first convolution alone, and the grid is all there is to see: with a window of 7 and a stride
# of 4, a pixel lies in one or two windows along each axis. The mean of what arrives is the same.

first = keras.Sequential([keras.Input((112, 112, 3)), *model.layers[:2]])


def everything(outputs):
    return keras.ops.sum(outputs, (1, 2, 3))


gray = np.full((1, 112, 112, 3), 160.0)
constant = {
    strided: tfxai.GuidedBackprop(first, strided=strided)(gray, everything).values[0].sum(-1)
    for strided in ("gradient", "resampled")
}
figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.4), layout="constrained")
for cell, (strided, values) in zip(axes, constant.items(), strict=True):
    inside = values[16:-16, 16:-16]
    top = np.abs(constant["gradient"]).max()
    cell.imshow(values[30:70, 30:70], cmap="seismic", vmin=-top, vmax=top)
    cell.set_title(f'strided="{strided}"', fontsize=10)
    cell.axis("off")
    print(f"{strided:9}  mean {inside.mean():+.2e}, standard deviation {inside.std():.1e}")

# %%
# Before and after
# ----------------
# In the explanation of a class the grids of all three convolutions lie over each other. Without them the map follows
# the edge of the petals.

methods = {
    strided: tfxai.GuidedBackprop(model, strided=strided, classes=flowers.CLASSES["single-6c"])
    for strided in ("gradient", "resampled")
}
explanations = {strided: method(images, labels, verbose=0) for strided, method in methods.items()}
titles = [f'strided="{strided}"' for strided in explanations]
figure = tfxai.plot_grid([one[1:4] for one in explanations.values()], titles=titles)

# %%
# How much of it is grid?
# -----------------------
# In the spectrum of a map a grid of 4 pixels stands at the frequencies 1/4 and 1/2, and at their sums along both axes.

for strided, explanation in explanations.items():
    heatmaps = explanation.heatmaps()
    power = np.abs(np.fft.fft2(heatmaps)) ** 2
    grid = power[:, ::28, ::28].sum((1, 2)) - power[:, 0, 0]
    share = (grid / (power.sum((1, 2)) - power[:, 0, 0])).mean()
    inside = ((heatmaps * masks).sum((1, 2)) / heatmaps.sum((1, 2))).mean()
    iou = tfxai.metrics.iou_curve(heatmaps, masks).mean()
    print(f"{strided:9}  grid {share:6.2%} of the variance, {inside:.0%} of the map in the petals, mean IoU {iou:.2f}")

# %%
# The plain gradient stays the default, because it is what was published. `tfxai.Deconvnet` and `tfxai.GuidedGradCAM`
# take ``strided="resampled"`` as well, and so do Keras models and SavedModels. A network without strided convolutions
# is explained as before. The speckle that is left in networks with max-pooling comes from its switches, not from
# strides.
