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
images, labels, masks = flowers.make("single-6c", n=6, seed=3)
model = flowers.load_model("single-6c")

# %%
# By default the inversion layer is the last spatial layer, and the base layer the last that is fine enough, with twelve
# positions or more along each side. This network takes images of any size, so only a batch can tell:

print(tfxai.GuidedFeatureInversion(model)(images[:1]).facts)


def draw(maps):
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
# The first stage alone, ``stages="inversion"``, does not look at the class. It seeks the mask outside of which the
# image can be blurred while the inversion layer stays as it is. The base layer is the same in all columns, the first.


def keep(layer):
    explainer = tfxai.GuidedFeatureInversion(model, layer, base_layer="block1_relu", stages="inversion")
    return explainer(images).values


kept = {layer: keep(layer) for layer in layers}
draw(kept)

# %%
# The low layers keep the edges of stems, leaves and pebbles, and the high ones the petals only.
#
# The base layer: what is the mask made of?
# -----------------------------------------
# Now both stages, the second for the true class. The inversion layer is the last. The mask is made of the channels
# themselves, as in the paper, and not of the evidence in them.


def explain(layer):
    explainer = tfxai.GuidedFeatureInversion(model, base_layer=layer, channels="activations", target_steps=25)
    return explainer(images, target=labels).values


found = {layer: explain(layer) for layer in layers}
draw(found)

# %%
# In numbers
# ----------
# The mean intersection over union with the petals, which decide the class, over all thresholds:

figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
for title, maps in {"inversion layer, first stage": kept, "base layer, both stages": found}.items():
    scores = [tfxai.metrics.iou_curve(maps[layer], masks).mean() for layer in layers]
    axes.plot([layer.removesuffix("_relu") for layer in layers], scores, "o-", label=title)
axes.set_ylabel("mean IoU with the petals")
axes.set_ylim(0, 0.8)
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)

# %%
# The inversion layer says what counts, and the base layer how finely it is drawn. As inversion layer, the lowest is the
# worst. As base layer it is the best here: a class is a colour, and low channels respond to colours. With VGG-19, the
# paper finds the boxes around objects in photographs with 38 % errors from the last convolution, and with 54 % from the
# pooling below its block.
