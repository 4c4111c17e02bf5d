"""What the console shows and does, without a window."""

import json
import math
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from analysis.events import hold_events
from calibration.board import Board
from capture.session import Take
from console.board_watch import why_not
from console.calibrating import RigState, boards, thin_times
from console.capturing import _ended_now
from console.cell import BAD, GOOD, LOOK, UNKNOWN, CameraNow, CellNow, NodeNow, by_name
from console.checks import check_capture, ready
from console.desk import make_plan
from console.event_edits import add_edit, apply_edits, clear_edits, read_edits
from console.jobs import DONE, FAILED, RUNNING, STOPPED, Jobs
from console.lab_folder import TakeReader, leave_out, session_state, take_in, take_state
from lab.errors import LabError
from lab.gait import Event
from lab.rig import RigQuality
from simulation.room import treadmill_room


def make_take(folder, sync=None):
    folder.mkdir(parents=True)
    (folder / "trial.toml").write_text(
        '[trial]\npatient = "P017"\nactivity = "run"\nrecorded = "2026-03-14T10:00:00"\n'
        'rig = "r.h5"\n[cameras.cam01]\nvideo = "cam01.mkv"\n'
    )
    if sync is not None:
        (folder / "sync.json").write_text(json.dumps(sync))
    return folder


def sync_of(fit, reasons=()):
    camera = {"lost": 2, "late": 1, "frames": 97}
    return {
        "fit": fit, "reasons": list(reasons), "figures": {"sync_error_95_ms": 0.4},
        "cameras": {"cam01": camera},
    }  # fmt: skip


def test_a_take_stands_as_its_files_show(tmp_path):
    take = make_take(tmp_path / "run1", sync_of(True))
    assert take_state(take).state == "recorded"
    assert take_state(take).lost == {"cam01": (3, 97)}
    leave_out(take, "the patient stumbled")
    assert (take_state(take).state, take_state(take).reasons) == (
        "left out", ("the patient stumbled",),
    )  # fmt: skip
    take_in(take)
    assert take_state(take).state == "recorded"
    unfit = make_take(tmp_path / "run2", sync_of(False, ["cam01 lost 9 of 99 frames"]))
    assert take_state(unfit).state == "unfit"
    (take / "trial.h5").write_bytes(b"cut off")
    assert take_state(take).state == "damaged"
    (take / "trial.toml").write_text("[trial\n")
    assert take_state(take).state == "damaged"


def test_takes_are_read_again_only_where_they_have_changed(tmp_path, monkeypatch):
    takes = [make_take(tmp_path / f"run{k}", sync_of(True)) for k in range(3)]
    read = TakeReader()
    assert [read(t).state for t in takes] == ["recorded"] * 3
    monkeypatch.setattr("console.lab_folder.read_settings", lambda folder: pytest.fail(str(folder)))
    first = [read(t) for t in takes]
    assert all(read(t) is before for t, before in zip(takes, first, strict=True))
    monkeypatch.undo()
    leave_out(takes[1], "the patient stumbled")
    assert [read(t).state for t in takes] == ["recorded", "left out", "recorded"]
    (takes[2] / "trial.h5").write_bytes(b"cut off")
    (takes[2] / "report.pdf").write_bytes(b"%PDF")
    damaged = read(takes[2])
    assert (damaged.state, damaged.reported) == ("damaged", True)
    assert damaged.processed_s > 0


def test_what_is_still_on_the_nodes_is_read_from_the_journal(tmp_path):
    make_take(tmp_path / "run1")
    begun = {"event": "begun", "trial": "run1-a", "note": {"name": "run1"}}
    other = {"event": "begun", "trial": "run2-b", "note": {"name": "run2"}}
    lines = [begun, {"event": "collected", "trial": "run1-a"}, other]
    text = "\n".join(json.dumps(x) for x in lines)
    (tmp_path / "session.jsonl").write_text(text + '\n{"event": "rec')  # cut off by a kill
    assert session_state(tmp_path).on_nodes == ("run2",)


def test_times_are_thinned_to_common_instants(tmp_path):
    rows = ["camera,frame,t"]
    noise = np.random.default_rng(1).normal(0, 0.0003, 500)
    for camera, shift in (("a", 0.0), ("b", noise)):
        rows += [f"{camera},{k},{t:.6f}" for k, t in enumerate(np.arange(500) / 50 + shift)]
    (tmp_path / "times.csv").write_text("\n".join(rows) + "\n")
    count = thin_times(tmp_path / "times.csv", tmp_path / "thin.csv", 5.0)
    kept = [line.split(",") for line in (tmp_path / "thin.csv").read_text().splitlines()[1:]]
    a, b = ([int(frame) for c, frame, _ in kept if c == name] for name in "ab")
    assert a == b
    assert len(a) == count == 50


