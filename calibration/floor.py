"""The lab frame: where the board lay on the floor, and which way is up.

The origin is the outer top-left corner of the board's print, on the floor; z is up by gravity; x
is the board's chosen axis laid level. Gravity comes from the floor being level, or from the board's
two slopes as an inclinometer reads them. How well either is known is a common turn of all cameras
and enters the rig's covariance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from calibration.board import Board
from calibration.free_points import triangulate
from calibration.network import Network
from calibration.normals import adjoint, cross_matrix, normal_equations, residuals_px
from calibration.plumb import PlumbLine, Up, carried, find_up, up_covariance
from calibration.start import board_poses, shared_board_poses
from calibration.views import Sightings, Views, usable_frames
from lab.camera import Camera
from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Keypoints2D
from lab.pose import Pose
from lab.rig import Rig

HEADINGS = {
    "+x": np.array([1.0, 0, 0]),
    "-x": np.array([-1.0, 0, 0]),
    "+y": np.array([0, 1.0, 0]),
    "-y": np.array([0, -1.0, 0]),
}
# A board lying still is seen at the same pixel in every frame.
_STILL_PX = 2.0
_STEEPEST_RAD = math.radians(20)
_FINEST_PX = 1e-3


@dataclass(frozen=True, slots=True)
class Level:
    """How the board lay.

    Attributes:
        slopes: (along its x axis, along its y axis) rad above the horizontal; 0, 0 on a level
            floor. A board on an inclined belt is not level: give what an inclinometer reads.
        sigma_rad: Standard deviation of each slope.
        heading: Which axis of the board points along the lab's x: +x, -x, +y or -y.
        thickness_m: Of the board: the print lies so far above the floor.
        source: In words, for the record.
    """

    slopes: tuple[float, float] = field(metadata={"unit": "rad"})
    sigma_rad: float = field(metadata={"unit": "rad"})
    heading: str = "+x"
    thickness_m: float = field(default=0.0, metadata={"unit": "m"})
    source: str = "the floor stated to be level"

    def __post_init__(self) -> None:
        if self.heading not in HEADINGS:
            raise LabError(
                f"the heading must be one of {', '.join(HEADINGS)}, got {self.heading!r}",
                where="floor",
            )
        if not all(abs(s) < _STEEPEST_RAD for s in self.slopes):
            raise LabError(
                f"a slope of more than {math.degrees(_STEEPEST_RAD):.0f} deg is no floor",
                where="floor",
                remedy="Give the inclinometer's two readings, along the board's x and y axis.",
            )
        if not (math.isfinite(self.sigma_rad) and self.sigma_rad >= 0):
            raise LabError("the sigma of up must be a number, not negative", where="floor")

    def lab_from_board(self) -> Pose:
        """Return the pose of the board on the floor in the lab frame."""
        along, across = math.sin(self.slopes[0]), math.sin(self.slopes[1])
        # The board's z points into the board, down.
        up = np.array([along, across, -math.sqrt(1 - along**2 - across**2)])
        x = HEADINGS[self.heading] - (HEADINGS[self.heading] @ up) * up
        x /= np.linalg.norm(x)
        rotation = np.stack([x, np.cross(up, x), up])
        return Pose(rotation, np.array([0.0, 0.0, self.thickness_m]))

    def turn_by_up(self) -> FloatArray:
        """Return how the lab turns (3, 3) rad, in the lab, when up changes in the board's frame."""
        here, columns = self.lab_from_board().rotation, []
        for axis in np.eye(3):
            ends = []
            for sign in (1, -1):
                up = here[2] + sign * 1e-6 * axis
                moved = level_along(up, self.sigma_rad, self.heading, self.source)
                turn = moved.lab_from_board().rotation @ here.T
                ends.append(np.array([turn[2, 1], turn[0, 2], turn[1, 0]]))
            columns.append((ends[0] - ends[1]) / 2e-6)
        return np.column_stack(columns)

    def incline(self) -> tuple[float, float]:
        """Return by how much (rad) the board's plane rises along the lab's x, and along its y."""
        normal = -self.lab_from_board().rotation[:, 2]
        return math.atan2(-normal[0], normal[2]), math.atan2(-normal[1], normal[2])


