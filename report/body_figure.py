"""A standing figure from front, back and left, with the plates where they are worn."""

from __future__ import annotations

import numpy as np

from lab.checks import FloatArray
from lab.plates import WAND, PlateSet

# Of a person of 1.75 m, m: x forward, y left, z up from the floor. Radii of the limbs at both ends.
_HIP, _KNEE, _ANKLE = (0.0, 0.09, 0.93), (0.02, 0.09, 0.50), (0.0, 0.09, 0.08)
_HEEL, _TOE = (-0.05, 0.09, 0.03), (0.16, 0.09, 0.03)
_SHOULDER, _ELBOW, _WRIST = (0.0, 0.18, 1.43), (0.0, 0.28, 1.13), (0.05, 0.33, 0.89)
_LIMBS = (
    (_HIP, _KNEE, 0.085, 0.055),
    (_KNEE, _ANKLE, 0.055, 0.035),
    (_HEEL, _TOE, 0.032, 0.028),
    (_SHOULDER, _ELBOW, 0.05, 0.036),
    (_ELBOW, _WRIST, 0.036, 0.026),
    ((0.0, 0.07, 0.98), (0.0, 0.10, 1.40), 0.10, 0.09),
    ((0.0, 0.0, 1.0), (0.0, 0.0, 1.42), 0.11, 0.09),
)
_HEAD = (0.01, 0.0, 1.63)
_ORIGINS = {
    "pelvis": (0.0, 0.0, 0.93),
    "trunk": (0.0, 0.0, 0.93),
    "thigh": _HIP,
    "shank": _KNEE,
    "foot": (-0.05, 0.09, 0.0),
}
# Where one looks from, and which way is right in the picture.
_VIEWS = (
    ("front", np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])),
    ("back", np.array([-1.0, 0.0, 0.0]), np.array([0.0, -1.0, 0.0])),
    ("left side", np.array([0.0, 1.0, 0.0]), np.array([-1.0, 0.0, 0.0])),
)
_SCALE = 62.0  # mm a metre
_APART = 58.0  # mm
_TOP = 1.82  # m
_SEEN = 0.35  # least cosine at which a plate is shown
_SKIN, _EDGE, _INK = "#EDEFF1", "#C9CED2", "#1E2429"
_LEFT, _RIGHT = "#C8451B", "#1668A8"


def figure_svg(plates: PlateSet) -> str:
    """Return the figure as SVG in mm; plates carry their number in the order of the set."""
    width, height = _APART * len(_VIEWS), _SCALE * _TOP + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}mm" height="{height:g}mm" '
        f'viewBox="0 0 {width:g} {height:g}" font-family="Source Sans Pro">'
    ]
    for i, (name, toward, right) in enumerate(_VIEWS):
        middle = (i + 0.5) * _APART
        parts += _body(toward, right, middle)
        parts += _worn(plates, toward, right, middle)
        parts.append(
            f'<text x="{middle:g}" y="{height - 2:g}" text-anchor="middle" font-size="3.6" '
            f'fill="{_INK}">{name}</text>'
        )
    return "".join([*parts, "</svg>"])


def _place(point: FloatArray, right: FloatArray, middle: float) -> tuple[float, float]:
    return middle + _SCALE * float(point @ right), _SCALE * (_TOP - float(point[2]))


def _both(point: tuple[float, float, float]) -> tuple[FloatArray, FloatArray]:
    return np.array(point), np.array(point) * [1.0, -1.0, 1.0]


def _body(toward: FloatArray, right: FloatArray, middle: float) -> list[str]:
    """Return limbs and head, those further away first."""
    shapes: list[tuple[float, str]] = []
    for one, other, first, last in _LIMBS:
        for a, b in zip(_both(one), _both(other), strict=True):
            depth = float((a + b) @ toward)
            shapes.append((depth, _limb(_place(a, right, middle), _place(b, right, middle),
                                        _SCALE * first, _SCALE * last)))  # fmt: skip
    x, y = _place(np.array(_HEAD), right, middle)
    shapes.append((0.0, f'<ellipse cx="{x:.2f}" cy="{y:.2f}" rx="{0.085 * _SCALE:.2f}" '
                        f'ry="{0.115 * _SCALE:.2f}" fill="{_SKIN}" stroke="{_EDGE}" '
                        'stroke-width="0.25"/>'))  # fmt: skip
    return [shape for _, shape in sorted(shapes)]


def _limb(a: tuple[float, float], b: tuple[float, float], ra: float, rb: float) -> str:
    """Return a rounded limb: the hull of two circles."""
    along = np.array(b) - np.array(a)
    length = max(float(np.linalg.norm(along)), 1e-9)
    angle = float(np.arctan2(along[1], along[0]))
    lean = float(np.arccos(np.clip((ra - rb) / length, -1.0, 1.0)))
    points = []
    for centre, radius, turns in (
        (a, ra, np.linspace(angle + lean, angle + 2 * np.pi - lean, 24)),
        (b, rb, np.linspace(angle - lean, angle + lean, 24)),
    ):
        points += [
            f"{centre[0] + radius * np.cos(t):.2f} {centre[1] + radius * np.sin(t):.2f}"
            for t in turns
        ]
    return f'<path d="M{"L".join(points)}Z" fill="{_SKIN}" stroke="{_EDGE}" stroke-width="0.25"/>'


def _worn(plates: PlateSet, toward: FloatArray, right: FloatArray, middle: float) -> list[str]:
    """Return the plates that look this way, foreshortened, each with its number."""
    parts: list[str] = []
    for number, plate in enumerate(plates.plates, 1):
        if plate.segment == WAND:
            continue
        side, _, part = plate.segment.rpartition("_")
        origin = np.array(_ORIGINS[part or plate.segment])
        if side == "right":
            origin = origin * [1.0, -1.0, 1.0]
        rise = np.cos(plate.tilt)
        outward = np.array([rise * np.cos(plate.facing), rise * np.sin(plate.facing), 0.0])
        if float(outward @ toward) < _SEEN:
            continue
        level = np.array([-np.sin(plate.facing), np.cos(plate.facing), 0.0])
        x, y = _place(origin + plate.at, right, middle)
        size = max(tag.side for tag in plate.tags) * 1.33 * _SCALE
        wide = (len(plate.tags) if plate.at[1] == 0 and len(plate.tags) > 1 else 1) * size
        wide = max(wide * abs(float(level @ right)), 0.25 * size)
        colour = {"left": _LEFT, "right": _RIGHT}.get(plate.segment.partition("_")[0], _INK)
        parts.append(
            f'<rect x="{x - wide / 2:.2f}" y="{y - size / 2:.2f}" width="{wide:.2f}" '
            f'height="{size:.2f}" rx="0.4" fill="#fff" stroke="{colour}" stroke-width="0.5"/>'
            f'<text x="{x:.2f}" y="{y + 1.1:.2f}" text-anchor="middle" font-size="3.1" '
            f'font-weight="600" fill="{colour}">{number}</text>'
        )
    return parts
