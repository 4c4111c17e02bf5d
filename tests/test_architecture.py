"""The import rule and a few others that hold for the whole product, read from its source.

`find_breaches` works on any source tree; every rule is broken once on purpose below, in a small
tree, so that each guard is seen to fail.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("capture", "calibration", "reconstruct", "analysis", "report", "simulation")
OURS = ("lab", *STAGES, "console", "configs")
QT = ("PySide6", "pyqtgraph")


def read_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every module that a file names: import statements wherever they stand, and literal calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func).rpartition(".")[2]
            first = node.args[0]
            if called in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield node.lineno, str(first.value)


def may_import(path: str, top: str) -> bool:
    """Whether the file at `path` (relative, with /) may import the top-level package `top`."""
    package = path.partition("/")[0]
    if top in OURS:
        if package == "lab":
            return top == "lab"
        if package == "console":
            return True
        return top in (package, "lab")
    if top in QT:
        return path.startswith("console/qt/")
    if top == "h5py":
        return path.startswith(("lab/store", "reconstruct/detect/"))
    if top == "zmq":
        return package == "capture"
    if top == "cv2":
        return package not in ("lab", "analysis")
    return True


def find_broad_excepts(tree: ast.AST) -> Iterator[int]:
    """Handlers without a type, or for Exception or BaseException that do not raise again."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = [ast.unparse(c).rpartition(".")[2] if c else "" for c in caught]
        last = node.body[-1]
        raises_again = isinstance(last, ast.Raise) and last.exc is None
        if "" in names or "Exception" in names or ("BaseException" in names and not raises_again):
            yield node.lineno


def find_breaches(root: Path) -> list[str]:
    """Every line of the product under `root` that breaks a rule of the house."""
    breaches: list[str] = []
    for file in sorted(f for package in OURS for f in (root / package).rglob("*.py")):
        path = file.relative_to(root).as_posix()
        tree = ast.parse(file.read_text(encoding="utf-8"), path)
        for line, name in read_imports(tree):
            if name.startswith("."):
                breaches.append(f"{path}:{line}: relative import")
            elif not may_import(path, name.partition(".")[0]):
                breaches.append(f"{path}:{line}: may not import {name}")
        breaches.extend(
            f"{path}:{node.lineno}: assert"
            for node in ast.walk(tree)
            if isinstance(node, ast.Assert)
        )
        breaches.extend(f"{path}:{line}: broad except" for line in find_broad_excepts(tree))
    return breaches


def test_the_product_keeps_the_rules():
    assert find_breaches(ROOT) == []


@pytest.mark.parametrize(
    ("path", "source", "breach"),
    [
        ("lab/pose.py", "import analysis", "1: may not import analysis"),
        ("lab/pose.py", "from configs import boards", "1: may not import configs"),
        ("analysis/angles.py", "import reconstruct.smooth", "1: may not import reconstruct.smooth"),
        ("analysis/angles.py", "from console.cli import main", "1: may not import console.cli"),
        ("report/pdf.py", "import configs", "1: may not import configs"),
        ("capture/node.py", "import simulation.room as r", "1: may not import simulation.room"),
        ("calibration/lens.py", "def f():\n    from report import pdf", "2: may not import report"),
        ("simulation/room.py", "if 1:\n import analysis", "2: may not import analysis"),
        (
            "reconstruct/smooth.py",
            "import importlib\nimportlib.import_module('analysis.angles')",
            "2: may not import analysis.angles",
        ),
        (
            "reconstruct/smooth.py",
            "from importlib import import_module\nimport_module('report')",
            "2: may not import report",
        ),
        ("reconstruct/detect/yolo.py", "__import__('console')", "1: may not import console"),
        ("configs/boards.py", "import analysis", "1: may not import analysis"),
        ("console/pipeline.py", "from PySide6 import QtCore", "1: may not import PySide6"),
        ("console/cli.py", "import pyqtgraph", "1: may not import pyqtgraph"),
        ("report/figures.py", "import pyqtgraph as pg", "1: may not import pyqtgraph"),
        ("analysis/norms.py", "import h5py", "1: may not import h5py"),
        ("lab/trial.py", "import h5py", "1: may not import h5py"),
        ("console/pipeline.py", "from zmq import Context", "1: may not import zmq"),
        ("lab/wire.py", "import zmq.asyncio", "1: may not import zmq.asyncio"),
        ("lab/camera.py", "import cv2", "1: may not import cv2"),
        ("analysis/angles.py", "def f():\n    import cv2.aruco", "2: may not import cv2.aruco"),
        ("lab/pose.py", "from .checks import x", "1: relative import"),
        ("console/qt/views.py", "from .. import cli", "1: relative import"),
        ("lab/pose.py", "def f(x):\n    assert x", "2: assert"),
        ("report/pdf.py", "try:\n    f()\nexcept:\n    pass", "3: broad except"),
        ("report/pdf.py", "try:\n    f()\nexcept Exception:\n    raise", "3: broad except"),
        (
            "report/pdf.py",
            "try:\n    f()\nexcept (OSError, Exception) as e:\n    g()",
            "3: broad except",
        ),
        ("lab/a.py", "try:\n    f()\nexcept BaseException:\n    g()", "3: broad except"),
    ],
)
def test_each_rule_is_seen_to_fail(tmp_path, path, source, breach):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")
    found = find_breaches(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(f"{path}:{breach}")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("lab/rig.py", "from lab.camera import Camera\nimport numpy"),
        ("lab/store.py", "import h5py"),
        ("lab/store_fields.py", "import h5py"),
        ("reconstruct/detect/foreign.py", "import h5py"),
        ("report/export/csv.py", "from lab.trial import Trial\nfrom report.tables import rows"),
        ("console/pipeline.py", "import analysis.angles, calibration, configs, lab, cv2"),
        ("console/qt/views.py", "import PySide6.QtWidgets, pyqtgraph"),
        ("capture/wire.py", "import zmq"),
        ("calibration/detect.py", "import cv2\nimport_module(name)"),
        ("lab/a.py", "try:\n    f()\nexcept BaseException:\n    g()\n    raise"),
        ("lab/a.py", "try:\n    f()\nexcept (OSError, ValueError) as e:\n    raise E from e"),
    ],
)
def test_what_the_rules_allow(tmp_path, path, source):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(source, encoding="utf-8")
    assert find_breaches(tmp_path) == []


@pytest.mark.parametrize("package", [p for p in OURS if (ROOT / p).is_dir()])
def test_no_installed_distribution_shadows_ours(package):
    file = importlib.import_module(package).__file__
    assert file is not None
    assert Path(file).resolve() == ROOT / package / "__init__.py"
