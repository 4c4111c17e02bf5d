"""The normal equations of a network: every view linearised with its camera's Jacobians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.compiled import linearise, residuals
from calibration.network import Network
from calibration.views import Views
from lab.camera import Camera
from lab.checks import FloatArray


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


def reduced(normals: Normals, damping: float) -> tuple[FloatArray, FloatArray, FloatArray]:
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
    system = cameras - gain.reshape(size, width) @ normals.ties.reshape(size, width).T
    return 0.5 * (system + system.T), gain, inverse
