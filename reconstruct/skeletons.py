"""Which points a detector finds, what we call them, and which of them a bone joins."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

from lab.errors import LabError

# In the order of preference where the names fit several.
SKELETONS = ("own", "coco17", "blazepose33", "halpe26", "body25", "coco133")
_SIDES = {"left_": "right_", "right_": "left_"}


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """A detector's set of points.

    Attributes:
        name: Its own.
        points: The lab's name of each point, by the detector's.
        bones: Pairs of the lab's names with a bone between them.
        order: The detector's names as it numbers its points, as far as any has a use here; empty
            where it always names them.
        count: How many points it numbers.
    """

    name: str
    points: Mapping[str, str]
    bones: tuple[tuple[str, str], ...]
    order: tuple[str, ...] = ()
    count: int = 0

    def __post_init__(self) -> None:
        ours = list(self.points.values())
        if len(set(ours)) < len(ours):
            raise ValueError(f"Skeleton {self.name}: two points have the same name")
        if self.order and not set(self.points) <= set(self.order):
            raise ValueError(f"Skeleton {self.name}: a point has no number")
        if len(set(self.order)) < len(self.order) or len(self.order) > self.count:
            raise ValueError(f"Skeleton {self.name}: a number is wrong")
        if not {end for bone in self.bones for end in bone} <= set(ours):
            raise ValueError(f"Skeleton {self.name}: a bone ends at no point")

    @property
    def numbers(self) -> tuple[tuple[str, ...], list[int]]:
        """The lab's names of the points in use, and the number of each in the detector's order."""
        ours = tuple(self.points.values())
        return ours, [self.order.index(theirs) for theirs in self.points]

    @property
    def partners(self) -> Mapping[str, str]:
        """The point on the other side of the body, by the lab's names."""
        other = {name: partner_name(name) for name in self.points.values()}
        return {name: partner for name, partner in other.items() if partner in other}


def partner_name(name: str) -> str:
    """Return the name of the same point on the other side; empty for a point in the middle."""
    for side, other in _SIDES.items():
        if name.startswith(side):
            return other + name.removeprefix(side)
    return ""


def load_skeleton(name: str) -> Skeleton:
    """Return one of `SKELETONS`.

    Raises:
        LabError: When there is none of that name.
    """
    if name not in SKELETONS:
        raise LabError(
            f"there is no skeleton called {name!r}",
            where="skeleton",
            remedy=f"Choose one of: {', '.join(SKELETONS)}.",
        )
    text = resources.files("configs").joinpath("skeletons", f"{name}.toml").read_text("utf-8")
    table = tomllib.loads(text)
    bones = tuple((first, second) for first, second in table["bones"])
    order = tuple(table.get("order", ()))
    return Skeleton(table["name"], table["points"], bones, order, table.get("count", len(order)))


def skeleton_of_count(count: int, among: Iterable[str] = SKELETONS) -> Skeleton | None:
    """Return the skeleton that numbers this many points, the first of several; None for none."""
    known = (load_skeleton(name) for name in among)
    return next((s for s in known if s.order and s.count == count), None)


def find_skeleton(names: Iterable[str]) -> Skeleton:
    """Return the skeleton that knows most of a detector's names, the smaller one at a draw.

    Raises:
        LabError: When none knows at least two of them.
    """
    given = set(names)
    skeletons = [load_skeleton(name) for name in SKELETONS]
    best = max(skeletons, key=lambda s: (len(given & set(s.points)), -len(s.points)))
    if len(given & set(best.points)) < 2:
        raise LabError(
            f"these names belong to no skeleton known here: {', '.join(sorted(given)[:5])}",
            where="skeleton",
            remedy=f"Use the names of one of: {', '.join(SKELETONS)} (configs/skeletons).",
        )
    return best
