"""The same methods by other packages: time of an image and peak memory beside ours, on the same network and images.

Each package is installed into a virtual environment of its own, on top of the TensorFlow that runs this. Each method of
each is a process; those of one method take turns. Linux or macOS.

    python benchmarks/peers.py --cache ~/.cache/tfxai-peers --json peers.json --table peers.md
    python benchmarks/peers.py --methods occlusion rise --packages xplique --onednn 1

A package that fails is tried again with ``tf_keras``, the Keras 2 of the same TensorFlow, and the row says so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))

import ways  # noqa: E402 - a folder of scripts, of which one runs in other environments

LEGACY = ["tf_keras", "scipy<1.15"]  # what packages that were written for Keras 2 need
EXTRA = {"shap": ["opencv-python-headless"], "tf-explain": ["opencv-python-headless"]}
FEW = {"smooth_grad": 2, "integrated_gradients": 2}
SLOW = 10  # seconds of CPU time, from which on a call is made in two rounds only
ALONE = (
    "occlusion",
    "rise",
    "score_cam",
    "kernel_shap",
    "lime",
    "partition_shap",
    "gradient_shap",
    "xrai",
    "blur_ig",
    "guided_ig",
    "deep_lift",
)
SETTINGS = {
    "occlusion": f"windows of {ways.WINDOW} px side by side",
    "rise": f"{ways.MASKS} masks",
    "smooth_grad": f"{ways.SAMPLES} samples",
    "gradient_shap": f"{ways.SAMPLES} samples, black",
    "integrated_gradients": f"{ways.STEPS} steps",
    "blur_ig": f"{ways.STEPS} steps",
    "guided_ig": f"{ways.STEPS} steps",
    "xrai": f"{ways.STEPS // 2} steps from each of 2 baselines",
    "kernel_shap": f"{ways.COALITIONS} coalitions of 50 regions",
    "lime": f"{ways.COALITIONS} coalitions of 50 regions",
    "partition_shap": f"{ways.COALITIONS} coalitions",
    "score_cam": "160 channels",
}


@dataclass
class Row:
    """What one package took for one method; seconds of an image, each round's."""

    method: str
    package: str
    images: int
    found: dict[str, Any]
    cpu: list[float]
    wall: list[float]
    alike: float | None = None
    note: str = ""
    errors: Sequence[str] = ()


class Worker:
    """A process that runs one method of one package."""

    def __init__(self, python: Path, package: str, method: str, folder: Path, images: int, environ: dict[str, str]):
        command = [str(python), str(HERE / "peers" / "worker.py"), package, method, str(folder), str(images)]
        self.images, self.log = images, (folder / f"{package}-{method}.log").open("w")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environ
        )
        self.found = self.answer()

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline() if self.process.stdout else ""
        return json.loads(line) if line else {"error": f"The process ended with {self.process.wait()}"}

    def ask(self, calls: int) -> dict[str, Any]:
        print(calls, file=self.process.stdin, flush=True)
        return self.answer()

    def end(self) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()
        self.log.close()


def environment(cache: Path, package: str, more: list[str]) -> Path | str:
    """The Python of a package's own environment, made if need be; or what went wrong."""
    folder = cache / (package + ("-keras2" if more else ""))
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        venv.create(folder, with_pip=True, clear=True)
        site = next(folder.glob("lib/python*/site-packages"))
        (site / "shared.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        wanted = [package, *EXTRA.get(package, []), *more]
        command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            return "pip: " + [line for line in run.stderr.splitlines() if line.strip()][-1]
        (folder / "done").touch()
    return python


def give(folder: Path) -> None:
    """Write the weights of a network, whose normalisations have seen images, and these images."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(weights=None, classifier_activation=None)
    random = np.random.default_rng(0)
    coarse = [random.normal(size=(8, cells, cells, 3)).repeat(224 // cells, 1).repeat(224 // cells, 2) * cells**-0.5
              for cells in (4, 7, 14, 28, 56, 112)]  # fmt: skip
    images = np.sum(coarse, 0)
    images = (2 * (images - images.min()) / np.ptp(images) - 1).astype(np.float32)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)
    target = int(np.argmax(model.predict(images[:1], verbose=0)))
    rows, columns = np.minimum(np.arange(224) // 45, 4), np.minimum(np.arange(224) // 22, 9)
    weights = {f"weight_{i}": weight for i, weight in enumerate(model.get_weights())}
    labels = (rows[:, None] * 10 + columns).astype(np.int32)
    np.savez(folder / "given.npz", images=images, target=target, labels=labels, **weights)


def compared(method: str, packages: list[str], given: argparse.Namespace, environ: dict[str, str]) -> list[Row]:
    """All packages that have a method, by turns."""
    images = FEW.get(method, 1 if method in ALONE else 8)
    workers: dict[str, Worker] = {}
    rows = {}
    for package in packages:
        row = rows[package] = Row(method, package, images, {}, [], [])
        errors = []
        for legacy in (False, True) if given.legacy and package != "tfxai" else (False,):
            python = Path(sys.executable)
            if package != "tfxai":
                python = environment(given.cache, package, LEGACY if legacy else [])
            if isinstance(python, str):
                errors.append(python)
                continue
            old = {"TF_USE_LEGACY_KERAS": "1"} if legacy else {}
            worker = Worker(python, package, method, given.cache, images, environ | old)
            if "error" not in worker.found:
                row.found, workers[package] = worker.found, worker
                row.note = "Keras 2" if legacy else ""
                break
            worker.end()
            errors.append(worker.found["error"])
        row.errors = errors
    for turn in range(given.rounds):
        for name, worker in workers.items():
            if turn >= 2 and rows[name].found["first_cpu"] > SLOW:
                continue
            answer = worker.ask(max(1, round(1 / worker.found["first_cpu"])))
            rows[name].cpu.append(answer["cpu"] / images)
            rows[name].wall.append(answer["wall"] / images)
            rows[name].found["peak_mb"] = answer["peak_mb"]
    for worker in workers.values():
        worker.end()
    for name in workers:
        if name != "tfxai" and "tfxai" in workers:
            rows[name].alike = alike(given.cache, method, name)
    return list(rows.values())


def alike(folder: Path, method: str, package: str) -> float | None:
    """The correlation of a package's values with ours, the median over images; None if they are of another kind."""
    ours, theirs = (np.load(folder / f"{name}-{method}.npy").astype(float) for name in ("tfxai", package))
    if package == "tf-explain":  # which gives coloured pictures
        return None
    how = ways.REDUCED.get(package, {}).get(method, "")
    reduce = {"largest": lambda v: np.abs(v).max(-1), "mean": lambda v: v.mean(-1), "sum": lambda v: v.sum(-1)}
    ours, theirs = (reduce[how](v) if how and v.ndim == 4 and v.shape[-1] == 3 else v for v in (ours, theirs))
    if theirs.ndim == 4 and theirs.shape[-1] == 1:
        theirs = theirs[..., 0]
    if ours.ndim == 2 and theirs.ndim == 3:  # of regions: their values where the regions lie
        with np.load(folder / "given.npz") as given:
            ours = ours[:, given["labels"]]
    if ours.shape != theirs.shape:
        return None
    pairs = zip(ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1), strict=True)
    return float(np.median([np.corrcoef(a, b)[0, 1] for a, b in pairs]))


