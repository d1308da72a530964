"""Explanations as one HTML file."""
