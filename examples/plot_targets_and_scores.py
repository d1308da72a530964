"""
Targets and scores
==================

An explanation answers a question: why this score? By default the score is the logit of the predicted class. It can be
any other class, a unit within the network, or a function of the outputs.
"""

import keras
import numpy as np

import tfxai
from tfxai.datasets import flowers

images, labels, masks = flowers.make("double-12c", n=12, seed=3)
model = flowers.load_model("double-12c")
classes = flowers.CLASSES["double-12c"]
print(", ".join(classes))

# %%
# In this set the colour is either on the petals or on the leaves, and both part and colour make the class. Here is
# one of each:

chosen = [next(n for n, label in enumerate(labels) if classes[label] == name) for name in ("red petals", "blue leaves")]
images, labels, masks = images[chosen], labels[chosen], masks[chosen]

# %%
# Classes
# -------
# A class is given by number, or by name where the explainer knows the names; one for all images, or one for each. The
# figure says what is explained and how high it scores.

explainer = tfxai.GradCAM(model, layer="block4_relu", classes=classes)
figure = tfxai.plot_grid(
    {
        "predicted": explainer(images),
        "of each image": explainer(images, target=["red petals", "blue leaves"]),
        "red petals": explainer(images, target="red petals"),
        "blue leaves": explainer(images, target="blue leaves"),
    }
)

# %%
# The map of a class that is not there shows what little speaks for it, or is empty where nothing does. Being scaled to
# its own maximum, it looks no weaker than others. The values and the score tell:

for name in ("red petals", "blue leaves"):
    explanation = explainer(images, target=name)
    largest = explanation.values.max((1, 2))
    print(f"{name}: scores {np.round(explanation.score, 1)}, largest values {np.round(largest, 2)}")

# %%
# Logits and probabilities
# ------------------------
# Scores are logits, even where the model ends in a softmax. The gradient of a probability is the probability times the
# difference of its logit's gradient and the mean of all logits' gradients, each weighted by its probability. So it
# mixes in all other classes, and vanishes where the network is sure. ``score="probability"`` asks for it nevertheless.

for score in ("logit", "probability"):
    explanation = tfxai.Saliency(model, score=score)(images)
    print(f"{score:12} score {np.round(explanation.score, 3)}  largest gradient {np.abs(explanation.values).max():.1e}")

# %%
# Any function of the outputs
# ---------------------------
# A function takes the outputs as the model gives them, or with ``score="logit"`` its logits, (n, classes), and returns
# one score for each input. Here: why blue leaves rather than blue petals? What speaks for both, such as the colour by
# itself, cancels.

leaves, petals = classes.index("blue leaves"), classes.index("blue petals")


def leaves_not_petals(logits):
    return logits[:, leaves] - logits[:, petals]


contrast = tfxai.GradCAM(model, layer="block4_relu", score="logit")(images, target=leaves_not_petals)
figure = tfxai.plot_grid({"blue leaves": explainer(images, target="blue leaves"), "rather than blue petals": contrast})

# %%
# Channels and neurons
# --------------------
# What does a unit within the network respond to? `tfxai.targets.Channel` explains a whole channel of a layer, and
# `tfxai.targets.Neuron` one position of it. Guided backpropagation draws what excites them. Here is the unit of block 3
# that is strongest on the first image. On the second image the same position may be silent: then its map is empty.

layer = keras.Model(model.input, model.get_layer("block3_relu").output)
activations = layer.predict(images.astype("float32"), verbose=0)
row, column, channel = (int(i) for i in np.unravel_index(activations[0].argmax(), activations.shape[1:]))
print(f"channel {channel} at row {row}, column {column}: {activations[:, row, column, channel].round(2)}")

guided = tfxai.GuidedBackprop(model, classes=classes)
figure = tfxai.plot_grid(
    {
        "class": guided(images),
        "channel": guided(images, target=tfxai.targets.Channel("block3_relu", channel)),
        "neuron": guided(images, target=tfxai.targets.Neuron("block3_relu", (row, column, channel))),
    }
)
