"""The cameras of a lab and how well they are known, together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lab.camera import Camera
from lab.checks import FloatArray, frozen_array, unique_names


@dataclass(frozen=True, slots=True, eq=False)
class RigQuality:
    """What the calibration says of itself.

    Attributes:
        accepted: Whether the gate let it through.
        reasons: Why not, a line each; what to note, where accepted.
        figures: Figures of the whole rig by name with unit suffix, for example held_out_rmse_px.
        cameras: The same for each camera, by its name.
    """

    accepted: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, float]
    cameras: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Rig:
    """Calibrated cameras in the lab frame.

    Attributes:
        cameras: C cameras with different names.
        cov: (Q, Q) one joint covariance of all parameters: for each camera in turn its pose (6, as
            in `Pose.perturbed`, rad and m) and its intrinsics (P). It is given in the lab frame as
            gravity and the floor define it, so the uncertainty of "up" is part of it. All NaN
            where it is not known (a rig from another system).
        quality: What the calibration says of itself.
        created: ISO 8601 time of the calibration, UTC; empty when not known.
        board: The board used, in words; empty when not known.
    """

    cameras: tuple[Camera, ...]
    cov: FloatArray = field(metadata={"unit": "rad, m, px, 1 squared", "frame": "camera"})
    quality: RigQuality
    created: str
    board: str

    def __post_init__(self) -> None:
        cameras = tuple(self.cameras)
        if not cameras:
            raise ValueError("Rig: no cameras")
        unique_names([c.name for c in cameras], "Rig.cameras")
        size = sum(6 + len(c.intrinsics) for c in cameras)
        cov = frozen_array(self.cov, (size, size), "Rig.cov")
        if not (np.isfinite(cov).all() or np.isnan(cov).all()):
            raise ValueError("Rig.cov: must be finite, or NaN throughout where not known")
        object.__setattr__(self, "cameras", cameras)
        object.__setattr__(self, "cov", cov)

    @property
    def names(self) -> tuple[str, ...]:
        """The cameras' names, in order."""
        return tuple(c.name for c in self.cameras)

    @property
    def has_covariance(self) -> bool:
        """Whether the calibration error is known."""
        return bool(np.isfinite(self.cov).all())

    @property
    def sha256(self) -> str:
        """Hash of what the rig measures with: cameras and covariance, not dates or remarks."""
        digest = hashlib.sha256()
        for camera in self.cameras:
            digest.update(f"{camera.name}|{camera.size_px}|{camera.model}|".encode())
            for part in (
                camera.intrinsics,
                camera.cam_from_lab.rotation,
                camera.cam_from_lab.translation,
            ):
                digest.update(np.ascontiguousarray(part, "<f8").tobytes())
        digest.update(np.ascontiguousarray(self.cov, "<f8").tobytes())
        return digest.hexdigest()

    def camera(self, name: str) -> Camera:
        """Return a camera by name; ValueError when the rig has none of that name."""
        return self.cameras[self.names.index(name)]

    def parameter_slices(self) -> tuple[slice, ...]:
        """Return where each camera's 6 + P parameters stand in `cov`."""
        ends = np.cumsum([6 + len(c.intrinsics) for c in self.cameras])
        return tuple(
            slice(int(end) - 6 - len(c.intrinsics), int(end))
            for end, c in zip(ends, self.cameras, strict=True)
        )

    def draw(self, rng: np.random.Generator, n: int) -> FloatArray:
        """Draw n parameter errors (n, Q) from the joint covariance.

        Raises:
            ValueError: When the covariance is not known.
        """
        if not self.has_covariance:
            raise ValueError("Rig.draw: the covariance of this rig is not known")
        values, vectors = np.linalg.eigh(self.cov)
        root = vectors * np.sqrt(np.clip(values, 0, None))
        return rng.standard_normal((n, len(values))) @ root.T

    def perturbed(self, delta: Any) -> Rig:
        """Return the rig with (Q,) added to its parameters, as `Camera.perturbed` does."""
        delta = np.asarray(delta, float)
        cameras = tuple(
            c.perturbed(delta[s])
            for c, s in zip(self.cameras, self.parameter_slices(), strict=True)
        )
        return replace(self, cameras=cameras)
