"""Planar tags worn on the body: what is printed, how large, and on which segment it is worn."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import msgspec
import numpy as np

from lab.checks import FloatArray, frozen_array
from lab.errors import FileError, LabError

WAND = "wand"
SEGMENTS = (
    "pelvis",
    "trunk",
    *(f"{side}_{part}" for part in ("thigh", "shank", "foot") for side in ("left", "right")),
    WAND,
)
# A tag's points are not its corners but the places on its diagonals where the errors of a fit to
# the whole tag are independent of each other: as for Gauss' points of an interval, near 1/sqrt(3)
# of the half side; a little further out, because the white margin is fitted, too.
TAG_POINT = 0.62
_CORNERS = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
_APRILTAG = {"16H5": (30, 4), "25H9": (35, 5), "36H10": (2320, 6), "36H11": (587, 6)}


@dataclass(frozen=True, slots=True, eq=False)
class Tag:
    """One tag on a plate.

    Attributes:
        number: Its id in the dictionary.
        side: Of the black square, m.
        plate_from_tag: (3, 4) rotation and translation: the tag's frame has its origin in the
            middle of the tag, x to the right and y down the print, z away from who reads it.
    """

    number: int
    side: float = field(metadata={"unit": "m"})
    plate_from_tag: FloatArray

    def on_plate(self, xy: FloatArray) -> FloatArray:
        """Return points (..., 2), in half sides of the tag, as (..., 3) m in the plate's frame."""
        flat = np.concatenate([xy * self.side / 2, np.zeros((*xy.shape[:-1], 1))], axis=-1)
        return flat @ self.plate_from_tag[:, :3].T + self.plate_from_tag[:, 3]

    @property
    def corners(self) -> FloatArray:
        """The corners (4, 3) m of the black square, clockwise from the top left."""
        return self.on_plate(_CORNERS)

    @property
    def points(self) -> FloatArray:
        """The four points (4, 3) m that stand for the tag, in the order of the corners."""
        return self.on_plate(_CORNERS * TAG_POINT)

    @property
    def point_names(self) -> tuple[str, ...]:
        """The names of the four points as keypoints."""
        return tuple(f"tag{self.number:03d}_{i}" for i in range(4))


@dataclass(frozen=True, slots=True, eq=False)
class Plate:
    """A rigid piece with one tag or several.

    Attributes:
        name: Of the plate.
        segment: Of `SEGMENTS`, on which it is worn.
        tags: At least one.
        where: How it is worn, in words.
        at: (3,) m, where its middle usually sits on a person of 1.75 m, from the segment's upper
            joint (pelvis and trunk: the middle of the hips; foot: the heel), x forward, y left,
            z up.
        facing: rad, which way it looks in the level plane of the segment: 0 forward, to the left +.
        tilt: rad, how far it looks up from there.
    """

    name: str
    segment: str
    tags: tuple[Tag, ...]
    where: str
    at: FloatArray = field(metadata={"unit": "m", "frame": "segment"})
    facing: float = field(metadata={"unit": "rad"})
    tilt: float = field(metadata={"unit": "rad"})

    @property
    def points(self) -> FloatArray:
        """The points (4 * tags, 3) m of all tags in the plate's frame."""
        return np.concatenate([tag.points for tag in self.tags])

    @property
    def point_names(self) -> tuple[str, ...]:
        """The names of these points."""
        return tuple(name for tag in self.tags for name in tag.point_names)


@dataclass(frozen=True, slots=True, eq=False)
class PlateSet:
    """The plates of a lab.

    Attributes:
        name: For people.
        dictionary: OpenCV's name of the tag dictionary.
        margin_bits: White margin of each tag, in its bits.
        plates: With different names, and no tag twice.
        wand_tip: (3,) m, the tip of the wand in the frame of its plate; NaN without a wand.
        text: What it was read from.
    """

    name: str
    dictionary: str
    margin_bits: float
    plates: tuple[Plate, ...]
    wand_tip: FloatArray = field(metadata={"unit": "m", "frame": "wand's plate"})
    text: str

    @property
    def bits(self) -> int:
        """Bits of a tag along its side, the black border included."""
        return _dictionary_size(self.dictionary, self.name)[1] + 2

    @property
    def tags(self) -> tuple[Tag, ...]:
        """All tags."""
        return tuple(tag for plate in self.plates for tag in plate.tags)

    @property
    def point_names(self) -> tuple[str, ...]:
        """The names of all points of all tags."""
        return tuple(name for plate in self.plates for name in plate.point_names)

    def of_segment(self, segment: str) -> tuple[Plate, ...]:
        """Return the plates worn on a segment."""
        return tuple(p for p in self.plates if p.segment == segment)


class _TagTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    id: int
    side_mm: float | None = None
    centre_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn_deg: float = 0.0


class _PlateTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: str
    segment: str
    tag: tuple[_TagTable, ...]
    where: str
    at_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    facing_deg: float = 0.0
    tilt_deg: float = 0.0


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: str
    dictionary: str
    side_mm: float
    plate: tuple[_PlateTable, ...]
    margin_bits: float = 1.0
    wand_tip_mm: tuple[float, float, float] | None = None


