"""The loops over pairs of views that the start needs, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lab.checks import FloatArray

IntArray = NDArray[np.int64]


@njit(cache=True, error_model="numpy")
def most_agreeing(
    turns: FloatArray, places: FloatArray, most: int, turn_rad: float, place_m: float
) -> NDArray[np.bool_]:
    """Return which of N relative poses agree with the one that most agree with.

    Args:
        turns: (N, 3, 3).
        places: (N, 3) m.
        most: How many of them to try as the one, evenly spread.
        turn_rad: Two agree when they are turned by less than this against each other,
        place_m: and apart by less than this.
    """
    count = len(turns)
    step = max(1, count // most)
    least_trace = 1 + 2 * np.cos(turn_rad)
    best, best_count = 0, -1
    agree = np.zeros(count, np.bool_)
    for final in range(2):
        candidates = range(best, best + 1) if final == 1 else range(0, count, step)
        for i in candidates:
            found = 0
            for j in range(count):
                trace = 0.0
                apart = 0.0
                for k in range(3):
                    apart += (places[i, k] - places[j, k]) ** 2
                    for m in range(3):
                        trace += turns[i, k, m] * turns[j, k, m]
                ok = trace > least_trace and apart < place_m * place_m
                agree[j] = ok
                if ok:
                    found += 1
            if final == 0 and found > best_count:
                best, best_count = i, found
    return agree


@njit(cache=True, error_model="numpy")
def pair_agreement(
    first_turns: FloatArray,
    first_centres: FloatArray,
    second_turns: FloatArray,
    second_centres: FloatArray,
    most: int,
    turn_rad: float,
    part: float,
) -> NDArray[np.bool_]:
    """Return which of the N views that two cameras share agree on how the cameras stand.

    Args:
        first_turns: (N, 3, 3) of cam_from_board of the first camera.
        first_centres: (N, 3) m, the board's centre in its frame.
        second_turns: The same of the second.
        second_centres: The same of the second.
        most: How many views to try as the one that most agree with.
        turn_rad: As in `most_agreeing`.
        part: Two agree when they are apart by less than this part of the distance to the board.
    """
    count = len(first_turns)
    turns, places = np.zeros((count, 3, 3)), np.empty((count, 3))
    squared = np.zeros(count)
    for v in range(count):
        for i in range(3):
            squared[v] += second_centres[v, i] ** 2
            places[v, i] = first_centres[v, i]
            for j in range(3):
                for k in range(3):
                    turns[v, i, j] += first_turns[v, i, k] * second_turns[v, j, k]
                places[v, i] -= turns[v, i, j] * second_centres[v, j]
    far = np.sqrt(np.median(squared))
    return most_agreeing(turns, places, most, turn_rad, part * far)


@njit(cache=True, error_model="numpy", nogil=True)
def agreeing_views(
    seen: NDArray[np.bool_],
    turns: FloatArray,
    centres: FloatArray,
    most: int,
    turn_rad: float,
    part: float,
) -> IntArray:
    """Return (C, C), above the diagonal, how many shared views of two cameras agree on them.

    Args:
        seen: (C, B) which board poses each camera saw.
        turns: (C, B, 3, 3) of cam_from_board.
        centres: (C, B, 3) m, the board's centre in each camera's frame.
        most: As in `pair_agreement`.
        turn_rad: As there.
        part: As there.
    """
    count = len(seen)
    agreeing = np.zeros((count, count), np.int64)
    for a in range(count):
        for b in range(a + 1, count):
            both = np.flatnonzero(seen[a] & seen[b])
            if len(both):
                agreeing[a, b] = pair_agreement(
                    turns[a][both], centres[a][both], turns[b][both], centres[b][both],
                    most, turn_rad, part,
                ).sum()  # fmt: skip
    return agreeing


@njit(cache=True, error_model="numpy")
def capped_cost(
    turn: FloatArray,
    shift: FloatArray,
    lens: FloatArray,
    corners: FloatArray,
    xy: FloatArray,
    weight: FloatArray,
    limit: float,
) -> float:
    """Return the sum of one view's residuals in px, each capped; behind counts as the cap."""
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = lens
    cost = 0.0
    for k in range(len(corners)):
        if not weight[k] > 0:
            continue
        x = turn[0, 0] * corners[k, 0] + turn[0, 1] * corners[k, 1] + turn[0, 2] * corners[k, 2]
        y = turn[1, 0] * corners[k, 0] + turn[1, 1] * corners[k, 1] + turn[1, 2] * corners[k, 2]
        z = turn[2, 0] * corners[k, 0] + turn[2, 1] * corners[k, 1] + turn[2, 2] * corners[k, 2]
        z += shift[2]
        if not z > 0:
            cost += limit
            continue
        x, y = (x + shift[0]) / z, (y + shift[1]) / z
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        du = fx * (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) + cx - xy[k, 0]
        dv = fy * (y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y) + cy - xy[k, 1]
        cost += min(np.sqrt(du * du + dv * dv), limit)
    return cost


@njit(cache=True, error_model="numpy")
def best_views(
    cam_turn: FloatArray,
    cam_shift: FloatArray,
    lenses: FloatArray,
    limits: FloatArray,
    view_camera: IntArray,
    view_start: IntArray,
    rotations: FloatArray,
    translations: FloatArray,
    corners: FloatArray,
    xy: FloatArray,
    weight: FloatArray,
    most: int,
) -> IntArray:
    """Return for each of B board poses the view whose own pose fits all of its views best, or -1.

    Views stand in the order of their poses, `view_start` (B + 1) saying where each begins;
    `rotations`, `translations` are lab_from_board as each view alone has it. At most `most` views
    of a pose are tried.
    """
    poses = len(view_start) - 1
    best = np.full(poses, -1, np.int64)
    turn, shift = np.empty((3, 3)), np.empty(3)
    for b in range(poses):
        first, last = view_start[b], view_start[b + 1]
        step = max(1, (last - first) // most)
        least = np.inf
        for v in range(first, last, step):
            cost = 0.0
            for w in range(first, last):
                c = view_camera[w]
                for i in range(3):
                    shift[i] = cam_shift[c, i]
                    for j in range(3):
                        turn[i, j] = 0.0
                        shift[i] += cam_turn[c, i, j] * translations[v, j]
                        for k in range(3):
                            turn[i, j] += cam_turn[c, i, k] * rotations[v, k, j]
                cost += capped_cost(
                    turn, shift, lenses[c], corners, xy[w], weight[w], float(limits[c])
                )
                if cost >= least:
                    break
            if cost < least:
                least = cost
                best[b] = v
    return best
