"""
A table
=======

A network looks at eight measurements of cell nuclei and says if a tumour is malignant. Which of them made it say so,
for one tumour and over all of them?
"""

# %%
# A table with noise in it
# ------------------------
# The table of breast tumours comes with scikit-learn. Three columns are added that hold nothing but random numbers: an
# explanation that finds them important would be of no use.

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_breast_cancer

import tfxai
from tfxai.tables import Table

data = load_breast_cancer()
features = ["radius", "texture", "perimeter", "area", "smoothness", "concavity", "concave points", "symmetry"]
columns = [list(data.feature_names).index(f"mean {name}") for name in features]
rng = np.random.default_rng(1)
noise = rng.normal(5, 2, size=(len(data.data), 3))
rows = np.concatenate([data.data[:, columns], noise], axis=1).astype("float32")
features += ["noise 1", "noise 2", "noise 3"]
malignant = 1 - data.target  # there, 0 is malignant
test = rng.random(len(rows)) < 0.3

# %%
# The network scales its columns itself, by a ``Normalization`` layer. So rows go in as they are, and what is said of a
# feature is in its own units.

keras.utils.set_random_seed(1)
scale = layers.Normalization()
scale.adapt(rows[~test])
weak = keras.regularizers.L2(0.01)
model = keras.Sequential(
    [
        keras.Input((len(features),)),
        scale,
        layers.Dense(16, activation="relu", kernel_regularizer=weak),
        layers.Dense(2, activation="softmax", kernel_regularizer=weak),
    ]
)
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(rows[~test], malignant[~test], epochs=30, batch_size=64, verbose=0)
print(f"right on {model.evaluate(rows[test], malignant[test], verbose=0)[1]:.0%} of {test.sum()} other tumours")

# %%
# One row
# -------
# What a value of a feature says depends on what it is compared with. The mean of the rows is an average tumour; a black
# image has no counterpart in a table, since there is no tumour of radius 0. Integrated gradients share the change of
# the score, from the mean to the row, among the features.

explainer = tfxai.IntegratedGradients(model, baseline=rows[~test].mean(axis=0), classes=("benign", "malignant"))
explanation = explainer(rows[test], target="malignant", verbose=0)
table = Table(explanation, features)

certain = int(explanation.score.argmax())
doubtful = int(np.abs(explanation.score).argmin())
figure = table.plot_bars([certain, doubtful])

# %%
# Read from top to bottom: the score begins where an average tumour has it, each bar adds what its feature says, and the
# last ends at the score of the row. The score is a logit: above 0 speaks for malignant. The first tumour is far above
# average in nearly everything; in the second, what speaks for and against it nearly cancels.
#
# All rows
# --------
# In the next figure every tumour has a point in each line. Far right: the feature spoke for malignant. The colour is
# the feature's own value, so yellow on the right means that large values speak for it.

figure = table.plot_beeswarm()

# %%
# How much each feature does is the mean of its magnitudes. The noise comes last:

figure = table.plot_summary()
summary = table.summary()
assert set(summary.features[-3:]) == {"noise 1", "noise 2", "noise 3"}
for name, magnitude, mean in zip(summary.features, summary.magnitude, summary.mean, strict=True):
    print(f"{name:18} mean magnitude {magnitude:.2f}, mean {mean:+.2f}")

# %%
# Columns that belong together
# ----------------------------
# Radius, perimeter and area all say how large a nucleus is. Values of single columns split what the three say at the
# network's whim. As a group they are one feature, which is the sum of its columns. One-hot columns of a category are
# put together in the same way.

groups = {"size": ["radius", "perimeter", "area"], "noise": ["noise 1", "noise 2", "noise 3"]}
figure = Table(explanation, features, groups).plot_summary()

# %%
# Occlusion hides columns, one by one or in groups, and asks how far the score falls. Summed over the three, each hidden
# alone, the drop is nearly that of all three at once: this network is close to a sum. Where columns stand in for each
# other, hiding one of them changes little, and only the group tells.

columns = {name: [features.index(one) for one in own] for name, own in groups.items()}
mean = rows[~test].mean(axis=0)
alone = tfxai.Occlusion(model, fill=mean)(rows[test], target=1, verbose=0)
together = tfxai.Occlusion(model, fill=mean, groups=columns)(rows[test], target=1, verbose=0)
for how, occluded in (("one by one", alone), ("together", together)):
    size = Table(occluded, features, groups).values[:, 0]
    print(f"the columns of size hidden {how:10}: mean magnitude {np.abs(size).mean():.2f}")
assert Table(together, features, groups).summary().features[-1] == "noise"