def test_why_a_board_is_not_found():
    board = Board(columns=5, rows=4, square_m=0.2, marker_m=0.15, dictionary="DICT_4X4_100")
    assert "dark" in why_not(np.full((360, 640), 10, np.uint8), board)
    assert "bright" in why_not(np.full((360, 640), 250, np.uint8), board)
    assert why_not(np.full((360, 640), 120, np.uint8), board) == "not in view"
    other = Board(columns=9, rows=9, square_m=0.2, marker_m=0.15, dictionary="DICT_4X4_100")
    page = np.full((400, 640), 200, np.uint8)
    print_ = other.image(36)
    page[20 : 20 + print_.shape[0], 20 : 20 + print_.shape[1]] = print_
    assert "another board" in why_not(page, board)


def test_boards_that_come_with_gaitlab_can_be_chosen(tmp_path):
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "own.toml").write_text("[board]\ncolumns = 5\n")
    found = {b.name: b.words for b in boards(tmp_path)}
    assert "a1-5x7" in found
    assert "cannot be read" in found["own"]


# ---- the checklist ----


def cell_of(**changes):
    node = NodeNow("left", GOOD, "", 0.3, 90e9, "")
    camera = CameraNow("cam01", "left", GOOD, "50 Hz", None, 50.0, 0, None)
    node = replace(node, **{k: v for k, v in changes.items() if hasattr(node, k)})
    return CellNow((node,), (replace(camera, **changes.get("camera", {})),), ())


def rig_of(tmp_path, accepted=True, days=1.0):
    rig = replace(
        treadmill_room(1), quality=RigQuality(accepted, ("why",) if not accepted else (), {}, {})
    )
    return RigState(tmp_path, True, True, rig, days)


def mark_of(checks, about):
    return next(c.mark for c in checks if c.about == about)


def test_the_list_is_green_when_all_is_well(tmp_path):
    checks = check_capture(cell_of(), rig_of(tmp_path), 7, ())
    assert [c.mark for c in checks] == [GOOD] * 5
    assert ready(checks)


@pytest.mark.parametrize(
    ("about", "mark", "cell", "rig"),
    [
        ("Rig", BAD, {}, {"accepted": False}),
        ("Rig", LOOK, {}, {"days": 8.0}),
        ("Rig", BAD, {}, {"days": 15.0}),
        ("Cameras", BAD, {"mark": BAD, "words": "is silent", "disk_bytes": math.nan}, {}),
        ("Cameras", BAD, {"camera": {"mark": BAD, "words": "unplugged"}}, {}),
        ("Cameras", BAD, {"camera": {"name": "cam09"}}, {}),
        ("Clocks", BAD, {"clock_ms": 6.0}, {}),
        ("Clocks", UNKNOWN, {"clock_ms": math.nan}, {}),
        ("Disk", BAD, {"disk_bytes": 1e9}, {}),
        ("Disk", LOOK, {"disk_bytes": 10e9}, {}),
    ],
)
def test_each_line_of_the_list_is_seen_to_fail(tmp_path, about, mark, cell, rig):
    checks = check_capture(cell_of(**cell), rig_of(tmp_path, **rig), 7, ())
    assert mark_of(checks, about) == mark
    assert ready(checks) == (mark == LOOK)


def test_without_rig_or_nodes_nothing_is_recorded():
    checks = check_capture(CellNow((), (), ()), None, 7, ())
    assert mark_of(checks, "Rig") == mark_of(checks, "Cameras") == BAD
    assert not ready(checks)
    said = {c.about: c.words for c in checks}
    assert said["Clocks"] == said["Disk"] == "Not known without a camera computer."


def test_a_name_is_no_code():
    assert make_plan("P017", "run", 3.0).treadmill_speed_m_s == 3.0
    with pytest.raises(LabError, match="never a name"):
        make_plan("Anna Berg", "run", 3.0)
    with pytest.raises(LabError, match="m/s"):
        make_plan("P017", "run", 30.0)


# ---- events changed by hand ----


