"""Pairs of cameras: which to ask first, and whether two sights can meet at all. Compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lab.checks import FloatArray
from reconstruct.gates import GATE_PAIR
from reconstruct.optics import COMPILED, spread_without_lens

# To first order only: what comes out larger than this is too far apart whatever the rest adds.
_GATE_MEETING = 2 * GATE_PAIR


def pair_cameras(packed: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Return all pairs of cameras, those that see depth best first, and how they stand.

    Best are those whose axes are square to each other.

    Args:
        packed: (C, W), from `optics.pack`.

    Returns:
        Numbers (P, 2) of the cameras, and their essential matrices (P, 3, 3): the rays x of the
        first and y of the second camera (with 1 as third coordinate) meet where y' E x = 0
        (Longuet-Higgins, Nature 293:133, 1981).
    """
    first, second = np.triu_indices(len(packed), 1)
    rotation, t = packed[:, :9].reshape(-1, 3, 3), packed[:, 9:12]
    axes = rotation[:, 2]
    depth = np.linalg.norm(np.cross(axes[first], axes[second]), axis=1)
    order = np.argsort(-depth, kind="stable")
    first, second = first[order], second[order]
    turn = rotation[second] @ rotation[first].swapaxes(1, 2)
    base = t[second] - (turn @ t[first][..., None])[..., 0]
    essential = np.cross(base[:, :, None], turn, axis=1)
    return np.stack([first, second], axis=1), np.ascontiguousarray(essential)


@njit(**COMPILED)
def without_lenses(packed, xy, information, seen, i, spread):
    """Write the covariance (C, 3) of what each view saw, in x/z, y/z without the lens."""
    for k in range(len(packed)):
        if seen[k]:
            spread[k, 0], spread[k, 1], spread[k, 2] = spread_without_lens(
                packed[k],
                xy[k, i, 0],
                xy[k, i, 1],
                information[k, i, 0],
                information[k, i, 1],
                information[k, i, 2],
            )


@njit(**COMPILED)
def can_meet(essential, xy, spread, k, m, i):
    """Return whether two views can be of one point, to first order in the noise.

    The squared error of the epipolar condition over its variance is about the misfit of the most
    likely point (Sampson, Comput Graph Image Process 18:97, 1982).

    Args:
        essential: (3, 3) of the pair.
        xy: (C, N, 2) without the lens.
        spread: (C, 3), from `without_lenses`.
        k: The first camera.
        m: The second.
        i: Which point.
    """
    e = essential
    x, y, u, v = xy[k, i, 0], xy[k, i, 1], xy[m, i, 0], xy[m, i, 1]
    a = e[0, 0] * x + e[0, 1] * y + e[0, 2]
    b = e[1, 0] * x + e[1, 1] * y + e[1, 2]
    c = e[2, 0] * x + e[2, 1] * y + e[2, 2]
    p = e[0, 0] * u + e[1, 0] * v + e[2, 0]
    q = e[0, 1] * u + e[1, 1] * v + e[2, 1]
    off = a * u + b * v + c
    variance = spread[m, 0] * a * a + 2 * spread[m, 1] * a * b + spread[m, 2] * b * b
    variance += spread[k, 0] * p * p + 2 * spread[k, 1] * p * q + spread[k, 2] * q * q
    return off * off < _GATE_MEETING * variance
