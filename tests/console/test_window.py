"""The window, driven by mouse and keys on an X server of its own, against real node processes."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SESSION = ROOT / "benchmarks" / "console_session.py"


@pytest.fixture(scope="module")
def screen():
    """An X server of 1366 x 768; its display's name."""
    if shutil.which("Xvfb") is None:
        pytest.skip("there is no Xvfb: apt install xvfb")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1366x768x24", "-nolisten", "tcp"],
        pass_fds=(write,), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as told:
        number = told.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


def run(screen, tmp_path, *words, seconds=900):
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env={**os.environ, "DISPLAY": screen, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "xcb",
             "XDG_CONFIG_HOME": str(tmp_path / "config")},
        capture_output=True, text=True, timeout=seconds, cwd=ROOT,
    )  # fmt: skip


def test_the_driving_script_imports_no_stage():
    text = SESSION.read_text(encoding="utf-8")
    stages = ("capture", "calibration", "reconstruct", "analysis", "report", "simulation")
    assert not [s for s in stages if f"from {s}" in text or f"import {s}" in text]
    assert importlib.util.find_spec("PySide6") is not None


@pytest.mark.slow
def test_the_first_steps_of_a_session_by_mouse_and_keys(screen, tmp_path):
    """Pages, a patient, and the board recorded by four node processes; the whole is a benchmark."""
    done = run(screen, tmp_path, SESSION, "--lab", tmp_path / "lab", "--short")
    assert done.returncode == 0, done.stderr[-3000:]
    (rig,) = (tmp_path / "lab" / "rigs").iterdir()
    times = (rig / "calibrate" / "times.csv").read_text().splitlines()
    assert {line.split(",")[0] for line in times[1:]} == {"cam01", "cam02", "cam03", "cam04"}
    assert len(list((rig / "calibrate").glob("cam*.mkv"))) == 4
    found = [
        f.name for f in (tmp_path / "lab").rglob("*") if f.is_file() and b"Berg" in f.read_bytes()
    ]
    assert found == ["registry.db"]


_NONE_KEPT = """
import sys
from PySide6.QtWidgets import QApplication, QLabel
app, label = QApplication([]), None
label = QLabel()
before = sys.getrefcount(None)
for number in range(500):
    label.setText(str(number))
print(sys.getrefcount(None) - before)
"""


def test_qt_does_not_let_go_of_what_it_does_not_hold(screen, tmp_path):
    """PySide 6.12.0 takes a reference to None with every call: Python 3.11 ends after a while."""
    done = run(screen, tmp_path, "-c", _NONE_KEPT, seconds=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > -100
