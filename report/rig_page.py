"""The page of a rig as PDF/A: how good the calibration is, and what to film next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lab.board_views import CameraViews
from lab.camera import Camera, intrinsics_names
from lab.checks import FloatArray
from lab.rig import Rig
from report.files import replace_file
from report.numbers import Display, quantity, time_text
from report.rig_figures import heat_map, hold_plot, image_reach, plan, sigmas
from report.typesetting import typeset
from report.words import sentence

_TEMPLATES = ("rig.typ", "style.typ", "plots.typ", "rig_plots.typ")
_PX = Display("px", 1.0, 2, 3)
_MM = Display("mm", 1.0, 1, 3)
_MS = Display("ms", 1000.0, 1, 2)
_ONE = Display("", 1.0, 3, 6)
_HASH_SHOWN = 16
_NOT_KNOWN = "not known"
_LENSES = {
    "brown4": "Brown-Conrady",
    "brown5": "Brown-Conrady",
    "brown8": "rational",
    "fisheye": "Kannala-Brandt (fisheye)",
}


def write_rig_page(
    rig: Rig,
    path: Path | str,
    *,
    views: Sequence[CameraViews] = (),
    advice: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
) -> None:
    """Write the page of a rig as PDF/A, A4; the same rig gives the same bytes.

    Args:
        rig: The rig.
        path: Where to; an older file is replaced only when the new one is whole.
        views: What its cameras saw of the board; without them the page says that it is not kept.
        advice: What to film next, a sentence each.
        limits: What the gate asks for, by the name of the figure; printed beside it.

    Raises:
        FileError: When the file cannot be written.
    """
    content = rig_content(rig, views=views, advice=advice, limits=limits or {})
    pdf = typeset(_TEMPLATES, content, _moment(rig))
    replace_file(Path(path), lambda beside: beside.write_bytes(pdf))


def _moment(rig: Rig) -> datetime:
    try:
        moment = datetime.fromisoformat(rig.created)
    except ValueError:
        return datetime(1980, 1, 1, tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def rig_content(
    rig: Rig,
    *,
    views: Sequence[CameraViews] = (),
    advice: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return everything the template prints, as plain values; arguments as in `write_rig_page`."""
    quality = rig.quality
    by_name = {own.camera: own for own in views}
    deepest = max((float(own.depth_m.max(initial=0)) for own in views), default=0.0)
    spread = sigmas(rig)
    up_known = "gravity_sigma_rad" in quality.figures or not rig.has_covariance
    cameras = []
    for camera in rig.cameras:
        own = by_name.get(camera.name)
        cameras.append(
            {
                "name": camera.name,
                "head": _camera_head(camera),
                "heat": None if own is None else heat_map(own, camera.size_px),
                "hold": None if own is None else hold_plot(own, 90.0, 1.08 * max(deepest, 0.1)),
                "facts": _camera_facts(rig, camera, own),
                "lens": _lens(camera, spread.get(camera.name)),
            }
        )
    return {
        "title": "Calibration of the cameras",
        "software": "gaitlab",
        "when": time_text(rig.created) or "date not known",
        "hash": rig.sha256[:_HASH_SHOWN],
        "state": _state(rig),
        "meta": [
            {"label": "Calibrated", "value": time_text(rig.created) or _NOT_KNOWN},
            {"label": "Cameras", "value": str(len(rig.cameras))},
            {"label": "Board", "value": rig.board or _NOT_KNOWN},
        ],
        "reasons": [_sentence(reason, rig.names) for reason in quality.reasons],
        "refused": not quality.accepted,
        "advice": [_sentence(text, rig.names) for text in advice],
        "evidence": bool(views),
        "figures": _figures(rig, limits or {}),
        "glance": _glance(rig, spread),
        "plan": plan(rig, up_known),
        "plan_note": _plan_note(rig, up_known),
        "cameras": cameras,
    }


def _sentence(text: str, names: Sequence[str]) -> str:
    """Begin with a capital, unless the text begins with a camera's name."""
    return text if text.startswith(tuple(names)) else sentence(text)


