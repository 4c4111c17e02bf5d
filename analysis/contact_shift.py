"""How well the samples tell the one shift that all instants of a foot have in common.

A later instant and a curve that bends more look nearly alike, and how alike depends on where the
instants are put: the fit's own covariance, which is that of a straight problem, is too small once
the noise leaves some milliseconds open. Here the shape of the curve and the places are integrated
out at every shift, which leaves the posterior of the shift alone (marginal likelihood of a
change point with the regression coefficients integrated out: Ferreira, J Am Stat Assoc 70:370,
1975).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray

_POINTS = 71
# The central 80 % tell the width, so that far tails do not; in sigmas of a normal distribution.
_CENTRAL = (0.1, 0.5, 0.9)
_WIDTH = 2 * 1.281552


def common_shift(
    away_s: FloatArray,
    stride_of: NDArray[np.intp],
    y: FloatArray,
    root: FloatArray,
    powers: NDArray[np.intp],
    scale_s: float,
    prior: FloatArray,
    stretch2: float,
    span_s: float,
) -> tuple[float, float]:
    """Return median and sigma of the shift, s, by which all instants move away from the samples.

    Args:
        away_s: (M,) s from each sample to its instant, positive on the moving side.
        stride_of: (M,) which stride each sample belongs to, in ascending order.
        y: (M, D) m.
        root: (M, D) 1/m, one over each sample's standard deviation.
        powers: (P,) of the time on the moving side that make up the curve.
        scale_s: Unit of that time.
        prior: (P,) m, standard deviation of the curve's coefficients before anything is seen.
        stretch2: By how much the variances are understated.
        span_s: Largest shift tried.

    Returns:
        The posterior's median, and its central 80 % as a normal distribution's sigma.
    """
    shifts = np.linspace(-span_s, span_s, _POINTS)
    basis = np.clip(away_s + shifts[:, None], 0, None)[..., None] / scale_s
    basis = basis**powers  # (S, M, P)
    log_p = np.zeros(_POINTS)
    for weight, value in zip((root**2).T / stretch2, y.T, strict=True):
        # Each stride's own place taken off: what is left tells the shape.
        own = _centred(basis, weight, stride_of)
        residual = _centred(value[:, None], weight, stride_of)
        weighted = own * weight[:, None]
        normal = np.swapaxes(weighted, 1, 2) @ own + np.diag(prior**-2.0)
        right = np.swapaxes(weighted, 1, 2) @ residual
        gained = (right * np.linalg.solve(normal, right)).sum((1, 2))
        log_p += 0.5 * (gained - np.linalg.slogdet(normal)[1])
    p = np.exp(log_p - log_p.max())
    below = np.cumsum(p) - p / 2
    low, middle, high = np.interp(_CENTRAL, below / p.sum(), shifts)
    return float(middle), float((high - low) / _WIDTH)


def _centred(x: FloatArray, weight: FloatArray, stride_of: NDArray[np.intp]) -> FloatArray:
    """Take each stride's weighted mean off (..., M, K) samples."""
    first = np.flatnonzero(np.diff(stride_of, prepend=-1))
    summed = np.add.reduceat(x * weight[:, None], first, axis=-2)
    mean = summed / np.add.reduceat(weight, first)[:, None]
    return x - mean[..., stride_of, :]
