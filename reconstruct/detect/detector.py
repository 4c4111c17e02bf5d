"""What every detector of keypoints in images has in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lab.points import Keypoints2D
from reconstruct.people import People2D

Image = NDArray[np.uint8]

GRAY = "gray"
COLOUR = "bgr24"


@runtime_checkable
class Detector(Protocol):
    """Finds one body's points in the frames of one camera.

    A detector may be run on parts of a video, in several processes and in any order; what it finds
    in a part depends on the frames of that part alone, so that a recording gives the same
    keypoints however often it was interrupted.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The K points that it finds, by the lab's names."""
        ...

    @property
    def identity(self) -> str:
        """What it is: kind, version, settings, and the hash of a model's file.

        Detections are kept under it: anything that could change a result has to change it too.
        """
        ...

    @property
    def pixel_format(self) -> str:
        """How it wants images: `GRAY` (H, W), or `COLOUR` (H, W, 3) blue green red."""
        ...

    def detect(self, camera: str, frames: Iterable[tuple[float, Image]]) -> Keypoints2D:
        """Find the points in frames as they come.

        Args:
            camera: The camera's name.
            frames: t in s on the lab clock, strictly rising, and the image, uint8 in
                `pixel_format`. They are read once and one after the other; there may be none.

        Returns:
            The keypoints, one row a frame, NaN where not seen, with the covariance of each (NaN
            where the detector cannot tell).
        """
        ...


@runtime_checkable
class PeopleDetector(Detector, Protocol):
    """A detector that sees several people, of whom one is chosen later."""

    def detect_people(self, camera: str, frames: Iterable[tuple[float, Image]]) -> People2D:
        """Find the points of everyone in frames as they come; arguments as of `detect`."""
        ...


def detect_everyone(
    detector: Detector, camera: str, frames: Iterable[tuple[float, Image]]
) -> People2D:
    """Return everyone that a detector finds; one person where it knows of no more."""
    if isinstance(detector, PeopleDetector):
        return detector.detect_people(camera, frames)
    return People2D.of_one(detector.detect(camera, frames))
