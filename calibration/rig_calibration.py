"""The one door: what the cameras saw of the board in, a judged rig out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import radians

import numpy as np

from calibration.bent_board import solve_with_shape
from calibration.board import Board
from calibration.evidence import board_views
from calibration.floor import NO_FLOOR, floor_figures, level_of, raise_to_lab, still_view
from calibration.floor_misfit import floor_misfit
from calibration.known_length import (
    RULE_SIGMA_M,
    KnownLength,
    ScaleCheck,
    scale_of,
    scale_of_board,
)
from calibration.lens import FEWEST_VIEWS, calibrate_lens
from calibration.pelvis import with_pelvis
from calibration.quality import HeldOut, assess, at_one_instant, hold_out, judge
from calibration.solution import Solution
from calibration.solve import Shutter, solve
from calibration.starts import try_starts
from calibration.thresholds import thresholds
from calibration.views import Sightings, Views, group_views
from lab.board_views import CameraViews
from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Keypoints2D
from lab.rig import Rig

Progress = Callable[[int, int, str], None]
_STEPS = ("lenses and cameras", "further starts", "held-out check", "judgement")
# The same small model on both recordings, so that their focal lengths can be compared.
_COMPARED = "f cx cy k1"


def calibrate(
    observations: Mapping[str, Keypoints2D],
    sizes_px: Mapping[str, tuple[int, int]],
    board: Board,
    *,
    floor: Mapping[str, Keypoints2D] | None = None,
    lens_from: Mapping[str, Keypoints2D] | None = None,
    level: str | tuple[float, float] = "floor",
    gravity_sigma_rad: float | None = None,
    heading: str = "+x",
    thickness_m: float = 0.0,
    lengths: Sequence[KnownLength] = (),
    second: tuple[Board, Mapping[str, Keypoints2D]] | None = None,
    tolerance: float | None = None,
    shutter: Shutter = "auto",
    progress: Progress | None = None,
    on_views: Callable[[tuple[CameraViews, ...]], None] | None = None,
) -> Rig:
    """Calibrate the cameras of a lab from what they saw of a board.

    The rig's covariance comes from the joint adjustment of lenses, camera poses and board poses.
    With a floor recording its frame is the lab's (origin at the outer top-left corner of the board
    on the floor, z up by gravity), the floor's board pose being one of the adjustment's, and the
    error of up is part of it; without, the frame is that of the first camera, whose pose is then
    exact by definition, and `quality.reasons` says so.

    Args:
        observations: The board moved through the volume: the corners of each camera, by name.
        sizes_px: (width, height) of each camera's images.
        board: The board.
        floor: The board lying still on the floor, by camera.
        lens_from: Further recordings of the board for the lens alone, by camera, taken with the
            same zoom and focus; not in step with each other.
        level: As in `floor.place_floor`.
        gravity_sigma_rad: As in `floor.place_floor`; None takes it from configs/calibration.toml.
        heading: As in `floor.place_floor`.
        thickness_m: As in `floor.place_floor`.
        lengths: Distances between corners of the board, measured with a rule.
        second: A second board, its square measured apart, and what the cameras saw of it.
        tolerance: s, as in `views.group_views`.
        shutter: As in `solve.solve`.
        progress: Called as (steps done, steps in all, what).
        on_views: Called with what each camera saw of the board and what the fit left over.

    Returns:
        The rig. `quality.accepted` says whether the gate let it through, `reasons` why not.

    Raises:
        LabError: When it cannot be solved at all.
    """
    limits = thresholds()
    sigma = (
        radians(limits["gravity"]["sigma_deg"]) if gravity_sigma_rad is None else gravity_sigma_rad
    )
    how = level_of(level, sigma, heading, thickness_m)
    _check(observations, sizes_px, floor or {}, lens_from or {})
    report = progress or (lambda done, total, what: None)

    report(0, len(_STEPS), _STEPS[0])
    sightings = group_views(observations, board, tolerance)
    change = _lens_changes(sightings, sizes_px, board, lens_from or {})
    sightings = _with_lens_views(sightings, board, lens_from or {})
    still, misfit = frozenset[int](), ""
    floor_views: tuple[Views, ...] = ()
    if floor is not None:
        floor_views = _floor_views(sightings.names, floor, board)
        moving = solve(sightings, sizes_px, board, shutter="common", steps=False)
        misfit = floor_misfit(moving, floor_views)
    if misfit:  # it would bend the rig, and the lab frame would be anywhere
        floor = None
    if floor is not None:
        still = frozenset({len(sightings.t)})
        sightings = _with_pose(sightings, floor_views)
    solution, shape = solve_with_shape(
        lambda corners_m: solve(
            sightings, sizes_px, board, still=still, shutter=shutter, corners_m=corners_m
        ),
        board.corners_m(),
    )

    report(1, len(_STEPS), _STEPS[1])
    starts = try_starts(solution, limits["refuse"]["spread_over_starts_mm"])

    report(2, len(_STEPS), _STEPS[2])
    models = {name: lens.model for name, lens in zip(sightings.names, solution.lenses, strict=True)}
    held_out: HeldOut | None
    try:
        held_out = hold_out(
            solution.sightings, sizes_px, board, models, still, solution.timed,
            solution.network.corners_m,
        )  # fmt: skip
    except LabError:
        held_out = None

    scales = scale_of(held_out.points, board, lengths) if held_out is not None else ()
    if second is not None:
        scales = (*scales, _second_scale(solution, *second, tolerance))

    report(3, len(_STEPS), _STEPS[3])
    if floor is not None:
        solution = solution.in_frame_of(next(iter(still)))
    if on_views is not None:
        on_views(board_views(solution))
    rig = _rig_of(solution, board)
    corners = solution.network.corners_m
    figures = floor_figures(rig, floor_views, corners) if floor is not None else {}
    quality = assess(solution, held_out, figures, change, board, starts, scales, shape)
    if misfit:
        quality = replace(quality, accepted=False, reasons=(misfit, *quality.reasons))
    if floor is None:
        quality = replace(quality, reasons=(*quality.reasons, NO_FLOOR))
        rig = replace(rig, quality=quality)
    else:
        rig = raise_to_lab(replace(rig, quality=quality), how)
    rig = with_pelvis(rig, _board_centres(solution, rig), floor=floor is not None)
    report(len(_STEPS), len(_STEPS), "done")
    return rig


def _board_centres(solution: Solution, rig: Rig) -> FloatArray:
    """Return where the board's centre was shown (B, 3) m in the rig's frame, by a camera's eyes."""
    network = solution.network
    shown = []
    for old, new, views in zip(network.cameras, rig.cameras, network.views, strict=True):
        centre = network.rotations[views.pose] @ network.corners_m.mean(0)
        in_camera = old.cam_from_lab.transform(centre + network.translations[views.pose])
        moving = np.isfinite(views.t)
        shown.append(new.cam_from_lab.inverse().transform(in_camera[moving]))
    return np.concatenate(shown)


