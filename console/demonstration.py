"""Everything on a simulated lab: board, rig, person, report, and the truth beside it."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibration.board import Board
from calibration.detect import cameras_of, detect_videos, video_size
from calibration.rig_calibration import calibrate
from capture.landing import TIMES
from console.detection import Progress as FrameProgress
from console.filmed_session import Scene, record_scenes
from console.filming import STANDING_HZ, Cast, film_person, standing_person, write_trial
from console.floor import find_floor
from console.pipeline import process_folder
from console.records import write_record
from console.settings import TRIAL_FILE, read_settings
from console.videos import write_video
from console.views import write_views
from lab.board_views import CameraViews
from lab.errors import LabError
from lab.gait import Measure
from lab.points import Keypoints2D
from lab.pose import Pose
from lab.rig import Rig
from lab.store import save_rig
from lab.trial import Trial
from simulation.board_path import board_path
from simulation.images import render_plane
from simulation.room import treadmill_room, walkway_room
from simulation.truth import true_measures
from simulation.views import observe
from simulation.walker import Walker, simulate, standing
from simulation.wand import LANDMARKS

# What the demo promises of every angle.
ANGLE_LIMIT_DEG = 0.5
# A value this many sigmas from the truth says that its interval is wrong.
SIGMA_LIMIT = 4.5

_BOARD = Board(
    columns=5, rows=4, square_m=0.22, marker_m=0.17, dictionary="DICT_4X4_100",
    legacy=False, inverted=False, name="demo",
)  # fmt: skip
_CAMERAS = 6
_POSES = 48
_PX_PER_SQUARE = 80
_BOARD_HZ = 5
_RATE_HZ = 100
_SPEED_M_S = {"run": 3.0, "walk": 1.3}
_SECONDS = {"run": 20.0, "walk": 3.6}
# From pixels every frame counts: as long as three or four strides of each side take.
_FILMED_SECONDS = {"run": 3.4, "walk": 5.4}

# The runner comes with what the report speaks of: the pelvis drops, the trunk is upright, the foot
# lands far ahead of the hip, and the hip extends little. Changes of the usual style, SI.
_FINDINGS: dict[str, dict[str, Any]] = {
    "run": {
        "obliquity_amplitude": math.radians(6.5),
        "lean_forward": math.radians(2.0),
        "strike_ahead": 0.254,
        "stance_fraction": 0.385,
        "tilt": math.radians(14.0),
    },
    "walk": {},
}


@dataclass(frozen=True, slots=True, eq=False)
class Demonstration:
    """What the demo made and how near it came.

    Attributes:
        trial: The trial as processed.
        truth: Of each measure by name and side, SI.
        rig, record, report: Files.
        views: Pictures of each camera's view with what was found drawn in; none where the demo
            began with keypoints.
        failures: What is further from the truth than promised, a line each.
    """

    trial: Trial
    truth: Mapping[tuple[str, str], float]
    rig: Path
    record: Path
    report: Path
    views: tuple[Path, ...]
    failures: tuple[str, ...]


def run_demo(
    folder: Path,
    *,
    activity: str = "run",
    seed: int = 1,
    quick: bool = False,
    noise_px: float = 1.0,
    cameras: int = _CAMERAS,
    seconds: float | None = None,
    progress: Callable[[str], None] = lambda _: None,
    progress_of_frames: FrameProgress = lambda done, total, what: None,
    say: Callable[[str], None] = lambda _: None,
) -> Demonstration:
    """Make a lab folder of a simulated lab and take one trial through everything.

    Args:
        folder: Made when it does not exist; its rigs/ and trials/ are written anew.
        activity: run (on a treadmill) or walk (overground where quick, else on a treadmill).
        seed: Of everything random.
        quick: Begin with keypoints; else the person wears tag plates, is filmed, and the films are
            recorded through node processes.
        noise_px: Standard deviation of the keypoints' noise.
        cameras: Their number.
        seconds: How long the person is recorded; None for as long as the demo needs.
        progress: Called with the name of each step.
        progress_of_frames: Called with frames done, frames in all, and what is done.
        say: Called with what a node reports while the person is recorded.

    Raises:
        LabError: For an unknown activity, or when the calibration is refused.
    """
    if activity not in _SPEED_M_S:
        raise LabError(f'the demo has no activity "{activity}"', remedy="Choose run or walk.")
    rng = np.random.default_rng(seed)
    belt = activity == "run" or not quick
    room = treadmill_room(cameras) if belt else walkway_room(cameras)
    rig_path = folder / "rigs" / "demo" / "calibration.h5"
    rig_path.parent.mkdir(parents=True, exist_ok=True)
    progress("filming the board")
    films, floor_films = _film_board(room, rig_path.parent, belt, rng)
    progress("finding the board")
    seen = detect_videos(cameras_of(films), _BOARD)
    lying = find_floor(floor_films, _BOARD)
    progress("calibrating")
    sizes = {name: video_size(path) for name, path in cameras_of(films).items()}
    shown: list[CameraViews] = []
    rig = calibrate(seen, sizes, _BOARD, floor=lying, on_views=shown.extend)
    save_rig(rig, rig_path, shown)
    progress("filming the person")
    if seconds is None:
        seconds = (_SECONDS if quick else _FILMED_SECONDS)[activity]
    walker = demo_person(activity, seed, seconds, belt)
    trial_folder, standing_folder = (folder / "trials" / name for name in (activity, "standing"))
    if quick:
        people = {standing_folder: standing(duration_s=2.0), trial_folder: walker}
        for place, person in people.items():
            _film_person(place, person, room, noise_px, rng, activity, place == trial_folder)
    else:
        relative = os.path.relpath(rig_path, trial_folder)
        speed = _SPEED_M_S[activity]
        write_trial(standing_folder, room, relative, activity, None, "", LANDMARKS, TIMES)
        write_trial(trial_folder, room, relative, activity, speed, "../standing", times=TIMES)
        rates = {"standing": STANDING_HZ, activity: _RATE_HZ}
        casts = {
            "standing": Cast(standing_person, (), seed, LANDMARKS),
            activity: Cast(demo_person, (activity, seed, seconds, True), seed),
        }
        place = folder / "films"
        film_person(
            room,
            {place / name: (casts[name], rate) for name, rate in rates.items()},
            lambda done, total: progress_of_frames(done, total, "rendering"),
        )
        progress("recording")
        record_scenes(
            [Scene(name, place / name, rate, first=1 / rate) for name, rate in rates.items()],
            {camera.name: camera.size_px for camera in room.cameras},
            {"standing": standing_folder, activity: trial_folder},
            folder / "session",
            say=say,
        )
    progress("processing")
    trial = process_folder(trial_folder, progress_of_frames=progress_of_frames)
    progress("report")
    settings = read_settings(trial_folder)[0]
    record, report = write_record(trial, trial_folder, settings)
    views = () if quick else write_views(trial, trial_folder, settings, folder / "views")
    truth = true_measures(walker, trial.cycles) if trial.cycles else {}
    return Demonstration(trial, truth, rig_path, record, report, views, _failures(trial, truth))


def demo_person(
    activity: str, seed: int, seconds: float | None = None, belt: bool | None = None
) -> Walker:
    """Return the person of the demo, by default for as long as the quick demo films."""
    return simulate(
        activity,
        speed_m_s=_SPEED_M_S[activity],
        treadmill=activity == "run" if belt is None else belt,
        duration_s=_SECONDS[activity] if seconds is None else seconds,
        seed=seed,
        **_FINDINGS[activity],
    )


def _film_board(
    room: Rig, folder: Path, belt: bool, rng: np.random.Generator
) -> tuple[list[Path], list[Path]]:
    """Film the board moved through the volume, and lying on the floor, with every camera."""
    texture = _BOARD.image(_PX_PER_SQUARE)
    reach = 0.8 if belt else 2.2
    volume = ((-reach, reach), (-0.7, 0.7), (0.4, 1.6))
    poses = board_path(_POSES, volume, room.cameras, _BOARD.size_m, rng)
    # On the floor the print's x runs along the lab's x and its y to the right.
    lying = Pose(np.diag([1.0, -1.0, -1.0]), np.zeros(3))
    films, floor_films = [], []
    for camera in room.cameras:
        for where, into, shown in (("board", films, poses), ("floor", floor_films, [lying] * 6)):
            path = folder / where / f"{camera.name}.mkv"
            images = (
                render_plane(texture, _BOARD.size_m, pose, camera, blur_px=0.7, noise=2.0, rng=rng)
                for pose in shown
            )
            write_video(path, images, camera.size_px, _BOARD_HZ)
            into.append(path)
    return films, floor_films


def _film_person(
    folder: Path,
    person: Walker,
    room: Rig,
    noise_px: float,
    rng: np.random.Generator,
    activity: str,
    moves: bool,
) -> None:
    """Write a trial folder: keypoints of every camera and trial.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = observe(person, room, _RATE_HZ, person.duration, noise_px=noise_px, rng=rng)
    lines = ["[trial]", 'patient = "DEMO"', f'activity = "{activity}"']
    if moves and activity == "run":
        lines.append(f"treadmill_speed_m_s = {_SPEED_M_S['run']}")
    if moves:
        lines.append('static = "../standing"')
    lines.append('rig = "../../rigs/demo/calibration.h5"')
    for keypoints in seen:
        _write_keypoints(folder / f"{keypoints.camera}.csv", keypoints)
        lines += [f"[cameras.{keypoints.camera}]", f'keypoints = "{keypoints.camera}.csv"']
    (folder / TRIAL_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_keypoints(path: Path, keypoints: Keypoints2D) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["t", "name", "x_px", "y_px", "score"])
        for i, t in enumerate(keypoints.t):
            for k, name in enumerate(keypoints.names):
                x, y = keypoints.xy_px[i, k]
                if math.isfinite(x):
                    score = keypoints.score[i, k]
                    rows.writerow([f"{t:.6f}", name, f"{x:.3f}", f"{y:.3f}", f"{score:.4f}"])


def _failures(trial: Trial, truth: Mapping[tuple[str, str], float]) -> tuple[str, ...]:
    """Name what is further from the truth than promised."""
    failures = [] if trial.accepted else [f"the trial was refused: {'; '.join(trial.reasons)}"]
    if not truth:
        failures.append("no gait cycle was found")
    return (*failures, *misses(trial.measures, truth))


def misses(measures: Sequence[Measure], truth: Mapping[tuple[str, str], float]) -> tuple[str, ...]:
    """Name every measure that is further from the truth than promised."""
    failures: list[str] = []
    for measure in measures:
        true = truth.get((measure.name, measure.side))
        if true is None:
            continue
        error = measure.value - true
        if measure.unit == "rad" and abs(error) > math.radians(ANGLE_LIMIT_DEG):
            failures.append(
                f"{measure.name} {measure.side} is {math.degrees(error):+.2f} degrees from the "
                f"truth; at most {ANGLE_LIMIT_DEG} are promised"
            )
        if not abs(error) <= SIGMA_LIMIT * measure.sigma:
            failures.append(
                f"{measure.name} {measure.side} is {abs(error) / measure.sigma:.1f} sigma from "
                "the truth: its interval is wrong"
            )
    return tuple(failures)
