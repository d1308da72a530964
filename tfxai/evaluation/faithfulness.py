"""How far methods can be trusted on image files of which nothing is known."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfxai.evaluation import stored
from tfxai.evaluation.image_files import ImageFiles
from tfxai.explainer import Explainer
from tfxai.metrics.given import maps_of
from tfxai.metrics.judge import Found, Judge
from tfxai.metrics.trust import TrustReport, blind_maps, report
from tfxai.models.predict import predictor


def evaluate_faithfulness(
    explainers: Mapping[str, Explainer],
    images: ImageFiles,
    target: int | str | None,
    cache: Path,
    facts: Mapping[str, dict[str, Any]],
    judge: Judge,
    *,
    batch_size: int = 32,
) -> TrustReport:
    """Explain images by each method, and measure the explanations, with all that is found stored.

    Parameters
    ----------
    explainers : mapping
        Name to explainer.
    images, batch_size
        As for `stored.batches`.
    target : None, int or str
        The class that is explained; default: the predicted ones.
    cache : path
        Where results are stored, in a folder for each method.
    facts : mapping
        Name to what results depend on besides the images, also of those in `BLIND`.
    judge : Judge
        The measures.

    Returns
    -------
    TrustReport
        With the cost of each method in bare passes of the same batch, if there was more than one batch: the first of
        a run compiles, and says nothing about the cost.
    """
    predict = predictor(judge.view, batch_size)

    def explained(explainer: Explainer) -> stored.Make:
        made = itertools.count()

        def make(inputs: np.ndarray, rows: slice) -> Found:
            _, bare = _timed(lambda: predict(inputs))
            explanation, own = _timed(lambda: explainer.explain(inputs, target, batch_size, 0))
            found = _flat(judge(maps_of(explanation), inputs, explanation.target, batch_size, 0))
            passes = own / bare if next(made) else np.nan  # the first batch compiles
            return found | {"passes": np.asarray(passes)}

        return make

    def blind(name: str) -> stored.Make:
        def make(inputs: np.ndarray, rows: slice) -> Found:
            maps = blind_maps(len(inputs), images.size, judge.setting.seed + rows.start)[name]
            return _flat(judge(maps, inputs, target, batch_size, 0))

        return make

    makers = {name: explained(explainer) for name, explainer in explainers.items()}
    makers |= {name: blind(name) for name in blind_maps(1, images.size, 0)}
    found: dict[str, dict[str, Found]] = {}
    costs: dict[str, float] = {}
    for name, make in makers.items():
        print(f"measuring {name} ...", flush=True)
        parts = stored.batches(make, images, cache / stored.file_name(name), facts[name], batch_size)
        rows = {key: np.concatenate([part[key] for part in parts])[: len(images)] for key in parts[0] if "/" in key}
        found[name] = {measure: _of(measure, rows) for measure in judge.measures}
        if name in explainers:
            timed = [part["passes"] for part in parts if np.isfinite(part["passes"])]
            costs |= {name: float(np.median(timed))} if timed else {}
    return report(found, costs)


def _flat(found: Mapping[str, Found]) -> Found:
    return {f"{measure}/{key}": x for measure, own in found.items() for key, x in own.items()}


def _of(measure: str, rows: Found) -> Found:
    return {key.partition("/")[2]: x for key, x in rows.items() if key.partition("/")[0] == measure}


def _timed(work: Any) -> tuple[Any, float]:
    begin = time.perf_counter()
    return work(), time.perf_counter() - begin