def _check(
    observations: Mapping[str, Keypoints2D],
    sizes_px: Mapping[str, tuple[int, int]],
    floor: Mapping[str, Keypoints2D],
    lens_from: Mapping[str, Keypoints2D],
) -> None:
    if len(observations) < 2:
        raise LabError(
            f"a rig needs two cameras or more, got {len(observations)}", where="calibration"
        )
    missing = sorted(set(observations) - set(sizes_px))
    if missing:
        raise ValueError(f"calibrate: no image size of {', '.join(missing)}")
    for what, others in (("floor", floor), ("lens", lens_from)):
        unknown = sorted(set(others) - set(observations))
        if unknown:
            raise LabError(
                f"the {what} recording has {', '.join(unknown)}, which the rig recording lacks",
                where="calibration",
                remedy="A camera is named after its video file.",
            )


def _lens_changes(
    sightings: Sightings,
    sizes_px: Mapping[str, tuple[int, int]],
    board: Board,
    lens_from: Mapping[str, Keypoints2D],
) -> dict[str, tuple[float, float]]:
    """Compare each camera's focal length in the lens recording with the one in the rig's."""
    changes = {}
    for name, views in zip(sightings.names, sightings.views, strict=True):
        if name not in lens_from:
            continue
        other = group_views({name: lens_from[name]}, board).views[0]
        if min(len(views), len(other)) < 2 * FEWEST_VIEWS:
            continue
        own, given = (
            calibrate_lens(name, sizes_px[name], v, board.corners_m(), _COMPARED)
            for v in (views, other)
        )
        change = float(given.camera.intrinsics[0] / own.camera.intrinsics[0])
        changes[name] = change, float(np.hypot(own.focal_sigma, given.focal_sigma))
    return changes


