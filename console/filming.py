"""A simulated person with tag plates, filmed by every camera of a room with all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from console.settings import TRIAL_FILE
from console.videos import MJPEG, write_video
from console.workers import Stopped, Tick, Work, run_jobs
from lab.camera import Camera
from lab.cores import core_count
from lab.plates import read_plates
from lab.rig import Rig
from simulation.dress import Dressed, dress
from simulation.person_images import Image, PersonFilm
from simulation.walker import Walker, standing
from simulation.wand import LANDMARKS, point_at_landmarks

PLATES = "gait-ring"
EXPOSURE_S = 2e-3
_NOISE = 2.0
# The assistant points at one landmark after the other, and holds the tip still.
_BEGIN_S, _EACH_S, _HOLD_S = 0.16, 0.5, 0.38
STANDING_HZ = 10
# How well the assistant finds a landmark, and how well the regression knows the hips: the simulated
# body is built by the same regression.
POINTING_MM, HIP_MM = 0.5, 1.0


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is filmed: what a worker process needs to make the person anew.

    Attributes:
        make: Returns the walker; a function of a module.
        arguments: Of it.
        seed: Of the plates' slips and the assistant's errors.
        landmarks: What is pointed at with the wand; nothing in a trial that moves.
    """

    make: Callable[..., Walker]
    arguments: tuple[object, ...]
    seed: int
    landmarks: tuple[str, ...] = ()


class _StoppedError(Exception):
    """The film is not to be finished."""


@dataclass(frozen=True, slots=True, eq=False)
class _Film:
    """One camera's video of one trial."""

    path: Path
    camera: Camera
    cast: Cast
    rate_hz: int
    first: int
    count: int
    seed: int


def standing_person(landmarks: int = len(LANDMARKS)) -> Walker:
    """Return the person standing for as long as it takes to point at so many landmarks."""
    return standing(duration_s=_BEGIN_S + _EACH_S * landmarks + 0.2)


@lru_cache(maxsize=4)
def dress_cast(cast: Cast) -> Dressed:
    """Return the person with plates on; the same seed puts them in the same places."""
    plates = read_plates(PLATES)
    walker = cast.make(*cast.arguments)
    worn = dress(walker, plates, np.random.default_rng(cast.seed))
    if not cast.landmarks:
        return worn
    wand = point_at_landmarks(
        walker, plates, np.random.default_rng([cast.seed, 1]), begin=_BEGIN_S, each=_EACH_S,
        hold=_HOLD_S, sigma=POINTING_MM / 1e3, names=cast.landmarks,
    )  # fmt: skip
    return Dressed(walker, plates, worn.segment_from_plate, wand)


def film_person(
    room: Rig,
    trials: dict[Path, tuple[Cast, int]],
    report: Callable[[int, int], None],
    workers: int | None = None,
) -> None:
    """Film trials with every camera, each into its folder.

    Args:
        room: The cameras as they truly are.
        trials: Who is filmed by folder, and the images a second.
        report: Called with images done and images in all.
        workers: Processes; all cores by default.

    Raises:
        LabError: When a process died.
    """
    films: list[_Film] = []
    for number, (folder, (cast, rate)) in enumerate(trials.items()):
        duration = cast.make(*cast.arguments).duration
        # Exposures lie about their times: the first and the last are left out.
        count = int(np.floor(duration * rate + 1e-9)) - 1
        films += [
            _Film(folder / f"{c.name}.mkv", c, cast, rate, 1, count, 1000 * number + i)
            for i, c in enumerate(room.cameras)
        ]
    films.sort(key=lambda film: -film.count)
    total = sum(film.count for film in films)
    run_jobs(films, _take, workers or core_count(), lambda done: report(done, total), "films")


def _take() -> Work:
    return _take_film


def _take_film(film: _Film, tick: Tick, stopped: Stopped) -> None:
    take = PersonFilm(
        dress_cast(film.cast),
        film.camera,
        exposure_s=EXPOSURE_S,
        noise=_NOISE,
        rng=np.random.default_rng([film.cast.seed, film.seed]),
    )

    def images() -> Iterator[Image]:
        t = (film.first + np.arange(film.count)) / film.rate_hz
        for image in take.shoot(t):
            if stopped():
                raise _StoppedError
            yield image
            tick()

    write_video(
        film.path, images(), film.camera.size_px, film.rate_hz, first=film.first, kind=MJPEG
    )


def write_trial(
    folder: Path,
    room: Rig,
    rig: str,
    activity: str,
    speed_m_s: float | None,
    static: str,
    landmarks: Sequence[str] = (),
    times: str = "",
) -> None:
    """Write the trial.toml of a filmed trial; with landmarks it is the standing trial."""
    lines = ["[trial]", 'patient = "DEMO"', f'activity = "{activity}"']
    if speed_m_s is not None:
        lines.append(f"treadmill_speed_m_s = {speed_m_s}")
    if static:
        lines.append(f'static = "{static}"')
    if times:
        lines.append(f'times = "{times}"')
    lines += [f'rig = "{rig}"', "", "[detect]", 'detector = "plates"', f'plates = "{PLATES}"', ""]
    for name in room.names:
        lines += [f"[cameras.{name}]", f'video = "{name}.mkv"']
    if landmarks:
        lines += ["", "[tie]", f"sigma_mm = {POINTING_MM}"]
        lines += [f"hip_sigma_mm = {HIP_MM}     # this body is built by the regression", ""]
        for i, name in enumerate(landmarks):
            begin = _BEGIN_S + i * _EACH_S
            lines += ["[[tie.pointing]]", f'landmark = "{name}"', f"begin = {begin:.2f}"]
            lines.append(f"end = {begin + _HOLD_S:.2f}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TRIAL_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
