"""Explanations as one HTML file."""

from tfxai.pages.explained import ExplainedPage
from tfxai.pages.page import page

__all__ = ["ExplainedPage", "page"]
