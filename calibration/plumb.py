"""Which way is up, from a hanging line that two or more cameras saw.

A line through two image points lies in a plane through the camera's centre; gravity lies in the
planes of all cameras. Only its direction is wanted, so the line may hang anywhere, and it need not
be the same line in every camera: any lines that hang freely are parallel.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lab.camera import Camera
from lab.checks import FloatArray
from lab.errors import FileError, LabError
from lab.rig import Rig

_USUAL_SIGMA_PX = 1.0
_SHORTEST_PX = 50.0
# A direction less certain than this is no plumb line: the cameras see it from one side.
_WORST_RAD = math.radians(0.5)
_DISAGREE = 5.0  # standard deviations of a camera's plane from the direction found
_STEP, _STEP_PX = 1e-6, 1e-3
_NO_LEAN_RAD = 1e-6  # of arithmetic; two cameras agree by construction


# The unit normals (C, 3) of the cameras' planes, and what points up in each (C, 3).
Planes = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class PlumbLine:
    """Two points on a hanging line in the image of each camera.

    Attributes:
        points_px: (2, 2) top and bottom by camera.
        sigma_px: Standard deviation of a point, per axis.
    """

    points_px: Mapping[str, FloatArray] = field(metadata={"unit": "px"})
    sigma_px: float = field(default=_USUAL_SIGMA_PX, metadata={"unit": "px"})


@dataclass(frozen=True, slots=True, eq=False)
class Up:
    """Which way is up, in the frame of the cameras given.

    Attributes:
        direction: (3,) unit vector.
        by_rig: (3, Q) its derivative by the rig's parameters, in the order of `Rig.cov`.
        cov: (3, 3) from the points alone.
    """

    direction: FloatArray
    by_rig: FloatArray
    cov: FloatArray


def read_plumb(path: Path | str) -> PlumbLine:
    """Read the points of a hanging line.

    Args:
        path: A TOML file: sigma_px (1 where left out), and for each camera a table
            [cameras.NAME] with top = [x, y] and bottom = [x, y] in px, pixel (0, 0) being the
            centre of the top-left pixel.

    Raises:
        FileError: When the file is missing, damaged, or a point is none.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="Check the path."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"not a TOML file ({error})", where=str(path)) from error
    tables = document.get("cameras")
    if not isinstance(tables, Mapping) or not tables:
        raise FileError(
            "there is no camera in it",
            where=str(path),
            remedy="Write a table [cameras.NAME] with top = [x, y] and bottom = [x, y] for each.",
        )
    sigma = document.get("sigma_px", _USUAL_SIGMA_PX)
    if not isinstance(sigma, int | float) or not 0 < sigma < 100:
        raise FileError("sigma_px must be a number of pixels above 0", where=str(path))
    return PlumbLine({n: _points(t, f"{path}, {n}") for n, t in tables.items()}, float(sigma))


def _points(table: Any, where: str) -> FloatArray:
    rows = []
    for key in ("top", "bottom"):
        value = table.get(key) if isinstance(table, Mapping) else None
        if (
            not isinstance(value, list)
            or len(value) != 2
            or not all(isinstance(v, int | float) and math.isfinite(v) for v in value)
        ):
            raise FileError(f"{key} must be [x, y] in px", where=where)
        rows.append([float(v) for v in value])
    points = np.array(rows)
    length = float(np.linalg.norm(points[0] - points[1]))
    if length < _SHORTEST_PX:
        raise FileError(
            f"the two points are {length:.0f} px apart, at least {_SHORTEST_PX:.0f} are needed",
            where=where,
            remedy="Mark the ends of the line.",
        )
    return points


