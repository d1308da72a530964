"""
Relevance in a residual network
===============================

Where two paths are added, relevance is shared between them. This example follows it down a small residual network,
layer by layer, and looks at what biases take away. At the end, DeepLIFT does without such losses.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers

import tfxai
from tfxai.datasets import flowers

keras.utils.set_random_seed(0)

# %%
# A residual network
# ------------------
# Three blocks with batch normalisation, trained for a few seconds. Blocks 2 and 3 halve the size of the maps, and have
# a convolution on their short cut.


def block(x, filters, stride, name):
    y = layers.Conv2D(filters, 3, stride, padding="same", name=f"{name}_conv1")(x)
    y = layers.ReLU(name=f"{name}_relu1")(layers.BatchNormalization(momentum=0.9, name=f"{name}_bn1")(y))
    y = layers.Conv2D(filters, 3, padding="same", name=f"{name}_conv2")(y)
    y = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn2")(y)
    short = x if stride == 1 else layers.Conv2D(filters, 1, stride, name=f"{name}_short")(x)
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([y, short]))


inputs = keras.Input((56, 56, 3))
x = layers.ReLU(name="stem_relu")(layers.Conv2D(16, 3, 2, padding="same", name="stem_conv")(inputs))
for number, (filters, stride) in enumerate([(16, 1), (32, 2), (32, 2)], start=1):
    x = block(x, filters, stride, f"block{number}")
outputs = layers.Dense(6, name="logits")(layers.GlobalAveragePooling2D(name="average")(x))
model = keras.Model(inputs, outputs)

images, labels, _ = flowers.make("single-6c", n=800, size=56, seed=1)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
model.fit(images / 127.5 - 1, labels, epochs=4, batch_size=40, verbose=0)

photos, classes, masks = flowers.make("single-6c", n=12, size=56, seed=7)
x = photos.astype("float32") / 127.5 - 1
_, accuracy = model.evaluate(x, classes, verbose=0)
print(f"accuracy on new images: {accuracy:.0%}")

# %%
# Relevance at layers
# -------------------
# ``at=`` names the layer at whose output relevance is read. On a path that everything takes, the relevance of a layer
# sums to the score, as long as nothing is lost. What is lost goes to biases: here, the shifts that batch
# normalisations fold into their convolutions. With ``bias=False``, shifts get nothing.

stations = ["logits", "block3_relu2", "block2_relu2", "block1_relu2", "stem_relu", "input"]


def relevance(name, bias):
    explainer = tfxai.LRP(model, at=None if name == "input" else name, bias=bias)
    return explainer(x, classes, verbose=0)


found = {bias: {name: relevance(name, bias) for name in stations} for bias in (True, False)}
sums = {bias: [one.values.reshape(len(x), -1).sum(1) / one.score for one in at.values()] for bias, at in found.items()}

# %%
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for bias, label in ((True, "biases take their part"), (False, "bias=False")):
    middle = [np.median(one) for one in sums[bias]]
    axes.plot(stations, middle, "o-", label=label)
    axes.fill_between(stations, *np.percentile(sums[bias], [10, 90], axis=1), alpha=0.15)
    print(f"{label:24}", *(f"{name} {one:.2f}" for name, one in zip(stations, middle, strict=True)))
axes.set_ylabel("sum of relevance / score")
axes.set_ylim(0, None)
axes.tick_params(axis="x", labelrotation=20)
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %%
# The relevance of a layer has its shape. Summed over channels it is a map, here that of ``bias=False``, from the last
# block down to the pixels. It gets finer with each layer, and the strides leave their grid.

figure, axes = plt.subplots(1, 6, figsize=(11, 2.2), layout="constrained")
axes[0].imshow(photos[2])
axes[0].set_title("image", fontsize=9)
for cell, name in zip(axes[1:], stations[1:], strict=True):
    shares = found[False][name].values[2].sum(-1)
    top = np.percentile(np.abs(shares), 99.5)
    cell.imshow(shares, cmap="seismic", vmin=-top, vmax=top)
    cell.set_title(name, fontsize=9)
for cell in axes:
    cell.axis("off")

# %%
# Both paths of a block
# ---------------------
# An addition gives each path its share of the sum. So the convolutions of a block and its short cut together have what
# the block's output had.

for number in (2, 3):
    block = f"block{number}"
    parts = found[False][f"{block}_relu2"], *(relevance(f"{block}_{name}", bias=False) for name in ("bn2", "short"))
    total, convolutions, short = (part.values.sum((1, 2, 3)).mean() for part in parts)
    print(f"block {number}: {total:.3f} = {convolutions:.3f} through the convolutions + {short:.3f} by the short cut")

# %%
# DeepLIFT
# --------
# `tfxai.DeepLift` explains the difference from a baseline, here the mean colour of each image. Biases are the same for
# both, so they take nothing, and the values sum to the difference of the scores. ``extras["completeness_gap"]`` is what
# is missing: rounding.

lifted = {
    rule: tfxai.DeepLift(model, baseline="mean", rule=rule)(x, classes, verbose=0)
    for rule in ("rescale", "reveal_cancel")
}
for rule, explanation in lifted.items():
    positive = np.maximum(explanation.values.sum(-1), 0)
    inside = ((positive * masks).sum((1, 2)) / positive.sum((1, 2))).mean()
    gap = np.abs(explanation.extras["completeness_gap"]).max()
    print(f"{rule:14} largest gap {gap:.1e} of scores up to {explanation.score.max():.1f}; {inside:.0%} on the petals")
figure = tfxai.plot_grid(
    {"LRP": found[True]["input"][:3]} | {rule: one[:3] for rule, one in lifted.items()}, photos[:3]
)

# %%
# Causes that cancel
# ------------------
# A network may compute min(a, b) as a - relu(a - b). Both inputs have made the result, yet the slope of the ReLU
# credits the smaller one with all of it. ``rule="reveal_cancel"`` follows what raises a value apart from what lowers
# it, and gives each one half, as the Shapley value does.

pair = keras.Input((2,))
a, b = pair[:, :1], pair[:, 1:]
minimum = keras.Model(pair, a - keras.ops.relu(a - b))
values = np.array([[3.0, 1.0], [2.0, 5.0]], "float32")
print("(a, b)      rule            of a   of b")
for rule in ("rescale", "reveal_cancel"):
    for row, (of_a, of_b) in zip(values, tfxai.DeepLift(minimum, rule=rule)(values, verbose=0).values, strict=True):
        print(f"({row[0]:.0f}, {row[1]:.0f})      {rule:14} {of_a:5.2f}  {of_b:5.2f}")
