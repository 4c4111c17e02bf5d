"""Landmarks carried by segments: from tags in several cameras to points in space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Points3D
from lab.rig import Rig
from reconstruct.associate import AlignedKeypoints
from reconstruct.plate_ties import SegmentTie, select_points
from reconstruct.rigid import REASONS, RigidPath, solve_rigid


@dataclass(frozen=True, slots=True, eq=False)
class CarriedPoints:
    """Landmarks over time, and how their errors hang together.

    Attributes:
        points: (T, K); the covariance of each is that of its segment's pose.
        segments: S names.
        segment_of: (K,) which segment carries each point.
        factor: (T, K, 3, 6) m: a point's error is its factor times six standard normal numbers
            that all points of its segment share in that frame; NaN where missing.
        by_rig: (T, K, 3, Q) derivative by the rig's parameters, the ties' part included.
        by_tie: (T, K, 3, 3) derivative of each point by its place on the segment.
        tie_cov: (3 K, 3 K) m^2 of those places together, the same error in every frame.
        paths: The segments' poses.
    """

    points: Points3D
    segments: tuple[str, ...]
    segment_of: tuple[int, ...]
    factor: FloatArray
    by_rig: FloatArray
    by_tie: FloatArray
    tie_cov: FloatArray
    paths: Mapping[str, RigidPath]

    @property
    def withheld(self) -> dict[str, int]:
        """How many poses of segments were withheld for which reason."""
        status = np.concatenate([path.status for path in self.paths.values()])
        return {
            reason: int((status == code).sum())
            for code, reason in enumerate(REASONS)
            if reason and (status == code).any()
        }


def carry_landmarks(
    rig: Rig,
    aligned: AlignedKeypoints,
    ties: Mapping[str, SegmentTie],
    tie_rig: Rig | None = None,
) -> CarriedPoints:
    """Find each segment's pose in every frame and carry its landmarks along.

    Where the standing trial was seen by the same calibration, its error is the same in both: the
    ties' derivative is added to that of the poses, so that what both share counts once. The
    calibration's error in ties of another one is independent, and goes into the ties' covariance.

    Args:
        rig: The cameras.
        aligned: What they saw of the tags.
        ties: From the standing trial.
        tie_rig: The rig of the standing trial; by default the same.

    Raises:
        LabError: When no segment carries a landmark.
    """
    names = [name for tie in ties.values() for name in tie.landmarks]
    if not names:
        raise LabError(
            "the standing trial ties no landmark to a plate",
            where="plates",
            remedy="Point at landmarks with the wand in the standing trial.",
        )
    frames, size = len(aligned.t), len(rig.cov)
    xyz = np.empty((frames, len(names), 3))
    factor = np.empty((frames, len(names), 3, 6))
    by_rig = np.empty((frames, len(names), 3, size))
    by_tie = np.empty((frames, len(names), 3, 3))
    same = tie_rig is None or tie_rig.sha256 == rig.sha256
    tie_covs: list[FloatArray] = []
    paths: dict[str, RigidPath] = {}
    of: list[int] = []
    for s, (segment, tie) in enumerate(ties.items()):
        path = paths[segment] = solve_rigid(rig, select_points(aligned, tie.names), tie.points)
        root = _root(path.cov)
        tie_covs.append(tie.cov)
        if not same and tie_rig is not None and tie_rig.has_covariance:
            tie_covs[-1] = tie.cov + tie.by_rig @ tie_rig.cov @ tie.by_rig.T
        for i, place in enumerate(tie.landmarks.values()):
            k = len(of)
            of.append(s)
            by_pose = path.by_pose(place)
            xyz[:, k] = path.carry(place)
            factor[:, k] = by_pose @ root
            by_rig[:, k] = by_pose @ path.by_rig
            if same:
                by_rig[:, k] += path.rotation @ tie.by_rig[3 * i : 3 * i + 3]
            by_tie[:, k] = path.rotation
    cov = factor @ factor.swapaxes(-1, -2)
    return CarriedPoints(
        Points3D(tuple(names), aligned.t, xyz, cov),
        tuple(ties),
        tuple(of),
        factor,
        by_rig,
        by_tie,
        np.asarray(block_diag(*tie_covs), np.float64),
        paths,
    )


def _root(cov: FloatArray) -> FloatArray:
    """Return the symmetric root (T, 6, 6) of cov, steady over time; NaN where cov is."""
    known = np.isfinite(cov).all((1, 2))
    result = np.full(cov.shape, np.nan)
    values, vectors = np.linalg.eigh(cov[known])
    size = np.sqrt(np.clip(values, 0, None))[:, None, :]
    result[known] = (vectors * size) @ vectors.swapaxes(1, 2)
    return result