def level_along(up: FloatArray, sigma_rad: float, heading: str, source: str) -> Level:
    """Return the `Level` of a direction (3,), up, in the board's frame.

    Raises:
        LabError: When the board would lie with its print down, or on no floor.
    """
    up = up / np.linalg.norm(up)
    if up[2] >= 0:
        raise LabError(
            "the board on the floor would lie with its print down",
            where="floor",
            remedy="Lay it with the print up, and check top and bottom of the plumb line.",
        )
    return Level((math.asin(up[0]), math.asin(up[1])), sigma_rad, heading, source=source)


def level_of(
    level: str | tuple[float, float], gravity_sigma_rad: float, heading: str, thickness_m: float = 0
) -> Level:
    """Return the `Level` of "floor" (stated to be level) or of two slopes in rad."""
    if level == "floor":
        return Level((0.0, 0.0), gravity_sigma_rad, heading, thickness_m)
    if isinstance(level, str):
        raise LabError(
            f'level must be "floor" or the two slopes of the board, got {level!r}', where="floor"
        )
    return Level(
        (float(level[0]), float(level[1])),
        gravity_sigma_rad,
        heading,
        thickness_m,
        "an inclinometer on the board",
    )


def still_view(keypoints: Keypoints2D, board: Board) -> Views:
    """Return the one view of a board lying still, as the median over its frames (V is 0 or 1).

    Raises:
        LabError: When the board moved.
    """
    frames = usable_frames(keypoints, board)
    count = len(board.corner_names)
    if not len(frames):
        return Views(np.zeros(0, np.intp), np.zeros((0, count, 2)), np.zeros((0, count)))
    xy = keypoints.xy_px[frames]
    seen = np.isfinite(xy).all(-1)
    often = seen.sum(0) >= max(1, len(frames) // 2)
    middle = np.full((count, 2), np.nan)
    middle[often] = np.nanmedian(xy[:, often], axis=0)
    moved = np.linalg.norm(xy[:, often] - middle[often], axis=-1)
    wander = float(np.nanpercentile(moved, 90))
    if wander > _STILL_PX:
        raise LabError(
            f"the board moved by {wander:.1f} px in the floor recording",
            where=keypoints.camera,
            remedy="Lay the board on the floor, let go of it, and record again.",
        )
    return Views(np.zeros(1, np.intp), middle[None], often[None].astype(float))


def place_floor(
    rig: Rig,
    keypoints: Mapping[str, Keypoints2D],
    board: Board,
    *,
    level: str | tuple[float, float] = "floor",
    gravity_sigma_rad: float,
    heading: str = "+x",
    thickness_m: float = 0.0,
    plumb: PlumbLine | None = None,
) -> Rig:
    """Lay the lab frame of a calibrated rig by a recording of the board lying on the floor.

    The board's pose is solved from all cameras; its noise, and what the rig's own errors do to it,
    are carried into the covariance together with the error of up. (A floor recording given to
    `calibrate` itself takes part in the adjustment, which is the same to first order.)

    Args:
        rig: In any frame.
        keypoints: The board's corners by camera; cameras that did not see it may be left out.
        board: The board.
        level: "floor" (stated to be level), or the slopes (rad) of the board's x and y axes.
        gravity_sigma_rad: Standard deviation of up about each horizontal axis.
        heading: The board's axis that points along the lab's x.
        thickness_m: Of the board.
        plumb: A hanging line that tells up; then `level` and `gravity_sigma_rad` are not used,
            and the board's plane is measured against it.

    Raises:
        LabError: When no camera of the rig saw it, or it moved, or it does not fit the rig, or the
            plumb line tells no direction.
    """
    how = level_of(level, gravity_sigma_rad, heading, thickness_m)
    unknown = sorted(set(keypoints) - set(rig.names))
    if unknown:
        raise LabError(
            f"the rig has no camera {', '.join(unknown)}, it has {', '.join(rig.names)}",
            where="floor",
            remedy="A camera is named after its video file.",
        )
    blank = Views(
        np.zeros(0, np.intp),
        np.zeros((0, len(board.corner_names), 2)),
        np.zeros((0, len(board.corner_names))),
    )
    views = tuple(still_view(keypoints[n], board) if n in keypoints else blank for n in rig.names)
    network = still_network(rig.cameras, views, board.corners_m())
    lab_from_board = Pose(network.rotations[0], network.translations[0])
    cov = _carried(rig, network)
    moved = replace(
        rig,
        cameras=tuple(
            replace(c, cam_from_lab=c.cam_from_lab @ lab_from_board) for c in rig.cameras
        ),
        cov=cov,
    )
    figures = {**rig.quality.figures, **floor_figures(moved, views, board.corners_m())}
    moved = replace(moved, quality=replace(rig.quality, figures=figures))
    if plumb is None:
        return raise_to_lab(moved, how)
    up = find_up(moved, plumb)
    measured = level_along(up.direction, 0.0, heading, "a plumb line")
    turn = measured.turn_by_up()
    tilt = (turn @ up_covariance(moved, up) @ turn.T)[:2, :2]
    sigma = math.sqrt(float(np.trace(tilt)) / 2)
    measured = replace(measured, sigma_rad=sigma, thickness_m=thickness_m)
    return raise_to_lab(moved, measured, up)


def raise_to_lab(rig: Rig, level: Level, up: Up | None = None) -> Rig:
    """Take a rig from the frame of the board on the floor to the lab frame.

    Where up was measured in the rig itself (`up`), its error is that of the points and of the
    rig; else it is independent of the rig, `level.sigma_rad` about each horizontal axis.

    With the lab turned by a small e about its origin, a camera's pose is perturbed by (-R e) about
    its own axes and by -t x (R e): the error of up about x and y enters all cameras at once.

    Raises:
        LabError: When the cameras would stand under the floor.
    """
    board_from_lab = level.lab_from_board().inverse()
    cameras = tuple(replace(c, cam_from_lab=c.cam_from_lab @ board_from_lab) for c in rig.cameras)
    below = [c.name for c in cameras if c.centre[2] < 0]
    if below:
        raise LabError(
            f"{', '.join(below)} would stand under the floor",
            where="floor",
            remedy="Lay the board with the print up.",
        )
    rows = []
    for camera in cameras:
        rotation, translation = camera.cam_from_lab.rotation, camera.cam_from_lab.translation
        rows += [-rotation, -cross_matrix(translation) @ rotation]
        rows.append(np.zeros((len(camera.intrinsics), 3)))
    tilt = np.concatenate(rows)[:, :2]
    raised = replace(rig, cameras=cameras)
    cov = (
        rig.cov + level.sigma_rad**2 * (tilt @ tilt.T)
        if up is None
        else carried(raised, up, level.turn_by_up()).cov
    )
    figures = {**rig.quality.figures, "gravity_sigma_rad": level.sigma_rad}
    inclined = ()
    if up is not None or any(level.slopes):
        along, across = level.incline()
        # A turn about y changes the slope along x, one about x the slope along y.
        sigmas = (level.sigma_rad, level.sigma_rad)
        if up is not None:
            spread = up_covariance(rig, up)
            turned = np.diag(level.turn_by_up() @ spread @ level.turn_by_up().T)
            sigmas = (math.sqrt(turned[1]), math.sqrt(turned[0]))
        figures |= {"belt_incline_rad": along, "belt_cross_slope_rad": across}
        figures |= {"belt_incline_sigma_rad": sigmas[0], "belt_cross_slope_sigma_rad": sigmas[1]}
        words = [
            f"{math.degrees(slope):+.2f} +- {1.96 * math.degrees(sigma):.2g} deg along {axis}"
            for slope, sigma, axis in zip((along, across), sigmas, "xy", strict=True)
        ]
        inclined = (f"{_RISES}{' and '.join(words)}",)
    # Of a rig that is laid anew, what was said of the floor before no longer holds.
    kept = tuple(
        r for r in rig.quality.reasons if r != NO_FLOOR and not r.startswith((_UP, _RISES))
    )
    note = f"{_UP}{level.source}, known to {math.degrees(level.sigma_rad):.2g} deg"
    quality = replace(rig.quality, reasons=(*kept, note, *inclined), figures=figures)
    return replace(raised, cov=cov, quality=quality)


_UP, _RISES = "up is from ", "the floor or belt under the board rises by "
NO_FLOOR = (
    "no floor recorded: the lab frame is the first camera's, and which way is up is not known"
)


def floor_figures(rig: Rig, views: tuple[Views, ...], corners: FloatArray) -> dict[str, float]:
    """Return how the floor's corners (K, 3) fit, with the rig in the frame of the board there.

    floor_rmse_px is the reprojection error of the rigid board, floor_plane_rms_mm how far the
    corners, triangulated one by one, lie from their own plane (NaN with one camera).
    """
    xy = np.full((len(views), len(corners), 2), np.nan)
    for c, view in enumerate(views):
        if len(view):
            xy[c] = np.where(view.weight[0][:, None] > 0, view.xy_px[0], np.nan)
    error = np.stack([c.project(corners) for c in rig.cameras]) - xy
    squared = (error**2).sum(-1)
    points = triangulate(rig.cameras, xy)
    points = points[np.isfinite(points).all(1)]
    plane = float("nan")
    if len(points) > 3:
        offset = points - points.mean(0)
        normal = np.linalg.svd(offset, full_matrices=False)[2][2]
        plane = 1e3 * float(np.sqrt(np.mean((offset @ normal) ** 2)))
    return {
        "floor_rmse_px": float(np.sqrt(np.nanmean(squared))),
        "floor_plane_rms_mm": plane,
        "floor_cameras": float(sum(len(v) for v in views)),
    }


def still_network(
    cameras: tuple[Camera, ...], views: tuple[Views, ...], corners: FloatArray
) -> Network:
    """Solve the pose of the board (its corners (K, 3)) on the floor with the cameras held."""
    if not any(len(v) for v in views):
        raise LabError(
            "no camera saw the board on the floor", where="floor", remedy="Record it again."
        )
    sightings = Sightings(tuple(c.name for c in cameras), views, np.zeros(1))
    poses = [board_poses(c, corners, v) for c, v in zip(cameras, views, strict=True)]
    rotations, translations = shared_board_poses(cameras, sightings, poses, corners)
    network = Network(
        cameras,
        tuple(np.eye(len(c.intrinsics)) for c in cameras),
        rotations,
        translations,
        views,
        corners,
        np.ones(len(views)),
        fixed_camera=None,
        still=frozenset({0}),
    )
    turn, shift = network.rotations, network.translations
    for _ in range(30):
        normals = normal_equations(network)
        try:
            step = np.linalg.solve(normals.boards[0], normals.board_gradient[0])
        except np.linalg.LinAlgError as error:
            raise LabError(
                "the board on the floor cannot be placed from what the cameras saw of it",
                where="floor",
                remedy="Give the file of the board that was filmed, or record the floor again.",
            ) from error
        moved = Pose(turn[0], shift[0]).perturbed(step)
        turn, shift = moved.rotation[None], moved.translation[None]
        network = replace(network, rotations=turn, translations=shift)
        if np.abs(step).max() < 1e-13:
            break
    length = np.concatenate([residuals_px(network, c).ravel() for c in range(len(views))])
    corners_seen = int(np.isfinite(length).sum())
    noise = np.sqrt(np.nansum(length**2) / max(corners_seen - 6, 1))
    return replace(network, sigma_px=np.full(len(views), max(float(noise), _FINEST_PX)))


def _carried(rig: Rig, network: Network) -> FloatArray:
    """Carry the covariance into the frame of the board on the floor.

    With the cameras in error by d, the solved board pose moves by -H^-1 (what d does to the
    corners), H being its normal matrix; each camera's pose against the board changes by its own d
    and by that.
    """
    normals = normal_equations(network)
    inverse = np.linalg.inv(normals.boards[0])
    by_cameras = -inverse @ normals.ties[:, 0].T  # (6, Q)
    turn = np.zeros((len(by_cameras.T), 6))
    for camera, place in zip(rig.cameras, rig.parameter_slices(), strict=True):
        turn[place.start : place.start + 6] = adjoint(camera)
    carry = np.eye(len(turn)) + turn @ by_cameras
    cov = carry @ rig.cov @ carry.T + turn @ inverse @ turn.T
    return 0.5 * (cov + cov.T)
