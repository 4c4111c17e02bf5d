"""One image and when it was exposed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image of one camera.

    Attributes:
        camera: The camera's name.
        index: The camera's own counter; a gap in it is a lost frame.
        device_ns: The camera's clock, as read.
        host_ns: The host's monotonic clock when the frame arrived, as read.
        exposure_ns: Length of the exposure.
        image: (H, W) or (H, W, 3) uint8.
    """

    camera: str
    index: int
    device_ns: int = field(metadata={"unit": "ns"})
    host_ns: int = field(metadata={"unit": "ns"})
    exposure_ns: int = field(metadata={"unit": "ns"})
    image: NDArray[np.uint8]

    def __post_init__(self) -> None:
        image: NDArray[Any] = self.image
        if image.dtype != np.uint8:
            raise ValueError(f"Frame.image: expected uint8, got {image.dtype}")
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
            raise ValueError(f"Frame.image: expected (H, W) or (H, W, 3), got {image.shape}")
        if not self.camera:
            raise ValueError("Frame.camera: the name is empty")
        if self.index < 0 or self.exposure_ns < 0:
            raise ValueError("Frame: index and exposure_ns cannot be negative")
