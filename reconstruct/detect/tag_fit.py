"""Where a tag is in an image, to a few hundredths of a pixel, and how sure that is.

The print is known, so the whole tag is fitted, not its corners alone: the grey levels are a gain
times the print, moved by a homography and blurred by a Gaussian of unknown covariance, plus an
offset. A Gaussian of any direction stands for defocus, the pixel's area and motion during the
exposure together: all of them are symmetric about mid-exposure, so they do not move the fit. The
homography, the blur and the grey levels are found together by Gauss-Newton in the print's frame
(inverse compositional: Baker and Matthews, Int J Comput Vis 56:221, 2004), and the covariance is
that of least squares with the noise that the residuals show. Blur takes the gradients away, so a
blurred tag gets the wider covariance that it deserves.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

from lab.checks import FloatArray
from lab.plates import TAG_POINT

Image = NDArray[np.uint8]

_PER_BIT = 4  # samples along a bit
_BEYOND = 2  # bits of white kept about the tag, so that blur has something to take from
_FITTED = 0.5  # bits of the white margin that are fitted
_ITERATIONS = 6
_FIRST_BLUR_PX2 = 0.8
_LEAST_BLUR_PX2 = 0.15
_MOST_BLUR_BITS2 = 2.5
_FLOOR_PX = 0.015
_CORNERS = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


@dataclass(frozen=True, slots=True, eq=False)
class TagFits:
    """N tags in one image.

    Attributes:
        xy_px: (N, 4, 2) the tag's four points (`Tag.points`); NaN where refused.
        cov_px: (N, 4, 2, 2) px^2.
        corners_px: (N, 4, 2) corners of the black square.
        blur_px: (N,) largest standard deviation of the blur.
        contrast: (N,) grey levels between black and white.
        residual: (N,) root mean square residual over the contrast.
    """

    xy_px: FloatArray
    cov_px: FloatArray
    corners_px: FloatArray
    blur_px: FloatArray
    contrast: FloatArray
    residual: FloatArray

    def select(self, which: NDArray[np.bool_]) -> TagFits:
        """Return some of the tags."""
        return TagFits(*(getattr(self, f.name)[which] for f in fields(self)))


class TagFitter:
    """Fits tags of one dictionary.

    Args:
        prints: (M, B, B) each tag's bits with its black border, 1 for white, by its number.
    """

    def __init__(self, prints: NDArray[np.uint8]) -> None:
        bits = prints.shape[1]
        self._bit = 2.0 / bits
        middle = (np.arange(bits) + 0.5) * self._bit - 1
        self._middles = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
        whole = (bits + 2 * _BEYOND) * _PER_BIT
        wide = np.ones((len(prints), bits + 2 * _BEYOND, bits + 2 * _BEYOND))
        wide[:, _BEYOND:-_BEYOND, _BEYOND:-_BEYOND] = prints
        fine = wide.repeat(_PER_BIT, axis=1).repeat(_PER_BIT, axis=2) - 0.5
        self._spectra = rfft2(fine)
        step = self._bit / _PER_BIT
        self._ky = 2 * np.pi * np.fft.fftfreq(whole, step)[:, None]
        self._kx = 2 * np.pi * np.fft.rfftfreq(whole, step)[None, :]
        at = (np.arange(whole) - (whole - 1) / 2) * step
        keep = np.abs(at) < 1 + _FITTED * self._bit
        self._keep = np.ix_(keep, keep)
        self._whole = whole
        x, y = np.meshgrid(at[keep], at[keep])
        self._grid = np.stack([x.ravel(), y.ravel()], axis=-1)
        self._basis = _generators(self._grid)
        self._at_points = _generators(_CORNERS * TAG_POINT).reshape(8, 8)

    def bit_levels(self, image: Image, corners_px: FloatArray) -> FloatArray:
        """Return the grey levels (N, B * B) at the middles of the bits within corners (N, 4, 2)."""
        return _sample(image, _apply(_homographies(_CORNERS, corners_px), self._middles))

    def fit(self, image: Image, numbers: NDArray[np.int64], corners_px: FloatArray) -> TagFits:
        """Fit tags from a first guess of their corners.

        Args:
            image: (H, W) uint8.
            numbers: (N,) which tag each is.
            corners_px: (N, 4, 2) about where its black corners are, clockwise from the top left.
        """
        count = len(numbers)
        h = _homographies(_CORNERS, corners_px)
        px_per_unit = _size(corners_px) / 2
        blur = np.tile(np.eye(2), (count, 1, 1)) * (_FIRST_BLUR_PX2 / px_per_unit**2)[:, None, None]
        seen = np.zeros((count, len(self._grid)))
        beta = np.zeros((count, 13))
        residual, normal, gain = seen, np.zeros((count, 13, 13)), np.ones(count)
        design = np.zeros((count, len(self._grid), 13))
        for _ in range(_ITERATIONS):
            seen = _sample(image, _apply(h, self._grid))
            model, by_x, by_y, by_blur = self._model(numbers, blur)
            design[:, :, 8], design[:, :, 9] = model, 1.0
            gain, offset = _gain_and_offset(model, seen)
            residual = seen - gain[:, None] * model - offset[:, None]
            slope = np.stack([by_x, by_y], axis=-1) * gain[:, None, None]
            design[:, :, :8] = np.einsum("nsd,sdp->nsp", slope, self._basis)
            design[:, :, 10:] = by_blur * gain[:, None, None]
            normal = design.swapaxes(1, 2) @ design
            diagonal = np.diagonal(normal, axis1=1, axis2=2)
            damped = normal + 1e-6 * diagonal[:, :, None] * np.eye(13) + 1e-9 * np.eye(13)
            beta = _solve(damped, design.swapaxes(1, 2) @ residual[..., None])[..., 0]
            move = np.clip((self._at_points @ beta[:, :8, None])[..., 0], -0.25, 0.25)
            points = _CORNERS * TAG_POINT - move.reshape(count, 4, 2)
            h = _homographies(_CORNERS * TAG_POINT, _apply(h, points))
            blur = self._kept(blur, beta[:, 10:], px_per_unit)
        left = residual - (design @ beta[..., None])[..., 0]
        return self._result(h, blur, gain, normal, left)

    def _model(
        self, numbers: NDArray[np.int64], blur: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the blurred print (N, S), its derivatives by x, y and the blur's xx, xy, yy."""
        kx, ky = self._kx, self._ky
        xx, xy, yy = (blur[:, i, j, None, None] for i, j in ((0, 0), (0, 1), (1, 1)))
        low = self._spectra[numbers] * np.exp(
            -0.5 * (xx * kx * kx + 2 * xy * kx * ky + yy * ky * ky)
        )
        every = np.stack(
            [low, 1j * kx * low, 1j * ky * low,
             -0.5 * kx * kx * low, -kx * ky * low, -0.5 * ky * ky * low]
        )  # fmt: skip
        shape = (self._whole, self._whole)
        maps = np.asarray(irfft2(every, s=shape), np.float64)
        maps = maps[:, :, self._keep[0], self._keep[1]]
        maps = maps.reshape(6, len(numbers), -1)
        return maps[0], maps[1], maps[2], np.moveaxis(maps[3:], 0, -1)

    def _kept(self, blur: FloatArray, change: FloatArray, px_per_unit: FloatArray) -> FloatArray:
        """Return the blur changed, within what a lens and a movement can do."""
        new = blur + change[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
        values, vectors = np.linalg.eigh(new)
        least = (_LEAST_BLUR_PX2 / px_per_unit**2)[:, None]
        values = np.clip(values, least, np.maximum(_MOST_BLUR_BITS2 * self._bit**2, least))
        return (vectors * values[:, None, :]) @ vectors.swapaxes(1, 2)

    def _result(
        self,
        h: FloatArray,
        blur: FloatArray,
        gain: FloatArray,
        normal: FloatArray,
        residual: FloatArray,
    ) -> TagFits:
        points = np.broadcast_to(_CORNERS * TAG_POINT, (len(h), 4, 2))
        xy, corners = _apply(h, points), _apply(h, np.broadcast_to(_CORNERS, points.shape))
        # The samples are not independent where they lie closer than pixels.
        samples = residual.shape[1]
        area = _size(corners) ** 2 * (1 + _FITTED * self._bit) ** 2
        share = np.minimum(area / samples, 1.0)
        freedom = np.maximum(share * samples - 13, 4)
        variance = (residual**2).sum(1) * share / freedom
        scale = np.sqrt(np.maximum(np.diagonal(normal, axis1=1, axis2=2), 1e-30))
        inverse = np.linalg.pinv(normal / scale[:, :, None] / scale[:, None, :], hermitian=True)
        cov = inverse / scale[:, :, None] / scale[:, None, :]
        cov = cov[:, :8, :8] * (variance / share)[:, None, None]
        cov = self._at_points @ cov @ self._at_points.T
        stretch = _derivative(h, points)
        blocks = np.stack([cov[:, 2 * i : 2 * i + 2, 2 * i : 2 * i + 2] for i in range(4)], 1)
        cov_px = stretch @ blocks @ stretch.swapaxes(-1, -2) + _FLOOR_PX**2 * np.eye(2)
        cov_px = (cov_px + cov_px.swapaxes(-1, -2)) / 2
        middle = _derivative(h, np.zeros((len(h), 1, 2)))[:, 0]
        spread = np.linalg.eigvalsh(middle @ blur @ middle.swapaxes(-1, -2))[:, -1]
        share_of_contrast = np.sqrt(variance) / np.maximum(np.abs(gain), 1e-9)
        return TagFits(xy, cov_px, corners, np.sqrt(spread), gain, share_of_contrast)


def _generators(xy: FloatArray) -> FloatArray:
    """Return how points (S, 2) move by the eight parameters of a homography, (S, 2, 8)."""
    x, y = xy.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    return np.stack(
        [
            np.stack([one, x, y, zero, zero, zero, x * x, x * y], axis=-1),
            np.stack([zero, zero, zero, one, x, y, x * y, y * y], axis=-1),
        ],
        axis=1,
    )


def _homographies(source: FloatArray, target: FloatArray) -> FloatArray:
    """Return (N, 3, 3) that take four points (4, 2) to (N, 4, 2)."""
    x, y = source.T
    u, v = target[..., 0], target[..., 1]
    count = len(target)
    system = np.zeros((count, 8, 8))
    system[:, :4, 0], system[:, :4, 1], system[:, :4, 2] = x, y, 1.0
    system[:, 4:, 3], system[:, 4:, 4], system[:, 4:, 5] = x, y, 1.0
    system[:, :4, 6], system[:, :4, 7] = -x * u, -y * u
    system[:, 4:, 6], system[:, 4:, 7] = -x * v, -y * v
    solved = _solve(system, np.concatenate([u, v], axis=1)[..., None])[..., 0]
    return np.concatenate([solved, np.ones((count, 1))], axis=1).reshape(count, 3, 3)


def _apply(h: FloatArray, xy: FloatArray) -> FloatArray:
    """Return points (S, 2) or (N, S, 2) under each homography, (N, S, 2)."""
    moved = xy @ h[:, :, :2].swapaxes(1, 2) + h[:, None, :, 2]
    return moved[..., :2] / moved[..., 2:]


def _derivative(h: FloatArray, xy: FloatArray) -> FloatArray:
    """Return the derivative (N, S, 2, 2) of homographies at points (N, S, 2)."""
    moved = xy @ h[:, :, :2].swapaxes(1, 2) + h[:, None, :, 2]
    w = moved[..., 2][..., None, None]
    ratio = moved[..., :2] / moved[..., 2:]
    return (h[:, None, :2, :2] - ratio[..., None] * h[:, None, None, 2, :2]) / w


def _size(corners: FloatArray) -> FloatArray:
    """Return the side (N,) of a square of the same area as each quadrilateral, px."""
    one, other = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    return np.sqrt(np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]) / 2)


def _sample(image: Image, xy: FloatArray) -> FloatArray:
    """Return grey levels (N, S) at pixels (N, S, 2), bilinear."""
    at = xy.astype(np.float32)
    found = cv2.remap(
        image.astype(np.float32) if image.dtype != np.float32 else image,
        at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return found.astype(np.float64)


def _gain_and_offset(model: FloatArray, seen: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return gain and offset (N,) of least squares."""
    mean, level = model.mean(1), seen.mean(1)
    apart = model - mean[:, None]
    gain = (apart * seen).sum(1) / np.maximum((apart**2).sum(1), 1e-12)
    return gain, level - gain * mean


def _solve(matrices: FloatArray, right: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(matrices, right), np.float64)
