"""The segments of Plug-in Gait, from its markers and the measures of the body.

Definitions after Davis et al., Hum Mov Sci 10:575 (1991), Kadaba et al., J Orthop Res 8:383 (1990)
and Vicon's Plug-in Gait Reference Guide. Every frame has x forward, y left, z up the segment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.centre_rules import (
    asis_trochanter_distance_mm,
    chord_centre,
    davis_hip_centre,
)
from analysis.segments import unit
from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Points3D

_MM = 0.001
_SIDED_MEASURES = ("leg_length_{}_mm", "knee_width_{}_mm", "thigh_rotation_{}_rad")
_MEASURES = ("inter_asis_distance_mm", "marker_radius_mm")


@dataclass(frozen=True, slots=True, eq=False)
class PigLeg:
    """One leg. What the markers or the measures do not allow is None.

    Attributes:
        hip, knee: Joint centres (T, 3) m.
        thigh: lab_from_thigh (T, 3, 3).
        ankle: Joint centre (T, 3) m.
        shank: lab_from_shank (T, 3, 3), its y axis the ankle's.
        knee_shank: lab_from_shank (T, 3, 3) with the tibial torsion taken out, as the knee sees it.
        foot: lab_from_foot (T, 3, 3), z from the toe marker to the ankle in a flat foot.
    """

    hip: FloatArray
    knee: FloatArray
    thigh: FloatArray
    ankle: FloatArray | None = None
    shank: FloatArray | None = None
    knee_shank: FloatArray | None = None
    foot: FloatArray | None = None


def require_markers(points: Points3D, wanted: tuple[str, ...]) -> None:
    """Refuse to go on without these markers; SACR may stand for LPSI and RPSI.

    Raises:
        LabError: Naming every marker that is not there.
    """
    missing = [name for name in wanted if name not in points.names]
    if "SACR" not in points.names and not {"LPSI", "RPSI"} <= set(points.names):
        missing.append("SACR (or LPSI and RPSI)")
    if missing:
        raise LabError(
            f"Plug-in Gait needs markers that are not there: {', '.join(missing)}",
            where="markers",
            remedy="Label them under these names, or leave plug-in-gait out of also in trial.toml.",
        )


def require_measures(subject: Mapping[str, float], wanted: tuple[str, ...]) -> None:
    """Refuse to go on without these measures of the body.

    Raises:
        LabError: Naming every measure that is not there or not a number.
    """
    missing = [key for key in wanted if not np.isfinite(subject.get(key, np.nan))]
    if missing:
        raise LabError(
            f"Plug-in Gait needs measures of the body that are not there: {', '.join(missing)}",
            where="[subject]",
            remedy="Give them under [subject] in trial.toml.",
        )


def required_measures() -> tuple[str, ...]:
    """Return the keys under [subject] that pelvis, hips and thighs need."""
    sided = [key.format(side) for key in _SIDED_MEASURES for side in ("left", "right")]
    return (*sided, *_MEASURES)


def frame_of(z: FloatArray, y_towards: FloatArray) -> FloatArray:
    """Return rotations (T, 3, 3) with this z, and y in the plane of z and `y_towards`."""
    z = unit(z)
    y = unit(y_towards - (y_towards * z).sum(-1, keepdims=True) * z)
    return np.stack([np.cross(y, z), y, z], axis=-1)


def pelvis_markers(points: Points3D) -> tuple[FloatArray, FloatArray]:
    """Return the middle of the ASIS and the sacrum (T, 3) m."""
    front = (points.point("LASI") + points.point("RASI")) / 2
    if "SACR" in points.names:
        return front, points.point("SACR")
    return front, (points.point("LPSI") + points.point("RPSI")) / 2


def pelvis(points: Points3D) -> FloatArray:
    """Return lab_from_pelvis (T, 3, 3): y along the ASIS, x in the plane through the sacrum."""
    front, back = pelvis_markers(points)
    y = unit(points.point("LASI") - points.point("RASI"))
    z = unit(np.cross(front - back, y))
    return np.stack([np.cross(y, z), y, z], axis=-1)


def thorax(points: Points3D) -> FloatArray:
    """Return lab_from_thorax (T, 3, 3): z up the trunk through four markers, x forward."""
    c7, t10, clav, strn = (points.point(n) for n in ("C7", "T10", "CLAV", "STRN"))
    z = (clav + c7) - (strn + t10)
    return frame_of(z, np.cross(z, (clav + strn) - (c7 + t10)))


def hip_centre(
    points: Points3D, pelvis_rotation: FloatArray, subject: Mapping[str, float], side: str
) -> FloatArray:
    """Return a hip joint centre (T, 3) m by Davis's regression.

    Raises:
        LabError: When the leg lengths, the inter-ASIS distance or the marker radius are missing.
    """
    legs = ("leg_length_left_mm", "leg_length_right_mm")
    require_measures(subject, (*legs, *_MEASURES))
    trochanter = subject.get(f"asis_trochanter_{side}_mm", np.nan)
    if not np.isfinite(trochanter):
        trochanter = asis_trochanter_distance_mm(subject[f"leg_length_{side}_mm"])
    local = davis_hip_centre(
        (subject[legs[0]] + subject[legs[1]]) / 2 * _MM,
        subject["inter_asis_distance_mm"] * _MM,
        trochanter * _MM,
        subject["marker_radius_mm"] * _MM,
        left=side == "left",
    )
    front, _ = pelvis_markers(points)
    return front + pelvis_rotation @ local


def leg(
    points: Points3D, pelvis_rotation: FloatArray, subject: Mapping[str, float], side: str
) -> PigLeg:
    """Build one leg as far down as markers and measures reach.

    Raises:
        LabError: When what the thigh needs is missing.
    """
    sign = 1.0 if side == "left" else -1.0
    letter = "L" if side == "left" else "R"
    require_measures(subject, required_measures())
    radius = subject["marker_radius_mm"] * _MM
    hip = hip_centre(points, pelvis_rotation, subject, side)
    lateral = points.point(f"{letter}KNE")
    knee = chord_centre(
        hip,
        points.point(f"{letter}THI"),
        lateral,
        subject[f"knee_width_{side}_mm"] * _MM / 2 + radius,
        sign * subject[f"thigh_rotation_{side}_rad"],
    )
    thigh = frame_of(hip - knee, sign * (lateral - knee))

    def measure(name: str) -> float:
        return float(subject.get(name, np.nan))

    keys = (f"ankle_width_{side}_mm", f"shank_rotation_{side}_rad", f"tibial_torsion_{side}_rad")
    width, wand_angle, torsion = (measure(key) for key in keys)
    markers = {f"{letter}TIB", f"{letter}ANK"}
    if not markers <= set(points.names) or not np.isfinite([width, wand_angle, torsion]).all():
        return PigLeg(hip, knee, thigh)
    malleolus = points.point(f"{letter}ANK")
    ankle = chord_centre(
        knee,
        points.point(f"{letter}TIB"),
        malleolus,
        width * _MM / 2 + radius,
        sign * wand_angle,
    )
    shank = frame_of(knee - ankle, sign * (malleolus - ankle))
    knee_shank = shank @ _turn("z", sign * torsion)
    flexion = measure(f"static_plantar_flexion_{side}_rad")
    turned = measure(f"static_foot_rotation_{side}_rad")
    foot = None
    if f"{letter}TOE" in points.names and np.isfinite([flexion, turned]).all():
        raw = frame_of(ankle - points.point(f"{letter}TOE"), knee_shank[..., 1])
        foot = raw @ _turn("y", -flexion) @ _turn("x", -sign * turned)
    return PigLeg(hip, knee, thigh, ankle, shank, knee_shank, foot)


def _turn(axis: str, angle: float) -> FloatArray:
    """Return the rotation (3, 3) by an angle in rad about one axis."""
    i = "xyz".index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    rotation = np.eye(3)
    rotation[j, j] = rotation[k, k] = np.cos(angle)
    rotation[k, j] = np.sin(angle)
    rotation[j, k] = -rotation[k, j]
    return rotation