def read_plates(source: str | Path) -> PlateSet:
    """Read a file of plates.

    Args:
        source: The name of one in configs/plates, or a path.

    Raises:
        FileError: When there is none, or it is not TOML.
        LabError: When a key is missing, unknown or out of range, or a tag stands twice.
    """
    inside = resources.files("configs").joinpath("plates", f"{source}.toml")
    path = Path(source)
    try:
        plain = isinstance(source, str) and re.fullmatch(r"[\w-]+", source) is not None
        text = inside.read_text("utf-8") if plain else path.read_text("utf-8")
        table = tomllib.loads(text)
    except OSError as fault:
        raise FileError(
            "there are no plates of this name",
            where=str(source),
            remedy='Give the path of a plates file, or "gait-ring".',
        ) from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise FileError(f"not a TOML file ({fault})", where=str(source)) from fault
    try:
        read = msgspec.convert(table, _File)
    except msgspec.ValidationError as fault:
        raise LabError(str(fault).replace("`", ""), where=str(source)) from fault
    return _checked(read, text, str(source))


def _dictionary_size(name: str, where: str) -> tuple[int, int]:
    """Return the number of tags of a dictionary and the bits of their sides."""
    april = re.fullmatch(r"DICT_APRILTAG_(\d+[Hh]\d+)", name)
    if april and april[1].upper() in _APRILTAG:
        return _APRILTAG[april[1].upper()]
    aruco = re.fullmatch(r"DICT_([4567])X\1_(50|100|250|1000)", name)
    if not aruco:
        raise LabError(
            f"there is no tag dictionary called {name!r}",
            where=where,
            remedy="Use OpenCV's names, for example DICT_4X4_50 or DICT_APRILTAG_36H11.",
        )
    return int(aruco[2]), int(aruco[1])


def _checked(read: _File, text: str, where: str) -> PlateSet:
    count, _ = _dictionary_size(read.dictionary, where)
    seen: dict[int, str] = {}
    plates: list[Plate] = []
    if not 0.5 <= read.margin_bits <= 3:
        raise LabError(
            f"margin_bits is {read.margin_bits}",
            where=where,
            remedy="A tag needs a white margin of at least half a bit.",
        )
    for plate in read.plate:
        if plate.segment not in SEGMENTS:
            raise LabError(
                f"plate {plate.name} is worn on {plate.segment!r}",
                where=where,
                remedy=f"Segments are {', '.join(SEGMENTS)}.",
            )
        if any(plate.name == other.name for other in plates) or not plate.name:
            raise LabError(f"two plates are called {plate.name!r}", where=where)
        if not plate.tag:
            raise LabError(f"plate {plate.name} has no tag", where=where)
        for tag in plate.tag:
            if not 0 <= tag.id < count:
                raise LabError(
                    f"plate {plate.name} has tag {tag.id}, but {read.dictionary} has 0 to "
                    f"{count - 1}",
                    where=where,
                )
            if tag.id in seen:
                raise LabError(
                    f"tag {tag.id} is on {seen[tag.id]} and on {plate.name}",
                    where=where,
                    remedy="Give every tag its own number.",
                )
            seen[tag.id] = plate.name
        plates.append(_plate(plate, read.side_mm, where))
    if not plates:
        raise LabError("there is no plate", where=where)
    wand = [p for p in plates if p.segment == WAND]
    if len(wand) > 1 or bool(wand) != (read.wand_tip_mm is not None):
        raise LabError(
            "a wand is one plate of the segment wand, and wand_tip_mm says where its tip is",
            where=where,
        )
    tip = np.full(3, np.nan) if read.wand_tip_mm is None else np.array(read.wand_tip_mm) / 1e3
    return PlateSet(read.name, read.dictionary, read.margin_bits, tuple(plates), tip, text)


def _plate(table: _PlateTable, side_mm: float, where: str) -> Plate:
    tags: list[Tag] = []
    for tag in table.tag:
        side = side_mm if tag.side_mm is None else tag.side_mm
        if not 10 <= side <= 500:
            raise LabError(
                f"tag {tag.id} has a side of {side:g} mm", where=where, remedy="10 to 500 mm."
            )
        c, s = np.cos(np.deg2rad(tag.turn_deg)), np.sin(np.deg2rad(tag.turn_deg))
        turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        at = np.array(tag.centre_mm)[:, None] / 1e3
        pose = frozen_array(np.concatenate([turn, at], axis=1), (3, 4), "Tag.plate_from_tag")
        tags.append(Tag(tag.id, side / 1e3, pose))
    return Plate(
        name=table.name,
        segment=table.segment,
        tags=tuple(tags),
        where=table.where,
        at=frozen_array(np.array(table.at_mm) / 1e3, (3,), "Plate.at"),
        facing=float(np.deg2rad(table.facing_deg)),
        tilt=float(np.deg2rad(table.tilt_deg)),
    )
