"""What tests of coalitions share."""

import networks
import numpy as np
import pytest


@pytest.fixture(scope="session")
def tables():
    """Of a kind of score of the oracle's tables: the model, rows, background, target, and what the score is."""

    def of(kind):
        given = networks.oracle("table_inputs")
        model = networks.known("table" if kind == "value" else "table_classes")
        target = 0 if kind == "value" else given["labels"]
        return model, given["x"], given["background"], target, "probability" if kind == "probability" else None

    return of


@pytest.fixture(scope="session")
def game_of_nine():
    """The vision transformer's images in nine patches: side, inputs, and the exact values."""
    import token_networks

    import tfxai

    x, labels = (networks.oracle("vit_inputs")[key] for key in ("x", "labels"))
    exact = tfxai.ShapleyValues(token_networks.known("vit"), groups=6)(x, labels)
    return token_networks.known("vit"), x, labels, exact.extras["players"].astype(np.float64)
