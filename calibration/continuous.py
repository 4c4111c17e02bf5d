"""Adjustment with a continuous board motion: each camera's frames have their own time.

A camera's frames were taken at t = stamp + offset, the offset being the camera's own and the
same for all its frames, and the stamps being uncertain one by one. The board's path is a spline
whose second derivative is taken as white noise (Wahba, J. Royal Statistical Society B40:364, 1978),
of one strength for shifts and one for turns. Poses of the board that have no common time (a lens
recording, the board on the floor) stay poses of their own.

The strengths and the uncertainty of the stamps are those of the largest marginal likelihood, the
linearised unknowns integrated out (Laplace's approximation; restricted maximum likelihood).
Where asked, each camera's row read-out time is one more unknown (`readout`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded
from scipy.spatial.transform import Rotation

from calibration.bundle import Network, adjoint, cross_matrix, known_before, with_lenses
from calibration.compiled import linearise
from calibration.motion import Instants, Motion, at_instants, bending
from calibration.readout import linearise_rows
from lab.checks import FloatArray
from lab.errors import LabError

_MOST_STEPS = 60
_MOST_DAMPING = 1e10
_BAND = 24


@dataclass(frozen=True, slots=True)
class Strengths:
    """Variance components of the motion and of the stamps.

    Attributes:
        shift: m^2/s^3, of the white noise that the centre's acceleration is.
        turn: rad^2/s^3, of the angular acceleration.
        stamp: s, standard deviation of a stamp.
        wobble: m, standard deviation per axis of what else displaces the board in one view (a
            board that bends, a rolling shutter); turned by as much over its size.
    """

    shift: float = field(metadata={"unit": "m^2/s^3"})
    turn: float = field(metadata={"unit": "rad^2/s^3"})
    stamp: float = field(metadata={"unit": "s"})
    wobble: float = field(metadata={"unit": "m"})


@dataclass(frozen=True, slots=True, eq=False)
class TimedNetwork:
    """A network whose shared board poses lie on a motion.

    Attributes:
        network: Cameras and lenses, and the poses of their own; views with a time belong to the
            motion.
        motion: Of the board.
        offsets: (C,) s, frames were taken at stamp + offset.
        free_offset: (C,) whether a camera's offset is solved for; one camera's is the gauge.
        strengths: Variance components.
        readouts: (C,) s, from a frame's first row to its last.
        free_readout: (C,) whether a camera's read-out time is solved for.
    """

    network: Network
    motion: Motion
    offsets: FloatArray = field(metadata={"unit": "s"})
    free_offset: NDArray[np.bool_]
    strengths: Strengths
    readouts: FloatArray = field(metadata={"unit": "s"})
    free_readout: NDArray[np.bool_]

    @property
    def own_times(self) -> NDArray[np.intp]:
        """How many parameters of time each camera has (C,): the last ones of its own."""
        return self.free_readout.astype(np.intp) + self.free_offset


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


def timed_slices(timed: TimedNetwork) -> tuple[slice, ...]:
    """Return where each camera's free parameters (pose, lens, read-out, offset) stand."""
    own = [s.stop - s.start for s in timed.network.free_slices()] + timed.own_times
    ends = np.cumsum(own)
    return tuple(slice(int(e - n), int(e)) for e, n in zip(ends, own, strict=True))


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


def adjust_timed(timed: TimedNetwork, settled: float = 1e-10) -> tuple[TimedNetwork, float]:
    """Move everything to the most likely solution; return it and minus twice its log evidence.

    Raises:
        LabError: When the views do not determine it.
    """
    normals = system(timed)
    damping = 1e-4
    for _ in range(_MOST_STEPS):
        try:
            step, nodes, promised = _step(normals, damping)
        except LinAlgError as error:
            raise LabError(
                "the views do not determine the cameras and the board's motion",
                where="time offsets",
                remedy="Show the board to more cameras at once, moving it all the time.",
            ) from error
        moved = _moved(timed, step, nodes)
        trial = system(moved) if moved is not None else None
        if moved is not None and trial is not None and trial.cost <= normals.cost:
            timed, normals = moved, trial
            damping = max(damping / 10, 1e-10)
        else:
            damping *= 10
        if promised <= settled * normals.cost or damping > _MOST_DAMPING:
            break
    return timed, _minus_twice_evidence(timed, normals)


