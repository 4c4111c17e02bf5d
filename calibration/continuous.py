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
from dataclasses import replace

import numpy as np
from scipy.linalg import LinAlgError, cho_solve_banded, cholesky_banded
from scipy.spatial.transform import Rotation

from calibration.covariances import known_before
from calibration.network import with_lenses
from calibration.timed_network import TimedNetwork, timed_slices
from calibration.timed_system import System, system
from lab.checks import FloatArray
from lab.errors import LabError

_MOST_STEPS = 60
_MOST_DAMPING = 1e10


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


def timed_camera_step(timed: TimedNetwork) -> FloatArray:
    """Return the step of the cameras' poses and lenses to the most likely solution nearby."""
    cameras, _, _ = _step(system(timed), 0.0)
    pieces = zip(timed_slices(timed), timed.own_times, strict=True)
    return np.concatenate([cameras[piece.start : piece.stop - int(own)] for piece, own in pieces])


def timed_covariance(
    timed: TimedNetwork, held: Mapping[int, tuple[FloatArray, FloatArray]] | None = None
) -> FloatArray:
    """Return the covariance (Q, Q) of the cameras' free parameters, offsets included.

    `held` is as in `covariances.covariance`; its combinations then are among the parameters.
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
