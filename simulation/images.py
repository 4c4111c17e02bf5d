"""Images of a printed plane, exact to a few hundredths of a pixel, as a camera takes them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.camera import Camera
from lab.checks import FloatArray
from lab.pose import Pose

Image = NDArray[np.uint8]
Grid = NDArray[np.float32]

_CELL = 4  # px between the pixels whose ray is met exactly; linear between, error < 0.005 px
_NOWHERE = -1e4  # a place off the print
_BACK = 205  # grey level of the blank back


def render_plane(
    texture: Image,
    size_m: tuple[float, float],
    lab_from_plane: Pose,
    camera: Camera,
    *,
    background: int | Image = 110,
    blur_px: float = 0.6,
    motion_px: tuple[float, float] = (0.0, 0.0),
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
    supersample: int = 3,
) -> Image:
    """Render a textured plane into a camera, by the inverse of its lens.

    Args:
        texture: (h, w) uint8, the print; its pixels fill the plane without a margin, so the centre
            of column i lies at (i + 0.5) / w of the width.
        size_m: Width and height of the print.
        lab_from_plane: Frame of the plane: x to the right and y down the print, in m from its top
            left outer corner; z away from who reads it.
        camera: Pixel (0, 0) is the centre of the top-left pixel.
        background: Grey level, or an image (H, W) uint8.
        blur_px: Standard deviation of a Gaussian defocus.
        motion_px: Movement during the exposure, x and y.
        noise: Standard deviation of the grey levels.
        rng: Where the noise comes from; needed when there is noise.
        supersample: Samples a pixel in each direction; each pixel is their mean.

    Returns:
        (H, W) uint8. From behind, the print shows a blank back.

    Raises:
        ValueError: For a texture that is not (h, w) uint8, or noise without an rng.
    """
    if texture.ndim != 2 or texture.dtype != np.uint8:
        raise ValueError(f"texture must be (h, w) uint8, got {texture.shape} {texture.dtype}")
    if noise > 0 and rng is None:
        raise ValueError("render_plane: noise needs an rng")
    width, height = camera.size_px
    canvas = np.empty((height, width), np.float32)
    canvas[:] = background
    spread = int(np.ceil(4 * blur_px + np.abs(motion_px).max()))
    box = _bounding_box(size_m, lab_from_plane, camera, spread + 2)
    if box is not None:
        _paste(canvas, box, texture, size_m, lab_from_plane, camera, supersample)
        patch = canvas[box[1] : box[3], box[0] : box[2]]
        canvas[box[1] : box[3], box[0] : box[2]] = _blur(patch, blur_px, motion_px)
    if noise > 0 and rng is not None:
        canvas += np.float32(noise) * rng.standard_normal(canvas.shape, np.float32)
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def outline(size_m: tuple[float, float], per_side: int = 12) -> FloatArray:
    """Return points (4 * per_side, 3) m on the edge of a print, in the plane's frame."""
    share = np.arange(per_side) / per_side
    one, zero = np.ones(per_side), np.zeros(per_side)
    x = np.concatenate([share, one, 1 - share, zero]) * size_m[0]
    y = np.concatenate([zero, share, one, 1 - share]) * size_m[1]
    return np.stack([x, y, np.zeros_like(x)], axis=-1)


def _bounding_box(
    size_m: tuple[float, float], lab_from_plane: Pose, camera: Camera, margin: int
) -> tuple[int, int, int, int] | None:
    """Return left, top, right, bottom (the last two excluded) px; None where nothing is seen."""
    width, height = camera.size_px
    edge = lab_from_plane.transform(outline(size_m))
    ahead = camera.cam_from_lab.transform(edge)[:, 2] > 1e-3
    if not ahead.any():
        return None
    if not ahead.all():
        return 0, 0, width, height
    xy = camera.project(edge)
    low = np.floor(xy.min(axis=0)).astype(int) - margin
    high = np.ceil(xy.max(axis=0)).astype(int) + margin + 1
    box = (max(low[0], 0), max(low[1], 0), min(high[0], width), min(high[1], height))
    return (int(box[0]), int(box[1]), int(box[2]), int(box[3])) if _holds(box) else None


def _holds(box: tuple[int, int, int, int]) -> bool:
    return box[0] < box[2] and box[1] < box[3]


