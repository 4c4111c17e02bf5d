"""What each camera saw of the board in a calibration, and what the fit left over."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lab.checks import FloatArray, frozen_array


@dataclass(frozen=True, slots=True, eq=False)
class CameraViews:
    """The V views of the board that one camera's calibration rests on, n corners in all.

    Attributes:
        camera: Its name.
        xy_px: (n, 2) where the corners were seen.
        residual_px: (n, 2) seen minus predicted.
        view: (n,) which of the views each corner belongs to, from 0.
        pose: (V,) which board pose each view shows: views of several cameras with one number show
            the board at one time.
        depth_m: (V,) distance of the board's middle along the camera's axis.
        tilt_rad: (V,) angle between the board's normal and the line of sight to its middle; 0
            where it is seen square on.
    """

    camera: str
    xy_px: FloatArray = field(metadata={"unit": "px", "frame": "image"})
    residual_px: FloatArray = field(metadata={"unit": "px", "frame": "image"})
    view: FloatArray
    pose: FloatArray
    depth_m: FloatArray = field(metadata={"unit": "m"})
    tilt_rad: FloatArray = field(metadata={"unit": "rad"})

    def __post_init__(self) -> None:
        corners, views = len(np.asarray(self.view)), len(np.asarray(self.pose))
        for name, shape in (
            ("xy_px", (corners, 2)),
            ("residual_px", (corners, 2)),
            ("view", (corners,)),
            ("pose", (views,)),
            ("depth_m", (views,)),
            ("tilt_rad", (views,)),
        ):
            array = frozen_array(getattr(self, name), shape, f"CameraViews.{name}")
            if not np.isfinite(array).all():
                raise ValueError(f"CameraViews.{name}: not finite")
            object.__setattr__(self, name, array)
        if corners and not (self.view.min() >= 0 and self.view.max() < views):
            raise ValueError("CameraViews.view: a corner of no view")

    def cells(self, size_px: tuple[int, int], grid: tuple[int, int]) -> FloatArray:
        """Return how many corners (rows, columns) each cell of a grid (columns, rows) saw."""
        place = np.floor((self.xy_px + 0.5) / np.array(size_px) * np.array(grid)).astype(int)
        inside = ((place >= 0) & (place < np.array(grid))).all(-1)
        counts = np.zeros((grid[1], grid[0]))
        np.add.at(counts, (place[inside, 1], place[inside, 0]), 1.0)
        return counts

    def mean_residuals(self, size_px: tuple[int, int], grid: tuple[int, int]) -> FloatArray:
        """Return the mean residual (rows, columns, 2) px in each cell; NaN where none was seen."""
        place = np.floor((self.xy_px + 0.5) / np.array(size_px) * np.array(grid)).astype(int)
        inside = ((place >= 0) & (place < np.array(grid))).all(-1)
        total = np.zeros((grid[1], grid[0], 2))
        np.add.at(total, (place[inside, 1], place[inside, 0]), self.residual_px[inside])
        count = self.cells(size_px, grid)[..., None]
        return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
