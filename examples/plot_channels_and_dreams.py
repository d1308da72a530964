"""
Channels, classes and dreams
============================

What does each part of a network look for? Synthesis makes an image that excites it, with no photograph to start from.
The network is the one that comes with tfxai: it tells flowers apart by the colour of one part.
"""

import matplotlib.pyplot as plt
import numpy as np

import tfxai
from tfxai.datasets import flowers

o = tfxai.objectives
images, labels, masks = flowers.make("single-6c", n=120, seed=5)
model = flowers.load_model()

# %%
# Six classes, in one run. Each is a colour, and the shape that it takes in the flowers:

maximization = tfxai.ActivationMaximization(
    model, o.class_score(range(6)), preprocess="none", shape=(112, 112, 3), steps=80, frames=10
)
classes = maximization(verbose=0)
figure = classes.plot(columns=6)

# %%
# Intermediate images were kept, so ``classes.save_gif("classes.gif")`` shows how they came about.
#
# Channels
# --------
# Beside the image of a channel, the parts of flowers that excite it most.

rows = [("block1_relu", 3), ("block3_relu", 5), ("block4_relu", 20)]
for layer, channel in rows:
    found = tfxai.examples_for(model, (layer, channel), images, verbose=0)
    result = maximization(objective=o.channel(layer, channel), verbose=0)
    result.plot(examples=[found])

# %%
# Objectives add up: two classes at once; and four images of one class, which differ more the more weight that has. Too
# much of it, and some are driven to where nothing is excited.

both = maximization(objective=o.class_score(0) + o.class_score(3), verbose=0)
diverse = maximization(n=4, objective=o.class_score(2) + 0.1 * o.diversity("block2_relu"), verbose=0)
_, axes = plt.subplots(1, 5, figsize=(9.5, 2.1), layout="constrained")
for cell, pixels, name in zip(axes, [*both.pixels, *diverse.pixels], both.labels + ["class 2"] * 4, strict=True):
    cell.imshow(pixels)
    cell.set_title(name, fontsize=9)
    cell.axis("off")

# %%
# Dreams
# ------
# DeepDream starts from a picture and amplifies what a layer sees in it, at several sizes.

meadow = np.vstack([np.hstack(list(images[:3])), np.hstack(list(images[3:6]))])
pictures = {"flowers": meadow}
for layer in ("block2_relu", "block5_relu"):
    dream = tfxai.DeepDream(model, layer, preprocess="none")(meadow, verbose=0)
    before = tfxai.DeepDream(model, layer, preprocess="none", octaves=(0,), steps=1, rate=0.0)(meadow, verbose=0)
    pictures[layer] = dream.pixels[0]
    print(f"{layer}: {dream.score[0] / before.score[0]:.1f} times the activation of the picture")
_, axes = plt.subplots(1, 3, figsize=(9.5, 2.4), layout="constrained")
for cell, (name, pixels) in zip(axes, pictures.items(), strict=True):
    cell.imshow(pixels)
    cell.set_title(name, fontsize=9)
    cell.axis("off")
