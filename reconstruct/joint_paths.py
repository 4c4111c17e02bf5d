"""The cheapest path of a pair of joints through the candidates of each frame. Compiled.

Dynamic programming (Viterbi, IEEE Trans Inf Theory 13:260, 1967): a step costs the candidate's own
price and its departure from the movement so far.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from reconstruct.optics import COMPILED

FLOOR_M = 0.01
_NO_SPEED_M_S = 8.0


@njit(**COMPILED)
def _departure(now, last, speed, dt, gap, acceleration):
    """Return what it costs that a point is not where its movement takes it."""
    if not (np.isfinite(now[0]) and np.isfinite(last[0])):
        return 0.0
    square = 0.0
    known = np.isfinite(speed[0])
    for j in range(3):
        ahead = now[j] - last[j] - (speed[j] * dt if known else 0.0)
        square += ahead * ahead
    size = acceleration * dt * (dt + gap) / 2 if known else _NO_SPEED_M_S * dt
    size = np.sqrt(size * size + FLOOR_M * FLOOR_M)
    # The tail of Student's t with three degrees of freedom: a foot that lands is no outlier.
    return 4 * np.log1p(square / (3 * size * size))


@njit(**COMPILED)
def cheapest_path(t, xyz, cost, acceleration):
    """Return the chosen candidate (T,) of each frame and by how much each other one loses (T,).

    Args:
        t: (T,) s.
        xyz: (T, M, 2, 3) m, the candidates' left and right; NaN where withheld.
        cost: (T, M).
        acceleration: m/s^2.

    The lead is against any path through another side of the same frame, so a run of frames that
    could as well be the other way round has a small lead throughout.
    """
    frames, count = cost.shape
    forward, came = _pass(t, xyz, cost, acceleration)
    path = np.zeros(frames, np.int64)
    path[-1] = np.argmin(forward[-1])
    for i in range(frames - 1, 0, -1):
        path[i - 1] = came[i, path[i]]
    backward, _ = _pass(-t[::-1], xyz[::-1], cost[::-1], acceleration)
    lead = np.full(frames, np.inf)
    for i in range(frames):
        whole = forward[i] + backward[frames - 1 - i] - cost[i]
        for m in range(count):
            apart = 0.0
            for side in range(2):
                for j in range(3):
                    gap = xyz[i, m, side, j] - xyz[i, path[i], side, j]
                    if np.isfinite(gap):
                        apart += gap * gap
            if m != path[i] and apart > 16 * FLOOR_M * FLOOR_M:
                lead[i] = min(lead[i], whole[m] - whole[path[i]])
    return path, lead


@njit(**COMPILED)
def _pass(t, xyz, cost, acceleration):
    """Return the cheapest cost up to each candidate (T, M), itself counted, and where from."""
    frames, count = cost.shape
    total, came = np.full((frames, count), np.inf), np.zeros((frames, count), np.int64)
    last, speed = np.full((count, 2, 3), np.nan), np.full((count, 2, 3), np.nan)
    when, gap = np.zeros((count, 2)), np.zeros((count, 2))
    for i in range(frames):
        new_last, new_speed = last.copy(), speed.copy()
        new_when, new_gap = when.copy(), gap.copy()
        for m in range(count):
            if cost[i, m] == np.inf:
                continue
            best, source = np.inf, 0
            for k in range(count if i else 1):
                if i and total[i - 1, k] == np.inf:
                    continue
                value = total[i - 1, k] if i else 0.0
                for side in range(2):
                    value += _departure(
                        xyz[i, m, side],
                        last[k, side],
                        speed[k, side],
                        t[i] - when[k, side],
                        gap[k, side],
                        acceleration,
                    )
                if value < best:
                    best, source = value, k
            total[i, m], came[i, m] = best + cost[i, m], source
            for side in range(2):
                new_last[m, side], new_speed[m, side] = last[source, side], speed[source, side]
                new_when[m, side], new_gap[m, side] = when[source, side], gap[source, side]
                if np.isfinite(xyz[i, m, side, 0]):
                    if np.isfinite(last[source, side, 0]):
                        new_gap[m, side] = t[i] - when[source, side]
                        for j in range(3):
                            new_speed[m, side, j] = (
                                xyz[i, m, side, j] - last[source, side, j]
                            ) / new_gap[m, side]
                    for j in range(3):
                        new_last[m, side, j] = xyz[i, m, side, j]
                    new_when[m, side] = t[i]
        last, speed, when, gap = new_last, new_speed, new_when, new_gap
    return total, came
