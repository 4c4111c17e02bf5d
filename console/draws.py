"""Draws of the errors of reconstructed points: pixel noise and calibration together."""

from __future__ import annotations

import numpy as np

from lab.checks import FloatArray
from lab.points import Points3D
from lab.rig import Rig


def draw_errors(
    points: Points3D, rig: Rig | None, by_rig: FloatArray | None, count: int, seed: int
) -> FloatArray | None:
    """Draw errors of the points, (count, T, K, 3) m.

    Noise is drawn anew for every point and frame from `Points3D.cov`; the calibration's error is
    one draw of the whole rig, carried to the points by their derivative, the same throughout.

    Args:
        points: T frames, K points.
        rig: Where its covariance is not known only the noise is drawn.
        by_rig: (T, K, 3, Q) m per parameter; None without a rig.
        count: Number of draws.
        seed: The same seed gives the same draws.

    Returns:
        The draws, 0 where a point is missing; None where the noise of the points is not known.
    """
    if not np.isfinite(points.cov).any():
        return None
    rng = np.random.default_rng(seed)
    known = np.isfinite(points.cov.sum(axis=(-1, -2)) + points.xyz.sum(axis=-1))
    values, vectors = np.linalg.eigh(np.where(known[..., None, None], points.cov, 0.0))
    root = vectors * np.sqrt(np.clip(values, 0, None))[..., None, :]
    errors = np.einsum("tkij,btkj->btki", root, rng.standard_normal((count, *points.xyz.shape)))
    if rig is not None and by_rig is not None and rig.has_covariance:
        shift = np.tensordot(rig.draw(rng, count), np.nan_to_num(by_rig), axes=(1, 3))
        errors += np.where(known[..., None], shift, 0.0)
    return errors
