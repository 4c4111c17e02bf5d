"""Whether the board is flat and its squares are square: bow and stretch, from its own views.

A board bent about its two axes, or stretched along one, deforms in every view alike, whatever the
lens and the poses; mrcal's documentation ("board deformation") shows what becomes of a calibration
that does not know. Here each view keeps a board pose of its own and each camera its lens, so that
neither time nor the other cameras matter, and all views of all cameras share one shape. The
deformations are small, so one step of least squares from the flat board gives them, with their
covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from calibration.lens import Lens, basis
from calibration.network import Network
from lab.checks import FloatArray

_SHAPES = 3
# What is less is left: it moves nothing by as much as the corners' own noise does.
_OF_NO_MATTER_MM, _OF_NO_MATTER = 0.2, 5e-4
_NO_CHANCE = 6.0  # standard deviations
_SMALLEST_PART = 1e-9


@dataclass(frozen=True, slots=True)
class BoardShape:
    """How the board differs from its plan.

    Attributes:
        bow_mm: (2,) how far the middle stands out of the line of the edges, along the columns and
            along the rows; positive into the board, away from who looks at it.
        bow_sigma_mm: (2,) of these.
        stretch: Part by which its columns are wider apart than its rows against the plan.
        stretch_sigma: Of it.
        cov: (3, 3) of the two bows in m and the stretch.
    """

    bow_mm: tuple[float, float] = field(metadata={"unit": "mm"})
    bow_sigma_mm: tuple[float, float] = field(metadata={"unit": "mm"})
    stretch: float
    stretch_sigma: float
    cov: FloatArray

    def plus(self, rest: BoardShape) -> BoardShape:
        """Return the shape with what was found on top of it."""
        bow = (self.bow_mm[0] + rest.bow_mm[0], self.bow_mm[1] + rest.bow_mm[1])
        stretch = self.stretch + rest.stretch
        return BoardShape(bow, rest.bow_sigma_mm, stretch, rest.stretch_sigma, rest.cov)

    def surely(self) -> BoardShape:
        """Return the shape without what may be chance, or is of no matter."""
        bow = tuple(
            b if abs(b) > max(_OF_NO_MATTER_MM, _NO_CHANCE * s) else 0.0
            for b, s in zip(self.bow_mm, self.bow_sigma_mm, strict=True)
        )
        sure = abs(self.stretch) > max(_OF_NO_MATTER, _NO_CHANCE * self.stretch_sigma)
        stretch = self.stretch if sure else 0.0
        return replace(self, bow_mm=(bow[0], bow[1]), stretch=stretch)

    @property
    def flat(self) -> bool:
        """Whether the board is as planned."""
        return not any(self.bow_mm) and self.stretch == 0

    def corners_m(self, plan_m: FloatArray) -> FloatArray:
        """Return where corners (K, 3) m of the plan are on the board."""
        return plan_m + np.tensordot(self._sizes(), deformations(plan_m), axes=1)

    def doubts_m(self, plan_m: FloatArray) -> FloatArray:
        """Return (S, K, 3) m: where corners go by a standard deviation of each thing not known.

        The S things are independent, and only of what is solved for: the covariance of the
        corners is the sum of their squares.
        """
        solved = self._sizes() != 0
        root = np.linalg.cholesky(self.cov[np.ix_(solved, solved)])
        return np.tensordot(root.T, deformations(plan_m)[solved], axes=1)

    def _sizes(self) -> FloatArray:
        return np.array([1e-3 * self.bow_mm[0], 1e-3 * self.bow_mm[1], self.stretch])


def deformations(corners_m: FloatArray) -> FloatArray:
    """Return (3, K, 3): where corners go by a bow of 1 along x, along y, and a stretch of 1.

    With u and v from -1 to 1 over the corners, the bows are 1 - u^2 and 1 - v^2 along z; a stretch
    makes x larger and y smaller by half of it each, the size of the board being its scale.
    """
    middle = (corners_m.max(0) + corners_m.min(0)) / 2
    away = corners_m - middle
    part = away[:, :2] / np.abs(away[:, :2]).max(0)
    shapes = np.zeros((_SHAPES, *corners_m.shape))
    shapes[0, :, 2] = 1 - part[:, 0] ** 2
    shapes[1, :, 2] = 1 - part[:, 1] ** 2
    shapes[2, :, 0], shapes[2, :, 1] = away[:, 0] / 2, -away[:, 1] / 2
    return shapes


def board_shape(network: Network, lenses: Sequence[Lens]) -> BoardShape | None:
    """Return the shape that all views agree on; None where they do not determine it.

    Args:
        network: Solved.
        lenses: Of its cameras: which of their parameters are free.
    """
    information, gradient = np.zeros((_SHAPES, _SHAPES)), np.zeros(_SHAPES)
    for c, lens in enumerate(lenses):
        if len(network.views[c]):
            own, right = _without_lens(*_without_poses(network, c, basis(lens.model)))
            information += own
            gradient += right
    scale = np.sqrt(np.diag(information))
    if not (scale > 0).all():
        return None
    scaled = information / np.outer(scale, scale)
    if np.linalg.eigvalsh(scaled)[0] < _SMALLEST_PART:
        return None
    cov = np.linalg.inv(scaled) / np.outer(scale, scale)
    found, sigma = cov @ gradient, np.sqrt(np.diag(cov))
    return BoardShape(
        (1e3 * float(found[0]), 1e3 * float(found[1])),
        (1e3 * float(sigma[0]), 1e3 * float(sigma[1])),
        float(found[2]),
        float(sigma[2]),
        cov,
    )


def _without_poses(network: Network, c: int, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the normal equations of [lens, shape] and their gradient, each view's pose free."""
    camera, views = network.cameras[c], network.views[c]
    turns = network.rotations[views.pose]
    points = network.corners_m @ np.swapaxes(turns, 1, 2)
    points = points + network.translations[views.pose][:, None]
    projected = camera.project_with_jacobians(points)
    moved = np.einsum("vij,skj->vksi", turns, deformations(network.corners_m))
    by_shape = np.einsum("vkij,vksj->vkis", projected.by_point, moved)
    residual = views.xy_px - projected.xy_px
    design = np.concatenate(
        [projected.by_pose, projected.by_intrinsics @ columns, by_shape, residual[..., None]], -1
    )
    used = (views.weight > 0) & np.isfinite(design).all((-1, -2))
    root = np.sqrt(np.where(used, views.weight, 0.0)) / network.sigma_px[c]
    design = np.where(used[..., None, None], design, 0.0) * root[..., None, None]
    flat = design.reshape(len(views), 2 * views.weight.shape[1], design.shape[-1])
    products = np.swapaxes(flat, 1, 2) @ flat
    pose, rest = products[:, :6, :6], products[:, :6, 6:]
    scale = 1 / np.sqrt(np.einsum("vii->vi", pose))
    inverse = np.linalg.inv(pose * scale[:, :, None] * scale[:, None])
    inverse = inverse * scale[:, :, None] * scale[:, None]
    left = (products[:, 6:, 6:] - np.swapaxes(rest, 1, 2) @ inverse @ rest).sum(0)
    return left[:-1, :-1], left[:-1, -1]


def _without_lens(information: FloatArray, gradient: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eliminate one camera's lens."""
    lens = len(information) - _SHAPES
    scale = 1 / np.sqrt(np.maximum(np.diag(information)[:lens], 1e-300))
    own = information[:lens, :lens] * np.outer(scale, scale)
    inverse = np.linalg.pinv(own, rcond=1e-12, hermitian=True) * np.outer(scale, scale)
    ties = information[lens:, :lens] @ inverse
    return (
        information[lens:, lens:] - ties @ information[:lens, lens:],
        gradient[lens:] - ties @ gradient[:lens],
    )