def events():
    kinds = ("foot_strike", "foot_off")
    return tuple(
        Event(kinds[k % 2], ("left", "right")[k // 2 % 2], 0.1 * k + 0.1, 0.002, "contact")
        for k in range(8)
    )


def test_events_are_moved_and_left_out_in_every_replicate(tmp_path):
    found = events()
    add_edit(tmp_path, found[2], "heel hidden by the rail", found[2].t + 0.02)
    edits = add_edit(tmp_path, found[5], "a stumble")
    assert edits == read_edits(tmp_path)
    timed = hold_events(found, 5)
    scatter = np.random.default_rng(1).normal(0, 0.002, timed.t.shape)
    timed = replace(timed, t=timed.t + scatter)
    missed = []
    changed = apply_edits(edits, missed)(timed)
    assert missed == []
    assert [e.t for e in changed.events] == pytest.approx([0.1, 0.2, 0.32, 0.4, 0.5, 0.7, 0.8])
    assert changed.events[2].source == "operator"
    assert changed.t[:, 2] == pytest.approx(timed.t[:, 2] + 0.02)
    assert changed.t[:, 5] == pytest.approx(timed.t[:, 6])


def test_a_change_needs_a_reason_and_can_be_taken_back(tmp_path):
    with pytest.raises(LabError, match="reason"):
        add_edit(tmp_path, events()[0], "  ")
    assert read_edits(tmp_path) == ()
    add_edit(tmp_path, events()[0], "so it is", 0.12)
    moved = replace(events()[0], t=0.12, source="operator")
    (edit,) = add_edit(tmp_path, moved, "further", 0.14)
    assert (edit.found_s, edit.moved_to_s) == (0.1, 0.14)
    clear_edits(tmp_path)
    assert read_edits(tmp_path) == ()


def test_an_event_that_is_not_found_any_more_is_said(tmp_path):
    edits = add_edit(tmp_path, replace(events()[0], t=9.0), "gone with the new rig")
    missed = []
    apply_edits(edits, missed)(hold_events(events(), 1))
    assert "no such event any more" in missed[0]


# ---- jobs ----


def test_a_job_is_the_verb_of_the_command_line(tmp_path):
    jobs = Jobs()
    done = jobs.add(("trial", "new", str(tmp_path / "t")), "t")
    again = jobs.add(("trial", "new", str(tmp_path / "t")), "t")
    assert again is done
    assert done.wait(120)
    assert done.state == DONE
    assert (tmp_path / "t" / "trial.toml").is_file()
    failed = jobs.add(("process", str(tmp_path / "none")), "n")
    assert failed.wait(120)
    assert failed.state == FAILED
    assert "there is no trial.toml" in failed.error
    assert jobs.latest("n") is failed
    jobs.close()


def test_a_job_that_is_waiting_can_be_stopped(tmp_path):
    jobs = Jobs()
    first = jobs.add(("registry", "rebuild", "--lab", str(tmp_path)), "a")
    second = jobs.add(("registry", "search", "--lab", str(tmp_path)), "b")
    second.stop()
    assert second.state == STOPPED
    assert first.wait(120)
    jobs.close()


def test_work_that_is_killed_is_said_to_have_failed():
    jobs = Jobs()
    job = jobs.add(("doctor",), "d")
    while job.state != RUNNING or job._process is None:
        time.sleep(0.01)
    os.kill(job._process.pid, signal.SIGKILL)
    assert job.wait(60)
    assert job.state == FAILED
    jobs.close()


def test_work_that_breaks_down_is_not_taken_for_refused(monkeypatch, tmp_path):
    """A program that cannot even begin ends with the status of a refusal, but without a result."""
    (tmp_path / "console").mkdir()
    (tmp_path / "console" / "__init__.py").write_text("raise SystemError('torn')\n")
    monkeypatch.chdir(tmp_path)
    jobs = Jobs()
    job = jobs.add(("doctor",), "d")
    assert job.wait(60)
    assert job.state == FAILED
    assert "torn" in job.error
    jobs.close()


def test_a_take_that_a_killed_lab_began_ends_when_it_is_fetched():
    take = Take("run1-a", 10_000_000_000, 120.0, {"left": ("cam01",)})
    assert _ended_now(take, 15_000_000_000).duration == pytest.approx(5.0)
    assert _ended_now(take, 500_000_000_000).duration == 120.0  # it ended by itself
    assert _ended_now(take, 1_000_000_000).duration == 120.0  # another clock


def test_cameras_stand_in_the_order_of_their_names():
    names = ["cam10", "cam2", "left", "cam1", "cam02b"]
    assert sorted(names, key=by_name) == ["cam1", "cam2", "cam02b", "cam10", "left"]
