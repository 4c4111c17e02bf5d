"""What stands before the cameras of the console's demo, filmed beforehand by the simulation.

Five scenes in one simulated room: nobody, the board carried about, the board on the floor, a person
with tag plates who stands, and the same person who runs. The runner's strides are all alike and the
film is a whole number of them, so that it can be played round and round. Films are made once and
kept. Six cameras see each plate of the person with two of them or more.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

import av
import numpy as np

from calibration.board import Board
from console.workers import Stopped, Tick, Work, run_jobs
from lab.cores import core_count
from lab.plates import read_plates
from lab.pose import Pose
from lab.rig import Rig
from simulation.board_path import board_path
from simulation.dress import dress
from simulation.gait_style import running_style
from simulation.images import render_plane
from simulation.person_images import PersonFilm
from simulation.room import ring
from simulation.walker import Walker, simulate, standing

NOBODY, BOARD, FLOOR, STANDING, RUNNING = "nobody", "board", "floor", "standing", "running"
SCENES = (NOBODY, BOARD, FLOOR, STANDING, RUNNING)
SPEED_M_S = 3.0
HEIGHT_M = 1.75
PLATES = "gait-ring"
# How far the simulated person's segments stand from where the standing pose takes them to be.
STAND_SIGMA_MM, STAND_SIGMA_DEG = 10.0, 1.5
EXPOSURE_S = 2e-3
FILM_BEGINS_S = 0.5  # of the walker's own time, at a film's first frame
BOARD_TOML = """# The board of the demo: it exists in the simulation only.
[board]
name = "demo"
columns = 5
rows = 4
square_mm = 220.0
marker_ratio = 0.7727
dictionary = "DICT_4X4_100"
"""
_BOARD = Board(
    columns=5, rows=4, square_m=0.22, marker_m=0.22 * 0.7727, dictionary="DICT_4X4_100",
    legacy=False, inverted=False, name="demo",
)  # fmt: skip
_PX_PER_SQUARE = 60
_LOOKS_STILL = 8  # frames of a scene in which nothing moves but the noise
_QUIET: dict[str, Any] = {"stride_time_cv": 0.0, "amplitude_cv": 0.0, "offset_sd": 0.0}
# What the report is to speak of: the pelvis drops, the foot lands far ahead of the hip.
_FINDINGS: dict[str, Any] = {
    "obliquity_amplitude": math.radians(6.5),
    "lean_forward": math.radians(2.0),
    "strike_ahead": 0.254,
    "stance_fraction": 0.385,
    "tilt": math.radians(14.0),
}


@dataclass(frozen=True, slots=True)
class DemoSet:
    """How much is filmed.

    Attributes:
        cameras: Their number.
        size_px: Of their images.
        poses: Of the board.
        hold_s: How long the board is held at each.
        strides: Of the runner, before the film begins anew.
        frames_a_stride: Of each camera; with the stride's time it sets the rate.
        preview_hz: Of the small pictures: four computers are in one.
    """

    cameras: int = 6
    size_px: tuple[int, int] = (960, 540)
    poses: int = 60
    hold_s: float = 0.17
    strides: int = 3
    frames_a_stride: int = 36
    preview_hz: float = 15.0

    @property
    def rate_hz(self) -> float:
        """Frames a second."""
        return self.frames_a_stride / running_style(SPEED_M_S, HEIGHT_M).stride_time

    @property
    def hold_frames(self) -> int:
        """Frames for which the board is held."""
        return max(1, round(self.hold_s * self.rate_hz))

    def frame_of(self, scene: str, counter: int) -> int:
        """Return which frame of a scene's film a camera shows at a count of its counter."""
        frames = {NOBODY: _LOOKS_STILL, FLOOR: _LOOKS_STILL, STANDING: _LOOKS_STILL}
        if scene == BOARD:
            return counter // self.hold_frames % self.poses
        return counter % frames.get(scene, self.strides * self.frames_a_stride)

    def room(self) -> Rig:
        """Return the cameras as they really stand."""
        return ring(
            self.cameras,
            radius_m=2.6,
            height_m=1.4,
            target=(0.0, 0.0, 0.92),
            size_px=self.size_px,
            focal_px=880.0 * self.size_px[0] / 1280,
        )

    def runner(self) -> Walker:
        """Return the person who runs; at t = 0 and after every film's length the same."""
        stride = running_style(SPEED_M_S, HEIGHT_M).stride_time
        return simulate(
            "run",
            speed_m_s=SPEED_M_S,
            treadmill=True,
            duration_s=(self.strides + 1) * stride,
            seed=1,
            **_QUIET,
            **_FINDINGS,
        )

    def folder(self) -> Path:
        """Return where the films are kept: a name made of what they depend on."""
        filmed = replace(self, preview_hz=0.0)
        content = f"{filmed}{metadata.version('gaitlab')}{np.__version__}"
        return _cache() / f"demo-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def stander() -> Walker:
    """Return the person who stands."""
    return standing(duration_s=10.0, tilt=math.radians(14.0))


