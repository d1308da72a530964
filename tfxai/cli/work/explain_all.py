"""The command ``tfxai explain-all``."""

from __future__ import annotations

import argparse

from tfxai.cli.options import DEFAULT_METHODS
from tfxai.cli.work.explaining import chosen_target, class_names
from tfxai.cli.work.given import check_batch_size, check_folder
from tfxai.scale import explain_dataset
from tfxai.scale.wanted import column_of


def run(arguments: argparse.Namespace) -> int:
    """Explain all of it; 1 if some inputs could not be explained, else 0."""
    check_batch_size(arguments)
    check_folder(arguments.output)
    names = class_names(arguments)
    results = explain_dataset(
        arguments.model,
        arguments.source,
        arguments.method or DEFAULT_METHODS,
        arguments.output,
        column=arguments.column,
        shard_rows=arguments.shard_rows,
        max_failures=_failures(arguments.max_failures),
        engine=arguments.engine,
        workers=arguments.workers,
        cpus_per_worker=arguments.cpus_per_worker,
        gpus_per_worker=arguments.gpus_per_worker,
        address=arguments.address,
        target=arguments.target if column_of(arguments.target) else chosen_target(arguments.target, names),
        classes=names,
        layer=arguments.layer,
        score=arguments.score,
        preprocess=arguments.preprocess,
        crop=arguments.crop,
        size=None if arguments.size is None else arguments.size * (2 if len(arguments.size) == 1 else 1),
        batch_size=arguments.batch_size,
        store=arguments.store,
        model_output=arguments.model_output,
        signature=arguments.signature,
        custom_objects=arguments.custom_objects,
    )
    failed = sum(1 for _ in results.failures())
    print(f"{results.seen - failed} inputs explained by {', '.join(results.methods)}: {results.folder / 'shards'}")
    if failed:
        print(f"{failed} inputs failed: {results.folder / 'failed'}")
    return 1 if failed else 0


def _failures(given: str) -> float | int:
    """What ``--max-failures`` says."""
    try:
        return float(given[:-1]) / 100 if given.endswith("%") else int(given)
    except ValueError:
        raise ValueError(f"Expected --max-failures as a number or a share such as 1%, got {given!r}.") from None
