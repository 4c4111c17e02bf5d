"""Two windows of the console at once, each a process of its own, on one registry."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_WINDOW = """
import sys
from pathlib import Path
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
sys.path.insert(0, "benchmarks")
from window_hand import Hand, live
from console.desk import Desk
from console.qt.app import make_window
from console.qt.parts import MarkLabel

def ask():
    sys.stdout.flush()
    return sys.stdin.readline().split()

desk = Desk(Path(sys.argv[1]))
app, window = make_window(desk, False)
hand = Hand(window, None)
window.show()
screen = app.primaryScreen().availableGeometry()
window.resize(screen.width(), screen.height())
window.activateWindow()
live(1000)
QTest.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
hand.click("patients")
hand.wait("the patients are shown", lambda: hand.find("pat.code"), 20)
print("shown")
for what, code in iter(ask, []):
    if what == "enter":
        hand.click("pat.code")
        hand.find("pat.code").clear()
        hand.type(code)
        hand.click("enter")
    else:
        hand.click("search text")
        hand.find("search text").clear()
        hand.type(code)
        hand.click("search patients")
    live(1500)
    table = hand.find("patients table")
    rows = [table.item(i, 0).text() for i in range(table.rowCount())]
    marks = hand.find("patients dialog").findChildren(MarkLabel)
    print(*rows, "|", *[w.text() for w in marks if w.isVisible()])
window.close()
"""


class Console:
    """One window, told by lines what to do."""

    def __init__(self, lab, screen, config, registry):
        env = {**os.environ, "DISPLAY": screen, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "xcb",
               "XDG_CONFIG_HOME": str(config), "OMP_NUM_THREADS": "1"}  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WINDOW, str(lab)], env=env | registry, cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def hear(self):
        line = self.process.stdout.readline()
        assert line, f"the window is gone: {self.process.wait(20)}"
        return line.strip()

    def tell(self, what, code):
        self.process.stdin.write(f"{what} {code}\n")
        self.process.stdin.flush()
        return self.hear()

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_one_window_enters_the_other_finds(kind, request, tmp_path, screens):
    """On one folder with SQLite; as two workstations with a folder each and one PostgreSQL."""
    registry = {}
    labs = [tmp_path / "lab"] * 2
    if kind == "postgresql":
        registry = {"GAITLAB_REGISTRY": request.getfixturevalue("postgres")}
        labs = [tmp_path / "one", tmp_path / "two"]
    for lab in labs:
        lab.mkdir(exist_ok=True)
    windows = [
        Console(lab, screen, tmp_path / f"config{i}", registry)
        for i, (lab, screen) in enumerate(zip(labs, screens, strict=True))
    ]
    try:
        assert [w.hear() for w in windows] == ["shown", "shown"]
        one, two = windows
        assert one.tell("search", "P501").split("|")[0].split() == []
        assert two.tell("enter", "P501").split("|")[0].split() == ["P501"]
        assert one.tell("search", "P501").split("|")[0].split() == ["P501"]
        # Entered again in the other window it is refused, in words, and stands once.
        rows, said = one.tell("enter", "P501").split("|")
        assert rows.split() == ["P501"]
        assert "P501" in said
        assert one.tell("enter", "P502").split("|")[0].split()
        assert two.tell("search", "P502").split("|")[0].split() == ["P502"]
    finally:
        for window in windows:
            window.close()
    assert [w.process.returncode for w in windows] == [0, 0]
