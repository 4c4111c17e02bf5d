"""Draws of the errors of reconstructed points: pixel noise and calibration together."""

from __future__ import annotations

import numpy as np

from lab.checks import FloatArray
from lab.points import Points3D
from lab.rig import Rig
from reconstruct.persistence import Persistence, no_persistence
from reconstruct.plate_points import CarriedPoints


def draw_errors(
    points: Points3D,
    rig: Rig | None,
    by_rig: FloatArray | None,
    count: int,
    seed: int,
    persistence: Persistence | None = None,
) -> FloatArray | None:
    """Draw errors of the points, (count, T, K, 3) m.

    Noise is drawn for every point from `Points3D.cov`, anew in every frame or lasting as long as
    the residuals say; the calibration's error is one draw of the whole rig, carried to the points
    by their derivative, the same throughout.

    Args:
        points: T frames, K points.
        rig: Where its covariance is not known only the noise is drawn.
        by_rig: (T, K, 3, Q) m per parameter; None without a rig.
        count: Number of draws.
        seed: The same seed gives the same draws.
        persistence: How long the noise of each point lasts; None where it is new in every frame.

    Returns:
        The draws, 0 where a point is missing; None where the noise of the points is not known.
    """
    if not np.isfinite(points.cov).any():
        return None
    rng = np.random.default_rng(seed)
    known = np.isfinite(points.cov.sum(axis=(-1, -2)) + points.xyz.sum(axis=-1))
    values, vectors = np.linalg.eigh(np.where(known[..., None, None], points.cov, 0.0))
    # The symmetric root, which is steady over time, so that what lasts keeps its direction.
    root = (vectors * np.sqrt(np.clip(values, 0, None))[..., None, :]) @ vectors.swapaxes(-1, -2)
    lasting = no_persistence(len(points.names)) if persistence is None else persistence
    errors = np.empty((count, *points.xyz.shape))
    for k in range(len(points.names)):
        normal = lasting.draw(rng, points.t, k, count)
        errors[:, :, k] = (root[None, :, k] @ normal[..., None])[..., 0]
    if rig is not None and by_rig is not None:
        errors += _draw_rig(rng, rig, by_rig, count)
    return np.where(known[..., None], errors, 0.0)


def draw_carried_errors(carried: CarriedPoints, rig: Rig, count: int, seed: int) -> FloatArray:
    """Draw errors of landmarks that segments carry, (count, T, K, 3) m.

    The noise of a segment's pose is drawn once a frame for all its points, so that what they share
    stays shared; the error of the ties is one draw, the same throughout, as is the calibration's.

    Args:
        carried: The landmarks.
        rig: The cameras.
        count: Number of draws.
        seed: The same seed gives the same draws.

    Returns:
        The draws, 0 where a point is missing.
    """
    rng = np.random.default_rng(seed)
    frames, points = carried.points.xyz.shape[:2]
    known = np.array(np.isfinite(carried.points.xyz).all(-1), bool, ndmin=2)
    pose = rng.standard_normal((count, frames, len(carried.segments), 6))
    factor = np.nan_to_num(carried.factor)
    errors = np.einsum("tkij,btkj->btki", factor, pose[:, :, list(carried.segment_of)])
    values, vectors = np.linalg.eigh(carried.tie_cov)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    ties = (rng.standard_normal((count, len(values))) @ root.T).reshape(count, points, 3)
    errors += np.einsum("tkij,bkj->btki", np.nan_to_num(carried.by_tie), ties)
    errors += _draw_rig(rng, rig, carried.by_rig, count)
    return np.where(known[..., None], errors, 0.0)


def _draw_rig(rng: np.random.Generator, rig: Rig, by_rig: FloatArray, count: int) -> FloatArray:
    """Draw the calibration's error of the points; 0 where it is not known."""
    if not rig.has_covariance:
        return np.zeros((count, *by_rig.shape[:3]))
    return np.tensordot(rig.draw(rng, count), np.nan_to_num(by_rig), axes=(1, 3))
