"""What is said of a rig in figures, on its page and in the terminal: labels, values, limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lab.rig import Rig
from report.numbers import Display, quantity
from report.rig_figures import sigmas

PX = Display("px", 1.0, 2, 3)
MM = Display("mm", 1.0, 1, 3)
_ROWS = (
    ("pelvis_sigma_mm", "A point at a patient's pelvis (1 sigma)", MM),
    ("volume_sigma_largest_mm", "The worst point where the board was shown (1 sigma)", MM),
    ("held_out_distance_rmse_mm", "Distances on the board, held-out poses", MM),
    ("held_out_rigid_rmse_mm", "Corners against the rigid board, held-out poses", MM),
    ("held_out_rmse_px", "Reprojection, held-out poses", PX),
    ("rmse_px", "Reprojection of the fit", PX),
    ("corner_noise_px", "Noise of a corner, per axis", PX),
    ("floor_rmse_px", "Reprojection of the floor recording", PX),
    ("floor_plane_rms_mm", "Floor corners off their plane", MM),
)


def figure_rows(rig: Rig, limits: Mapping[str, float]) -> list[dict[str, str]]:
    """Return the rows of the table: what, value, what the gate asks for."""
    figures, rows = rig.quality.figures, []
    for key, label, display in _ROWS:
        if key not in figures:
            continue
        limit = limits.get(key, math.nan)
        rows.append(
            {
                "label": label,
                "value": quantity(figures[key], math.nan, display).text,
                "limit": f"at most {limit:.3g}\u00a0{display.unit}" if limit == limit else "",
            }
        )
    for key, label in (
        ("board_poses", "Board poses"),
        ("shared_poses", "of these seen by two cameras or more"),
        ("held_out_poses", "of these judged without having been used"),
    ):
        if key in figures:
            rows.append({"label": label, "value": f"{figures[key]:.0f}", "limit": ""})
    if "gravity_sigma_rad" in figures:
        degrees = math.degrees(figures["gravity_sigma_rad"])
        rows.append(
            {"label": "Up is known to (1 sigma)", "value": f"{degrees:.2g}\u00b0", "limit": ""}
        )
    if "belt_incline_rad" in figures:
        degrees = math.degrees(figures["belt_incline_rad"])
        rows.append({"label": "Incline of the belt", "value": f"{degrees:.2f}\u00b0", "limit": ""})
    return rows


def camera_table(rig: Rig) -> dict[str, Any]:
    """Return one row a camera: what was seen, how well it fits, how well it is known."""
    spread, rows = sigmas(rig), []
    for camera in rig.cameras:
        own = rig.quality.cameras.get(camera.name, {})
        sigma = float(spread[camera.name][0]) if camera.name in spread else math.nan
        place = own.get("position_sigma_mm", math.nan)
        rows.append(
            [
                camera.name,
                f"{own['views']:.0f}" if "views" in own else "\u2013",
                f"{100 * own['coverage']:.0f}\u00a0%" if "coverage" in own else "\u2013",
                quantity(own.get("rmse_px", math.nan), math.nan, PX).text,
                quantity(own.get("held_out_rmse_px", math.nan), math.nan, PX).text,
                quantity(float(camera.intrinsics[0]), sigma, PX).text,
                "fixed" if place == 0 else quantity(place, math.nan, MM).text,
            ]
        )
    head = [
        "Camera",
        "Views",
        "Image seen",
        "Residual",
        "Held-out residual",
        "Focal length \u00b1 95\u00a0%",
        "Place (1 sigma)",
    ]
    return {"head": head, "rows": rows if rig.quality.cameras else []}
