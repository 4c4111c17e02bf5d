"""Markers, body measures and events from a C3D file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lab.checks import FloatArray
from lab.errors import FileError, LabError
from lab.gait import Event
from reconstruct.detect.c3d_structure import check_c3d_structure
from reconstruct.detect.marker_axes import points_in_lab
from reconstruct.detect.marker_data import MarkerData

_Parameters = Mapping[str, Mapping[str, Any]]
_SIDED_SUBJECT = {
    "LegLength": ("leg_length_{}_mm", 1.0),
    "KneeWidth": ("knee_width_{}_mm", 1.0),
    "AnkleWidth": ("ankle_width_{}_mm", 1.0),
    "AsisTrocanterDistance": ("asis_trochanter_{}_mm", 1.0),
    "ThighRotation": ("thigh_rotation_{}_rad", 1.0),
    "ShankRotation": ("shank_rotation_{}_rad", 1.0),
    "TibialTorsion": ("tibial_torsion_{}_rad", 1.0),
    "StaticPlantFlex": ("static_plantar_flexion_{}_rad", 1.0),
    "StaticRotOff": ("static_foot_rotation_{}_rad", 1.0),
}
# Lengths are stored in mm and angles in rad by Vicon's programs.
_SUBJECT = {
    "InterAsisDistance": ("inter_asis_distance_mm", 1.0),
    "Bodymass": ("mass_kg", 1.0),
    "Height": ("height_m", 0.001),
}
_KIND = {"foot strike": "foot_strike", "foot off": "foot_off"}
_MODEL_OUTPUTS = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS")


def read_c3d(
    path: Path, *, unit: str | None = None, up: str | None = None, forward: str | None = None
) -> MarkerData:
    """Read a C3D's markers.

    Sample i stands at (first_frame + i) / rate, first_frame counted from 0 (the header counts it
    from 1). Points with a negative residual are missing. Unlabelled points, the model outputs
    that the file lists as such, and the four points by which Vicon draws a segment's axes are
    left out. Force plates and other analog data are not read.

    The body's measures come from the PROCESSING group. The marker's radius is not among them:
    the stored MarkerDiameter is known to differ from the one the model was made with, so it has
    to be given.

    Args:
        path: The file.
        unit: m, cm or mm; overrides POINT:UNITS.
        up: Overrides POINT:Y_SCREEN; z where neither is there.
        forward: Overrides POINT:X_SCREEN; the first horizontal axis where neither is there.

    Raises:
        FileError: When the file is missing, damaged, truncated or no C3D.
        LabError: When unit or axes are missing or cannot be right, or two subjects share names.
    """
    # For C3D alone: everything else need not wait for it.
    import ezc3d

    structure = check_c3d_structure(path)
    where = path.name
    try:
        content: Any = ezc3d.c3d(str(path))
    except (RuntimeError, OSError, ValueError, IndexError, KeyError, MemoryError) as error:
        raise FileError(
            f"the file cannot be read as C3D ({error})",
            where=where,
            remedy="Export the trial again from the motion-capture software.",
        ) from error
    parameters = content["parameters"]
    xyz = np.transpose(content["data"]["points"][:3], (2, 1, 0)).astype(float)
    residual = np.transpose(content["data"]["meta_points"]["residuals"][0])
    if len(xyz) != structure.frames:
        raise FileError(
            f"the file is truncated: {structure.frames} frames stated, {len(xyz)} there",
            where=where,
            remedy="Copy the file again, or export the trial again.",
        )
    rate = float(content["header"]["points"]["frame_rate"])
    if not (math.isfinite(rate) and rate > 0):
        raise FileError(f"the frame rate is {rate}", where=where, remedy="Export the trial again.")
    t = (int(content["header"]["points"]["first_frame"]) + np.arange(len(xyz))) / rate
    names, columns = _marker_columns(parameters, where)
    xyz = np.where(residual[..., None] < 0, np.nan, xyz)[:, columns]
    unit = unit or _text(parameters, "POINT", "UNITS")
    if not unit:
        raise LabError(
            "the file does not say its unit of length",
            where=where,
            remedy='Give unit = "mm" (or "m", "cm") under [markers] in trial.toml.',
        )
    up = up or _text(parameters, "POINT", "Y_SCREEN") or "z"
    forward = forward or _forward_axis(_text(parameters, "POINT", "X_SCREEN"), up)
    points = points_in_lab(names, t, xyz, unit=unit, up=up, forward=forward, where=where)
    return MarkerData(points, _subject(parameters), _events(parameters, where))


def _values(parameters: _Parameters, group: str, name: str) -> list[Any]:
    if group not in parameters or name not in parameters[group]:
        return []
    value = parameters[group][name]["value"]
    return list(value) if np.iterable(value) and not isinstance(value, str) else [value]


def _text(parameters: _Parameters, group: str, name: str) -> str:
    values = _values(parameters, group, name)
    return str(values[0]).strip() if values else ""


def _all_values(parameters: _Parameters, name: str) -> list[str]:
    """Return POINT:NAME with its continuations NAME2, NAME3, which hold what is beyond 255."""
    values = _values(parameters, "POINT", name)
    number = 2
    while more := _values(parameters, "POINT", f"{name}{number}"):
        values += more
        number += 1
    return [str(v).strip() for v in values]


def _forward_axis(screen: str, up: str) -> str:
    letter = up.strip().lower()[-1:]
    if screen and screen.lower()[-1:] != letter:
        return screen
    return "y" if letter == "x" else "x"


def _marker_columns(parameters: _Parameters, where: str) -> tuple[list[str], list[int]]:
    """Return the names of the markers, without a subject's prefix, and their columns."""
    labels = _all_values(parameters, "LABELS")
    groups = {*_MODEL_OUTPUTS, *_values(parameters, "POINT", "TYPE_GROUPS")[::2]}
    groups -= {"MODELED_MARKERS"}
    outputs = {name for group in groups for name in _all_values(parameters, str(group))}
    present = {label.rpartition(":")[2] for label in labels}

    def axis_ends(segment: str) -> set[str]:
        return {segment + end for end in "OALP"}

    names: list[str] = []
    columns: list[int] = []
    for column, label in enumerate(labels):
        name = label.rpartition(":")[2]
        if not name or name.startswith("*") or label in outputs or name in outputs:
            continue
        # Vicon draws a segment by origin and three axis ends: PELO, PELA, PELL, PELP.
        if len(name) == 4 and name[3] in "OALP" and axis_ends(name[:3]) <= present:
            continue
        names.append(name)
        columns.append(column)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LabError(
            f"marker names stand twice: {', '.join(twice[:8])}",
            where=where,
            remedy="Export one subject alone, with each marker labelled once.",
        )
    if not names:
        raise FileError(
            "the file holds no labelled markers",
            where=where,
            remedy="Label the markers, then export the trial again.",
        )
    return names, columns


