"""A node as the lab sees it: real processes, real sockets, and the files they leave."""

from __future__ import annotations

import hashlib
import shutil
import time

import numpy as np
import pytest

from capture import control
from capture.counter import read_counter
from capture.encoder import decode_jpeg
from capture.link import NodeRefusedError
from capture.recorder import read_packets, read_recording
from capture.simulated import read_ledger

CAMERA = """
[cameras.{name}]
driver = "simulated"
size_px = [352, 64]
rate_hz = {rate}
[cameras.{name}.options]
{options}
"""


def camera(name="cam01", rate=100, options=""):
    return CAMERA.format(name=name, rate=rate, options=options)


def record(link, trial, seconds, **arm):
    link.ask(control.Arm(trial, 60.0, **arm), control.Done)
    now = link.ask(control.Health(), control.NodeHealth).host_ns
    link.ask(control.Start(trial, now + 50_000_000), control.Done)
    time.sleep(seconds + 0.05)
    return link.ask(control.Stop(trial), control.Stopped, 30.0)


def counters_in(video, encoding="mjpeg"):
    index, _ = read_recording(video)
    drawn = [read_counter(decode_jpeg(f.packet)) for f in read_packets(video, index)]
    return index, drawn


def test_a_trial_from_arming_to_deletion(start_node, tmp_path):
    ledger = tmp_path / "ledger"
    node = start_node(camera(options=f'ledger = "{ledger}"') + camera("cam02", 50))
    with node.link() as link:
        said = link.ask(control.Describe(), control.Description)
        assert [c.camera for c in said.cameras] == ["cam01", "cam02"]
        stopped = record(link, "walk_1", 0.8)
        assert [c.recorded_lost for c in stopped.cameras] == [0, 0]
        assert stopped.cameras[0].recorded >= 60
        files = link.ask(control.ListFiles("walk_1"), control.Files, 10.0).files
        assert [f.file for f in files] == [
            "cam01.mkv", "cam01.times", "cam02.mkv", "cam02.times",
        ]  # fmt: skip
        collected = b""
        while len(collected) < files[0].size:
            asked = control.ReadPiece("walk_1", "cam01.mkv", len(collected), 10_000)
            piece, payload = link.ask_with_payload(asked, control.Piece)
            assert hashlib.sha256(payload).hexdigest() == piece.sha256
            collected += bytes(payload)
        assert hashlib.sha256(collected).hexdigest() == files[0].sha256
        video = tmp_path / "cam01.mkv"
        video.write_bytes(collected)
        (tmp_path / "cam01.times").write_bytes((node.data / "walk_1/cam01.times").read_bytes())
        index, drawn = counters_in(video)
        assert drawn == list(index.records["index"])
        assert drawn == list(range(drawn[0], drawn[0] + stopped.cameras[0].recorded))
        left = dict(read_ledger(ledger))
        assert set(drawn) <= set(left)
        # Wrong content confirmed: nothing goes. The right one: all goes.
        wrong = [control.Confirmed(f.file, "0" * 64) for f in files]
        with pytest.raises(NodeRefusedError, match="differs"):
            link.ask(control.Delete("walk_1", wrong), control.Done)
        assert len(link.ask(control.ListFiles(), control.Files).files) == 4
        right = [control.Confirmed(f.file, f.sha256) for f in files]
        link.ask(control.Delete("walk_1", right), control.Done)
        assert link.ask(control.ListFiles(), control.Files).files == []
    assert node.end() == 0


def test_every_lost_frame_is_a_gap_and_is_counted(start_node, tmp_path):
    ledger = tmp_path / "ledger"
    options = f'ledger = "{ledger}"\nfaults = {{drop = 0.2}}'
    node = start_node(camera(options=options))
    with node.link() as link:
        stopped = record(link, "lossy", 1.0)
    index, drawn = counters_in(node.data / "lossy" / "cam01.mkv")
    first, last = drawn[0], drawn[-1]
    left = [c for c, _ in read_ledger(ledger) if first <= c <= last]
    assert drawn == left
    assert stopped.cameras[0].recorded_lost == last - first + 1 - len(drawn) > 0
    assert index.lost == stopped.cameras[0].recorded_lost
    assert stopped.faults == []


