"""Corners as free points: triangulated without knowing that they belong to a board."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.camera import Camera
from lab.checks import FloatArray

_STEPS = 12


def triangulate(cameras: Sequence[Camera], xy_px: FloatArray) -> FloatArray:
    """Return points (N, 3) m from pixels (C, N, 2); NaN where fewer than two cameras saw one.

    Linear start from the lines of sight (the point nearest to all of them), then Gauss-Newton on
    the reprojection error with unit weights.
    """
    count = xy_px.shape[1]
    seen = np.isfinite(xy_px.sum(-1))
    normal, right = np.zeros((count, 3, 3)), np.zeros((count, 3))
    for c, camera in enumerate(cameras):
        rays = camera.ray(xy_px[c])
        use = seen[c] & rays.converged
        seen[c] = use
        across = np.eye(3) - rays.direction[:, :, None] * rays.direction[:, None, :]
        across = np.where(use[:, None, None], across, 0.0)
        normal += across
        right += across @ rays.origin
    enough = seen.sum(0) >= 2
    points = np.full((count, 3), np.nan)
    points[enough] = _solve(normal[enough], right[enough])
    for _ in range(_STEPS):
        normal, gradient = np.zeros((count, 3, 3)), np.zeros((count, 3))
        for c, camera in enumerate(cameras):
            projected = camera.project_with_jacobians(points)
            residual = xy_px[c] - projected.xy_px
            use = seen[c] & np.isfinite(residual).all(-1)
            by_point = np.where(use[:, None, None], projected.by_point, 0.0)
            residual = np.where(use[:, None], residual, 0.0)
            normal += np.swapaxes(by_point, 1, 2) @ by_point
            gradient += np.einsum("nij,ni->nj", by_point, residual)
        points[enough] += _solve(normal[enough], gradient[enough])
    return points


def rigid_residuals(points: FloatArray, model: FloatArray) -> FloatArray:
    """Return the residuals (N, 3) of points to a model (N, 3) laid on them without scale.

    Kabsch, Acta Crystallographica A32:922, 1976.
    """
    measured, wanted = points - points.mean(0), model - model.mean(0)
    u, _, vt = np.linalg.svd(measured.T @ wanted)
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return measured @ (u @ flip @ vt) - wanted


def _solve(matrices: FloatArray, vectors: FloatArray) -> FloatArray:
    """Solve (N, 3, 3) x = (N, 3); a point that is not determined stays where it is."""
    trace = np.trace(matrices, axis1=1, axis2=2)
    safe = matrices + (1e-12 * trace + 1e-30)[:, None, None] * np.eye(3)
    return np.linalg.solve(safe, vectors[..., None])[..., 0]
