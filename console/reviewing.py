"""A processed trial as it is looked at: curves, skeleton, events, measures and videos, by time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from console.cell import by_name
from console.settings import RECORD, TrialSettings, read_settings
from lab.checks import FloatArray
from lab.errors import FileError, LabError
from lab.gait import Event
from lab.store import load_trial
from lab.trial import Trial
from reconstruct.skeletons import load_skeleton
from report.figures import curve_stems
from report.numbers import measure_quantity
from report.words import curve_words, measure_words

_FIRST = ("pelvis_obliquity", "hip_flexion", "knee_flexion", "trunk_lean_forward")
_DASH = "–"


@dataclass(frozen=True, slots=True, eq=False)
class CurvePair:
    """One kind of curve, left and right or alone.

    Attributes:
        stem, title: Its name, and what it is called.
        up, down: What the ends of its axis mean.
        sides: Values (T,) and sigma (T,) in degrees by side; "" for a curve without sides.
    """

    stem: str
    title: str
    up: str
    down: str
    sides: dict[str, tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True)
class MeasureLine:
    """A measure as it is listed.

    Attributes:
        title: Its name.
        left, right, both: Value and interval, or a dash where it is not given.
        why: The reason where it is not given, a line for each side where they differ.
    """

    title: str
    left: str
    right: str
    both: str
    why: str = ""

    @property
    def short(self) -> str:
        """The reason as it fits into the table: what it is, without what that means."""
        return "\n".join(dict.fromkeys(r.partition(";")[0] for r in self.why.split("\n")))

    @property
    def given(self) -> bool:
        """Whether there is a number on any side."""
        return any(v not in ("", _DASH) for v in (self.left, self.right, self.both))


@dataclass(frozen=True, slots=True, eq=False)
class Review:
    """What is shown of a trial.

    Attributes:
        folder, trial, settings: As named.
        t: (T,) s.
        curves: In the order they are offered.
        measures: In the report's order.
        bones: Pairs of rows of the points.
    """

    folder: Path
    trial: Trial
    settings: TrialSettings
    t: FloatArray
    curves: tuple[CurvePair, ...]
    measures: tuple[MeasureLine, ...]
    bones: tuple[tuple[int, int, str], ...]

    @property
    def events(self) -> tuple[Event, ...]:
        """In order of time."""
        return tuple(sorted(self.trial.events, key=lambda e: e.t))

    @property
    def cameras(self) -> tuple[str, ...]:
        """Those that have a video."""
        filmed = (n for n, c in self.settings.cameras.items() if c.video)
        return tuple(sorted(filmed, key=by_name))

    def points_at(self, t: float, smoothed: bool = True) -> FloatArray:
        """Return the points (K, 3) m at the frame nearest to a time."""
        points = self.trial.smoothed if smoothed else self.trial.points
        return points.xyz[int(np.abs(points.t - t).argmin())]

    def drawn_at(self, camera: str, t: float) -> FloatArray:
        """Return the smoothed points (K, 2) px as a camera sees them; NaN where not known."""
        rig = self.trial.rig
        if rig is None or camera not in rig.names:
            return np.full((len(self.trial.smoothed.names), 2), np.nan)
        return rig.camera(camera).project(self.points_at(t))

    def nearest_event(self, t: float, within_s: float = 0.08) -> Event | None:
        """Return the event nearest to a time, where one is near."""
        near = min(self.events, key=lambda e: abs(e.t - t), default=None)
        return near if near is not None and abs(near.t - t) <= within_s else None


def load_review(folder: Path) -> Review:
    """Read what is shown of a processed trial.

    Raises:
        LabError: When it is not processed, or cannot be read.
    """
    trial = load_trial(folder / RECORD)
    settings = read_settings(folder)[0]
    stems = sorted(
        curve_stems(trial), key=lambda s: _FIRST.index(s) if s in _FIRST else len(_FIRST)
    )
    names = list(trial.smoothed.names)
    bones = tuple(
        (names.index(a), names.index(b), _side(a, b))
        for a, b in load_skeleton("own").bones
        if a in names and b in names
    )
    return Review(
        folder,
        trial,
        settings,
        trial.curves.t,
        tuple(_pair(trial, stem) for stem in stems),
        _lines(trial),
        bones,
    )


def _side(a: str, b: str) -> str:
    for side in ("left", "right"):
        if a.startswith(side) and b.startswith(side):
            return side
    return ""


def _pair(trial: Trial, stem: str) -> CurvePair:
    words, sides = curve_words(stem), {}
    for side in ("left", "right", ""):
        name = f"{stem}_{side}" if side else stem
        if name in trial.curves.names:
            values, sigma = trial.curves.curve(name), trial.curves.curve_sigma(name)
            sides[side] = (np.degrees(values), np.degrees(sigma))
    title = words.term or words.plain
    title = f"pelvic {title}" if stem.startswith("pelvis_") else title
    return CurvePair(stem, title[:1].upper() + title[1:], words.up, words.down, sides)


def _lines(trial: Trial) -> tuple[MeasureLine, ...]:
    rows: dict[str, dict[str, str]] = {}
    for measure in trial.measures:
        rows.setdefault(measure.name, {})[measure.side] = measure_quantity(measure).text
    reasons: dict[str, dict[str, str]] = {}
    for key, reason in trial.withheld.items():
        name, _, side = key.partition(" ")
        rows.setdefault(name, {})[side] = _DASH
        reasons.setdefault(name, {})[side] = reason
    plain = [measure_words(name).plain for name in rows]
    lines = []
    for name, sides in rows.items():
        left, right, both = (sides.get(s, "") for s in ("left", "right", "both"))
        words = measure_words(name)
        # Two that are alike in a patient's words are told apart by their terms.
        title = words.plain if plain.count(words.plain) == 1 else words.term or words.plain
        title = title[:1].upper() + title[1:]
        lines.append(MeasureLine(title, left, right, both, _why(reasons.get(name, {}))))
    return tuple(lines)


def _why(reasons: dict[str, str]) -> str:
    """Return one reason, or each with its side where they differ."""
    different = dict.fromkeys(reasons.values())
    if len(different) < 2:
        return "".join(different)
    return "\n".join(f"{side}: {reason}" for side, reason in reasons.items())


class VideoReader:
    """Frames of one video by time; for one thread.

    Args:
        path: The video.
        times: (T,) s of its frames.
    """

    def __init__(self, path: Path, times: FloatArray) -> None:
        self._times = times
        try:
            self._container = av.open(str(path))
            self._stream = self._container.streams.video[0]
        except (OSError, av.error.FFmpegError, IndexError) as error:
            raise FileError(f"cannot be played ({error})", where=str(path)) from error
        self._pts: list[int] = []
        for packet in self._container.demux(self._stream):
            if packet.pts is not None:
                self._pts.append(packet.pts)
        self._pts.sort()
        self._at = -1
        self._frames = iter(())

    def frame(self, t: float) -> NDArray[np.uint8] | None:
        """Return the grey image nearest to a time; None where there is none."""
        if not len(self._times) or not self._pts:
            return None
        wanted = min(int(np.abs(self._times - t).argmin()), len(self._pts) - 1)
        try:
            if not 0 < wanted - self._at <= 8:
                self._container.seek(self._pts[wanted], stream=self._stream)
                self._frames = self._container.decode(self._stream)
            for frame in self._frames:
                if frame.pts is not None and frame.pts >= self._pts[wanted]:
                    self._at = wanted
                    return np.asarray(frame.to_ndarray(format="gray"), np.uint8)
        except av.error.FFmpegError:
            pass
        self._at = -1
        return None

    def close(self) -> None:
        """Close the file."""
        self._container.close()


def open_video(review: Review, camera: str) -> VideoReader:
    """Open a camera's video of a trial.

    Raises:
        LabError: When it has none, or it cannot be played.
    """
    path = review.folder / review.settings.cameras[camera].video
    times = next((k.t for k in review.trial.keypoints if k.camera == camera), None)
    if times is None:
        raise LabError(f"{camera} was not used in this trial", where=str(review.folder))
    return VideoReader(path, times)
