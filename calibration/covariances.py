"""How well an adjusted network knows its cameras and boards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from calibration.adjustment import Adjustment, NotDeterminedError, inverse
from calibration.bundle import not_determined
from calibration.laid_out import laid_out
from calibration.network import Network, to_rig_parameters, with_lenses
from calibration.normals import adjoint, normal_equations, reduced
from lab.checks import FloatArray


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
    information = _information(network)
    ends = [piece.stop for piece in network.free_slices()]
    free = known_before(information, [(ends[c], cov) for c, (_, cov) in (held or {}).items()])
    spread = to_rig_parameters(network)
    cov = spread @ (0.5 * (free + free.T)) @ spread.T
    return 0.5 * (cov + cov.T)


def _information(network: Network) -> FloatArray:
    """Return the cameras' information (Q, Q), the board poses eliminated."""
    task = laid_out(network)
    if task is None:
        return reduced(normal_equations(network), 0.0)[0]
    layout, state = task
    here = Adjustment(layout)
    try:
        here.linearise(state)
        upper, _ = here.reduced(0.0)
    except NotDeterminedError as error:
        raise not_determined() from error
    return np.triu(upper) + np.triu(upper, 1).T


def board_equations(network: Network) -> tuple[FloatArray, FloatArray]:
    """Return what the views say of each board pose: information (B, 6, 6) and gradient (B, 6)."""
    network = replace(network, bases=tuple(np.zeros((len(b), 0)) for b in network.bases))
    task = laid_out(network)
    if task is None:
        normals = normal_equations(network)
        return normals.boards, normals.board_gradient
    layout, state = task
    here = Adjustment(layout)
    here.linearise(state)
    return here.boards


def known_before(information: FloatArray, known: Sequence[tuple[int, FloatArray]]) -> FloatArray:
    """Return the covariance of all parameters, some being held at what was known before.

    With the information R of the views, x adjusted and l held with covariance C, x moves by
    G = -R_xx^-1 R_xl for an error of l: cov x = R_xx^-1 + G C G', cov(x, l) = G C.

    Args:
        information: R.
        known: For each group held, where its parameters end and their covariance; groups are
            independent of each other.

    Raises:
        LabError: When the views do not determine a parameter.
    """
    if not known:
        try:
            return inverse(information)
        except NotDeterminedError as error:
            raise not_determined() from error
    size = len(information)
    rows = np.concatenate([np.arange(end - len(cov), end) for end, cov in known])
    given = np.zeros((size, size))
    for end, cov in known:
        given[end - len(cov) : end, end - len(cov) : end] = cov
    free = np.setdiff1d(np.arange(size), rows)
    own = np.linalg.inv(information[np.ix_(free, free)])
    carry = np.zeros((size, len(rows)))
    carry[rows] = np.eye(len(rows))
    carry[free] = -own @ information[np.ix_(free, rows)]
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
    information, gain, inverse_boards = reduced(normals, 0.0)
    free = np.linalg.inv(information)
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
