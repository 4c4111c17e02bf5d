"""Whether a stored rig still stands: new views of the board against it.

With x the rig's own errors (covariance S), the score of the new views at the stored rig is s =
-I x + noise, I being the information of the new views with the board poses eliminated; so s has
covariance V = I + I S I. A camera that moved by d adds I E d. Generalised least squares gives d
with its covariance, and Wald's statistic a p-value (Rao, Linear Statistical Inference, 2nd ed.,
4i). Directions that neither the views nor the rig know drop out with the pseudo-inverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import chi2

from calibration.board import Board
from calibration.bundle import Network, adjust, moved_by, normal_equations, view_normals
from calibration.floor import still_view
from calibration.lens import OUTLIER_SIGMAS
from calibration.start import board_poses, pair_pose, shared_board_poses
from calibration.synchrony import estimate_jitter
from calibration.views import Sightings, Views, group_views
from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Keypoints2D
from lab.rig import Rig

# A camera is said to have moved at this chance of a false alarm, over all cameras together.
ALARM = 0.01
_STEPS = 30
_SMALLEST_PART = 1e-10  # of the largest eigenvalue, below which a direction is not known
_MEDIAN_OF_NORM = 1.1774
_FINEST_PX = 1e-3


@dataclass(frozen=True, slots=True)
class CameraCheck:
    """What new views say of one camera.

    Attributes:
        camera: Its name.
        views: How many views it had of the board together with others.
        moved: Whether it stands elsewhere than stored.
        shift_mm, turn_deg: How far its centre and its axes are from where they were stored.
        shift_sigma_mm: Standard deviation of the shift along itself.
        p_value: Chance of this much without a movement; NaN where it was not seen with others.
    """

    camera: str
    views: int
    moved: bool
    shift_mm: float = field(metadata={"unit": "mm"})
    shift_sigma_mm: float = field(metadata={"unit": "mm"})
    turn_deg: float = field(metadata={"unit": "deg"})
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class RigCheck:
    """The verdict.

    Attributes:
        cameras: One each.
        p_value: Of all views against the stored rig together.
        p_left: The same once the cameras that moved are where they are now.
        rig: The rig with only those cameras solved anew; the stored one where none moved.
    """

    cameras: tuple[CameraCheck, ...]
    p_value: float
    p_left: float
    rig: Rig

    @property
    def moved(self) -> tuple[str, ...]:
        """Names of the cameras that moved."""
        return tuple(c.camera for c in self.cameras if c.moved)


@dataclass(frozen=True, slots=True, eq=False)
class _Score:
    """Score (Q,), information (Q, Q) and pseudo-inverse of the score's covariance."""

    score: FloatArray
    information: FloatArray
    weight: FloatArray
    rank: int


def check_rig(
    rig: Rig,
    observations: Mapping[str, Keypoints2D],
    board: Board,
    *,
    still: bool = False,
    tolerance: float | None = None,
) -> RigCheck:
    """Compare new views of the board with a stored rig.

    Args:
        rig: As stored.
        observations: Corners by camera, of the board waved or lying still.
        board: The board.
        still: Whether it lay still in all frames; then one view a camera, the median, is taken.
        tolerance: s, as in `views.group_views`.

    Raises:
        LabError: When fewer than two cameras of the rig saw the board at the same time.
    """
    unknown = sorted(set(observations) - set(rig.names))
    if unknown:
        raise LabError(
            f"the rig has no camera {', '.join(unknown)}, it has {', '.join(rig.names)}",
            where="check",
            remedy="A camera is named after its video file.",
        )
    sightings = _sightings(rig, observations, board, still, tolerance)
    return check_views(rig, sightings, board.corners_m(), still=still)


