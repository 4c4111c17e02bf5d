"""The lens of one camera from its own views of the board."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from calibration.bundle import ROUGHLY, adjust
from calibration.covariances import covariance
from calibration.network import Network
from calibration.normals import residuals_px
from calibration.start import focal_length, homographies, poses_of
from calibration.views import Views
from lab.camera import Camera
from lab.checks import FloatArray
from lab.errors import LabError
from lab.pose import Pose

FEWEST_VIEWS = 4
# A corner further than this many robust standard deviations (per axis) from its view's own pose is
# not believed; of Gaussian corners that is 1 in 25,000.
OUTLIER_SIGMAS = 4.5
# The smallest noise the arithmetic needs, far below what a camera has.
_FINEST_PX = 1e-3
_MEDIAN_OF_NORM = 1.1774  # median of the length of a two-dimensional standard normal
_ROBUST_ROUNDS = 6
# A larger lens model must predict unseen views better by this much.
_WORTH_IT = 0.98
_ENOUGH_VIEWS_TO_CHOOSE = 12
_BLOCKS = 4
_MOST_VIEWS_TO_CHOOSE = 40
# How views are told apart when some are picked: cells of the image, tilts and depths.
_CELLS = (8, 6)
_CELLS_OF_A_VIEW = 6.0  # so many cells weigh as much as one tilt
_TILTS, _FULL_TILT = 3, 0.7  # sine
_DEPTHS = 4

# Each model: which intrinsics of brown5 (fx, fy, cx, cy, k1, k2, p1, p2, k3) move together.
LENSES: dict[str, tuple[tuple[int, ...], ...]] = {
    "f cx cy k1": ((0, 1), (2,), (3,), (4,)),
    "f cx cy k1 k2": ((0, 1), (2,), (3,), (4,), (5,)),
    "fx fy cx cy k1 k2": ((0,), (1,), (2,), (3,), (4,), (5,)),
    "fx fy cx cy k1 k2 p1 p2": tuple((i,) for i in range(8)),
    "fx fy cx cy k1 k2 p1 p2 k3": tuple((i,) for i in range(9)),
}
_SIMPLEST = "f cx cy k1"
_MIDDLE = "f cx cy k1 k2"
_DOUBT = 3.0  # robust standard deviations
_SAME_SCALE = 0.1
_CLOSELY = 1e-7  # what of the cost a step must promise, for one camera's own views
_COARSELY = 1e-4  # and between rounds of reweighting
# A start that fits this well, in parts of the image's longer side, needs no further guess.
_GOOD_START = 0.004


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """What a camera's own views say of its lens.

    Attributes:
        camera: At the identity pose.
        model: A key of `LENSES`.
        cov: (P, P) covariance of the intrinsics.
        views: The views used, without the corners that were not believed.
        kept: Which of the views given those are, by number.
        rotations, translations: cam_from_board of each view.
        sigma_px: Noise of a corner, per axis.
        held_out_px: RMS per axis on views that the lens was not fitted to, by model.
    """

    camera: Camera
    model: str
    cov: FloatArray
    views: Views
    kept: NDArray[np.intp]
    rotations: FloatArray
    translations: FloatArray = field(metadata={"unit": "m"})
    sigma_px: float
    held_out_px: dict[str, float]

    @property
    def focal_sigma(self) -> float:
        """Standard deviation of the focal length over the focal length."""
        return float(np.sqrt(self.cov[0, 0]) / self.camera.intrinsics[0])


def basis(model: str) -> FloatArray:
    """Return (9, n): which combinations of brown5's intrinsics a model of `LENSES` moves."""
    groups = LENSES[model]
    result = np.zeros((9, len(groups)))
    for column, rows in enumerate(groups):
        result[list(rows), column] = 1.0
    return result


