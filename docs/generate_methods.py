"""What `conf.py` needs: the page on methods, made of the facts that the methods state, and how the gallery runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

import tfxai
from tfxai.explainer import Explainer

EXAMPLES = (
    "plot_first_explanation.py",
    "plot_comparing_methods.py",
    "plot_choosing_a_layer.py",
    "plot_targets_and_scores.py",
    "plot_noise_and_baselines.py",
    "plot_relevance_rules.py",
    "plot_relevance_residual.py",
    "plot_two_classes.py",
    "plot_inversion_layers.py",
    "plot_adversarial.py",
    "plot_what_a_network_learned.py",
    "plot_enriched_prediction.py",
    "plot_channels_and_dreams.py",
    "plot_digits_three_ways.py",
    "plot_grid_artefacts.py",
    "plot_nested_models.py",
    "plot_saved_model.py",
    "plot_any_function.py",
    "plot_shapley_values.py",
    "plot_text.py",
    "plot_transformer.py",
    "plot_table.py",
    "plot_watching_training.py",
)

OVERVIEW = """
## All methods

The name is what `tfxai.explain(..., method=...)` and the command line take. Kind *decision*: why this output for this
input?

{use}

```{{figure}} /gallery/images/sphx_glr_plot_comparing_methods_002.png
:alt: Heat-maps of every method for the same image

One image, explained by every method; from {{ref}}`sphx_glr_gallery_plot_comparing_methods.py`.
```

## What they cost and need

A *forward pass* is one pass of the model over the batch; a *gradient pass* is a forward pass and the gradient of the
input.{measured}

{cost}
"""

MEASURED = """ The measured cost is what `python benchmarks/cost.py` found: the time of a call after the first one,
checks and copies included, over that of a bare compiled pass of the same network over the same batch."""


class ReadingOrder:
    """Sort key of the gallery: the order in which to read; examples it does not know come last."""

    def __init__(self, folder: str):
        self.folder = folder

    def __call__(self, file: str) -> tuple[int, str]:
        return (EXAMPLES.index(file) if file in EXAMPLES else len(EXAMPLES), file)


def run_as_written(*_: Any) -> None:
    """Called before each example: TensorFlow does not rewrite graphs before their first run, a quarter of the time."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def write(docs: Path) -> None:
    """Write ``methods.md``, if it is not there as it should be.

    Parameters
    ----------
    docs : Path
        The folder of the documentation.

    Raises
    ------
    ValueError
        If a method is missing from the API pages.
    """
    methods = tfxai.methods()
    listed = (docs / "api.rst").read_text().split()
    missing = [cls.__name__ for cls in methods.values() if cls.__name__ not in listed]
    if missing:
        raise ValueError(f"docs/api.rst does not list {', '.join(missing)}.")
    costs = _measured(docs.parent / "benchmarks" / "costs.json")
    use = {
        "method": _title,
        "kind": lambda cls: cls.facts.kind,
        "shows": lambda cls: cls.facts.use,
        "drawback": lambda cls: cls.facts.drawback,
        "reference": lambda cls: cls.facts.reference,
    }
    cost = {"method": _title, "needs": lambda cls: cls.facts.needs, "cost": lambda cls: cls.facts.cost}
    if costs:
        cost["measured"] = lambda cls: costs.get(cls.facts.name, "")
    text = (docs / "methods_intro.md").read_text() + OVERVIEW.format(
        use=_table(methods, use), measured=MEASURED if costs else "", cost=_table(methods, cost)
    )
    page = docs / "methods.md"
    if not page.exists() or page.read_text() != text:  # an unchanged file is not built again
        page.write_text(text)


def _measured(file: Path) -> dict[str, str]:
    """Measured cost of each method in words; empty as long as the benchmark was not run."""
    if not file.exists():
        return {}
    found = json.loads(file.read_text())
    return {
        name: f"{row['cost']:.3g} {row['unit']}{row['setting'] and ' for ' + row['setting']}"
        for name, row in found.items()
    }


def _title(cls: type[Explainer]) -> str:
    return f"{{py:class}}`~tfxai.{cls.__name__}` `{cls.facts.name}`"


def _table(methods: dict[str, type[Explainer]], columns: dict[str, Callable]) -> str:
    rows = [list(columns), ["---"] * len(columns)]
    rows += [[column(cls).replace("|", r"\|") for column in columns.values()] for cls in methods.values()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
