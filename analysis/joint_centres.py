"""From a marker set to the lab's own points: joint centres, pelvis, acromia, feet.

Our own definitions of angles and measures work on these points, so that a walk recorded with
markers and one recorded without them are measured alike.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from analysis import pig_segments
from analysis.centre_rules import chord_centre, harrington_hip_centre
from analysis.segments import unit
from lab.checks import FloatArray
from lab.errors import LabError
from lab.gait import SIDES
from lab.points import Points3D

_MM = 0.001
_OWN_NAMES = ("left_hip", "right_hip")


@dataclass(frozen=True, slots=True)
class MarkerSet:
    """How a marker set becomes the lab's points.

    Attributes:
        name: Of the set.
        recognised_by: Markers that together are found in this set only.
        hip_centres: davis, harrington or none.
        limb_centres: chord or none.
        points: For each of our names, lists of markers; the first list that is seen is averaged.
    """

    name: str
    recognised_by: tuple[str, ...]
    hip_centres: str
    limb_centres: str
    points: Mapping[str, Sequence[Sequence[str]]]


def load_marker_sets() -> tuple[MarkerSet, ...]:
    """Return the marker sets in configs/markersets, by name."""
    sets = []
    for entry in sorted(files("configs").joinpath("markersets").iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".toml"):
            continue
        table = tomllib.loads(entry.read_text(encoding="utf-8"))
        sets.append(
            MarkerSet(
                name=table["name"],
                recognised_by=tuple(table["recognised_by"]),
                hip_centres=table["hip_centres"],
                limb_centres=table["limb_centres"],
                points=table["points"],
            )
        )
    return tuple(sets)


def recognise_marker_set(names: Sequence[str]) -> MarkerSet:
    """Return the set whose markers these are; the one known by most of them where several fit.

    Raises:
        LabError: When no set fits.
    """
    known = load_marker_sets()
    fitting = [s for s in known if set(s.recognised_by) <= set(names)]
    if not fitting:
        nearest = max(known, key=lambda s: np.mean([m in names for m in s.recognised_by]))
        missing = [name for name in nearest.recognised_by if name not in names]
        raise LabError(
            "these markers fit no marker set; the nearest is "
            f"{nearest.name}, where {', '.join(missing)} would be missing",
            where="markers",
            remedy="Label the markers by a set in configs/markersets, or name the joints as the "
            "lab does (left_hip, left_knee, ...).",
        )
    return max(fitting, key=lambda s: len(s.recognised_by))


def keypoints_from_markers(points: Points3D, subject: Mapping[str, float]) -> Points3D:
    """Return the lab's points from markers, whatever their set.

    Hips are joint centres by regression: Davis et al., Hum Mov Sci 10:575 (1991) with the body's
    measures in Plug-in Gait, Harrington et al., J Biomech 40:595 (2007) from the pelvis markers
    elsewhere. Knees and ankles are the middle of medial and lateral markers, or in Plug-in Gait
    its chord construction; where the turn of its tibial wand is not known
    (shank_rotation_SIDE_rad), the ankle's centre is laid into the plane of the knee's axis
    instead, which moved it by 7 to 23 mm in the recordings it was tried on. "shoulder" is the
    marker on the acromion, "foot_index" the one over the metatarsal heads or toes as the set has
    it. Points that already carry our names are returned as they are.

    Args:
        points: Markers in the lab frame.
        subject: Measures of the body by the keys of trial.toml.

    Returns:
        Points (T, K, 3) m with the names that the set allows; cov NaN.

    Raises:
        LabError: When no marker set fits, or measures that it needs are missing.
    """
    if set(_OWN_NAMES) <= set(points.names):
        return points
    chosen = recognise_marker_set(points.names)
    found: dict[str, FloatArray] = {}
    for name, alternatives in chosen.points.items():
        path = _first_seen(points, alternatives)
        if path is not None:
            found[name] = path
    if chosen.hip_centres == "harrington":
        found |= harrington_hips(found)
    if chosen.limb_centres == "chord":
        found |= _plug_in_gait_legs(points, subject)
    xyz = np.stack(list(found.values()), axis=1)
    return Points3D(tuple(found), points.t, xyz, np.full((*xyz.shape, 3), np.nan))


def _first_seen(points: Points3D, alternatives: Sequence[Sequence[str]]) -> FloatArray | None:
    """Return the mean (T, 3) m of the first list of markers that some frame shows, or None."""
    for markers in alternatives:
        if set(markers) <= set(points.names):
            mean = np.mean([points.point(m) for m in markers], axis=0)
            if np.isfinite(mean).any():
                return mean
    return None


def harrington_hips(found: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return hip centres (T, 3) m from the pelvis' mean width and depth in this recording."""
    left, right = found["left_asis"], found["right_asis"]
    front = (left + right) / 2
    back = (found["left_psis"] + found["right_psis"]) / 2
    y = unit(left - right)
    z = unit(np.cross(front - back, y))
    lab_from_pelvis = np.stack([np.cross(y, z), y, z], axis=-1)
    if not np.isfinite(lab_from_pelvis).all(axis=(1, 2)).any():
        return {}
    width = float(np.nanmean(np.linalg.norm(left - right, axis=1)))
    depth = float(np.nanmean(np.linalg.norm(front - back, axis=1)))
    return {
        f"{side}_hip": front
        + lab_from_pelvis @ harrington_hip_centre(width, depth, left=side == "left")
        for side in SIDES
    }


def _plug_in_gait_legs(points: Points3D, subject: Mapping[str, float]) -> dict[str, FloatArray]:
    """Return hips, knees and, where the ankle's width is known, ankles (T, 3) m."""
    pig_segments.require_markers(points, ("LASI", "RASI", "LTHI", "RTHI", "LKNE", "RKNE"))
    pelvis = pig_segments.pelvis(points)
    found: dict[str, FloatArray] = {}
    for side in SIDES:
        letter = "L" if side == "left" else "R"
        leg = pig_segments.leg(points, pelvis, subject, side)
        found |= {f"{side}_hip": leg.hip, f"{side}_knee": leg.knee}
        width = subject.get(f"ankle_width_{side}_mm", np.nan)
        if leg.ankle is not None:
            found[f"{side}_ankle"] = leg.ankle
        elif f"{letter}ANK" in points.names and np.isfinite(width):
            found[f"{side}_ankle"] = chord_centre(
                leg.knee,
                points.point(f"{letter}KNE"),
                points.point(f"{letter}ANK"),
                (width / 2 + subject["marker_radius_mm"]) * _MM,
            )
    return found
