"""How well a rig places a point at a patient's pelvis: one number, and whether it is enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibration.gate import pelvis_reasons
from calibration.sigma_map import PELVIS_HEIGHT_M, looked_at, sigma_map, volume_grid
from calibration.thresholds import thresholds
from lab.checks import FloatArray
from lab.rig import Rig


def with_pelvis(rig: Rig, boards: FloatArray | None, *, floor: bool) -> Rig:
    """Return the rig with its uncertainty at a patient's pelvis and over the volume, mm, judged.

    Args:
        rig: In its final frame.
        boards: (B, 3) m, where the board's centre was shown, in that frame; None where that is no
            longer known: the pelvis is then where the cameras look, and of the volume nothing is
            said.
        floor: Whether z is up from the floor; without, the pelvis is taken in the boards' middle.

    Returns:
        The rig as it is where its covariance is not known.
    """
    if not rig.has_covariance:
        return rig
    pelvis = looked_at(rig) if boards is None else np.median(boards, axis=0)
    if floor:
        pelvis[2] = PELVIS_HEIGHT_M
    figures = {k: v for k, v in rig.quality.figures.items() if not k.startswith("volume_sigma_")}
    figures["pelvis_sigma_mm"] = 1e3 * float(sigma_map(rig, pelvis[None])[0])
    if boards is not None:
        low, high = np.percentile(boards, [5, 95], axis=0)
        volume = sigma_map(rig, volume_grid(low, high, 0.5))
        known = 1e3 * volume[np.isfinite(volume)]
        figures["volume_sigma_median_mm"] = float(np.median(known)) if len(known) else float("nan")
        figures["volume_sigma_largest_mm"] = float(known.max()) if len(known) else float("nan")
    refused = pelvis_reasons(figures, thresholds()["refuse"])
    quality = replace(
        rig.quality,
        accepted=rig.quality.accepted and not refused,
        reasons=(*refused, *rig.quality.reasons),
        figures=figures,
    )
    return replace(rig, quality=quality)
