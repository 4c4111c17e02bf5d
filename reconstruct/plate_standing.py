"""Plates tied to segments by the standing pose alone: no wand, and an interval to match.

The person stands upright, feet flat, knees straight. Each plate is taken to look the way and to sit
where its description says on a person of this height; the segment's upright is gravity's, but for
the pelvis, which leans forward as pelves do. What that is wrong by is one turn and one shift of
each segment, which all its landmarks share: they are as far from each other as on the body, and its
angles are known against the standing pose far better than against the bones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from lab.checks import FloatArray
from lab.errors import LabError
from lab.plates import SEGMENTS, WAND, Plate, PlateSet
from lab.rig import Rig
from reconstruct.associate import AlignedKeypoints
from reconstruct.plate_ties import SegmentTie, join_plates, select_points
from reconstruct.rigid import GOOD, solve_rigid

_NOMINAL_HEIGHT = 1.75
_FEWEST_FRAMES = 3
# Segment lengths as parts of the height, after Drillis and Contini (Body segment parameters, New
# York University, 1966), in Winter, Biomechanics and Motor Control of Human Movement, 4th ed. 2009,
# figure 4.1: thigh, shank, hips to acromia, half the width of the acromia, heel to the ball of the
# big toe, ankle over the sole and before the heel; then the pelvis' depth and half its PSIS' width.
_THIGH, _SHANK, _TRUNK, _ACROMION = 0.245, 0.246, 0.288, 0.11
_TOE, _PELVIS_DEPTH, _PSIS = 0.115, 0.094, 0.026
_ASIS_WIDTH = 0.139
# The plane of ASIS and PSIS in an upright pelvis: 13 degrees, standard deviation 5, in thirty of
# them (Preece et al., J Man Manip Ther 16:113, 2008).
_PELVIC_TILT = np.deg2rad(13.0)


@dataclass(frozen=True, slots=True)
class Stature:
    """Whose body it is.

    Attributes:
        height: m.
        asis_width: Between the ASIS, m; a usual one where not known.
    """

    height: float
    asis_width: float | None = None


def tie_by_standing(
    rig: Rig,
    aligned: AlignedKeypoints,
    plates: PlateSet,
    stature: Stature,
    *,
    turn_sigma: float,
    shift_sigma: float,
) -> dict[str, SegmentTie]:
    """Tie plates to segments by how the person stands.

    Args:
        rig: The cameras.
        aligned: What they saw of the tags in the standing trial, covariance known.
        plates: What is worn.
        stature: The person's measures.
        turn_sigma: rad about each axis, of the segment as taken to the segment as it is.
        shift_sigma: m along each axis, likewise.

    Raises:
        LabError: When the plates of a segment were not seen.
    """
    ties: dict[str, SegmentTie] = {}
    for segment in SEGMENTS:
        worn = plates.of_segment(segment)
        if segment == WAND or not worn:
            continue
        names, points = join_plates(rig, aligned, worn)
        path = solve_rigid(rig, select_points(aligned, names), points)
        good = path.status == GOOD
        if good.sum() < _FEWEST_FRAMES:
            raise LabError(
                f"plates of the {segment} were seen in {good.sum()} frames; {_FEWEST_FRAMES} are "
                "needed",
                where="standing trial",
                remedy="Let the person stand where two cameras see a plate of each segment.",
            )
        turn = Rotation.from_matrix(path.rotation[good]).mean().as_matrix()
        origin = np.median(path.translation[good], axis=0)
        seen = [(p, points[_rows(names, p)]) for p in worn if p.point_names[0] in names]
        upright, start, centre, yaw_by_turn = _placed(seen, turn, origin, stature)
        landmarks, blocks, by_rig = {}, [], []
        by_turn = path.by_rig[good][:, :3].mean(0)
        nominal = np.mean([p.at for p, _ in seen], axis=0) * stature.height / _NOMINAL_HEIGHT
        for name, place in _anatomy(segment, stature).items():
            lever = upright @ place
            at = start + lever
            landmarks[name] = turn.T @ (at - origin)
            blocks.append(np.concatenate([-_cross(turn.T @ lever) * turn_sigma,
                                          shift_sigma * np.eye(3)], axis=1))  # fmt: skip
            # A rig that is off turns the plates; what is taken to be upright turns about z alone.
            swing = np.cross([0.0, 0.0, 1.0], lever - upright @ nominal)
            yaw = np.outer(swing, yaw_by_turn)
            by_rig.append(turn.T @ (_cross(at - origin) - _cross(centre - origin) + yaw) @ by_turn)
        root = np.concatenate(blocks)
        ties[segment] = SegmentTie(names, points, landmarks, root @ root.T, np.concatenate(by_rig))
    return ties


def _rows(names: tuple[str, ...], plate: Plate) -> list[int]:
    return [names.index(n) for n in plate.point_names]


def _placed(
    seen: list[tuple[Plate, FloatArray]], turn: FloatArray, origin: FloatArray, stature: Stature
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the segment as taken, upright (3, 3) and start (3,) m; the middle (3,) m of plates.

    The fourth is the derivative (3,) of the way that it faces by a turn of the plates.
    """
    along = across = 0.0
    along_by, across_by = np.zeros(3), np.zeros(3)
    centres, places = [], []
    for plate, points in seen:
        corners = points @ turn.T + origin
        centres.append(corners.mean(0))
        # From the first tag: x right, y down, so x cross y leads into the body.
        outward = -np.cross(corners[1] - corners[0], corners[3] - corners[0])
        meant = np.array([np.cos(plate.facing), np.sin(plate.facing)]) * np.cos(plate.tilt)
        outward /= np.linalg.norm(outward)
        turned = -_cross(outward)
        along += float(meant @ outward[:2])
        across += float(meant[0] * outward[1] - meant[1] * outward[0])
        along_by += meant @ turned[:2]
        across_by += meant[0] * turned[1] - meant[1] * turned[0]
        places.append(plate.at * stature.height / _NOMINAL_HEIGHT)
    yaw = np.arctan2(across, along)
    tilt = _PELVIC_TILT if seen[0][0].segment == "pelvis" else 0.0
    upright = Rotation.from_euler("ZY", [yaw, tilt]).as_matrix()
    centre = np.mean(centres, axis=0)
    yaw_by_turn = (along * across_by - across * along_by) / (along**2 + across**2)
    return upright, centre - upright @ np.mean(places, axis=0), centre, yaw_by_turn


