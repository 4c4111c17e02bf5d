"""Levenberg-Marquardt over cameras and board poses, compiled; the mathematics is `bundle`'s."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from calibration.compiled import (
    PARAMETERS,
    adjoint_of,
    factorise,
    linearise_view,
    multiply,
    solve_factorised,
    turn_of,
)
from lab.checks import FloatArray

SETTLED, TOO_LONG, NOT_DETERMINED, BEHIND = 0, 1, 2, 3
_MOST_DAMPING = 1e12
IntArray = NDArray[np.int64]


@njit(cache=True, error_model="numpy")
def build(
    cam_turn: FloatArray,
    cam_shift: FloatArray,
    lenses: FloatArray,
    columns: IntArray,
    board_turn: FloatArray,
    board_shift: FloatArray,
    held: NDArray[np.bool_],
    view_camera: IntArray,
    view_pose: IntArray,
    corners: FloatArray,
    xy: FloatArray,
    weight: FloatArray,
    cauchy: float,
    cameras: FloatArray,
    camera_gradient: FloatArray,
    ties: FloatArray,
    boards: FloatArray,
    board_gradient: FloatArray,
) -> float:
    """Fill the normal equations and return the cost.

    `columns` (C, 15) says which column of the cameras' system (Q) a parameter is, -1 for none;
    parameters may share one. `ties` is (V, 15, 6): each view's camera against its board pose.
    `cameras` (Q, Q) holds the upper triangle in the order of the columns.
    """
    cameras[:] = 0.0
    camera_gradient[:] = 0.0
    boards[:] = 0.0
    board_gradient[:] = 0.0
    products, residual = np.empty((16, 16)), np.empty((len(corners), 2))
    turn, shift = np.empty((3, 3)), np.empty(3)
    by_board, half = np.empty((6, 6)), np.empty((6, 6))
    cost = 0.0
    for v in range(len(view_camera)):
        c, b = view_camera[v], view_pose[v]
        multiply(cam_turn[c], board_turn[b], turn)
        for i in range(3):
            shift[i] = cam_shift[c, i]
            for j in range(3):
                shift[i] += cam_turn[c, i, j] * board_shift[b, j]
        cost += linearise_view(
            turn, shift, lenses[c], corners, xy[v], weight[v], cauchy, products, residual
        )
        if not np.isfinite(cost):
            return np.inf
        for i in range(PARAMETERS):
            p = columns[c, i]
            if p < 0:
                continue
            camera_gradient[p] += products[i, 15]
            for j in range(PARAMETERS):
                q = columns[c, j]
                if q >= p:
                    cameras[p, q] += products[i, j]
        if held[b]:
            ties[v] = 0.0
            continue
        adjoint_of(cam_turn[c], cam_shift[c], by_board)
        multiply(products[:PARAMETERS, :6], by_board, ties[v])
        for i in range(6):
            for k in range(6):
                half[i, k] = ties[v, i, k]
                board_gradient[b, k] += by_board[i, k] * products[i, 15]
        for i in range(6):
            for k in range(6):
                for j in range(6):
                    boards[b, k, j] += by_board[i, k] * half[i, j]
    for b in range(len(boards)):
        if boards[b, 0, 0] == 0.0:  # held, or no view is left of it: it stays where it is
            for i in range(6):
                boards[b, i, i] = 1.0
    return cost


@njit(cache=True, error_model="numpy")
def reduce(
    columns: IntArray,
    view_camera: IntArray,
    view_start: IntArray,
    cameras: FloatArray,
    camera_gradient: FloatArray,
    ties: FloatArray,
    boards: FloatArray,
    board_gradient: FloatArray,
    damping: float,
    reduced: FloatArray,
    right: FloatArray,
    half_ties: FloatArray,
    factors: FloatArray,
    half_gradient: FloatArray,
) -> bool:
    """Eliminate the board poses from the damped system; False where one is not determined.

    With V = L L' of a board pose, `half_ties` is W L^-T and `half_gradient` L^-1 g, so that the
    reduced system is U - sum of half_ties half_ties'.
    """
    size = len(cameras)
    for p in range(size):
        right[p] = camera_gradient[p]
        for q in range(p, size):
            reduced[p, q] = cameras[p, q]
        reduced[p, p] *= 1 + damping
    small = np.empty((6, 6))
    free = np.empty((len(columns), PARAMETERS), np.int64)
    count = np.zeros(len(columns), np.int64)
    for c in range(len(columns)):
        for i in range(PARAMETERS):
            if columns[c, i] >= 0:
                free[c, count[c]] = i
                count[c] += 1
    for b in range(len(boards)):
        small[:] = boards[b]
        for i in range(6):
            small[i, i] *= 1 + damping
        if not factorise(small):
            return False
        factors[b] = small
        for i in range(6):
            total = board_gradient[b, i]
            for j in range(i):
                total -= small[i, j] * half_gradient[b, j]
            half_gradient[b, i] = total / small[i, i]
        first, last = view_start[b], view_start[b + 1]
        for v in range(first, last):
            c = view_camera[v]
            for m in range(count[c]):
                row = free[c, m]
                for i in range(6):
                    total = ties[v, row, i]
                    for j in range(i):
                        total -= small[i, j] * half_ties[v, row, j]
                    half_ties[v, row, i] = total / small[i, i]
                p = columns[c, row]
                for i in range(6):
                    right[p] -= half_ties[v, row, i] * half_gradient[b, i]
        for v in range(first, last):
            c = view_camera[v]
            for w in range(v, last):
                d = view_camera[w]
                for m in range(count[c]):
                    row = half_ties[v, free[c, m]]
                    p = columns[c, free[c, m]]
                    a0, a1, a2, a3, a4, a5 = row[0], row[1], row[2], row[3], row[4], row[5]
                    for n in range(count[d]):
                        q = columns[d, free[d, n]]
                        if q >= p:
                            other = half_ties[w, free[d, n]]
                            reduced[p, q] -= (
                                (a0 * other[0] + a1 * other[1])
                                + (a2 * other[2] + a3 * other[3])
                                + (a4 * other[4] + a5 * other[5])
                            )
    return True


@njit(cache=True, error_model="numpy")
def _back_to_boards(
    columns: IntArray,
    view_camera: IntArray,
    view_start: IntArray,
    half_ties: FloatArray,
    factors: FloatArray,
    half_gradient: FloatArray,
    step: FloatArray,
    boards: FloatArray,
) -> None:
    """Write the board poses' step (B, 6) that goes with the cameras' step (Q,)."""
    for b in range(len(boards)):
        for i in range(6):
            boards[b, i] = half_gradient[b, i]
        for v in range(view_start[b], view_start[b + 1]):
            c = view_camera[v]
            for row in range(PARAMETERS):
                p = columns[c, row]
                if p >= 0:
                    for i in range(6):
                        boards[b, i] -= half_ties[v, row, i] * step[p]
        for i in range(5, -1, -1):
            boards[b, i] = boards[b, i] / factors[b, i, i]
            for j in range(i):
                boards[b, j] -= factors[b, i, j] * boards[b, i]


@njit(cache=True, error_model="numpy")
def _move(turn: FloatArray, shift: FloatArray, step: FloatArray) -> None:
    small = turn_of(step[:3])
    new, moved = np.empty((3, 3)), np.empty(3)
    multiply(small, turn, new)
    for i in range(3):
        moved[i] = step[3 + i]
        for j in range(3):
            moved[i] += small[i, j] * shift[j]
    turn[:] = new
    shift[:] = moved


@njit(cache=True, error_model="numpy", nogil=True)
def descend(
    cam_turn: FloatArray,
    cam_shift: FloatArray,
    lenses: FloatArray,
    columns: IntArray,
    size: int,
    board_turn: FloatArray,
    board_shift: FloatArray,
    held: NDArray[np.bool_],
    view_camera: IntArray,
    view_pose: IntArray,
    view_start: IntArray,
    corners: FloatArray,
    xy: FloatArray,
    weight: FloatArray,
    cauchy: float,
    most_steps: int,
    settled: float,
) -> tuple[int, float]:
    """Move cameras, lenses and board poses (all in place) to the least cost.

    Views stand in the order of their poses, `view_start` (B + 1) saying where each begins.

    Returns:
        How it ended (SETTLED, TOO_LONG, NOT_DETERMINED or BEHIND), and the cost.
    """
    views, poses = len(view_camera), len(board_turn)
    cameras, reduced = np.zeros((size, size)), np.zeros((size, size))
    gradient, right, scale = np.zeros(size), np.zeros(size), np.zeros(size)
    ties, half_ties = np.zeros((views, PARAMETERS, 6)), np.zeros((views, PARAMETERS, 6))
    boards, factors = np.zeros((poses, 6, 6)), np.zeros((poses, 6, 6))
    board_gradient, half_gradient = np.zeros((poses, 6)), np.zeros((poses, 6))
    board_step, full = np.zeros((poses, 6)), np.zeros(6)
    cost = build(
        cam_turn, cam_shift, lenses, columns, board_turn, board_shift, held, view_camera,
        view_pose, corners, xy, weight, cauchy, cameras, gradient, ties, boards, board_gradient,
    )  # fmt: skip
    if not np.isfinite(cost):
        return BEHIND, cost
    damping = 1e-4
    for _ in range(most_steps):
        ok = reduce(
            columns, view_camera, view_start, cameras, gradient, ties, boards, board_gradient,
            damping, reduced, right, half_ties, factors, half_gradient,
        )  # fmt: skip
        for p in range(size):
            ok = ok and reduced[p, p] > 0
        if not ok:
            return NOT_DETERMINED, cost
        # Scaled by the diagonal, radians, metres and pixels weigh the same.
        for p in range(size):
            scale[p] = 1 / np.sqrt(reduced[p, p])
        for p in range(size):
            for q in range(p, size):
                reduced[p, q] *= scale[p] * scale[q]
            right[p] *= scale[p]
        if not factorise(reduced):
            return NOT_DETERMINED, cost
        solve_factorised(reduced, right)
        promised = 0.0
        for p in range(size):
            right[p] *= scale[p]
            promised += right[p] * gradient[p]
        _back_to_boards(
            columns, view_camera, view_start, half_ties, factors, half_gradient, right, board_step
        )
        for b in range(poses):
            for i in range(6):
                promised += board_step[b, i] * board_gradient[b, i]
        old = (
            cam_turn.copy(), cam_shift.copy(), lenses.copy(), board_turn.copy(),
            board_shift.copy(),
        )  # fmt: skip
        possible = True
        for c in range(len(cam_turn)):
            for i in range(6):
                full[i] = right[columns[c, i]] if columns[c, i] >= 0 else 0.0
            _move(cam_turn[c], cam_shift[c], full)
            for i in range(9):
                if columns[c, 6 + i] >= 0:
                    lenses[c, i] += right[columns[c, 6 + i]]
            possible = possible and lenses[c, 0] > 0 and lenses[c, 1] > 0
        for b in range(poses):
            if not held[b]:
                _move(board_turn[b], board_shift[b], board_step[b])
        trial = np.inf
        if possible:
            trial = build(
                cam_turn, cam_shift, lenses, columns, board_turn, board_shift, held, view_camera,
                view_pose, corners, xy, weight, cauchy, cameras, gradient, ties, boards,
                board_gradient,
            )  # fmt: skip
        if trial <= cost:
            cost = trial
            damping = max(damping / 10, 1e-12)
        else:
            cam_turn[:], cam_shift[:], lenses[:] = old[0], old[1], old[2]
            board_turn[:], board_shift[:] = old[3], old[4]
            damping *= 10
            # A promise below rounding can no longer be kept or broken.
            if promised <= settled * (cost + 1e-6) or damping > _MOST_DAMPING:
                return SETTLED, cost
            cost = build(
                cam_turn, cam_shift, lenses, columns, board_turn, board_shift, held, view_camera,
                view_pose, corners, xy, weight, cauchy, cameras, gradient, ties, boards,
                board_gradient,
            )  # fmt: skip
        if promised <= settled * (cost + 1e-6):
            return SETTLED, cost
    return TOO_LONG, cost
