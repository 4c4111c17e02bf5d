"""Real node processes on loopback, asked through the lab's own link."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from capture.link import NodeLink

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A node in a process of its own, with the files it was given."""

    def __init__(self, folder: Path, cameras: str, name: str = "left", extra: tuple = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cameras.toml").write_text(cameras, encoding="utf-8")
        self.folder, self.data = folder, folder / "data"
        self.log = folder / "node.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "capture.node_process", "--name", name, "--port", "0",
                    "--cameras", folder / "cameras.toml", "--data", self.data, *extra,
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

    def start(cameras: str, name: str = "left", extra: tuple = ()) -> Process:
        node = Process(tmp_path / f"{name}{len(started)}", cameras, name, extra)
        started.append(node)
        return node

    yield start
    for node in started:
        if node.process.poll() is None:
            node.process.kill()
            node.process.wait(10)
        node.process.stdout.close()
