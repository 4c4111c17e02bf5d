"""The console's demo: four simulated camera computers as real processes, and who they look at."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from capture.control import Describe, Description
from capture.discovery import read_nodes
from capture.index import read_index
from capture.link import NodeLink
from console.demo_films import (
    BOARD_TOML,
    EXPOSURE_S,
    FILM_BEGINS_S,
    NOBODY,
    RUNNING,
    SCENES,
    STANDING,
    DemoSet,
    make_films,
    stander,
)
from console.demo_node import DRIVER
from console.keypoint_files import write_keypoints
from console.lab_folder import BOARDS, LAB_FILE, NODES_FILE, read_journal
from console.settings import TRIAL_FILE
from lab.atomic import write_atomically
from lab.errors import LabError
from lab.points import Points3D
from simulation.views import observe

_READY_S = 120.0
_NOISE_PX = 0.5
_FOLDER = "demo"
_LOG = "scenes.jsonl"
_PPM = (-40, 25, 60, -10)


class DemoCell:
    """Nodes of the demo, in a lab folder of their own.

    Args:
        lab: The lab's folder.
        made: How much is filmed.
        progress: Of the filming.
    """

    def __init__(
        self,
        lab: Path,
        made: DemoSet | None = None,
        progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    ) -> None:
        self.lab, self.made = lab, made or DemoSet()
        self.films = make_films(self.made, progress)
        self.room = self.made.room()
        self._folder = lab / _FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        self._scene_file = self._folder / "scene"
        self._processes: list[subprocess.Popen[str]] = []
        self._adopted: list[int] = []
        if not self._scene_file.is_file():
            self.play(NOBODY)
        self._write_lab()

    def start(self) -> None:
        """Start the nodes and write nodes.toml; those of a console that was killed go on.

        Raises:
            LabError: When one does not come up.
        """
        self._adopted = self._find_running()
        if self._adopted:
            return
        self.play(NOBODY)
        epoch_ns = time.monotonic_ns()
        lines = ["# Written by the demo anew at each start."]
        for number, camera in enumerate(self.room.cameras):
            name = f"node{number + 1}"
            process = self._start_node(name, camera.name, epoch_ns, _PPM[number % len(_PPM)])
            self._processes.append(process)
        for number, process in enumerate(self._processes):
            words = (process.stdout.readline() if process.stdout else "").split()
            if words[:1] != ["ready"]:
                self.close()
                raise LabError(
                    "a simulated camera computer did not start",
                    where=str(self._folder / f"node{number + 1}.log"),
                    remedy="Read this log; then start the demo again.",
                )
            lines += [f"[nodes.node{number + 1}]", 'host = "127.0.0.1"', f"port = {words[1]}"]
        write_atomically(self.lab / NODES_FILE, ("\n".join(lines) + "\n").encode())

    def play(self, scene: str) -> None:
        """Put a scene before the cameras."""
        if scene not in SCENES:
            raise ValueError(f"no scene {scene}")
        write_atomically(self._scene_file, f"{scene}\n".encode())
        with (self._folder / _LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at_ns": time.monotonic_ns(), "scene": scene}) + "\n")

    @property
    def scene(self) -> str:
        """What is before the cameras."""
        return self._scene_file.read_text(encoding="utf-8").strip()

    def close(self) -> None:
        """End the nodes; a trial under way is recorded first."""
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

    def see(self, take: Path) -> None:
        """Do a detector's work on a take: what it would have found at each recorded frame.

        The demo knows who stood before the cameras; it adds a detector's noise, drop-outs and
        outliers, and writes camNN.csv beside the videos, as another program's keypoints.

        Raises:
            LabError: When the take cannot be read.
        """
        session = take.parent
        starts = {
            c["note"]["name"]: c["start_lab_ns"]
            for event, c in read_journal(session)
            if event == "begun" and c.get("note", {}).get("name")
        }
        scene = self._scene_at(int(starts.get(take.name, time.monotonic_ns())))
        if scene not in (RUNNING, STANDING):
            return
        person = self.made.runner() if scene == RUNNING else stander()
        rng = np.random.default_rng(len(take.name))
        times = _times_of(take)
        text = (take / TRIAL_FILE).read_text(encoding="utf-8")
        for camera in self.room.cameras:
            index = read_index(take / f"{camera.name}.times").records["index"].astype(int)
            shown = np.array([self.made.frame_of(scene, int(k)) for k in index])
            stated = times[camera.name]
            count = min(len(stated), len(shown))
            true = FILM_BEGINS_S + shown[:count] / self.made.rate_hz
            xyz = person.points(true)
            # Only a container: the film begins anew, the times of the recording do not.
            points = Points3D(person.names, stated[:count], xyz, np.zeros((*xyz.shape, 3)))
            seen = observe(points, self.room, noise_px=_NOISE_PX, rng=rng)
            write_keypoints(
                take / f"{camera.name}.csv", next(k for k in seen if k.camera == camera.name)
            )
            video = f'video = "{camera.name}.mkv"'
            if f'keypoints = "{camera.name}.csv"' not in text:
                text = text.replace(video, f'{video}\nkeypoints = "{camera.name}.csv"')
        write_atomically(take / TRIAL_FILE, text.encode())

    def _scene_at(self, at_ns: int) -> str:
        scene = NOBODY
        for line in (self._folder / _LOG).read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["at_ns"] <= at_ns + 1_000_000_000:
                scene = entry["scene"]
        return scene

    def _start_node(self, name: str, camera: str, epoch_ns: int, ppm: int) -> subprocess.Popen[str]:
        width, height = self.made.size_px
        settings = self._folder / f"{name}.toml"
        settings.write_text(
            f'[cameras.{camera}]\ndriver = "{DRIVER}"\nnode = "{name}"\n'
            f"rate_hz = {self.made.rate_hz}\nsize_px = [{width}, {height}]\n"
            f"exposure_us = {EXPOSURE_S * 1e6}\n"
            f'[cameras.{camera}.options]\ndelivers = "mjpeg"\nepoch_ns = {epoch_ns}\n',
            encoding="utf-8",
        )
        with (self._folder / f"{name}.log").open("w") as log:
            return subprocess.Popen(
                [
                    sys.executable, "-m", "console.demo_node", "--films", self.films, "--scene",
                    self._scene_file, "--made", json.dumps(asdict(self.made)), "--of", camera,
                    "--name", name, "--cameras", settings, "--port", "0",
                    "--data", self._folder / f"{name}-data", "--clock", f"ppm={ppm}",
                ],
                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip

    def _write_lab(self) -> None:
        boards = self.lab / BOARDS
        boards.mkdir(parents=True, exist_ok=True)
        write_atomically(boards / "demo.toml", BOARD_TOML.encode())
        path = self.lab / LAB_FILE
        if not path.is_file():
            write_atomically(path, b'name = "Simulated lab"\nboard = "demo"\n')


def _times_of(take: Path) -> dict[str, np.ndarray]:
    """Return the lab times of each camera's frames, s, from times.csv."""
    times: dict[str, list[float]] = {}
    for line in (take / "times.csv").read_text(encoding="utf-8").splitlines()[1:]:
        camera, _, t = line.split(",")
        times.setdefault(camera, []).append(float(t))
    return {camera: np.array(t) for camera, t in times.items()}
