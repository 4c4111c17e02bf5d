"""Levenberg-Marquardt over cameras and board poses; the sums over views run on all cores.

The views are parted by board poses into ranges whose number depends on the task alone, and what
they sum is added up in their order: the result is the same on any number of cores.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import get_lapack_funcs

from calibration import compiled_adjust
from calibration.compiled_adjust import Layout, State
from lab.checks import FloatArray
from lab.cores import each_over_cores

_factorise, _solve, _invert = get_lapack_funcs(("potrf", "potrs", "potri"), dtype=np.float64)
_MOST_DAMPING, _LEAST_DAMPING = 1e12, 1e-12
_VIEWS_OF_A_RANGE = 128
_MOST_RANGES = 4
# A step that keeps this much of what it promised lets the damping fall at once.
_KEPT = 0.9


class NotDeterminedError(Exception):
    """The views do not determine a camera or a board pose."""


class BehindError(Exception):
    """A corner in use lies behind its camera."""


class Adjustment:
    """The normal equations of a task, at one state after the other, in the same room."""

    def __init__(self, layout: Layout) -> None:
        """Make room for the sums of a task."""
        self._layout = layout
        self.ranges = _ranges(layout)
        self.size = int(layout.free.sum())
        count = len(self.ranges)
        self._sums = compiled_adjust.empty_sums(len(layout.view_camera), len(layout.held))
        self._products = np.empty((count, len(layout.columns), 16, 16))
        self._taken, self._gone = (
            np.empty((count, self.size, self.size)),
            np.empty((count, self.size)),
        )
        self.system, self.gradient = np.empty((self.size, self.size)), np.empty(self.size)

    def linearise(self, state: State) -> float:
        """Fill the normal equations at a state, and return its cost.

        Raises:
            BehindError: Where a corner in use lies behind its camera.
        """

        def one(r: int) -> float:
            return compiled_adjust.build(
                self._layout, state, *self.ranges[r], self._sums, self._products[r]
            )

        cost = sum(each_over_cores(one, len(self.ranges)))
        if not np.isfinite(cost):
            raise BehindError
        compiled_adjust.add_up(self._layout, self._products, self.system, self.gradient)
        return cost

    @property
    def boards(self) -> tuple[FloatArray, FloatArray]:
        """The board poses' own part: (B, 6, 6) and gradient (B, 6)."""
        return self._sums.boards, self._sums.gradient

    def reduced(self, damping: float) -> tuple[FloatArray, FloatArray]:
        """Return the cameras' system (Q, Q), its upper triangle, and right side (Q,).

        Raises:
            NotDeterminedError: When a board pose is not determined.
        """

        def one(r: int) -> bool:
            return compiled_adjust.reduce(
                self._layout, *self.ranges[r], self._sums, damping, self._taken[r], self._gone[r]
            )

        if not all(each_over_cores(one, len(self.ranges))):
            raise NotDeterminedError
        reduced, right = np.zeros_like(self.system), np.empty_like(self.gradient)
        compiled_adjust.take_off(
            self.system, self.gradient, damping, self._taken, self._gone, reduced, right
        )
        return reduced, right

    def moved(self, state: State, step: FloatArray) -> tuple[State, float, float]:
        """Return the state after a step (Q,), the fall of cost it promises, and its cost.

        The cost is infinite where a camera cannot be so.
        """
        trial = State(*(np.empty_like(part) for part in state))
        possible = compiled_adjust.move_cameras(self._layout, state, step, trial)

        def one(r: int) -> tuple[float, float]:
            return compiled_adjust.move_boards(
                self._layout, state, self._sums, *self.ranges[r], step, trial
            )

        promised, cost = float(step @ self.gradient), 0.0
        for part, own in each_over_cores(one, len(self.ranges)):
            promised += part
            cost += own
        return trial, promised, cost if possible else np.inf


def _ranges(layout: Layout) -> list[tuple[int, int]]:
    """Part the board poses into ranges of about as many views; one camera's stay together."""
    views, poses = len(layout.view_camera), len(layout.held)
    count = min(_MOST_RANGES, views // _VIEWS_OF_A_RANGE) if len(layout.columns) > 1 else 1
    edges = np.searchsorted(layout.view_start, np.linspace(0, views, max(count, 1) + 1)[1:-1])
    return list(pairwise([0, *np.minimum(edges, poses).tolist(), poses]))


def descend(layout: Layout, state: State, most_steps: int, settled: float) -> State:
    """Return the state of least cost near the one given.

    Args:
        layout: Of the task.
        state: The start.
        most_steps: The most to try.
        settled: Stop after a step that promises to lower the cost by less than this part of it.

    Raises:
        NotDeterminedError: When the views do not determine a camera or a board pose.
        BehindError: When a corner in use lies behind its camera at the start.
    """
    here = Adjustment(layout)
    cost, damping = here.linearise(state), 1e-4
    for _ in range(most_steps):
        step = _solved(*here.reduced(damping))
        trial, promised, found = here.moved(state, step)
        better, fall = found <= cost, cost - found
        if better:
            state, cost = trial, found
            well = fall > _KEPT * promised
            damping = max(damping / (1000 if well else 10), _LEAST_DAMPING)
        else:
            damping *= 10
        # A promise below rounding can no longer be kept or broken.
        if promised <= settled * (cost + 1e-6) or damping > _MOST_DAMPING:
            break
        if better:
            here.linearise(state)
    return state


def _solved(system: FloatArray, right: FloatArray) -> FloatArray:
    """Solve a system given by its upper triangle."""
    if not len(right):
        return right
    factor, scale = _factorised(system)
    solution, _ = _solve(factor, scale * right, lower=1)
    return scale * solution


def inverse(system: FloatArray) -> FloatArray:
    """Return the inverse (Q, Q) of a system given by its upper triangle.

    Raises:
        NotDeterminedError: When it is not positive definite.
    """
    factor, scale = _factorised(system)
    found, _ = _invert(factor, lower=1)
    found = np.tril(found) + np.tril(found, -1).T
    return scale[:, None] * found * scale


def _factorised(system: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the Cholesky factor of the system scaled by its diagonal, and the scale.

    Scaled, radians, metres and pixels weigh the same.
    """
    diagonal: NDArray[np.float64] = np.diag(system)
    if not (diagonal > 0).all():
        raise NotDeterminedError
    scale = 1 / np.sqrt(diagonal)
    # The upper triangle by rows is, to LAPACK, the lower one by columns.
    factor, failed = _factorise((system * scale[:, None] * scale).T, lower=1, overwrite_a=1)
    if failed:
        raise NotDeterminedError
    return factor, scale
