"""Named points over time: in one image, and in space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray, frozen_array, rising_times, unique_names


def _checked_cov(cov: NDArray[np.float64], what: str) -> None:
    """Raise ValueError unless the finite covariances are symmetric with positive diagonals."""
    diagonal = np.diagonal(cov, axis1=-2, axis2=-1)
    if (diagonal < 0).any():
        raise ValueError(f"{what}: a variance is negative")
    scale = np.nanmax(diagonal, initial=0.0)
    for row, column in combinations(range(cov.shape[-1]), 2):
        if (np.abs(cov[..., row, column] - cov[..., column, row]) > 1e-9 * scale).any():
            raise ValueError(f"{what}: not symmetric")


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints2D:
    """Named points in the images of one camera. A point that was not seen is NaN.

    Attributes:
        camera: The camera's name.
        names: K names.
        t: (T,) s, mid-exposure on the lab clock.
        xy_px: (T, K, 2) px; pixel (0, 0) is the centre of the top-left pixel.
        cov_px: (T, K, 2, 2) px^2; NaN where the noise is not known.
        score: (T, K) the detector's raw score as given; NaN where it gives none.
    """

    camera: str
    names: tuple[str, ...]
    t: FloatArray = field(metadata={"unit": "s", "frame": "lab clock"})
    xy_px: FloatArray = field(metadata={"unit": "px", "frame": "image"})
    cov_px: FloatArray = field(metadata={"unit": "px^2", "frame": "image"})
    score: FloatArray

    def __post_init__(self) -> None:
        names = unique_names(self.names, "Keypoints2D.names")
        t = rising_times(self.t, "Keypoints2D.t")
        shape = (len(t), len(names))
        cov = frozen_array(self.cov_px, (*shape, 2, 2), "Keypoints2D.cov_px")
        _checked_cov(cov, "Keypoints2D.cov_px")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "t", t)
        object.__setattr__(
            self, "xy_px", frozen_array(self.xy_px, (*shape, 2), "Keypoints2D.xy_px")
        )
        object.__setattr__(self, "cov_px", cov)
        object.__setattr__(self, "score", frozen_array(self.score, shape, "Keypoints2D.score"))


@dataclass(frozen=True, slots=True, eq=False)
class Points3D:
    """Named points in space. A point that is not known is NaN, never 0.

    Attributes:
        names: K names.
        t: (T,) s on the lab clock.
        xyz: (T, K, 3) m in the lab frame.
        cov: (T, K, 3, 3) m^2, the part of the uncertainty that is new in every frame (pixel
            noise); NaN where it is not known.
    """

    names: tuple[str, ...]
    t: FloatArray = field(metadata={"unit": "s", "frame": "lab clock"})
    xyz: FloatArray = field(metadata={"unit": "m", "frame": "lab"})
    cov: FloatArray = field(metadata={"unit": "m^2", "frame": "lab"})

    def __post_init__(self) -> None:
        names = unique_names(self.names, "Points3D.names")
        t = rising_times(self.t, "Points3D.t")
        shape = (len(t), len(names))
        cov = frozen_array(self.cov, (*shape, 3, 3), "Points3D.cov")
        _checked_cov(cov, "Points3D.cov")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "t", t)
        object.__setattr__(self, "xyz", frozen_array(self.xyz, (*shape, 3), "Points3D.xyz"))
        object.__setattr__(self, "cov", cov)

    def index(self, name: str) -> int:
        """Return the column of a point; ValueError when it is not among the names."""
        return self.names.index(name)

    def point(self, name: str) -> FloatArray:
        """Return the path (T, 3) m of one point."""
        return self.xyz[:, self.index(name)]

    def select(self, names: Sequence[str]) -> Points3D:
        """Return only these points, in this order."""
        columns = [self.index(n) for n in names]
        return replace(self, names=tuple(names), xyz=self.xyz[:, columns], cov=self.cov[:, columns])
