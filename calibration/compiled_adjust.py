"""The sums of an adjustment over the views of a range of board poses, compiled.

The mathematics is `bundle`'s. The views stand in the order of their board poses, so that ranges of
poses share nothing but the cameras, and can be worked on at the same time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from calibration.compiled import (
    PARAMETERS,
    adjoint_of,
    factorise,
    linearise_view,
    multiply,
    turn_of,
    view_cost,
)
from lab.checks import FloatArray

IntArray = NDArray[np.int64]
_WIDE = PARAMETERS + 1


class Layout(NamedTuple):
    """What stays through an adjustment.

    Attributes:
        columns: (C, 15) which of its camera's free parameters each parameter is, -1 for none;
            parameters may share one.
        free: (C,) how many those are.
        start: (C,) which of all free parameters (Q) is the camera's first.
        view_camera: (V,) by number.
        view_start: (B + 1) which view is the first of each board pose.
        held: (B,) whether a board pose is not to move.
        corners: (K, 3) m in the board frame.
        xy: (V, K, 2) px.
        weight: (V, K) over the variance of a corner in px^2.
        cauchy: Where the loss begins to doubt, in standard deviations; 0 for least squares.
    """

    columns: IntArray
    free: IntArray
    start: IntArray
    view_camera: IntArray
    view_start: IntArray
    held: NDArray[np.bool_]
    corners: FloatArray
    xy: FloatArray
    weight: FloatArray
    cauchy: float


class State(NamedTuple):
    """What moves: cam_from_lab (C), the lenses (C, 9) and lab_from_board (B)."""

    cam_turn: FloatArray
    cam_shift: FloatArray
    lenses: FloatArray
    board_turn: FloatArray
    board_shift: FloatArray


class Sums(NamedTuple):
    """The normal equations as far as board poses have their own part in them.

    Attributes:
        boards: (B, 6, 6), the identity for a pose that stays.
        gradient: (B, 6).
        ties: (V, 6, 16): the view's board pose against the free parameters of its camera.
        factors: (B, 6, 6) lower Cholesky factors L of the damped boards.
        half_gradient: (B, 6) L^-1 gradient.
        half_ties: (V, 6, 16) L^-1 ties.
    """

    boards: FloatArray
    gradient: FloatArray
    ties: FloatArray
    factors: FloatArray
    half_gradient: FloatArray
    half_ties: FloatArray


def empty_sums(views: int, poses: int) -> Sums:
    """Return room for the sums."""
    return Sums(
        np.empty((poses, 6, 6)),
        np.empty((poses, 6)),
        np.empty((views, 6, _WIDE)),
        np.empty((poses, 6, 6)),
        np.empty((poses, 6)),
        np.empty((views, 6, _WIDE)),
    )


@njit(cache=True, error_model="numpy", inline="always")
def _board_in_camera(state: State, c: int, b: int, turn: FloatArray, shift: FloatArray) -> None:
    """Write cam_from_board."""
    multiply(state.cam_turn[c], state.board_turn[b], turn)
    for i in range(3):
        shift[i] = state.cam_shift[c, i]
        for j in range(3):
            shift[i] += state.cam_turn[c, i, j] * state.board_shift[b, j]


@njit(cache=True, error_model="numpy", nogil=True)
def build(
    layout: Layout, state: State, first: int, last: int, sums: Sums, cameras: FloatArray
) -> float:
    """Linearise the views of the board poses from `first` up to `last`, and return their cost.

    Fills `boards`, `gradient` and `ties` of these poses, and `cameras` (C, 16, 16) with the
    products of [pose 6, lens 9, residual] summed over their views. The cost is infinite, and the
    sums are not to be used, where a corner in use lies behind its camera.
    """
    cameras[:] = 0.0
    products, residual = np.zeros((_WIDE, _WIDE)), np.empty((len(layout.corners), 2))
    turn, shift = np.empty((3, 3)), np.empty(3)
    by_board, tied = np.empty((6, 6)), np.empty((PARAMETERS, 6))
    cost = 0.0
    for b in range(first, last):
        boards, gradient = sums.boards[b], sums.gradient[b]
        boards[:] = 0.0
        gradient[:] = 0.0
        for v in range(layout.view_start[b], layout.view_start[b + 1]):
            c = layout.view_camera[v]
            _board_in_camera(state, c, b, turn, shift)
            lens_free = bool(layout.free[c] > (6 if layout.columns[c, 0] >= 0 else 0))
            cost += linearise_view(
                turn, shift, state.lenses[c], layout.corners, layout.xy[v], layout.weight[v],
                layout.cauchy, lens_free, products, residual,
            )  # fmt: skip
            if not np.isfinite(cost):
                return np.inf
            cameras[c] += products
            ties = sums.ties[v]
            ties[:] = 0.0
            if layout.held[b]:
                continue
            adjoint_of(state.cam_turn[c], state.cam_shift[c], by_board)
            multiply(products[:PARAMETERS, :6], by_board, tied)
            for i in range(PARAMETERS):
                p = layout.columns[c, i]
                if p >= 0:
                    for k in range(6):
                        ties[k, p] += tied[i, k]
            for i in range(6):
                for k in range(6):
                    gradient[k] += by_board[i, k] * products[i, PARAMETERS]
                    for j in range(6):
                        boards[k, j] += by_board[i, k] * tied[i, j]
        if boards[0, 0] == 0.0:  # held, or no view is left of it: it stays where it is
            for i in range(6):
                boards[i, i] = 1.0
    return cost


@njit(cache=True, error_model="numpy", nogil=True)
def add_up(layout: Layout, products: FloatArray, system: FloatArray, gradient: FloatArray) -> None:
    """Write the cameras' system (Q, Q) and gradient (Q,) from the ranges' products (R, C, 16, 16).

    What is summed over the ranges is summed in their order.
    """
    system[:] = 0.0
    gradient[:] = 0.0
    for r in range(len(products)):
        for c in range(len(layout.columns)):
            own, start = products[r, c], layout.start[c]
            for i in range(PARAMETERS):
                p = layout.columns[c, i]
                if p < 0:
                    continue
                gradient[start + p] += own[i, PARAMETERS]
                for j in range(PARAMETERS):
                    q = layout.columns[c, j]
                    if q >= 0:
                        system[start + p, start + q] += own[i, j]


@njit(cache=True, error_model="numpy", nogil=True)
def take_off(
    system: FloatArray,
    gradient: FloatArray,
    damping: float,
    taken: FloatArray,
    gone: FloatArray,
    reduced: FloatArray,
    right: FloatArray,
) -> None:
    """Write the damped system less what the ranges took, `taken` (R, Q, Q) and `gone` (R, Q)."""
    size = len(gradient)
    for p in range(size):
        right[p] = gradient[p]
        for r in range(len(gone)):
            right[p] -= gone[r, p]
        for q in range(p, size):
            reduced[p, q] = system[p, q]
        reduced[p, p] *= 1 + damping
        for r in range(len(taken)):
            for q in range(p, size):
                reduced[p, q] -= taken[r, p, q]


@njit(cache=True, error_model="numpy", nogil=True)
def reduce(
    layout: Layout,
    first: int,
    last: int,
    sums: Sums,
    damping: float,
    taken: FloatArray,
    right: FloatArray,
) -> bool:
    """Eliminate the board poses from `first` up to `last`; False where one is not determined.

    With V = L L' of a damped board pose and W its ties, writes what they take from the cameras'
    system, the sum of (L^-1 W)' (L^-1 W), to the upper triangle of `taken` (Q, Q), and that of
    (L^-1 W)' L^-1 g to `right` (Q,).
    """
    taken[:] = 0.0
    right[:] = 0.0
    block = np.empty((_WIDE, _WIDE))
    for b in range(first, last):
        factor, half_gradient = sums.factors[b], sums.half_gradient[b]
        factor[:] = sums.boards[b]
        for i in range(6):
            factor[i, i] *= 1 + damping
        if not factorise(factor):
            return False
        for i in range(6):
            total = sums.gradient[b, i]
            for j in range(i):
                total -= factor[i, j] * half_gradient[j]
            half_gradient[i] = total / factor[i, i]
        begin, end = layout.view_start[b], layout.view_start[b + 1]
        for v in range(begin, end):
            c = layout.view_camera[v]
            free, start = layout.free[c], layout.start[c]
            ties, half = sums.ties[v], sums.half_ties[v]
            for i in range(6):
                for p in range(_WIDE):
                    half[i, p] = ties[i, p]
                for j in range(i):
                    for p in range(_WIDE):
                        half[i, p] -= factor[i, j] * half[j, p]
                for p in range(_WIDE):
                    half[i, p] /= factor[i, i]
                for p in range(free):
                    right[start + p] += half[i, p] * half_gradient[i]
        for v in range(begin, end):
            c = layout.view_camera[v]
            for w in range(v, end):
                d = layout.view_camera[w]
                _add_product(
                    sums.half_ties[v], sums.half_ties[w], block,
                    taken[layout.start[c] : layout.start[c] + layout.free[c],
                          layout.start[d] : layout.start[d] + layout.free[d]],
                )  # fmt: skip
    return True


@njit(cache=True, error_model="numpy")
def _add_product(a: FloatArray, b: FloatArray, block: FloatArray, out: FloatArray) -> None:
    """Add a' b of (6, 16) each to the (m, n) that are in use."""
    for p in range(out.shape[0]):
        a0, a1, a2, a3, a4, a5 = a[0, p], a[1, p], a[2, p], a[3, p], a[4, p], a[5, p]
        for q in range(_WIDE):
            block[p, q] = ((a0 * b[0, q] + a1 * b[1, q]) + (a2 * b[2, q] + a3 * b[3, q])) + (
                a4 * b[4, q] + a5 * b[5, q]
            )
    for p in range(out.shape[0]):
        for q in range(out.shape[1]):
            out[p, q] += block[p, q]


