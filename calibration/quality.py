"""How good a calibration is, on what it did not see, and whether it may be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from calibration.board import Board
from calibration.board_shape import BoardShape, board_shape
from calibration.free_points import rigid_residuals, triangulate
from calibration.gate import (
    board_reasons,
    camera_reasons,
    notes_of,
    rig_reasons,
    scale_reasons,
    shape_reasons,
    start_reasons,
    step_reasons,
)
from calibration.known_length import ScaleCheck
from calibration.lens_gate import covered, lens_words
from calibration.normals import residuals_px
from calibration.readout import row_shares
from calibration.solution import Solution
from calibration.solve import Shutter, solve
from calibration.starts import Starts
from calibration.thresholds import thresholds
from calibration.timed_network import TimedNetwork
from calibration.views import Sightings
from lab.checks import FloatArray
from lab.rig import RigQuality

_LONGEST_STEP = 0.5  # s, over which a corner's track is followed


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Figures of corners triangulated as free points (B, K, 3) in poses that were held out."""

    rmse_px: float
    distance_rmse_mm: float
    rigid_rmse_mm: float
    poses: int
    by_camera_px: Mapping[str, float]
    points: FloatArray = field(metadata={"unit": "m"})


def gate_limits(longest_px: int) -> dict[str, float]:
    """Return what the gate asks of a rig's figures, by their names.

    Args:
        longest_px: The longer side of the largest image, to which residuals are held.
    """
    refuse = thresholds()["refuse"]
    return {
        "pelvis_sigma_mm": refuse["pelvis_mm"],
        "held_out_distance_rmse_mm": refuse["held_out_distance_mm"],
        "held_out_rigid_rmse_mm": refuse["held_out_rigid_mm"],
        "held_out_rmse_px": refuse["held_out_reprojection"] * longest_px,
        "floor_rmse_px": refuse["floor_residual"] * longest_px,
    }


def hold_out(
    sightings: Sightings,
    sizes_px: Mapping[str, tuple[int, int]],
    board: Board,
    models: Mapping[str, str],
    still: frozenset[int] = frozenset(),
    timed: TimedNetwork | None = None,
    corners_m: FloatArray | None = None,
) -> HeldOut:
    """Calibrate on every other shared board pose and judge on those between.

    Poses that one camera alone saw, and still ones, stay with the half that calibrates: they
    cannot be judged. With time offsets (of the whole recording, in `timed`) the corners of the
    judged poses are moved along their tracks to one instant each. `corners_m` is as in `solve`.

    Raises:
        LabError: When the half that calibrates cannot be solved.
    """
    shared = np.flatnonzero(sightings.cameras_per_pose() > 1)
    shared = shared[~np.isin(shared, list(still))]
    judged = np.zeros(len(sightings.t), bool)
    judged[shared[1::2]] = True
    number = np.cumsum(~judged) - 1
    kept = frozenset(int(number[pose]) for pose in still)
    shutter: Shutter = "auto" if timed is not None else "common"
    half = sightings.only_poses(~judged)
    corners = board.corners_m() if corners_m is None else corners_m
    solution = solve(half, sizes_px, board, models, kept, timed, shutter, corners, steps=False)
    seen = sightings.only_poses(judged)
    if timed is not None:
        seen = at_one_instant(seen, sightings, timed, sizes_px)
    return judge(solution, seen, corners)


def judge(solution: Solution, sightings: Sightings, corners: FloatArray) -> HeldOut:
    """Triangulate every corner as a free point and compare with where it is on the board (K, 3)."""
    cameras, poses = solution.network.cameras, len(sightings.t)
    xy = np.full((len(cameras), poses, len(corners), 2), np.nan)
    for c, views in enumerate(sightings.views):
        xy[c, views.pose] = np.where(views.weight[..., None] > 0, views.xy_px, np.nan)
    points = triangulate(cameras, xy.reshape(len(cameras), -1, 2))
    error = np.stack([c.project(points) for c in cameras]) - xy.reshape(len(cameras), -1, 2)
    squared = np.where(np.isfinite(points).all(-1), (error**2).sum(-1), np.nan)
    distances: list[FloatArray] = []
    rigid: list[FloatArray] = []
    for cloud in points.reshape(poses, len(corners), 3):
        known = np.isfinite(cloud).all(1)
        first, second = np.triu_indices(int(known.sum()), 1)
        found, wanted = cloud[known], corners[known]
        distances.append(
            np.linalg.norm(found[first] - found[second], axis=1)
            - np.linalg.norm(wanted[first] - wanted[second], axis=1)
        )
        if known.sum() >= 4:
            rigid.append(np.linalg.norm(rigid_residuals(found, wanted), axis=1))
    return HeldOut(
        _rms(squared),
        1e3 * _rms(np.concatenate([*distances, np.zeros(0)]) ** 2),
        1e3 * _rms(np.concatenate([*rigid, np.zeros(0)]) ** 2),
        poses,
        {camera.name: _rms(row) for camera, row in zip(cameras, squared, strict=True)},
        points.reshape(poses, len(corners), 3),
    )


