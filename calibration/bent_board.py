"""Solving on the board as it is, where its views show that it is not as planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from calibration.board_shape import BoardShape, board_shape
from calibration.solution import Solution
from lab.checks import FloatArray

_ROUNDS = 2  # the first, and what its linearisation left


def solve_with_shape(
    solve_on: Callable[[FloatArray], Solution], plan_m: FloatArray
) -> tuple[Solution, BoardShape | None]:
    """Solve on the plan, measure the board's bow and stretch, and solve on that board.

    Args:
        solve_on: Solves with corners (K, 3) m.
        plan_m: (K, 3) m where the corners should be.

    Returns:
        The solution, and the shape that it is on; None where the board is flat as far as is seen.
        What is not known of the shape is in the solution's covariance.
    """
    solution = solve_on(plan_m)
    shape = board_shape(solution.network, solution.lenses)
    if shape is None or shape.surely().flat:
        return solution, None
    shape = shape.surely()
    for _ in range(_ROUNDS):
        solution = solve_on(shape.corners_m(plan_m))
        rest = board_shape(solution.network, solution.lenses)
        if rest is None or rest.surely().flat:
            break
        shape = shape.plus(rest.surely())
    return replace(solution, doubts_m=shape.doubts_m(plan_m)), shape
