"""
Two classes in one picture
==========================

Guided feature inversion works in two stages. The first asks what of the image a deep layer keeps, whatever the class.
The second asks which part of that makes the class. Where a picture shows two things, the first keeps both, and the
second tells them apart.
"""

import matplotlib.pyplot as plt
import numpy as np

import tfxai
from tfxai.datasets import flowers

# %%
# Two flowers, side by side
# -------------------------
# The images of a set hold all classes in turn, so that neighbours differ. The network takes images of any size and sees
# both flowers; there are six classes, which share what is left.


def pairs(name, n=12, seed=5):
    """Pictures of two flowers, their classes, (n / 2, 2), and the decisive pixels of either, (n / 2, 2, h, w)."""
    images, labels, masks = flowers.make(name, n, seed=seed)
    none = np.zeros_like(masks[::2])
    left, right = np.concatenate([masks[::2], none], 2), np.concatenate([none, masks[1::2]], 2)
    return np.concatenate([images[::2], images[1::2]], 2), labels.reshape(-1, 2), np.stack([left, right], 1)


images, labels, masks = pairs("single-6c")
model = flowers.load_model("single-6c")
classes = flowers.CLASSES["single-6c"]
probabilities = np.take_along_axis(model.predict(images.astype("float32"), verbose=0), labels, 1)
for (left, right), (one, other) in zip(labels[:3], probabilities, strict=False):
    print(f"{classes[left]:14} {one:4.0%}    {classes[right]:14} {other:4.0%}")

# %%
# Before and after
# ----------------
# Targets of shape (images, classes) ask for several explanations of each image, which come one after the other. The
# first stage does not look at the class, and runs once for all of them.


def explain(name, images, labels):
    """Maps of the first stage and of the second, (images, 2, h, w) each."""
    found = tfxai.GuidedFeatureInversion(flowers.load_model(name))(images, target=labels)
    return [maps.reshape(len(images), 2, *maps.shape[1:]) for maps in (found.extras["inversion_values"], found.values)]


def draw(images, labels, before, after, classes):
    """The first images: whole, with the mask of the first stage, and with those of the second for either class."""
    _, axes = plt.subplots(3, 4, figsize=(9.5, 4.2), layout="constrained")
    for row, image, pair, kept, found in zip(axes, images, labels, before, after, strict=False):
        titles = ["", "any class", *(classes[label] for label in pair)]
        for cell, title, mask in zip(row, titles, [np.ones(image.shape[:2]), kept[0], *found], strict=True):
            cell.imshow((image * mask[..., None]).astype("uint8"))
            cell.set_title(title, fontsize=9)
            cell.axis("off")


before, after = explain("single-6c", images, labels)
draw(images, labels, before, after, classes)

# %%
# In numbers
# ----------
# How much of a mask lies on the petals that it is for, and how much on those of the other flower? And how much do the
# two masks of a picture overlap, counted where they exceed a half?


def report(before, after, masks):
    for stage, maps in (("first stage", before), ("second stage", after)):
        own, other = ((maps * where).sum((2, 3)) / maps.sum((2, 3)) for where in (masks, masks[:, ::-1]))
        high = maps > 0.5
        overlap = high.all(1).sum((1, 2)) / high.any(1).sum((1, 2))
        print(f"{stage:12}  own {own.mean():4.0%}, other {other.mean():4.0%}, IoU of the masks {overlap.mean():.2f}")


report(before, after, masks)

# %%
# What lies on neither is the rim around the petals and the eye of the flower: the mask is as coarse as its layer, 14 by
# 14 positions of an image of 112 pixels.
#
# Where it is harder
# ------------------
# In the second set a class is a colour *and* the part that has it, petals or leaves:

images, labels, masks = pairs("double-12c")
before, after = explain("double-12c", images, labels)
draw(images, labels, before, after, flowers.CLASSES["double-12c"])
report(before, after, masks)
