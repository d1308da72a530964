"""The command ``tfxai layers``."""

from __future__ import annotations

import argparse

from tfxai.cli.work.given import opened


def run(arguments: argparse.Namespace) -> None:
    """Print a table of all layers."""
    rows = [("layer", "kind", "output shape", "spatial")]
    for layer in opened(arguments).layers():
        shape = ", ".join("any" if size is None else str(size) for size in layer.shape[1:])
        rows.append((layer.name, layer.kind, f"({shape})", "*" if layer.spatial else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip())
