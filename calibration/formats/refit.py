"""A lens in another lens model, by least squares over its image, and what that costs in px."""

# scipy carries no type information.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from lab.camera import Camera
from lab.checks import FloatArray
from lab.errors import LabError
from lab.lens_model import COEFFICIENTS, distort, fold_radius
from lab.pose import Pose

# A lens that another model follows no better than this is refused.
WORST_RMS_PX = 1.0
_GRID = (41, 31)
_LEAST_SEEN = 0.98  # part of the image's grid that must have a line of sight
# Coefficients this small move no pixel of any image by 1e-9 px.
_NOTHING = 1e-18
_NAMES = {
    "brown4": "Brown-Conrady with 4 coefficients",
    "brown5": "Brown-Conrady with 5 coefficients",
    "brown8": "the rational model with 8 coefficients",
    "fisheye": "Kannala-Brandt",
}


@dataclass(frozen=True, slots=True)
class Refit:
    """One lens written in another model.

    Attributes:
        camera: Its name.
        before, after: The models, in words.
        rms_px: Distance between the pixels of the same lines of sight, over the whole image.
        max_px: The largest of them.
    """

    camera: str
    before: str
    after: str
    rms_px: float
    max_px: float

    @property
    def text(self) -> str:
        """In a sentence."""
        return (
            f"{self.camera}: the lens ({self.before}) was refitted as {self.after}, which differs "
            f"by {self.rms_px:.2g} px RMS over the image, {self.max_px:.2g} px at most"
        )


def as_model(camera: Camera, models: Sequence[str]) -> tuple[Camera, Refit | None]:
    """Return the camera in the first of the models that holds it, else refitted in the last.

    A shorter Brown-Conrady model holds a longer one whose further coefficients are zero, and the
    longer any shorter.

    Raises:
        LabError: When the best fit is worse than `WORST_RMS_PX`.
    """
    for model in models:
        exact = _exact(camera, model)
        if exact is not None:
            return exact, None
    return refit(camera, models[-1])


def _exact(camera: Camera, model: str) -> Camera | None:
    if camera.model == model:
        return camera
    if "fisheye" in (camera.model, model):
        return None
    k, size = camera.coefficients, len(COEFFICIENTS[model])
    if (np.abs(k[size:]) > _NOTHING).any():
        return None
    kept = np.concatenate([k[:size], np.zeros(max(size - len(k), 0))])
    return replace(camera, model=model, intrinsics=np.concatenate([camera.intrinsics[:4], kept]))


def refit(camera: Camera, model: str) -> tuple[Camera, Refit]:
    """Fit a lens model to the camera's lines of sight over its image; the pose stays."""
    xy_px = image_grid(camera.size_px)
    directions, seen = camera.normalised(xy_px)
    if seen.mean() < _LEAST_SEEN:
        raise LabError(
            "its lens has no line of sight in parts of the image (its model folds or looks behind "
            "itself), so it cannot be refitted",
            where=camera.name,
            remedy="Choose a format that holds this lens model (aniposelib, opencv).",
        )
    start = np.concatenate([camera.intrinsics[:4], np.zeros(len(COEFFICIENTS[model]))])
    before = _NAMES[camera.model]
    return fit_lens(
        camera.name, camera.size_px, model, start, xy_px[seen], directions[seen], before,
        camera.cam_from_lab,
    )  # fmt: skip


def fit_lens(
    name: str,
    size_px: tuple[int, int],
    model: str,
    start: FloatArray,
    xy_px: FloatArray,
    directions: FloatArray,
    before: str,
    pose: Pose,
) -> tuple[Camera, Refit]:
    """Fit a model's intrinsics to pixels (n, 2) and their directions x/z, y/z (n, 2).

    Args:
        name: Of the camera.
        size_px: (width, height).
        model: Of `lens_model.MODELS`.
        start: (P,) intrinsics to start from.
        xy_px: The pixels.
        directions: Their lines of sight in the camera frame.
        before: The lens as it was, in words.
        pose: Of the camera.

    Raises:
        LabError: When the best fit is worse than `WORST_RMS_PX`.
    """
    scale = np.concatenate([start[:4], np.ones(len(start) - 4)])

    def residual(x: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            bent = distort(model, x[4:], directions)[0]
        return np.nan_to_num((bent * x[:2] + x[2:4] - xy_px).ravel(), nan=1e6, posinf=1e6)

    def jacobian(x: FloatArray) -> FloatArray:
        with np.errstate(all="ignore"):
            bent, _, by_k = distort(model, x[4:], directions)
        rows = np.zeros((*bent.shape, len(x)))
        rows[:, 0, 0], rows[:, 1, 1] = bent[:, 0], bent[:, 1]
        rows[:, 0, 2] = rows[:, 1, 3] = 1.0
        rows[..., 4:] = x[:2, None] * by_k
        return np.nan_to_num(rows.reshape(-1, len(x)))

    found = least_squares(
        residual, start, jacobian,  # pyright: ignore[reportArgumentType]
        method="trf", x_scale=np.abs(scale), xtol=1e-15, ftol=1e-15,
        gtol=1e-15, max_nfev=500,
    )  # fmt: skip
    error = np.linalg.norm(residual(found.x).reshape(-1, 2), axis=1)
    rms, largest = float(np.sqrt(np.mean(error**2))), float(error.max())
    widest = float(np.linalg.norm(directions, axis=1).max())
    # A model that folds inside the image gives two directions for one pixel.
    folded = fold_radius(model, found.x[4:]) <= widest
    if rms > WORST_RMS_PX or folded or found.x[:2].min() <= 0:
        why = "folds within the image" if folded else f"is off by {rms:.2g} px RMS"
        raise LabError(
            f"its lens ({before}) cannot be written as {_NAMES[model]}: the best fit {why}",
            where=name,
            remedy="Choose a format that holds this lens model (aniposelib, opencv).",
        )
    return (
        Camera(name, size_px, model, found.x, pose),
        Refit(name, before, _NAMES[model], rms, largest),
    )


def image_grid(size_px: tuple[int, int]) -> FloatArray:
    """Return pixels (n, 2) spread over a whole image, its corners among them."""
    width, height = size_px
    u, v = np.meshgrid(np.linspace(0, width - 1, _GRID[0]), np.linspace(0, height - 1, _GRID[1]))
    return np.stack([u.ravel(), v.ravel()], axis=-1)


def refit_all(
    cameras: Sequence[Camera], models: Sequence[str]
) -> tuple[list[Camera], tuple[Refit, ...]]:
    """Do `as_model` for every camera."""
    done = [as_model(camera, models) for camera in cameras]
    return [camera for camera, _ in done], tuple(r for _, r in done if r is not None)
