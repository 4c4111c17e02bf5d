"""From sightings of the board to the adjusted network of cameras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from calibration.board import Board
from calibration.bundle import ROUGHLY, Network, adjust, view_normals
from calibration.lens import Lens, basis, calibrate_lens
from calibration.start import camera_chain, shared_board_poses
from calibration.synchrony import chi_squared, disagreements, estimate_jitter
from calibration.views import Sightings
from lab.checks import FloatArray
from lab.errors import LabError

# A view that disagrees with the network at this level of chance is not believed.
_VIEW_CHANCE = 1e-6
_ROBUST_ROUNDS = 8
_DOUBT = 3.0  # robust standard deviations, where the Cauchy loss begins to doubt
_SAME_SCALE = 0.1
_MEDIAN_OF_NORM = 1.1774
_FEWEST_CORNERS = 4


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A solved network.

    Attributes:
        network: Adjusted; the first camera's pose is its gauge.
        sightings: What went in, with only the views used.
        lenses: What each camera's own views said.
        views_dropped: Views that disagreed with all others, by camera (C,).
        asynchrony: Square root of the views' disagreement over what corner noise explains.
    """

    network: Network
    sightings: Sightings
    lenses: tuple[Lens, ...]
    views_dropped: FloatArray
    asynchrony: float


def solve(
    sightings: Sightings,
    sizes_px: Mapping[str, tuple[int, int]],
    board: Board,
    models: Mapping[str, str] | None = None,
    still: frozenset[int] = frozenset(),
) -> Solution:
    """Solve lenses, camera poses and board poses together.

    First each camera alone: lens, noise and wrong corners. Then the chain of cameras, a robust
    adjustment with the lenses held, the views that do not fit taken out, the jitter between the
    cameras' exposures, and the joint least squares of everything.

    Args:
        sightings: Of all cameras.
        sizes_px: (width, height) of each camera's images.
        board: The board.
        still: Board poses in which the board did not move.
        models: Lens model of each camera; None chooses by held-out error.

    Raises:
        LabError: When a camera's lens or its place cannot be determined.
    """
    corners_m = board.corners_m()
    lenses = tuple(
        calibrate_lens(name, sizes_px[name], views, corners_m, (models or {}).get(name))
        for name, views in zip(sightings.names, sightings.views, strict=True)
    )
    sightings = _believed(sightings, lenses)
    cameras = [lens.camera for lens in lenses]
    poses = [(lens.rotations, lens.translations) for lens in lenses]
    chain = camera_chain(sightings.names, sightings, poses, corners_m.mean(0))
    cameras = [
        replace(camera, cam_from_lab=pose) for camera, pose in zip(cameras, chain, strict=True)
    ]
    rotations, translations = shared_board_poses(cameras, sightings, poses, corners_m)
    network = Network(
        tuple(cameras),
        tuple(np.zeros((9, 0)) for _ in cameras),
        rotations,
        translations,
        sightings.views,
        corners_m,
        np.array([lens.sigma_px for lens in lenses]),
        still=still,
    )
    network = _in_front(network)
    network = _robust(network)
    network = replace(network, bases=tuple(basis(lens.model) for lens in lenses))
    before = np.array([len(v) for v in network.views])
    for _ in range(3):
        network = estimate_jitter(network)
        fitting = _fitting_views(network)
        if all(f.all() for f in fitting):
            break
        network = _without(network, fitting)
    dropped = before - np.array([len(v) for v in network.views])
    total, freedom = chi_squared(replace(network, jitter=(0.0, 0.0)))
    asynchrony = float(np.sqrt(total / freedom)) if freedom > 0 else float("nan")
    used = replace(sightings, views=network.views)
    return Solution(network, used, lenses, dropped, asynchrony)


def _believed(sightings: Sightings, lenses: tuple[Lens, ...]) -> Sightings:
    """Keep the corners that the lens calibration believed."""
    views = []
    for given, lens in zip(sightings.views, lenses, strict=True):
        views.append(replace(lens.views, pose=given.pose[lens.kept]))
    return replace(sightings, views=tuple(views))


def _lengths(network: Network, camera: int) -> FloatArray:
    """Return residuals (V, K) in standard deviations of the corner noise; NaN where not in use."""
    views = network.views[camera]
    length = np.linalg.norm(view_normals(network, camera).residuals_px, axis=-1)
    length = length * np.sqrt(views.weight) / network.sigma_px[camera]
    return np.where(views.weight > 0, length, np.nan)


def _in_front(network: Network) -> Network:
    """Drop the views whose board lies behind their camera at the start: they cannot be right."""
    fitting = []
    for c, views in enumerate(network.views):
        length = _lengths(network, c)
        fitting.append(np.isfinite(np.where(views.weight > 0, length, 0.0)).all(1))
    return _without(network, fitting)


def _robust(network: Network) -> Network:
    """Adjust with a Cauchy loss over corners, one scale for all cameras, the lenses held."""
    given, previous = network.sigma_px, np.inf
    for _ in range(_ROBUST_ROUNDS):
        lengths = [_lengths(network, c) for c in range(len(network.views))]
        everything = np.concatenate([length.ravel() for length in lengths])
        scale = max(float(np.nanmedian(everything)) / _MEDIAN_OF_NORM, 1.0)
        if abs(scale / previous - 1) < _SAME_SCALE:
            break
        wider = replace(network, sigma_px=given * scale)
        network = replace(adjust(wider, ROUGHLY, cauchy=_DOUBT), sigma_px=given)
        previous = scale
    return network


def _fitting_views(network: Network) -> list[np.ndarray]:
    """Say which views agree with the network within corner noise and jitter, by camera."""
    jitter = np.diag(np.repeat([network.jitter[0] ** 2, network.jitter[1] ** 2], 3))
    limit = float(chi2.isf(_VIEW_CHANCE, 6))
    result = []
    for c, one in enumerate(disagreements(network)):
        still = np.isin(network.views[c].pose, list(network.still))
        total = one.cov + np.where(still[:, None, None], 0.0, jitter)
        away = np.linalg.solve(total, one.displacement[..., None])[..., 0]
        # A still board is judged by the gate: it defines the lab frame and is never dropped here.
        result.append(((one.displacement * away).sum(1) < limit) | still)
    return result


def _without(network: Network, keep: list[np.ndarray]) -> Network:
    """Drop views; a board pose that no camera sees any more stays where it is."""
    views = [v.only(k) for v, k in zip(network.views, keep, strict=True)]
    if any(len(v) == 0 for v in views):
        alone = [c.name for c, v in zip(network.cameras, views, strict=True) if not len(v)]
        raise LabError(
            f"no view of {', '.join(alone)} agrees with the other cameras",
            where="calibration",
            remedy="Are its frames from the same moments, and is its video the right one?",
        )
    return replace(network, views=tuple(views))