def find_up(rig: Rig, plumb: PlumbLine) -> Up:
    """Find the direction of a hanging line, up, in the frame of the rig.

    Raises:
        LabError: When a camera is not the rig's, fewer than two saw the line, they see it from
            nearly the same side, they disagree, or top and bottom are exchanged.
    """
    unknown = sorted(set(plumb.points_px) - set(rig.names))
    if unknown:
        raise LabError(
            f"the rig has no camera {', '.join(unknown)}, it has {', '.join(rig.names)}",
            where="plumb line",
        )
    names = [name for name in rig.names if name in plumb.points_px]
    if len(names) < 2:
        raise LabError(
            "one camera does not tell which way a line hangs, two are needed", where="plumb line"
        )
    cameras = [rig.camera(name) for name in names]
    points = np.stack([plumb.points_px[name] for name in names])
    up = _direction(_planes(cameras, points), points)
    across = np.eye(3) - np.outer(up, up)
    by_points = across @ _by_points(_direction, cameras, points)
    cov = plumb.sigma_px**2 * by_points @ by_points.T
    spread = math.sqrt(max(np.linalg.eigvalsh(cov)[-1], 0.0))
    if not spread < _WORST_RAD:
        raise LabError(
            f"the plumb line tells up to {math.degrees(spread):.1f} deg only: its cameras see it "
            "from nearly the same side, or it is short",
            where="plumb line",
            remedy="Mark it in cameras that stand at right angles to each other, over its length.",
        )
    _check_agreement(rig, names, points, up, plumb.sigma_px)
    return Up(up, across @ _by_rig(_direction, rig, names, points), cov)


def _with_plane(planes: Planes, index: int, camera: Camera, pair_px: FloatArray) -> Planes:
    """Return the planes with one of them made anew."""
    normals, upward = planes[0].copy(), planes[1].copy()
    own = _planes([camera], pair_px[None])
    normals[index], upward[index] = own[0][0], own[1][0]
    return normals, upward


def _planes(cameras: Sequence[Camera], points_px: FloatArray) -> Planes:
    """Return the planes' unit normals (C, 3) and the directions (C, 3) from bottom to top."""
    rays = []
    for camera, pair in zip(cameras, points_px, strict=True):
        ray = camera.ray(pair)
        if not ray.converged.all():
            raise LabError(
                "a point of the plumb line lies where the lens has no line of sight",
                where=camera.name,
                remedy="Mark it in the image.",
            )
        rays.append(ray.direction)
    lines = np.stack(rays)
    normals = np.cross(lines[:, 0], lines[:, 1])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True), lines[:, 0] - lines[:, 1]


def _direction(planes: Planes, points_px: FloatArray) -> FloatArray:
    """Return the unit vector nearest to all planes; a longer line in the image weighs more."""
    normals, upward = planes
    length = np.linalg.norm(points_px[:, 0] - points_px[:, 1], axis=1, keepdims=True)
    up = np.linalg.svd(length * normals)[2][-1]
    return up * np.sign(np.sum(upward @ up))


def _leans(planes: Planes, points_px: FloatArray) -> FloatArray:
    """Return by how much (C,) rad each camera's plane leans off the direction of all."""
    return planes[0] @ _direction(planes, points_px)


_Measured = Callable[[Planes, FloatArray], FloatArray]


def _by_points(measured: _Measured, cameras: Sequence[Camera], points_px: FloatArray) -> FloatArray:
    """Return the derivative (n, 4 C) of what is measured (n,) by the points' coordinates."""
    columns, here = [], _planes(cameras, points_px)
    for index in np.ndindex(points_px.shape):
        ends = []
        for sign in (1, -1):
            moved = points_px.copy()
            moved[index] += sign * _STEP_PX
            c = int(index[0])
            ends.append(measured(_with_plane(here, c, cameras[c], moved[c]), moved))
        columns.append((ends[0] - ends[1]) / (2 * _STEP_PX))
    return np.column_stack(columns)


