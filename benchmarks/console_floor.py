r"""Claim: each way to say what is up is chosen in the window, and the rig takes it as it was said.

Of a lab in which a board was recorded (benchmarks/console_session.py --lab LAB leaves one) the rig
is solved anew in a real window, by mouse and keys: with an inclinometer's reading, and with a
hanging line that is clicked in the pictures, where it would be seen in the simulated room. Printed:
what the rig says of the belt's incline and of its own error.

    xvfb-run -s "-screen 0 1366x768x24" python benchmarks/console_floor.py --lab DIR [--short]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
from pathlib import Path

import numpy as np
from console_session import SHORT
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from window_hand import Hand, live, text_of

from console.demo_cell import DemoCell
from console.demo_films import DemoSet
from console.desk import Desk
from console.qt.app import make_window
from lab.store import load_rig

READING_DEG, SIGMA_DEG = (1.5, -0.4), "0.15"
LINE_M = ((0.1, 0.2, 1.6), (0.1, 0.2, 0.5))
MARKED = ("cam01", "cam02", "cam03")


def copy_recordings(lab: Path, name: str) -> Path:
    """Make a calibration that is recorded and not solved, the newest of the lab."""
    solved = sorted((lab / "rigs").glob("*/calibration.h5"))[0].parent
    into = lab / "rigs" / f"{solved.name}-{name}"
    for take in ("calibrate", "floor"):
        shutil.copytree(solved / take, into / take, copy_function=os.link)
    return into


def choose(hand: Hand, steps: int) -> None:
    """Choose what up is from by keys."""
    hand.wait("a choice is offered", lambda: hand.find("up"), 60)
    hand.find("up").setFocus()
    for _ in range(steps):
        hand.press(Qt.Key.Key_Down)


def fill(hand: Hand, name: str, text: str) -> None:
    hand.click(name)
    QTest.keyClick(hand.last, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    hand.type(text)


def incline(hand: Hand, made: DemoSet) -> None:
    choose(hand, 1)
    fill(hand, "up sigma", SIGMA_DEG)
    fill(hand, "incline along", f"{READING_DEG[0]}")
    # Without the other reading nothing is solved, and it is said why.
    hand.click("next")
    hand.wait("the reading is asked for", lambda: hand.says("the incline is not given"), 20)
    fill(hand, "incline across", f"{READING_DEG[1]}")
    hand.shoot("calibrate-incline")


def plumb(hand: Hand, made: DemoSet) -> None:
    choose(hand, 2)
    room = made.room()
    for name in MARKED:
        view = hand.find(f"camera {name}")
        for place in LINE_M:
            x, y = (room.camera(name).project(np.array(place)) + 0.5) / made.size_px
            left, width = (view.width() - view.shown_width) / 2, view.shown_width
            height = width * made.size_px[1] / made.size_px[0]
            at = QPoint(round(left + x * width), round(y * height))
            QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=at)
            live(50)
    hand.wait("both ends are taken", lambda: hand.says(f"Marked in {len(MARKED)}"), 10)
    hand.shoot("calibrate-plumb")


def solve(hand: Hand) -> None:
    hand.click("next")
    hand.wait("it is being solved", lambda: text_of(hand, "next") == "Solving", 30)
    over = ("Go to Capture", "Calibrate anew")
    hand.wait("it is solved", lambda: text_of(hand, "next") in over, 600)
    live(500)


def told(folder: Path) -> dict[str, object]:
    quality = load_rig(folder / "calibration.h5").quality
    figures = {k: math.degrees(v) for k, v in quality.figures.items() if k.endswith("_rad")}
    return {"accepted": quality.accepted, "reasons": quality.reasons, "deg": figures}


def main() -> None:
    """Print what each rig says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--short", action="store_true", help="with the films of a short session")
    given = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
    made = SHORT if given.short else DemoSet()
    cell = DemoCell(given.lab, made)
    cell.begin()
    app, window = make_window(Desk(given.lab, cell))
    hand, found = Hand(window, given.pictures), {}
    try:
        window.show()
        screen = app.primaryScreen().availableGeometry()
        window.resize(screen.width(), screen.height())
        window.activateWindow()
        hand.wait("all cameras run", lambda: hand.says("All cameras run."), 1800)
        hand.click("scene floor")
        hand.click("go calibrate")
        for way in (incline, plumb):
            folder = copy_recordings(given.lab, way.__name__)
            hand.wait("it can be solved", lambda: text_of(hand, "next") == "Solve", 60)
            live(1500)
            way(hand, made)
            solve(hand)
            hand.shoot(f"calibrate-result-{way.__name__}")
            found[way.__name__] = told(folder)
    finally:
        hand.beats.close()
        window.close()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
