"""Explanations of whole data sets, in shards, on one machine or a cluster."""

from tfxai.scale.dataset import explain_dataset
from tfxai.scale.explain import Explain
from tfxai.scale.reader import Failure, Results, read
from tfxai.scale.summary import summarize

__all__ = ["Explain", "Failure", "Results", "explain_dataset", "read", "summarize"]