def _second_scale(
    solution: Solution,
    board: Board,
    observations: Mapping[str, Keypoints2D],
    tolerance: float | None,
) -> ScaleCheck:
    """Measure a second board with the rig, by its corners as free points."""
    names = solution.sightings.names
    known = {name: observations[name] for name in names if name in observations}
    if not known:
        raise LabError(
            "no camera of the rig saw the second board",
            where="second board",
            remedy="A camera is named after its video file.",
        )
    seen = group_views(known, board, tolerance)
    count = len(board.corner_names)
    none = Views(np.zeros(0, np.intp), np.zeros((0, count, 2)), np.zeros((0, count)))
    by_name = dict(zip(seen.names, seen.views, strict=True))
    seen = Sightings(names, tuple(by_name.get(name, none) for name in names), seen.t)
    if solution.timed is not None:
        sizes = {camera.name: camera.size_px for camera in solution.network.cameras}
        seen = at_one_instant(seen, seen, solution.timed, sizes)
    sigma = RULE_SIGMA_M / float(np.ptp(board.corners_m(), axis=0).max())
    return scale_of_board(judge(solution, seen, board.corners_m()).points, board, sigma)


def _with_lens_views(
    sightings: Sightings, board: Board, lens_from: Mapping[str, Keypoints2D]
) -> Sightings:
    """Append the views of the lens recordings, each as a board pose that one camera saw."""
    count, views = len(sightings.t), []
    for name, own in zip(sightings.names, sightings.views, strict=True):
        if name not in lens_from:
            views.append(own)
            continue
        extra = group_views({name: lens_from[name]}, board).views[0]
        # Their times are of another recording.
        pose, t = count + np.arange(len(extra)), np.full(len(extra), np.nan)
        views.append(_joined(own, replace(extra, pose=pose, t=t)))
        count += len(extra)
    t = np.concatenate([sightings.t, np.full(count - len(sightings.t), np.nan)])
    return Sightings(sightings.names, tuple(views), t)


def _with_pose(sightings: Sightings, views: tuple[Views, ...]) -> Sightings:
    """Append one board pose with the views (none or one) of each camera."""
    pose = len(sightings.t)
    joined = tuple(
        _joined(own, replace(extra, pose=np.full(len(extra), pose)))
        for own, extra in zip(sightings.views, views, strict=True)
    )
    return Sightings(sightings.names, joined, np.append(sightings.t, np.nan))


def _joined(first: Views, second: Views) -> Views:
    return Views(
        np.concatenate([first.pose, second.pose]),
        np.concatenate([first.xy_px, second.xy_px]),
        np.concatenate([first.weight, second.weight]),
        np.concatenate([first.t, second.t]),
    )


def _floor_views(
    names: tuple[str, ...], floor: Mapping[str, Keypoints2D], board: Board
) -> tuple[Views, ...]:
    count = len(board.corner_names)
    none = Views(np.zeros(0, np.intp), np.zeros((0, count, 2)), np.zeros((0, count)))
    views = tuple(still_view(floor[n], board) if n in floor else none for n in names)
    if not any(len(v) for v in views):
        raise LabError(
            "no camera saw the board on the floor", where="floor", remedy="Record it again."
        )
    return views


def _rig_of(solution: Solution, board: Board) -> Rig:
    network = solution.network
    created = datetime.now(UTC).isoformat(timespec="seconds")
    quality = assess(solution, None, {}, {}, board)
    return Rig(network.cameras, solution.covariance(), quality, created, board.words())
