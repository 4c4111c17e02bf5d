"""A board recording whose frames or clocks are unfit: no rig is made from it unsaid."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from capture.node_process import node_command
from console.calibrating import FLOOR, MOVED, rig_state, solve_verb
from console.capture_run import READY, RECORDING
from console.cli import main
from console.desk import Desk
from console.synchrony import refuse_rig
from lab.errors import RefusedError
from lab.rig import RigQuality
from lab.store import load_rig
from simulation.board_path import floor_pose
from tests.console.board_films import BOARD, BOARD_TOML, carried, filmed, room

ROOT = Path(__file__).resolve().parents[2]
LOST = "cam01 lost 9 of 99 frames (9.1%); at most 1.0% may be lost"
CLOCK = "the clock of node left jumped by 120 ms"


def say(take, *reasons):
    content = {"fit": not reasons, "reasons": list(reasons), "figures": {"sync_error_95_ms": 0.4}}
    (take / "sync.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A rig's folder as capture leaves it: the board carried and on the floor, both fit."""
    folder = tmp_path_factory.mktemp("rig")
    cameras = room().cameras
    filmed(folder / MOVED, cameras, carried(cameras, 12), 3)
    filmed(folder / FLOOR, cameras, [floor_pose(BOARD.size_m)] * 2, 6)
    (folder / "board.toml").write_text(BOARD_TOML)
    for kind, frames in ((MOVED, 13), (FLOOR, 2)):
        rows = [f"{c.name},{k},{k / 5:.6f}" for c in cameras for k in range(frames)]
        (folder / kind / "times.csv").write_text("\n".join(["camera,frame,t", *rows]) + "\n")
        say(folder / kind)
    return folder


@pytest.fixture
def rig(films, tmp_path):
    return shutil.copytree(films, tmp_path / "rig")


def calibrate(rig, *options):
    words = ["calibrate", *(str(p) for p in sorted((rig / MOVED).glob("*.mkv")))]
    for film in sorted((rig / FLOOR).glob("*.mkv")):
        words += ["--floor", str(film)]
    words += ["--board", str(rig / "board.toml"), "-o", str(rig / "calibration.h5")]
    return main([*words, "--no-cache", *options])


@pytest.mark.parametrize(("kind", "why"), [(MOVED, LOST), (FLOOR, CLOCK)])
def test_nothing_is_solved_from_an_unfit_recording(rig, capsys, kind, why):
    assert rig_state(rig).to_record == ""
    say(rig / kind, why)
    state = rig_state(rig)
    assert state.unfit == {kind: (why,)}
    assert state.to_record == kind
    with pytest.raises(RefusedError, match=re.escape(why)) as refused:
        solve_verb(rig, rig / "board.toml")
    assert "Record it again." in str(refused.value)
    assert calibrate(rig) == 2
    said = capsys.readouterr().err
    assert why in said.replace("\n", " ")
    assert str(rig / kind) in said.replace("\n", "")
    assert "--use-unfit" in said
    assert not (rig / "calibration.h5").exists()


def test_a_verdict_that_cannot_be_read_is_no_fit_one(rig, capsys):
    (rig / MOVED / "sync.json").write_text("{")
    assert "is damaged" in rig_state(rig).unfit[MOVED][0]
    assert calibrate(rig) == 2
    assert "is damaged" in capsys.readouterr().err


def test_a_recording_that_is_not_there_comes_first(rig):
    say(rig / MOVED, LOST)
    shutil.rmtree(rig / FLOOR)
    assert rig_state(rig).to_record == MOVED
    say(rig / MOVED)
    assert rig_state(rig).to_record == FLOOR


