"""Whether a view agrees with a point, and what its residual is worth. Compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.special import chdtri

from reconstruct.optics import COMPILED, see

# Part of the right observations that a gate may turn away. An error anywhere in the image is less
# likely than a residual of five sigma, and a right view lost can leave a pair that sees no depth.
FALSE_ALARM = 1e-6
GATE_VIEW = float(chdtri(2, FALSE_ALARM))
GATE_PAIR = float(chdtri(1, FALSE_ALARM))
# A residual that the fit has nearly swallowed says nothing of the noise.
LEAST_REDUNDANCY = 0.1


@njit(**COMPILED)
def _spread(p0, p1, p2, q0, q1, q2, a, b, c, d, e, f):
    """Return J P J' (xx, xy, yy) of a covariance P seen through the rows p and q of J."""
    u0, u1, u2 = a * p0 + b * p1 + c * p2, b * p0 + d * p1 + e * p2, c * p0 + e * p1 + f * p2
    v0, v1, v2 = a * q0 + b * q1 + c * q2, b * q0 + d * q1 + e * q2, c * q0 + e * q1 + f * q2
    return (
        u0 * p0 + u1 * p1 + u2 * p2,
        u0 * q0 + u1 * q1 + u2 * q2,
        v0 * q0 + v1 * q1 + v2 * q2,
    )


@njit(**COMPILED)
def foretell(packed, xy_px, information, k, i, inside, at):
    """Return how far view k of point i is from what the other views foretell.

    The residual r of a view that took part has covariance C - J P J', that of a view that did not
    has C + J P J'; r' cov^-1 r is in both cases the squared distance from the foretelling of the
    other views (the deleted residual: Cook and Weisberg, Residuals and Influence in Regression,
    1982), chi-squared with two degrees of freedom; infinite behind the camera.

    Args:
        packed: The cameras.
        xy_px: (C, N, 2) px.
        information: (C, N, 3).
        k: Which camera.
        i: Which point.
        inside: Whether the view took part.
        at: The point and its covariance, nine numbers.

    Returns:
        The distance, the determinant of the covariance, the residual (2), the inverse of its
        covariance (3), and the derivative (6).
    """
    x, y, z, a, b, c, d, e, f = at
    u, v, p0, p1, p2, q0, q1, q2 = see(packed[k], x, y, z)
    r, s = xy_px[k, i, 0] - u, xy_px[k, i, 1] - v
    xx, xy, yy = information[k, i, 0], information[k, i, 1], information[k, i, 2]
    over = 1 / (xx * yy - xy * xy)
    s_xx, s_xy, s_yy = _spread(p0, p1, p2, q0, q1, q2, a, b, c, d, e, f)
    sign = -1.0 if inside else 1.0
    k_xx, k_xy, k_yy = yy * over + sign * s_xx, sign * s_xy - xy * over, xx * over + sign * s_yy
    determinant = k_xx * k_yy - k_xy * k_xy
    back = 1 / determinant
    distance = (k_yy * r * r - 2 * k_xy * r * s + k_xx * s * s) * back
    if not np.isfinite(distance):
        distance = np.inf
    return (
        distance, determinant, r, s, k_yy * back, -k_xy * back, k_xx * back,
        p0, p1, p2, q0, q1, q2,
    )  # fmt: skip


@njit(**COMPILED)
def misfit(packed, xy_px, information, used, i, at):
    """Return the sum of squared standardised residuals of the used views."""
    total = 0.0
    for k in range(len(packed)):
        if used[k]:
            seen = see(packed[k], at[0], at[1], at[2])
            r, s = xy_px[k, i, 0] - seen[0], xy_px[k, i, 1] - seen[1]
            total += information[k, i, 0] * r * r + information[k, i, 2] * s * s
            total += 2 * information[k, i, 1] * r * s
    return total if np.isfinite(total) else np.inf


@njit(**COMPILED)
def fits(packed, xy_px, information, used, i, at, gates):
    """Return whether the used views of a point (at least two) agree."""
    n = 0
    for k in range(len(packed)):
        n += used[k]
    if n < 2:
        return False
    total = misfit(packed, xy_px, information, used, i, at)
    if n == 2:
        return total < min(gates[0], GATE_PAIR)
    if not total < gates[2 * n - 4]:
        return False
    # No view's own distance can be large where the sum is small, unless it has much leverage.
    for k in range(len(packed)):
        if used[k]:
            told = foretell(packed, xy_px, information, k, i, True, at)
            if not 0 <= told[0] < GATE_VIEW:
                return False
    return True


@njit(**COMPILED)
def verdict(packed, xy_px, information, used, i, at, gates, figures):
    """Return whether the used views of a point (at least two) agree, and write their figures.

    The same as `fits`, with every view looked through once.
    """
    n = 0
    total = 0.0
    far = False
    for k in range(len(packed)):
        if not used[k]:
            continue
        n += 1
        r, s, distance = _figure(packed, xy_px, information, k, i, at, figures)
        total += information[k, i, 0] * r * r + information[k, i, 2] * s * s
        total += 2 * information[k, i, 1] * r * s
        far = far or not 0 <= distance < GATE_VIEW
    if n < 2 or not np.isfinite(total):
        return False
    if n == 2:
        return total < min(gates[0], GATE_PAIR)
    return total < gates[2 * n - 4] and not far


@njit(**COMPILED)
def _figure(packed, xy_px, information, k, i, at, figures):
    """Write residual, standardised residual and redundancy of a used view.

    Returns the residual, and how far it is from what the other views foretell (see `foretell`).
    """
    x, y, z, a, b, c, d, e, f = at
    u, v, p0, p1, p2, q0, q1, q2 = see(packed[k], x, y, z)
    r, s = xy_px[k, i, 0] - u, xy_px[k, i, 1] - v
    xx, xy, yy = information[k, i, 0], information[k, i, 1], information[k, i, 2]
    # Whitened by the Cholesky factor of the information.
    root = np.sqrt(xx)
    low = xy / root
    rest = np.sqrt(yy - low * low)
    s_xx, s_xy, s_yy = _spread(p0, p1, p2, q0, q1, q2, a, b, c, d, e, f)
    free = 1 - (xx * s_xx + 2 * xy * s_xy + low * low * s_yy)
    free_y = 1 - rest * rest * s_yy
    figures[0, k, i, 0], figures[0, k, i, 1] = r, s
    figures[2, k, i, 0] = min(max(free, 0.0), 1.0)
    figures[2, k, i, 1] = min(max(free_y, 0.0), 1.0)
    if free > LEAST_REDUNDANCY:
        figures[1, k, i, 0] = (root * r + low * s) / np.sqrt(free)
    if free_y > LEAST_REDUNDANCY:
        figures[1, k, i, 1] = rest * s / np.sqrt(free_y)
    over = 1 / (xx * yy - xy * xy)
    k_xx, k_xy, k_yy = yy * over - s_xx, -s_xy - xy * over, xx * over - s_yy
    distance = (k_yy * r * r - 2 * k_xy * r * s + k_xx * s * s) / (k_xx * k_yy - k_xy * k_xy)
    return r, s, distance


@njit(**COMPILED)
def figures_of(packed, xy_px, information, used, i, at, figures):
    """Write residuals, standardised residuals and redundancies of the used views."""
    for k in range(len(packed)):
        if used[k]:
            _figure(packed, xy_px, information, k, i, at, figures)


@njit(**COMPILED)
def blank(figures, i):
    """Write that nothing is known of a point's views."""
    for k in range(figures.shape[1]):
        for j in range(3):
            figures[j, k, i, 0] = figures[j, k, i, 1] = np.nan