HEADER = """\
| method | setting | package | CPU time, s | of ours | wall time, s | first call, s | peak, MB | correlation |
|---|---|---|---:|---:|---:|---:|---:|---:|"""


def table(rows: list[Row]) -> str:
    lines = [HEADER]
    ours = {row.method: np.median(row.cpu) for row in rows if row.package == "tfxai" and row.cpu}
    for row in rows:
        first = row.package == "tfxai"
        name = row.package + (f" ({row.note})" if row.note else "")
        cells = [row.method if first else "", SETTINGS.get(row.method, "") if first else "", name]
        if row.cpu:
            low, middle, high = np.percentile(row.cpu, [25, 50, 75])
            cells += [f"{middle:.3f} ± {(high - low) / 2:.3f}"]
            cells += ["" if first or row.method not in ours else f"{middle / ours[row.method]:.2f}"]
            cells += [f"{np.median(row.wall):.3f}", f"{row.found['first_cpu']:.1f}"]
            cells += [f"{row.found['peak_mb']:.0f}", "" if row.alike is None else f"{row.alike:.3f}"]
        else:
            cells += [" ".join(row.errors[:1]).replace("|", "/"), "", "", "", "", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    known = ways.methods("tfxai")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "tfxai-peers", help="for environments")
    parser.add_argument("--methods", nargs="+", choices=known, default=known, metavar="NAME")
    others = [name for name in ways.PACKAGES if name != "tfxai"]
    parser.add_argument("--packages", nargs="+", choices=others, default=others)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--onednn", choices=["0", "1"], default="0", help="TF_ENABLE_ONEDNN_OPTS (default 0)")
    parser.add_argument("--legacy", action=argparse.BooleanOptionalAction, default=True, help="try Keras 2 too")
    parser.add_argument("--json", type=Path, help="write all that was measured to this file")
    parser.add_argument("--table", type=Path, help="write the Markdown table to this file")
    given = parser.parse_args()
    given.cache = given.cache.expanduser().absolute()
    given.cache.mkdir(parents=True, exist_ok=True)
    give(given.cache)
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environ = os.environ | {"PYTHONPATH": path, "TF_ENABLE_ONEDNN_OPTS": given.onednn, "TF_CPP_MIN_LOG_LEVEL": "3"}
    rows: list[Row] = []
    if given.json and given.json.exists():  # what is not measured again stays
        rows = [Row(**one) for one in json.loads(given.json.read_text())["rows"] if one["method"] not in given.methods]
    for method in given.methods:
        having = [name for name in given.packages if method in ways.methods(name)]
        if having:
            rows += compared(method, ["tfxai", *having], given, environ)
            print(table(rows[-len(having) - 1 :]), flush=True)
        if given.json:
            about = {"onednn": given.onednn, "machine": platform.processor() or platform.machine()}
            given.json.write_text(json.dumps(about | {"rows": [vars(row) for row in rows]}, indent=1) + "\n")
        if given.table:
            given.table.write_text(table(rows) + "\n")


if __name__ == "__main__":
    main()
