"""
Watching explanations while a network trains
============================================

A network learns to name flowers, and after every epoch `tfxai.callbacks.ExplanationCallback` explains the same images.
So one sees when it finds the decisive part, and that this is not the end of the story.
"""

import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np

import tfxai
from tfxai.datasets import flowers
from tfxai.display import overlay, saturate, sheet

classes = flowers.CLASSES["double-12c"]
images, labels, _ = flowers.make("double-12c", n=900, size=64, seed=1)
watched, watched_labels, masks = flowers.make("double-12c", n=60, size=64, seed=2)

keras.utils.set_random_seed(0)
model = flowers.build_model(len(classes))
model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])

# %%
# A flower of this set has one colour, on its petals or on its leaves with the stem; all else is nearly grey. Colour and
# part together are the class.
#
# Two callbacks explain the true class. One writes pictures of six flowers, for the eye and for TensorBoard. The other
# writes nothing, and measures on sixty.

methods = ["grad_cam", "saliency"]
folder = Path(tempfile.mkdtemp())
pictures = tfxai.callbacks.ExplanationCallback(
    watched[:6], methods, targets=watched_labels[:6], classes=classes, log_dir=folder
)
measures = tfxai.callbacks.ExplanationCallback(watched, methods, targets=watched_labels, batch_size=60)

# %%
# A callback holds the latest explanations. To look back later, they are kept, from the untrained network on, and so
# are the predicted classes.

kept = [{method: tfxai.explain(model, watched, method, watched_labels, batch_size=60) for method in methods}]
predicted = [model.predict(watched.astype(np.float32), verbose=0).argmax(1)]


def keep(epoch, logs):
    kept.append(dict(measures.explanations))
    predicted.append(model.predict(watched.astype(np.float32), verbose=0).argmax(1))


callbacks = [pictures, measures, keras.callbacks.LambdaCallback(on_epoch_end=keep)]
_ = model.fit(images.astype(np.float32), labels, epochs=10, verbose=0, callbacks=callbacks)

# %%
# This is what the callback wrote after the last epoch: the images, and a row for each method, with the score and the
# class that are explained.


def show(picture):
    height, width = picture.shape[:2]
    figure = plt.figure(figsize=(width / 90, height / 90))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture)
    axes.axis("off")


show(plt.imread(folder / "epoch_00009.png"))

# %%
# Learning where to look
# ----------------------
# Grad-CAM, a row for each epoch. The share is that of the heat inside the decisive part, over all sixty images; the
# part covers 8 % of an image.


def inside(explanation):
    heatmaps = explanation.heatmaps()
    return np.mean((heatmaps * masks).sum((1, 2)) / np.maximum(heatmaps.sum((1, 2)), 1e-9))


def rows(method):
    for epoch, explanations in enumerate(kept, start=-1):
        heatmaps = saturate(explanations[method].heatmaps())
        title = f"epoch {epoch}" if epoch >= 0 else "untrained"
        overlays = [overlay(image, heatmap) for image, heatmap in zip(watched[:6], heatmaps[:6], strict=True)]
        yield f"{title}: {inside(explanations[method]):.0%} inside", overlays, [""] * 6


show(sheet(list(rows("grad_cam"))))

# %%
# Untrained, the maps lie on whatever stands out. One pass over 900 images is enough to find the colour: Grad-CAM is on
# the petals, or on the leaves, of all six, and hardly changes any more. Two thirds of its heat lie outside, mostly as a
# rim: its maps have 8 x 8 positions.
#
# The gradient sees each pixel.

show(sheet(list(rows("saliency"))))

# %%
# How fast explanations move
# --------------------------
# The similarity is the rank correlation of each map with that of the epoch before, averaged over the images. Beside it:
# how much heat lies inside the decisive part, and what the network gets right.

epochs = range(-1, 10)  # -1 is the untrained network
truth = np.array(predicted) - watched_labels  # classes of one colour are 6 apart
right = {
    "colour": (truth % 6 == 0).mean(1),
    "part": (np.array(predicted) // 6 == watched_labels // 6).mean(1),
    "both": (truth == 0).mean(1),
}

figure, (moving, looking, knowing) = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
for method in methods:
    moving.plot(*zip(*measures.history[method], strict=True), "o-", label=method)
    looking.plot(epochs, [inside(explanations[method]) for explanations in kept], "o-", label=method)
looking.axhline(masks.mean(), color="0.6", linewidth=1, linestyle="--", label="share of pixels")
for number, (name, share) in enumerate(right.items(), start=2):
    knowing.plot(epochs, share, "o-", color=f"C{number}", label=name)
titles = {moving: "similarity", looking: "heat inside the part", knowing: "predicted correctly"}
for axes, title in titles.items():
    axes.set(title=title, xlabel="epoch", xlim=(-1.4, 9.4), ylim=(0, 1.03))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)

# %%
# The network knows most colours after one epoch and all after three, and the heat comes to the coloured part with the
# first. But it still guesses where the colour is, for which it must tell petals from leaves. This it learns slowly, and
# meanwhile less of the heat lies inside. In the last rows the gradient is also on grey leaves below coloured petals, on
# grey petals above coloured leaves, and, less convincingly, on the background. So a smaller share inside the mask is
# not a worse network here: it is right on five of six images in the end, and was on about two thirds of them when the
# share of Grad-CAM was at its highest.
#
# The similarity rises until epoch 5, and no further: the maps keep moving while the network learns to tell the parts.
# An accuracy says that something was learned; this says that the reasons move. Where to, only the pictures show.
