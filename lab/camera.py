"""A camera: its lens and where it stands; points to pixels and back, with derivatives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray, frozen_array
from lab.lens_model import COEFFICIENTS, MODELS, distort, undistort
from lab.pose import Pose


def intrinsics_names(model: str) -> tuple[str, ...]:
    """Return the names of a model's P intrinsic parameters, in order."""
    return ("fx", "fy", "cx", "cy", *COEFFICIENTS[model])


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Pixels and their derivatives.

    Attributes:
        xy_px: (..., 2); NaN for points at or behind the camera's plane.
        by_point: (..., 2, 3) px/m, by the point in the lab frame.
        by_pose: (..., 2, 6) px/rad and px/m, by the perturbation of `Pose.perturbed`.
        by_intrinsics: (..., 2, P).
    """

    xy_px: FloatArray
    by_point: FloatArray
    by_pose: FloatArray
    by_intrinsics: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """Lines of sight.

    Attributes:
        origin: (3,) m, the camera's centre in the lab frame.
        direction: (..., 3) unit vectors in the lab frame; NaN where not converged.
        converged: (...) whether the lens could be inverted there.
    """

    origin: FloatArray
    direction: FloatArray
    converged: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """A camera's lens model and pose.

    Attributes:
        name: Unique in its rig.
        size_px: (width, height).
        model: brown4, brown5, brown8 (OpenCV's coefficients) or fisheye (Kannala-Brandt).
        intrinsics: (P,) fx, fy, cx, cy in px, then the coefficients of the model in the order
            of `lens_model.COEFFICIENTS`.
        cam_from_lab: Camera frame x right, y down, z forward.
    """

    name: str
    size_px: tuple[int, int]
    model: str
    intrinsics: FloatArray = field(metadata={"unit": "px, px, px, px, then 1"})
    cam_from_lab: Pose

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("Camera.name is empty")
        if self.model not in MODELS:
            raise ValueError(f"Camera.model must be one of {MODELS}, got {self.model!r}")
        size = (int(self.size_px[0]), int(self.size_px[1]))
        if min(size) <= 0:
            raise ValueError(f"Camera.size_px must be positive, got {size}")
        length = len(intrinsics_names(self.model))
        intrinsics = frozen_array(self.intrinsics, (length,), "Camera.intrinsics")
        if not np.isfinite(intrinsics).all() or (intrinsics[:2] <= 0).any():
            raise ValueError("Camera.intrinsics: not finite, or a focal length not positive")
        object.__setattr__(self, "size_px", size)
        object.__setattr__(self, "intrinsics", intrinsics)

    @property
    def matrix(self) -> FloatArray:
        """The camera matrix K (3, 3) px."""
        fx, fy, cx, cy = self.intrinsics[:4]
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])

    @property
    def coefficients(self) -> FloatArray:
        """The distortion coefficients (n,), in OpenCV's order."""
        return self.intrinsics[4:]

    @property
    def centre(self) -> FloatArray:
        """Where the camera stands, (3,) m in the lab frame."""
        return self.cam_from_lab.inverse().translation

    def project(self, points: Any) -> FloatArray:
        """Return the pixels (..., 2) of points (..., 3) m in the lab frame.

        NaN for points at or behind the camera's plane.
        """
        in_camera = self.cam_from_lab.transform(points)
        z = in_camera[..., 2:]
        with np.errstate(all="ignore"):
            xy = np.where(z > 0, in_camera[..., :2] / z, np.nan)
            bent, _, _ = distort(self.model, self.coefficients, xy)
        return bent * self.intrinsics[:2] + self.intrinsics[2:4]

    def project_with_jacobians(self, points: Any) -> Projection:
        """Project points (..., 3) m in the lab frame, with analytic derivatives."""
        in_camera = self.cam_from_lab.transform(points)
        x, y, z = in_camera[..., 0], in_camera[..., 1], in_camera[..., 2]
        with np.errstate(all="ignore"):
            xy = np.where(z[..., None] > 0, in_camera[..., :2] / z[..., None], np.nan)
            bent, by_xy, by_k = distort(self.model, self.coefficients, xy)
            inverse_z = np.where(z > 0, 1 / z, np.nan)
        focal = self.intrinsics[:2]
        flat = np.zeros((*z.shape, 2, 3))
        flat[..., 0, 0] = flat[..., 1, 1] = inverse_z
        flat[..., 0, 2] = -xy[..., 0] * inverse_z
        flat[..., 1, 2] = -xy[..., 1] * inverse_z
        by_camera_point = focal[:, None] * (by_xy @ flat)
        # d(Exp(w) X)/dw at w = 0 is -[X]x.
        minus_cross = np.zeros((*z.shape, 3, 3))
        minus_cross[..., 0, 1], minus_cross[..., 0, 2] = z, -y
        minus_cross[..., 1, 0], minus_cross[..., 1, 2] = -z, x
        minus_cross[..., 2, 0], minus_cross[..., 2, 1] = y, -x
        by_intrinsics = np.zeros((*z.shape, 2, len(self.intrinsics)))
        by_intrinsics[..., 0, 0], by_intrinsics[..., 1, 1] = bent[..., 0], bent[..., 1]
        by_intrinsics[..., 0, 2] = by_intrinsics[..., 1, 3] = 1.0
        by_intrinsics[..., 4:] = focal[:, None] * by_k
        return Projection(
            xy_px=bent * focal + self.intrinsics[2:4],
            by_point=by_camera_point @ self.cam_from_lab.rotation,
            by_pose=np.concatenate([by_camera_point @ minus_cross, by_camera_point], axis=-1),
            by_intrinsics=by_intrinsics,
        )

    def normalised(self, xy_px: Any) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Take the lens away: pixels (..., 2) to x/z, y/z (..., 2) in the camera frame.

        Returns:
            The coordinates, NaN where the lens has no inverse, and (...) where it converged.
        """
        bent = (np.asarray(xy_px, float) - self.intrinsics[2:4]) / self.intrinsics[:2]
        return undistort(self.model, self.coefficients, bent)

    def ray(self, xy_px: Any) -> Rays:
        """Return the lines of sight of pixels (..., 2)."""
        xy, converged = self.normalised(xy_px)
        in_camera = np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], axis=-1)
        in_camera /= np.linalg.norm(in_camera, axis=-1, keepdims=True)
        direction = np.where(converged[..., None], in_camera @ self.cam_from_lab.rotation, np.nan)
        return Rays(self.centre, direction, converged)

    def perturbed(self, delta: Any) -> Camera:
        """Return the camera with (6 + P,) added: pose as in `Pose.perturbed`, then intrinsics."""
        delta = np.asarray(delta, float)
        return replace(
            self,
            cam_from_lab=self.cam_from_lab.perturbed(delta[:6]),
            intrinsics=self.intrinsics + delta[6:],
        )
