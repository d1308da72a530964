"""
Any function
============

Not every model is a network. A random forest has no layers and no gradients, a remote service does not show them. What
can be called can be explained from outside; and what is written in TensorFlow can be explained from inside, network or
not.
"""

import cv2
import numpy as np
import tensorflow as tf
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tfxai
from tfxai.datasets import flowers

images, labels, masks = flowers.make("single-6c", n=12, seed=8)
train_images, train_labels, _ = flowers.make("single-6c", n=360, seed=0)
classes = flowers.CLASSES["single-6c"]

# %%
# Two classifiers on histograms
# -----------------------------
# The classic way: an image becomes a histogram of hues, in which greyish pixels count little, and scikit-learn tells
# classes by it. A logistic regression gives a score for each class, a random forest the share of its trees.


def histogram(image):
    hue, saturation, value = np.moveaxis(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), -1, 0)
    weights = (saturation / 255) * (value / 255)
    return np.bincount(hue.ravel() // 6, weights.ravel(), minlength=30) / 100


def features(images):
    return np.stack([histogram(image) for image in np.clip(images, 0, 255).astype(np.uint8)])


regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
regression.fit(features(train_images), train_labels)
forest = RandomForestClassifier(100, min_samples_leaf=5, random_state=0).fit(features(train_images), train_labels)


# %%
# What is explained is a function from a batch of images to a row of scores for each. It gets NumPy arrays, float32
# here, and may do with them what it likes. This one also writes down how often it is called.

sizes = []


def by_regression(images):
    sizes.append(len(images))
    return regression.decision_function(features(images))


def by_forest(images):
    return forest.predict_proba(features(images))


for function in (by_regression, by_forest):
    right = (function(images).argmax(1) == labels).mean()
    print(f"{function.__name__}: {right:.0%} of {len(images)} flowers are right")

# %%
# Hide and watch
# --------------
# `tfxai.Occlusion` hides one window after the other, `tfxai.RISE` half of the image at random, many times. Both only
# call the function. What is hidden becomes grey, which a histogram of hues does not see.


def hide(function):
    options = {"fill": 127.5, "classes": classes}
    occlusion = tfxai.Occlusion(function, window=28, stride=14, **options)
    rise = tfxai.RISE(function, masks=500, seed=1, **options)
    return [explainer(images, batch_size=64) for explainer in (occlusion, rise)]


sizes.clear()
explanations = dict(zip(["regression: occlusion", "regression: RISE"], hide(by_regression), strict=True))
print(f"{sum(sizes)} images in {len(sizes)} calls, at most {max(sizes)} at once")
explanations |= zip(["forest: occlusion", "forest: RISE"], hide(by_forest), strict=True)

figure = tfxai.plot_grid({name: explanation[:4] for name, explanation in explanations.items()})


def hits(explanation):
    return tfxai.metrics.iou_curve(explanation.heatmaps(), masks).mean()


for name, explanation in explanations.items():
    print(f"{name:22} mean IoU with the petals {hits(explanation):.2f}")

# %%
# Both classifiers are right, and only one is explained well. The score of the regression falls a little with every
# petal that is hidden, so occlusion finds the flower. The share of trees hardly moves before much of the petals is
# gone. What is left then is small and down to chance, and a heat-map enlarges it to its own range: in the third row,
# occlusion of the forest shows patches all over the image. The largest drop tells how much there was to see.


def largest_drop(explanation, row=2):
    return f"score {explanation.score[row]:.2f}, largest drop {explanation.extras['drops'][row].max():.2f}"


print("magenta, regression:", largest_drop(explanations["regression: occlusion"]))
print("magenta, forest:    ", largest_drop(explanations["forest: occlusion"]))

# %%
# So let the function return scores that move, such as log-odds, if the model has them. If it does not, hide larger
# parts. RISE hides half of the image at once; and occlusion may have larger windows:

larger = tfxai.Occlusion(by_forest, window=42, stride=14, fill=127.5, classes=classes)(images, batch_size=64)
print(f"forest, windows of 42 pixels: mean IoU {hits(larger):.2f}; magenta: {largest_drop(larger)}")

# %%
# That is better on average. The magenta flower is so large that even these windows leave enough of it.
#
# What needs gradients or layers says so:

try:
    tfxai.GradCAM(by_forest)(images)
except ValueError as error:
    print(error)

# %%
# A function in TensorFlow
# ------------------------
# The next model was never trained. It is a rule, written down: turn every pixel into a colour without its grey, see how
# well that fits each of six hues, and take the mean over the image. ``tf.name_scope`` gives its two parts names.

angles = np.radians(list(flowers.COLOURS.values()))
HUES = tf.constant(np.stack([np.cos(angles), np.sin(angles)]), tf.float32)  # directions on the colour circle
CIRCLE = tf.constant([[1, 0], [-0.5, 3**0.5 / 2], [-0.5, -(3**0.5) / 2]], tf.float32)  # of red, green and blue


@tf.function(input_signature=[tf.TensorSpec([None, 112, 112, 3])])
def rule(images):
    with tf.name_scope("colours"):
        fits = tf.nn.relu(images / 255 @ CIRCLE @ HUES - 0.25)
    with tf.name_scope("decision"):
        return 100 * tf.reduce_mean(fits, [1, 2])


print(f"right on {(rule(images.astype('float32')).numpy().argmax(1) == labels).mean():.0%} of {len(images)} flowers")
for layer in tfxai.layers(rule):
    print(layer)

# %%
# So there is a layer with maps, and there are gradients.

inside = {
    "occlusion": tfxai.Occlusion(rule, window=28, stride=14, fill=127.5, classes=classes)(images),
    "integrated gradients": tfxai.IntegratedGradients(rule, baseline=127.5, classes=classes)(images),
    "Grad-CAM, colours": tfxai.GradCAM(rule, layer="colours", classes=classes)(images),
}
figure = tfxai.plot_grid({name: explanation[:4] for name, explanation in inside.items()})
for name, explanation in inside.items():
    print(f"mean IoU with the petals: {name} {hits(explanation):.2f}")

# %%
# For a rule like this one, gradients tell the whole truth: a petal's pixel counts as much as its colour fits, and
# integrated gradients and Grad-CAM give it just that, pixel by pixel. Occlusion points at the same flowers, blurred by
# its windows, and has to ask the rule 50 times. Where you have the choice, give TensorFlow's own function.
