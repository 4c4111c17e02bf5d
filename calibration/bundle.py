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

from dataclasses import replace

import numpy as np

from calibration.adjustment import BehindError, NotDeterminedError, descend
from calibration.compiled_adjust import Layout, State
from calibration.laid_out import laid_out
from calibration.network import Network, moved_where_possible
from calibration.normals import Normals, normal_equations, reduced
from lab.checks import FloatArray
from lab.errors import LabError
from lab.pose import Pose

_MOST_STEPS = 80
_SETTLED = 1e-10
ROUGHLY = 1e-5  # enough between rounds of reweighting, and to compare models
_MOST_DAMPING = 1e12


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
    task = laid_out(network, cauchy)
    if task is not None:
        return _adjust_compiled(*task, network, settled)
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
            raise not_determined() from error
        moved = moved_where_possible(network, cameras, boards)
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


def not_determined() -> LabError:
    """Return what is to be said where the views do not tell."""
    return LabError(
        "the views do not determine the cameras",
        where="bundle adjustment",
        remedy="Show the board to more cameras at once, closer and tilted.",
    )


def _adjust_compiled(layout: Layout, start: State, network: Network, settled: float) -> Network:
    try:
        ended = descend(layout, start, _MOST_STEPS, settled)
    except BehindError as error:
        raise ValueError("adjust: a corner lies behind its camera at the start") from error
    except NotDeterminedError as error:
        raise not_determined() from error
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


def camera_step(network: Network) -> FloatArray:
    """Return the step (Q,) of the cameras' free parameters to the least squares solution nearby.

    Raises:
        LabError: When a camera or board pose is not determined by the views.
    """
    try:
        return _step(normal_equations(network), 0.0)[0]
    except np.linalg.LinAlgError as error:
        raise not_determined() from error


def _step(normals: Normals, damping: float) -> tuple[FloatArray, FloatArray, float]:
    """Return the step of cameras (Q,) and boards (B, 6), and the fall of cost it promises."""
    system, gain, inverse = reduced(normals, damping)
    right = normals.camera_gradient - np.einsum("qbi,bi->q", gain, normals.board_gradient)
    scale = 1 / np.sqrt(np.diag(system))
    if not np.isfinite(scale).all():
        raise np.linalg.LinAlgError("a parameter is not determined")
    cameras = scale * np.linalg.solve(system * scale[:, None] * scale, scale * right)
    boards = np.einsum(
        "bij,bj->bi",
        inverse,
        normals.board_gradient - np.einsum("qbi,q->bi", normals.ties, cameras),
    )
    promised = float(cameras @ normals.camera_gradient + (boards * normals.board_gradient).sum())
    return cameras, boards, promised
