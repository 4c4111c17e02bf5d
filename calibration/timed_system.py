"""The normal equations of a network on a continuous motion: the board's part is banded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.compiled import linearise
from calibration.motion import Instants, at_instants, bending
from calibration.normals import adjoint, cross_matrix
from calibration.readout import linearise_rows
from calibration.timed_network import TimedNetwork, is_timed, timed_slices
from lab.checks import FloatArray

_BAND = 24


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """Normal equations: cameras (Q), control poses and poses of their own (6 M), banded.

    Attributes:
        cameras: (Q, Q).
        ties: (6 M, Q).
        band: (24, 6 M) lower diagonals.
        camera_gradient, band_gradient: (Q,), (6 M,).
        cost: With the motion's and the stamps' part.
        stamp_terms: Sum of the logarithms that the stamps add to the marginal likelihood.
        slices: Where each camera's parameters (pose, lens, read-out, offset) stand.
    """

    cameras: FloatArray
    ties: FloatArray
    band: FloatArray
    camera_gradient: FloatArray
    band_gradient: FloatArray
    cost: float
    stamp_terms: float
    slices: tuple[slice, ...]


def system(timed: TimedNetwork) -> System:
    """Sum all views and the motion's smoothness into normal equations."""
    network, slices = timed.network, timed_slices(timed)
    controls = len(timed.motion.centres)
    # Three more, so that the (zero) further nodes of a pose of its own have a place.
    nodes_in_all = controls + len(network.rotations)
    blocks = np.zeros((nodes_in_all + 3, 4, 6, 6))
    gradient = np.zeros((len(blocks), 6))
    size = slices[-1].stop
    ties = np.zeros((len(blocks), 6, size))
    cameras, camera_gradient = np.zeros((size, size)), np.zeros(size)
    cost, stamp_terms = 0.0, 0.0
    for c, views in enumerate(network.views):
        if not len(views):
            continue
        rotations, centres, first, by_node, velocity = _board_at_views(timed, c)
        to_camera = adjoint(network.cameras[c])
        late = velocity @ to_camera.T  # (V, 6) camera pose perturbation by a later frame
        products = _products(timed, c, rotations, centres, late)
        if not np.isfinite(products).all():
            return System(cameras, ties, blocks, camera_gradient, gradient, np.inf, 0.0, slices)
        products, logarithms = _without_wobble(timed, c, products, centres)
        stamp_terms += logarithms
        seen = np.einsum("vij,vj->vi", products[:, :, :6], late)
        strength = np.einsum("vi,vi->v", seen[:, :6], late)
        variance = timed.strengths.stamp**2
        doubt = variance / (1 + variance * strength)
        products = products - doubt[:, None, None] * seen[:, :, None] * seen[:, None]
        seen = np.einsum("vij,vj->vi", products[:, :, :6], late)
        stamp_terms += float(np.log1p(variance * strength).sum())
        columns = _camera_columns(timed, c, late, products.shape[-1] - 1)
        half = products[:, :, :-1] @ columns  # (V, 16, own)
        own = np.swapaxes(columns, 1, 2) @ half[:, :-1]
        cameras[slices[c], slices[c]] += own.sum(0)
        camera_gradient[slices[c]] += half[:, -1].sum(0)
        cost += float(products[:, -1, -1].sum())
        nodes = to_camera @ by_node  # (V, 4, 6, 6) camera pose perturbation by each node
        board = products[:, None, :6, :6] @ nodes
        for i in range(by_node.shape[1]):
            at = first + i
            np.add.at(gradient, at, np.einsum("vij,vi->vj", nodes[:, i], products[:, :6, -1]))
            piece = np.swapaxes(nodes[:, i], 1, 2) @ half[:, :6]
            np.add.at(ties[:, :, slices[c]], at, piece)
            for j in range(i, by_node.shape[1]):
                np.add.at(blocks[:, j - i], at, np.swapaxes(nodes[:, i], 1, 2) @ board[:, j])
    blocks, gradient, ties = (x[:nodes_in_all] for x in (blocks, gradient, ties))
    cost += _add_smoothness(timed, blocks, gradient)
    _hold(timed, blocks, ties, gradient)
    return System(
        cameras,
        ties.reshape(-1, size),
        _banded(blocks),
        camera_gradient,
        gradient.ravel(),
        cost,
        stamp_terms,
        slices,
    )


