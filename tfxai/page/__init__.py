"""Explanations as one HTML file."""

from tfxai.page.explained import ExplainedPage
from tfxai.page.page import comparison_page

__all__ = ["ExplainedPage", "comparison_page"]
