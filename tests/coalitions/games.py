"""Games as Python functions of tables of ones and zeros, 1 where a player takes part; and values by definition."""

import functools
import itertools
import math

import networks
import numpy as np
import token_networks

import tfxai

ONES = np.ones((1, 6), "float32")


def random_game(players, seed=0):
    """A worth for each coalition, and nothing that it follows from."""
    worth = np.random.default_rng(seed).normal(size=2**players).astype("float32")
    bits = 1 << np.arange(players)
    return lambda x: worth[np.rint(x).astype(int) @ bits][:, None]


def unanimity(*members):
    """1 if all of these are there."""
    return lambda x: x[:, list(members)].prod(1, keepdims=True)


def interplay(x):
    """Players 0 to 5: alone, two together, three together, and one who does nothing."""
    alone = 2 * x[:, 0] - x[:, 1]
    return (alone + 3 * x[:, 1] * x[:, 2] - 4 * x[:, 0] * x[:, 2] * x[:, 3] + 0.5 * x[:, 4])[:, None]


def shapley(game, players):
    """By the mean over all orders."""
    values = np.zeros(players)
    for order in itertools.permutations(range(players)):
        there = np.zeros((players + 1, players), "float32")
        for place, player in enumerate(order):
            there[place + 1 :, player] = 1
        values[list(order)] += np.diff(game(there)[:, 0].astype(float))
    return values / math.factorial(players)


def tables(kind):
    """Of a kind of score of the oracle's tables: the model, rows, background, target, and what the score is."""
    given = networks.oracle("table_inputs")
    model = networks.known("table" if kind == "value" else "table_classes")
    target = 0 if kind == "value" else given["labels"]
    return model, given["x"], given["background"], target, "probability" if kind == "probability" else None


@functools.cache
def of_nine():
    """The vision transformer's images in nine patches: the model, inputs, and the exact values."""
    x, labels = (networks.oracle("vit_inputs")[key] for key in ("x", "labels"))
    exact = tfxai.ShapleyValues(token_networks.known("vit"), groups=6)(x, labels)
    return token_networks.known("vit"), x, labels, exact.extras["players"].astype(np.float64)
