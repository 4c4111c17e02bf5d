"""From sightings of the board to the adjusted network of cameras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.stats import chi2

from calibration.board import Board
from calibration.bundle import adjust
from calibration.lens import Lens, basis, calibrate_lens
from calibration.lens_choice import larger_lenses
from calibration.lens_gate import SMALLEST, LensUse, lens_use
from calibration.network import Network
from calibration.normals import residuals_px
from calibration.offsets import adjust_as, continuous, solve_offsets
from calibration.solution import Solution, as_seen
from calibration.start import camera_chain, shared_board_poses
from calibration.steadiness import find_step
from calibration.synchrony import chi_squared, disagreements, estimate_jitter
from calibration.thresholds import thresholds
from calibration.timed_network import TimedNetwork
from calibration.views import Sightings
from lab.checks import FloatArray
from lab.cores import each_over_cores
from lab.errors import LabError

# A view that disagrees with the network at this level of chance is not believed.
_VIEW_CHANCE = 1e-6
_ROBUST_ROUNDS = 8
_DOUBT = 3.0  # robust standard deviations, where the Cauchy loss begins to doubt
_SAME_SCALE = 0.1
_COARSELY = 1e-4  # what of the cost a step must promise between rounds of reweighting
_MEDIAN_OF_NORM = 1.1774
_NOT_TOGETHER = 2.0  # asynchrony beyond which the cameras' times are looked into
# When frames of the same number were taken: looked into where the views disagree (auto), by one
# trigger (common), at each camera's own times (own), those being of the middle row of a shutter
# that takes the rows one after the other (rolling).
Shutter = Literal["auto", "common", "own", "rolling"]


def solve(
    sightings: Sightings,
    sizes_px: Mapping[str, tuple[int, int]],
    board: Board,
    models: Mapping[str, str] | None = None,
    still: frozenset[int] = frozenset(),
    like: TimedNetwork | None = None,
    shutter: Shutter = "auto",
    corners_m: FloatArray | None = None,
    steps: bool = True,
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
        models: Lens model of each camera; None chooses by held-out error, and where the cameras'
            views disagree by what a larger one has and the chosen has not, that one.
        like: A solution with time offsets whose offsets and variance components are to be taken.
        shutter: When the frames were taken.
        corners_m: (K, 3) m where the board's corners really are; None stands for its plan.
        steps: Whether to look for a camera that was knocked within the recording.

    Raises:
        LabError: When a camera's lens or its place cannot be determined.
    """
    corners_m = board.corners_m() if corners_m is None else corners_m
    lenses = _each_lens(sightings, sizes_px, corners_m, models or {})
    limits = thresholds()["lens"]
    uses = tuple(lens_use(lens, corners_m, **limits) for lens in lenses)
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
    network = replace(network, bases=tuple(map(_lens_basis, lenses, uses)))
    before = np.array([len(v) for v in network.views])
    for _ in range(3):
        network = estimate_jitter(network)
        fitting = _fitting_views(network)
        if all(f.all() for f in fitting):
            break
        network = _without(network, fitting)
    if models is None:
        larger = larger_lenses(network, lenses, [use.use == "refined" for use in uses])
        if larger != lenses:
            lenses = larger
            bases = tuple(map(_lens_basis, lenses, uses))
            network = estimate_jitter(replace(network, bases=bases, jitter=(0.0, 0.0)))
    dropped = before - np.array([len(v) for v in network.views])
    total, freedom = chi_squared(replace(network, jitter=(0.0, 0.0)))
    asynchrony = float(np.sqrt(total / freedom)) if freedom > 0 else float("nan")
    used = replace(sightings, views=network.views)
    step = find_step(network) if steps and like is None else None
    solution = Solution(network, used, lenses, uses, dropped, asynchrony, step=step)
    together = asynchrony <= _NOT_TOGETHER or (step is not None and step.explains)
    if shutter in ("own", "rolling") or (shutter == "auto" and not together) or like is not None:
        timed = continuous(network, sightings.t, shutter == "rolling")
        if timed is not None:
            timed = solve_offsets(timed) if like is None else adjust_as(timed, like)
            return replace(solution, network=as_seen(timed), timed=timed)
    return solution


def _each_lens(
    sightings: Sightings,
    sizes_px: Mapping[str, tuple[int, int]],
    corners_m: FloatArray,
    models: Mapping[str, str],
) -> tuple[Lens, ...]:
    """Calibrate every camera by itself, on all cores; each is the same on any number of them."""

    def calibrate(c: int) -> Lens:
        name = sightings.names[c]
        return calibrate_lens(name, sizes_px[name], sightings.views[c], corners_m, models.get(name))

    return tuple(each_over_cores(calibrate, len(sightings.names)))


def _lens_basis(lens: Lens, use: LensUse) -> FloatArray:
    if use.use == "held":
        return np.zeros((len(lens.camera.intrinsics), 0))
    return basis(SMALLEST if use.use == "smallest" else lens.model)


def _believed(sightings: Sightings, lenses: tuple[Lens, ...]) -> Sightings:
    """Keep the corners that the lens calibration believed."""
    views = []
    for given, lens in zip(sightings.views, lenses, strict=True):
        views.append(replace(lens.views, pose=given.pose[lens.kept]))
    return replace(sightings, views=tuple(views))


def _lengths(network: Network, camera: int) -> FloatArray:
    """Return residuals (V, K) in standard deviations of the corner noise; NaN where not in use."""
    views = network.views[camera]
    length = np.linalg.norm(residuals_px(network, camera), axis=-1)
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
        network = replace(adjust(wider, _COARSELY, cauchy=_DOUBT), sigma_px=given)
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