def check_views(
    rig: Rig, sightings: Sightings, corners_m: FloatArray, *, still: bool = False
) -> RigCheck:
    """Do what `check_rig` does, with views that are grouped already, one `Views` a camera."""
    if not (sightings.cameras_per_pose() > 1).any():
        raise LabError(
            "no two cameras of the rig saw the board at the same time",
            where="check",
            remedy="Show the board to more cameras at once, or check the times of the frames.",
        )
    network = _boards_settled(_network(rig, sightings, corners_m, still))
    given = [len(v) for v in network.views]
    first = _score(rig, network)
    total = float(first.score @ first.weight @ first.score)
    p_value = float(chi2.sf(total, first.rank))
    moved: list[int] = []
    left = p_value
    results = {c: _movement(rig, network, c, []) for c, n in enumerate(given) if n}
    while left < ALARM and len(moved) + 2 < len(results):
        trials = {c: _movement(rig, network, c, moved, True) for c in results if c not in moved}
        best = min(trials, key=lambda c: (trials[c].left, c))
        if trials[best].p_value * len(results) > ALARM:
            break
        network, left = trials[best].network, trials[best].p_left
        results[best] = trials[best]
        moved.append(best)
    checks = []
    for c, camera in enumerate(rig.cameras):
        if c not in results:
            nan = float("nan")
            checks.append(CameraCheck(camera.name, 0, False, nan, nan, nan, nan))
            continue
        one = results[c] if c in moved or not moved else _movement(rig, network, c, moved)
        checks.append(
            CameraCheck(
                camera.name, given[c], c in moved, 1e3 * one.shift, 1e3 * one.shift_sigma,
                float(np.degrees(one.turn)), one.p_value,
            )
        )  # fmt: skip
    return RigCheck(tuple(checks), p_value, left, _mended(rig, network, moved))


@dataclass(frozen=True, slots=True, eq=False)
class _Movement:
    network: Network
    shift: float
    shift_sigma: float
    turn: float
    p_value: float
    left: float
    p_left: float


def _movement(
    rig: Rig, network: Network, camera: int, moved: list[int], anew: bool = False
) -> _Movement:
    """Judge how far one camera is from where it was stored.

    With `anew` its pose is solved with the others held; else one linear step says it.
    """
    network = _solved(network, camera) if anew else network
    score = _score(rig, network)
    own = rig.parameter_slices()[camera]
    free = [np.arange(own.start, own.start + 6)]
    free += [
        np.arange(s.start, s.start + 6)
        for s in (rig.parameter_slices()[c] for c in moved if c != camera)
    ]
    by = score.information[:, np.concatenate(free)]
    precision = by.T @ score.weight @ by
    scale = 1 / np.sqrt(np.diag(precision))
    cov = np.linalg.inv(precision * scale[:, None] * scale) * scale[:, None] * scale
    correction = cov @ (by.T @ (score.weight @ score.score))
    stored, found = rig.cameras[camera].cam_from_lab, network.cameras[camera].cam_from_lab
    found = found.perturbed(correction[:6])
    change = found @ stored.inverse()
    step = np.concatenate([change.rotvec(), change.translation])
    cov = cov[:6, :6]
    statistic = float(step @ np.linalg.solve(cov, step))
    rest = score.score - by @ correction
    left = float(rest @ score.weight @ rest)
    freedom = max(score.rank - by.shape[1], 1)
    centre = found.inverse().translation - stored.inverse().translation
    shift = float(np.linalg.norm(centre))
    # The centre moves by minus the shift of the pose, turned into the lab.
    spread = found.rotation.T @ cov[3:, 3:] @ found.rotation
    along = centre / max(shift, 1e-12)
    return _Movement(
        network, shift, float(np.sqrt(max(along @ spread @ along, 0.0))),
        float(np.linalg.norm(change.rotvec())), float(chi2.sf(statistic, 6)), left,
        float(chi2.sf(left, freedom)),
    )  # fmt: skip


def _score(rig: Rig, network: Network) -> _Score:
    normals = normal_equations(network)
    inverse = np.linalg.inv(normals.boards)
    gain = np.einsum("qbi,bij->qbj", normals.ties, inverse)
    size = len(normals.cameras)
    information = normals.cameras - gain.reshape(size, -1) @ normals.ties.reshape(size, -1).T
    information = 0.5 * (information + information.T)
    score = normals.camera_gradient - np.einsum("qbi,bi->q", gain, normals.board_gradient)
    own = rig.cov if rig.has_covariance else np.zeros_like(information)
    variance = information + information @ own @ information
    # A parameter of which the views say nothing has no row.
    scale = 1 / np.sqrt(np.where(np.diag(variance) > 0, np.diag(variance), 1.0))
    values, vectors = np.linalg.eigh(variance * scale[:, None] * scale)
    known = values > _SMALLEST_PART * values[-1]
    root = scale[:, None] * vectors[:, known] / np.sqrt(values[known])
    return _Score(score, information, root @ root.T, int(known.sum()))


