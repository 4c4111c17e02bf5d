r"""Claim: a whole session is done from the console's window with mouse and keys alone.

Drives a real window on an X server against real simulated node processes: from nothing to an
accepted rig, a standing and running trials, reviewed, the report written. It touches nothing but
visible widgets, by mouse and key events, and imports none of the stages. With --pictures it keeps
those of the operator's guide; it prints how long the window was ever kept waiting.

    xvfb-run -s "-screen 0 1366x768x24" \
        python benchmarks/console_session.py --lab DIR [--pictures DIR]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget

from console.demo_cell import DemoCell
from console.demo_films import DemoSet
from console.desk import Desk
from console.qt.app import make_window

RETAKES = 4
JUDGED = ("accepted", "refused", "unfit", "damaged", "processed")


class Hand:
    """A mouse and a keyboard that see only what is on the screen."""

    def __init__(self, window: QWidget, pictures: Path | None) -> None:
        self.window, self.pictures, self.last = window, pictures, window

    def find(self, name: str, kind: type = QWidget):
        found = [
            w for top in QApplication.topLevelWidgets() if top.isVisible()
            for w in [top, *top.findChildren(kind)]
            if w.objectName() == name and w.isVisible()
        ]  # fmt: skip
        return found[0] if found else None

    def wait(self, what: str, condition, seconds: float):
        """Let the window live until something is so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QTest.qWait(25)
            value = condition()
            if value:
                return value
        self.shoot("stuck")
        raise TimeoutError(f"{what}: not within {seconds:.0f} s; shown: {self.words()[-700:]}")

    def words(self) -> str:
        kinds = (QLabel, QPushButton)
        shown = [w.text() for k in kinds for w in self.window.findChildren(k) if w.isVisible()]
        return " | ".join(t for t in shown if t)

    def says(self, text: str) -> bool:
        return text in self.words()

    def click(self, name: str, seconds: float = 20.0) -> None:
        def there():
            widget = self.find(name)
            return widget if widget is not None and widget.isEnabled() else None

        widget = self.wait(f"{name} can be clicked", there, seconds)
        middle = QPoint(widget.width() // 2, widget.height() // 2)
        under = QApplication.widgetAt(widget.mapToGlobal(middle))
        if under is not widget and not widget.isAncestorOf(under):
            raise AssertionError(f"{name} is hidden behind {under}")
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=middle)
        self.last = widget
        QTest.qWait(30)

    def type(self, text: str) -> None:
        QTest.keyClicks(QApplication.focusWidget() or self.last, text)

    def press(self, key: Qt.Key) -> None:
        QTest.keyClick(QApplication.focusWidget() or self.window, key)
        QTest.qWait(30)

    def shoot(self, name: str) -> None:
        if self.pictures is None:
            return
        self.pictures.mkdir(parents=True, exist_ok=True)
        QTest.qWait(60)
        self.window.grab().save(str(self.pictures / f"{name}.png"))


def text_of(hand: Hand, name: str) -> str:
    widget = hand.find(name)
    return "" if widget is None else widget.text()


def calibrate(hand: Hand, seconds: float) -> None:
    hand.click("go calibrate")
    QTest.qWait(800)
    hand.shoot("calibrate-empty")
    hand.click("scene board")
    hand.click("next")
    hand.wait("the board can be recorded", lambda: text_of(hand, "next") == "Record the board", 90)
    hand.press(Qt.Key.Key_Space)
    hand.wait("it is recorded", lambda: text_of(hand, "next") == "Stop", 60)
    QTest.qWait(round(seconds * 500))
    hand.shoot("calibrate-working")
    QTest.qWait(round(seconds * 500))
    hand.press(Qt.Key.Key_Space)
    hand.wait("the floor is next", lambda: text_of(hand, "next") == "Record the floor", 120)
    hand.click("scene floor")
    QTest.qWait(1500)
    hand.click("next")
    hand.wait("it can be solved", lambda: text_of(hand, "next") == "Solve", 120)
    hand.shoot("calibrate-ready")
    hand.click("next")
    hand.wait("it is being solved", lambda: text_of(hand, "next") == "Solving", 30)
    QTest.qWait(3000)
    hand.shoot("calibrate-solving")
    hand.wait("it is solved", lambda: text_of(hand, "next") == "Calibrate anew", 600)
    QTest.qWait(400)
    hand.shoot("calibrate-result")
    if not hand.says("Accepted"):
        raise AssertionError(f"the rig was not accepted: {hand.words()}")


def take(hand: Hand, scene: str, seconds: float) -> None:
    """Record with the space bar; a standing trial ends by itself."""
    hand.click(f"scene {scene}")
    QTest.qWait(1200)
    big = hand.wait("it can be recorded", lambda: ready_button(hand), 120)
    hand.press(Qt.Key.Key_Space)
    hand.wait("it is recorded", lambda: big.text().startswith("Stop"), 60)
    if scene == "running":
        QTest.qWait(round(seconds * 500))
        hand.shoot("capture-recording")
        QTest.qWait(round(seconds * 500))
        hand.press(Qt.Key.Key_Space)
    hand.wait("it is fetched", lambda: ready_button(hand), 180)


def ready_button(hand: Hand):
    big = hand.find("big")
    ready = big is not None and big.isEnabled() and not big.text().startswith("Stop")
    return big if ready else None


