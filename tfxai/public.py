"""The public names of the package, which `tfxai` hands on when the first of them is asked for."""

from tfxai import (
    attribution,
    baselines,
    callbacks,
    coalitions,
    datasets,
    inversion,
    metrics,
    quantus,
    relevance,
    scale,
    synthesis,
    tables,
    targets,
)
from tfxai._version import __version__
from tfxai.api import explain, methods
from tfxai.attribution import *  # noqa: F403
from tfxai.attribution.attention_figures import plot_attention
from tfxai.coalitions import *  # noqa: F403
from tfxai.coalitions.figures import plot_force, plot_interactions, plot_players
from tfxai.examples import examples_for
from tfxai.explainer import Explainer
from tfxai.explanation import Explanation
from tfxai.inversion import FeatureInversion, GuidedFeatureInversion, MeaningfulPerturbation
from tfxai.metrics.trust import TrustReport, trust
from tfxai.models import layers
from tfxai.models.attention_maps import attention
from tfxai.models.receptive_field import receptive_field
from tfxai.neurons import RelevantFeatures
from tfxai.pages.page import page
from tfxai.pages.widget import widget
from tfxai.plotting import plot_grid
from tfxai.relevance import LRP, DeepLift, DeepTaylor, SimpleTaylor
from tfxai.resampling import InputResampling
from tfxai.scale import explain_dataset
from tfxai.synthesis import *  # noqa: F403
from tfxai.synthesis import objectives, priors, transforms

__all__ = [
    "LRP",
    "DeepLift",
    "DeepTaylor",
    "Explainer",
    "Explanation",
    "FeatureInversion",
    "GuidedFeatureInversion",
    "InputResampling",
    "MeaningfulPerturbation",
    "RelevantFeatures",
    "SimpleTaylor",
    "TrustReport",
    "__version__",
    "attention",
    "attribution",
    "baselines",
    "callbacks",
    "coalitions",
    "datasets",
    "examples_for",
    "explain",
    "explain_dataset",
    "inversion",
    "layers",
    "methods",
    "metrics",
    "objectives",
    "page",
    "plot_attention",
    "plot_force",
    "plot_grid",
    "plot_interactions",
    "plot_players",
    "priors",
    "quantus",
    "receptive_field",
    "relevance",
    "scale",
    "synthesis",
    "tables",
    "targets",
    "transforms",
    "trust",
    "widget",
]
__all__ += attribution.__all__ + coalitions.__all__ + synthesis.__all__