def _solved(network: Network, camera: int) -> Network:
    """Return the network with one camera's pose, and the board poses, at their least squares."""
    network = _closed_form(network, camera)
    for _ in range(_STEPS):
        normals = normal_equations(network)
        own = network.free_slices()[camera]
        pose = slice(own.start, own.start + 6)
        inverse = np.linalg.inv(normals.boards)
        gain = np.einsum("qbi,bij->qbj", normals.ties[pose], inverse)
        reduced = normals.cameras[pose, pose] - np.einsum("qbi,rbi->qr", gain, normals.ties[pose])
        right = normals.camera_gradient[pose] - np.einsum("qbi,bi->q", gain, normals.board_gradient)
        scale = 1 / np.sqrt(np.diag(reduced))
        step = scale * np.linalg.solve(reduced * scale[:, None] * scale, scale * right)
        boards = np.einsum(
            "bij,bj->bi",
            inverse,
            normals.board_gradient - np.einsum("qbi,q->bi", normals.ties[pose], step),
        )
        trial = _stepped(network, camera, step, boards)
        shrink = 0
        while not normal_equations(trial).cost <= normals.cost * (1 + 1e-12) and shrink < 12:
            shrink += 1
            trial = _stepped(network, camera, step * 0.5**shrink, boards * 0.5**shrink)
        if shrink == 12:
            break
        network = trial
        if step @ normals.camera_gradient[pose] < 1e-10 * (1 + normals.cost):
            break
    return network


def _closed_form(network: Network, camera: int) -> Network:
    """Put a camera where its own views of the boards say, if that fits better than where it is."""
    views, lens = network.views[camera], network.cameras[camera]
    turn, shift = board_poses(lens, network.corners_m, views)
    others = Sightings(
        tuple(c.name for c in network.cameras),
        tuple(v if c != camera else v.only(np.zeros(len(v), bool))
              for c, v in enumerate(network.views)),
        np.zeros(len(network.rotations)),
    )  # fmt: skip
    poses = [
        board_poses(c, network.corners_m, v) if len(v) else (np.zeros((0, 3, 3)), np.zeros((0, 3)))
        for c, v in zip(network.cameras, others.views, strict=True)
    ]
    rotations, translations = shared_board_poses(network.cameras, others, poses, network.corners_m)
    centre = network.corners_m.mean(0)
    lab = (rotations[views.pose], translations[views.pose])
    placed, _ = pair_pose((turn, shift), lab, centre)
    cameras = list(network.cameras)
    cameras[camera] = replace(lens, cam_from_lab=placed)
    trial = replace(network, cameras=tuple(cameras), rotations=rotations, translations=translations)
    better = normal_equations(trial).cost < normal_equations(network).cost
    return trial if better else network


def _stepped(network: Network, camera: int, step: FloatArray, boards: FloatArray) -> Network:
    size = network.free_slices()[-1].stop
    everything = np.zeros(size)
    own = network.free_slices()[camera]
    everything[own.start : own.start + 6] = step
    return moved_by(network, everything, boards)


def _boards_settled(network: Network) -> Network:
    """Adjust the board poses to the stored cameras."""
    held = replace(network, bases=tuple(np.zeros((len(c.intrinsics), 0)) for c in network.cameras))
    size = held.free_slices()[-1].stop
    for _ in range(_STEPS):
        normals = normal_equations(held)
        boards = np.asarray(
            np.linalg.solve(normals.boards, normals.board_gradient[..., None])[..., 0], float
        )
        held = moved_by(held, np.zeros(size), boards)
        if (boards * normals.board_gradient).sum() < 1e-10 * (1 + normals.cost):
            break
    return replace(network, rotations=held.rotations, translations=held.translations)


def _sightings(
    rig: Rig, observations: Mapping[str, Keypoints2D], board: Board, still: bool,
    tolerance: float | None,
) -> Sightings:  # fmt: skip
    if still:
        views = {name: still_view(keypoints, board) for name, keypoints in observations.items()}
        grouped = Sightings(tuple(views), tuple(views.values()), np.zeros(1))
    else:
        grouped = group_views(observations, board, tolerance)
    count = len(board.corner_names)
    none = Views(np.zeros(0, np.intp), np.zeros((0, count, 2)), np.zeros((0, count)))
    by_name = dict(zip(grouped.names, grouped.views, strict=True))
    return Sightings(rig.names, tuple(by_name.get(n, none) for n in rig.names), grouped.t)


