"""A dressed walker in a camera's images: lens, motion blur, occlusion, defocus and noise.

Each pixel is the mean of samples spread over its area and over the exposure. A sample follows one
ray through the lens, as it stands, to the nearest tag or limb at its own instant: so that blur,
perspective, distortion and occlusion need no approximation of their own.
"""

# numba carries no type information.
# pyright: reportMissingTypeStubs=false, reportUntypedFunctionDecorator=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

from lab.camera import Camera
from lab.checks import FloatArray
from lab.plates import PlateSet
from simulation.dress import Dressed, Scene

Image = NDArray[np.uint8]

_SAMPLES = 16
_TOGETHER = 32
_LENS_STEP = 8


def tag_bits(plates: PlateSet) -> NDArray[np.uint8]:
    """Return each tag's print (N, B, B), 1 for white, black border included, row by row."""
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, plates.dictionary))
    size = plates.bits
    drawn = [
        cv2.aruco.generateImageMarker(dictionary, tag.number, size, borderBits=1)
        for tag in plates.tags
    ]
    return (np.stack(drawn) > 127).astype(np.uint8)


class PersonFilm:
    """Takes one camera's images of a dressed walker.

    Args:
        dressed: Who is filmed.
        camera: By whom; pixel (0, 0) is the centre of the top-left pixel.
        exposure_s: Length of the exposure, s; its middle is the time of the image.
        blur_px: Standard deviation of the lens' defocus.
        noise: Standard deviation of the grey levels.
        rng: Where the noise comes from.
    """

    def __init__(
        self,
        dressed: Dressed,
        camera: Camera,
        *,
        exposure_s: float,
        blur_px: float = 0.6,
        noise: float = 2.0,
        rng: np.random.Generator,
    ) -> None:
        self._dressed, self._camera, self._rng = dressed, camera, rng
        self._exposure, self._blur, self._noise = exposure_s, blur_px, noise
        self._bits = tag_bits(dressed.plates)
        self._sides = np.array([tag.side for tag in dressed.plates.tags])
        self._margin = dressed.plates.margin_bits
        width, height = camera.size_px
        self._rays = _rays(camera)
        self._background = _room(width, height)

    def __call__(self, t: float) -> Image:
        """Return the image (H, W) exposed about time t, s on the lab clock."""
        return next(self.shoot([t]))

    def shoot(self, times: Sequence[float] | FloatArray) -> Iterator[Image]:
        """Yield the image exposed about each of the times, s on the lab clock."""
        share = self._exposure * ((np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5)
        for first in range(0, len(times), _TOGETHER):
            # The walker's motion costs by the call, not by the instant.
            part = np.asarray(times[first : first + _TOGETHER], np.float64)
            scene = self._dressed.scene((part[:, None] + share).ravel())
            for i in range(len(part)):
                yield self._expose(scene.at(slice(i * _SAMPLES, (i + 1) * _SAMPLES)))

    def _expose(self, scene: Scene) -> Image:
        pose = self._camera.cam_from_lab
        axes = pose.rotation @ scene.tag_axes
        centres = pose.transform(scene.tag_centres)
        ends = pose.transform(scene.limb_ends)
        # Every sample another place in the pixel: rooks that do not see each other, moved as a
        # whole from image to image so that no edge lies always at the same side of a sample.
        order = (np.arange(_SAMPLES) * 7 + 3) % _SAMPLES
        place = (np.stack([order, np.arange(_SAMPLES)[::-1] * 5 % _SAMPLES], -1) + 0.5) / _SAMPLES
        place = (place + self._rng.random(2)) % 1.0
        place -= place.mean(axis=0)
        width, height = self._camera.size_px
        boxes_tags = self._boxes(centres, np.broadcast_to(self._reach(), centres.shape[:2]))
        limb_reach = np.broadcast_to(scene.limb_radii, ends.shape[:3])
        boxes_limbs = _joined(
            self._boxes(ends[:, :, 0], limb_reach[..., 0]),
            self._boxes(ends[:, :, 1], limb_reach[..., 1]),
        )
        whole = _whole([boxes_tags, boxes_limbs], width, height)
        canvas = self._background.copy()
        if whole is not None:
            left, top, right, bottom = whole
            grey = np.zeros((bottom - top, right - left), np.float32)
            _sample(
                grey, left, top, self._rays, place.astype(np.float32), axes, centres, boxes_tags,
                self._sides, self._bits, self._margin, ends, scene.limb_radii, scene.limb_greys,
                boxes_limbs, self._background,
            )  # fmt: skip
            canvas[top:bottom, left:right] = grey
            pad = 4
            rows, columns = (
                slice(max(top - pad, 0), bottom + pad),
                slice(max(left - pad, 0), right + pad),
            )
            canvas[rows, columns] = cv2.GaussianBlur(
                canvas[rows, columns], (0, 0), self._blur, borderType=cv2.BORDER_REPLICATE
            )
        if self._noise > 0:
            canvas += np.float32(self._noise) * self._rng.standard_normal(canvas.shape, np.float32)
        return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)

    def _reach(self) -> FloatArray:
        bits = self._bits.shape[1]
        return self._sides * (bits + 2 * self._margin) / bits / np.sqrt(2)

    def _boxes(self, centres: FloatArray, radius: FloatArray) -> NDArray[np.int32]:
        """Return boxes (S, N, 4) px about balls in the camera frame; empty where not in view."""
        with np.errstate(all="ignore"):
            z = centres[..., 2]
            lab = self._camera.cam_from_lab.inverse().transform(centres)
            xy = self._camera.project(lab)
            reach = 1.15 * self._camera.intrinsics[0] * radius / (z - radius) + 2
            inside = (z > 0.3 + radius) & np.isfinite(xy).all(-1) & (np.abs(xy) < 1e5).all(-1)
        xy, reach = np.where(inside[..., None], xy, -1e4), np.where(inside, reach, 0.0)
        low, high = np.floor(xy - reach[..., None]), np.ceil(xy + reach[..., None]) + 1
        return np.concatenate([low, high], axis=-1).astype(np.int32)


