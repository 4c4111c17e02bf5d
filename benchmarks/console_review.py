r"""Claim: on the page Review nothing keeps the window waiting, however long the trial.

A trial that a session has left (benchmarks/console_session.py --lab LAB; the folder itself is not
touched) is stretched to the seconds asked for, opened, and gone through: to the next event, by
single frames, far along the slider, other curves, raw points. Each event that the window's thread
works off is timed by itself. Printed for each action: the dearest event by its own CPU, its wall
time, and what it was.

    xvfb-run -s "-screen 0 1366x768x24" python benchmarks/console_review.py --lab LAB [--seconds 60]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PySide6.QtCore import QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from window_hand import live

from console.desk import Desk
from console.qt.app import make_window
from lab.gait import Curves
from lab.points import Points3D
from lab.store import load_trial, save_trial
from lab.trial import Trial

LIMIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Block:
    """One event and all that came of it."""

    own_s: float
    wall_s: float
    what: str


class Timed(QApplication):
    """Times every event, those within another one as part of it."""

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        self.blocks: list[Block] = []
        self._within = 0

    def notify(self, receiver, event) -> bool:
        self._within += 1
        if self._within > 1:
            try:
                return super().notify(receiver, event)
            finally:
                self._within -= 1
        what = f"{QEvent.Type(event.type()).name} to {type(receiver).__name__}"
        wall, own = time.perf_counter(), time.thread_time()
        try:
            return super().notify(receiver, event)
        finally:
            self._within -= 1
            spent = Block(time.thread_time() - own, time.perf_counter() - wall, what)
            self.blocks.append(spent)

    def said(self, action: str) -> str:
        """Return the dearest event since the last time, in words."""
        blocks, self.blocks = self.blocks, []
        dear = max(blocks, key=lambda b: b.own_s)
        over = sum(b.own_s > LIMIT_S for b in blocks)
        wall = max(b.wall_s for b in blocks)
        return (
            f"{action:22} {1e3 * dear.own_s:6.0f} ms own CPU ({1e3 * dear.wall_s:.0f} ms wall, "
            f"{dear.what}); longest wall {1e3 * wall:.0f} ms; over {1e3 * LIMIT_S:.0f} ms: {over}"
        )


def stretched(trial: Trial, seconds: float) -> Trial:
    """Return the trial over and over, for so long."""
    curves = trial.curves
    period = float(curves.t[-1] - curves.t[0]) + float(np.median(np.diff(curves.t)))
    times = max(1, round(seconds / period))
    t = np.concatenate([curves.t + k * period for k in range(times)])

    def again(values):
        return np.tile(values, (times, *[1] * (values.ndim - 1)))

    def points(p):
        return Points3D(p.names, t, again(p.xyz), again(p.cov))

    events = [replace(e, t=e.t + k * period) for k in range(times) for e in trial.events]
    return replace(
        trial,
        points=points(trial.points),
        smoothed=points(trial.smoothed),
        curves=Curves(curves.names, t, again(curves.values), again(curves.sigma)),
        events=tuple(events),
    )


def go_through(app: Timed, window) -> None:
    window.go("review")
    page = window.page
    end = time.monotonic() + 60
    while page._review is None:
        live(50)
        if time.monotonic() > end:
            raise SystemExit("the trial is not shown")
    live(1500)
    print(app.said("open a trial"))
    other = page._trial.currentIndex() == 0
    page._trial.setCurrentIndex(int(other))
    page._load()
    live(2500)
    print(app.said("open another one"))
    page.setFocus()
    for name, key, count in (
        ("to the next event", Qt.Key.Key_N, 15),
        ("to the last event", Qt.Key.Key_B, 5),
        ("a frame further", Qt.Key.Key_Right, 20),
    ):
        for _ in range(count):
            QTest.keyClick(page, key)
            live(120)
        print(app.said(name))
    for share in (0.9, 0.1, 0.6, 0.3, 0.99, 0.0):
        page._slider.setValue(round(share * page._slider.maximum()))
        live(200)
    print(app.said("far along the slider"))
    for plot in page._plots:
        plot._choice.setCurrentIndex(4)
        plot._choice.activated.emit(4)
        live(300)
    print(app.said("another curve"))
    page._raw.setChecked(True)
    live(300)
    print(app.said("raw points"))
    window.resize(window.width() - 90, window.height() - 60)
    live(500)
    print(app.said("another size"))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
    app = Timed(sys.argv[:1])
    with tempfile.TemporaryDirectory(dir=given.lab.parent) as scratch:
        lab = Path(scratch) / "lab"
        ignored = shutil.ignore_patterns("demo", "nodes.toml", "registry.db")
        shutil.copytree(given.lab, lab, copy_function=os.link, ignore=ignored)
        for record in sorted((lab / "sessions").glob("*/*/run*/trial.h5")):
            save_trial(stretched(load_trial(record), given.seconds), record)
        _, window = make_window(Desk(lab), False)
        screen = app.primaryScreen().availableGeometry()
        window.resize(screen.width(), screen.height())
        window.show()
        live(1500)
        print(app.said("the page Rig"))
        go_through(app, window)
        window.close()


if __name__ == "__main__":
    main()
