"""Bundle adjustment over camera poses, lenses and poses of a rigid board.

Every view of the board by a camera is linearised with the camera's analytic Jacobians, and the
board poses are eliminated by their Schur complement, which leaves a dense system of the cameras
alone (Triggs, McLauchlan, Hartley and Fitzgibbon, "Bundle adjustment - a modern synthesis", 2000,
section 6.1). Damping after Marquardt (1963).

Cameras that do not expose at the same instant see a moving board in slightly different poses. This
is carried as a random displacement of the board in every view (`Network.jitter`), marginalised
over; with jitter 0 it is the plain adjustment, which runs compiled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from calibration.adjustment import (
    Adjustment,
    BehindError,
    NotDeterminedError,
    descend,
    inverse,
)
from calibration.compiled import PARAMETERS, linearise, residuals
from calibration.compiled_adjust import Layout, State
from calibration.views import Views
from lab.camera import Camera
from lab.checks import FloatArray
from lab.errors import LabError
from lab.pose import Pose

_MOST_STEPS = 80
_SETTLED = 1e-10
ROUGHLY = 1e-5  # enough between rounds of reweighting, and to compare models
_MOST_DAMPING = 1e12


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Cameras, board poses, and the views that tie them.

    Attributes:
        cameras: C cameras; their lab frame is the one of the board poses.
        bases: For each camera (P, n): which combinations of its intrinsics are free.
        rotations, translations: (B, 3, 3) and (B, 3) m, lab_from_board of each pose.
        views: One of each camera.
        corners_m: (K, 3) m in the board frame.
        sigma_px: (C,) noise of a corner of weight 1, per axis.
        jitter: (2,) rad and m: standard deviation, per axis, of the board's displacement in a view
            about its centre.
        fixed_camera: The camera whose pose is the gauge, or None.
        fixed_board: The board pose that is the gauge where no camera is.
        still: Board poses that did not move, so that jitter does not concern them.
    """

    cameras: tuple[Camera, ...]
    bases: tuple[FloatArray, ...]
    rotations: FloatArray
    translations: FloatArray = field(metadata={"unit": "m"})
    views: tuple[Views, ...]
    corners_m: FloatArray = field(metadata={"unit": "m"})
    sigma_px: FloatArray = field(metadata={"unit": "px"})
    jitter: tuple[float, float] = (0.0, 0.0)
    fixed_camera: int | None = 0
    fixed_board: int | None = None
    still: frozenset[int] = frozenset()

    def free_slices(self) -> tuple[slice, ...]:
        """Return where each camera's free parameters (pose, then lens) stand."""
        sizes = [
            (0 if c == self.fixed_camera else 6) + basis.shape[1]
            for c, basis in enumerate(self.bases)
        ]
        ends = np.cumsum(sizes)
        return tuple(slice(int(e) - n, int(e)) for e, n in zip(ends, sizes, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class ViewNormals:
    """What the views of one camera say, linearised.

    Attributes:
        products: (V, 6 + n + 1, 6 + n + 1) weighted products of the columns [pose, lens, residual].
        centring: (V, 6, 6) from a displacement about the board's centre to one of the camera pose.
        residuals_px: (V, K, 2), NaN where not seen.
    """

    products: FloatArray
    centring: FloatArray
    residuals_px: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Normals:
    """The normal equations: cameras (Q), board poses (B, 6), and what ties them (Q, B, 6)."""

    cameras: FloatArray
    ties: FloatArray
    boards: FloatArray
    camera_gradient: FloatArray
    board_gradient: FloatArray
    cost: float


def adjust(network: Network, settled: float = _SETTLED, cauchy: float = 0.0) -> Network:
    """Move cameras and board poses to the least squares solution.

    Args:
        network: The start.
        settled: Stop when a step promises to lower the cost by less than this part of it.
        cauchy: With a value, the loss is Cauchy's (of the length of a corner's residual), which
            begins to doubt at this many standard deviations. Only without jitter.

    Raises:
        LabError: When a camera or board pose is not determined by the views.
    """
    if _plain(network):
        columns = _columns(network)
        if columns is not None:
            return _adjust_compiled(network, columns, settled, cauchy)
    if cauchy > 0:
        raise ValueError("adjust: a robust loss is there without jitter and for brown5 only")
    normals = normal_equations(network)
    if not np.isfinite(normals.cost):
        raise ValueError("adjust: a corner lies behind its camera at the start")
    damping = 1e-4
    for _ in range(_MOST_STEPS):
        try:
            cameras, boards, promised = _step(normals, damping)
        except np.linalg.LinAlgError as error:
            raise _not_determined() from error
        moved = _moved(network, cameras, boards)
        trial = normal_equations(moved) if moved is not None else None
        if moved is not None and trial is not None and trial.cost <= normals.cost:
            network, normals = moved, trial
            damping = max(damping / 10, 1e-12)
        else:
            damping *= 10
        # A promise below rounding can no longer be kept or broken.
        if promised <= settled * (normals.cost + 1e-6) or damping > _MOST_DAMPING:
            break
    return network


def _plain(network: Network) -> bool:
    return network.jitter[0] <= 0 or network.jitter[1] <= 0


def _not_determined() -> LabError:
    return LabError(
        "the views do not determine the cameras",
        where="bundle adjustment",
        remedy="Show the board to more cameras at once, closer and tilted.",
    )


def _columns(network: Network) -> NDArray[np.int64] | None:
    """Return (C, 15) which of its camera's free parameters each is, -1 for none.

    None where the network is not of that kind.

    The compiled adjustment knows brown5, and lenses of which each intrinsic is free, held, or tied
    to another.
    """
    columns = np.full((len(network.cameras), PARAMETERS), -1, np.int64)
    for c, (camera, basis) in enumerate(zip(network.cameras, network.bases, strict=True)):
        if camera.model != "brown5" or ((basis != 0) & (basis != 1)).any():
            return None
        if (basis.sum(1) > 1).any():
            return None
        start = 0
        if c != network.fixed_camera:
            columns[c, :6] = np.arange(6)
            start = 6
        for row, column in zip(*np.nonzero(basis), strict=True):
            columns[c, 6 + row] = start + column
    return columns


def _laid_out(network: Network, columns: NDArray[np.int64], cauchy: float) -> tuple[Layout, State]:
    """Return the network as the compiled adjustment takes it."""
    view_camera = np.repeat(np.arange(len(network.views)), [len(v) for v in network.views])
    view_pose = np.concatenate([v.pose for v in network.views]).astype(np.int64)
    order = np.argsort(view_pose, kind="stable")
    weight = np.concatenate(
        [v.weight / s**2 for v, s in zip(network.views, network.sigma_px, strict=True)]
    )
    poses = len(network.rotations)
    held = np.zeros(poses, bool)
    if network.fixed_board is not None:
        held[network.fixed_board] = True
    pieces = network.free_slices()
    layout = Layout(
        columns,
        np.array([piece.stop - piece.start for piece in pieces]),
        np.array([piece.start for piece in pieces]),
        view_camera[order],
        np.searchsorted(view_pose[order], np.arange(poses + 1)),
        held,
        np.ascontiguousarray(network.corners_m),
        np.concatenate([v.xy_px for v in network.views])[order],
        weight[order],
        float(cauchy),
    )
    start = State(
        np.stack([c.cam_from_lab.rotation for c in network.cameras]),
        np.stack([c.cam_from_lab.translation for c in network.cameras]),
        np.stack([c.intrinsics for c in network.cameras]),
        np.array(network.rotations, order="C"),
        np.array(network.translations, order="C"),
    )
    return layout, start


def _adjust_compiled(
    network: Network, columns: NDArray[np.int64], settled: float, cauchy: float
) -> Network:
    layout, start = _laid_out(network, columns, cauchy)
    try:
        ended = descend(layout, start, _MOST_STEPS, settled)
    except BehindError as error:
        raise ValueError("adjust: a corner lies behind its camera at the start") from error
    except NotDeterminedError as error:
        raise _not_determined() from error
    turns = _orthonormal(ended.cam_turn)
    cameras = tuple(
        replace(c, cam_from_lab=Pose(r, t), intrinsics=k)
        for c, r, t, k in zip(network.cameras, turns, ended.cam_shift, ended.lenses, strict=True)
    )
    return replace(
        network,
        cameras=cameras,
        rotations=_orthonormal(ended.board_turn),
        translations=ended.board_shift,
    )


def _orthonormal(rotations: FloatArray) -> FloatArray:
    """Return rotations (..., 3, 3) without the rounding that many small turns gather.

    One step of Newton's iteration for the polar factor, R (3 I - R'R) / 2, squares what they
    are off by (Higham, SIAM J. Scientific and Statistical Computing 7:1160, 1986).
    """
    square = np.swapaxes(rotations, -1, -2) @ rotations
    return 0.5 * rotations @ (3 * np.eye(3) - square)


def covariance(
    network: Network, held: Mapping[int, tuple[FloatArray, FloatArray]] | None = None
) -> FloatArray:
    """Return the joint covariance of all cameras, (sum of 6 + P) squared, in the network's gauge.

    The order is that of `Rig.cov`; the parameters that the gauge or the lens model holds have
    variance 0. The noise is taken as `sigma_px` and `jitter` say.

    Args:
        network: Adjusted.
        held: Lenses that were not adjusted but are known from elsewhere, by the camera's number:
            which combinations of the intrinsics (P, n), and their covariance (n, n).
    """
    network = with_lenses(network, held or {})
    reduced = _information(network)
    ends = [piece.stop for piece in network.free_slices()]
    free = known_before(reduced, [(ends[c], cov) for c, (_, cov) in (held or {}).items()])
    spread = to_rig_parameters(network)
    cov = spread @ (0.5 * (free + free.T)) @ spread.T
    return 0.5 * (cov + cov.T)


def _information(network: Network) -> FloatArray:
    """Return the cameras' information (Q, Q), the board poses eliminated."""
    columns = _columns(network) if _plain(network) else None
    if columns is None:
        return _reduced(normal_equations(network), 0.0)[0]
    layout, state = _laid_out(network, columns, 0.0)
    here = Adjustment(layout)
    try:
        here.linearise(state)
        upper, _ = here.reduced(0.0)
    except NotDeterminedError as error:
        raise _not_determined() from error
    return np.triu(upper) + np.triu(upper, 1).T


def board_equations(network: Network) -> tuple[FloatArray, FloatArray]:
    """Return what the views say of each board pose: information (B, 6, 6) and gradient (B, 6)."""
    network = replace(network, bases=tuple(np.zeros((len(b), 0)) for b in network.bases))
    columns = _columns(network) if _plain(network) else None
    if columns is None:
        normals = normal_equations(network)
        return normals.boards, normals.board_gradient
    layout, state = _laid_out(network, columns, 0.0)
    here = Adjustment(layout)
    here.linearise(state)
    return here.boards


def with_lenses(network: Network, held: Mapping[int, tuple[FloatArray, FloatArray]]) -> Network:
    """Return the network with the combinations of held lenses as parameters."""
    bases = tuple(held[c][0] if c in held else b for c, b in enumerate(network.bases))
    return replace(network, bases=bases)


def known_before(reduced: FloatArray, known: Sequence[tuple[int, FloatArray]]) -> FloatArray:
    """Return the covariance of all parameters, some being held at what was known before.

    With the information R of the views, x adjusted and l held with covariance C, x moves by
    G = -R_xx^-1 R_xl for an error of l: cov x = R_xx^-1 + G C G', cov(x, l) = G C.

    Args:
        reduced: R.
        known: For each group held, where its parameters end and their covariance; groups are
            independent of each other.

    Raises:
        LabError: When the views do not determine a parameter.
    """
    if not known:
        try:
            return inverse(reduced)
        except NotDeterminedError as error:
            raise _not_determined() from error
    size = len(reduced)
    rows = np.concatenate([np.arange(end - len(cov), end) for end, cov in known])
    given = np.zeros((size, size))
    for end, cov in known:
        given[end - len(cov) : end, end - len(cov) : end] = cov
    free = np.setdiff1d(np.arange(size), rows)
    own = np.linalg.inv(reduced[np.ix_(free, free)])
    carry = np.zeros((size, len(rows)))
    carry[rows] = np.eye(len(rows))
    carry[free] = -own @ reduced[np.ix_(free, rows)]
    result = carry @ given[np.ix_(rows, rows)] @ carry.T
    result[np.ix_(free, free)] += own
    return result


def relative_covariances(network: Network, camera: int) -> FloatArray:
    """Return for each view of a camera (V, 6 + n, 6 + n) how well the adjusted network knows it.

    First the displacement of the board against the camera, as a camera pose perturbation, then the
    camera's n free lens parameters: where a lens is not known well, its error and the board's
    displacement go together.
    """
    normals = normal_equations(network)
    reduced, gain, inverse_boards = _reduced(normals, 0.0)
    free = np.linalg.inv(reduced)
    pose = network.views[camera].pose
    piece = network.free_slices()[camera]
    lens = network.bases[camera].shape[1]
    take = np.zeros((6 + lens, len(free)))
    take[6 + lens - (piece.stop - piece.start) :, piece] = np.eye(piece.stop - piece.start)
    by_board = np.zeros((6 + lens, 6))
    by_board[:6] = adjoint(network.cameras[camera])
    own = take @ free @ take.T
    seen = gain[:, pose]
    cross = -np.einsum("ij,jvk->vik", take @ free, seen)
    board = inverse_boards[pose] + np.einsum("ivk,ivl->vkl", seen, np.tensordot(free, seen, axes=1))
    if network.fixed_board is not None:
        fixed = (pose == network.fixed_board)[:, None, None]
        cross, board = np.where(fixed, 0.0, cross), np.where(fixed, 0.0, board)
    mixed = cross @ by_board.T
    return own + mixed + np.swapaxes(mixed, 1, 2) + by_board @ board @ by_board.T


def residuals_px(network: Network, camera: int) -> FloatArray:
    """Return the residuals (V, K, 2) px of one camera's views: observed minus predicted."""
    views, lens = network.views[camera], network.cameras[camera]
    if lens.model != "brown5":
        return view_normals(network, camera).residuals_px
    rotation = lens.cam_from_lab.rotation @ network.rotations[views.pose]
    shift = lens.cam_from_lab.transform(network.translations[views.pose])
    result = np.empty(views.xy_px.shape)
    corners = np.ascontiguousarray(network.corners_m)
    residuals(rotation, shift, lens.intrinsics, corners, views.xy_px, result)
    return result


def view_normals(network: Network, camera: int) -> ViewNormals:
    """Linearise the views of one camera; residuals are observed minus predicted."""
    views, lens = network.views[camera], network.cameras[camera]
    rotation = lens.cam_from_lab.rotation @ network.rotations[views.pose]
    shift = lens.cam_from_lab.transform(network.translations[views.pose])
    weight = views.weight / network.sigma_px[camera] ** 2
    if lens.model == "brown5":
        full, residual = np.empty((len(views), 16, 16)), np.empty(views.xy_px.shape)
        every = np.broadcast_to(lens.intrinsics, (len(views), 9))
        corners = np.ascontiguousarray(network.corners_m)
        cost = linearise(
            rotation,
            shift,
            np.ascontiguousarray(every),
            corners,
            views.xy_px,
            weight,
            0.0,
            full,
            residual,
        )
        if not np.isfinite(cost):  # a corner in use behind the camera must not vanish
            full[:] = np.inf
        products = _in_basis(full, network.bases[camera])
    else:
        points = network.corners_m @ np.swapaxes(network.rotations[views.pose], 1, 2)
        points += network.translations[views.pose][:, None]
        products, residual = _linearised(lens, points, views, weight, network.bases[camera])
    centring = np.broadcast_to(np.eye(6), (len(views), 6, 6)).copy()
    centring[:, 3:, :3] = cross_matrix(rotation @ network.corners_m.mean(0) + shift)
    return ViewNormals(products, centring, residual)


def _in_basis(products: FloatArray, basis: FloatArray) -> FloatArray:
    """Return the products with the lens's columns combined as the basis says."""
    free = basis.shape[1]
    take = np.zeros((16, 7 + free))
    take[:6, :6] = np.eye(6)
    take[6:15, 6:-1] = basis
    take[15, -1] = 1.0
    with np.errstate(invalid="ignore"):
        return take.T @ products @ take


def _linearised(
    lens: Camera, points: FloatArray, views: Views, weight: FloatArray, basis: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return products and residuals of points (V, K, 3) in the lab frame, for any lens model."""
    projected = lens.project_with_jacobians(points)
    residual = views.xy_px - projected.xy_px
    used = weight > 0
    columns = np.concatenate(
        [projected.by_pose, projected.by_intrinsics @ basis, residual[..., None]], axis=-1
    )
    behind = used & ~np.isfinite(projected.xy_px).all(-1)
    columns = np.where(used[..., None, None], columns * np.sqrt(weight)[..., None, None], 0.0)
    columns[behind] = np.inf
    flat = columns.reshape(len(views), 2 * weight.shape[1], columns.shape[-1])
    with np.errstate(invalid="ignore"):
        return np.swapaxes(flat, 1, 2) @ flat, residual


def normal_equations(network: Network) -> Normals:
    """Sum the views of all cameras into normal equations, jitter marginalised."""
    slices = network.free_slices()
    size, poses = slices[-1].stop, len(network.rotations)
    cameras = np.zeros((size, size))
    ties, boards = np.zeros((size, poses, 6)), np.zeros((poses, 6, 6))
    camera_gradient, board_gradient = np.zeros(size), np.zeros((poses, 6))
    cost = 0.0
    for c, views in enumerate(network.views):
        if not len(views):
            continue
        view = view_normals(network, c)
        if not np.isfinite(view.products).all():
            return Normals(cameras, ties, boards, camera_gradient, board_gradient, np.inf)
        moving = ~np.isin(views.pose, list(network.still))
        products = marginalised(view, network.jitter, moving)
        # The lens takes part always, the pose unless it is the gauge.
        first = 6 if c == network.fixed_camera else 0
        own = slice(first, products.shape[1] - 1)
        by_board = adjoint(network.cameras[c])
        cameras[slices[c], slices[c]] = products[:, own, own].sum(0)
        camera_gradient[slices[c]] = products[:, own, -1].sum(0)
        ties[slices[c], views.pose] = np.swapaxes(products[:, own, :6] @ by_board, 0, 1)
        boards[views.pose] += by_board.T @ products[:, :6, :6] @ by_board
        board_gradient[views.pose] += products[:, :6, -1] @ by_board
        cost += float(products[:, -1, -1].sum())
    held = np.einsum("bii->b", boards) == 0  # a pose that no view is left of stays where it is
    if network.fixed_board is not None:
        held[network.fixed_board] = True
    ties[:, held], board_gradient[held] = 0, 0
    boards[held] = np.eye(6)
    return Normals(cameras, ties, boards, camera_gradient, board_gradient, cost)


def adjoint(camera: Camera) -> FloatArray:
    """Return (6, 6): a displacement of a thing in the lab frame as one of the camera's pose."""
    rotation, translation = camera.cam_from_lab.rotation, camera.cam_from_lab.translation
    result = np.zeros((6, 6))
    result[:3, :3] = result[3:, 3:] = rotation
    result[3:, :3] = cross_matrix(translation) @ rotation
    return result


def cross_matrix(vectors: FloatArray) -> FloatArray:
    """Return (..., 3, 3) with `cross_matrix(v) @ w = v x w`."""
    result = np.zeros((*vectors.shape, 3))
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    result[..., 0, 1], result[..., 0, 2] = -z, y
    result[..., 1, 0], result[..., 1, 2] = z, -x
    result[..., 2, 0], result[..., 2, 1] = -y, x
    return result


def marginalised(
    view: ViewNormals, jitter: tuple[float, float], moving: NDArray[np.bool_]
) -> FloatArray:
    """Return the products without what a random displacement of the board would explain.

    With residuals r = J x + G u + noise and u ~ N(0, T), the information of x is
    J'J - J'G (G'G + T^-1)^-1 G'J (the matrix inversion lemma on the covariance of r).
    """
    if jitter[0] <= 0 or jitter[1] <= 0:
        return view.products
    inverse = np.repeat([jitter[0] ** -2, jitter[1] ** -2], 3)
    centred = np.swapaxes(view.centring, 1, 2) @ view.products[:, :6]
    normal = centred[:, :, :6] @ view.centring + np.diag(inverse)
    explained = np.swapaxes(centred, 1, 2) @ np.linalg.solve(normal, centred)
    return view.products - np.where(moving[:, None, None], explained, 0.0)


def _reduced(normals: Normals, damping: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Eliminate the board poses: the cameras' system (Q, Q), W V^-1 (Q, B, 6), V^-1 (B, 6, 6)."""
    diagonal = np.einsum("bii->bi", normals.boards)
    boards = normals.boards + damping * diagonal[:, :, None] * np.eye(6)
    # Scaled by the diagonal, radians and metres weigh the same.
    scale = 1 / np.sqrt(diagonal)
    scaled = np.linalg.inv(boards * scale[:, :, None] * scale[:, None, :])
    inverse = scaled * scale[:, :, None] * scale[:, None, :]
    gain = np.einsum("qbi,bij->qbj", normals.ties, inverse)
    size = len(normals.cameras)
    cameras = normals.cameras + damping * np.diag(np.diag(normals.cameras))
    width = 6 * len(boards)
    reduced = cameras - gain.reshape(size, width) @ normals.ties.reshape(size, width).T
    return 0.5 * (reduced + reduced.T), gain, inverse


def _step(normals: Normals, damping: float) -> tuple[FloatArray, FloatArray, float]:
    """Return the step of cameras (Q,) and boards (B, 6), and the fall of cost it promises."""
    reduced, gain, inverse = _reduced(normals, damping)
    right = normals.camera_gradient - np.einsum("qbi,bi->q", gain, normals.board_gradient)
    scale = 1 / np.sqrt(np.diag(reduced))
    if not np.isfinite(scale).all():
        raise np.linalg.LinAlgError("a parameter is not determined")
    cameras = scale * np.linalg.solve(reduced * scale[:, None] * scale, scale * right)
    boards = np.einsum(
        "bij,bj->bi",
        inverse,
        normals.board_gradient - np.einsum("qbi,q->bi", normals.ties, cameras),
    )
    promised = float(cameras @ normals.camera_gradient + (boards * normals.board_gradient).sum())
    return cameras, boards, promised


def moved_by(network: Network, cameras: FloatArray, boards: FloatArray) -> Network:
    """Return the network after a step of its free camera parameters and board poses (B, 6).

    Raises:
        ValueError: Where the step leaves what a camera can be.
    """
    moved = _moved(network, cameras, boards)
    if moved is None:
        raise ValueError("moved_by: a focal length would not be positive")
    return moved


def _moved(network: Network, cameras: FloatArray, boards: FloatArray) -> Network | None:
    """Return the network after a step; None where it leaves what a camera can be."""
    moved = []
    for c, camera in enumerate(network.cameras):
        step = cameras[network.free_slices()[c]]
        pose = np.zeros(6) if c == network.fixed_camera else step[:6]
        lens = network.bases[c] @ step[len(step) - network.bases[c].shape[1] :]
        if (camera.intrinsics[:2] + lens[:2] <= 0).any() or not np.isfinite(step).all():
            return None
        moved.append(camera.perturbed(np.concatenate([pose, lens])))
    turn = Rotation.from_rotvec(boards[:, :3]).as_matrix()
    return replace(
        network,
        cameras=tuple(moved),
        rotations=turn @ network.rotations,
        translations=np.einsum("bij,bj->bi", turn, network.translations) + boards[:, 3:],
    )


def to_rig_parameters(network: Network) -> FloatArray:
    """Return (full, free): from the free parameters to those of `Rig.cov`."""
    slices = network.free_slices()
    sizes = [6 + len(camera.intrinsics) for camera in network.cameras]
    spread = np.zeros((sum(sizes), slices[-1].stop))
    row = 0
    for c, (piece, size) in enumerate(zip(slices, sizes, strict=True)):
        lens_start = piece.start
        if c != network.fixed_camera:
            spread[row : row + 6, piece.start : piece.start + 6] = np.eye(6)
            lens_start += 6
        spread[row + 6 : row + size, lens_start : piece.stop] = network.bases[c]
        row += size
    return spread