def board_at(timed: TimedNetwork, camera: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return where the board is in a camera's views: rotations, centres, displacement by time.

    (V, 3, 3), (V, 3) m, and (V, 6) per s, the lab displacement of `normals.adjoint`.
    """
    rotations, centres, _, _, velocity = _board_at_views(timed, camera)
    return rotations, centres, velocity


def _board_at_views(
    timed: TimedNetwork, camera: int
) -> tuple[FloatArray, FloatArray, NDArray[np.intp], FloatArray, FloatArray]:
    """Rotations, centres, first node, lab displacement by node (V, 4, 6, 6) and by time (V, 6)."""
    network, views = timed.network, timed.network.views[camera]
    moving = is_timed(network, camera)
    centre_m = network.corners_m.mean(0)
    rotations = network.rotations[views.pose].copy()
    centres = rotations @ centre_m + network.translations[views.pose]
    first = len(timed.motion.centres) + views.pose
    by_node = np.zeros((len(views), 4, 6, 6))
    velocity = np.zeros((len(views), 6))
    by_node[:, 0] = np.eye(6)
    if moving.any():
        now: Instants = at_instants(timed.motion, views.t[moving] + timed.offsets[camera])
        rotations[moving], centres[moving] = now.rotations, now.centres
        first[moving] = now.first
        about_lab = np.broadcast_to(np.eye(6), (len(now.first), 6, 6)).copy()
        about_lab[:, 3:, :3] = cross_matrix(now.centres)
        by_node[moving] = about_lab[:, None] @ now.by_control
        velocity[moving] = np.einsum("vij,vj->vi", about_lab, now.velocity)
    return rotations, centres, first, by_node, velocity


def _products(
    timed: TimedNetwork,
    camera: int,
    rotations: FloatArray,
    centres: FloatArray,
    late: FloatArray,
) -> FloatArray:
    """Return (V, n, n) of the columns [pose 6, lens 9, read-out where there is one, residual]."""
    network = timed.network
    views, lens = network.views[camera], network.cameras[camera]
    pose = lens.cam_from_lab
    origins = centres - rotations @ network.corners_m.mean(0)
    readout = float(timed.readouts[camera])
    if timed.free_readout[camera] or readout != 0:
        points = network.corners_m @ np.swapaxes(rotations, 1, 2) + origins[:, None]
        weight = views.weight / network.sigma_px[camera] ** 2
        return linearise_rows(lens, pose.transform(points), late, readout, views, weight)
    products = np.empty((len(views), 16, 16))
    every = np.ascontiguousarray(np.broadcast_to(lens.intrinsics, (len(views), 9)))
    cost = linearise(
        pose.rotation @ rotations, pose.transform(origins), every,
        np.ascontiguousarray(network.corners_m), views.xy_px,
        views.weight / network.sigma_px[camera] ** 2, 0.0, products, np.empty(views.xy_px.shape),
    )  # fmt: skip
    return products if np.isfinite(cost) else np.full_like(products, np.inf)


def _without_wobble(
    timed: TimedNetwork, c: int, products: FloatArray, centres: FloatArray
) -> tuple[FloatArray, float]:
    """Marginalise the wobble of the views on the motion; the logarithms of its determinants."""
    moving = is_timed(timed.network, c)
    corners = timed.network.corners_m
    size = np.sqrt(((corners - corners.mean(0)) ** 2).sum(1).mean())
    root = np.repeat([timed.strengths.wobble / size, timed.strengths.wobble], 3)
    about = np.broadcast_to(np.eye(6), (int(moving.sum()), 6, 6)).copy()
    about[:, 3:, :3] = cross_matrix(
        timed.network.cameras[c].cam_from_lab.transform(centres[moving])
    )
    scaled = about * root
    own = products[moving]
    tied = np.swapaxes(scaled, 1, 2) @ own[:, :6]
    normal = np.eye(6) + tied[:, :, :6] @ scaled
    result = products.copy()
    result[moving] = own - np.swapaxes(tied, 1, 2) @ np.linalg.solve(normal, tied)
    return result, float(np.linalg.slogdet(normal)[1].sum())


def _camera_columns(timed: TimedNetwork, c: int, late: FloatArray, given: int) -> FloatArray:
    """Return (V, given, own): what products has columns of, by the camera's free parameters."""
    basis = timed.network.bases[c]
    pose = 0 if c == timed.network.fixed_camera else 6
    lens = pose + basis.shape[1]
    columns = np.zeros((len(late), given, lens + int(timed.own_times[c])))
    columns[:, :pose, :pose] = np.eye(pose)
    columns[:, 6:15, pose:lens] = basis
    if timed.free_readout[c]:
        columns[:, 15, lens] = 1.0
    if timed.free_offset[c]:
        columns[:, :6, -1] = late
    return columns


def _add_smoothness(timed: TimedNetwork, blocks: FloatArray, gradient: FloatArray) -> float:
    """Add the motion's white acceleration to the normal equations; return its part of the cost."""
    motion, strengths = timed.motion, timed.strengths
    count = len(motion.centres)
    diagonals = bending(count, motion.step)
    q = motion.quaternions
    # dq = (d, 0) q / 2 of a small turn d.
    by_turn = np.zeros((count, 4, 3))
    by_turn[:, :3] = 0.5 * (q[:, 3, None, None] * np.eye(3) - cross_matrix(q[:, :3]))
    by_turn[:, 3] = -0.5 * q[:, :3]
    bent_q, bent_c = np.zeros((count, 4)), np.zeros((count, 3))
    for j in range(4):
        g = diagonals[j, : count - j]
        upper, lower = slice(0, count - j), slice(j, count)
        for bent, value in ((bent_q, q), (bent_c, motion.centres)):
            bent[upper] += g[:, None] * value[lower]
            if j:
                bent[lower] += g[:, None] * value[upper]
        blocks[upper, j, 3:, 3:] += g[:, None, None] / strengths.shift * np.eye(3)
        turning = np.swapaxes(by_turn[upper], 1, 2) @ by_turn[lower]
        blocks[upper, j, :3, :3] += 4 * g[:, None, None] / strengths.turn * turning
    gradient[:count, 3:] -= bent_c / strengths.shift
    gradient[:count, :3] -= 4 / strengths.turn * np.einsum("nij,ni->nj", by_turn, bent_q)
    return float(
        (motion.centres * bent_c).sum() / strengths.shift + 4 * (q * bent_q).sum() / strengths.turn
    )


def _hold(timed: TimedNetwork, blocks: FloatArray, ties: FloatArray, gradient: FloatArray) -> None:
    """Keep the poses that no view determines, and the gauge's, where they are."""
    controls = len(timed.motion.centres)
    alone = np.flatnonzero(np.einsum("nii->n", blocks[controls:, 0]) == 0) + controls
    if timed.network.fixed_board is not None:
        alone = np.append(alone, controls + timed.network.fixed_board)
    blocks[alone] = 0.0
    blocks[alone, 0] = np.eye(6)
    ties[alone], gradient[alone] = 0.0, 0.0


def _banded(blocks: FloatArray) -> FloatArray:
    """Return blocks [k, j] = H[k, k + j] as lower diagonals (24, 6 M)."""
    count = len(blocks)
    band = np.zeros((_BAND, 6 * count))
    for j in range(4):
        for a in range(6):
            for b in range(6):
                row = 6 * j + b - a
                if row >= 0:
                    band[row, a::6] += blocks[:, j, a, b]
    return band
