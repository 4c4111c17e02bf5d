"""An assistant who points at a standing person's landmarks with the wand, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lab.checks import FloatArray
from lab.plates import PlateSet
from simulation.rotations import rotate, unit
from simulation.segments import segment_frames
from simulation.walker import Walker

# Of the height: half the width of knee and ankle.
_KNEE, _ANKLE = 0.030, 0.020
# From which side the wand comes, in the frame of the segment: forward, outward, up.
_APPROACH = {
    "asis": ("pelvis", (0.8, 0.5, 0.5)),
    "psis": ("pelvis", (-1.0, 0.15, 0.5)),
    "shoulder": ("trunk", (0.0, 0.5, 1.0)),
    "knee_lateral": ("thigh", (0.0, 1.0, 0.5)),
    "knee_medial": ("thigh", (1.0, -0.1, 0.4)),
    "ankle_lateral": ("shank", (0.0, 1.0, 0.5)),
    "ankle_medial": ("shank", (1.0, -0.1, 0.5)),
    "heel": ("foot", (-1.0, 0.0, 0.7)),
    "foot_index": ("foot", (1.0, 0.0, 0.7)),
}
LANDMARKS = tuple(f"{side}_{part}" for side in ("left", "right") for part in _APPROACH)


@dataclass(frozen=True, slots=True, eq=False)
class PointingWand:
    """The wand's pose over time.

    Attributes:
        begins: Start of each pointing, s, in the order of the names.
        hold: How long the tip stays, s.
        tips: (n, 3) m, where the tip is, the assistant's error included.
        rotations: (n, 3, 3) lab_from_plate.
        plate_tip: (3,) m, the tip in the plate's frame.
    """

    begins: FloatArray
    hold: float
    tips: FloatArray
    rotations: FloatArray
    plate_tip: FloatArray

    def __call__(self, t: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return rotation (T, 3, 3) and translation (T, 3) m; NaN while it is away."""
        which = np.clip(np.searchsorted(self.begins, t, side="right") - 1, 0, len(self.begins) - 1)
        there = (t >= self.begins[which]) & (t <= self.begins[which] + self.hold)
        rotation = np.where(there[:, None, None], self.rotations[which], np.nan)
        origin = self.tips[which] - rotate(self.rotations[which], self.plate_tip)
        return rotation, np.where(there[:, None], origin, np.nan)


def true_landmarks(walker: Walker, t: FloatArray) -> Mapping[str, FloatArray]:
    """Return where the landmarks that one can point at are, (T, 3) m by name."""
    frames, xyz = segment_frames(walker, t), walker.points(t)
    height, found = walker.body.height, {}
    for name in LANDMARKS:
        side, _, part = name.partition("_")
        joint, _, half = part.partition("_") if "_l" in part or "_m" in part else (part, "", "")
        path = xyz[:, walker.names.index(f"{side}_{joint}")]
        if half:
            width = height * (_KNEE if joint == "knee" else _ANKLE)
            axes, _ = frames[f"{side}_{'thigh' if joint == 'knee' else 'shank'}"]
            outward = (1.0 if side == "left" else -1.0) * (1.0 if half == "lateral" else -1.0)
            path = path + outward * width * axes[..., 1]
        found[name] = path
    return found


def point_at_landmarks(
    walker: Walker,
    plates: PlateSet,
    rng: np.random.Generator,
    *,
    begin: float,
    each: float,
    hold: float,
    sigma: float,
    names: Sequence[str] = LANDMARKS,
) -> PointingWand:
    """Point at landmarks in turn.

    Args:
        walker: Who stands.
        plates: With a wand.
        rng: Of the assistant's errors.
        begin: s, when the first pointing begins.
        each: s from one pointing to the next.
        hold: s for which the tip stays.
        sigma: m in each direction, of the tip to the true landmark.
        names: Of `LANDMARKS`.
    """
    begins = np.asarray(begin + each * np.arange(len(names)), np.float64)
    tips, rotations = [], []
    for start, name in zip(begins, names, strict=True):
        t = np.array([start + hold / 2])
        side, _, part = name.partition("_")
        segment, way = _APPROACH[part]
        carrier = segment if segment in ("pelvis", "trunk") else f"{side}_{segment}"
        axes = segment_frames(walker, t)[carrier][0][0]
        outward = 1.0 if side == "left" else -1.0
        # The post leads from the tip up to the assistant's hand.
        post = unit(rotate(axes, np.array(way) * [1.0, outward, 1.0]))
        down = -post
        right = unit(np.cross(down, rotate(axes, [0.3, 1.0, 0.1])))
        rotations.append(np.stack([right, down, np.cross(right, down)], axis=-1))
        tips.append(true_landmarks(walker, t)[name][0] + sigma * rng.standard_normal(3))
    return PointingWand(begins, hold, np.stack(tips), np.stack(rotations), plates.wand_tip)
