"""Whether a camera's lens is refined together with the rig: decided for each camera by itself.

The adjustment moves a lens to wherever its camera's residuals ask, the errors of other cameras
included, where its own views do not hold it: views from one distance, or in a corner of the image.
Such a lens stays as its own views have it, with the covariance that they give; where they do not
determine it either, only the few parameters of the smallest model are left to the rig.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calibration.lens import LENSES, Lens, basis
from lab.checks import FloatArray

Use = Literal["refined", "held", "smallest"]
SMALLEST = next(iter(LENSES))
_GRID = (8, 6)  # cells over an image, to say how much of it the board was seen in


@dataclass(frozen=True, slots=True)
class LensUse:
    """How the rig's adjustment takes one camera's lens.

    Attributes:
        use: refined (with the rest), held (as its own views have it), or smallest (refined with
            the smallest model, nothing else determining it).
        coverage: Part of the image's cells in which a corner was seen.
        depth_ratio: Depth of the corners, 95th percentile over 5th.
        focal_sigma: Of the focal length by the camera's own views, as a part of it.
        centre_sigma: Of the principal point, as a part of the image's longer side.
    """

    use: Use
    coverage: float
    depth_ratio: float
    focal_sigma: float
    centre_sigma: float


def lens_use(
    lens: Lens, corners_m: FloatArray, *, coverage: float, depth_ratio: float, sigma: float
) -> LensUse:
    """Decide by a camera's own views.

    Args:
        lens: Calibrated from them.
        corners_m: (K, 3) m of the board.
        coverage: The least that lets it be refined,
        depth_ratio: and the least depth.
        sigma: Largest focal and centre sigma (parts) of a lens that may be held.
    """
    used = lens.views.weight > 0
    seen = covered(lens.views.xy_px[used], lens.camera.size_px)
    depth = (corners_m @ lens.rotations[:, 2].T).T + lens.translations[:, 2:]
    near, far = np.percentile(depth[used], [5, 95])
    ratio = float(far / near)
    sd = np.sqrt(np.diag(lens.cov))
    focal = float(sd[:2].max() / lens.camera.intrinsics[0])
    centre = float(sd[2:4].max() / max(lens.camera.size_px))
    use: Use = "refined"
    if seen < coverage or ratio < depth_ratio:
        use = "held" if max(focal, centre) <= sigma else "smallest"
    return LensUse(use, seen, ratio, focal, centre)


def covered(xy_px: FloatArray, size_px: tuple[int, int]) -> float:
    """Return the part of the image's cells in which one of the pixels (N, 2) lies."""
    cell = np.floor(xy_px / np.array(size_px) * np.array(_GRID)).astype(int)
    inside = ((cell >= 0) & (cell < np.array(_GRID))).all(-1)
    seen = np.zeros(_GRID, bool)
    seen[cell[inside, 0], cell[inside, 1]] = True
    return float(seen.mean())


def held_covariance(lens: Lens) -> tuple[FloatArray, FloatArray]:
    """Return a held lens's free combinations (P, n) and their covariance (n, n)."""
    columns = basis(lens.model)
    back = np.linalg.pinv(columns)
    return columns, back @ lens.cov @ back.T


def lens_words(uses: dict[str, LensUse]) -> str:
    """Say for each camera what became of its lens."""
    said = []
    for use, what in (
        ("refined", "refined with the rig"),
        ("held", "kept as its own views have it (too little depth or coverage to refine it)"),
        ("smallest", "refined as f, cx, cy, k1 only (too little depth or coverage for more)"),
    ):
        names = [name for name, one in uses.items() if one.use == use]
        if names:
            said.append(f"{', '.join(names)} {what}")
    return "lenses: " + "; ".join(said)
