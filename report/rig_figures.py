"""What the figures of a rig show, as fractions of their panels; the template draws them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lab.board_views import CameraViews
from lab.camera import Camera
from lab.checks import FloatArray
from lab.rig import Rig
from lab.room_slice import RoomSlice
from report.figures import nice_ticks

_ACROSS = 16  # cells of the heat map over the image's longer side
# An arrow is drawn from so many corners in its cell on; the mean of fewer is mostly noise.
_FEWEST_FOR_ARROW = 4
_ARROW_CELLS = 0.9  # the length of a long arrow (the 90th percentile), in cells
_PLAN_MARGIN = 0.12
_ELLIPSE_POINTS = 48
_RADIUS_95 = 2.4477  # of a two-dimensional normal distribution, in standard deviations
_ELLIPSE_PART = 0.05  # of the plan's side: how large the largest ellipse is drawn
_SMALLEST_PLAN_M = 1.0
_MAGNIFICATIONS = tuple(f * 10.0**p for p in range(6) for f in (1, 2, 5))


def grid_of(size_px: tuple[int, int]) -> tuple[int, int]:
    """Return how many cells (across, down) the heat map of an image has, about square ones."""
    width, height = size_px
    cell = max(size_px) / _ACROSS
    return max(1, round(width / cell)), max(1, round(height / cell))


def heat_map(views: CameraViews, size_px: tuple[int, int]) -> dict[str, Any]:
    """Return cells with their corner counts (as part of a full scale) and the mean residuals."""
    grid = grid_of(size_px)
    counts = views.cells(size_px, grid)
    means = views.mean_residuals(size_px, grid)
    # Counts differ by orders of magnitude; their root keeps the sparse cells visible.
    scale = math.sqrt(max(float(np.percentile(counts, 98)), 1.0))
    tone = np.minimum(np.sqrt(counts) / scale, 1.0)
    known = counts >= _FEWEST_FOR_ARROW
    lengths = np.linalg.norm(means[known], axis=-1)
    cell_px = max(size_px) / max(grid)
    magnified = _magnification(_ARROW_CELLS * cell_px, lengths)
    arrows = []
    for row, column in np.argwhere(known):
        at = (np.array([column, row]) + 0.5) / np.array(grid)
        end = at + magnified * means[row, column] / np.array(size_px)
        arrows.append([*_point(at), *_point(end)])
    return {
        "columns": grid[0],
        "rows": grid[1],
        "tones": tone.round(3).tolist(),
        "arrows": arrows,
        "magnified": f"{magnified:g}",
        "aspect": round(size_px[1] / size_px[0], 5),
    }


def _magnification(longest_px: float, lengths_px: FloatArray) -> float:
    """Return the round factor at which the long ones of these lengths fit."""
    if not len(lengths_px):
        return 1.0
    fits = longest_px / max(float(np.percentile(lengths_px, 90)), 1e-6)
    return max([1.0, *(m for m in _MAGNIFICATIONS if m <= fits)])


def _point(fraction: FloatArray) -> list[float]:
    """Return x to the right and y upward of a place in an image given downward."""
    return [round(float(fraction[0]), 4), round(1 - float(fraction[1]), 4)]


def hold_plot(views: CameraViews, most_tilt_deg: float, most_depth_m: float) -> dict[str, Any]:
    """Return how the board was held: depth across, tilt upward."""
    tilt = np.degrees(views.tilt_rad) / most_tilt_deg
    depth = views.depth_m / most_depth_m
    dots = np.column_stack([depth, tilt]).round(4)
    return {
        "dots": np.unique(dots, axis=0).tolist(),
        "x": [
            {"at": round(v / most_depth_m, 4), "label": f"{v:g}"}
            for v in nice_ticks(0.0, most_depth_m, 4)
        ],
        "y": [
            {"at": round(v / most_tilt_deg, 4), "label": f"{v:g}"}
            for v in range(0, round(most_tilt_deg) + 1, 30)
        ],
    }


def plan(rig: Rig, up_known: bool) -> dict[str, Any]:
    """Return the cameras from above, the way they look, and their 95 % ellipses, magnified.

    Args:
        rig: The rig.
        up_known: Whether the rig's frame is the lab's; else it is the first camera's and the plan
            is drawn in that camera's x and z.
    """
    axes = (0, 1) if up_known else (0, 2)
    centres = np.stack([camera.centre for camera in rig.cameras])[:, axes]
    looks = np.stack([camera.cam_from_lab.rotation[2] for camera in rig.cameras])[:, axes]
    ends = np.concatenate([centres, np.zeros((1, 2))]) if up_known else centres
    low, high = ends.min(0), ends.max(0)
    side = max(float((high - low).max()), _SMALLEST_PLAN_M) / (1 - 2 * _PLAN_MARGIN)
    corner = (low + high) / 2 - side / 2

    def place(xy: FloatArray) -> list[float]:
        return [round(float(v), 4) for v in (xy - corner) / side]

    spreads = _centre_covariances(rig)
    magnified = 1.0
    if spreads is not None:
        flat = spreads[:, axes][:, :, axes]
        widest = _RADIUS_95 * np.sqrt(np.linalg.eigvalsh(flat).max(1).clip(0))
        magnified = _magnification(_ELLIPSE_PART * side, np.array([widest.max()]))
    cameras = []
    turn = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS)
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    for c, camera in enumerate(rig.cameras):
        ring: list[list[float]] = []
        if spreads is not None:
            values, vectors = np.linalg.eigh(spreads[c][np.ix_(axes, axes)])
            root = vectors * np.sqrt(values.clip(0))
            around = centres[c] + magnified * _RADIUS_95 * circle @ root.T
            ring = [place(p) for p in around]
        wide = math.atan(camera.size_px[0] / 2 / camera.intrinsics[0])
        cameras.append(
            {
                "name": camera.name,
                "at": place(centres[c]),
                "view": [place(centres[c] + p) for p in _view(looks[c], wide, 0.16 * side)],
                "ring": ring,
                "label": _label_side(place(centres[c])[0], centres[c], centres),
            }
        )
    step = nice_ticks(0.0, side, 5)[1] if len(nice_ticks(0.0, side, 5)) > 1 else side
    return {
        "cameras": cameras,
        "magnified": f"{magnified:g}" if spreads is not None else "",
        "origin": place(np.zeros(2)) if up_known else [],
        "axis": [place(np.array([step, 0.0])), place(np.array([0.0, step]))] if up_known else [],
        "bar": round(step / side, 4),
        "bar_label": f"{step:g}\u00a0m",
    }


def _view(look: FloatArray, half_angle: float, length: float) -> list[FloatArray]:
    """Return the two ends of a camera's field of view from above."""
    size = float(np.linalg.norm(look))
    ahead = look / size if size > 1e-6 else np.array([0.0, 1.0])
    reach = length * max(size, 0.3)
    ends = []
    for angle in (-half_angle, half_angle):
        c, s = math.cos(angle), math.sin(angle)
        ends.append(
            reach / c * np.array([c * ahead[0] - s * ahead[1], s * ahead[0] + c * ahead[1]])
        )
    return ends