def capture(hand: Hand, trials: int, seconds: float) -> None:
    hand.click("go capture")
    hand.wait("the list is green", lambda: checks_green(hand), 240)
    hand.shoot("capture-form")
    hand.click("patient")
    hand.type("P017")
    hand.click("begin")
    take(hand, "standing", 0)
    for _ in range(RETAKES):
        QTest.qWait(1500)
        if "unfit" not in take_words(hand, "static"):
            break
        hand.click(
            "static"
        )  # as an operator would: the busy computer's clocks were not sure enough
        hand.wait("it is recorded again", lambda: text_of(hand, "big").startswith("Stop"), 60)
        hand.wait("it is fetched", lambda: ready_button(hand), 180)
    made = 0
    for number in range(1, trials + RETAKES + 1):
        take(hand, "running", seconds)
        hand.wait("it is judged", lambda n=number: take_words(hand, f"run{n}"), 30)
        made += "unfit" not in take_words(hand, f"run{number}")
        if made == trials:
            break

    def done() -> bool:
        words = [take_words(hand, f"run{n}") for n in range(1, number + 1)]
        return all(w.split()[-1:] and w.split()[-1] in JUDGED for w in words)

    hand.wait("the trials are processed", done, 900)
    hand.shoot("capture-green")
    if "accepted" not in hand.words():
        raise AssertionError(f"no trial was accepted: {hand.words()}")


def take_words(hand: Hand, name: str) -> str:
    """Return what stands beside a take: its sign, name and state."""
    line = hand.find(f"take {name}")
    return "" if line is None else line.findChildren(QLabel)[0].text()


def checks_green(hand: Hand) -> bool:
    return all(text_of(hand, f"check {i}").startswith(("✓", "!")) for i in range(5))


def review(hand: Hand) -> None:
    hand.click("go review")
    hand.wait("a trial is shown", lambda: hand.find("measures") is not None, 60)
    QTest.qWait(1500)
    page = hand.find("page review")
    page.setFocus()
    for _ in range(3):
        QTest.keyClick(page, Qt.Key.Key_N)
        QTest.qWait(150)
    hand.wait("an event is under the cursor", lambda: "foot" in text_of(hand, "event"), 10)
    QTest.qWait(800)
    hand.shoot("review")


def report(hand: Hand) -> None:
    hand.click("go report")
    hand.wait("the page is shown", lambda: hand.find("page of the report"), 240)
    QTest.qWait(500)
    hand.shoot("report")
    hand.click("pdf")
    hand.wait("it is written", lambda: hand.says("Written:"), 240)
    hand.shoot("report-written")


def first_steps(hand: Hand) -> None:
    """Go through the pages, enter a patient, and record the board: what needs no long work."""
    window = hand.window
    keys = {"report": Qt.Key.Key_5, "review": Qt.Key.Key_4, "capture": Qt.Key.Key_3}
    for page, key in keys.items():
        QTest.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)
        hand.wait(f"{page} is shown", lambda page=page: hand.find(f"page {page}"), 20)
    hand.wait("a rig is asked for", lambda: hand.says("There is none yet: calibrate."), 20)
    if hand.find("begin").isEnabled():
        raise AssertionError("a session may begin without a rig")
    hand.click("patients")
    hand.wait("the patients are shown", lambda: hand.find("pat.code"), 20)
    for field, text in (("pat.code", "P017"), ("pat.name", "Anna Berg"), ("pat.born", "1980")):
        hand.click(field)
        hand.type(text)
    hand.click("enter")
    hand.click("choose")
    hand.wait("the code is taken", lambda: text_of(hand, "patient") == "P017", 20)
    hand.click("go calibrate")
    hand.click("scene board")
    hand.click("next")
    hand.wait("the board can be recorded", lambda: text_of(hand, "next") == "Record the board", 90)
    hand.press(Qt.Key.Key_Space)
    hand.wait("it is recorded", lambda: text_of(hand, "next") == "Stop", 60)
    QTest.qWait(2500)
    hand.press(Qt.Key.Key_Space)
    hand.wait("the floor is next", lambda: text_of(hand, "next") == "Record the floor", 120)
    hand.click("theme")
    hand.wait("it is dark", lambda: hand.find("page calibrate"), 20)


def session(lab: Path, made: DemoSet, trials: int, seconds: float, pictures: Path | None,
            dark: bool = False, rig_there: bool = False) -> dict[str, float]:  # fmt: skip
    """Do it all; what the window's event loop made of it."""
    cell = DemoCell(lab, made)
    cell.start()
    app, window = make_window(Desk(lab, cell), dark)
    hand = Hand(window, pictures)
    try:
        window.show()
        screen = app.primaryScreen().availableGeometry()
        window.resize(screen.width(), screen.height())
        window.activateWindow()
        hand.wait(
            "four cameras run",
            lambda: hand.says("4 of 4 cameras run") or hand.says("All cameras run."),
            120,
        )
        hand.click("camera cam01")
        hand.click("scene running")
        QTest.qWait(6000)
        hand.shoot("rig")
        window.longest_gap_s = window.busiest_s = 0.0
        if trials == 0:
            first_steps(hand)
            return {"longest_gap_s": window.longest_gap_s, "busiest_s": window.busiest_s}
        if not rig_there:
            calibrate(hand, made.poses * made.hold_s)
        capture(hand, trials, seconds)
        review(hand)
        report(hand)
        return {"longest_gap_s": window.longest_gap_s, "busiest_s": window.busiest_s}
    finally:
        window.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--short", action="store_true", help="up to the board's recording")
    parser.add_argument("--rig-there", action="store_true", help="the lab has a rig: go on with it")
    given = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
    made = DemoSet()
    if given.short:
        given.trials = 0
        made = DemoSet(size_px=(640, 360), poses=6, strides=1, frames_a_stride=24)
    found = session(
        given.lab, made, given.trials, given.seconds, given.pictures, given.dark, given.rig_there
    )
    print(f"longest time the window was kept waiting: {1e3 * found['longest_gap_s']:.0f} ms")
    print(f"most work of its thread between two pictures: {1e3 * found['busiest_s']:.0f} ms of CPU")


if __name__ == "__main__":
    main()