@njit(cache=True, error_model="numpy")
def _move(
    turn: FloatArray, shift: FloatArray, step: FloatArray, turned: FloatArray, shifted: FloatArray
) -> None:
    small = turn_of(step[:3])
    multiply(small, turn, turned)
    for i in range(3):
        shifted[i] = step[3 + i]
        for j in range(3):
            shifted[i] += small[i, j] * shift[j]


@njit(cache=True, error_model="numpy", nogil=True)
def move_cameras(layout: Layout, state: State, step: FloatArray, trial: State) -> bool:
    """Write the cameras after a step (Q,) to `trial`; False where a lens cannot be so."""
    full = np.empty(PARAMETERS)
    possible = True
    for c in range(len(layout.columns)):
        for i in range(PARAMETERS):
            p = layout.columns[c, i]
            full[i] = step[layout.start[c] + p] if p >= 0 else 0.0
        _move(state.cam_turn[c], state.cam_shift[c], full, trial.cam_turn[c], trial.cam_shift[c])
        for i in range(PARAMETERS - 6):
            trial.lenses[c, i] = state.lenses[c, i] + full[6 + i]
        possible = possible and trial.lenses[c, 0] > 0 and trial.lenses[c, 1] > 0
    return possible


@njit(cache=True, error_model="numpy", nogil=True)
def move_boards(
    layout: Layout, state: State, sums: Sums, first: int, last: int, step: FloatArray, trial: State
) -> tuple[float, float]:
    """Write the board poses after the step that goes with the cameras' step (Q,) to `trial`.

    Returns:
        What these poses' step promises of the fall of the cost, and their views' cost after it.
    """
    own = np.empty(6)
    turn, shift = np.empty((3, 3)), np.empty(3)
    promised, cost = 0.0, 0.0
    for b in range(first, last):
        factor = sums.factors[b]
        for i in range(6):
            own[i] = sums.half_gradient[b, i]
        for v in range(layout.view_start[b], layout.view_start[b + 1]):
            c = layout.view_camera[v]
            for i in range(6):
                for p in range(layout.free[c]):
                    own[i] -= sums.half_ties[v, i, p] * step[layout.start[c] + p]
        for i in range(5, -1, -1):
            own[i] = own[i] / factor[i, i]
            for j in range(i):
                own[j] -= factor[i, j] * own[i]
        if layout.held[b]:
            own[:] = 0.0
        for i in range(6):
            promised += own[i] * sums.gradient[b, i]
        _move(
            state.board_turn[b], state.board_shift[b], own,
            trial.board_turn[b], trial.board_shift[b],
        )  # fmt: skip
        for v in range(layout.view_start[b], layout.view_start[b + 1]):
            c = layout.view_camera[v]
            _board_in_camera(trial, c, b, turn, shift)
            cost += view_cost(
                turn, shift, trial.lenses[c], layout.corners, layout.xy[v], layout.weight[v],
                layout.cauchy,
            )  # fmt: skip
    return promised, cost