def _label_side(across: float, own: FloatArray, every: FloatArray) -> str:
    """Return the side of a camera where its name stands: away from the others, on the panel."""
    if not 0.25 < across < 0.75:
        return "right" if across < 0.5 else "left"
    return "left" if own[0] < float(np.median(every[:, 0])) else "right"


def slice_maps(slices: Sequence[RoomSlice], rig: Rig) -> list[dict[str, Any]]:
    """Return the cells of each plane, each with its tone and its mm, and the cameras over them.

    The tone goes with the logarithm, from the best cell of all planes to ten times as much. Where a
    camera stands there is no room for a number.
    """
    known = [one.sigma_m[np.isfinite(one.sigma_m)] for one in slices]
    best = min((float(part.min()) for part in known if len(part)), default=1.0)
    return [_slice_map(one, rig, best) for one in slices]


def _slice_map(one: RoomSlice, rig: Rig, best: float) -> dict[str, Any]:
    rows, columns = one.sigma_m.shape
    with np.errstate(invalid="ignore"):
        tone = np.log10(one.sigma_m / best).clip(0, 1)
    size = one.step_m * np.array([columns, rows])
    centres = np.stack([camera.centre for camera in rig.cameras])[:, one.axes]
    place = (centres - one.low_m) / size
    place = place[((place >= 0) & (place <= 1)).all(-1)]
    covered = {(int(row), int(column)) for column, row in place * [columns, rows]}
    cells = []
    for row, column in np.argwhere(np.isfinite(one.sigma_m)):
        millimetres = 1e3 * float(one.sigma_m[row, column])
        text = f"{millimetres:.1f}" if millimetres < 9.95 else f"{millimetres:.0f}"
        cells.append(
            {
                "column": int(column),
                "row": int(rows - 1 - row),
                "tone": round(float(tone[row, column]), 3),
                "text": text if millimetres < 1000 and (row, column) not in covered else "",
            }
        )
    return {
        "columns": columns,
        "rows": rows,
        "cells": cells,
        "cameras": place.round(4).tolist(),
        "step": f"{one.step_m:g}\u00a0m",
    }


def _centre_covariances(rig: Rig) -> FloatArray | None:
    """Return the covariance (C, 3, 3) m^2 of where the cameras stand; None where not known.

    A camera stands at -R't. With R' = Exp(w) R and t' = Exp(w) t + d that moves by -R'd, whatever
    w is, so the shift's block alone counts.
    """
    if not rig.has_covariance:
        return None
    found = []
    for camera, part in zip(rig.cameras, rig.parameter_slices(), strict=True):
        shift = rig.cov[part, part][3:6, 3:6]
        back = camera.cam_from_lab.rotation.T
        found.append(back @ shift @ back.T)
    return np.stack(found)


def sigmas(rig: Rig) -> Mapping[str, FloatArray]:
    """Return the standard deviations of each camera's intrinsics; empty where not known."""
    if not rig.has_covariance:
        return {}
    every = np.sqrt(np.diag(rig.cov).clip(0))
    return {
        camera.name: every[part][6:]
        for camera, part in zip(rig.cameras, rig.parameter_slices(), strict=True)
    }


def image_reach(camera: Camera) -> float:
    """Return the horizontal field of view in degrees, by the focal length."""
    return math.degrees(2 * math.atan(camera.size_px[0] / 2 / float(camera.intrinsics[0])))
