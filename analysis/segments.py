"""Axes of the body from named points, for any number of replicates at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.checks import FloatArray

UP = np.array([0.0, 0.0, 1.0])


def unit(vectors: FloatArray) -> FloatArray:
    """Return vectors (..., 3) at length one; NaN for a vector of length zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(length > 0, vectors / length, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """Named points of one person over time, with the direction of progression.

    Attributes:
        names: K names.
        xyz: (..., T, K, 3) m in the lab frame.
        forward: (..., T or 1, 3) horizontal unit vectors.
    """

    names: Sequence[str]
    xyz: FloatArray
    forward: FloatArray

    def of_replicates(self, first: int, end: int) -> Body:
        """Return some of the replicates, the first axis of the points."""
        forward = self.forward if len(self.forward) == 1 else self.forward[first:end]
        return Body(self.names, self.xyz[first:end], forward)

    @property
    def left(self) -> FloatArray:
        """Horizontal unit vectors to the left of the progression, shaped as `forward`."""
        return np.cross(np.broadcast_to(UP, self.forward.shape), self.forward)

    def has(self, *names: str) -> bool:
        """Whether all these points exist."""
        return all(n in self.names for n in names)

    def point(self, name: str) -> FloatArray:
        """Return one point's path (..., T, 3)."""
        return self.xyz[..., list(self.names).index(name), :]

    def middle(self, name: str) -> FloatArray:
        """Return the middle (..., T, 3) of a left and right point, named without its side."""
        return (self.point(f"left_{name}") + self.point(f"right_{name}")) / 2

    def across(self, name: str) -> FloatArray:
        """Return the vector (..., T, 3) from the right point to the left one."""
        return self.point(f"left_{name}") - self.point(f"right_{name}")

    def along(self, vectors: FloatArray) -> FloatArray:
        """Return the forward component (..., T) of vectors (..., T, 3)."""
        return (vectors * self.forward).sum(-1)

    def aside(self, vectors: FloatArray) -> FloatArray:
        """Return the leftward component (..., T) of vectors (..., T, 3)."""
        return (vectors * self.left).sum(-1)


def pelvic_axis(body: Body) -> FloatArray | None:
    """Return the right-to-left pelvic axis (..., T, 3), not normalised.

    Between the ASIS where both are known, else between the hip joint centres; None without either.
    """
    for pair in ("asis", "hip"):
        if body.has(f"left_{pair}", f"right_{pair}"):
            return body.across(pair)
    return None


def pelvis_frame(body: Body) -> FloatArray | None:
    """Return lab_from_pelvis rotations (..., T, 3, 3): x forward, y left, z up of the pelvis.

    y is the right-to-left ASIS axis; x points from the middle of the PSIS to the middle of the
    ASIS, made square to y (the plane of the four landmarks: Wu et al., J Biomech 35:543, 2002,
    section 3.1, with the axes renamed). None unless ASIS and PSIS are known on both sides.
    """
    if not body.has("left_asis", "right_asis", "left_psis", "right_psis"):
        return None
    y = unit(body.across("asis"))
    ahead = body.middle("asis") - body.middle("psis")
    x = unit(ahead - (ahead * y).sum(-1, keepdims=True) * y)
    return np.stack([x, y, np.cross(x, y)], axis=-1)