def _glance(rig: Rig, spread: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Return one row a camera: what was seen, how well it fits, how well it is known."""
    rows = []
    for camera in rig.cameras:
        own = rig.quality.cameras.get(camera.name, {})
        sigma = float(spread[camera.name][0]) if camera.name in spread else math.nan
        place = own.get("position_sigma_mm", math.nan)
        rows.append(
            [
                camera.name,
                f"{own['views']:.0f}" if "views" in own else "\u2013",
                f"{100 * own['coverage']:.0f}\u00a0%" if "coverage" in own else "\u2013",
                quantity(own.get("rmse_px", math.nan), math.nan, _PX).text,
                quantity(own.get("held_out_rmse_px", math.nan), math.nan, _PX).text,
                quantity(float(camera.intrinsics[0]), sigma, _PX).text,
                "fixed" if place == 0 else quantity(place, math.nan, _MM).text,
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


def _state(rig: Rig) -> dict[str, str]:
    if not rig.quality.accepted:
        return {"state": "refused", "sign": "\u2717", "word": "Calibration refused"}
    if rig.quality.reasons:
        return {"state": "look", "sign": "!", "word": "Calibration accepted, with notes"}
    return {"state": "accepted", "sign": "\u2713", "word": "Calibration accepted"}


def _plan_note(rig: Rig, up_known: bool) -> str:
    view = (
        "From above; the cross is the lab's origin, x along the walkway."
        if up_known
        else "No floor was recorded: drawn in the first camera's x (right) and z (forward)."
    )
    if not rig.has_covariance:
        return f"{view} How well each place is known is not stated by this rig."
    still = "" if up_known else " The first camera's own place is exact by definition."
    return f"{view}{still}"


_ROWS = (
    ("held_out_distance_rmse_mm", "Distances on the board, held-out poses", _MM),
    ("held_out_rigid_rmse_mm", "Corners against the rigid board, held-out poses", _MM),
    ("held_out_rmse_px", "Reprojection, held-out poses", _PX),
    ("rmse_px", "Reprojection of the fit", _PX),
    ("corner_noise_px", "Noise of a corner, per axis", _PX),
    ("floor_rmse_px", "Reprojection of the floor recording", _PX),
    ("floor_plane_rms_mm", "Floor corners off their plane", _MM),
)


def _figures(rig: Rig, limits: Mapping[str, float]) -> list[dict[str, str]]:
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


def _camera_head(camera: Camera) -> str:
    width, height = camera.size_px
    reach = image_reach(camera)
    return (
        f"{width} \u00d7 {height}\u00a0px, {_LENSES[camera.model]} lens, {reach:.0f}\u00b0 of view"
    )


def _camera_facts(rig: Rig, camera: Camera, views: CameraViews | None) -> list[dict[str, str]]:
    own = rig.quality.cameras.get(camera.name, {})
    rows: list[tuple[str, str]] = []
    for key, label, display in (
        ("rmse_px", "Residual", _PX),
        ("held_out_rmse_px", "Residual, held-out poses", _PX),
        ("corner_noise_px", "Noise per axis", _PX),
        ("position_sigma_mm", "Place known to (1 sigma)", _MM),
    ):
        # The camera that the frame is fixed to stands where it stands by definition.
        fixed = key == "position_sigma_mm" and own.get(key) == 0
        if math.isfinite(own.get(key, math.nan)) and not fixed:
            rows.append((label, quantity(own[key], math.nan, display).text))
    if views is not None:
        rows.append(("Views, corners", f"{len(views.pose)}, {len(views.view)}"))
        tilted = float(np.mean(views.tilt_rad > math.radians(20))) if len(views.pose) else 0.0
        rows.append(("Views tilted by 20\u00b0 or more", f"{100 * tilted:.0f}\u00a0%"))
    elif "views" in own:
        rows.append(("Views", f"{own['views']:.0f}"))
    if "shared_poses" in own:
        rows.append(("Board poses shared", f"{own['shared_poses']:.0f}"))
    if "coverage" in own:
        rows.append(("Image seen", f"{100 * own['coverage']:.0f}\u00a0%"))
    if own.get("dropped_views", 0.0) > 0:
        rows.append(("Views not believed", f"{100 * own['dropped_views']:.0f}\u00a0%"))
    if own.get("time_offset_s", 0.0) != 0:
        offset = quantity(own["time_offset_s"], own.get("time_offset_sigma_s", math.nan), _MS)
        rows.append(("Time offset", offset.text))
    if "lens_refit_rms_px" in own:
        rows.append(("Lens refitted, off by", f"{own['lens_refit_rms_px']:.2g}\u00a0px"))
    return [{"label": label, "value": value} for label, value in rows]


def _lens(camera: Camera, spread: FloatArray | None) -> list[dict[str, str]]:
    """Return the lens's parameters with their 95 % intervals; what was held at zero is left out."""
    found = []
    for i, name in enumerate(intrinsics_names(camera.model)):
        value = float(camera.intrinsics[i])
        sigma = math.nan if spread is None else float(spread[i])
        if i >= 4 and value == 0 and not sigma > 0:
            continue
        display = _PX if i < 4 else _ONE
        text = quantity(value, sigma if sigma > 0 else math.nan, display).text
        found.append({"name": name, "value": text})
    return found
