"""What errors of the points do to a number, draw by draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from lab.checks import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """What each of D draws does to one number.

    Attributes:
        linear: (D,) by how much it moves the number; empty where errors are not known.
        scatter: Variance beside that, of what does not follow a draw in proportion.
    """

    linear: FloatArray
    scatter: float = 0.0

    @property
    def sigma(self) -> float:
        """The standard uncertainty; NaN without draws.

        Few draws know it only roughly: widened so that 1.96 of it is Student's 95 %.
        """
        count = len(self.linear)
        if not count:
            return float("nan")
        student = float(stdtrit(count, 0.975)) / 1.96
        return student * float(np.sqrt(np.mean(self.linear**2) + self.scatter))

    def less(self, other: Effect, sign: float = 1.0) -> Effect:
        """Return the effect on the difference of two numbers, of draws that both share.

        What a draw does to both cancels as far as it does the same; what is drawn for each apart
        adds up.
        """
        both = min(len(self.linear), len(other.linear))
        return Effect(self.linear[:both] - sign * other.linear[:both], self.scatter + other.scatter)
