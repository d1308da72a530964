"""
Which words decide
==================

A small network learns whether a remark on a film is praise. Strings go in, and the explanation tells what each word has
added; as the remarks are made by a rule, it is known which words these must be.
"""

import keras
import numpy as np
from keras import layers

import tfxai

# %%
# Remarks made by a rule
# ----------------------
# One word of each remark decides; the others are the same in praise and in blame.

good, bad = ["brilliant", "moving", "witty", "gripping"], ["dull", "clumsy", "shallow", "tedious"]
things = ["film", "plot", "story", "cast", "ending", "music"]
frames = ["the {thing} is {word} from the first minute", "what a {word} {thing} this is", "I found the {thing} {word}"]
frames += ["we saw it on a Sunday and the {thing} was {word}", "a {word} {thing} by a director of whom I know nothing"]
random = np.random.default_rng(0)


def remark():
    praise = int(random.integers(2))
    word = random.choice(good if praise else bad)
    return random.choice(frames).format(thing=random.choice(things), word=word), praise, word


texts, labels, words = map(list, zip(*(remark() for _ in range(1000)), strict=True))

# %%
# The network
# -----------
# ``TextVectorization`` turns strings into integers, an embedding turns these into vectors, and what a dense layer finds
# in each word is averaged. The network is trained on integers, and then put after the vectorization.

keras.utils.set_random_seed(0)
vectorize = layers.TextVectorization(output_sequence_length=16)
vectorize.adapt(texts)
network = [
    layers.Embedding(vectorize.vocabulary_size(), 16, mask_zero=True),
    layers.Dense(16, activation="relu"),
    layers.GlobalAveragePooling1D(),
    layers.Dense(2, activation="softmax"),
]
reader = keras.Sequential(network)
reader.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = reader.fit(vectorize(texts), np.array(labels), batch_size=64, epochs=4, verbose=0)
print(f"accuracy {history.history['accuracy'][-1]:.1%}")
model = keras.Sequential([keras.Input((1,), dtype="string"), vectorize, *network])

# %%
# What each word adds
# -------------------
# The vectorization is found at the beginning of the model, so strings are given as they are. Integrated gradients go
# from a baseline, here the remark in which every word is unknown, to the words; the values of a remark sum up to what
# the score has changed on this way. In a notebook, ``explanation`` as the last line of a cell shows the words coloured
# too, with the values under the pointer.

shown = [texts.index(next(text for text in texts if frame in text)) for frame in ("what a", "from the first", "Sunday")]
unknown = tfxai.baselines.Token(vectorize.get_vocabulary().index("[UNK]"))
explainer = tfxai.IntegratedGradients(model, baseline=unknown, classes=["blame", "praise"])
explanation = explainer([texts[number] for number in shown])
for word, value in explanation.words(0):
    print(f"{value:+6.2f}  {word}")
explanation.plot()

# %%
# Are these the right words?
# --------------------------
# In each of 100 remarks the word with the largest magnitude must be the one that decides.


def strongest(explanation):
    found = (explanation.words(number) for number in range(len(explanation)))
    return [max(words, key=lambda one: abs(one[1]))[0] for words in found]


found = strongest(explainer(texts[:100], verbose=0))
right = np.mean([one == word for one, word in zip(found, words, strict=False)])
print(f"{right:.0%} of the strongest words are those of the rule")
assert right > 0.95

# %%
# Leaving a word out asks less of the network: no gradients, one pass for each word. Both methods agree on what
# matters.

left_out = tfxai.Occlusion(model, window=1, stride=1, fill=unknown.id)
found = strongest(left_out(texts[:100], verbose=0))
print(f"{np.mean([one == word for one, word in zip(found, words, strict=False)]):.0%} by occlusion")