def at_one_instant(
    judged: Sightings,
    every: Sightings,
    timed: TimedNetwork,
    sizes_px: Mapping[str, tuple[int, int]],
) -> Sightings:
    """Move the corners of every judged view along their own tracks to the time of its pose.

    A track is a corner in the views of one camera, judged ones and others; it is followed linearly
    to the next view. A corner without one near enough is left out.
    """
    views = []
    for c, (own, track) in enumerate(zip(judged.views, every.views, strict=True)):
        offset, readout = timed.offsets[c], timed.readouts[c]
        order = np.argsort(track.t, kind="stable")
        t, xy = track.t[order], np.where(track.weight > 0, 1.0, np.nan)[..., None] * track.xy_px
        xy = xy[order]
        wanted = judged.t[own.pose] - offset  # in stamps of this camera
        here = np.searchsorted(t, own.t)
        there = np.clip(here + np.where(wanted > own.t, 1, -1), 0, len(t) - 1)
        step = t[there] - own.t
        near = (np.abs(step) > 0) & (np.abs(step) < _LONGEST_STEP)
        late = readout * row_shares(own.xy_px, sizes_px[judged.names[c]][1])
        part = ((wanted - own.t)[:, None] - late) / np.where(near, step, np.nan)[:, None]
        moved = own.xy_px + part[..., None] * (xy[there] - own.xy_px)
        known = np.isfinite(moved).all(-1)
        views.append(replace(own, xy_px=moved, weight=np.where(known, own.weight, 0.0)))
    return replace(judged, views=tuple(views))


def assess(
    solution: Solution,
    held_out: HeldOut | None,
    floor: Mapping[str, float],
    lens_change: Mapping[str, tuple[float, float]],
    board: Board,
    starts: Starts | None = None,
    scales: Sequence[ScaleCheck] = (),
    shape: BoardShape | None = None,
) -> RigQuality:
    """Gather the figures of a calibration and pass it through the gate.

    Args:
        solution: The solved network.
        held_out: None where the half of the poses could not be solved.
        floor: Figures of the floor recording; empty without one.
        lens_change: By camera, the focal length in the lens recording over the one in the rig's,
            and its sigma.
        board: The board.
        starts: What came of further starts; None where none was tried.
        scales: What second known lengths say.
        shape: Of the board, where it was solved for; None measures it here.
    """
    limits = thresholds()
    network = solution.network
    solved_for = shape is not None
    shape = shape or board_shape(network, solution.lenses)
    cameras = _camera_figures(solution, held_out, lens_change)
    squared = np.concatenate(
        [(residuals_px(network, c) ** 2).sum(-1)[v.weight > 0] for c, v in enumerate(network.views)]
    )
    figures = {
        "rmse_px": _rms(squared),
        "corner_noise_px": float(np.sqrt(np.mean(network.sigma_px**2))),
        "asynchrony": solution.asynchrony,
        "jitter_mm": 1e3 * network.jitter[1],
        "jitter_rad": network.jitter[0],
        "board_poses": float(len({p for v in solution.sightings.views for p in v.pose.tolist()})),
        "shared_poses": float((solution.sightings.cameras_per_pose() > 1).sum()),
        "square_mm": 1e3 * board.square_m,
        "held_out_rmse_px": held_out.rmse_px if held_out else float("nan"),
        "held_out_distance_rmse_mm": held_out.distance_rmse_mm if held_out else float("nan"),
        "held_out_rigid_rmse_mm": held_out.rigid_rmse_mm if held_out else float("nan"),
        "held_out_poses": float(held_out.poses) if held_out else 0.0,
        **floor,
        **_start_figures(starts),
        **_shape_figures(shape),
    }
    for i, scale in enumerate(scales):
        number = "" if i == 0 else f"_{i + 1}"
        figures[f"known_length{number}_ratio"] = scale.ratio
        figures[f"known_length{number}_ratio_sigma"] = scale.sigma
    longest = max(max(camera.size_px) for camera in network.cameras)
    reasons = rig_reasons(figures, limits["refuse"], longest)
    seen = np.concatenate([np.isfinite(v.xy_px[..., 0]) for v in solution.sightings.views])
    reasons += board_reasons(seen, limits["refuse"])
    reasons += step_reasons(solution.step, limits["refuse"])
    reasons += start_reasons(starts, limits["refuse"])
    shape_refusals, shape_notes = shape_reasons(shape, limits["refuse"], solved_for)
    reasons += shape_refusals
    scale_refusals, scale_notes = scale_reasons(scales, limits["refuse"])
    reasons += scale_refusals
    for name, own in cameras.items():
        size = max(next(c for c in network.cameras if c.name == name).size_px)
        reasons += camera_reasons(name, own, limits["refuse"], size)
    uses = dict(zip(cameras, solution.uses, strict=True))
    notes = notes_of(figures, cameras, limits["note"])
    notes += (*shape_notes, *scale_notes, lens_words(uses))
    return RigQuality(not reasons, (*reasons, *notes), figures, cameras)


