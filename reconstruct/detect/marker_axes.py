"""From a file's own axes and unit to the lab frame in metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Points3D

_METRES = {
    "m": 1.0,
    "meter": 1.0,
    "meters": 1.0,
    "metre": 1.0,
    "metres": 1.0,
    "cm": 0.01,
    "mm": 0.001,
}
# A body seen by fewer points than this says too little about its own size and attitude.
_ENOUGH_POINTS = 8
_BODY_SPAN_M = (0.2, 4.0)
# A body on its feet is at least this much longer upwards than to any side, in root mean square.
_UPRIGHT_RATIO = 1.3


def metres_in(unit: str, where: str) -> float:
    """Return the length of a unit in metres.

    Raises:
        LabError: When the unit is not m, cm or mm.
    """
    scale = _METRES.get(unit.strip().lower())
    if scale is None:
        raise LabError(
            f"the unit of length {unit!r} is not known",
            where=where,
            remedy='Give unit = "m", "cm" or "mm" under [markers] in trial.toml.',
        )
    return scale


def axis_direction(axis: str, key: str, where: str) -> FloatArray:
    """Return the unit vector (3,) of an axis written as x, +y, -z.

    Raises:
        LabError: When it is written in any other way.
    """
    text = axis.strip().lower()
    sign, letter = (text[0], text[1:]) if text[:1] in ("+", "-") else ("+", text)
    if letter not in ("x", "y", "z"):
        raise LabError(
            f"{key} = {axis!r} is not an axis",
            where=where,
            remedy=f'Write {key} under [markers] in trial.toml as "x", "+y" or "-z".',
        )
    direction = np.zeros(3)
    direction["xyz".index(letter)] = -1.0 if sign == "-" else 1.0
    return direction


def lab_from_file_axes(up: str, forward: str, where: str) -> FloatArray:
    """Return the rotation (3, 3) that takes file coordinates to lab axes.

    Raises:
        LabError: When an axis cannot be read, or both are the same axis.
    """
    z = axis_direction(up, "up", where)
    x = axis_direction(forward, "forward", where)
    if abs(x @ z) > 0.5:
        raise LabError(
            f"up = {up!r} and forward = {forward!r} are the same axis",
            where=where,
            remedy="Correct up and forward under [markers] in trial.toml.",
        )
    return np.stack([x, np.cross(z, x), z])


def points_in_lab(
    names: Sequence[str],
    t: FloatArray,
    xyz: FloatArray,
    *,
    unit: str,
    up: str,
    forward: str,
    where: str,
) -> Points3D:
    """Return points given in a file's axes and unit as `Points3D`.

    A point at exactly (0, 0, 0) is how many programs write "not seen"; it becomes NaN. Markers
    carry no statement of their noise, so `cov` is NaN.

    Args:
        names: K names.
        t: (T,) s.
        xyz: (T, K, 3) in the file's unit and axes, NaN where not seen.
        unit: m, cm or mm.
        up: The file's axis that points up.
        forward: The file's axis along the walkway or belt.
        where: The file's name, for messages.

    Raises:
        LabError: When unit or axes cannot be right.
    """
    scale = metres_in(unit, where)
    rotation = lab_from_file_axes(up, forward, where)
    seen = np.where((xyz == 0).all(axis=-1, keepdims=True), np.nan, xyz)
    seen = np.where(np.isfinite(seen).all(axis=-1, keepdims=True), seen, np.nan)
    in_lab = (seen @ rotation.T) * scale
    _check_plausible(in_lab, unit, up, where)
    return Points3D(names=tuple(names), t=t, xyz=in_lab, cov=np.full((*in_lab.shape, 3), np.nan))


def _check_plausible(xyz: FloatArray, unit: str, up: str, where: str) -> None:
    """Refuse a unit or an upward axis that no walking body fits."""
    count = np.isfinite(xyz[..., 0]).sum(axis=1)
    frames = xyz[count >= _ENOUGH_POINTS]
    if not len(frames):
        return
    extent = np.median(np.nanmax(frames, axis=1) - np.nanmin(frames, axis=1), axis=0)
    span = float(np.linalg.norm(extent))
    low, high = _BODY_SPAN_M
    if not low < span < high:
        raise LabError(
            f"with the unit {unit!r} the markers span {span:.3g} m in a frame, expected "
            f"{low} to {high} m",
            where=where,
            remedy="Correct unit under [markers] in trial.toml.",
        )
    spread = np.median(np.nanstd(frames, axis=1), axis=0)
    if max(spread[:2]) > _UPRIGHT_RATIO * spread[2]:
        raise LabError(
            f"with up = {up!r} the body lies: the markers spread most along a horizontal axis",
            where=where,
            remedy="Correct up under [markers] in trial.toml.",
        )
