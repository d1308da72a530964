"""
Channels that drive a prediction, and channels that are stable
==============================================================

What a network says of an image can be judged by what it says of many images that are nearly the same. Lengerich et al.
(2017) perturb the image, and watch all channels at once: those whose activation correlates with the output have
*influence*, those whose activation hardly changes have *precision*. Are they the same?
"""

import numpy as np

import tfxai
from tfxai.datasets import flowers

model = flowers.load_model()
images, labels, masks = flowers.make(n=12, seed=4)

# %%
# One pass for all layers
# -----------------------
# Fifty copies of each image, with noise that grows from copy to copy.

explainer = tfxai.InputResampling(model, samples=50, relative=True, classes=flowers.CLASSES["single-6c"])
result = explainer(images, target=labels, verbose=0)
for layer, channels in result.top("correlation", 3).items():
    print(layer, "influence:", channels[0], "precision:", result.top("precision", 3)[layer][0])

# %%
# The channels of one layer, one score against the other. Below the dashed line lies what independent noise would have.
# At the right is what the channels look at, where the image excites them most.

figure = result.plot_scores("block3_relu", image=1, images=images)

# %%
# What they look at
# -----------------
# The two selections agree less than by chance: channels that move much correlate with the output, and those that hardly
# move are called precise.

figure = result.plot_sets(image=1, top=3, images=images)
comparison = result.compare("correlation", "precision", top=5)
agree = comparison.mean()
print(f"Jaccard index {agree.jaccard:.3f}, by chance {agree.chance_jaccard:.3f}")
figure = comparison.plot()

# %%
# The level of noise
# ------------------
# With growing noise all activations and the output drift, and what drifts together correlates. The partial correlation
# takes the level of the noise out.

for metric in ("correlation", "partial_correlation"):
    means = [np.nanmean(result.scores[metric][layer]) for layer in result.layers]
    print(f"{metric:20}", np.round(means, 2), f"chance {result.chance:.2f}")

# %%
# Do they matter?
# ---------------
# Correlation is no proof: the noise moves both. The score without the channels tells, compared with that without as
# many random ones. Instead of noise everywhere, regions of the image may be masked. The effect is a score that asks for
# causes: what the output would lose without the channel, to first order.

for perturbation, sigma in (("multiplicative_ramp", 0.1), ("mask_superpixel", 0.3)):
    settings = {"perturbation": perturbation, "sigma": sigma, "relative": True, "effect": True}
    one = tfxai.InputResampling(model, **settings)(images, labels, verbose=0)
    print(perturbation)
    print(one.ablate(("correlation", "precision", "effect"), layers=("block4_relu",)))
