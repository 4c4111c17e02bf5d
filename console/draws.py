"""Draws of the errors of reconstructed points: pixel noise and calibration together.

Each source is drawn from a stream of its own. The noise of two recordings is independent; a
calibration, and the ties of plates, err in the same way wherever they are used, so that the same
seed gives the same draws of them in every recording.
"""

from __future__ import annotations

import numpy as np

from lab.checks import FloatArray
from lab.cores import each_over_cores, over_cores
from lab.points import Points3D
from lab.rig import Rig
from reconstruct.persistence import Persistence, no_persistence
from reconstruct.plate_points import CarriedPoints

_NOISE, _TIES, _CALIBRATION = range(3)
_FRAMES = 128  # done at a time by one core


def draw_errors(
    points: Points3D,
    rig: Rig | None,
    by_rig: FloatArray | None,
    count: int,
    seed: int,
    persistence: Persistence | None = None,
    recording: int = 0,
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
        recording: Its number, so that the noise of another one is drawn apart.

    Returns:
        The draws, 0 where a point is missing; None where the noise of the points is not known.
    """
    if not np.isfinite(points.cov).any():
        return None
    known = np.isfinite(points.cov.sum(axis=(-1, -2)) + points.xyz.sum(axis=-1))
    values, vectors = np.linalg.eigh(np.where(known[..., None, None], points.cov, 0.0))
    # The symmetric root, which is steady over time, so that what lasts keeps its direction.
    root = (vectors * np.sqrt(np.clip(values, 0, None))[..., None, :]) @ vectors.swapaxes(-1, -2)
    lasting = no_persistence(len(points.names)) if persistence is None else persistence
    errors = np.empty((count, *points.xyz.shape))

    def draw(k: int) -> None:
        rng = np.random.default_rng([seed, _NOISE, recording, k])
        normal = lasting.draw(rng, points.t, k, count)
        errors[:, :, k] = (root[None, :, k] @ normal[..., None])[..., 0]

    each_over_cores(draw, len(points.names))
    if rig is not None and by_rig is not None:
        _add_rig(errors, rig, by_rig, seed)
    return np.where(known[..., None], errors, 0.0)


def draw_carried_errors(
    carried: CarriedPoints,
    rig: Rig,
    count: int,
    seed: int,
    persistence: Persistence | None = None,
    recording: int = 0,
) -> FloatArray:
    """Draw errors of landmarks that segments carry, (count, T, K, 3) m.

    The noise of a segment's pose is drawn once for all its points, so that what they share stays
    shared, anew in every frame or lasting as long as the residuals of its tags say; the error of
    the ties is one draw, the same throughout, as is the calibration's.

    Args:
        carried: The landmarks.
        rig: The cameras.
        count: Number of draws.
        seed: The same seed gives the same draws.
        persistence: How long the noise of each segment lasts; None where it is new in every frame.
        recording: Its number, so that the noise of another one is drawn apart.

    Returns:
        The draws, 0 where a point is missing.
    """
    points = carried.points.xyz.shape[1]
    known = np.array(np.isfinite(carried.points.xyz).all(-1), bool, ndmin=2)
    lasting = no_persistence(len(carried.segments)) if persistence is None else persistence
    factor = np.nan_to_num(carried.factor)
    errors = np.empty((count, *carried.points.xyz.shape))
    for s in range(len(carried.segments)):
        rng = np.random.default_rng([seed, _NOISE, recording, s])
        pose = lasting.draw(rng, carried.points.t, s, count, width=6)
        own = [k for k, of in enumerate(carried.segment_of) if of == s]
        errors[:, :, own] = np.einsum("tkij,btj->btki", factor[:, own], pose)
    rng = np.random.default_rng([seed, _TIES])
    values, vectors = np.linalg.eigh(carried.tie_cov)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    ties = (rng.standard_normal((count, len(values))) @ root.T).reshape(count, points, 3)
    errors += np.einsum("tkij,bkj->btki", np.nan_to_num(carried.by_tie), ties)
    _add_rig(errors, rig, carried.by_rig, seed)
    return np.where(known[..., None], errors, 0.0)


def _add_rig(errors: FloatArray, rig: Rig, by_rig: FloatArray, seed: int) -> None:
    """Draw the calibration's error and add that of the points, where it is known."""
    if not rig.has_covariance:
        return
    rng = np.random.default_rng([seed, _CALIBRATION, int(rig.sha256[:16], 16)])
    draws = rig.draw(rng, len(errors))

    def add(first: int, end: int) -> None:
        part = np.nan_to_num(by_rig[first:end])
        errors[:, first:end] += np.tensordot(draws, part, axes=(1, 3))

    over_cores(add, len(by_rig), chunk=_FRAMES)
