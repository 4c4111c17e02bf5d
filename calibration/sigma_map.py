"""How well the rig places a point, over the capture volume: the map of its 3D uncertainty.

A point X triangulated from pixels by least squares moves by dX = -(A'A)^-1 A'B d for an error d of
the rig's parameters, A and B being the projections' derivatives by the point and by the cameras
(implicit function theorem at noise-free pixels). With the rig's joint covariance S the point's is
G S G', G = -(A'A)^-1 A'B, in the frame and gauge of S; keypoint noise of sigma px adds
sigma^2 (A'A)^-1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.rig import Rig

# Where a patient's pelvis is, over the middle of where the board was shown.
PELVIS_HEIGHT_M = 1.0


def point_covariances(rig: Rig, points: FloatArray, noise_px: float = 0.0) -> FloatArray:
    """Return the covariance (N, 3, 3) m^2 of points (N, 3) m in the lab frame.

    A point counts as seen by every camera in whose image it lies.

    Args:
        rig: With its covariance; NaN where it is not known.
        points: Where.
        noise_px: Standard deviation of each coordinate of a keypoint; 0 for the rig's error alone.

    Returns:
        NaN for points that fewer than two cameras see.
    """
    points = np.asarray(points, float)
    normal = np.zeros((len(points), 3, 3))
    ties = np.zeros((len(points), 3, len(rig.cov)))
    seen = np.zeros(len(points), int)
    for camera, place in zip(rig.cameras, rig.parameter_slices(), strict=True):
        projected = camera.project_with_jacobians(points)
        with np.errstate(invalid="ignore"):
            within = (projected.xy_px > -0.5) & (projected.xy_px < np.array(camera.size_px) - 0.5)
        inside: NDArray[np.bool_] = np.all(within, axis=-1)
        by_point = np.where(inside[:, None, None], projected.by_point, 0.0)
        by_camera = np.concatenate([projected.by_pose, projected.by_intrinsics], axis=-1)
        by_camera = np.where(inside[:, None, None], by_camera, 0.0)
        normal += np.swapaxes(by_point, 1, 2) @ by_point
        ties[:, :, place] = np.swapaxes(by_point, 1, 2) @ by_camera
        seen += inside
    cov = np.full((len(points), 3, 3), np.nan)
    known = seen > 1
    if known.any():
        inverse = np.linalg.inv(normal[known])
        gain = inverse @ ties[known]
        cov[known] = gain @ rig.cov @ np.swapaxes(gain, 1, 2) + noise_px**2 * inverse
    return 0.5 * (cov + np.swapaxes(cov, 1, 2))


def sigma_map(rig: Rig, points: FloatArray, noise_px: float = 0.0) -> FloatArray:
    """Return the standard deviation (N,) m of the points' places, all three axes together."""
    cov = point_covariances(rig, points, noise_px)
    return np.sqrt(np.einsum("nii->n", cov))


def volume_grid(low: FloatArray, high: FloatArray, step_m: float) -> FloatArray:
    """Return the points (N, 3) m of a grid over a volume, its corners included."""
    axes = [
        np.linspace(a, b, max(2, int(np.ceil((b - a) / step_m)) + 1))
        for a, b in zip(low, high, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def pelvis_figures(rig: Rig, boards: FloatArray, *, floor: bool) -> dict[str, float]:
    """Return the rig's uncertainty at a patient's pelvis and over the volume, mm.

    Args:
        rig: In its final frame.
        boards: (B, 3) m, where the board's centre was shown, in that frame.
        floor: Whether z is up from the floor; without, the pelvis is taken in the boards' middle.
    """
    pelvis = np.median(boards, axis=0)
    if floor:
        pelvis[2] = PELVIS_HEIGHT_M
    low, high = np.percentile(boards, [5, 95], axis=0)
    volume = sigma_map(rig, volume_grid(low, high, 0.5))
    known = volume[np.isfinite(volume)]
    return {
        "pelvis_sigma_mm": 1e3 * float(sigma_map(rig, pelvis[None])[0]),
        "volume_sigma_median_mm": 1e3 * float(np.median(known)) if len(known) else float("nan"),
        "volume_sigma_largest_mm": 1e3 * float(known.max()) if len(known) else float("nan"),
    }
