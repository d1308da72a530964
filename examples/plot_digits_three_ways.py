"""
Digits in three ways
====================

What does a network think a digit looks like? `tfxai.ActivationMaximization` makes an image that the network is sure
of. In its general form nothing else is asked of the image. An *expert* also asks that it looks like the data; in *code
space* a generator makes it. Here all three are seen side by side, and judged by a second network, which has not taken
part.

Everything is trained here, on the small digits that come with scikit-learn: two classifiers, an autoencoder that
removes noise, and a generator with its discriminator.
"""

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

import tfxai

digits, labels = load_digits(return_X_y=True)
images = np.stack([cv2.resize(one.reshape(8, 8), (16, 16), interpolation=cv2.INTER_CUBIC) for one in digits])
images = (images.clip(0, 16) / 8 - 1)[..., None].astype("float32")  # from -1 to 1
SHAPE = (16, 16, 1)


def classifier(widths, seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input(SHAPE)])
    for width in widths:
        model.add(layers.Conv2D(width, 3, padding="same", activation="relu"))
        model.add(layers.MaxPooling2D())
    for layer in (layers.Flatten(), layers.Dropout(0.3), layers.Dense(10, activation="softmax")):
        model.add(layer)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images, labels, batch_size=64, epochs=8, verbose=0)
    return model


model, judge = classifier((16, 32), seed=0), classifier((12, 24, 48), seed=1)

# %%
# An autoencoder that has learnt to remove noise knows which way an image has to change to become more like a digit.

NOISE = 0.5


def dense(*widths, inputs=SHAPE):
    hidden = [layers.Dense(width, activation="relu") for width in widths]
    out = [layers.Dense(256, activation="tanh"), layers.Reshape(SHAPE)]
    return keras.Sequential([keras.Input(inputs), layers.Flatten(), *hidden, *out])


keras.utils.set_random_seed(2)
autoencoder = dense(512, 64, 512)
autoencoder.compile("adam", "mse")
clean = np.repeat(images, 4, 0)
noisy = clean + NOISE * np.random.default_rng(0).normal(size=clean.shape)
autoencoder.fit(noisy, clean, batch_size=128, epochs=10, verbose=0)

# %%
# A generator makes digits of 24 random numbers, and learns from a discriminator that tells them from real ones.

CODE = 24
generator = dense(128, 256, inputs=(CODE,))
discriminator = keras.Sequential([keras.Input(SHAPE), layers.Flatten()])
for width in (256, 128):
    discriminator.add(layers.Dense(width))
    discriminator.add(layers.LeakyReLU(0.2))
    discriminator.add(layers.Dropout(0.3))
discriminator.add(layers.Dense(1))
optimizers = [keras.optimizers.Adam(4e-4, beta_1=0.5) for _ in range(2)]
loss = keras.losses.BinaryCrossentropy(from_logits=True)


@tf.function(jit_compile=True)
def play(real):
    """One step of either network."""
    for network, optimizer in zip((discriminator, generator), optimizers, strict=True):
        with tf.GradientTape() as tape:
            made = discriminator(generator(tf.random.normal([32, CODE]), training=True), training=True)
            if network is generator:
                cost = loss(tf.ones_like(made), made)
            else:
                cost = loss(tf.zeros_like(made), made) + loss(
                    0.9 * tf.ones_like(made), discriminator(real, training=True)
                )
        weights = network.trainable_weights
        optimizer.apply_gradients(zip(tape.gradient(cost, weights), weights, strict=True))


data = tf.data.Dataset.from_tensor_slices(images).shuffle(2000, seed=0).batch(32, drop_remainder=True)
for real in data.repeat(70):
    play(real)

# %%
# Four images of each digit, from four starts, in one run each. They differ in a few words only:

SEEDS = 4
targets = np.repeat(np.arange(10), SEEDS)
objective = tfxai.objectives.class_score(targets, on="log_probability")
expert = tfxai.DenoisingExpert(autoencoder, NOISE)
drawn = {"parameterization": "pixel", "steps": 200}
ways = {
    "general": drawn | {"priors": tfxai.priors.L2(1e-3)},
    "with an expert": drawn | {"expert": expert, "expert_weight": 0.01, "noise": 1.0},
    "in code space": {"generator": generator, "generator_range": (-1, 1), "threshold": 0.995},
}
made = {
    name: tfxai.ActivationMaximization(model, objective, preprocess=(-1, 1), **options)(verbose=0)
    for name, options in ways.items()
}

_, axes = plt.subplots(len(made), 1, figsize=(9.5, 6.6), layout="constrained")
for cell, (name, result) in zip(axes, made.items(), strict=True):
    framed = np.pad(result.pixels, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=255)
    cell.imshow(np.vstack([np.hstack(list(framed[seed::SEEDS])) for seed in (0, 1)]))
    cell.set_title(name, fontsize=10, loc="left")
    cell.axis("off")

# %%
# What the general form draws are the strokes by which this network tells digits apart, on a grey that no digit has.
# Only the other two show what a person would call a digit.

for name, result in made.items():
    sure = (result.probability >= 0.99).mean()
    judged = (judge.predict(result.images, verbose=0).argmax(1) == targets).mean()
    print(f"{name:16} p >= 0.99: {sure:4.0%}   recognised by the judge: {judged:4.0%}")

# %%
# The history tells how the terms of the objective have grown:

figure = made["general"].plot_history()