def _rays(camera: Camera) -> NDArray[np.float32]:
    """Return where each pixel looks (H + 2, W + 2, 2) at distance one, a border of one about them.

    The lens is undone on every eighth pixel, with cubic splines between (to a millionth of a pixel
    for lenses that bend by no more than a rational model does).
    """
    width, height = camera.size_px
    columns, rows = np.arange(-1.0, width + 1), np.arange(-1.0, height + 1)
    some_x = np.append(columns[::_LENS_STEP], columns[-1])
    some_y = np.append(rows[::_LENS_STEP], rows[-1])
    some_x, some_y = np.unique(some_x), np.unique(some_y)
    grid = np.stack(np.meshgrid(some_x, some_y), axis=-1)
    xy, known = camera.normalised(grid)
    if not known.all():
        xy, known = camera.normalised(np.stack(np.meshgrid(columns, rows), axis=-1))
        xy[~known] = 1e6
        return xy.astype(np.float32)
    parts = [RectBivariateSpline(some_y, some_x, xy[..., i])(rows, columns) for i in (0, 1)]
    return np.stack(parts, axis=-1).astype(np.float32)


def _joined(one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int32]:
    seen = (one[..., :1] > -9000) & (other[..., :1] > -9000)
    low = np.minimum(one[..., :2], other[..., :2])
    high = np.maximum(one[..., 2:], other[..., 2:])
    both = np.concatenate([low, high], axis=-1)
    return np.where(seen, both, np.int32(-10_000)).astype(np.int32)


def _whole(
    boxes: list[NDArray[np.int32]], width: int, height: int
) -> tuple[int, int, int, int] | None:
    every = np.concatenate([b.reshape(-1, 4) for b in boxes])
    every = every[every[:, 0] > -9000]
    if not len(every):
        return None
    left, top = np.maximum(every[:, :2].min(0), 0)
    right, bottom = np.minimum(every[:, 2:].max(0), [width, height])
    return (int(left), int(top), int(right), int(bottom)) if left < right and top < bottom else None


def _room(width: int, height: int) -> NDArray[np.float32]:
    """Return an ordinary room, out of focus: walls a little uneven, a darker floor."""
    rng = np.random.default_rng(7)
    coarse = rng.normal(0, 12, (6, 9)).astype(np.float32)
    grey = 118 + cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    floor = np.clip((np.arange(height) / height - 0.62) * 12, 0, 1)[:, None]
    return np.asarray(grey - 22 * floor, np.float32)


