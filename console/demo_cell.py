"""The console's demo: four simulated camera computers as real processes, and who they look at."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import psutil

from capture.control import Describe, Description
from capture.discovery import NodePlace, read_nodes, write_nodes
from capture.link import NodeLink
from console.demo_films import (
    BOARD_TOML,
    EXPOSURE_S,
    NOBODY,
    PLATES,
    SCENES,
    SPEED_M_S,
    STAND_SIGMA_DEG,
    STAND_SIGMA_MM,
    DemoSet,
    make_films,
)
from console.demo_node import DRIVER
from console.desk import Preparing
from console.lab_folder import BOARDS, LAB_FILE, NODES_FILE, read_lab
from lab.atomic import write_atomically
from lab.errors import LabError

_READY_S = 120.0
_ALONE_S = 1800.0  # demo nodes of a console that was killed end by themselves after so long
_FOLDER, _CONSOLES = "demo", "consoles"
# How fast each of the four computers' clocks runs.
_PPM = (-40, 25, 60, -10)
_FILMING, _STARTING = "demo.filming", "demo.starting"
_LAB_TOML = f"""# The demo's lab: everything before its cameras is simulated.
name = "Simulated lab"
board = "demo"

[detect]
detector = "plates"
plates = "{PLATES}"

# The simulated person stands as upright as the tie takes people to: to within these figures.
[tie]
by = "standing"
sigma_mm = {STAND_SIGMA_MM}
turn_sigma_deg = {STAND_SIGMA_DEG}
"""


class _ClosedError(Exception):
    """Nobody waits for the films any more."""


class DemoCell:
    """Nodes of the demo, in a lab folder of their own.

    Args:
        lab: The lab's folder.
        made: How much is filmed.
    """

    def __init__(self, lab: Path, made: DemoSet | None = None) -> None:
        self.lab, self.made = lab, made or DemoSet()
        self.room = self.made.room()
        self._folder = lab / _FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        self._scene_file = self._folder / "scene"
        self._processes: list[subprocess.Popen[str]] = []
        self._adopted: list[int] = []
        self._preparing: Preparing | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if not self._scene_file.is_file():
            self.play(NOBODY)
        self._write_lab()

    @property
    def speed_m_s(self) -> float:
        """How fast the person of the demo runs."""
        return SPEED_M_S

    @property
    def preparing(self) -> Preparing | None:
        """What is still made ready before the cameras run; None when they run."""
        return self._preparing

    def begin(self) -> None:
        """Make ready and start in the background; `preparing` tells how far it is."""
        self._preparing = Preparing(_FILMING)

        def work() -> None:
            try:
                self.start()
            except _ClosedError:
                return
            except LabError as error:
                self._preparing = Preparing(_FILMING, fault=str(error))

        self._thread = threading.Thread(target=work, name="demo", daemon=True)
        self._thread.start()

    def start(self) -> None:
        """Film what is not filmed yet, start the nodes, and write nodes.toml.

        Nodes of a console that was killed go on.

        Raises:
            LabError: When a film cannot be made, or a node does not come up.
        """
        self._enter()
        self._adopted = self._find_running()
        if self._adopted:
            self._preparing = None
            return
        began = time.monotonic()

        def report(done: int, total: int) -> None:
            if self._closing.is_set():
                raise _ClosedError
            share = done / total if total else 1.0
            left = (time.monotonic() - began) * (1 - share) / share if done else None
            self._preparing = Preparing(_FILMING, share, left)

        films = make_films(self.made, report)
        self._preparing = Preparing(_STARTING)
        self.play(NOBODY)
        epoch_ns = time.monotonic_ns()
        places: dict[str, NodePlace] = {}
        for number, ppm in enumerate(_PPM):
            mine = self.room.names[number :: len(_PPM)]
            if mine:
                node = self._start_node(films, f"node{number + 1}", mine, epoch_ns, ppm)
                self._processes.append(node)
        for number, process in enumerate(self._processes):
            words = (process.stdout.readline() if process.stdout else "").split()
            if words[:1] != ["ready"]:
                self.close()
                raise LabError(
                    "a simulated camera computer did not start",
                    where=str(self._folder / f"node{number + 1}.log"),
                    remedy="Read this log; then start the demo again.",
                )
            places[f"node{number + 1}"] = NodePlace("127.0.0.1", int(words[1]))
        write_nodes(self.lab / NODES_FILE, places)
        self._preparing = None

    def play(self, scene: str) -> None:
        """Put a scene before the cameras."""
        if scene not in SCENES:
            raise ValueError(f"no scene {scene}")
        write_atomically(self._scene_file, f"{scene}\n".encode())

    @property
    def scene(self) -> str:
        """What is before the cameras."""
        return self._scene_file.read_text(encoding="utf-8").strip()

    def close(self) -> None:
        """End the nodes, unless another console still looks at them.

        A trial under way is recorded first.
        """
        self._closing.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(30)
        if self._leave():
            return
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
            if process.stdout is not None:
                process.stdout.close()
        for process in self._adopted:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        self._processes, self._adopted = [], []

    def _enter(self) -> None:
        """Note that this console looks at the nodes."""
        place = self._folder / _CONSOLES
        place.mkdir(exist_ok=True)
        (place / str(os.getpid())).touch()

    def _leave(self) -> bool:
        """Return whether another console looks at the nodes, after this one no longer does."""
        place = self._folder / _CONSOLES
        (place / str(os.getpid())).unlink(missing_ok=True)
        others = [int(f.name) for f in place.glob("*") if f.name.isdigit()]
        return any(psutil.pid_exists(other) for other in others)

    def _find_running(self) -> list[int]:
        """Return the processes of the nodes that an earlier console left, if all are there."""
        path = self.lab / NODES_FILE
        wanted = {c.name for c in self.room.cameras}
        found: dict[str, int] = {}
        for name, place in (read_nodes(path) if path.is_file() else {}).items():
            try:
                with NodeLink(f"tcp://{place.host}:{place.port}", timeout_s=1.0) as link:
                    described = link.ask(Describe(), Description)
            except LabError:
                return []
            if described.node == name and all(c.driver == DRIVER for c in described.cameras):
                found |= {c.camera: described.process for c in described.cameras}
        return list(found.values()) if set(found) == wanted else []

    def _start_node(
        self, films: Path, name: str, cameras: Sequence[str], epoch_ns: int, ppm: int
    ) -> subprocess.Popen[str]:
        width, height = self.made.size_px
        settings = self._folder / f"{name}.toml"
        settings.write_text(
            "".join(
                f'[cameras.{camera}]\ndriver = "{DRIVER}"\nnode = "{name}"\n'
                f'trigger = "hardware"\nrate_hz = {self.made.rate_hz}\n'
                f"size_px = [{width}, {height}]\nexposure_us = {EXPOSURE_S * 1e6}\n"
                f'options = {{delivers = "mjpeg", epoch_ns = {epoch_ns}}}\n'
                for camera in cameras
            ),
            encoding="utf-8",
        )
        with (self._folder / f"{name}.log").open("w") as log:
            return subprocess.Popen(
                [
                    sys.executable, "-m", "console.demo_node", "--films", films, "--scene",
                    self._scene_file, "--made", json.dumps(asdict(self.made)), "--of", *cameras,
                    "--name", name, "--cameras", settings, "--port", "0",
                    "--data", self._folder / f"{name}-data", "--clock", f"ppm={ppm}",
                    "--preview-hz", str(self.made.preview_hz), "--end-after", str(_ALONE_S),
                ],
                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip

    def _write_lab(self) -> None:
        boards = self.lab / BOARDS
        boards.mkdir(parents=True, exist_ok=True)
        write_atomically(boards / "demo.toml", BOARD_TOML.encode())
        if read_lab(self.lab).detect is None:
            write_atomically(self.lab / LAB_FILE, _LAB_TOML.encode())
