"""Explanations as one HTML file."""

from tfxai.page.page import comparison_page

__all__ = ["comparison_page"]
