"""One method of one package, in a process of its own: lines of JSON on stdout, one a call, asked for on stdin.

    python worker.py PACKAGE METHOD FOLDER IMAGES

The first line tells of the first call, whose values are written to FOLDER. Each line on stdin is a number of calls;
the answer has seconds of a call. What goes wrong is a line with "error", and the end.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def main() -> None:
    package, method, folder, images = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what packages print is no answer

    def tell(**what: Any) -> None:
        print(json.dumps(what), file=out, flush=True)

    try:
        from importlib.metadata import version

        import ways

        found = {"version": version(package) if package != "tfxai" else ""}
        way = getattr(ways.PACKAGES[package](task(Path(folder), int(images))), method)()
        before = memory()
        kept: list[Any] = []
        first = seconds(lambda: kept.append(way()), 1)
        found |= {"first_cpu": first["cpu"], "before_mb": before, "peak_mb": memory()}
        np.save(Path(folder) / f"{package}-{method}.npy", np.asarray(kept.pop()))
    except NotImplementedError as error:  # of ours: it is not asked
        tell(error=f"not run: {error}")
        return
    except Exception as error:  # of any package, in any way: it is what the row says
        last = str(error).strip().splitlines() or [""]
        tell(error=f"{type(error).__name__}: {last[-1]}"[:300])
        raise
    tell(**found)
    for line in sys.stdin:
        tell(**seconds(way, int(line)), peak_mb=memory())


def task(folder: Path, images: int) -> Any:
    import tensorflow as tf
    import ways

    model = tf.keras.applications.MobileNetV2(weights=None, classifier_activation=None)
    with np.load(folder / "given.npz") as given:
        model.set_weights([given[f"weight_{i}"] for i in range(len(model.weights))])
        return ways.Task(model, given["images"][:images], int(given["target"]), given["labels"])


def seconds(way: Any, calls: int) -> dict[str, float]:
    """Of a call: by all threads together, and on the clock."""
    start = time.process_time(), time.perf_counter()
    for _ in range(calls):
        way()
    return {"cpu": (time.process_time() - start[0]) / calls, "wall": (time.perf_counter() - start[1]) / calls}


def memory() -> float:
    """The most that this process had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # where what is asked of resource counts the process that started this one
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