def make_films(
    made: DemoSet,
    report: Callable[[int, int], None] = lambda done, total: None,
    workers: int | None = None,
) -> Path:
    """Film every scene that is not there yet, and return the folder.

    Args:
        made: What is filmed.
        report: Called with images done and images in all; what it raises ends the filming, and
            what is finished is kept.
        workers: Processes; all cores by default.

    Raises:
        LabError: When a process died.
    """
    folder = made.folder()
    names = [c.name for c in made.room().cameras]
    left = [
        _Film(made, folder, scene, index)
        for scene in SCENES
        for index, name in enumerate(names)
        if not (folder / scene / f"{name}.mkv").is_file()
    ]
    left.sort(key=lambda film: -_length(made, film.scene))
    total = sum(_length(made, film.scene) for film in left)
    run_jobs(left, _take, workers or core_count(), lambda done: report(done, total), "films")
    return folder


def _length(made: DemoSet, scene: str) -> int:
    if scene == BOARD:
        return made.poses
    return made.strides * made.frames_a_stride if scene == RUNNING else _LOOKS_STILL


@dataclass(frozen=True, slots=True)
class _Film:
    """One scene as one camera sees it."""

    made: DemoSet
    folder: Path
    scene: str
    index: int


def _take() -> Work:
    return _take_film


def _take_film(film: _Film, tick: Tick, stopped: Stopped) -> None:
    """Film one scene with one camera; the file is there whole or not at all."""
    room = film.made.room()
    camera = room.cameras[film.index]
    path = film.folder / film.scene / f"{camera.name}.mkv"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{camera.name}.{os.getpid()}.mkv")
    with av.open(str(part), "w") as container:
        stream = container.add_stream("ffv1", rate=50)
        stream.width, stream.height = camera.size_px
        stream.pix_fmt = "gray"
        stream.time_base = Fraction(1, 50)
        for number, image in enumerate(_images(film.made, room, film.scene, film.index)):
            if stopped():
                break
            frame = av.VideoFrame.from_ndarray(image, format="gray")
            frame.pts = number
            container.mux(stream.encode(frame))
            tick()
        container.mux(stream.encode())
    if stopped():
        part.unlink()
    else:
        part.replace(path)


def _images(made: DemoSet, room: Rig, scene: str, index: int) -> Iterator[Any]:
    camera, rng = room.cameras[index], np.random.default_rng([index, SCENES.index(scene)])
    plates = read_plates(PLATES)
    person = made.runner() if scene == RUNNING else stander()
    dressed = dress(person, plates, np.random.default_rng(3))
    film = PersonFilm(dressed, camera, exposure_s=EXPOSURE_S, rng=rng)
    if scene in (STANDING, RUNNING):
        yield from film.shoot(FILM_BEGINS_S + np.arange(_length(made, scene)) / made.rate_hz)
        return
    nobody = standing(duration_s=1.0, origin=(1000.0, 0.0))
    empty = PersonFilm(
        dress(nobody, plates, np.random.default_rng(3)), camera, exposure_s=EXPOSURE_S,
        noise=0.0, rng=rng,
    )(0.5)  # fmt: skip
    if scene == NOBODY:
        for _ in range(_LOOKS_STILL):
            yield np.clip(empty + rng.normal(0, 2.0, empty.shape), 0, 255).astype(np.uint8)
        return
    texture = _BOARD.image(_PX_PER_SQUARE)
    # On the floor the print's x runs along the lab's x and its y to the right.
    poses = [Pose(np.diag([1.0, -1.0, -1.0]), np.array([-0.55, 0.44, 0.0]))] * _LOOKS_STILL
    if scene == BOARD:
        # The same path for every camera.
        path = np.random.default_rng(11)
        volume = ((-1.0, 1.0), (-1.0, 1.0), (0.3, 1.7))
        poses = board_path(made.poses, volume, room.cameras, _BOARD.size_m, path)
    for pose in poses:
        yield render_plane(
            texture, _BOARD.size_m, pose, camera, background=empty, blur_px=0.5, noise=2.0, rng=rng
        )


def _cache() -> Path:
    """Return where the system keeps what can be made again."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "gaitlab"
