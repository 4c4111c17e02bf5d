"""Images as networks want them, and the way back to pixels of the frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray
from reconstruct.detect.detector import Image

_PAD = 114  # the grey that these person detectors were trained with


def letterbox(image: Image, size_px: tuple[int, int]) -> tuple[Image, float]:
    """Shrink or enlarge an image to fit a size, its aspect kept, grey below and to the right.

    Args:
        image: (H, W, 3) uint8.
        size_px: (width, height) wanted.

    Returns:
        The image of that size, and the factor by which pixels of the frame were multiplied.
    """
    width, height = size_px
    factor = min(height / image.shape[0], width / image.shape[1])
    inner = (int(image.shape[1] * factor), int(image.shape[0] * factor))
    boxed = np.full((height, width, 3), _PAD, np.uint8)
    if inner == (image.shape[1], image.shape[0]):
        boxed[: inner[1], : inner[0]] = image
    else:
        boxed[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    return boxed, factor


def box_to_area(box: FloatArray, size_px: tuple[int, int], padding: float) -> FloatArray:
    """Return the area (4,) px, centre and size, around a box that has the aspect of the network.

    Args:
        box: (4,) px: left, top, right, bottom.
        size_px: (width, height) of the network's input.
        padding: By how much the box is widened about its centre.
    """
    centre = (box[:2] + box[2:]) / 2
    width, height = (box[2:] - box[:2]) * padding
    aspect = size_px[0] / size_px[1]
    if width > height * aspect:
        height = width / aspect
    else:
        width = height * aspect
    return np.array([*centre, width, height])


def cut_out(image: Image, area: FloatArray, size_px: tuple[int, int]) -> Image:
    """Return an area of an image, resampled to (height, width, 3) uint8.

    A pixel x of the frame stands at (x - left) width / area width of the crop: pixel centres are
    whole numbers on both sides, so that `back_to_frame` is its exact inverse. What lies beyond the
    frame is black.
    """
    left_top = area[:2] - area[2:] / 2
    scale = np.array(size_px) / area[2:]
    matrix = np.array(
        [[scale[0], 0, -left_top[0] * scale[0]], [0, scale[1], -left_top[1] * scale[1]]]
    )
    return np.asarray(cv2.warpAffine(image, matrix, size_px, flags=cv2.INTER_LINEAR), np.uint8)


def back_to_frame(xy: FloatArray, areas: FloatArray, size_px: tuple[int, int]) -> FloatArray:
    """Return pixels (N, K, 2) of crops as pixels of the frame; areas (N, 4) of `box_to_area`."""
    scale = areas[:, None, 2:] / np.array(size_px)
    return xy * scale + areas[:, None, :2] - areas[:, None, 2:] / 2


def network_input(
    images: list[Image], mean: FloatArray | None, std: FloatArray | None, rgb: bool
) -> NDArray[np.float32]:
    """Return images (H, W, 3) blue green red as one batch (N, 3, H, W).

    Args:
        images: All of one size.
        mean: (3,) in the order of the network's channels; None for no scaling.
        std: (3,) likewise.
        rgb: Whether the network wants red first.
    """
    batch = np.stack(images)[..., :: -1 if rgb else 1]
    scaled = batch if mean is None or std is None else (batch - mean) / std
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)