def calibrate_lens(
    name: str,
    size_px: tuple[int, int],
    views: Views,
    corners_m: FloatArray,
    model: str | None = None,
) -> Lens:
    """Calibrate one camera from its own views.

    The start is closed form; then robust least squares over the lens and the pose of every view,
    corners that do not fit taken out, and a plain least squares pass. The lens model is the
    smallest of `LENSES` that predicts unseen views (each quarter of the recording from the other
    three) within 2 % of the best,
    among those that do not fold.

    Args:
        name: Of the camera.
        size_px: (width, height).
        views: Its views of the board.
        corners_m: (K, 3) m in the board frame.
        model: A key of `LENSES`, to choose none.

    Raises:
        LabError: When there are too few views, or they do not tell the focal length.
    """
    if len(views) < FEWEST_VIEWS:
        raise LabError(
            f"the board was seen in {len(views)} frames, {FEWEST_VIEWS} are needed",
            where=name,
            remedy="Show the board to this camera longer, closer and tilted.",
        )
    views = replace(views, pose=np.arange(len(views)))
    network = _start(name, size_px, views, corners_m)
    network = _doubting(replace(network, bases=(basis(_SIMPLEST),)), 1)
    held_out: dict[str, float] = {}
    if model is None:
        model = _SIMPLEST
        few = _thinned(_robust(replace(network, bases=(basis(_MIDDLE),)))[0])
        if len(few.views[0]) >= _ENOUGH_VIEWS_TO_CHOOSE:
            held_out = {name: _held_out(_without_rest(few, name), basis(name)) for name in LENSES}
            best = min(held_out.values())
            model = next(m for m, rms in held_out.items() if _WORTH_IT * rms <= best)
    network, kept = _robust(replace(network, bases=(basis(model),)))
    network = replace(network, sigma_px=np.array([_noise(network)]))
    cov = covariance(network)[6:, 6:]
    return Lens(
        network.cameras[0],
        model,
        cov,
        network.views[0],
        kept,
        network.rotations,
        network.translations,
        float(network.sigma_px[0]),
        held_out,
    )


def plain_camera(name: str, size_px: tuple[int, int], focal_px: float) -> Camera:
    """Return a camera without distortion at the identity pose, its axis in the image's middle."""
    middle = [(size_px[0] - 1) / 2, (size_px[1] - 1) / 2]
    intrinsics = np.array([focal_px, focal_px, *middle, 0, 0, 0, 0, 0])
    return Camera(name, size_px, "brown5", intrinsics, Pose.identity())


def folds(camera: Camera) -> bool:
    """Say whether the lens model folds within the image, which no real lens does.

    A polynomial fitted where the board was seen can run away where it was not.
    """
    width, height = camera.size_px
    u, v = np.meshgrid(np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 9))
    _, converged = camera.normalised(np.stack([u, v], axis=-1))
    return not bool(converged.all())