def _network(rig: Rig, sightings: Sightings, corners_m: FloatArray, still: bool) -> Network:
    """Shared views only, with the corners that each view itself believes, noise and jitter."""
    shared = sightings.only_poses(sightings.cameras_per_pose() > 1)
    views, sigmas = [], []
    for camera, own in zip(rig.cameras, shared.views, strict=True):
        kept, sigma = _own_noise(rig, camera.name, own, corners_m)
        views.append(kept)
        sigmas.append(sigma)
    shared = replace(shared, views=tuple(views))
    poses = [board_poses(c, corners_m, v) if len(v) else (np.zeros((0, 3, 3)), np.zeros((0, 3)))
             for c, v in zip(rig.cameras, views, strict=True)]  # fmt: skip
    rotations, translations = shared_board_poses(rig.cameras, shared, poses, corners_m)
    network = Network(
        rig.cameras,
        tuple(np.eye(len(c.intrinsics)) for c in rig.cameras),
        rotations,
        translations,
        shared.views,
        corners_m,
        np.array(sigmas),
        fixed_camera=None,
        still=frozenset(range(len(rotations))) if still else frozenset(),
    )
    return network if still else replace(network, jitter=_jitter(network))


def _jitter(network: Network) -> tuple[float, float]:
    """Return how far the views of one board pose disagree, wherever the cameras stand."""
    has = [c for c, v in enumerate(network.views) if len(v)]
    free = replace(
        network,
        cameras=tuple(network.cameras[c] for c in has),
        bases=tuple(np.zeros((len(network.cameras[c].intrinsics), 0)) for c in has),
        views=tuple(network.views[c] for c in has),
        sigma_px=network.sigma_px[has],
        fixed_camera=0,
    )
    return estimate_jitter(free).jitter


def _own_noise(rig: Rig, name: str, views: Views, corners_m: FloatArray) -> tuple[Views, float]:
    """Fit each view's own board pose, drop the corners that do not fit it, and take the noise."""
    if not len(views):
        return views, 1.0
    camera = rig.camera(name)
    alone = replace(views, pose=np.arange(len(views)))
    at_origin = replace(camera, cam_from_lab=camera.cam_from_lab @ camera.cam_from_lab.inverse())
    rotations, translations = board_poses(at_origin, corners_m, alone)
    network = Network(
        (at_origin,), (np.zeros((len(camera.intrinsics), 0)),), rotations, translations,
        (alone,), corners_m, np.ones(1),
    )  # fmt: skip
    network = adjust(network, 1e-8)
    for _ in range(2):
        length = np.linalg.norm(view_normals(network, 0).residuals_px, axis=-1)
        used = network.views[0].weight > 0
        length = np.where(used, length * np.sqrt(network.views[0].weight), np.nan)
        scale = max(float(np.nanmedian(length)) / _MEDIAN_OF_NORM, _FINEST_PX)
        fits = np.nan_to_num(length, nan=np.inf) < OUTLIER_SIGMAS * scale
        network = adjust(replace(network, views=(network.views[0].believed(fits),)), 1e-8)
    length = np.linalg.norm(view_normals(network, 0).residuals_px, axis=-1)
    weight = network.views[0].weight
    freedom = max(2 * int((weight > 0).sum()) - 6 * len(views), 1)
    sigma = float(np.sqrt((np.nan_to_num(length) ** 2 * weight).sum() / freedom))
    kept = replace(views, weight=weight)
    return kept, max(sigma, _FINEST_PX)


def _mended(rig: Rig, network: Network, moved: list[int]) -> Rig:
    """Return the rig with the cameras that moved where they are now, and their covariance.

    What the others' errors do to the new poses is carried along, with the noise of the new views.
    """
    if not moved:
        return rig
    names = [rig.names[c] for c in moved]
    cameras = tuple(
        network.cameras[c] if c in moved else camera for c, camera in enumerate(rig.cameras)
    )
    normals = normal_equations(network)
    inverse = np.linalg.inv(normals.boards)
    gain = np.einsum("qbi,bij->qbj", normals.ties, inverse)
    size = len(normals.cameras)
    information = normals.cameras - gain.reshape(size, -1) @ normals.ties.reshape(size, -1).T
    free = np.concatenate(
        [np.arange(s.start, s.start + 6) for s in (rig.parameter_slices()[c] for c in moved)]
    )
    own = np.linalg.inv(information[np.ix_(free, free)])
    carry = np.eye(size)
    carry[free] = 0.0
    carry[free] -= own @ np.where(np.isin(np.arange(size), free), 0.0, information[free])
    cov = carry @ rig.cov @ carry.T
    cov[np.ix_(free, free)] += own
    note = f"{', '.join(names)} solved anew against the other cameras, from a check of the rig"
    quality = replace(rig.quality, reasons=(*rig.quality.reasons, note))
    return replace(rig, cameras=cameras, cov=0.5 * (cov + cov.T), quality=quality)
