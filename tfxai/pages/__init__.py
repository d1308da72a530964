"""Explanations as one HTML file."""

from tfxai.pages.explained import ExplainedPage
from tfxai.pages.page import page
from tfxai.pages.widget import widget

__all__ = ["ExplainedPage", "page", "widget"]
