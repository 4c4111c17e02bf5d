"""A rigid transform between two named frames."""

# scipy carries no type information.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from lab.checks import FloatArray, frozen_array

_ORTHONORMAL_TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """`a_from_b`: takes coordinates in frame b to frame a, `x_a = rotation @ x_b + translation`.

    Attributes:
        rotation: (3, 3), orthonormal with determinant +1.
        translation: (3,) m.

    Raises:
        ValueError: On construction, when the rotation is not a proper rotation.
    """

    rotation: FloatArray
    translation: FloatArray = field(metadata={"unit": "m"})

    def __post_init__(self) -> None:
        rotation = frozen_array(self.rotation, (3, 3), "Pose.rotation")
        translation = frozen_array(self.translation, (3,), "Pose.translation")
        if not np.isfinite(translation).all():
            raise ValueError("Pose.translation: not finite")
        error = np.abs(rotation @ rotation.T - np.eye(3)).max()
        if not (error < _ORTHONORMAL_TOLERANCE and np.linalg.det(rotation) > 0):
            raise ValueError("Pose.rotation: not a proper rotation")
        object.__setattr__(self, "rotation", rotation)
        object.__setattr__(self, "translation", translation)

    @classmethod
    def identity(cls) -> Pose:
        """Return the pose that changes nothing."""
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def from_rotvec(cls, rotvec: Any, translation: Any) -> Pose:
        """Return the pose of a rotation vector (3,) rad and a translation (3,) m."""
        return cls(Rotation.from_rotvec(np.asarray(rotvec, float)).as_matrix(), translation)

    def __matmul__(self, other: Pose) -> Pose:
        """`a_from_c = a_from_b @ b_from_c`."""
        return Pose(
            self.rotation @ other.rotation, self.rotation @ other.translation + self.translation
        )

    def inverse(self) -> Pose:
        """Return `b_from_a`."""
        return Pose(self.rotation.T, -self.rotation.T @ self.translation)

    def transform(self, points: Any) -> FloatArray:
        """Take points (..., 3) m in frame b to frame a."""
        return np.asarray(points, float) @ self.rotation.T + self.translation

    def rotvec(self) -> FloatArray:
        """Return the rotation as a rotation vector (3,) rad."""
        return Rotation.from_matrix(self.rotation).as_rotvec()

    def perturbed(self, delta: Any) -> Pose:
        """Return `Exp(delta[:3]) @ rotation, Exp(delta[:3]) @ translation + delta[3:]`.

        Args:
            delta: (6,) rotation vector in rad, then translation in m, both in frame a. This is
                the perturbation that `Camera.project_with_jacobians` and `Rig.cov` refer to.
        """
        delta = np.asarray(delta, float)
        turn = Rotation.from_rotvec(delta[:3]).as_matrix()
        return Pose(turn @ self.rotation, turn @ self.translation + delta[3:])
