"""The command ``tfxai summarize``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tfxai.cli.work.given import check_file
from tfxai.pages.summary import shown_ids, summarized
from tfxai.scale import read, summarize


def run(arguments: argparse.Namespace) -> None:
    """Print the groups of each class, and write the page."""
    file = arguments.html or arguments.folder / "summary.html"
    check_file(file)
    results = read(arguments.folder)
    found = summarize(results, arguments.method, most=arguments.most, seed=arguments.seed)
    for one in found.classes:
        print(f"{one.label}: {one.count} inputs")
        if one.features:
            often = (f"{feature.feature} ({feature.inputs / one.count:.0%})" for feature in one.features[:5])
            print(f"  features: {', '.join(often)}")
        for number, (share, names, _) in enumerate(one.groups(3), 1):
            print(f"  group {number}: {share:.0%}, such as {', '.join(names)}")
    try:
        pictures = results.pictures(shown_ids(found))
    except ValueError as error:
        print(f"tfxai: heat-maps are shown alone: {error}", file=sys.stderr)
        pictures = {}
    file.write_text(summarized(found, Path(results.manifest["model_path"] or "the model").name, pictures), "utf-8")
    print(f"page: {file}")
