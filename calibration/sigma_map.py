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
from lab.room_slice import RoomSlice

# Where a patient's pelvis is, over the middle of where the board was shown.
PELVIS_HEIGHT_M = 1.0
_TALL_M = 2.0  # a slice from the side reaches up to a patient's head
_MOST_CELLS = 14
_STEPS_M = (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


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


def room_slices(rig: Rig, floor: bool) -> tuple[RoomSlice, ...]:
    """Return the map in two planes: level at the pelvis' height, and upright along x.

    They reach as far as the cameras stand. Without a floor the frame is the first camera's: then
    there is one plane, its x and z (forward), through the point nearest to all lines of sight.
    None where the rig's covariance is not known.
    """
    if not rig.has_covariance:
        return ()
    centres = np.stack([camera.centre for camera in rig.cameras])
    middle = looked_at(rig)
    around = np.concatenate([centres, middle[None]])
    if floor:
        middle[2] = PELVIS_HEIGHT_M
        around = np.concatenate([around, [[*middle[:2], 0.0], [*middle[:2], _TALL_M]]])
    low, high = around.min(0), around.max(0)
    if floor:
        low[2], high[2] = 0.0, _TALL_M
    planes = ((0, 1), (0, 2)) if floor else ((0, 2),)
    widest = float((high - low).max())
    step = next((s for s in _STEPS_M if widest <= _MOST_CELLS * s), widest / _MOST_CELLS)
    return tuple(_slice(rig, axes, middle, low, high, step) for axes in planes)


def looked_at(rig: Rig) -> FloatArray:
    """Return the point (3,) m nearest to the cameras' lines of sight, by least squares."""
    centres = np.stack([camera.centre for camera in rig.cameras])
    looks = np.stack([camera.cam_from_lab.rotation[2] for camera in rig.cameras])
    across = np.eye(3) - looks[:, :, None] * looks[:, None, :]
    # One camera of several that look the same way leaves the distance open: least norm.
    right = np.einsum("cij,cj->i", across, centres - centres.mean(0))
    return centres.mean(0) + np.linalg.pinv(across.sum(0), rcond=1e-6) @ right


def _slice(
    rig: Rig,
    axes: tuple[int, int],
    through: FloatArray,
    low: FloatArray,
    high: FloatArray,
    step_m: float,
) -> RoomSlice:
    counts = [max(1, int(np.ceil((high[a] - low[a]) / step_m - 1e-9))) for a in axes]
    # Whole cells reach over both ends alike; a floor stays a cell's edge.
    first = np.array(
        [
            low[a] if low[a] == 0 else (low[a] + high[a] - n * step_m) / 2
            for a, n in zip(axes, counts, strict=True)
        ]
    )
    points = np.tile(through, (counts[1], counts[0], 1))
    points[..., axes[0]] = first[0] + (np.arange(counts[0]) + 0.5) * step_m
    points[..., axes[1]] = (first[1] + (np.arange(counts[1]) + 0.5) * step_m)[:, None]
    sigma = sigma_map(rig, points.reshape(-1, 3)).reshape(counts[1], counts[0])
    third = 3 - sum(axes)
    return RoomSlice(axes, float(through[third]), first, step_m, sigma)