def _anatomy(segment: str, stature: Stature) -> Mapping[str, FloatArray]:
    """Return the landmarks of an upright segment, (3,) m from where its plates are measured from.

    The ASIS stand to the hips as the regression of Harrington et al., J Biomech 40:595 (2007).
    """
    h = stature.height
    side, _, part = segment.rpartition("_")
    if part == "thigh":
        return {f"{side}_knee": np.array([0.0, 0.0, -_THIGH * h])}
    if part == "shank":
        return {f"{side}_ankle": np.array([0.0, 0.0, -_SHANK * h])}
    if part == "foot":
        return {f"{side}_heel": np.zeros(3), f"{side}_foot_index": np.array([_TOE * h, 0.0, 0.0])}
    left = {"left": 1.0, "right": -1.0}
    if segment == "trunk":
        return {
            f"{s}_shoulder": np.array([0.0, y * _ACROMION * h, _TRUNK * h]) for s, y in left.items()
        }
    width = _ASIS_WIDTH * h if stature.asis_width is None else stature.asis_width
    depth = _PELVIS_DEPTH * h
    ahead, above = 0.24 * depth + 0.0099, 0.30 * width + 0.0109
    return {f"{s}_asis": np.array([ahead, y * width / 2, above]) for s, y in left.items()} | {
        f"{s}_psis": np.array([ahead - depth, y * _PSIS * h, above]) for s, y in left.items()
    }


def _cross(v: FloatArray) -> FloatArray:
    """Return the matrix (3, 3) of the cross product with v (3,) from the left."""
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])