def _shape_figures(shape: BoardShape | None) -> dict[str, float]:
    if shape is None:
        return {}
    return {
        "board_bow_columns_mm": shape.bow_mm[0],
        "board_bow_columns_sigma_mm": shape.bow_sigma_mm[0],
        "board_bow_rows_mm": shape.bow_mm[1],
        "board_bow_rows_sigma_mm": shape.bow_sigma_mm[1],
        "board_stretch": shape.stretch,
        "board_stretch_sigma": shape.stretch_sigma,
    }


def _start_figures(starts: Starts | None) -> dict[str, float]:
    if starts is None:
        return {}
    return {
        "starts": float(starts.tried),
        "starts_agreeing": float(starts.agreeing),
        "spread_over_starts_mm": starts.spread_mm,
    }


def _camera_figures(
    solution: Solution,
    held_out: HeldOut | None,
    lens_change: Mapping[str, tuple[float, float]],
) -> dict[str, dict[str, float]]:
    network = solution.network
    cov = solution.covariance()
    offsets, offset_sigmas = solution.offsets()
    readouts, readout_sigmas = solution.readouts()
    shared = solution.sightings.cameras_per_pose() > 1
    result, row = {}, 0
    for c, (camera, views) in enumerate(zip(network.cameras, network.views, strict=True)):
        lens = slice(row + 6, row + 6 + len(camera.intrinsics))
        spread = np.sqrt(np.diag(cov)[lens])
        used = views.weight > 0
        residual = (residuals_px(network, c) ** 2).sum(-1)
        # The camera's centre moves by minus the shift of its pose, turned into the lab.
        place = np.trace(cov[row + 3 : row + 6, row + 3 : row + 6])
        given = len(views) + float(solution.views_dropped[c])
        result[camera.name] = {
            "rmse_px": _rms(residual[used]),
            "corner_noise_px": float(network.sigma_px[c]),
            "views": float(len(views)),
            "shared_poses": float(shared[solution.sightings.views[c].pose].sum()),
            "dropped_views": float(solution.views_dropped[c]) / max(given, 1.0),
            "coverage": covered(views.xy_px[used], camera.size_px),
            "depth_ratio": solution.uses[c].depth_ratio,
            "lens_refined": float(solution.uses[c].use != "held"),
            "focal_px": float(camera.intrinsics[0]),
            "focal_sigma_px": float(spread[:2].max()),
            "centre_sigma_px": float(spread[2:4].max()),
            "position_sigma_mm": 1e3 * float(np.sqrt(place)),
            "lens_parameters": float(network.bases[c].shape[1]),
            "held_out_rmse_px": held_out.by_camera_px[camera.name] if held_out else float("nan"),
        }
        if np.isfinite(offsets[c]):
            result[camera.name]["time_offset_s"] = float(offsets[c])
            result[camera.name]["time_offset_sigma_s"] = float(offset_sigmas[c])
        if np.isfinite(readouts[c]):
            result[camera.name]["readout_s"] = float(readouts[c])
            result[camera.name]["readout_sigma_s"] = float(readout_sigmas[c])
        if camera.name in lens_change:
            change, sigma = lens_change[camera.name]
            result[camera.name]["lens_change"] = change
            result[camera.name]["lens_change_sigma"] = sigma
        row += 6 + len(camera.intrinsics)
    return result


def _rms(squared: FloatArray) -> float:
    """Return the root of the mean of what is known; NaN where nothing is."""
    known = squared[np.isfinite(squared)]
    return float(np.sqrt(known.mean())) if known.size else float("nan")
