"""What each camera saw of the board, grouped into poses that the cameras share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Keypoints2D

# A homography needs four corners, two of them off any line through the others; six leave a check.
_FEWEST_CORNERS = 6
_FLATTEST_SQUARES = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """The V views of the board that one camera had.

    Attributes:
        pose: (V,) which board pose each view belongs to, each once.
        xy_px: (V, K, 2) corners; NaN where not seen.
        weight: (V, K) relative weight of each corner; 0 where not seen or not believed.
        t: (V,) s, the stamps of the frames; NaN where unknown, or not in step with other cameras.
    """

    pose: NDArray[np.intp]
    xy_px: FloatArray = field(metadata={"unit": "px"})
    weight: FloatArray
    t: FloatArray = field(default_factory=lambda: np.zeros(0), metadata={"unit": "s"})

    def __post_init__(self) -> None:
        if len(self.t) != len(self.pose):
            object.__setattr__(self, "t", np.full(len(self.pose), np.nan))

    def __len__(self) -> int:
        return len(self.pose)

    def only(self, keep: NDArray[np.bool_]) -> Views:
        """Return the views (V,) to keep."""
        return Views(self.pose[keep], self.xy_px[keep], self.weight[keep], self.t[keep])

    def believed(self, corners: NDArray[np.bool_]) -> Views:
        """Return the same views without the corners (V, K) that are not believed."""
        return replace(self, weight=np.where(corners, self.weight, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """The views of all cameras.

    Attributes:
        names: C cameras.
        views: One of each camera.
        t: (B,) s, when the board stood in each pose (the earliest camera's time).
    """

    names: tuple[str, ...]
    views: tuple[Views, ...]
    t: FloatArray = field(metadata={"unit": "s"})

    def only_poses(self, keep: NDArray[np.bool_]) -> Sightings:
        """Return the sightings of the poses (B,) to keep, renumbered."""
        number = np.cumsum(keep) - 1
        views = []
        for view in self.views:
            kept = view.only(keep[view.pose])
            views.append(replace(kept, pose=number[kept.pose]))
        return Sightings(self.names, tuple(views), self.t[keep])

    def cameras_per_pose(self) -> NDArray[np.intp]:
        """Return how many cameras saw each pose (B,)."""
        pose = np.concatenate([v.pose for v in self.views])
        return np.bincount(pose, minlength=len(self.t))


def group_views(
    observations: Mapping[str, Keypoints2D], board: Board, tolerance: float | None = None
) -> Sightings:
    """Group what the cameras saw at the same time into board poses.

    All frames are taken in the order of their times; a new pose begins when the camera has
    already been in the group, or the group would span more than the tolerance.

    Args:
        observations: The corners of each camera, by name.
        board: What they are corners of.
        tolerance: s; None stands for half the time between frames (median over all cameras).

    Returns:
        The sightings. Views with too few corners for a pose are left out.

    Raises:
        LabError: When the corners are not the board's, or a camera saw the board in no frame.
    """
    if tolerance is None:
        steps = [float(np.median(np.diff(o.t))) for o in observations.values() if len(o.t) > 1]
        tolerance = 0.5 * float(np.median(steps)) if steps else np.inf
    names = tuple(observations)
    usable = {name: usable_frames(keypoints, board) for name, keypoints in observations.items()}
    frames = sorted(
        (float(observations[name].t[i]), c, i) for c, name in enumerate(names) for i in usable[name]
    )
    groups: list[dict[int, int]] = []
    times: list[float] = []
    for t, camera, frame in frames:
        if not groups or camera in groups[-1] or t - times[-1] > tolerance:
            groups.append({})
            times.append(t)
        groups[-1][camera] = frame
    views = []
    for c, name in enumerate(names):
        pairs = [(b, group[c]) for b, group in enumerate(groups) if c in group]
        pose = np.array([b for b, _ in pairs], np.intp)
        views.append(_views_at(observations[name], pose, [i for _, i in pairs]))
    return Sightings(names, tuple(views), np.array(times))


def usable_frames(keypoints: Keypoints2D, board: Board) -> NDArray[np.intp]:
    """Return the frames in which enough corners, not all in a line, were seen."""
    if keypoints.names != board.corner_names:
        raise LabError(
            f"{len(keypoints.names)} points are not the {len(board.corner_names)} corners of "
            f"{board.words()}",
            where=keypoints.camera,
        )
    seen = np.isfinite(keypoints.xy_px).all(-1)
    plane = board.corners_m()[:, :2] / board.square_m
    count = np.maximum(seen.sum(1), 1)
    mean = seen @ plane / count[:, None]
    moments = np.einsum("tk,ki,kj->tij", seen.astype(float), plane, plane) / count[:, None, None]
    spread = np.linalg.eigvalsh(moments - mean[:, :, None] * mean[:, None, :])[:, 0]
    good = (seen.sum(1) >= _FEWEST_CORNERS) & (spread > _FLATTEST_SQUARES**2)
    return np.flatnonzero(good)


def _views_at(keypoints: Keypoints2D, pose: NDArray[np.intp], frames: Sequence[int]) -> Views:
    xy = keypoints.xy_px[list(frames)]
    seen = np.isfinite(xy.sum(-1))
    variance = np.trace(keypoints.cov_px[list(frames)], axis1=-2, axis2=-1) / 2
    known = seen & np.isfinite(variance) & (variance > 0)
    # Only the ratio between corners matters: the scale is estimated. Unknown counts as usual.
    usual = float(np.median(variance[known])) if known.any() else 1.0
    weight = np.where(known, usual / np.where(known, variance, 1.0), 1.0)
    return Views(
        pose,
        np.where(seen[..., None], xy, np.nan),
        np.where(seen, weight, 0.0),
        keypoints.t[list(frames)],
    )
