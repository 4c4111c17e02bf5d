"""Pictures from the trial's own videos with the reconstructed skeleton drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.times import read_times
from console.settings import TrialSettings
from lab.trial import Trial
from reconstruct.detect.video import index_video, read_video
from reconstruct.skeletons import load_skeleton

if TYPE_CHECKING:
    from report.stills import Still

_BONES = "own"


def make_stills(trial: Trial, folder: Path, settings: TrialSettings) -> list[Still]:
    """Take frames at foot strike, mid-stance and foot off, or through the trial without cycles.

    Returns:
        The stills; none where no camera has a video.

    Raises:
        FileError: When a video named in trial.toml cannot be read.
    """
    videos = {
        name: folder / camera.video for name, camera in settings.cameras.items() if camera.video
    }
    if trial.rig is None or not videos:
        return []
    # Trials without videos need not wait for what draws.
    from report.stills import Still, draw_skeleton

    bones = load_skeleton(_BONES).bones
    stills = []
    for camera, moments in _plan(trial, list(videos)).items():
        view = trial.rig.camera(camera)
        found = frames_near(trial, folder, settings, camera, [t for t, _ in moments])
        for (t, caption), (taken, image) in zip(moments, found, strict=True):
            at = int(np.argmin(np.abs(trial.smoothed.t - taken)))
            picture = draw_skeleton(
                image, view, trial.smoothed.xyz[at], trial.smoothed.names, bones
            )
            stills.append(Still(camera, t, picture, f"{caption}, {camera}"))
    return sorted(stills, key=lambda s: (s.t, s.camera))


def frames_near(
    trial: Trial, folder: Path, settings: TrialSettings, camera: str, moments: Sequence[float]
) -> list[tuple[float, Any]]:
    """Return the time and the image (H, W, 3) uint8 RGB of the frame nearest each moment.

    With a times file, a frame is where that file has it; else the video's frames are those of the
    keypoints, one by one, or by their time stamps where they are not as many.

    Raises:
        FileError: When the video cannot be read.
        LabError: When the times do not fit it.
    """
    path = folder / settings.cameras[camera].video
    times = None
    if settings.trial.times:
        times = dict(read_times(folder / settings.trial.times).get(camera, {}))
    index = index_video(path, times or None)
    seen = next(k.t for k in trial.keypoints if k.camera == camera)
    t = seen if not times and len(seen) == len(index.t) else index.t
    rows = [int(np.argmin(np.abs(t - moment))) for moment in moments]
    images = {row: next(read_video(index, row, row + 1))[1] for row in set(rows)}
    return [(float(t[row]), images[row][:, :, ::-1].copy()) for row in rows]


def _plan(trial: Trial, cameras: list[str]) -> dict[str, list[tuple[float, str]]]:
    """Choose which moments to take from which camera."""
    if not trial.cycles:
        whole = np.isfinite(trial.smoothed.xyz[..., 0]).mean(axis=1)
        usable = trial.smoothed.t[whole > 0.6]
        times = usable if len(usable) else trial.smoothed.t
        moment = float(times[len(times) // 2])
        return {c: [(moment, f"{moment:.2f} s")] for c in cameras}
    cycle = trial.cycles[len(trial.cycles) // 2]
    side = cycle.side.capitalize()
    moments = [
        (cycle.strike, f"{side} foot strike"),
        ((cycle.strike + cycle.off) / 2, f"{side} mid-stance"),
        (cycle.off, f"{side} foot off"),
    ]
    if trial.rig is None:
        return {}
    # One camera from the side and one from the front or back tell sagittal from frontal.
    along = {c: abs(float(trial.rig.camera(c).cam_from_lab.rotation[2, 0])) for c in cameras}
    chosen = {min(along, key=lambda c: along[c]), max(along, key=lambda c: along[c])}
    return {c: moments for c in cameras if c in chosen}
