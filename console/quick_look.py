"""A first look at a take: whether the person is found in it, within seconds.

A few instants are searched in every camera; the whole take is searched by `gaitlab process`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.times import Times, read_times
from console.detectors import PLATES, make_recipe, worn_plates
from console.settings import TRIAL_FILE, TrialSettings, read_settings
from lab.errors import LabError
from lab.plates import WAND
from reconstruct.detect.detector import Detector, Image, detect_everyone
from reconstruct.detect.video import index_video, read_video

INSTANTS = 8
_ENOUGH = 2  # cameras that see a part of the person: from then on it can be placed


@dataclass(frozen=True, slots=True)
class QuickLook:
    """What a few instants show.

    Attributes:
        found_share: Of the person's parts (segments with plates, or keypoints) and instants, those
            that two cameras or more saw.
        weakest: The part that was seen least, and its share.
        instants: How many were looked at.
    """

    found_share: float
    weakest: tuple[str, float]
    instants: int


def look_quickly(folder: Path, instants: int = INSTANTS) -> QuickLook:
    """Look at a take.

    Raises:
        LabError: When it has no [detect], or a video cannot be read.
    """
    settings = read_settings(folder)[0]
    where = str(folder / TRIAL_FILE)
    if settings.detect is None:
        raise LabError(
            "nothing says what finds the person in it", where=where,
            remedy='Write [detect] with detector = "pose" or "plates".',
        )  # fmt: skip
    films = {name: folder / c.video for name, c in settings.cameras.items() if c.video}
    if len(films) < _ENOUGH:
        raise LabError("fewer than two cameras have a video", where=where)
    detector = make_recipe(settings.detect, folder, where)()
    times = read_times(folder / settings.trial.times) if settings.trial.times else None
    parts = _parts(settings, folder, detector)
    seen = np.stack(
        [_seen(detector, name, film, times, parts, instants) for name, film in films.items()]
    )
    by_two = seen.sum(0) >= _ENOUGH
    share = by_two.mean(0)
    weakest = int(share.argmin())
    return QuickLook(float(by_two.mean()), (list(parts)[weakest], float(share[weakest])), instants)


def _parts(settings: TrialSettings, folder: Path, detector: Detector) -> dict[str, list[list[int]]]:
    """Return the parts of a person: of each, sets of points one of which must be seen whole."""
    names = list(detector.names)
    if settings.detect is None or settings.detect.detector != PLATES:
        return {name: [[k]] for k, name in enumerate(names)}
    parts: dict[str, list[list[int]]] = {}
    for plate in worn_plates(settings.detect, folder).plates:
        if plate.segment == WAND:
            continue
        rows = [names.index(n) for n in plate.point_names]
        tags = parts.setdefault(plate.segment, [])
        tags += [rows[i : i + 4] for i in range(0, len(rows), 4)]
    return parts


def _seen(
    detector: Detector,
    camera: str,
    film: Path,
    times: Times | None,
    parts: dict[str, list[list[int]]],
    instants: int,
) -> NDArray[np.bool_]:
    """Return which parts (instants, parts) a camera sees, of whoever is before it."""
    index = index_video(film, None if times is None else times.get(camera, {}))
    count = len(index.t)
    found = np.zeros((instants, len(parts)), bool)
    if not count:
        return found
    rows = np.unique(np.linspace(0, count - 1, instants + 2)[1:-1].round().astype(int))

    def frames() -> Iterator[tuple[float, Image]]:
        for row in rows:
            yield from read_video(index, int(row), int(row) + 1, detector.pixel_format)

    people = detect_everyone(detector, camera, frames())
    there: NDArray[np.bool_] = np.asarray(np.isfinite(people.xy_px).all(-1), bool)
    for k, sets in enumerate(parts.values()):
        for points in sets:
            found[: len(rows), k] |= np.any(np.all(there[:, :, points], axis=-1), axis=1)
    return found
