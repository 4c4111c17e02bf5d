"""The keypoints of a trial's cameras: read from files, or found in videos; one person's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from calibration.times import Times, read_times
from console.detection import Footage, Progress
from console.detectors import find_people
from console.settings import TRIAL_FILE, TrialSettings
from lab.errors import LabError
from lab.points import Keypoints2D
from lab.rig import Rig
from reconstruct.choose import Click, choose_person
from reconstruct.detect.keypoint_files import read_people
from reconstruct.detect.video import index_video
from reconstruct.people import People2D


@dataclass(frozen=True, slots=True, eq=False)
class TrialKeypoints:
    """What a trial's cameras saw of the person.

    Attributes:
        keypoints: One a camera.
        rescale: Whether covariances are right up to a factor only.
        files: Read for it.
        notes: How keypoints were found, a line of TOML each.
        most_people: The most people that one camera saw at once.
    """

    keypoints: tuple[Keypoints2D, ...]
    rescale: bool
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    most_people: int


def take_keypoints(
    folder: Path, settings: TrialSettings, rig: Rig, progress: Progress
) -> TrialKeypoints:
    """Read or find the keypoints of every camera, and choose the person.

    Raises:
        LabError: When a camera is not in the rig or has neither keypoints nor a video to find them
            in, a file or video cannot be used, or the person cannot be told.
    """
    where = str(folder / TRIAL_FILE)
    times = read_times(folder / settings.trial.times) if settings.trial.times else None
    people: dict[str, People2D] = {}
    footage: list[Footage] = []
    files: list[Path] = []
    for name, camera in settings.cameras.items():
        if name not in rig.names:
            raise LabError(
                f"camera {name} is not in the rig, which has {', '.join(rig.names)}",
                where=where,
                remedy="Name the cameras as the rig does, or give the rig they belong to.",
            )
        if camera.keypoints:
            path = folder / camera.keypoints
            people[name] = read_people(
                path,
                name,
                form=camera.form or None,
                skeleton=camera.skeleton or None,
                size_px=rig.camera(name).size_px,
                frame_time=_frame_times(folder, camera.video, camera.rate_hz, name, times),
            )
            files += [path] if path.is_file() else sorted(path.glob("*.json"))
        elif camera.video and settings.detect is not None:
            footage.append(Footage(name, folder / camera.video, _listed(times, name, where)))
            files.append(folder / camera.video)
        else:
            raise LabError(
                f"camera {name} has no keypoints file"
                + (" and no [detect] section says how to find them" if camera.video else ""),
                where=where,
                remedy='Give keypoints = "FILE"; or video = "FILE" and a section [detect] with '
                'detector = "pose".',
            )
    notes: tuple[str, ...] = ()
    rescale = False
    if footage and settings.detect is not None:
        found = find_people(settings.detect, footage, folder, where, progress)
        # Beside files without covariances those up to a factor are worth no more than none.
        rescale = found.rescale and not people
        unknown = found.rescale and not rescale
        people |= {n: _without_covariance(p) if unknown else p for n, p in found.people.items()}
        notes = (
            "",
            "# The detector, and the sha256 of its networks.",
            f'# identity = "{found.identity}"',
            *(f'# "{name}" = "{sha256}"' for name, sha256 in found.models.items()),
        )
    if settings.trial.times:
        files.append(folder / settings.trial.times)
    ordered = [people[name] for name in settings.cameras]
    person = settings.person
    click = None
    if person and person.t is not None and person.x_px is not None and person.y_px is not None:
        click = Click(person.camera, person.t, person.x_px, person.y_px)
    chosen = choose_person(rig, ordered, near_m=person.near_m if person else None, click=click)
    most = max((p.most for p in ordered), default=0)
    return TrialKeypoints(tuple(chosen), rescale, tuple(files), notes, most)


def _without_covariance(people: People2D) -> People2D:
    return replace(people, cov_px=np.full_like(people.cov_px, np.nan))


def _listed(times: Times | None, camera: str, where: str) -> dict[int, float] | None:
    if times is None:
        return None
    if camera not in times:
        raise LabError(
            f"the times file has no camera {camera}, it has {', '.join(sorted(times))}",
            where=where,
            remedy="Name the cameras in the times file as in trial.toml.",
        )
    return dict(times[camera])


def _frame_times(
    folder: Path, video: str, rate_hz: float | None, camera: str, times: Times | None
) -> Callable[[int], float | None] | None:
    """Return what tells the time of a frame for files that only number them; None for nothing."""
    if times is not None and camera in times:
        return times[camera].get
    if rate_hz is not None:
        return lambda frame: frame / rate_hz
    if video:
        t = index_video(folder / video).t
        return lambda frame: float(t[frame]) if frame < len(t) else None
    return None
