"""What parameters choose from by name: known here without TensorFlow, so that the command line can tell it at once."""

from __future__ import annotations

from typing import Literal, TypeAlias

# What networks expect of pixels in 0..255; the last three are the modes of `keras.applications`.
Mode: TypeAlias = Literal["none", "0..1", "-1..1", "caffe", "torch"]

# Sets of painted flowers, and what networks of them are made of.
FlowerSet: TypeAlias = Literal["single-6c", "double-12c"]
Architecture: TypeAlias = Literal["cnn", "vit"]

# Where the foreground of a heat-map begins, and which parts of it get a box.
Threshold: TypeAlias = Literal["mean", "value", "energy"]
Component: TypeAlias = Literal["all", "largest"]

# Perturbations of an image.
CloudName: TypeAlias = Literal["multiplicative_ramp", "multiplicative", "additive", "mask_superpixel", "crop_shift"]

# Which part of signed values is shown.
POLARITIES = ("positive", "negative", "absolute", "energy", "signed")

# How maps are stored in shards.
Store: TypeAlias = Literal["float16", "uint8", "float32"]

# What a class is scored by while an image of it is made.
Scale: TypeAlias = Literal["logit", "log_probability", "probability"]

# Published forms of guided feature inversion and of DeepDream.
InversionPreset: TypeAlias = Literal["tfxai", "paper", "authors"]
FeaturePreset: TypeAlias = Literal["tfxai", "paper"]
DreamPreset: TypeAlias = Literal["inceptionism", "nn_interpretability"]

# How far an explanation can be trusted: measures, and what they are.
MEASURES = {
    "deletion": "score while the most relevant parts are hidden first",
    "insertion": "score while the most relevant parts are shown first",
    "mu_fidelity": "rank correlation of values with what the score loses without them",
}
