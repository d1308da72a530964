"""
A first explanation
===================

A network looks at flowers and names the colour of their petals. Which pixels made it say so?
"""

# %%
# A model and images
# ------------------
# `tfxai.datasets.flowers` paints images in which one part of a flower carries the class, and says which pixels these
# are. A network that was trained on them comes with the package. It takes pixels from 0 to 255; your own model gets
# its images as it always does, preprocessed in its own way.

import numpy as np

import tfxai
from tfxai.datasets import flowers

images, labels, masks = flowers.make("single-6c", n=4, seed=7)
model = flowers.load_model("single-6c")
classes = flowers.CLASSES["single-6c"]

probabilities = model.predict(images.astype("float32"), verbose=0)
for label, row in zip(labels, probabilities, strict=True):
    print(f"painted: {classes[label]:15} predicted: {classes[row.argmax()]:15} with probability {row.max():.2f}")

# %%
# The explanation
# ---------------
# An explainer is made for a model, and called on a batch. `tfxai.GradCAM` needs a layer; without one it takes the
# last layer that still has positions. Without a target, the predicted class of each image is explained.

explainer = tfxai.GradCAM(model, classes=classes)
explanation = explainer(images)
print(explanation.facts["layer"], explanation.facts["score"])

# %%
# The figure has a row for each image. Below an image stand the class and the score that is explained, which is the
# logit: what enters the softmax.

figure = explanation.plot()

# %%
# What an explanation holds
# -------------------------
# The values are signed and not normalised: they are what the method computed, at the resolution at which it computed
# them. Heat-maps are made from them for the eye: the positive part here, enlarged to the image and scaled to 0..1.

print(explanation.values.shape, explanation.values.dtype, f"{explanation.values.min():.2f}")
print(explanation.heatmaps().shape, explanation.heatmaps().min(), explanation.heatmaps().max())
print(explanation.target, np.round(explanation.score, 2))

# %%
# Everything can be written to a file, and read again, without the model:
#
# .. code-block:: python
#
#    explanation.save("flowers.npz")
#    explanation = tfxai.Explanation.load("flowers.npz")

# %%
# Another method
# --------------
# The maps of Grad-CAM are as coarse as the layer, here 14 x 14. Integrated gradients give each pixel its share of the
# score. Explanations of the same images are laid side by side by `tfxai.plot_grid`.

pixels = tfxai.IntegratedGradients(model, baseline="mean", classes=classes)(images)
figure = tfxai.plot_grid({"Grad-CAM": explanation, "integrated gradients": pixels})

# %%
# Both point at the petals. Grad-CAM covers the flower and a margin around it, because a unit of a late layer sees
# more than the pixels below it; integrated gradients pick out the petals, in grains. What suits you depends on the
# question: :doc:`/methods` has the facts, and :ref:`sphx_glr_gallery_plot_comparing_methods.py` puts numbers to it.
