"""What `python -m build` makes: without warnings, all files of the package, no others; it runs when installed."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import tfxai

ROOT = Path(__file__).parents[1]
MADE = {"__pycache__", ".pyc"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    run = subprocess.run(command, capture_output=True, text=True, env=clean)
    assert run.returncode == 0, run.stdout + run.stderr
    assert not re.findall(".*(?:warning|deprecat).*", run.stdout + run.stderr, re.IGNORECASE)
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def of_package() -> set[str]:
    files = (path.relative_to(ROOT).as_posix() for path in (ROOT / "tfxai").rglob("*") if path.is_file())
    return {name for name in files if not any(part in name for part in MADE)}


def test_the_wheel_has_the_package_and_nothing_else(built):
    with zipfile.ZipFile(built[1]) as wheel:
        names = wheel.namelist()
    assert {name for name in names if ".dist-info/" not in name} == of_package()
    assert any(name.endswith("LICENSE") for name in names)


def test_the_source_can_be_tested_and_documented(built):
    with tarfile.open(built[0]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert names >= of_package() | {"README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE"}
    assert names >= {"conftest.py", "tests/conftest.py", "docs/conf.py", "examples/GALLERY_HEADER.rst"}
    assert not any("_build" in name or name.startswith("docs/gallery") for name in names)


def test_the_installed_wheel_runs(built, tmp_path):
    where = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", where, built[1]]
    subprocess.run(pip, check=True)
    code = "import tfxai; from tfxai.datasets import flowers; print(tfxai.__file__, len(flowers.load_model().layers))"
    clean = {**os.environ, "PYTHONPATH": str(where)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(str(where))
    program = subprocess.run(
        [where / "bin" / "tfxai", "--version"], capture_output=True, text=True, env=clean, cwd=tmp_path
    )
    assert tfxai.__version__ in program.stdout


def test_the_citation_names_this_version():
    assert f"\nversion: {tfxai.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {tfxai.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_package_that_is_imported_is_declared():
    """Modules at the top of files of the package, against what installing it brings along."""
    root = Path(tfxai.__file__).parent
    declared = configparser.ConfigParser()
    declared.read(root.parent / "setup.cfg")
    wanted = {re.split(r"[><=]", line)[0] for line in declared["options"]["install_requires"].split()}
    names = {"cv2": "opencv-python-headless", "sklearn": "scikit-learn", "PIL": "pillow"}
    imported = set()
    for file in root.rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                imported |= {one.name.partition(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    assert {names.get(name, name) for name in imported - set(sys.stdlib_module_names) - {"tfxai"}} <= wanted
