"""What to film next: where a camera has not seen the board, and how it was not held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import radians

import numpy as np

from calibration.quality import thresholds
from lab.board_views import CameraViews
from lab.checks import FloatArray
from lab.rig import Rig

# An image in nine regions, each of nine cells.
_PLACES = (
    ("upper left", "top", "upper right"),
    ("left side", "middle", "right side"),
    ("lower left", "bottom", "lower right"),
)
_CELLS = (9, 9)
_SIDES = (
    ("left third", tuple(row[0] for row in _PLACES)),
    ("right third", tuple(row[2] for row in _PLACES)),
    ("upper third", _PLACES[0]),
    ("lower third", _PLACES[2]),
)
_ORDER = (*(side for side, _ in _SIDES), *(place for row in _PLACES for place in row))
_MOST_PLACES = 3


@dataclass(frozen=True, slots=True)
class Advice:
    """What to film next for one camera.

    Attributes:
        camera: Its name.
        text: One sentence, an instruction.
        need: How much it is needed: parts of what is wanted that are missing, summed.
    """

    camera: str
    text: str
    need: float


def advise(rig: Rig, views: Sequence[CameraViews]) -> tuple[Advice, ...]:
    """Say for each camera what further views of the board would settle, the neediest first.

    Asked for is (configs/calibration.toml, [advice]): a corner in a third of the cells of each of
    the image's nine regions, a part of the views with the board tilted, a range of depth or a board
    that once fills part of the image, and board poses shared with another camera.

    Args:
        rig: As calibrated.
        views: Of its cameras, as `evidence.board_views` gives them.

    Returns:
        Nothing for a camera that has seen enough.
    """
    limits = thresholds()["advice"]
    found = []
    for own in views:
        size = rig.camera(own.camera).size_px
        places, empty = _places(own, size, limits["region"])
        tilted = _part_tilted(own, radians(limits["tilt_deg"]))
        flat = max(0.0, 1 - tilted / limits["tilted_views"])
        far = _too_far(own, size, limits)
        partner, alone = _partner(own, views, limits["shared_poses"])
        need = empty + flat + far + alone
        if need <= 0:
            continue
        found.append(Advice(own.camera, _sentence(own.camera, places, flat, far, partner), need))
    return tuple(sorted(found, key=lambda advice: (-advice.need, advice.camera)))


def film_next(advice: Sequence[Advice]) -> tuple[str, ...]:
    """Return what to film next in as few sentences as say it: cameras that need the same together.

    The neediest stand first, as in `advise`.
    """
    together: dict[str, list[Advice]] = {}
    for item in advice:
        together.setdefault(_of_any(item), []).append(item)
    said = []
    for text, items in together.items():
        if len(items) == 1:
            said.append(items[0].text)
        else:
            names = _in_words([item.camera for item in items])
            said.append(f"In the images of {names}: {text[:1].lower()}{text[1:]}")
    return tuple(said)


def _of_any(item: Advice) -> str:
    """Return the sentence without the camera's name where it can do without."""
    text = item.text.replace(f" of what {item.camera} sees", "")
    return text.replace(f"how {item.camera} the board", "how the board")


def _sentence(camera: str, places: list[str], flat: float, far: float, partner: str) -> str:
    how = []
    if flat > 0:
        how.append("tilted by 30 to 45 degrees, about both its sides")
    if far > 0:
        how.append("closer")
    parts = []
    if places or how:
        where = _listed(places)
        target = f"bring the board to {where} of what {camera} sees" if where else ""
        if target:
            parts.append(", ".join([target, *how]))
        else:
            parts.append(f"show {camera} the board " + " and ".join(how))
    if partner:
        parts.append(f"hold it where {camera} and {partner} see it at once")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def _listed(places: list[str]) -> str:
    return _in_words([f"the {place}" for place in places[:_MOST_PLACES]])


def _in_words(words: list[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def _places(own: CameraViews, size_px: tuple[int, int], least: float) -> tuple[list[str], float]:
    """Return the regions where too few cells saw a corner, emptiest first, and their share."""
    seen = own.cells(size_px, _CELLS) > 0
    part: FloatArray = seen.reshape(3, 3, 3, 3).mean((1, 3))
    missing = [
        (float(part[row, column]), row, column)
        for row in range(3)
        for column in range(3)
        if part[row, column] < least
    ]
    # Emptiest first, whole sides before their parts; then in the order of reading.
    names = _joined([_PLACES[row][column] for _, row, column in sorted(missing)])
    shown = sorted(names[:_MOST_PLACES], key=_ORDER.index)
    return shown, len(missing) / 9


def _joined(names: list[str]) -> list[str]:
    """Say a whole side where all three of its regions are missing."""
    for whole, parts in _SIDES:
        if set(parts) <= set(names):
            names = [whole, *(name for name in names if name not in parts)]
    return names


def _part_tilted(own: CameraViews, least_rad: float) -> float:
    return float(np.mean(own.tilt_rad > least_rad)) if len(own.tilt_rad) else 0.0


def _too_far(own: CameraViews, size_px: tuple[int, int], limits: dict[str, float]) -> float:
    """Return how much the board should have come closer; 0 where its depth or size sufficed."""
    if not len(own.depth_m):
        return 1.0
    near, away = np.percentile(own.depth_m, [5, 95])
    deep = (away / max(near, 1e-9) - 1) / (limits["depth_ratio"] - 1)
    large = _largest_width(own) / max(size_px) / limits["board_width"]
    return float(max(0.0, 1 - max(deep, large)))


def _largest_width(own: CameraViews) -> float:
    """Return the greatest extent (px) of the corners of one view."""
    widest = 0.0
    for view in range(len(own.pose)):
        xy = own.xy_px[own.view == view]
        if len(xy) > 1:
            widest = max(widest, float((xy.max(0) - xy.min(0)).max()))
    return widest


def _partner(own: CameraViews, views: Sequence[CameraViews], wanted: float) -> tuple[str, float]:
    """Return the camera to share further board poses with, and the part of them missing."""
    others = [other for other in views if other.camera != own.camera]
    if not others:
        return "", 0.0
    together = np.unique(np.concatenate([other.pose for other in others]))
    shared = len(np.intersect1d(own.pose, together))
    missing = max(0.0, 1 - shared / wanted)
    if missing <= 0:
        return "", 0.0
    best = max(others, key=lambda other: len(np.intersect1d(own.pose, other.pose)))
    return best.camera, missing
