"""
Explaining a SavedModel
=======================

A model was exported for serving, and its Keras code is not at hand. What is left is a folder with a graph and weights.
It can be explained all the same, layer by layer, and with the same numbers.
"""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

import tfxai
from tfxai.datasets import flowers

images, _, _ = flowers.make("single-6c", n=12, seed=5)
model = flowers.load_model("single-6c")
classes = flowers.CLASSES["single-6c"]

# %%
# Export and forget
# -----------------
# ``model.export`` writes a SavedModel: no Python, no layers, only a function from images to probabilities.

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name, "flowers")
model.export(folder, verbose=False)
print(sorted(file.name for file in folder.iterdir()))

# %%
# Layers, still by name
# ---------------------
# The graph remembers which layer an operation came from. `tfxai.layers` lists these layers under the names that they
# have in the Keras model. The kind is that of the first operation in the layer, since the class of the layer is no
# longer known.

for layer in tfxai.layers(folder):
    print(f"{layer.name:14} {layer.kind:10} {layer.shape!s:26} {'spatial' if layer.spatial else ''}")

print("same names:", [layer.name for layer in tfxai.layers(folder)] == [layer.name for layer in tfxai.layers(model)])

# %%
# The same explanations
# ---------------------
# Every explainer takes the path where it takes a model. Grad-CAM needs a layer and its gradient; guided backpropagation
# modifies the backward pass at every ReLU. Neither would be possible if the SavedModel were a black box.

settings = {
    "Grad-CAM": (tfxai.GradCAM, {"layer": "block4_relu"}),
    "guided backpropagation": (tfxai.GuidedBackprop, {}),
}
columns = {}
for name, (method, options) in settings.items():
    keras_one = method(model, classes=classes, **options)(images)
    saved_one = method(folder, classes=classes, **options)(images)
    print(f"{name}: largest difference {np.abs(keras_one.values - saved_one.values).max():.1e}, {saved_one.facts}")
    columns |= {f"{name}, Keras model": keras_one[:3], f"{name}, SavedModel": saved_one[:3]}

# %%
# Not one bit differs, and all five ReLUs were found. In the figure every map stands beside its twin:

figure = tfxai.plot_grid(columns)

# %%
# Equal does not mean good: in the first row guided backpropagation lights up half of the background, on both models
# alike. What a method is worth is another question, see :ref:`sphx_glr_gallery_plot_comparing_methods.py`.
#
# Preprocessing that is part of the model
# ---------------------------------------
# What is served often takes more than the network does: photographs of any size, scaled otherwise. Such a function is
# written in a ``tf.Module`` and saved as a signature. This one takes photographs from 0 to 1 and shrinks them to the
# 112 pixels for which the network was trained.


class Service(tf.Module):
    def __init__(self):
        self.network = model

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, "photos")])
    def name_flowers(self, photos):
        with tf.name_scope("preprocess"):
            small = tf.image.resize(255 * photos, (112, 112), antialias=True)
        return {"probabilities": self.network(small, training=False)}


service = Service()
tf.saved_model.save(service, str(folder / "service"), signatures={"name_flowers": service.name_flowers})
print([layer.name for layer in tfxai.layers(folder / "service", signature="name_flowers")][-7:])

# %%
# The network is a layer of the service now, and its layers have its name before them. ``"block4_relu"`` alone is
# enough, as no other layer has that name. The signature is given here to show how; there is one only, so it could be
# left out. The same scenes, painted twice as large, serve as photographs.

photos, _, masks = flowers.make("single-6c", n=12, size=224, seed=5)
photos = photos.astype("float32") / 255
options = {"classes": classes, "signature": "name_flowers"}
served = {
    "Grad-CAM": tfxai.GradCAM(folder / "service", layer="block4_relu", **options)(photos),
    "integrated gradients": tfxai.IntegratedGradients(folder / "service", baseline="mean", **options)(photos),
    "occlusion": tfxai.Occlusion(folder / "service", window=32, stride=16, fill="blur", **options)(photos),
}
figure = tfxai.plot_grid({name: explanation[:3] for name, explanation in served.items()})

# %%
# Integrated gradients have a value for every pixel of the photographs, because gradients pass the preprocessing. They
# light up the petals, in grains, and a little of the leaves in the second row; Grad-CAM and occlusion cover the flower
# with a margin. The mean intersection over union with the petals, over all thresholds and 12 photographs:

for name, explanation in served.items():
    hits = tfxai.metrics.iou_curve(explanation.heatmaps(), masks).mean()
    print(f"{name:22} values {explanation.values.shape}, IoU {hits:.2f}")

# %%
# Grains cost integrated gradients much of this score: few pixels come near the largest value, so at most thresholds
# little of the petals is left.

temporary.cleanup()