def _nodes(
    box: tuple[int, int, int, int], lab_from_plane: Pose, camera: Camera
) -> tuple[FloatArray, FloatArray]:
    """Return where on the plane the middles of the box's cells look, x and y (rows, columns) m.

    The cells are of _CELL pixels, and one more on every side of the box.
    """
    columns, rows = (-(-(box[k + 2] - box[k]) // _CELL) + 2 for k in (0, 1))
    middle = (_CELL - 1) / 2 - _CELL
    u = box[0] + middle + _CELL * np.arange(columns)
    v = box[1] + middle + _CELL * np.arange(rows)
    rays = camera.ray(np.stack(np.meshgrid(u, v), axis=-1))
    plane_from_lab = lab_from_plane.inverse()
    origin = plane_from_lab.transform(rays.origin)
    direction = rays.direction @ plane_from_lab.rotation.T
    with np.errstate(all="ignore"):
        reach = -origin[2] / direction[..., 2]
        met = origin[:2] + reach[..., None] * direction[..., :2]
    met[~(reach > 0)] = _NOWHERE
    met = np.clip(met, _NOWHERE, -_NOWHERE)
    return met[..., 0], met[..., 1]


def _spread(nodes: FloatArray, box: tuple[int, int, int, int], supersample: int) -> Grid:
    """Return the nodes' values at every sample of the box, (h * s, w * s), between them linear."""
    scale = _CELL * supersample
    rows, columns = nodes.shape
    fine = cv2.resize(
        nodes.astype(np.float32), (columns * scale, rows * scale), interpolation=cv2.INTER_LINEAR
    )
    wide, high = (box[2] - box[0]) * supersample, (box[3] - box[1]) * supersample
    return np.asarray(fine[scale : scale + high, scale : scale + wide], np.float32)


def _paste(
    canvas: Grid,
    box: tuple[int, int, int, int],
    texture: Image,
    size_m: tuple[float, float],
    lab_from_plane: Pose,
    camera: Camera,
    supersample: int,
) -> None:
    """Draw the print, unblurred, over the part of the canvas in the box."""
    x, y = _nodes(box, lab_from_plane, camera)
    texture = _shrink(texture, size_m, x, y, supersample)
    if lab_from_plane.inverse().transform(camera.centre)[2] >= 0:
        texture = np.full_like(texture, _BACK)
    rows, columns = texture.shape
    to_x = _spread(x * (columns / size_m[0]) - 0.5, box, supersample)
    to_y = _spread(y * (rows / size_m[1]) - 0.5, box, supersample)
    shape = (box[2] - box[0], box[3] - box[1])
    # Off the print both are 0; across its edge they fall together, so that the background shows
    # in the same share.
    share = np.full(texture.shape, 255, np.uint8)
    grey, cover = (
        cv2.resize(
            cv2.remap(layer, to_x, to_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT),
            shape,
            interpolation=cv2.INTER_AREA,
        )
        for layer in (texture, share)
    )
    patch = canvas[box[1] : box[3], box[0] : box[2]]
    patch *= 1 - cover.astype(np.float32) / 255
    patch += grey


def _shrink(
    texture: Image,
    size_m: tuple[float, float],
    x: FloatArray,
    y: FloatArray,
    supersample: int,
) -> Image:
    """Return the print with about one texel a sample, so that no detail is skipped."""
    on = (x > 0) & (x < size_m[0]) & (y > 0) & (y < size_m[1])
    # Steps on the print between neighbouring cells, along either axis of the image.
    down = np.hypot(np.diff(x, axis=0), np.diff(y, axis=0))[on[1:] & on[:-1]]
    across = np.hypot(np.diff(x, axis=1), np.diff(y, axis=1))[on[:, 1:] & on[:, :-1]]
    steps = np.concatenate([down, across])
    if not len(steps):
        return texture
    step = float(np.median(steps)) / (_CELL * supersample)
    rows, columns = texture.shape
    smaller = (
        min(columns, max(8, round(size_m[0] / step))),
        min(rows, max(8, round(size_m[1] / step))),
    )
    if smaller == (columns, rows):
        return texture
    return np.asarray(cv2.resize(texture, smaller, interpolation=cv2.INTER_AREA), np.uint8)


def _blur(patch: Grid, blur_px: float, motion_px: tuple[float, float]) -> Grid:
    """Return the patch out of focus and moved."""
    if blur_px > 0:
        patch = np.asarray(
            cv2.GaussianBlur(patch, (0, 0), blur_px, borderType=cv2.BORDER_REPLICATE), np.float32
        )
    length = float(np.hypot(*motion_px))
    if length > 0:
        half = int(np.ceil(length / 2)) + 1
        kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        # The path of a point, symmetric about the middle of the exposure, spread bilinearly.
        for share in np.linspace(-0.5, 0.5, 8 * half + 1):
            at = half + share * np.asarray(motion_px)
            base = np.floor(at).astype(int)
            part = at - base
            for i, wx in ((0, 1 - part[0]), (1, part[0])):
                for j, wy in ((0, 1 - part[1]), (1, part[1])):
                    kernel[min(base[1] + j, 2 * half), min(base[0] + i, 2 * half)] += wx * wy
        kernel /= kernel.sum()
        patch = np.asarray(
            cv2.filter2D(patch, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32
        )
    return patch
