"""Pictures of the person with the skeleton drawn over them, as in a textbook figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.camera import Camera
from lab.checks import FloatArray

_LEFT_RGB = (200, 69, 27)
_RIGHT_RGB = (22, 104, 168)
_MIDDLE_RGB = (245, 245, 242)
_EDGE_RGB = (25, 28, 32)
_SHIFT = 4  # OpenCV draws at 1/16 px
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
_FACE_REACH_M = 0.17  # from the middle of the face to beyond chin and hair
_HEAD_ABOVE_SHOULDERS_M = 0.27  # middle of the head above mid-shoulder, where no face point is
_HEAD_REACH_M = 0.22
_PELVIS_REACH = 1.9  # the pelvic line, in half widths of the pelvis from its middle
_BODY_REACH_M = 0.17  # what belongs to the person about points and bones
_TRUNK = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
_FACE_CELLS = 4
_ROOM_CELLS = 24
_FAR_PX = 1e4  # beyond this nothing is drawn
_CROP_ROOM = 1.45  # height of the crop over that of the points
_PLUMB_M = (0.75, 0.95)  # the plumb line, above and below the middle of the pelvis


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """A picture for the report.

    Attributes:
        camera: The camera's name.
        t: s on the lab clock.
        image: (H, W, 3) uint8, RGB.
        caption: What is seen, for example "Left foot strike".
    """

    camera: str
    t: float = field(metadata={"unit": "s", "frame": "lab clock"})
    image: NDArray[np.uint8]
    caption: str

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError("Still.image: expected (H, W, 3) uint8")


def _colour(*names: str) -> tuple[int, int, int]:
    if all(n.startswith("left_") for n in names):
        return _LEFT_RGB
    if all(n.startswith("right_") for n in names):
        return _RIGHT_RGB
    return _MIDDLE_RGB


def _line(
    image: NDArray[np.uint8],
    a: FloatArray,
    b: FloatArray,
    colour: tuple[int, int, int],
    width: int,
) -> None:
    ends = [tuple(int(v) for v in np.rint(p * 2**_SHIFT)) for p in (a, b)]
    if colour == _MIDDLE_RGB:  # a dark edge keeps white readable on white
        cv2.line(image, ends[0], ends[1], _EDGE_RGB, width + 2, cv2.LINE_AA, _SHIFT)
    cv2.line(image, ends[0], ends[1], colour, width, cv2.LINE_AA, _SHIFT)


def _middle(points: dict[str, FloatArray], name: str) -> FloatArray | None:
    pair = [points.get(f"{side}_{name}") for side in ("left", "right")]
    return None if pair[0] is None or pair[1] is None else (pair[0] + pair[1]) / 2


def _face(points: dict[str, FloatArray]) -> tuple[FloatArray, float] | None:
    """Return the middle (3,) m and reach m of what must be blurred, None when it is not known."""
    seen = [points[n] for n in _FACE if n in points]
    if seen:
        return np.mean(seen, axis=0), _FACE_REACH_M
    shoulders, hips = _middle(points, "shoulder"), _middle(points, "hip")
    if shoulders is None or hips is None:
        return None
    along = shoulders - hips
    length = float(np.linalg.norm(along))
    if length == 0:
        return None
    return shoulders + along / length * _HEAD_ABOVE_SHOULDERS_M, _HEAD_REACH_M


def _blurred(patch: NDArray[np.uint8], cells: int) -> NDArray[np.uint8]:
    """Return the patch averaged to a few cells a side: a blur alone can be undone."""
    height, width = patch.shape[:2]
    coarse = cv2.resize(patch, (cells, cells), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _blur_surroundings(
    image: NDArray[np.uint8],
    camera: Camera,
    points: dict[str, FloatArray],
    bones: Sequence[tuple[str, str]],
) -> None:
    """Blur all but limbs, trunk and head: others in the room have not agreed to be shown."""
    xy = {n: camera.project(p) for n, p in points.items()}
    xy = {n: p for n, p in xy.items() if np.isfinite(p).all() and (np.abs(p) < _FAR_PX).all()}
    if not xy:
        return
    depth = float(np.median([camera.cam_from_lab.transform(points[n])[2] for n in xy]))
    thick = 2 * max(1, round(_BODY_REACH_M / depth * float(camera.intrinsics[0])))
    pixel = {n: (round(float(p[0])), round(float(p[1]))) for n, p in xy.items()}
    person = np.zeros(image.shape[:2], np.uint8)
    ends = [*((a, b) for a, b in bones if a in pixel and b in pixel), *((n, n) for n in pixel)]
    for start, end in ends:
        cv2.line(person, pixel[start], pixel[end], 1, thick)
    trunk = [pixel[n] for n in _TRUNK if n in pixel]
    if len(trunk) == len(_TRUNK):
        cv2.fillPoly(person, [cv2.convexHull(np.array(trunk, np.int32))], 1)
    outside = person == 0
    image[outside] = _blurred(image, _ROOM_CELLS)[outside]


def _blur_face(image: NDArray[np.uint8], camera: Camera, points: dict[str, FloatArray]) -> None:
    found = _face(points)
    if found is None:
        # Where nobody knows where the head is, nothing may show: the whole picture is blurred.
        middle, reach = np.array([image.shape[1] / 2, image.shape[0] / 2]), max(image.shape)
    else:
        in_camera = camera.cam_from_lab.transform(found[0])
        if in_camera[2] <= 0:
            return
        middle = camera.project(found[0])
        reach = found[1] / in_camera[2] * float(camera.intrinsics[:2].max())
    if not np.isfinite(middle).all():
        return
    radius = max(4, math.ceil(reach))
    x, y = (round(float(v)) for v in middle)
    x0, x1 = max(0, x - radius), min(image.shape[1], x + radius + 1)
    y0, y1 = max(0, y - radius), min(image.shape[0], y + radius + 1)
    if x0 >= x1 or y0 >= y1:
        return
    patch = image[y0:y1, x0:x1]
    smooth = _blurred(patch, _FACE_CELLS)
    yy, xx = np.mgrid[y0:y1, x0:x1]
    inside = (xx - x) ** 2 + (yy - y) ** 2 <= radius**2
    patch[inside] = smooth[inside]


def crop_to_person(
    image: NDArray[np.uint8], camera: Camera, points: FloatArray, aspect: float = 0.75
) -> NDArray[np.uint8]:
    """Return the part of the picture about the person, upright, all of it inside the picture.

    Args:
        image: (H, W, 3) uint8.
        camera: The camera that took it.
        points: (K, 3) m in the lab frame; NaN where missing.
        aspect: Width over height wanted; kept unless the picture's edge forbids it.

    Returns:
        A copy of the part; the whole picture where no point falls into it.
    """
    height, width = image.shape[:2]
    xy = camera.project(np.asarray(points, float))
    inside = np.isfinite(xy).all(axis=-1) & (xy >= 0).all(axis=-1)
    inside &= (xy[..., 0] < width) & (xy[..., 1] < height)
    if not inside.any():
        return image.copy()
    low, high = xy[inside].min(axis=0), xy[inside].max(axis=0)
    middle, size = (low + high) / 2, np.maximum(high - low, 8.0)
    tall = max(_CROP_ROOM * size[1], _CROP_ROOM * size[0] / aspect)
    tall = min(tall, float(height))
    wide = min(tall * aspect, float(width))
    x0 = round(float(np.clip(middle[0] - wide / 2, 0, width - wide)))
    y0 = round(float(np.clip(middle[1] - tall / 2, 0, height - tall)))
    return image[y0 : y0 + round(tall), x0 : x0 + round(wide)].copy()


def draw_skeleton(
    image: NDArray[np.uint8],
    camera: Camera,
    points: FloatArray,
    names: Sequence[str],
    bones: Sequence[tuple[str, str]],
) -> NDArray[np.uint8]:
    """Return the picture with face blurred and skeleton, pelvic line and plumb line drawn in.

    Left vermilion, right blue, the middle white. The pelvic line runs through the hips (through
    the ASIS where both are known), the plumb line along gravity through its middle. All that is
    not near the person is blurred too: others may stand in the room. Without face points the head
    is taken along the trunk; without either the whole picture is blurred.

    Args:
        image: (H, W, 3) uint8, RGB; not changed.
        camera: The camera that took it.
        points: (K, 3) m in the lab frame at that instant; NaN where missing.
        names: K names.
        bones: Pairs of names to join.

    Raises:
        ValueError: When points and names differ in number.
    """
    points = np.asarray(points, float)
    if points.shape != (len(names), 3):
        raise ValueError(f"points: expected shape ({len(names)}, 3), got {points.shape}")
    known = {n: p for n, p in zip(names, points, strict=True) if np.isfinite(p).all()}
    result = np.ascontiguousarray(image).copy()
    _blur_surroundings(result, camera, known, bones)
    _blur_face(result, camera, known)
    width = max(1, round(max(image.shape[:2]) / 640))

    def draw(a: FloatArray, b: FloatArray, colour: tuple[int, int, int], w: int) -> None:
        ends = camera.project(np.stack([a, b]))
        if np.isfinite(ends).all() and (np.abs(ends) < _FAR_PX).all():
            _line(result, ends[0], ends[1], colour, w)

    for start, end in bones:
        if start in known and end in known:
            draw(known[start], known[end], _colour(start, end), width)
    pelvis = "asis" if _middle(known, "asis") is not None else "hip"
    middle = _middle(known, pelvis)
    if middle is not None:
        for side, colour in (("left", _LEFT_RGB), ("right", _RIGHT_RGB)):
            end = middle + (known[f"{side}_{pelvis}"] - middle) * _PELVIS_REACH
            draw(middle, end, colour, width + 1)
        up = np.array([0.0, 0.0, 1.0])
        draw(middle + up * _PLUMB_M[0], middle - up * _PLUMB_M[1], _MIDDLE_RGB, 1)
    radius = (width + 1) * 2**_SHIFT
    for name, point in known.items():
        at = camera.project(point)
        if name not in _FACE and np.isfinite(at).all() and (np.abs(at) < _FAR_PX).all():
            centre = (round(float(at[0]) * 2**_SHIFT), round(float(at[1]) * 2**_SHIFT))
            cv2.circle(result, centre, radius, _colour(name), -1, cv2.LINE_AA, _SHIFT)
    return result
