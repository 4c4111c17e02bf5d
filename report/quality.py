"""The quality page: how good the recording was, as plainly as what was recorded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lab.gait import SIDES
from lab.trial import Trial
from report.cycles import side_cycles
from report.numbers import time_text
from report.words import readable, sentence

_DASH = "\u2013"
# Suffix of a figure's name: unit as printed, and the factor to it.
_SUFFIXES = (
    ("_percent", "%", 1.0),
    ("_share", "%", 100.0),
    ("_px", "px", 1.0),
    ("_mm", "mm", 1.0),
    ("_cm", "cm", 1.0),
    ("_ms", "ms", 1.0),
    ("_hz", "Hz", 1.0),
    ("_deg", "\u00b0", 1.0),
    ("_rad", "\u00b0", 180 / math.pi),
    ("_m_s", "m/s", 1.0),
    ("_s", "s", 1.0),
    ("_m", "m", 1.0),
)
_HASH_SHOWN = 16
_CAMERA_FIRST = ("rmse_px", "held_out_rmse_px", "position_sigma_mm")
_CAMERA_FIGURES = 5


def number_text(value: float) -> str:
    """Return a figure with two or three significant digits; whole numbers as they are."""
    if not math.isfinite(value):
        return "not known"
    if value == round(value) and abs(value) < 1e7:
        return f"{value:.0f}".replace("-", "\u2212")
    decimals = max(0, 2 - max(0, math.floor(math.log10(abs(value)))))
    if abs(value) < 0.1:
        decimals = min(1 - math.floor(math.log10(abs(value))), 9)
    return f"{value:.{decimals}f}".replace("-", "\u2212")


def figure_row(name: str, value: float) -> dict[str, str]:
    """Return a figure's name in words and its value with the unit that its suffix names."""
    suffix, unit, factor = next(
        ((s, u, f) for s, u, f in _SUFFIXES if name.endswith(s)), ("", "", 1.0)
    )
    words = sentence(readable(name.removesuffix(suffix)))
    for short, full in (("Rmse", "RMSE"), (" rmse", " RMSE"), ("Held out", "Held-out")):
        words = words.replace(short, full)
    text = number_text(value * factor)
    gap = "" if unit in ("", "\u00b0") else "\u00a0"
    return {"label": words, "value": f"{text}{gap}{unit}" if text != "not known" else text}


def _row(label: str, value: str) -> dict[str, str]:
    return {"label": label, "value": value or "not known"}


def _calibration(trial: Trial) -> list[dict[str, str]]:
    rig = trial.rig
    if rig is None:
        return [_row("Cameras", "none: the points were read from a 3D file")]
    error = "part of every interval" if rig.has_covariance else "not known"
    return [
        _row("Cameras", str(len(rig.cameras))),
        _row("Calibrated", time_text(rig.created)),
        _row("Board", rig.board),
        _row("State", "\u2713 accepted" if rig.quality.accepted else "\u2717 refused"),
        _row("Calibration error", error),
        _row("Hash of the calibration", rig.sha256[:_HASH_SHOWN]),
        *(figure_row(k, v) for k, v in rig.quality.figures.items()),
    ]


def _recording(trial: Trial) -> list[dict[str, str]]:
    t = trial.points.t
    rate = (len(t) - 1) / (t[-1] - t[0]) if len(t) > 1 else math.nan
    edited = sum(e.source == "operator" for e in trial.events)
    sources = list(dict.fromkeys(e.source for e in trial.events if e.source != "operator"))
    sigmas = [e.sigma for e in trial.events if math.isfinite(e.sigma)]
    rows = [
        _row("Recorded", time_text(trial.recorded)),
        _row("Length", f"{t[-1] - t[0]:.2f}\u00a0s" if len(t) else "no samples"),
        _row("Samples per second", number_text(float(rate))),
        _row(
            "Strides used",
            ", ".join(f"{len(side_cycles(trial, s))} {s}" for s in SIDES),
        ),
        _row("Foot events", f"{len(trial.events)}, of these {edited} edited by hand"),
        _row("Found by", ", ".join(sources) if sources else _DASH),
        _row(
            "Uncertainty of an event",
            f"{1000 * float(np.median(sigmas)):.1f}\u00a0ms (1 sigma, median)" if sigmas else "",
        ),
    ]
    if not any("sync" in name for name in trial.quality):
        rows.append(_row("Synchronisation error", ""))
    return [*rows, *(figure_row(k, v) for k, v in trial.quality.items())]


def _cameras(trial: Trial) -> dict[str, Any] | None:
    """Return one row a camera with the calibration's own figures of it."""
    if trial.rig is None or not trial.rig.quality.cameras:
        return None
    figures = trial.rig.quality.cameras
    present = list(dict.fromkeys(k for c in figures.values() for k in c))
    keys = sorted(present, key=lambda k: k not in _CAMERA_FIRST)[:_CAMERA_FIGURES]
    if not keys:
        return None
    rows = [
        [name, *(figure_row(k, figures[name].get(k, math.nan))["value"] for k in keys)]
        for name in figures
    ]
    return {"head": ["Camera", *(figure_row(k, 0.0)["label"] for k in keys)], "rows": rows}


def _missing_percent(xyz: np.ndarray) -> float:
    return 100 * float(np.mean(~np.isfinite(xyz).all(axis=-1))) if len(xyz) else math.nan


def _points(trial: Trial) -> dict[str, Any]:
    """Return one row a point: cameras that saw it, gaps before and after, noise."""
    rows = []
    for k, name in enumerate(trial.points.names):
        seen = [
            float(np.mean(np.isfinite(kp.xy_px[:, kp.names.index(name)]).all(axis=-1)))
            for kp in trial.keypoints
            if name in kp.names and len(kp.t)
        ]
        variance = np.trace(trial.points.cov[:, k], axis1=-2, axis2=-1) / 3
        known = variance[np.isfinite(variance)]
        noise = 1000 * math.sqrt(float(np.median(known))) if len(known) else math.nan
        after = (
            _missing_percent(trial.smoothed.point(name))
            if name in trial.smoothed.names
            else math.nan
        )
        rows.append(
            [
                sentence(readable(name)),
                f"{sum(seen):.1f}" if seen else _DASH,
                f"{_missing_percent(trial.points.xyz[:, k]):.1f}",
                f"{after:.1f}" if math.isfinite(after) else _DASH,
                f"{noise:.1f}" if math.isfinite(noise) else "not known",
            ]
        )
    head = ["Point", "Cameras, mean", "Missing, %", "After bridging, %", "Noise, mm (1 sigma)"]
    return {"head": head, "rows": rows}


def quality(trial: Trial) -> dict[str, Any]:
    """Return the quality page as the template reads it."""
    made = trial.provenance
    return {
        "calibration": _calibration(trial),
        "recording": _recording(trial),
        "cameras": _cameras(trial),
        "points": _points(trial),
        "made": [
            _row("Software", made.software),
            _row("Made", f"{time_text(made.created)} UTC"),
            *(_row(f.path, f"sha256 {f.sha256[:_HASH_SHOWN]}") for f in made.inputs),
        ],
    }
