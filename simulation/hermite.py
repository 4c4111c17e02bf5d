"""Quintic pieces that take a curve from one state (value, slope, curvature) to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray

IndexArray = NDArray[np.intp]

# Rows: coefficients of s^0..s^5 on 0 <= s <= 1 from (value, slope, curvature) at 0 and at 1.
_MATRIX = np.linalg.inv(
    np.array(
        [
            [1, 0, 0, 0, 0, 0],
            [0, 1, 0, 0, 0, 0],
            [0, 0, 2, 0, 0, 0],
            [1, 1, 1, 1, 1, 1],
            [0, 1, 2, 3, 4, 5],
            [0, 0, 2, 6, 12, 20],
        ],
        dtype=float,
    )
)


@dataclass(frozen=True, slots=True, eq=False)
class Quintics:
    """n pieces of degree five.

    Attributes:
        start, length: (n,) s.
        coefficients: (n, 6).
    """

    start: FloatArray
    length: FloatArray
    coefficients: FloatArray

    def at(self, piece: IndexArray, t: FloatArray) -> FloatArray:
        """Return the values (T,) of pieces (T,) at times (T,); beyond its ends a piece goes on."""
        s = (t - self.start[piece]) / self.length[piece]
        c = self.coefficients[piece]
        value = c[:, 5]
        for power in (4, 3, 2, 1, 0):
            value = value * s + c[:, power]
        return value


def join(
    start: FloatArray, end: FloatArray, state_start: FloatArray, state_end: FloatArray
) -> Quintics:
    """Return the pieces between given states.

    Args:
        start: (n,) s.
        end: (n,) s.
        state_start: (n, 3) value, first and second derivative by time at the start.
        state_end: (n, 3) the same at the end.
    """
    length = end - start
    scale = np.stack([np.ones_like(length), length, length**2], axis=-1)
    states = np.concatenate([state_start * scale, state_end * scale], axis=-1)
    return Quintics(start, length, states @ _MATRIX.T)