def pick_views(
    xy_px: FloatArray,
    seen: NDArray[np.bool_],
    size_px: tuple[int, int],
    tilt: FloatArray,
    depth_m: FloatArray,
    most: int,
) -> NDArray[np.bool_]:
    """Pick views one by one, each the one that adds most that the picked ones lack.

    What counts are the cells of the image in which corners were seen, which way and how much the
    board was tilted, and its depth; the n-th view of the same cell, tilt or depth adds 1/n of the
    first.

    Args:
        xy_px: (V, K, 2) corners.
        seen: (V, K) which of them were seen.
        size_px: (width, height).
        tilt: (V, 2) sines of the board's tilt about the image's two axes.
        depth_m: (V,) of the board's middle.
        most: How many to pick.

    Returns:
        Which of the views (V,) are picked.
    """
    count = len(depth_m)
    columns, rows = _CELLS
    place = np.floor(np.nan_to_num(xy_px) / np.array(size_px) * np.array(_CELLS)).astype(int)
    place = np.clip(place, 0, np.array(_CELLS) - 1)
    kinds = np.zeros((count, columns * rows + _TILTS**2 + _DEPTHS))
    view, corner = np.nonzero(seen)
    kinds[view, place[view, corner, 1] * columns + place[view, corner, 0]] = 1.0 / _CELLS_OF_A_VIEW
    # Tilts by thirds of -1..1 about each axis, depths by equal shares of the views.
    turned = np.clip(np.floor((tilt / _FULL_TILT + 1) / 2 * _TILTS), 0, _TILTS - 1).astype(int)
    kinds[np.arange(count), columns * rows + turned[:, 0] * _TILTS + turned[:, 1]] = 1.0
    edges = np.quantile(depth_m, np.linspace(0, 1, _DEPTHS + 1)[1:-1])
    far = np.searchsorted(edges, depth_m)
    kinds[np.arange(count), columns * rows + _TILTS**2 + far] = 1.0
    picked = np.zeros(count, bool)
    times = np.zeros(kinds.shape[1])
    for _ in range(min(most, count)):
        gain = np.where(picked, -1.0, kinds @ (1.0 / (1.0 + times)))
        best = int(np.argmax(gain))
        picked[best] = True
        times += kinds[best] > 0
    return picked


def _start(name: str, size_px: tuple[int, int], views: Views, corners_m: FloatArray) -> Network:
    plane = homographies(corners_m, views.xy_px, views.weight)
    focal = focal_length(size_px, plane)
    guesses = [f * max(size_px) for f in (0.6, 0.9, 1.4, 2.2)]
    if np.isfinite(focal) and 0.2 < focal / max(size_px) < 10:
        guesses.insert(0, focal)
    best: tuple[float, Network] | None = None
    for guess in guesses:
        camera = plain_camera(name, size_px, guess)
        # Without distortion the homographies of the pixels are those of the lines of sight.
        sight = np.linalg.inv(camera.matrix) @ plane
        rotations, translations = poses_of(sight, corners_m)
        network = Network(
            (camera,),
            (np.zeros((9, 0)),),
            rotations,
            translations,
            (views,),
            corners_m,
            np.ones(1),
        )
        error = _norms(network)
        if not np.isfinite(error).any() or (translations[:, 2] <= 0).any():
            continue
        typical = float(np.nanmedian(error))
        if best is None or typical < best[0]:
            best = (typical, network)
        if typical < _GOOD_START * max(size_px):
            break
    if best is None:
        raise LabError(
            "no pose of the board fits its views", where=name, remedy="Is it the right board file?"
        )
    return best[1]


def _norms(network: Network) -> FloatArray:
    """Return the length (V, K) px of each residual, scaled by its weight; NaN where not in use."""
    views = network.views[0]
    length = np.linalg.norm(residuals_px(network, 0), axis=-1) * np.sqrt(views.weight)
    return np.where(views.weight > 0, length, np.nan)


def _doubting(network: Network, rounds: int = _ROBUST_ROUNDS) -> Network:
    """Adjust with a Cauchy loss whose scale is the median residual, estimated anew each round.

    (Holland and Welsch, Communications in Statistics A6:813, 1977.)
    """
    previous = np.inf
    for _ in range(rounds):
        scale = max(float(np.nanmedian(_norms(network))) / _MEDIAN_OF_NORM, _FINEST_PX)
        if abs(scale / previous - 1) < _SAME_SCALE:
            break
        network = adjust(replace(network, sigma_px=np.array([scale])), _COARSELY, cauchy=_DOUBT)
        previous = scale
    return network


