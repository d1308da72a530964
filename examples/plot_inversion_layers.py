"""
Layers of guided feature inversion
==================================

Guided feature inversion has two layers. The *inversion layer* is the one whose features the masked image must keep. The
*base layer* gives the channels that the mask is made of. Which should they be?
"""

import matplotlib.pyplot as plt
import numpy as np

import tfxai
from tfxai.datasets import flowers

layers = [f"block{number}_relu" for number in range(1, 6)]
sets = ("single-6c", "double-12c")
data = {name: flowers.make(name, n=12, seed=3) for name in sets}
models = {name: flowers.load_model(name) for name in sets}

# %%
# By default the inversion layer is the last spatial layer, and the base layer the last that is fine enough, with twelve
# positions or more along each side. This network takes images of any size, so only a batch can tell:

print(tfxai.GuidedFeatureInversion(models["single-6c"])(data["single-6c"][0][:1]).facts)


def draw(maps, images):
    """The first images: whole, and with the masks of each layer."""
    _, axes = plt.subplots(3, len(layers) + 1, figsize=(9.5, 5), layout="constrained")
    for number, row in enumerate(axes):
        masks = [np.ones(images.shape[1:3]), *(maps[layer][number] for layer in layers)]
        for cell, title, mask in zip(row, ["", *layers], masks, strict=True):
            cell.imshow((images[number] * mask[..., None]).astype("uint8"))
            cell.set_title(title if number == 0 else "", fontsize=9)
            cell.axis("off")


# %%
# The inversion layer: what does it keep?
# ---------------------------------------
# The first stage alone, ``stages="inversion"``, knows no class. It seeks the mask outside of which the image can be
# blurred while the inversion layer stays as it is. The base layer is the same in all columns, the first.


def keep(name, layer):
    images = data[name][0]
    return tfxai.GuidedFeatureInversion(models[name], layer, base_layer="block1_relu", stages="inversion")(
        images
    ).values


kept = {name: {layer: keep(name, layer) for layer in layers} for name in sets}
draw(kept["single-6c"], data["single-6c"][0])

# %%
# The low layers keep the edges of stems, leaves and pebbles, and the high ones the petals only.
#
# The base layer: what is the mask made of?
# -----------------------------------------
# Now both stages, the second for the true class. The inversion layer is the last. The mask is made of the channels
# themselves, as in the paper, and not of the evidence in them.


def explain(name, layer):
    images, labels, _ = data[name]
    explainer = tfxai.GuidedFeatureInversion(models[name], base_layer=layer, channels="activations", target_steps=25)
    return explainer(images, target=labels).values


found = {name: {layer: explain(name, layer) for layer in layers} for name in sets}
draw(found["double-12c"], data["double-12c"][0])

# %%
# In numbers
# ----------
# The mean intersection over union with the pixels that decide the class, over all thresholds:

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), sharey=True, layout="constrained")
families = {"inversion layer, first stage": kept, "base layer, both stages": found}
for cell, (title, family) in zip(axes, families.items(), strict=True):
    for name, maps in family.items():
        scores = [tfxai.metrics.iou_curve(maps[layer], data[name][2]).mean() for layer in layers]
        cell.plot([layer.removesuffix("_relu") for layer in layers], scores, "o-", label=name)
    cell.set_title(title, fontsize=10)
    cell.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("mean IoU with the decisive part")
axes[0].set_ylim(0, 0.8)
axes[1].legend(frameon=False)

# %%
# The inversion layer says what counts, and the base layer how finely it is drawn. As inversion layer, the lowest is the
# worst. As base layer it is the best here: a class is a colour, and low channels answer to colours. They cannot tell
# apart what differs by more than that. With VGG-19, the paper finds the boxes around objects in photographs with 38 %
# errors from the last convolution, and with 54 % from the pooling below its block.
