"""
What a network has learned
==========================

A heat-map says where a network looks in one image. `tfxai.RelevantFeatures` asks what it looks for in all of them:
which few of its channels tell the classes apart, and what excites them (Oramas et al. 2019).
"""

import tfxai
from tfxai.datasets import flowers

name = "double-12c"
images, labels, _ = flowers.make(name, n=480, seed=7)
model = flowers.load_model(name)

# %%
# The channels that matter
# ------------------------
# A class of this set is a colour and the part of the flower that has it. Nobody told the network that there are petals
# and leaves. A sparse regression on how strongly all its channels respond to the images chooses a few for each class,
# by default so few that the classes can just be told apart, mostly colours. A larger ``mu`` shows what else is there.

features = tfxai.RelevantFeatures(model, mu=10, classes=flowers.CLASSES[name]).fit(images, labels)
print(features.report())

# %%
# What they look for
# ------------------
# For each channel, the images that excite it most are cut to what its most excited unit sees: that is its receptive
# field, which `tfxai.receptive_field` finds in any network. The mean of these crops shows what they have in common. A
# row is a class; its strongest channels come first, with their weights beneath.

interpretation = features.interpret(images, top=4)
figure = interpretation.plot(range(6))

# %%
# Petals fill what a unit sees with their colour. Leaves are found by their edges, with grey above or below them, and by
# stems. Some channels serve petals and leaves of one colour, and then another channel must tell the two apart.

figure = interpretation.plot(range(6, 12))

# %%
# The crops
# ---------
# A mean hides how its crops differ. Here are the nine crops that excite each channel most. What would lie beyond
# the image is filled with the mean colour of the crop, and does not count in the mean.

figure = interpretation.plot([4, 10], crops=9)
