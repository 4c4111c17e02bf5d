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
from lab.room_slice import RoomSlice
from report.files import replace_file
from report.numbers import Display, quantity, signed, time_text
from report.rig_figures import heat_map, hold_plot, image_reach, plan, sigmas, slice_maps
from report.rig_rows import MM, PX, camera_table, figure_rows
from report.typesetting import typeset
from report.words import sentence

_TEMPLATES = ("rig.typ", "style.typ", "plots.typ", "rig_plots.typ")
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
    slices: Sequence[RoomSlice] = (),
) -> None:
    """Write the page of a rig as PDF/A, A4; the same rig gives the same bytes.

    Args:
        rig: The rig.
        path: Where to; an older file is replaced only when the new one is whole.
        views: What its cameras saw of the board; without them the page says that it is not kept.
        advice: What to film next, a sentence each.
        limits: What the gate asks for, by the name of the figure; printed beside it.
        slices: How well a point is known in planes through the room; none where it is not known.

    Raises:
        FileError: When the file cannot be written.
    """
    content = rig_content(rig, views=views, advice=advice, limits=limits or {}, slices=slices)
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
    slices: Sequence[RoomSlice] = (),
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
        "figures": figure_rows(rig, limits or {}),
        "glance": camera_table(rig),
        "plan": plan(rig, up_known),
        "plan_note": _plan_note(rig, up_known),
        "slices": [
            {"title": _slice_title(one, up_known), **drawn}
            for one, drawn in zip(slices, slice_maps(slices, rig), strict=True)
        ],
        "cameras": cameras,
    }


def _sentence(text: str, names: Sequence[str]) -> str:
    """Begin with a capital, unless the text begins with a camera's name."""
    return text if text.startswith(tuple(names)) else sentence(text)


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


def _slice_title(one: RoomSlice, up_known: bool) -> str:
    """Say which plane of the room a slice is."""
    where = f"{signed(one.at_m, 1)}\u00a0m"
    if not up_known:
        return f"The first camera's x (right) and z (forward), y = {where}"
    if one.axes == (0, 1):
        return f"From above, {where} over the floor"
    return f"From the side, y = {where}"


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
        ("rmse_px", "Residual", PX),
        ("held_out_rmse_px", "Residual, held-out poses", PX),
        ("corner_noise_px", "Noise per axis", PX),
        ("position_sigma_mm", "Place known to (1 sigma)", MM),
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
        display = PX if i < 4 else _ONE
        text = quantity(value, sigma if sigma > 0 else math.nan, display).text
        found.append({"name": name, "value": text})
    return found
