"""The lab's side on real node processes: what left the sources against what is in the lab."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from capture.collect import collect_trial, release_trial
from capture.counter import read_counter
from capture.landing import land_take
from capture.simulated import read_ledger
from capture.watch import NodeAddress
from lab.errors import LabError

ROOT = Path(__file__).resolve().parents[2]
LATENCY_S = 3e-3  # of the simulated camera: the same for all


def counters(video):
    with av.open(str(video)) as container:
        return [read_counter(f.to_ndarray(format="gray")) for f in container.decode(video=0)]


def test_two_nodes_with_clocks_of_their_own_record_one_take(lab, tmp_path):
    left = lab.node("left", "cam1", extra=("--clock", "ppm=50,offset_s=5000"))
    right = lab.node("right", "cam2", "cam3", extra=("--clock", "ppm=-80"))
    session = lab.session(left=left.port, right=right.port)
    take = session.record("walk1", 2.0)
    session.collect(take, tmp_path / "walk1")
    landed = land_take(take, tmp_path / "walk1", session.clocks())
    assert landed.reasons == ()
    for camera, error in lab.errors(take, landed).items():
        stated = next(c for c in landed.cameras if c.camera == camera)
        assert np.abs(error - LATENCY_S).max() < 3 * stated.sigma + stated.asymmetry + 0.3e-3
        in_file = counters(tmp_path / "walk1" / f"{camera}.mkv")
        assert in_file == [int(k) for k in stated.index]  # pixels and index agree, in order
        assert set(lab.left(take, camera)) <= set(in_file)
    # A busy computer that is told to stop has gone on for some frames.
    assert landed.figures["frame_sets_complete_share"] > 0.9
    # The nodes have given everything away, and only after it was here.
    assert not list(left.data.rglob("*.mkv"))
    assert not list(right.data.rglob("*.mkv"))
    times = (tmp_path / "walk1" / "times.csv").read_text().splitlines()
    assert times[0] == "camera,frame,t"
    assert len(times) == 1 + sum(len(c.t) for c in landed.cameras)
    sync = json.loads((tmp_path / "walk1" / "sync.json").read_text())
    assert sync["fit"]
    assert sync["clocks"]["left"][0]["drift"] == pytest.approx(50e-6, abs=60e-6)
    assert len(sync["clocks"]["left"][0]["residuals_s"]) > 20


def test_nodes_that_are_not_there_are_all_named(lab):
    there = lab.node("left", "cam1")
    with pytest.raises(LabError) as refused:
        lab.session(left=there.port, middle=1, right=2)
    assert "node middle was not found" in str(refused.value)
    assert "node right was not found" in str(refused.value)
    assert "node left" not in str(refused.value)


def test_a_node_that_cannot_arm_calls_the_trial_off_on_all(lab, tmp_path):
    left, right = lab.node("left", "cam1"), lab.node("right", "cam2")
    (right.data / "walk1").mkdir(parents=True)
    (right.data / "walk1" / "cam2.mkv").write_bytes(b"an earlier recording")
    session = lab.session(left=left.port, right=right.port)
    with pytest.raises(LabError, match="node right cannot record"):
        session.record("walk1", 1.0)
    assert not list(left.data.rglob("*.mkv"))
    assert session.unfinished() == []
    take = session.record("walk2", 0.5)  # the left node is free again
    session.collect(take, tmp_path / "walk2")


def test_lost_frames_make_a_trial_unfit_and_say_why(lab, tmp_path):
    node = lab.node("left", "cam1", "cam2", faults="drop = 0.1, seed = 3")
    session = lab.session(left=node.port)
    take = session.record("walk1", 2.0)
    session.collect(take, tmp_path / "walk1")
    landed = land_take(take, tmp_path / "walk1", session.clocks())
    assert any("cam1 lost" in r and "may be lost" in r for r in landed.reasons)
    assert not json.loads((tmp_path / "walk1" / "sync.json").read_text())["fit"]
    assert any("frames lost" in s or "lost" in s for s in lab.heard)
    for camera in landed.cameras:  # a lost frame is a gap, never a shift
        error = lab.errors(take, landed)[camera.camera]
        assert np.ptp(error) < 1e-3


def test_a_take_of_one_frame_is_unfit_and_any_program_can_read_why(lab, tmp_path):
    node = lab.node("left", "cam1", rate=2)
    session = lab.session(left=node.port)
    take = session.record("walk1", 0.5)
    session.collect(take, tmp_path / "walk1")
    landed = land_take(take, tmp_path / "walk1", session.clocks())
    assert [len(c.t) for c in landed.cameras] == [1]
    sync = msgspec.json.decode((tmp_path / "walk1" / "sync.json").read_bytes())  # strictly JSON
    assert list(landed.reasons) == sync["reasons"]
    assert sync["reasons"] == ["cam1 has a single frame: at what rate it ran is not known"]
    assert sync["figures"]["frames_lost_gap_s"] is None


def test_collecting_goes_on_where_it_broke_and_nothing_is_deleted_before(lab, tmp_path):
    node = lab.node("left", "cam1")
    session = lab.session(left=node.port)
    take = session.record("walk1", 1.0)
    address, folder = NodeAddress("left", f"tcp://127.0.0.1:{node.port}"), tmp_path / "here"
    files = {p.name: p for p in node.data.rglob("*") if p.is_file()}
    folder.mkdir()
    half = files["cam1.mkv"].read_bytes()[:5000]
    (folder / ".cam1.mkv.part").write_bytes(half)
    asked = []
    collect_trial(address, "walk1", folder, progress=lambda done, total, what: asked.append(done))
    assert min(asked) > 5000 or len(half) < 5000
    for name, path in files.items():
        assert (folder / name).read_bytes() == path.read_bytes()
    # A part of some other recording does not survive the checksum.
    (folder / "cam1.mkv").unlink()
    (folder / ".cam1.mkv.part").write_bytes(b"x" * 5000)
    collect_trial(address, "walk1", folder)
    assert (folder / "cam1.mkv").read_bytes() == files["cam1.mkv"].read_bytes()
    # A copy that is not whole keeps the node from deleting.
    (folder / "cam1.mkv").write_bytes(half)
    with pytest.raises(LabError, match="not here whole"):
        release_trial(address, "walk1", folder)
    assert files["cam1.mkv"].exists()
    session.collect(take, folder)
    assert not files["cam1.mkv"].exists()
    assert hashlib.sha256((folder / "cam1.mkv").read_bytes()).digest()


def test_a_node_killed_while_recording_loses_no_more_than_its_last_second(lab, tmp_path):
    left, right = lab.node("left", "cam1"), lab.node("right", "cam2")
    session = lab.session(left=left.port, right=right.port)
    killed = {}

    def enough():
        if time.monotonic_ns() > session_start() + 1_500_000_000 and not killed:
            os.kill(left.process.pid, signal.SIGKILL)
            killed["at"] = time.monotonic_ns()
        return False

    def session_start():
        return json.loads((tmp_path / "session/session.jsonl").read_text().splitlines()[0])[
            "start_lab_ns"
        ]

    began = time.monotonic()
    take = session.record("walk1", 2.5, enough=enough)
    assert time.monotonic() - began < 35
    assert any("left did not answer the order to stop" in s for s in lab.heard)
    assert any("node left has not answered" in s for s in lab.heard)
    with pytest.raises(LabError, match="node left stayed silent"):
        session.collect(take, tmp_path / "walk1", patience_s=1.0)
    assert (tmp_path / "walk1" / "cam2.mkv").exists()
    # It is started again on its old folder and the lab collects what it had.
    again = subprocess.Popen(
        [
            sys.executable, "-m", "capture.node_process", "--name", "left",
            "--port", str(left.port),
            "--cameras", left.folder / "cameras.toml", "--data", left.data,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        assert again.stdout.readline().startswith("ready")
        session.collect(take, tmp_path / "walk1")
        landed = land_take(take, tmp_path / "walk1", session.clocks())
    finally:
        again.terminate()
        again.wait(10)
        again.stdout.close()
    cam1 = next(c for c in landed.cameras if c.camera == "cam1")
    before = [
        k for k, t in read_ledger(tmp_path / "cam1.ledger")
        if take.start_lab_ns + 20_000_000 <= t < killed["at"] - 1_000_000_000
    ]  # fmt: skip
    assert len(before) > 20
    assert set(before) <= {int(k) for k in cam1.index}
    assert any("cam1 lost" in r for r in landed.reasons)


def test_a_cut_network_costs_no_frame_and_is_named(lab, tmp_path):
    node = lab.node("left", "cam1")
    line = lab.relay(node)
    session = lab.session(left=line.port)
    state = {"cut": None}

    def enough():
        now = time.monotonic()
        if state["cut"] is None:
            state["cut"] = now
            line.cut()
        elif now - state["cut"] > 2.5:
            line.mend()
        return False

    take = session.record("walk1", 4.0, enough=enough)
    session.collect(take, tmp_path / "walk1")
    landed = land_take(take, tmp_path / "walk1", session.clocks())
    assert any("has not answered" in s for s in lab.heard)
    assert any("answers again after" in s for s in lab.heard)
    assert landed.cameras[0].lost == 0
    assert set(lab.left(take, "cam1")) <= {int(k) for k in landed.cameras[0].index}


def test_a_clock_set_by_an_hour_makes_the_trial_unfit_and_is_named(lab, tmp_path):
    node = lab.node("left", "cam1", extra=("--clock", "step_s=3600,step_after_s=4"))
    session = lab.session(left=node.port)
    time.sleep(2)
    take = session.record("walk1", 3.0)
    session.collect(take, tmp_path / "walk1")
    landed = land_take(take, tmp_path / "walk1", session.clocks())
    assert any("jumped ahead by 3600.0 s" in s for s in lab.heard)
    assert any("jumped ahead by 3600.0 s" in r for r in landed.reasons)


def test_a_killed_lab_finds_its_take_again(lab, tmp_path):
    node = lab.node("left", "cam1")
    first = lab.session(left=node.port)
    first.record("walk1", 0.5, note={"kind": "trial", "name": "walk1"})
    first.close()  # as far as a killed lab came: recorded and not collected
    with (tmp_path / "session" / "session.jsonl").open("a") as journal:
        journal.write('{"event": "collec')  # and killed while writing
    second = lab.session(left=node.port)
    ((take, note),) = second.unfinished()
    assert note == {"kind": "trial", "name": "walk1"}
    second.collect(take, tmp_path / "walk1")
    landed = land_take(take, tmp_path / "walk1", second.clocks())
    assert landed.reasons == ()
    # The clock of before the kill is still there: the take lies within the exchanges.
    fit = second.clocks()["left"].fit_at(take.start_lab_ns)
    assert fit.first_ns < take.start_lab_ns < fit.last_ns
    assert second.unfinished() == []
