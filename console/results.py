"""Results as a machine reads them: angles in degrees, one dictionary a trial or rig."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.gait import Measure
from lab.rig import Rig
from lab.trial import Trial


def measure_result(measure: Measure) -> dict[str, Any]:
    """Return one measure, angles in deg."""
    degrees = measure.unit == "rad"
    scale = 180 / math.pi if degrees else 1.0
    return {
        "name": measure.name,
        "side": measure.side,
        "value": measure.value * scale,
        "sigma": measure.sigma * scale,
        "spread": measure.spread * scale,
        "unit": "deg" if degrees else measure.unit,
        "n": measure.n,
    }


def trial_result(trial: Trial, record: Path, report: Path | None) -> dict[str, Any]:
    """Return what `gaitlab process --json` prints."""
    return {
        "trial": str(record),
        "report": None if report is None else str(report),
        "accepted": trial.accepted,
        "reasons": list(trial.reasons),
        "measures": [measure_result(m) for m in trial.measures],
        "withheld": dict(trial.withheld),
        "quality": dict(trial.quality),
    }


def rig_result(rig: Rig, path: Path) -> dict[str, Any]:
    """Return what `gaitlab calibrate --json` prints."""
    figures: Mapping[str, float] = rig.quality.figures
    return {
        "rig": str(path),
        "accepted": rig.quality.accepted,
        "reasons": list(rig.quality.reasons),
        "rmse_px": figures.get("rmse_px", math.nan),
        "held_out": {
            key: figures.get(f"held_out_{key}", math.nan)
            for key in ("rmse_px", "distance_rmse_mm", "rigid_rmse_mm")
        },
        "figures": dict(figures),
        "cameras": {name: dict(values) for name, values in rig.quality.cameras.items()},
        "sha256": rig.sha256,
    }
