"""Pictures from the trial's own videos with the reconstructed skeleton drawn in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from console.settings import TrialSettings
from lab.errors import FileError
from lab.trial import Trial
from reconstruct.skeletons import load_skeleton
from report.stills import Still, draw_skeleton

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
    bones = load_skeleton(_BONES).bones
    stills = []
    for camera, moments in _plan(trial, list(videos)).items():
        view = trial.rig.camera(camera)
        times = next(k.t for k in trial.keypoints if k.camera == camera)
        frames = [int(np.argmin(np.abs(times - t))) for t, _ in moments]
        images = _read_frames(videos[camera], frames)
        for (t, caption), frame in zip(moments, frames, strict=True):
            if frame not in images:
                continue
            at = int(np.argmin(np.abs(trial.smoothed.t - times[frame])))
            picture = draw_skeleton(
                images[frame], view, trial.smoothed.xyz[at], trial.smoothed.names, bones
            )
            stills.append(Still(camera, t, picture, f"{caption}, {camera}"))
    return sorted(stills, key=lambda s: (s.t, s.camera))


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


def _read_frames(path: Path, wanted: list[int]) -> dict[int, Any]:
    """Decode some frames of a video, (H, W, 3) uint8 RGB by index."""
    images: dict[int, Any] = {}
    try:
        with av.open(str(path)) as video:
            for index, frame in enumerate(video.decode(video=0)):
                if index in wanted:
                    images[index] = frame.to_ndarray(format="rgb24")
                if index >= max(wanted):
                    break
    except (av.error.FFmpegError, OSError) as fault:
        raise FileError(
            f"cannot be read as a video ({fault})",
            where=str(path),
            remedy="Check the file named in trial.toml, or leave video out.",
        ) from fault
    return images
