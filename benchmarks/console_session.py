r"""Claim: a whole session is done from the console's window with mouse and keys alone.

Drives a real window on an X server against real simulated node processes: from nothing to an
accepted rig, a standing and two running trials of a person with tag plates, found in the pictures,
reviewed, an event moved and the trial processed again, the report written. It touches nothing but
visible widgets, by mouse and key events, and imports none of the stages. With --pictures it keeps
those of the operator's guide. Printed: every measure beside the truth, and how long the window was
ever kept waiting, and by what.

    xvfb-run -s "-screen 0 1366x768x24" \
        python benchmarks/console_session.py --lab DIR [--pictures DIR]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import asdict
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from window_hand import Hand, live, text_of

from console.demo_cell import DemoCell
from console.demo_films import HEIGHT_M, DemoSet
from console.demo_truth import beside_truth
from console.desk import Desk
from console.qt.app import make_window
from lab.store import load_trial

RETAKES = 4
# As little as still carries a whole session.
SHORT = DemoSet(poses=40, strides=1, frames_a_stride=24, preview_hz=5.0)
JUDGED = ("accepted", "refused", "unfit", "damaged", "processed")


def calibrate(hand: Hand, seconds: float) -> None:
    hand.click("go calibrate")
    live(800)
    hand.shoot("calibrate-empty")
    hand.click("scene board")
    hand.click("next")
    hand.wait("the board can be recorded", lambda: text_of(hand, "next") == "Record the board", 90)
    hand.press(Qt.Key.Key_Space)
    hand.wait("it is recorded", lambda: text_of(hand, "next") == "Stop", 60)
    live(round(seconds * 500))
    hand.shoot("calibrate-working")
    live(round(seconds * 500))
    hand.press(Qt.Key.Key_Space)
    hand.wait("the floor is next", lambda: text_of(hand, "next") == "Record the floor", 120)
    hand.click("scene floor")
    live(1500)
    hand.click("next")
    hand.wait("it can be solved", lambda: text_of(hand, "next") == "Solve", 120)
    hand.shoot("calibrate-ready")
    # A floor that is known better than is taken by itself: laid by a verb of its own.
    field = hand.find("up sigma")
    hand.click("up sigma")
    QTest.keyClick(field, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    hand.type("0.1")
    hand.click("next")
    hand.wait("it is being solved", lambda: text_of(hand, "next") == "Solving", 30)
    live(3000)
    hand.shoot("calibrate-solving")
    over = ("Go to Capture", "Calibrate anew")
    hand.wait("it is solved", lambda: text_of(hand, "next") in over, 600)
    live(400)
    hand.shoot("calibrate-result")
    if not hand.says("Accepted"):
        raise AssertionError(f"the rig was not accepted: {hand.words()}")


def take(hand: Hand, scene: str, seconds: float) -> None:
    """Record with the space bar; a standing trial ends by itself where no seconds are given."""
    hand.click(f"scene {scene}")
    live(1200)
    big = hand.wait("it can be recorded", lambda: ready_button(hand), 120)
    hand.press(Qt.Key.Key_Space)
    hand.wait("it is recorded", lambda: big.text().startswith("Stop"), 60)
    if seconds:
        live(round(seconds * 500))
        hand.shoot(f"capture-{scene}")
        live(round(seconds * 500))
        hand.press(Qt.Key.Key_Space)
    hand.wait("it is fetched", lambda: ready_button(hand), 180)


def ready_button(hand: Hand):
    big = hand.find("big")
    ready = big is not None and big.isEnabled() and not big.text().startswith("Stop")
    return big if ready else None


def capture(hand: Hand, trials: int, seconds: float, short: bool) -> None:
    hand.click("next" if text_of(hand, "next") == "Go to Capture" else "go capture")
    hand.wait("the list is green", lambda: checks_green(hand), 240)
    hand.shoot("capture-form")
    hand.click("patient")
    hand.type("P017")
    hand.click("height")
    hand.type(f"{HEIGHT_M:.2f}")
    hand.click("begin")
    take(hand, "standing", 1.2 if short else 0.0)
    for _ in range(RETAKES):
        live(1500)
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
    """Look at each trial under the cursor; of the newest move an event, and process it again."""
    hand.click("go review")
    hand.wait("a trial is shown", lambda: hand.find("measures") is not None, 60)
    live(1500)
    page = hand.find("page review")
    page.setFocus()
    # Into the middle, where the cycles are whole.
    for _ in range(7):
        QTest.keyClick(page, Qt.Key.Key_N)
        live(150)
    hand.wait("an event is under the cursor", lambda: "foot" in text_of(hand, "event"), 10)
    live(800)
    hand.shoot("review")
    hand.click("move")
    hand.wait("a reason is asked for", lambda: hand.says("without a reason"), 10)
    hand.type("seen a frame later in the video")
    page.setFocus()
    QTest.keyClick(page, Qt.Key.Key_Right)
    hand.click("move")
    hand.wait("the change waits", lambda: "wait to be processed" in hand.words(), 20)
    hand.shoot("review-changed")
    hand.click("process again")
    hand.wait("it is processed again", lambda: hand.says("by hand: seen a frame later"), 20)
    hand.wait("it is done", lambda: "wait to be processed" not in hand.words(), 300)
    hand.shoot("review-again")


def report(hand: Hand, short: bool) -> None:
    hand.click("go report")
    hand.wait("the page is shown", lambda: hand.find("page of the report"), 240)
    live(500)
    hand.shoot("report")
    hand.click("pdf")
    hand.wait("it is written", lambda: hand.says("Written:"), 240)
    hand.shoot("report-written")
    if not short:
        hand.click("csv")
        hand.wait("the tables are written", lambda: hand.says(".csv"), 120)


def first_steps(hand: Hand) -> None:
    """Go through the pages by keys, and enter a patient with a name."""
    window = hand.window
    keys = {"report": Qt.Key.Key_5, "review": Qt.Key.Key_4, "capture": Qt.Key.Key_3}
    for page, key in keys.items():
        QTest.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)
        hand.wait(f"{page} is shown", lambda page=page: hand.find(f"page {page}"), 20)
        hand.shoot(f"{page}-empty")
    hand.wait("a rig is asked for", lambda: hand.says("There is none yet: calibrate."), 20)
    if hand.find("begin").isEnabled():
        raise AssertionError("a session may begin without a rig")
    hand.click("patients")
    hand.wait("the patients are shown", lambda: hand.find("pat.code"), 20)
    for field, text in (("pat.code", "P017"), ("pat.name", "Anna Berg"), ("pat.born", "1980")):
        hand.click(field)
        hand.type(text)
    hand.click("enter")
    hand.shoot("patients")
    hand.click("choose")
    hand.wait("the code is taken", lambda: text_of(hand, "patient") == "P017", 20)
    hand.find("patient").clear()


def session(lab: Path, made: DemoSet, given: argparse.Namespace):
    """Do it all; return how long the window was kept waiting."""
    cell = DemoCell(lab, made)
    cell.begin()
    app, window = make_window(Desk(lab, cell), given.dark)
    hand = Hand(window, given.pictures, given.looking)
    try:
        window.show()
        screen = app.primaryScreen().availableGeometry()
        window.resize(screen.width(), screen.height())
        window.activateWindow()
        live(1500)
        hand.shoot("rig-preparing")
        hand.wait(
            "all cameras run",
            lambda: hand.says("All cameras run."),
            1800,
        )
        hand.click("camera cam01")
        hand.click("scene running")
        live(3000)
        hand.shoot("rig")
        if not given.rig_there:
            first_steps(hand)
            calibrate(hand, made.poses * made.hold_s)
        capture(hand, given.trials, given.seconds, given.short)
        review(hand)
        report(hand, given.short)
        return hand.beats
    finally:
        hand.beats.close()
        window.close()


def beside(lab: Path, made: DemoSet) -> dict[str, list[dict]]:
    """Return every measure of the running trials beside the truth, by trial."""
    return {
        record.parent.name: [
            {**asdict(row), "inside": row.inside} for row in beside_truth(load_trial(record), made)
        ]
        for record in sorted((lab / "sessions").glob("*/*/run*/trial.h5"))
    }


def print_truth(trials: dict[str, list[dict]]) -> None:
    for name, rows in trials.items():
        inside = sum(r["inside"] for r in rows)
        print(f"{name}: {inside} of {len(rows)} intervals hold the truth")
        for r in rows:
            scale, unit = (180 / math.pi, "deg") if r["unit"] == "rad" else (1.0, r["unit"])
            value, truth, half = (scale * r[k] for k in ("value", "truth", "sigma"))
            print(
                f"  {r['name']:32} {r['side']:6} {value:9.3f} ± {1.96 * half:6.3f} {unit:6}"
                f" true {truth:9.3f}  off {value - truth:+.3f}{'' if r['inside'] else '  OUTSIDE'}"
            )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", type=Path, required=True)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--short", action="store_true", help="the same with few and small films")
    parser.add_argument("--rig-there", action="store_true", help="the lab has a rig: go on with it")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--looking", action="store_true", help="say what went on in each wait")
    given = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
    made = SHORT if given.short else DemoSet()
    if given.short:
        given.seconds = 2.4
    began = time.monotonic()
    beats = session(given.lab, made, given)
    trials = beside(given.lab, made)
    if given.json:
        print(json.dumps({"trials": trials, "longest_wait_s": beats.longest_s}))
        return
    print(f"the session took {(time.monotonic() - began) / 60:.1f} min")
    print_truth(trials)
    print(beats.report())


if __name__ == "__main__":
    main()
