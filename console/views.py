"""Pictures of each camera's view with what was found in it drawn in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from console.settings import TrialSettings
from console.stills import frames_near
from lab.atomic import write_atomically
from lab.checks import FloatArray
from lab.errors import FileError
from lab.plates import TAG_POINT
from lab.trial import Trial
from reconstruct.skeletons import load_skeleton
from report.stills import crop_to_person, draw_skeleton

_FOUND_RGB = (46, 125, 79)
_SHIFT = 4


def write_views(
    trial: Trial, folder: Path, settings: TrialSettings, into: Path
) -> tuple[Path, ...]:
    """Write CAMERA.png for each camera with a video, at mid-stance of a cycle in the middle.

    Returns:
        The files.

    Raises:
        FileError: When a video cannot be read or a picture not written.
    """
    if trial.rig is None:
        return ()
    into.mkdir(parents=True, exist_ok=True)
    t = float(np.median(trial.points.t))
    if trial.cycles:
        cycle = trial.cycles[len(trial.cycles) // 2]
        t = (cycle.strike + cycle.off) / 2
    at = int(np.argmin(np.abs(trial.smoothed.t - t)))
    bones = load_skeleton("own").bones
    written = []
    for keypoints in trial.keypoints:
        if not settings.cameras[keypoints.camera].video:
            continue
        ((taken, image),) = frames_near(trial, folder, settings, keypoints.camera, [t])
        row = int(np.argmin(np.abs(keypoints.t - taken)))
        view = trial.rig.camera(keypoints.camera)
        picture = draw_skeleton(image, view, trial.smoothed.xyz[at], trial.smoothed.names, bones)
        picture = draw_tags(picture, keypoints.names, keypoints.xy_px[row])
        picture = crop_to_person(picture, view, trial.smoothed.xyz[at], aspect=1.0)
        good, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        path = into / f"{keypoints.camera}.png"
        if not good:
            raise FileError("the picture cannot be encoded", where=str(path))
        write_atomically(path, data.tobytes())
        written.append(path)
    return tuple(written)


def draw_tags(image: Any, names: tuple[str, ...], xy_px: FloatArray) -> Any:
    """Return the picture with the outline and number of each tag that was found.

    Args:
        image: (H, W, 3) uint8 RGB; not changed.
        names: K names, those of a tag's four points in a row.
        xy_px: (K, 2).
    """
    result = np.ascontiguousarray(image).copy()
    for i, name in enumerate(names):
        if not (name.startswith("tag") and name.endswith("_0")):
            continue
        quad = xy_px[i : i + 4]
        if not np.isfinite(quad).all():
            continue
        middle = quad.mean(0)
        corners = middle + (quad - middle) / TAG_POINT
        fixed = np.rint(corners * 2**_SHIFT).astype(np.int32)
        cv2.polylines(result, [fixed], True, _FOUND_RGB, 2, cv2.LINE_AA, _SHIFT)
        place = (int(corners[:, 0].max()) + 2, int(corners[:, 1].min()))
        for colour, width in (((255, 255, 255), 3), (_FOUND_RGB, 1)):
            cv2.putText(
                result, str(int(name[3:6])), place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, width,
                cv2.LINE_AA,
            )  # fmt: skip
    return result
