"""Real node processes on loopback, asked through the lab's own link."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from capture.link import NodeLink
from capture.session import Session
from capture.simulated import read_ledger
from capture.watch import NodeAddress

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A node in a process of its own, with the files it was given."""

    def __init__(
        self, folder: Path, cameras: str, name: str = "left", extra: tuple = (),
        data: Path | None = None, within: tuple = (),
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cameras.toml").write_text(cameras, encoding="utf-8")
        self.folder, self.data = folder, data or folder / "data"
        self.log = folder / "node.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    *within, sys.executable, "-m", "capture.node_process", "--name", name,
                    "--port", "0", "--cameras", folder / "cameras.toml", "--data", self.data,
                    *extra,
                ],
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        line = self.process.stdout.readline().split()
        assert line[:1] == ["ready"], self.log.read_text()
        self.port = int(line[1])
        self.endpoint = f"tcp://127.0.0.1:{self.port}"

    def link(self, **options) -> NodeLink:
        return NodeLink(self.endpoint, **options)

    def end(self) -> int:
        self.process.terminate()
        status = self.process.wait(20)
        self.process.stdout.close()
        return status


@pytest.fixture
def start_node(tmp_path):
    started = []

    def start(cameras: str, name: str = "left", extra: tuple = (), **how) -> Process:
        node = Process(tmp_path / f"{name}{len(started)}", cameras, name, extra, **how)
        started.append(node)
        return node

    yield start
    for node in started:
        if node.process.poll() is None:
            node.process.kill()
            node.process.wait(10)
        node.process.stdout.close()


def _relay_module():
    spec = importlib.util.spec_from_file_location("relay", ROOT / "benchmarks" / "relay.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


relay = _relay_module()


def cameras_toml(folder, *names, epoch_ns, rate=60, faults=""):
    text = ""
    for name in names:
        text += (
            f'[cameras.{name}]\ndriver = "simulated"\nsize_px = [336, 32]\nrate_hz = {rate}\n'
            f'[cameras.{name}.options]\ndelivers = "mjpeg"\nepoch_ns = {epoch_ns}\n'
            f"ledger = {json.dumps(str(folder / (name + '.ledger')))}\n"
        )
        if faults:
            text += f"faults = {{ {faults} }}\n"
    return text


@pytest.fixture
def lab(start_node, tmp_path):
    """Nodes and a session with them; `say` is what the operator heard."""
    sessions, relays = [], []
    epoch_ns = time.monotonic_ns()

    class Lab:
        ledgers = tmp_path

        def __init__(self):
            self.heard = []

        def node(self, name, *cameras, faults="", extra=(), rate=60, **how):
            text = cameras_toml(tmp_path, *cameras, epoch_ns=epoch_ns, faults=faults, rate=rate)
            return start_node(text, name, extra, **how)

        def relay(self, node, **delays):
            relays.append(relay.Relay(("127.0.0.1", node.port), **delays))
            return relays[-1]

        def session(self, **ports):
            return self.session_at(
                *(NodeAddress(n, f"tcp://127.0.0.1:{p}") for n, p in ports.items())
            )

        def session_at(self, *addresses):
            heard: list[str] = []
            self.heard = heard
            session = Session(addresses, tmp_path / "session", heard.append)
            sessions.append(session)
            session.open()
            return session

        def left(self, take, camera, until_ns=None):
            """Counters that left the source within the take, a period to spare at both ends."""
            first = take.start_lab_ns + 20_000_000
            last = take.start_lab_ns + int(take.duration * 1e9)
            last = (last if until_ns is None else until_ns) - 20_000_000
            ledger = read_ledger(tmp_path / f"{camera}.ledger")
            return [k for k, t in ledger if first <= t <= last]

        def errors(self, take, landed):
            """(frames,) s for each camera: stated time less true time."""
            found = {}
            for camera in landed.cameras:
                left = dict(read_ledger(tmp_path / f"{camera.camera}.ledger"))
                true = np.array([left[int(k)] + 1_000_000 for k in camera.index])
                found[camera.camera] = camera.t - (true - take.start_lab_ns) * 1e-9
            return found

    yield Lab()
    for session in sessions:
        session.close()
    for opened in relays:
        opened.close()