def _subject(parameters: _Parameters) -> dict[str, float]:
    wanted = {
        f"{letter}{name}": (key.format(side), scale)
        for name, (key, scale) in _SIDED_SUBJECT.items()
        for letter, side in (("L", "left"), ("R", "right"))
    } | _SUBJECT
    subject: dict[str, float] = {}
    for name, (key, scale) in wanted.items():
        values = _values(parameters, "PROCESSING", name)
        if len(values) == 1 and isinstance(values[0], (int, float, np.number)):
            number = float(values[0]) * scale
            # Programs write 0 for a length or a mass that was never measured.
            if math.isfinite(number) and (number > 0 or key.endswith("_rad")):
                subject[key] = number
    return subject


def _events(parameters: _Parameters, where: str) -> tuple[Event, ...]:
    """Return the stored foot strikes and foot offs; EVENT:TIMES is in minutes and seconds."""
    kinds = _values(parameters, "EVENT", "LABELS")
    sides = _values(parameters, "EVENT", "CONTEXTS")
    times: FloatArray = np.asarray(_values(parameters, "EVENT", "TIMES"), float)
    if times.ndim != 2 or len(times) != 2:
        return ()
    events: list[Event] = []
    for label, context, minutes, seconds in zip(kinds, sides, times[0], times[1], strict=False):
        kind = _KIND.get(str(label).strip().lower())
        side = str(context).strip().lower()
        t = 60.0 * float(minutes) + float(seconds)
        if kind and side in ("left", "right") and math.isfinite(t):
            events.append(Event(kind, side, t, math.nan, where))
    return tuple(sorted(events, key=lambda event: (event.t, event.side)))
