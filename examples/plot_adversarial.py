"""
What is left of a class in an adversarial image
===============================================

A small change of the pixels, made against the network, lets it see another class. Is the true class then gone from the
network, or only outvoted? Guided feature inversion explains any class, also one that the network no longer believes in.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from scipy.stats import spearmanr

import tfxai
from tfxai.datasets import flowers

images, labels, masks = flowers.make("double-12c", n=24, seed=9)
images = images.astype("float32")
model = flowers.load_model("double-12c")
classes = flowers.CLASSES["double-12c"]

# %%
# The attack
# ----------
# The fast gradient sign method moves every pixel by the same step, in the direction in which the loss of the true class
# rises. The steps are counted in levels of 255.


def attack(images, labels, step):
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = keras.losses.sparse_categorical_crossentropy(labels, model(x))
    return np.clip(images + step * np.sign(tape.gradient(loss, x)), 0, 255)


attacked = {step: attack(images, labels, step) for step in (4, 8)}
probabilities = {step: model.predict(x, verbose=0) for step, x in ({0: images} | attacked).items()}
predicted = {step: p.argmax(1) for step, p in probabilities.items()}
for step, p in probabilities.items():
    true = np.take_along_axis(p, labels[:, None], 1).mean()
    print(f"step {step}: {(predicted[step] != labels).sum():2} of {len(labels)} fooled, true class at {true:4.0%}")

# %%
# The true class, clean and attacked
# ----------------------------------
# Two numbers for each pair of masks: the intersection over union of what exceeds 1.5 times the mean, and Spearman's
# rank correlation of all pixels. Masks of different images are there for comparison: these overlap as well, for flowers
# stand in the middle.

explainer = tfxai.GuidedFeatureInversion(model, classes=classes)
clean = explainer(images, target=labels).values
true = {step: explainer(x, target=labels).values for step, x in attacked.items()}


def agreement(a, b):
    a_high, b_high = (x > 1.5 * x.mean((1, 2), keepdims=True) for x in (a, b))
    iou = (a_high & b_high).sum((1, 2)) / (a_high | b_high).sum((1, 2))
    ranks = [spearmanr(one.ravel(), other.ravel()).statistic for one, other in zip(a, b, strict=True)]
    return f"IoU {iou.mean():.2f}, rank correlation {np.mean(ranks):.2f}"


for step, maps in true.items():
    fooled = predicted[step] != labels
    print(f"step {step}: all {agreement(clean, maps)}; fooled {agreement(clean[fooled], maps[fooled])}")
print(f"different images: {agreement(clean, np.roll(clean, 1, 0))}")

# %%
# The class that the network sees
# -------------------------------
# Some of the images that are taken for another class: clean, with the mask of the true class; and attacked, with the
# masks of the true class and of the predicted one.

fooled = np.flatnonzero(predicted[8] != labels)
wrong = explainer(attacked[8][fooled], target=predicted[8][fooled]).values
print(f"true class of the clean image, predicted class of the attacked one: {agreement(clean[fooled], wrong)}")

figure, axes = plt.subplots(4, 5, figsize=(9.5, 8), layout="constrained")
for row, number, mask in zip(axes, fooled, wrong, strict=False):
    nothing, other = np.ones_like(mask), classes[predicted[8][number]]
    for cell, title, image, over in (
        (row[0], "clean", images, nothing),
        (row[1], classes[labels[number]], images, clean[number]),
        (row[2], f"attacked: {other}", attacked[8], nothing),
        (row[3], classes[labels[number]], attacked[8], true[8][number]),
        (row[4], other, attacked[8], mask),
    ):
        cell.imshow((image[number] * over[..., None]).astype("uint8"))
        cell.set_title(title, fontsize=9)
        cell.axis("off")

# %%
# The mask of the predicted class overlaps that of the true one, too: the attack has not led the network to look
# elsewhere so much as to take what is there for something else.
