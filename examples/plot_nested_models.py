"""
Nested models
=============

In transfer learning, a trained network becomes one layer of another model. Its inner layers are then out of reach of
``keras.Model(model.inputs, layer.output)``. Explainers reach them by path.
"""

import keras
import numpy as np

import tfxai
from tfxai.datasets import flowers

images, labels, masks = flowers.make("single-6c", n=4, seed=11)
flat = flowers.load_model("single-6c")
classes = flowers.CLASSES["single-6c"]

# %%
# A model within a model
# ----------------------
# The flower network up to its last maps becomes a backbone. Around it, preprocessing and a head of our own are laid,
# as one does for a new task. The head gets the weights of the old one, so that both models compute the same.

backbone = keras.Model(flat.input, flat.get_layer("block5_relu").output, name="backbone")
outer = keras.Sequential(
    [
        keras.Input((112, 112, 3)),
        keras.layers.Rescaling(255.0, name="from_unit_range"),
        backbone,
        keras.layers.GlobalAveragePooling2D(name="average"),
        keras.layers.Dense(6, activation="softmax", name="head"),
    ]
)
outer.get_layer("head").set_weights(flat.get_layer("logits").get_weights())
photos = images.astype("float32") / 255

difference = np.abs(outer.predict(photos, verbose=0) - flat.predict(images.astype("float32"), verbose=0)).max()
print(f"largest difference of probabilities: {difference:.1e}")

# %%
# Inner layers by path
# --------------------
# `tfxai.layers` shows what can be named: ``"backbone/block4_relu"``, or ``"block4_relu"`` alone while no other layer
# has that name.

print([layer.name for layer in tfxai.layers(outer)][-7:])

# %%
# A sub-model cannot do this. The inner layer belongs to another graph of Keras tensors:

try:
    keras.Model(outer.inputs, backbone.get_layer("block4_relu").output)
except ValueError as error:
    print(f"ValueError: {str(error).splitlines()[0][:70]}...")

# %%
# Explainers trace the model once and watch the layer while it runs, wherever it sits:

inner = tfxai.GradCAM(outer, layer="backbone/block4_relu", classes=classes)(photos)
plain = tfxai.GradCAM(flat, layer="block4_relu", classes=classes)(images)
gap = np.abs(inner.values - plain.values).max() / np.abs(plain.values).max()
print(f"largest difference of the maps, relative to the largest value: {gap:.1e}")

# %%
# The softmax that is part of the head is stepped over too: scores are logits in both models. So the maps are equal.

figure = tfxai.plot_grid({"flat: block4_relu": plain, "nested: backbone/block4_relu": inner})

# %%
# A backbone that runs twice
# --------------------------
# A shared backbone looks at two images, and a layer of it runs twice. Its name alone is then ambiguous, and the error
# says how to go on.

left, right = keras.Input((112, 112, 3), name="left"), keras.Input((112, 112, 3), name="right")
pooled = [keras.layers.GlobalAveragePooling2D()(backbone(x)) for x in (left, right)]
twin = keras.Model([left, right], keras.layers.Dot(1, name="likeness")(pooled))
try:
    tfxai.LayerCAM(twin, layer="block4_relu")({"left": images, "right": images[::-1]})
except ValueError as error:
    print(error)

# %%
# Which pixels of the left image make the two alike? A function of the outputs says what is explained, and gradient
# methods give attributions for both inputs at once.


def likeness(outputs):
    return outputs[:, 0]


pair = {"left": images, "right": images[::-1]}
explanation = tfxai.IntegratedGradients(twin, baseline=127.5)(pair, target=likeness)
figure = explanation.plot(input="left")