@numba.njit(cache=True, fastmath=True, nogil=True)
def _sample(
    grey: Any, left: int, top: int, rays: Any, place: Any, axes: Any, centres: Any,
    tag_boxes: Any, sides: Any, bits: Any, margin: float, ends: Any, radii: Any, greys: Any,
    limb_boxes: Any, background: Any,
) -> None:  # fmt: skip  # pragma: no cover
    """Add up the samples into grey (h, w), whose first pixel is (left, top) of the image."""
    rows, columns = grey.shape
    samples, tags = centres.shape[:2]
    size = bits.shape[1]
    depth = np.empty((rows, columns), np.float32)
    value = np.empty((rows, columns), np.float32)
    bare_depth = np.empty((rows, columns), np.float32)
    bare = np.empty((rows, columns), np.float32)
    for s in range(samples):
        dx, dy = place[s, 0], place[s, 1]
        # Limbs have soft edges that nothing is measured by: every fourth sample does.
        if s % 4 == 0:
            bare_depth[:] = 1e9
            for i in range(rows):
                for j in range(columns):
                    bare[i, j] = background[top + i, left + j]
        for k in range(ends.shape[1] if s % 4 == 0 else 0):
            if limb_boxes[s, k, 0] < -9000:
                continue
            ax, ay, az = ends[s, k, 0, 0], ends[s, k, 0, 1], ends[s, k, 0, 2]
            bx, by, bz = ends[s, k, 1, 0], ends[s, k, 1, 1], ends[s, k, 1, 2]
            ra, rb, shade = radii[k, 0], radii[k, 1], greys[k]
            ux, uy, uz = bx - ax, by - ay, bz - az
            uu = ux * ux + uy * uy + uz * uz
            for i in range(max(limb_boxes[s, k, 1] - top, 0), min(limb_boxes[s, k, 3] - top, rows)):
                for j in range(
                    max(limb_boxes[s, k, 0] - left, 0), min(limb_boxes[s, k, 2] - left, columns)
                ):
                    x, y = rays[top + i + 1, left + j + 1]
                    x += dx * (rays[top + i + 1, left + j + 2, 0] - x)
                    y += dy * (rays[top + i + 2, left + j + 1, 1] - y)
                    # Nearest points of the ray (x, y, 1) z and the limb's axis a + u q.
                    dd = x * x + y * y + 1.0
                    du = x * ux + y * uy + uz
                    da = x * ax + y * ay + az
                    ua = ux * ax + uy * ay + uz * az
                    low = dd * uu - du * du
                    q = (du * da - dd * ua) / low if low > 1e-12 else 0.0
                    q = min(max(q, 0.0), 1.0)
                    px, py, pz = ax + q * ux, ay + q * uy, az + q * uz
                    z = (x * px + y * py + pz) / dd
                    gap2 = (x * z - px) ** 2 + (y * z - py) ** 2 + (z - pz) ** 2
                    r = ra + q * (rb - ra)
                    if gap2 < r * r:
                        inward = np.sqrt(r * r - gap2)
                        near = z - inward / np.sqrt(dd)
                        if near < bare_depth[i, j]:
                            bare_depth[i, j] = near
                            bare[i, j] = shade * (0.55 + 0.45 * inward / r)
        depth[:] = bare_depth
        value[:] = bare
        for k in range(tags):
            if tag_boxes[s, k, 0] < -9000:
                continue
            nx, ny, nz = axes[s, k, 0, 2], axes[s, k, 1, 2], axes[s, k, 2, 2]
            cx, cy, cz = centres[s, k, 0], centres[s, k, 1], centres[s, k, 2]
            offset = nx * cx + ny * cy + nz * cz
            # z points into the plate: a front is seen where it points away from the camera.
            front = offset > 0
            bit = sides[k] / size
            half = sides[k] / 2 + margin * bit
            for i in range(max(tag_boxes[s, k, 1] - top, 0), min(tag_boxes[s, k, 3] - top, rows)):
                for j in range(
                    max(tag_boxes[s, k, 0] - left, 0), min(tag_boxes[s, k, 2] - left, columns)
                ):
                    x, y = rays[top + i + 1, left + j + 1]
                    x += dx * (rays[top + i + 1, left + j + 2, 0] - x)
                    y += dy * (rays[top + i + 2, left + j + 1, 1] - y)
                    slope = nx * x + ny * y + nz
                    if slope * offset <= 1e-9:
                        continue
                    z = offset / slope
                    # Limbs are coarser than bodies: a tag worn on one may dip into it a little.
                    if z - (0.03 if front else 0.0) >= depth[i, j]:
                        continue
                    qx, qy, qz = x * z - cx, y * z - cy, z - cz
                    a = axes[s, k, 0, 0] * qx + axes[s, k, 1, 0] * qy + axes[s, k, 2, 0] * qz
                    b = axes[s, k, 0, 1] * qx + axes[s, k, 1, 1] * qy + axes[s, k, 2, 1] * qz
                    if abs(a) > half or abs(b) > half:
                        continue
                    depth[i, j] = z
                    if not front:
                        value[i, j] = 90.0
                        continue
                    column = int(np.floor((a + sides[k] / 2) / bit))
                    row = int(np.floor((b + sides[k] / 2) / bit))
                    white = True
                    if 0 <= row < size and 0 <= column < size:
                        white = bits[k, row, column] > 0
                    lit = 0.62 + 0.38 * slope / np.sqrt(x * x + y * y + 1.0)
                    value[i, j] = 20.0 + lit * (215.0 if white else 8.0)
        for i in range(rows):
            for j in range(columns):
                grey[i, j] += value[i, j] / samples