def test_a_camera_that_counts_anew_goes_on_behind_a_gap(start_node):
    node = start_node(camera(options="faults = {unplug_at = 250}"))
    with node.link() as link:
        stopped = record(link, "anew", 3.5)
    index, drawn = counters_in(node.data / "anew" / "cam01.mkv")
    counters = index.records["index"].astype(int)
    restart = drawn.index(0)
    assert drawn[:restart] == counters[:restart].tolist()
    assert drawn[restart:] == list(range(len(drawn) - restart))
    steps = np.diff(counters)
    assert steps[restart - 1] >= 2
    assert (np.delete(steps, restart - 1) == 1).all()
    assert stopped.cameras[0].recorded_lost == steps[restart - 1] - 1


def test_a_node_outlives_its_disk(start_node):
    node = start_node(camera())
    with node.link() as link:
        link.ask(control.Arm("gone", 1.0), control.Done)
        link.ask(control.Start("gone", 0), control.Done)
        shutil.rmtree(node.data)
        assert link.ask(control.Health(), control.NodeHealth).disk_free_bytes == 0
        with pytest.raises(NodeRefusedError, match="disk failed"):
            link.ask(control.ListFiles(), control.Files)
        link.ask(control.Stop("gone"), control.Stopped, 20.0)
        assert link.ask(control.Health(), control.NodeHealth).state == "idle"


@pytest.mark.parametrize("fault", ["crash_at", "unplug_at"])
def test_a_driver_that_fails_is_opened_again_and_reported(start_node, fault):
    node = start_node(
        camera(options=f"epoch_ns = {time.monotonic_ns()}\nfaults = {{{fault} = 250}}")
    )
    with node.link() as link:
        stopped = record(link, "broken", 3.0)
        health = link.ask(control.Health(), control.NodeHealth)
    assert health.cameras[0].restarts == 1
    assert health.cameras[0].state == "running"
    assert any("crash" in f.what or "unplugged" in f.what for f in health.faults)
    index, drawn = counters_in(node.data / "broken" / "cam01.mkv")
    assert drawn == list(index.records["index"])
    assert drawn[0] < 250 < drawn[-1]
    assert 250 not in drawn
    assert stopped.cameras[0].recorded_lost == index.lost > 0


def test_a_lab_that_fell_silent_is_told_what_happened_when_it_is_back(start_node):
    node = start_node(camera())
    with node.link() as link:
        link.ask(control.Arm("alone", 4.0), control.Done)
        link.ask(control.Start("alone", 0), control.Done)
    time.sleep(4.5)  # the lab is gone; the trial ends by itself
    with node.link() as link:
        health = link.ask(control.Health(), control.NodeHealth)
        assert health.state == "idle"
        stopped = link.ask(control.Stop("alone"), control.Stopped)
    assert stopped.cameras[0].recorded > 300
    said = [f.what for f in link_faults(node)]
    assert any("silent for 4" in s and "trial alone" in s for s in said)
    assert any("nobody ended trial alone" in s for s in said)


def test_a_node_that_is_told_to_ends_when_nobody_asks_any_more(start_node):
    node = start_node(camera(), extra=("--end-after", "1.5"))
    with node.link() as link:
        link.ask(control.Arm("last", 3.0), control.Done)
        link.ask(control.Start("last", 0), control.Done)
    time.sleep(2.2)  # long enough to end, but the trial is under way
    assert node.process.poll() is None
    assert node.process.wait(20) == 0
    index, _ = counters_in(node.data / "last" / "cam01.mkv")
    assert len(index.records) > 200


def link_faults(node):
    with node.link() as link:
        return link.ask(control.Health(), control.NodeHealth).faults
