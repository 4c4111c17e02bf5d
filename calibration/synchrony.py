"""How far the cameras' views of one board pose disagree beyond the noise of its corners.

Cameras that do not expose at the same instant see a moving board displaced. The displacement is
modelled as Gaussian, independent from view to view, with one standard deviation for turns and one
for shifts, and estimated by restricted maximum likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from calibration.bundle import ROUGHLY, adjust
from calibration.compiled import displacements
from calibration.covariances import relative_covariances
from calibration.network import Network
from calibration.normals import view_normals
from lab.checks import FloatArray
from lab.cores import each_over_cores

# Beyond this many standard deviations of chi-squared the disagreement is no chance.
_NO_CHANCE = 3.0
# What is less than this over 1 changes the cameras' sigmas by less than an eighth, and is let be.
_OF_NO_MATTER = 0.25
_ROUNDS = 25
_SETTLED = 0.01
_SMALLEST = (1e-7, 1e-7)


@dataclass(frozen=True, slots=True, eq=False)
class Disagreement:
    """How one camera's views lie against the adjusted network.

    Attributes:
        displacement: (V, 6) rad and m about the board's centre, in the camera's axes.
        cov: (V, 6, 6) what the corners' noise explains of it.
        squared: (V,) the displacement's square in units of that.
        shared: (V,) whether another camera saw the board pose too, and the board moved.
    """

    displacement: FloatArray = field(metadata={"unit": "rad, m"})
    cov: FloatArray
    squared: FloatArray
    shared: NDArray[np.bool_]


def disagreements(network: Network) -> list[Disagreement]:
    """Return how every view lies against the network, a list by camera."""
    count = np.bincount(
        np.concatenate([v.pose for v in network.views]), minlength=len(network.rotations)
    )

    def one(c: int) -> Disagreement:
        pose = network.views[c].pose
        shared = (count[pose] > 1) & ~np.isin(pose, list(network.still))
        return Disagreement(*_displaced(network, c), shared)

    return each_over_cores(one, len(network.views))


def _displaced(network: Network, c: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return displacement (V, 6), its covariance (V, 6, 6) and its square in units of that (V,)."""
    views, camera = network.views[c], network.cameras[c]
    if camera.model == "brown5":
        displacement, cov = np.empty((len(views), 6)), np.empty((len(views), 6, 6))
        squared = displacements(
            camera.cam_from_lab.rotation @ network.rotations[views.pose],
            camera.cam_from_lab.transform(network.translations[views.pose]),
            camera.intrinsics,
            np.ascontiguousarray(network.corners_m),
            network.corners_m.mean(0),
            views.xy_px,
            views.weight / network.sigma_px[c] ** 2,
            displacement,
            cov,
        )
        return displacement, cov, squared
    view = view_normals(network, c)
    transposed = np.swapaxes(view.centring, 1, 2)
    normal = transposed @ view.products[:, :6, :6] @ view.centring
    gradient = (transposed @ view.products[:, :6, -1:])[..., 0]
    cov = _inverse(normal)
    displacement = np.einsum("vij,vj->vi", cov, gradient)
    return displacement, cov, (displacement * gradient).sum(1)


def chi_squared(network: Network) -> tuple[float, int]:
    """Return the shared views' disagreement in units of the corners' noise, and its freedom."""
    total, views, poses = 0.0, 0, set()
    for c, one in enumerate(disagreements(network)):
        total += float(one.squared[one.shared].sum())
        views += int(one.shared.sum())
        poses |= set(network.views[c].pose[one.shared].tolist())
    return total, 6 * (views - len(poses) - len(network.cameras) + 1)


def disagrees(total: float, freedom: int) -> bool:
    """Say whether views disagree (`chi_squared`) by more than chance, and enough to matter."""
    excess = max(_NO_CHANCE * np.sqrt(2 / max(freedom, 1)), _OF_NO_MATTER)
    return freedom > 0 and total / freedom >= 1 + excess


def estimate_jitter(network: Network) -> Network:
    """Return the network adjusted with the jitter that its views show; 0 where it is no chance.

    The corners' noise must already be right (`sigma_px` from each camera's own views). The
    estimate is the expectation-maximisation of Dempster, Laird and Rubin (J. Royal Statistical
    Society B39:1, 1977, section 4.4, variance components), the uncertainty of cameras and board
    poses included, which makes it restricted maximum likelihood.
    """
    known = network.jitter
    network = adjust(replace(network, jitter=(0.0, 0.0)))
    total, freedom = chi_squared(network)
    if not disagrees(total, freedom):
        return network
    jitter = known if known[0] > 0 else _first_guess(network)
    for _ in range(_ROUNDS):
        network = adjust(replace(network, jitter=jitter), ROUGHLY)
        previous, jitter = jitter, _next_guess(network)
        if max(abs(a / b - 1) for a, b in zip(jitter, previous, strict=True)) < _SETTLED:
            break
    return adjust(replace(network, jitter=jitter))


def _first_guess(network: Network) -> tuple[float, float]:
    """Take what the disagreement exceeds its noise by, over what a unit of jitter would add.

    (DerSimonian and Laird's estimate of moments, Controlled Clinical Trials 7:177, 1986.) Turns are
    taken to be as large as shifts are over the board's radius.
    """
    total, freedom = chi_squared(network)
    corners = network.corners_m
    radius = float(np.sqrt(((corners - corners.mean(0)) ** 2).sum(1).mean()))
    unit = np.repeat([radius**-2, 1.0], 3)
    added, views = 0.0, 0
    for one in disagreements(network):
        information = _inverse(one.cov[one.shared])
        added += float(np.einsum("vii,i->", information, unit))
        views += len(information)
    # The boards' poses take over their part of it.
    added *= freedom / max(6 * views, 1)
    shift = float(np.sqrt(max(total - freedom, 0.0) / max(added, 1e-300)))
    return max(shift / radius, _SMALLEST[0]), max(shift, _SMALLEST[1])


def _next_guess(network: Network) -> tuple[float, float]:
    prior = np.diag(np.repeat([network.jitter[0] ** -2, network.jitter[1] ** -2], 3))
    squares, count = np.zeros(6), 0
    for c, one in enumerate(disagreements(network)):
        if not one.shared.any():
            continue
        posterior = np.linalg.inv(_inverse(one.cov[one.shared]) + prior)
        view = view_normals(network, c)
        products = np.swapaxes(view.centring, 1, 2) @ view.products[:, :6]
        gain = posterior @ products[one.shared]
        mean = gain[..., -1]
        # What the errors of the board's pose, the camera's and its lens make of it.
        gain = gain[..., :-1]
        known = relative_covariances(network, c)[one.shared]
        spread = posterior + gain @ known @ np.swapaxes(gain, 1, 2)
        squares += (mean**2).sum(0) + np.einsum("vii->i", spread)
        count += len(mean)
    turn, shift = np.sqrt(squares[:3].mean() / count), np.sqrt(squares[3:].mean() / count)
    return max(float(turn), _SMALLEST[0]), max(float(shift), _SMALLEST[1])


def _inverse(matrices: FloatArray) -> FloatArray:
    """Invert (V, 6, 6) positive matrices in radians and metres, scaled so that both weigh alike."""
    scale = 1 / np.sqrt(np.einsum("vii->vi", matrices))
    return (
        np.linalg.inv(matrices * scale[:, :, None] * scale[:, None, :])
        * scale[:, :, None]
        * scale[:, None, :]
    )
