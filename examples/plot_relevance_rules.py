"""
Choosing LRP rules
==================

Layer-wise relevance propagation hands the score back, layer by layer, and each layer shares it by a rule. The rules
decide what the map looks like. Here composites from the literature explain the same flowers, and the true petals tell
which of them find what the network looks at.
"""

import matplotlib.pyplot as plt
import numpy as np

import tfxai
from tfxai.datasets import flowers
from tfxai.relevance import Composite, Gamma, WSquare, ZPlus, convolution, first, upto

images, labels, masks = flowers.make("single-6c", n=12, seed=7)
model = flowers.load_model("single-6c")
classes = flowers.CLASSES["single-6c"]

# %%
# Composites
# ----------
# A name stands for a composite of the literature; a single rule serves all layers; and a `tfxai.relevance.Composite` is
# a list of conditions and rules, of which the first that fits decides.
#
# This network begins with a scale and a shift of its own, from pixels in 0..255 to -1..1, which hand relevance on. The
# bounds of the z-box are those of what the first convolution sees: -1 and 1.

by_depth = Composite([(first, WSquare()), (upto(0.5), ZPlus()), (convolution, Gamma(0.25))])
composites = {
    "epsilon": "epsilon",
    "epsilon_plus": "epsilon_plus",
    "epsilon_plus_flat": "epsilon_plus_flat",
    "epsilon_gamma_box": "epsilon_gamma_box",
    "epsilon_alpha2_beta1_flat": "epsilon_alpha2_beta1_flat",
    "deep_taylor": "deep_taylor",
    "excitation_backprop": "excitation_backprop",
    "Gamma(1)": Gamma(1.0),
    "our own, by depth": by_depth,
}
explanations = {
    name: tfxai.LRP(model, composite=composite, low=-1, high=1, classes=classes)(images, labels, verbose=0)
    for name, composite in composites.items()
}

# %%
# How much of it lies on the petals?
# ----------------------------------
# Two numbers for each composite. The share of positive relevance in the petals says where it lies. The sum of all
# relevance over the score says how much has arrived: it would be 1, were there no biases.

inside, arrived = {}, {}
for name, explanation in explanations.items():
    relevance = explanation.values.sum(-1)
    positive = np.maximum(relevance, 0)
    inside[name] = ((positive * masks).sum((1, 2)) / positive.sum((1, 2))).mean()
    arrived[name] = relevance.sum((1, 2)) / explanation.score
    low, middle, high = np.percentile(arrived[name], [10, 50, 90])
    print(f"{name:26} {inside[name]:4.0%} on the petals; of the score {middle:4.0%} arrive ({low:.0%} to {high:.0%})")
print(f"{'(share of the pixels)':26} {masks.mean():4.0%}")

# %%
# Side by side
# ------------
# Relevance has a sign, so it is drawn on white: red speaks for the class, blue against it.

for number in (1, 8):
    figure, axes = plt.subplots(2, 5, figsize=(9.5, 4.4), layout="constrained")
    axes[0, 0].imshow(images[number])
    axes[0, 0].set_title(classes[labels[number]], fontsize=9)
    for cell, (name, explanation) in zip(axes.flat[1:], explanations.items(), strict=True):
        relevance = explanation.values[number].sum(-1)
        top = np.percentile(np.abs(relevance), 99.5)
        cell.imshow(relevance, cmap="seismic", vmin=-top, vmax=top)
        cell.set_title(name, fontsize=9)
    for cell in axes.flat:
        cell.axis("off")

# %%
# All of them find the petals. Flat and w-square do not look at the pixels of the first layer, and spread relevance
# evenly over what the first convolution sees. epsilon and alpha-beta show what speaks against the class; z+ cannot.
# z+ at the dense layer as well, as in ``"deep_taylor"`` and ``"excitation_backprop"``, asks only what speaks for the
# class, and so hands some relevance to what all classes have in common.
#
# This network is small, so even epsilon is readable. In deep networks it is as noisy as the gradient:
# :doc:`/how_to_choose_relevance_rules` has photographs, and says which rule is for which layer.
