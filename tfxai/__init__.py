"""tfxai: explanations for Keras and TensorFlow models."""

from tfxai import attribution, baselines, callbacks, datasets, metrics, relevance, targets
from tfxai._version import __version__
from tfxai.api import explain, methods
from tfxai.attribution import *  # noqa: F403
from tfxai.explainer import Explainer
from tfxai.explanation import Explanation
from tfxai.models import layers
from tfxai.plotting import plot_grid

__all__ = [
    "Explainer",
    "Explanation",
    "__version__",
    "attribution",
    "baselines",
    "callbacks",
    "datasets",
    "explain",
    "layers",
    "methods",
    "metrics",
    "plot_grid",
    "relevance",
    "targets",
]
__all__ += attribution.__all__
