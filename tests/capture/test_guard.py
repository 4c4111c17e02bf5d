"""The node's process crashes as C code does: it is back on its port, and the lab is told."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from capture import control
from capture.guard import Guard
from capture.link import NodeLink, SilentNodeError
from capture.recorder import read_recording
from lab.errors import LabError

ROOT = Path(__file__).resolve().parents[2]
CAMERA = """[cameras.cam1]
driver = "simulated"
size_px = [336, 32]
rate_hz = 60
[cameras.cam1.options]
delivers = "mjpeg"
"""


def words(folder, cameras=CAMERA):
    folder.mkdir(exist_ok=True)
    (folder / "cameras.toml").write_text(cameras)
    return ["--name", "left", "--cameras", folder / "cameras.toml", "--data", folder / "data"]


def answer(link, until_s=30.0):
    """Ask until the node answers."""
    end = time.monotonic() + until_s
    while True:
        try:
            return link.ask(control.Health(), control.NodeHealth, 1.0)
        except SilentNodeError:
            if time.monotonic() > end:
                raise


def test_a_segfault_in_a_driver_costs_the_process_and_not_the_recording(tmp_path):
    epoch = time.monotonic_ns()
    faults = f"epoch_ns = {epoch}\nfaults = {{segfault_at = 600}}\n"
    said = []
    guard = Guard(words(tmp_path / "n", CAMERA + faults), 0, said.append)
    ready = guard.start()
    watching = threading.Thread(target=guard.watch)
    watching.start()
    try:
        with NodeLink(f"tcp://127.0.0.1:{ready.port}") as link:
            link.ask(control.Arm("t", 60.0), control.Done)
            link.ask(control.Start("t", 0), control.Done)
            first = link.ask(control.Describe(), control.Description).process
            time.sleep(max(0.0, (epoch - time.monotonic_ns()) * 1e-9 + 10.1))
            health = answer(link)
            assert link.ask(control.Describe(), control.Description).process != first
            assert any("crashed (SIGSEGV)" in f.what for f in health.faults)
            files = link.ask(control.ListFiles("t"), control.Files, 10.0).files
            assert {f.file for f in files} == {"cam1.mkv", "cam1.times"}
    finally:
        guard.end()
        watching.join(20)
    assert not watching.is_alive()
    assert any("SIGSEGV" in s for s in said)
    index, there = read_recording(tmp_path / "n/data/t/cam1.mkv")
    counters = index.records["index"][:there].astype(int)
    # The last second may be lost, and nothing before it.
    assert counters[-1] >= 600 - 60
    assert (counters[1:] - counters[:-1] == 1).all()


def test_a_node_that_cannot_run_says_why_and_is_not_tried_again(tmp_path):
    guard = Guard(words(tmp_path / "n", CAMERA.replace("simulated", "polaroid")), 0, print)
    with pytest.raises(LabError, match="polaroid"):
        guard.start()


def test_the_verb_ends_in_order(tmp_path):
    folder = tmp_path / "n"
    given = words(folder)
    # As a person's shell has it: what is written to a pipe stays there until it is pushed on.
    buffered = {name: own for name, own in os.environ.items() if name != "PYTHONUNBUFFERED"}
    verb = subprocess.Popen(
        [sys.executable, "-c", "from console.cli import run; run()", "node", "--json", "--port",
         "0", *map(str, given)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        env={**buffered, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    too_late = threading.Timer(60.0, verb.kill)
    too_late.start()
    try:
        text = ""
        for line in verb.stdout:
            text += line
            if line == "}\n":
                break
        ready = json.loads(text)
        too_late.cancel()
        assert ready["cameras"] == ["cam1"]
        with NodeLink(f"tcp://127.0.0.1:{ready['port']}") as link:
            child = link.ask(control.Describe(), control.Description).process
        assert child != verb.pid
        verb.send_signal(signal.SIGTERM)
        assert verb.wait(20) == 0
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
    finally:
        too_late.cancel()
        if verb.poll() is None:
            verb.kill()
            verb.wait(10)
        verb.stdout.close()
