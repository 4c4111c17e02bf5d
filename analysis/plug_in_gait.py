"""The angles of Vicon's Plug-in Gait by name, for comparison beside our own.

They are relative to the lab axis nearest to the walk, not to the true heading, and their Cardan
order is tilt, obliquity, rotation: on a pass that turns, their obliquity is not the elevation of
the pelvic axis. The columns ending in _rot give the same orientation in the order rotation,
obliquity, tilt, which does not depend on the heading.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analysis import pig_segments
from analysis.cardan import cardan_rotation_first, cardan_tilt_first
from lab.checks import FloatArray
from lab.errors import LabError
from lab.gait import SIDES, Curves
from lab.points import Points3D

MARKERS = ("LASI", "RASI", "LTHI", "RTHI", "LKNE", "RKNE", "C7", "T10", "CLAV", "STRN")
AXES = ("+x", "-x", "+y", "-y")
# Below this travel the walk's direction is not read from the path but from the pelvis.
_MIN_TRAVEL_M = 0.8


def plug_in_gait(
    points: Points3D, subject: Mapping[str, float], *, progression: str | None = None
) -> Curves:
    """Compute the Plug-in Gait angles of pelvis, thorax, spine, hip, knee and ankle.

    Definitions: Davis et al., Hum Mov Sci 10:575 (1991); Kadaba et al., J Orthop Res 8:383 (1990);
    Vicon, Plug-in Gait Reference Guide. Curves are named pig_<angle>_<side>, in rad, with Vicon's
    signs: pelvis_tilt and thorax_tilt forward +; pelvis_obliquity and thorax_lateral that side up
    +; pelvis_rotation and thorax_rotation that side forward +; spine_flexion forward +,
    spine_lateral of the left + where the thorax leans left; hip and knee flexion, adduction and
    internal rotation +; ankle dorsiflexion, adduction (inversion) and internal rotation +.

    Knee and ankle are given only where tibial markers and shank_rotation_SIDE_rad,
    tibial_torsion_SIDE_rad, ankle_width_SIDE_mm (and for the ankle the static foot angles) are
    known; a C3D of Vicon's programs carries them.

    Args:
        points: The markers, by Vicon's names, in the lab frame.
        subject: Measures of the body by the keys of trial.toml; asis_trochanter_SIDE_mm is
            estimated from the leg length where it is not given, as Plug-in Gait does.
        progression: One of `AXES`; found from the markers where not given.

    Returns:
        Curves (T,) rad, NaN where a marker is missing; sigma NaN, as markers state none.

    Raises:
        LabError: Naming the markers or measures that are missing.
    """
    pig_segments.require_markers(points, MARKERS)
    pig_segments.require_measures(subject, pig_segments.required_measures())
    pelvis = pig_segments.pelvis(points)
    thorax = pig_segments.thorax(points)
    walk_from_lab = _walk_from_lab(progression or nearest_lab_axis(points))
    pelvis_angles = cardan_tilt_first(walk_from_lab @ pelvis)
    thorax_angles = cardan_tilt_first(walk_from_lab @ thorax)
    spine_angles = cardan_tilt_first(np.swapaxes(thorax, -1, -2) @ pelvis)
    pelvis_level = cardan_rotation_first(pelvis)
    thorax_level = cardan_rotation_first(thorax)
    curves: dict[str, FloatArray] = {}
    for side in SIDES:
        sign = 1.0 if side == "left" else -1.0
        leg = pig_segments.leg(points, pelvis, subject, side)
        angles = {
            "pelvis_tilt": pelvis_angles[0],
            "pelvis_obliquity": sign * pelvis_angles[1],
            "pelvis_rotation": -sign * pelvis_angles[2],
            "thorax_tilt": thorax_angles[0],
            "thorax_lateral": sign * thorax_angles[1],
            "thorax_rotation": -sign * thorax_angles[2],
            "spine_flexion": -spine_angles[0],
            "spine_lateral": sign * spine_angles[1],
            "spine_rotation": -sign * spine_angles[2],
            "pelvis_tilt_rot": pelvis_level[0],
            "pelvis_obliquity_rot": sign * pelvis_level[1],
            "thorax_tilt_rot": thorax_level[0],
            "thorax_lateral_rot": sign * thorax_level[1],
            **_leg_angles(pelvis, leg, sign),
        }
        curves |= {f"pig_{name}_{side}": angle for name, angle in angles.items()}
    values = np.stack(list(curves.values()), axis=-1)
    return Curves(tuple(curves), points.t, values, np.full_like(values, np.nan))


def nearest_lab_axis(points: Points3D) -> str:
    """Return the lab axis nearest to the walk: +x, -x, +y or -y.

    From the path of the ASIS between the first and last frame that shows both; where that is
    short (a treadmill, standing), from the mean direction in which the pelvis faces.

    Raises:
        LabError: When no frame shows the pelvis.
    """
    front, back = pig_segments.pelvis_markers(points)
    seen = np.flatnonzero(np.isfinite(front - back).all(axis=1))
    if not len(seen):
        raise LabError(
            "no frame shows all markers of the pelvis",
            where="markers",
            remedy="Check the labels LASI, RASI, SACR (or LPSI and RPSI).",
        )
    way = (front[seen[-1]] - front[seen[0]])[:2]
    if np.linalg.norm(way) < _MIN_TRAVEL_M:
        way = (front - back)[seen, :2].mean(axis=0)
    axis = int(np.argmax(np.abs(way)))
    return ("+" if way[axis] > 0 else "-") + "xy"[axis]


def _walk_from_lab(progression: str) -> FloatArray:
    """Return the rotation (3, 3) from the lab to axes forward, left, up."""
    if progression not in AXES:
        raise ValueError(f"progression must be one of {AXES}, got {progression!r}")
    forward = np.zeros(3)
    forward["xy".index(progression[1])] = 1.0 if progression[0] == "+" else -1.0
    up = np.array([0.0, 0.0, 1.0])
    return np.stack([forward, np.cross(up, forward), up])


def _leg_angles(pelvis: FloatArray, leg: pig_segments.PigLeg, sign: float) -> dict[str, FloatArray]:
    flexion, adduction, rotation = cardan_tilt_first(np.swapaxes(pelvis, -1, -2) @ leg.thigh)
    angles = {
        "hip_flexion": -flexion,
        "hip_adduction": -sign * adduction,
        "hip_rotation": -sign * rotation,
    }
    if leg.knee_shank is not None:
        flexion, adduction, rotation = cardan_tilt_first(
            np.swapaxes(leg.thigh, -1, -2) @ leg.knee_shank
        )
        angles |= {
            "knee_flexion": flexion,
            "knee_adduction": -sign * adduction,
            "knee_rotation": -sign * rotation,
        }
    if leg.shank is not None and leg.foot is not None:
        # The foot's z axis points up its length, a right angle from the shank's in neutral.
        flexion, rotation, adduction = cardan_tilt_first(np.swapaxes(leg.shank, -1, -2) @ leg.foot)
        angles |= {
            "ankle_dorsiflexion": -flexion - np.pi / 2,
            "ankle_adduction": -sign * adduction,
            "ankle_rotation": -sign * rotation,
        }
    return angles
