"""A walker dressed with plates: planes of tags and the limbs that hide them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from lab.checks import FloatArray
from lab.plates import WAND, Plate, PlateSet
from simulation.rotations import rotate, rotation_x, rotation_y, rotation_z
from simulation.segments import frames_of_points
from simulation.walker import Walker

_NOMINAL_HEIGHT = 1.75
_SKIN, _CLOTH, _SHOE = 150.0, 70.0, 55.0
# Two points of the walker, radii at them as parts of the height, grey level.
_LIMBS = (
    *(
        limb
        for side in ("left", "right")
        for limb in (
            (f"{side}_hip", f"{side}_knee", 0.038, 0.030, _CLOTH),
            (f"{side}_knee", f"{side}_ankle", 0.028, 0.018, _CLOTH),
            (f"{side}_heel", f"{side}_foot_index", 0.016, 0.014, _SHOE),
            (f"{side}_shoulder", f"{side}_elbow", 0.024, 0.020, _SKIN),
            (f"{side}_elbow", f"{side}_wrist", 0.020, 0.014, _SKIN),
            (f"{side}_hip", f"{side}_shoulder", 0.050, 0.052, 95.0),
        )
    ),
    ("neck", "nose", 0.035, 0.035, _SKIN),
)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What a camera looks at, at S instants of one exposure or at any other times.

    Attributes:
        tag_axes: (S, N, 3, 3) axes of each tag in the lab: x right, y down the print, z inwards.
        tag_centres: (S, N, 3) m.
        limb_ends: (S, L, 2, 3) m.
        limb_radii: (L, 2) m.
        limb_greys: (L,) grey levels.
    """

    tag_axes: FloatArray
    tag_centres: FloatArray
    limb_ends: FloatArray
    limb_radii: FloatArray
    limb_greys: FloatArray

    def at(self, instants: slice) -> Scene:
        """Return some of the instants."""
        return replace(
            self,
            tag_axes=self.tag_axes[instants],
            tag_centres=self.tag_centres[instants],
            limb_ends=self.limb_ends[instants],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Dressed:
    """A walker with plates on.

    Attributes:
        walker: Who walks.
        plates: What is worn.
        segment_from_plate: By the plate's name, rotation (3, 3) and translation (3,) m.
        wand: Pose of the wand's plate, t (T,) -> rotation (T, 3, 3), translation (T, 3) m; NaN
            while it is not there. None without.
    """

    walker: Walker
    plates: PlateSet
    segment_from_plate: dict[str, tuple[FloatArray, FloatArray]]
    wand: Callable[[FloatArray], tuple[FloatArray, FloatArray]] | None = None

    def plate_poses(self, t: FloatArray) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Return the true pose lab_from_plate of each plate at times (T,) s, by its name."""
        return self._poses(t, self.walker.points(t))

    def _poses(self, t: FloatArray, xyz: FloatArray) -> dict[str, tuple[FloatArray, FloatArray]]:
        frames = frames_of_points(self.walker, xyz)
        poses = {}
        for plate in self.plates.plates:
            if plate.segment == WAND:
                if self.wand is not None:
                    poses[plate.name] = self.wand(t)
                continue
            axes, origin = frames[plate.segment]
            rotation, shift = self.segment_from_plate[plate.name]
            poses[plate.name] = axes @ rotation, origin + rotate(axes, shift)
        return poses

    def scene(self, t: FloatArray) -> Scene:
        """Return where everything is at times (S,) s."""
        xyz = self.walker.points(t)
        poses = self._poses(t, xyz)
        axes, centres = [], []
        for plate in self.plates.plates:
            for tag in plate.tags:
                if plate.name not in poses:
                    axes.append(np.full((len(t), 3, 3), np.nan))
                    centres.append(np.full((len(t), 3), np.nan))
                    continue
                rotation, origin = poses[plate.name]
                axes.append(rotation @ tag.plate_from_tag[:, :3])
                centres.append(origin + rotate(rotation, tag.plate_from_tag[:, 3]))
        names = self.walker.names
        ends = [
            np.stack([xyz[:, names.index(a)], xyz[:, names.index(b)]], axis=1)
            for a, b, *_ in _LIMBS
        ]
        height = self.walker.body.height
        return Scene(
            np.stack(axes, axis=1),
            np.stack(centres, axis=1),
            np.stack(ends, axis=1),
            height * np.array([limb[2:4] for limb in _LIMBS]),
            np.array([limb[4] for limb in _LIMBS]),
        )


def dress(
    walker: Walker,
    plates: PlateSet,
    rng: np.random.Generator,
    *,
    slip_m: float = 0.012,
    slip_rad: float = float(np.deg2rad(4.0)),
    wand: Callable[[FloatArray], tuple[FloatArray, FloatArray]] | None = None,
) -> Dressed:
    """Put the plates on, each about where the file says, as hands do it.

    Args:
        walker: Who wears them.
        plates: What is worn.
        rng: Where the scatter of putting on comes from.
        slip_m: Its standard deviation along the skin.
        slip_rad: Its standard deviation about each axis.
        wand: As in `Dressed`.
    """
    scale = walker.body.height / _NOMINAL_HEIGHT
    worn = {}
    for plate in plates.plates:
        scatter = rng.standard_normal(6)
        turn = rotation_z(slip_rad * scatter[0]) @ rotation_x(slip_rad * scatter[1])
        turn = turn @ rotation_y(slip_rad * scatter[2])
        # Never into the body: the scatter is along the skin.
        rotation = _facing(plate)
        slip = rotation @ np.array([scatter[3], scatter[4], 0.0]) * slip_m
        worn[plate.name] = (turn @ rotation, scale * plate.at + slip)
    return Dressed(walker, plates, worn, wand)


def _facing(plate: Plate) -> FloatArray:
    """Return segment_from_plate's rotation as the plate is meant to be worn."""
    level, rise = plate.facing, plate.tilt
    outward = np.array([np.cos(rise) * np.cos(level), np.cos(rise) * np.sin(level), np.sin(rise)])
    right = np.array([-np.sin(level), np.cos(level), 0.0])
    return np.stack([right, np.cross(-outward, right), -outward], axis=-1)
