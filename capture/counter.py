"""A frame's counter drawn into its pixels, and read back: what is in a file against what left."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_CELL = 8  # px: one block of JPEG, so that a cell survives compression
_BITS = 32
_CHECK_BITS = 8
STRIP_PX = (_CELL * (_BITS + _CHECK_BITS), _CELL)


def draw_counter(image: Image, counter: int) -> None:
    """Draw a counter into the top left corner: 32 bits and 8 of checksum, a block each.

    Raises:
        ValueError: When the image is smaller than STRIP_PX.
    """
    width, height = STRIP_PX
    if image.shape[0] < height or image.shape[1] < width:
        raise ValueError(f"an image of {image.shape[1]}x{image.shape[0]} px holds no counter")
    row = np.repeat(np.where(_bits(counter), 235, 20).astype(np.uint8), _CELL)
    image[:height, :width] = row.reshape(1, width, *(1,) * (image.ndim - 2))


def read_counter(image: NDArray[Any]) -> int | None:
    """Return the counter drawn into an image (H, W[, 3]), or None when none can be trusted."""
    width, height = STRIP_PX
    if image.shape[0] < height or image.shape[1] < width:
        return None
    grey = image[:height, :width] if image.ndim == 2 else image[:height, :width].mean(axis=2)
    bits = grey.reshape(_CELL, -1, _CELL)[2:-2, :, 2:-2].mean(axis=(0, 2)) > 128
    value = int(sum(1 << i for i in range(_BITS) if bits[i]))
    return value if np.array_equal(_bits(value), bits) else None


def _bits(counter: int) -> NDArray[np.bool_]:
    check = (counter * 2654435761 >> 7) & 0xFF ^ 0xA5
    value = (counter & 0xFFFFFFFF) | check << _BITS
    return np.array([value >> i & 1 for i in range(_BITS + _CHECK_BITS)], dtype=bool)