@pytest.mark.slow
def test_a_rig_that_was_made_from_one_all_the_same_is_refused_and_says_so(rig, capsys):
    say(rig / MOVED, LOST)
    assert calibrate(rig, "--use-unfit", "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert result["accepted"] is False
    assert result["reasons"][0] == (
        f"the recording calibrate is unfit and was used all the same: {LOST}"
    )
    # The floor laid anew changes nothing of it; an unfit one is refused like the board.
    floor = ["rig", "floor", str(rig / "calibration.h5")]
    floor += [str(p) for p in sorted((rig / FLOOR).glob("*.mkv"))]
    floor += ["--board", str(rig / "board.toml"), "-o", str(rig / "again.h5"), "--no-cache"]
    assert main(floor) == 1
    assert any(LOST in r for r in load_rig(rig / "again.h5").quality.reasons)
    say(rig / FLOOR, CLOCK)
    capsys.readouterr()
    assert main([*floor[:-2], "two.h5"]) == 2
    assert CLOCK in capsys.readouterr().err.replace("\n", " ")
    assert main([*floor, "--use-unfit"]) == 1
    assert any(CLOCK in r for r in load_rig(rig / "again.h5").quality.reasons)
    check = ["rig", "check", str(rig / MOVED), "--rig", str(rig / "calibration.h5")]
    assert main([*check, "--board", str(rig / "board.toml")]) == 2
    assert LOST in capsys.readouterr().err.replace("\n", " ")


def test_an_accepted_rig_is_refused_for_an_unfit_recording(rig):
    accepted = replace(room(), quality=RigQuality(True, ("to note",), {}, {}))
    files = [*(rig / MOVED).glob("*.mkv"), *(rig / FLOOR).glob("*.mkv")]
    assert refuse_rig(accepted, files) is accepted
    say(rig / FLOOR, CLOCK)
    refused = refuse_rig(accepted, files).quality
    assert not refused.accepted
    assert refused.reasons == (
        f"the recording floor is unfit and was used all the same: {CLOCK}", "to note",
    )  # fmt: skip


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.slow
def test_a_camera_that_loses_frames_makes_the_board_be_recorded_again(tmp_path):
    """From a real node process that drops every fifth frame to what the desk says of the rig."""
    (tmp_path / "cameras.toml").write_text(
        '[cameras.cam01]\ndriver = "simulated"\nnode = "left"\nrate_hz = 25\n'
        'size_px = [352, 128]\noptions = {delivers = "mjpeg", faults = {drop = 0.2}}\n'
    )
    words = ["--name", "left", "--cameras", tmp_path / "cameras.toml", "--data", tmp_path / "data"]
    node = subprocess.Popen(
        node_command([*words, "--port", "0", "--guarded"]),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    port = node.stdout.readline().split()[1]
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "nodes.toml").write_text(f'[nodes.left]\nhost = "127.0.0.1"\nport = {port}\n')
    desk = Desk(lab)
    try:
        until(lambda: desk.cell.look().cameras)
        folder = desk.begin_calibration()
        until(lambda: desk.run.look().state == READY)
        desk.record(MOVED)
        until(lambda: desk.run.look().state == RECORDING)
        time.sleep(1.5)
        desk.run.stop()
        until(lambda: desk.run.look().state == READY)
        state = rig_state(folder)
        assert state.moved
        assert any("cam01 lost" in reason for reason in state.unfit[MOVED])
        until(lambda: desk.now.making is not None and desk.now.making.unfit)
        # Recorded again, the unfit one is kept beside it.
        desk.record(MOVED)
        until(lambda: desk.run.look().state == RECORDING)
        desk.run.stop()
        until(lambda: desk.run.look().state == READY)
        assert (folder / "calibrate-earlier1" / "sync.json").is_file()
    finally:
        desk.close()
        node.stdin.close()
        node.wait(20)
        node.stdout.close()


_PAGE = """
import sys
from pathlib import Path
from types import SimpleNamespace
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from console.calibrating import rig_state
from console.capture_run import READY, RunNow
from console.cell import CellNow
from console.desk import Desk
from console.lab_watch import LabNow
from console.qt.calibrate_page import CalibratePage
from console.qt.look import apply_look
app = QApplication([])
lab = Path(sys.argv[1])
apply_look(app, False, 768)
desk = Desk(lab)
recorded = []
desk.record = recorded.append
page = CalibratePage(desk, print, print)
run = SimpleNamespace(
    plan=SimpleNamespace(patient="RIG"),
    look=lambda: RunNow(READY, "", 0.0, None, (), (), ""), close=lambda: None, join=lambda: None,
)
def show(with_run):
    desk.run = run if with_run else None
    page.refresh(CellNow((), (), ()), LabNow(making=rig_state(lab / "rigs" / "a")))
    shown = page.findChild(QLabel, "unfit")
    print([l.text() for l in page._steps], page.findChild(QPushButton, "next").text(),
          shown.text().splitlines() if not shown.isHidden() else None, page._state)
show(False)
show(True)
page.press_space()
desk.errands.submit(lambda: None).result()
print(recorded)
desk.run = None
desk.close()
"""


def test_the_page_says_why_and_records_again(rig, tmp_path):
    lab = tmp_path / "lab"
    say(rig / FLOOR, CLOCK)
    shutil.copytree(rig, lab / "rigs" / "a")
    done = subprocess.run(
        [sys.executable, "-c", _PAGE, str(lab)], capture_output=True, text=True, timeout=120,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    idle, ready, recorded = done.stdout.splitlines()
    for shown, button in ((idle, "Go to Rig"), (ready, "Record the floor again")):
        assert "2  Board on the floor: unfit" in shown
        assert "✓  1  Carry the board" in shown
        assert "The clock of node left jumped by 120 ms." in shown
        assert button in shown
    assert ready.endswith("ready")
    assert recorded == "['floor']"


def test_the_verb_solves_a_recording_from_a_few_instants_a_second(rig, capsys):
    """Neighbouring frames repeat each other's errors: the gate would take that for a knock."""
    times = rig / MOVED / "times.csv"
    rows = times.read_text().splitlines()
    # The first frames come thick and fast: of every six one is taken.
    quick = [
        f"{r.split(',')[0]},{r.split(',')[1]},{int(r.split(',')[1]) / 36:.6f}" for r in rows[1:]
    ]
    times.write_text("\n".join([rows[0], *quick]) + "\n")
    calibrate(rig, "--times", str(times), "--json")
    solved = (rig / MOVED / "solve-times.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in solved if line.startswith("cam01")] == ["0", "6"]
    capsys.readouterr()
