"""
A prediction, and the features that spoke for it
================================================

A heat-map says where a network looked; it does not say for what. Oramas et al. (2019) first find the few channels that
tell the classes apart, and then answer for each prediction which of these spoke for it, where they are in the image,
and what excites them elsewhere.
"""

import numpy as np

import tfxai
from tfxai.datasets import flowers

model = flowers.load_model("double-12c")
classes = flowers.CLASSES["double-12c"]
images, labels, _ = flowers.make("double-12c", n=480, seed=1)
unseen, truth, masks = flowers.make("double-12c", n=60, seed=2)

# %%
# Which channels matter
# ---------------------
# In the twelve classes either the petals or the leaves have one of six colours. A fit takes one pass over the images.

features = tfxai.RelevantFeatures(model, classes=classes).fit(images, labels, verbose=0)
print(f"{len(features.index_)} channels in {len(features.layers_)} layers")
for number, name in enumerate(classes):
    print(f"{name:16}", ", ".join(f"{layer} {channel}" for layer, channel in features.features_[number][:3]))

# %%
# One prediction
# --------------
# The features of the class that contribute most, as shares. Each has a heat-map, which is sent back from the whole map
# of its channel by guided backpropagation.

explanation = features.explain(unseen, verbose=0)
print(explanation.label(0))
for one in explanation.evidence()[0]:
    print(f"  {one.layer:12} channel {one.channel:2}  contributes {one.contribution:.3f}")

# %%
# Enriched
# --------
# Under each heat-map is the mean of the forty crops, from all images, that excite the same channel most: what the
# feature stands for.

rows = [int(np.flatnonzero((truth == number) & (explanation.target == number))[0]) for number in (0, 3, 7)]
chosen = features.explain(unseen[rows], verbose=0)
interpretation = features.interpret(images, classes=truth[rows], crops=40, verbose=0)
figure = chosen.plot_prediction(interpretation, images=unseen[rows])

# %%
# Another class
# -------------
# What would speak for a class that the network did not choose? Often nothing does, or what both classes share.

other = features.explain(unseen[rows], target=truth[rows[1:] + rows[:1]], verbose=0)
figure = other.plot_prediction(images=unseen[rows])

# %%
# Does it find what decides?
# --------------------------
# The combined map is the maximum over the features. It is scored as any other explanation is.

rivals = {
    "relevant features": explanation,
    "guided backprop": tfxai.GuidedBackprop(model)(unseen, verbose=0),
    "Grad-CAM": tfxai.GradCAM(model)(unseen, verbose=0),
}
for name, one in rivals.items():
    print(f"{name:18} mean IoU with the true part {tfxai.metrics.iou_curve(one.heatmaps(), masks).mean():.3f}")
