"""Explanations as one HTML file."""

from tfxai.page.explained import ExplainedPage

__all__ = ["ExplainedPage"]