def timed_covariance(
    timed: TimedNetwork, held: Mapping[int, tuple[FloatArray, FloatArray]] | None = None
) -> FloatArray:
    """Return the covariance (Q, Q) of the cameras' free parameters, offsets included.

    `held` is as in `bundle.covariance`; its combinations then are among the parameters.
    """
    timed = replace(timed, network=with_lenses(timed.network, held or {}))
    reduced, _, _ = _reduced(system(timed), 0.0)
    scale = 1 / np.sqrt(np.diag(reduced))
    known = []
    for c, (_, cov) in (held or {}).items():
        end = timed_slices(timed)[c].stop - int(timed.own_times[c])
        own = scale[end - len(cov) : end]
        known.append((end, cov / own[:, None] / own))
    inverse = known_before(reduced * scale[:, None] * scale, known) * scale[:, None] * scale
    return 0.5 * (inverse + inverse.T)


def is_timed(network: Network, camera: int) -> NDArray[np.bool_]:
    """Say which views (V,) of a camera lie on the motion: those with a time, the board moving."""
    views = network.views[camera]
    return np.isfinite(views.t) & ~np.isin(views.pose, list(network.still))


def board_at(timed: TimedNetwork, camera: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return where the board is in a camera's views: rotations, centres, displacement by time.

    (V, 3, 3), (V, 3) m, and (V, 6) per s, the lab displacement of `bundle.adjoint`.
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


def _reduced(normals: System, damping: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Eliminate the board: the cameras' system, the band's factor, and its solution of the ties."""
    band = normals.band.copy()
    band[0] *= 1 + damping
    factor = cholesky_banded(band, lower=True)
    gain = cho_solve_banded((factor, True), normals.ties)
    cameras = normals.cameras + damping * np.diag(np.diag(normals.cameras))
    reduced = cameras - normals.ties.T @ gain
    return 0.5 * (reduced + reduced.T), factor, gain


def _step(normals: System, damping: float) -> tuple[FloatArray, FloatArray, float]:
    reduced, factor, gain = _reduced(normals, damping)
    right = normals.camera_gradient - gain.T @ normals.band_gradient
    diagonal = np.diag(reduced)
    if not (diagonal > 0).all():
        raise LinAlgError("a parameter is not determined")
    scale = 1 / np.sqrt(diagonal)
    cameras = scale * np.linalg.solve(reduced * scale[:, None] * scale, scale * right)
    nodes = cho_solve_banded((factor, True), normals.band_gradient - normals.ties @ cameras)
    promised = float(cameras @ normals.camera_gradient + nodes @ normals.band_gradient)
    return cameras, nodes, promised


def _moved(timed: TimedNetwork, cameras: FloatArray, nodes: FloatArray) -> TimedNetwork | None:
    network, moved = timed.network, []
    offsets, readouts = timed.offsets.copy(), timed.readouts.copy()
    if not (np.isfinite(cameras).all() and np.isfinite(nodes).all()):
        return None
    for c, (camera, piece) in enumerate(zip(network.cameras, timed_slices(timed), strict=True)):
        step = cameras[piece]
        if timed.free_offset[c]:
            offsets[c] += step[-1]
            step = step[:-1]
        if timed.free_readout[c]:
            readouts[c] += step[-1]
            step = step[:-1]
        pose = np.zeros(6) if c == network.fixed_camera else step[:6]
        lens = network.bases[c] @ step[len(step) - network.bases[c].shape[1] :]
        if (camera.intrinsics[:2] + lens[:2] <= 0).any():
            return None
        moved.append(camera.perturbed(np.concatenate([pose, lens])))
    steps = nodes.reshape(-1, 6)
    controls = len(timed.motion.centres)
    own = steps[controls:]
    # Poses of their own are displaced about the lab's origin.
    turn = Rotation.from_rotvec(own[:, :3]).as_matrix()
    translations = np.einsum("bij,bj->bi", turn, network.translations) + own[:, 3:]
    network = replace(
        network,
        cameras=tuple(moved),
        rotations=turn @ network.rotations,
        translations=translations,
    )
    motion = timed.motion.moved(steps[:controls])
    return replace(timed, network=network, motion=motion, offsets=offsets, readouts=readouts)


def _minus_twice_evidence(timed: TimedNetwork, normals: System) -> float:
    try:
        reduced, factor, _ = _reduced(normals, 0.0)
    except LinAlgError:
        return float("inf")
    sign, logarithm = np.linalg.slogdet(reduced)
    if sign <= 0:
        return float("inf")
    logarithm += 2 * float(np.log(factor[0]).sum())
    free = 3 * (len(timed.motion.centres) - 2)
    logarithm += free * (np.log(timed.strengths.shift) + np.log(timed.strengths.turn))
    return float(normals.cost + logarithm + normals.stamp_terms)
