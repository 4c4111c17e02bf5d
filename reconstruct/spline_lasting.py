"""What smoothing leaves of noise that lasts over frames. Compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.cores import over_cores
from reconstruct.optics import COMPILED

_CHUNK = 128  # frames done at a time by one core


def add_lasting(
    responses: FloatArray,
    seen: NDArray[np.intp],
    t: FloatArray,
    share: float,
    tau: float,
    result: FloatArray,
) -> None:
    """Add the covariance of smoothed noise whose correlation fades exponentially.

    Such noise is a first-order process: e_i = a_i e_(i-1) + (1 - a_i^2)^(1/2) u_i with
    a_i = exp(-(t_i - t_(i-1)) / tau) and u white. A smoothed frame is a sum of its responses to
    e_i; gathered from the last to the first they are responses to u_i.

    Args:
        responses: (P, 3, N, 3) m, what each of N frames answers to a unit error, along each axis
            of the root of its covariance, in every P-th seen frame from the p-th on.
        seen: (n,) which of the N frames are seen.
        t: (n,) s, their times.
        share: Of the variance that lasts so.
        tau: s; infinite for what lasts throughout.
        result: (N, 3, 3) m^2, added to.
    """
    near = np.searchsorted(seen, np.arange(len(result)))
    kept = np.exp(-np.diff(t, prepend=t[0]) / tau)
    over_cores(
        lambda a, b: _add_lasting(responses, near, kept, share, result, a, b),
        len(result),
        chunk=_CHUNK,
    )


@njit(**COMPILED)
def _add_lasting(responses, near, kept, share, result, first, end):
    apart, count = len(responses), len(kept)
    g = np.zeros((3, 3))
    for f in range(first, end):
        begin = max(0, near[f] - apart // 2)
        last = min(count, near[f] - apart // 2 + apart) - 1
        g[:] = 0.0
        for i in range(last, begin - 1, -1):
            carried = kept[i + 1] if i < last else 0.0
            p = i % apart
            for r in range(3):
                for j in range(3):
                    g[r, j] = responses[p, r, f, j] + carried * g[r, j]
            new = share * (1 - kept[i] * kept[i]) if i > begin else share
            for j in range(3):
                for k in range(3):
                    result[f, j, k] += new * (
                        g[0, j] * g[0, k] + g[1, j] * g[1, k] + g[2, j] * g[2, k]
                    )
