"""A collected take as a trial folder holds it: when every frame was exposed, and how sure that is.

`times.csv` has the lab time of every frame that is in the videos. `sync.json` has the clock fits,
their residuals, the figures and the verdict; docs/capture.md lists its keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from capture.clock import ClockFit, NodeClock
from capture.frame_sets import CameraTimes, Limits, judge, level_ends, place_camera, share_pulses
from capture.recorder import read_recording
from capture.session import Take
from lab.atomic import write_atomically
from lab.errors import LabError

TIMES = "times.csv"
SYNC = "sync.json"
_RESIDUALS_KEPT = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Landed:
    """A take in its folder.

    Attributes:
        folder: Where it is.
        cameras: What each camera recorded, in lab time; those without a frame are not here.
        figures: By name with unit suffix.
        reasons: Why the trial is unfit; empty when it is fit.
    """

    folder: Path
    cameras: tuple[CameraTimes, ...]
    figures: Mapping[str, float]
    reasons: tuple[str, ...]


def land_take(
    take: Take, folder: Path, clocks: Mapping[str, NodeClock], limits: Limits | None = None
) -> Landed:
    """Put a collected take on the lab's clock and judge it; writes times.csv and sync.json.

    Raises:
        LabError: When no camera has a frame, or a file is damaged beyond a cut end.
    """
    placed: list[CameraTimes] = []
    reasons: list[str] = []
    triggered: list[str] = []
    for node, cameras in take.cameras.items():
        for camera in cameras:
            video = folder / f"{camera}.mkv"
            if not video.is_file() or not video.with_suffix(".times").is_file():
                reasons.append(f"{camera} has no recording")
                continue
            index, there = read_recording(video)
            if not there:
                reasons.append(f"{camera} recorded no frame")
                continue
            index = replace(index, records=index.records[:there])
            if node not in clocks:
                reasons.append(f"the clock of node {node} is not known: {camera} is left out")
                continue
            times = place_camera(index, clocks[node], take.start_lab_ns, take.duration)
            # A video's own counters rise; times that do not are a clock that was set back.
            if (np.diff(times.t) <= 0).any():
                reasons.append(f"the times of {camera} run backwards: it is left out")
                continue
            placed.append(times)
            if index.header.trigger == "hardware":
                triggered.append(camera)
    asked = [c for c in placed if c.camera in triggered]
    on_line, line_spread = share_pulses(asked)
    level = {c.camera: c for c in level_ends(on_line, take.duration)}
    placed = [level.get(c.camera, c) for c in placed]
    if not placed:
        raise LabError(
            "no camera has a usable frame: " + "; ".join(reasons),
            where=str(folder),
            remedy="Look at what the nodes reported, and record the trial again.",
        )
    # A line that was not believed leaves its cameras as they were.
    one_line = len(triggered) == len(placed) and all(
        c is not before for c, before in zip(on_line, asked, strict=True)
    )
    figures, judged = judge(placed, clocks, take.start_lab_ns, limits, one_line=one_line)
    if triggered:
        figures["trigger_spread_95_ms"] = 1e3 * line_spread
    reasons += judged
    rows = ["camera,frame,t"]
    for camera in placed:
        rows += [f"{camera.camera},{row},{t:.9f}" for row, t in enumerate(camera.t)]
    content = {
        "version": 1,
        "trial": take.trial,
        "start_lab_ns": take.start_lab_ns,
        "duration_s": take.duration,
        "fit": not reasons,
        "reasons": reasons,
        "faults": list(take.faults),
        # JSON has no infinity, which the longest gap of a single frame is.
        "figures": {name: v if np.isfinite(v) else None for name, v in figures.items()},
        "cameras": {
            c.camera: {
                "node": c.node,
                "frames": len(c.t),
                "lost": c.lost,
                "late": c.late,
                "first_s": float(c.t[0]),
                "last_s": float(c.t[-1]),
                "time_sigma_s": c.sigma,
                "time_asymmetry_s": c.asymmetry,
            }
            for c in placed
        },
        "clocks": {n: [_fit_record(f) for f in clock.fits] for n, clock in clocks.items()},
    }
    write_atomically(
        folder / SYNC, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()
    )
    # The last to be written: where the times are, the verdict on them is.
    write_atomically(folder / TIMES, ("\n".join(rows) + "\n").encode())
    return Landed(folder, tuple(placed), figures, tuple(reasons))


def _fit_record(fit: ClockFit) -> dict[str, object]:
    thin = max(1, -(-len(fit.residuals) // _RESIDUALS_KEPT))
    return {
        "lab_ref_ns": fit.lab_ref_ns,
        "offset_ns": fit.offset_ns,
        "correction_s": fit.correction,
        "drift": fit.drift,
        "cov": fit.cov.tolist(),
        "asymmetry_s": fit.asymmetry,
        "first_ns": fit.first_ns,
        "last_ns": fit.last_ns,
        "exchanges": fit.exchanges,
        "used": fit.used,
        "residual_rms_s": float(np.sqrt(np.mean(fit.residuals**2))),
        "residual_t_s": [round(float(v), 3) for v in fit.residual_t[::thin]],
        "residuals_s": [round(float(v), 9) for v in fit.residuals[::thin]],
    }
