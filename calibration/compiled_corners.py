"""Board corners to a few hundredths of a pixel, and how well each is known, compiled.

A corner of the board is where every image gradient around it is orthogonal to the line to it
(Foerstner and Guelch, Intercommission Conference on Fast Processing of Photogrammetric Data, 1987,
section 2). The gradients taken are those within the part of the print that belongs to the corner
alone: a window in the board's own plane, so that it is flat where the board is seen at a slant, and
ends before the markers begin.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lab.checks import FloatArray

_STEPS = 12
_STILL_PX = 1e-3


@njit(cache=True, nogil=True)
def refine_corners(
    gray: NDArray[np.uint8],
    xy: FloatArray,
    by_px: FloatArray,
    reach: float,
    least_px: float,
    most: float,
    out_xy: FloatArray,
    spread: FloatArray,
    noise: FloatArray,
) -> None:
    """Refine corners into `out_xy`, with what grey level noise does to them and how much there is.

    At the corner the gradients g are orthogonal to the line d to it, so that an error e of a
    gradient moves the corner by N^-1 w g (e . d), N being the sum of w g g^T: with independent
    errors of unit variance its covariance is N^-1 (sum of w^2 |d|^2 g g^T) N^-1.

    Args:
        gray: (H, W) uint8.
        xy: (n, 2) px, where the corners are to about a pixel.
        by_px: (n, 2, 2) squares per px, the board's plane by the image at each corner.
        reach: Half the window, in squares.
        least_px: No window is smaller than this.
        most: A corner that would move further than this (squares) stays, its spread zero.
        out_xy: (n, 2) px, the result.
        spread: (n, 2, 2) px^2 per squared grey level, the covariance above, the result.
        noise: (n,) standard deviation of the grey levels around each corner, the result.
    """
    height, width = gray.shape
    for c in range(len(xy)):
        a00, a01, a10, a11 = by_px[c, 0, 0], by_px[c, 0, 1], by_px[c, 1, 0], by_px[c, 1, 1]
        det = abs(a00 * a11 - a01 * a10)
        # The bounding box in px of the window in the plane.
        half_x = max(least_px, reach * (abs(a11) + abs(a01)) / max(det, 1e-12))
        half_y = max(least_px, reach * (abs(a00) + abs(a10)) / max(det, 1e-12))
        half_x, half_y = min(half_x, 24.0), min(half_y, 24.0)
        x, y = xy[c, 0], xy[c, 1]
        good = False
        n00, n01, n11, m00, m01, m11 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for _ in range(_STEPS):
            left, right = int(np.ceil(x - half_x)), int(np.floor(x + half_x))
            top, bottom = int(np.ceil(y - half_y)), int(np.floor(y + half_y))
            if left < 1 or top < 1 or right > width - 2 or bottom > height - 2:
                good = False
                break
            n00, n01, n11, b0, b1 = 0.0, 0.0, 0.0, 0.0, 0.0
            m00, m01, m11 = 0.0, 0.0, 0.0
            for v in range(top, bottom + 1):
                for u in range(left, right + 1):
                    dx, dy = u - x, v - y
                    p = (a00 * dx + a01 * dy) / reach
                    q = (a10 * dx + a11 * dy) / reach
                    plane = max(p * p, q * q)
                    close = (dx * dx + dy * dy) / (least_px * least_px)
                    out = min(plane, close)
                    if out >= 1.0:
                        continue
                    weight = (1.0 - out) * (1.0 - out)
                    gx = (
                        2.0 * (float(gray[v, u + 1]) - float(gray[v, u - 1]))
                        + float(gray[v - 1, u + 1])
                        - float(gray[v - 1, u - 1])
                        + float(gray[v + 1, u + 1])
                        - float(gray[v + 1, u - 1])
                    ) / 8.0
                    gy = (
                        2.0 * (float(gray[v + 1, u]) - float(gray[v - 1, u]))
                        + float(gray[v + 1, u - 1])
                        - float(gray[v - 1, u - 1])
                        + float(gray[v + 1, u + 1])
                        - float(gray[v - 1, u + 1])
                    ) / 8.0
                    w00, w01, w11 = weight * gx * gx, weight * gx * gy, weight * gy * gy
                    n00 += w00
                    n01 += w01
                    n11 += w11
                    b0 += w00 * dx + w01 * dy
                    b1 += w01 * dx + w11 * dy
                    far = weight * (dx * dx + dy * dy)
                    m00 += far * w00
                    m01 += far * w01
                    m11 += far * w11
            area = n00 * n11 - n01 * n01
            # Without edges in two directions there is no corner.
            if area <= 1e-3 * (n00 + n11) * (n00 + n11) * 0.25:
                good = False
                break
            step_x, step_y = (n11 * b0 - n01 * b1) / area, (n00 * b1 - n01 * b0) / area
            x += step_x
            y += step_y
            moved_x, moved_y = x - xy[c, 0], y - xy[c, 1]
            across = a00 * moved_x + a01 * moved_y
            down = a10 * moved_x + a11 * moved_y
            if across * across + down * down > most * most:
                good = False
                break
            good = True
            if abs(step_x) + abs(step_y) < _STILL_PX:
                break
        out_xy[c, 0], out_xy[c, 1] = (x, y) if good else (xy[c, 0], xy[c, 1])
        spread[c] = 0.0
        if good:
            area = n00 * n11 - n01 * n01
            i00, i01, i11 = n11 / area, -n01 / area, n00 / area
            r00, r01 = i00 * m00 + i01 * m01, i00 * m01 + i01 * m11
            r10, r11 = i01 * m00 + i11 * m01, i01 * m01 + i11 * m11
            spread[c, 0, 0] = r00 * i00 + r01 * i01
            spread[c, 0, 1] = spread[c, 1, 0] = r00 * i01 + r01 * i11
            spread[c, 1, 1] = r10 * i01 + r11 * i11
        noise[c] = _noise(gray, out_xy[c, 0], out_xy[c, 1], half_x, half_y)


@njit(cache=True, nogil=True)
def _noise(gray: NDArray[np.uint8], x: float, y: float, half_x: float, half_y: float) -> float:
    """Return the grey levels' noise from mixed second differences, which edges hardly touch.

    The mixed second difference of white noise s has variance 4 s^2 (Immerkaer's idea).
    """
    height, width = gray.shape
    left, right = max(int(x - half_x) - 2, 0), min(int(x + half_x) + 3, width - 1)
    top, bottom = max(int(y - half_y) - 2, 0), min(int(y + half_y) + 3, height - 1)
    count = max(right - left, 0) * max(bottom - top, 0)
    if count < 9:
        return 1.0
    found = np.empty(count)
    k = 0
    for v in range(top, bottom):
        for u in range(left, right):
            found[k] = abs(
                float(gray[v + 1, u + 1])
                - float(gray[v + 1, u])
                - float(gray[v, u + 1])
                + float(gray[v, u])
            )
            k += 1
    return float(np.median(found)) / 0.6745 / 2.0