def _robust(network: Network) -> tuple[Network, NDArray[np.intp]]:
    """Adjust with a Cauchy loss, take out what does not fit, and adjust plainly.

    The weights of the corners stay as given.

    Returns:
        The network, and which of its views were kept, by number.
    """
    given, numbers = network.views[0], np.arange(len(network.views[0]))
    network = _doubting(network)
    for _ in range(3):
        length = _norms(replace(network, views=(given,)))
        scale = max(float(np.nanmedian(length)) / _MEDIAN_OF_NORM, _FINEST_PX)
        fits = np.nan_to_num(length, nan=np.inf) < OUTLIER_SIGMAS * scale
        # A view that keeps fewer corners than a pose needs is lost altogether.
        fits &= (fits.sum(1) >= 4)[:, None]
        kept = fits.any(1)
        if kept.sum() < FEWEST_VIEWS:
            raise LabError(
                "hardly any view of the board fits the others",
                where=network.cameras[0].name,
                remedy="Is it the right board file, and is the board flat and rigid?",
            )
        given, numbers = given.believed(fits).only(kept), numbers[kept]
        given = replace(given, pose=np.arange(len(given)))
        network = replace(
            network,
            views=(given,),
            rotations=network.rotations[kept],
            translations=network.translations[kept],
            sigma_px=np.array([scale]),
        )
        network = adjust(network, _CLOSELY)
        if fits[kept].sum() == (length[kept] < np.inf).sum():
            break
    return network, numbers


def _noise(network: Network) -> float:
    """Return the noise per axis of a corner of weight 1, from residuals and degrees of freedom."""
    length = _norms(network)
    corners = int(np.isfinite(length).sum())
    free = 2 * corners - 6 * len(network.rotations) - network.bases[0].shape[1]
    return max(float(np.sqrt(np.nansum(length**2) / max(free, 1))), _FINEST_PX)


def _thinned(network: Network) -> Network:
    """Leave enough views to choose a lens model by: those that cover image, tilt and depth best."""
    views = network.views[0]
    if len(views) <= _MOST_VIEWS_TO_CHOOSE:
        return network
    seen = views.weight > 0
    sight = network.rotations @ network.corners_m.mean(0) + network.translations
    facing = network.rotations[:, :, 2] * np.sign(network.rotations[:, 2:, 2])
    keep = pick_views(
        views.xy_px, seen, network.cameras[0].size_px, facing[:, :2], sight[:, 2],
        _MOST_VIEWS_TO_CHOOSE,
    )  # fmt: skip
    return _only(network, keep)


def _only(network: Network, keep: NDArray[np.bool_]) -> Network:
    views = network.views[0].only(keep)
    return replace(
        network,
        views=(replace(views, pose=np.arange(len(views))),),
        rotations=network.rotations[keep],
        translations=network.translations[keep],
    )


def _without_rest(network: Network, model: str) -> Network:
    """Take out of the lens what a model does not have, so that it is judged by what it has.

    The views come from an adjustment with another model; a coefficient of that one left in would
    be a gift to every smaller one.
    """
    moves = basis(model)
    camera = network.cameras[0]
    lens = np.where(moves.any(1), camera.intrinsics, 0.0)
    for column in moves.T:
        lens[column > 0] = lens[column > 0].mean()
    return replace(network, cameras=(replace(camera, intrinsics=lens),))


def _held_out(network: Network, lens_basis: FloatArray) -> float:
    """Return the RMS per axis on each block of views with the lens fitted to the other blocks.

    Blocks are contiguous: a frame and its neighbour in time are nearly the same view.
    """
    block = np.arange(len(network.rotations)) * _BLOCKS // len(network.rotations)
    total, count = 0.0, 0
    for one in range(_BLOCKS):
        fitted = adjust(replace(_only(network, block != one), bases=(lens_basis,)), ROUGHLY)
        if folds(fitted.cameras[0]):
            return float("inf")
        judged = _only(network, block == one)
        judged = adjust(
            replace(judged, cameras=fitted.cameras, bases=(np.zeros((len(lens_basis), 0)),)),
            ROUGHLY,
        )
        length = _norms(judged)
        total += float(np.nansum(length**2))
        count += 2 * int(np.isfinite(length).sum()) - 6 * len(judged.rotations)
    return float(np.sqrt(total / max(count, 1)))