def _by_rig(
    measured: _Measured, rig: Rig, names: Sequence[str], points_px: FloatArray
) -> FloatArray:
    """Return the derivative (n, Q) of what is measured (n,) by the rig's parameters."""
    cameras = [rig.camera(name) for name in names]
    here = _planes(cameras, points_px)
    result = np.zeros((len(measured(here, points_px)), len(rig.cov)))
    for c, name in enumerate(names):
        part = rig.parameter_slices()[rig.names.index(name)]
        for j in range(part.stop - part.start):
            # Only turns and the lens move a direction; a shift of the camera does not.
            if 3 <= j < 6:
                continue
            step = np.zeros(part.stop - part.start)
            step[j] = _STEP_PX if 6 <= j < 10 else _STEP
            ends = []
            for sign in (1, -1):
                moved = cameras[c].perturbed(sign * step)
                ends.append(measured(_with_plane(here, c, moved, points_px[c]), points_px))
            result[:, part.start + j] = (ends[0] - ends[1]) / (2 * step[j])
    return result


def _check_agreement(
    rig: Rig, names: Sequence[str], points_px: FloatArray, up: FloatArray, sigma_px: float
) -> None:
    """Refuse points that cannot be of hanging lines, or stand upside down."""
    cameras = [rig.camera(name) for name in names]
    _, upward = _planes(cameras, points_px)
    wrong = [name for name, way in zip(names, upward, strict=True) if way @ up <= 0]
    if wrong:
        raise LabError(
            f"{', '.join(wrong)}: top and bottom of the plumb line are exchanged",
            where="plumb line",
        )
    by_points = sigma_px * _by_points(_leans, cameras, points_px)
    variance = np.sum(by_points**2, axis=1)
    if rig.has_covariance:
        by_rig = _by_rig(_leans, rig, names, points_px)
        variance = variance + np.einsum("iq,qr,ir->i", by_rig, rig.cov, by_rig)
    leans = np.abs(_leans(_planes(cameras, points_px), points_px))
    off = leans / np.sqrt(variance + _NO_LEAN_RAD**2)
    worst = int(np.argmax(off))
    if off[worst] > _DISAGREE:
        raise LabError(
            f"{names[worst]}: its line leans {math.degrees(leans[worst]):.2g} deg off the "
            f"direction that all see, {off[worst]:.0f} times what their errors explain",
            where="plumb line",
            remedy="Mark lines that hang freely and still, and check that no camera has moved.",
        )


def up_covariance(rig: Rig, up: Up) -> FloatArray:
    """Return the covariance (3, 3) of up in the rig's frame, from the points and from the rig."""
    if not rig.has_covariance:
        return up.cov
    return up.cov + up.by_rig @ rig.cov @ up.by_rig.T


def carried(rig: Rig, up: Up, turn_by_up: FloatArray) -> Rig:
    """Return the rig with the covariance of its frame laid by this direction.

    Its cameras' poses must be in the lab frame already; that frame turns by `turn_by_up` (3, 3)
    rad per change of the direction, and with it all cameras at once: a turn e of the lab perturbs
    a pose by -R e about its own axes and by -t x (R e).

    Args:
        rig: In the lab frame; its covariance still of the frame before.
        up: As found in the frame before.
        turn_by_up: (3, 3) the lab's turn, in the lab, by the direction in the frame before.
    """
    if not rig.has_covariance:
        return rig
    rows = []
    for camera in rig.cameras:
        rotation, t = camera.cam_from_lab.rotation, camera.cam_from_lab.translation
        cross = np.array([[0, -t[2], t[1]], [t[2], 0, -t[0]], [-t[1], t[0], 0.0]])
        rows += [-rotation, -cross @ rotation, np.zeros((len(camera.intrinsics), 3))]
    turn = np.concatenate(rows)
    carry = np.eye(len(rig.cov)) + turn @ turn_by_up @ up.by_rig
    own = turn @ turn_by_up
    cov = carry @ rig.cov @ carry.T + own @ up.cov @ own.T
    return replace(rig, cov=0.5 * (cov + cov.T))
