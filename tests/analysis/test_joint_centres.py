"""From marker sets to the lab's own points."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.joint_centres import (
    keypoints_from_markers,
    load_marker_sets,
    recognise_marker_set,
)
from lab.errors import LabError
from lab.points import Points3D

SUBJECT = {
    f"{key}_{side}{unit}": value
    for side in ("left", "right")
    for key, unit, value in (
        ("leg_length", "_mm", 880.0),
        ("knee_width", "_mm", 100.0),
        ("ankle_width", "_mm", 70.0),
        ("thigh_rotation", "_rad", 0.0),
        ("shank_rotation", "_rad", 0.0),
        ("tibial_torsion", "_rad", 0.0),
    )
} | {"inter_asis_distance_mm": 240.0, "marker_radius_mm": 7.0}
OWN = {
    f"{side}_{joint}"
    for side in ("left", "right")
    for joint in (
        *("hip", "knee", "ankle", "heel", "foot_index"),
        *("shoulder", "elbow", "wrist", "asis", "psis"),
    )
}


def csv_points(path) -> Points3D:
    """A table of the recordings in the lab frame: OpenSim's y is up, z to the right; mm."""
    table = np.genfromtxt(path, delimiter=",", names=True)
    names = [n[:-2] for n in table.dtype.names if n.endswith("_x")]
    xyz = np.stack(
        [np.stack([table[f"{n}_x"], -table[f"{n}_z"], table[f"{n}_y"]], -1) for n in names], 1
    )
    return points_of(tuple(names), table["time_s"], xyz / 1000)


def points_of(names, t, xyz) -> Points3D:
    return Points3D(tuple(names), t, xyz, np.full((*np.shape(xyz), 3), np.nan))


def standing() -> Points3D:
    """A symmetrical standing body in Plug-in Gait's markers, walking along x, three frames."""
    left = {
        "LASI": (0.08, 0.12, 1.0),
        "LPSI": (-0.10, 0.05, 1.03),
        "LTHI": (0.02, 0.19, 0.75),
        "LKNE": (0.02, 0.14, 0.52),
        "LTIB": (0.01, 0.16, 0.30),
        "LANK": (0.0, 0.13, 0.10),
        "LHEE": (-0.06, 0.09, 0.05),
        "LTOE": (0.14, 0.10, 0.05),
        "LSHO": (-0.02, 0.18, 1.45),
        "LELB": (-0.02, 0.25, 1.15),
        "LWRA": (0.03, 0.25, 0.90),
        "LWRB": (-0.03, 0.25, 0.90),
    }
    body = left | {"R" + n[1:]: (x, -y, z) for n, (x, y, z) in left.items()}
    frame = np.array(list(body.values()))
    t = np.array([0.0, 0.01, 0.02])
    return points_of(body, t, frame[None] + t[:, None, None] * [1.3, 0, 0])


def test_each_set_is_recognised_and_names_only_our_points():
    sets = load_marker_sets()
    assert {s.name for s in sets} >= {"plug-in-gait", "opensim-rajagopal", "opensim-clusters"}
    for s in sets:
        assert recognise_marker_set(s.recognised_by).name == s.name
        assert set(s.points) <= OWN


def test_unknown_markers_are_refused_with_the_nearest_set():
    with pytest.raises(LabError, match="plug-in-gait, where LTHI, RTHI, LKNE, RKNE"):
        recognise_marker_set(["LASI", "RASI"])


def test_a_symmetrical_body_gives_all_points_symmetrically():
    found = keypoints_from_markers(standing(), SUBJECT)
    assert set(found.names) == OWN
    assert np.isnan(found.cov).all()
    for name in OWN:
        if name.startswith("left"):
            other = found.point("right" + name[4:])
            np.testing.assert_allclose(found.point(name), other * [1, -1, 1], atol=1e-12)
    for joint, lateral, offset in (("knee", "LKNE", 0.057), ("ankle", "LANK", 0.042)):
        inward = standing().point(lateral) - found.point(f"left_{joint}")
        np.testing.assert_allclose(np.linalg.norm(inward, axis=1), offset, atol=1e-12)


def test_points_move_with_the_markers():
    a = 0.7
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    body = standing()
    moved = points_of(body.names, body.t, body.xyz @ turn.T + [1.0, 2.0, 0.1])
    np.testing.assert_allclose(
        keypoints_from_markers(moved, SUBJECT).xyz,
        keypoints_from_markers(body, SUBJECT).xyz @ turn.T + [1.0, 2.0, 0.1],
        atol=1e-12,
    )


def test_an_unknown_wand_lays_the_ankle_into_the_plane_of_the_knee_s_axis():
    few = {k: v for k, v in SUBJECT.items() if not k.startswith("shank_rotation")}
    body = standing()
    found = keypoints_from_markers(body, few)
    knee, ankle = found.point("left_knee"), found.point("left_ankle")
    normal = np.cross(body.point("LKNE") - knee, ankle - knee)
    beside = body.point("LANK") - ankle
    np.testing.assert_allclose(np.linalg.norm(beside, axis=1), 0.042, atol=1e-12)
    np.testing.assert_allclose((normal * beside).sum(1), 0, atol=1e-12)
    without = {k: v for k, v in few.items() if not k.startswith("ankle_width")}
    assert "left_ankle" not in keypoints_from_markers(body, without).names


def test_what_is_missing_is_named():
    with pytest.raises(LabError, match=r"leg_length_left_mm.*marker_radius_mm"):
        keypoints_from_markers(standing(), {})


def test_our_own_names_pass_through():
    own = points_of(("left_hip", "right_hip", "nose"), np.array([0.0]), np.zeros((1, 3, 3)))
    assert keypoints_from_markers(own, {}) is own


@pytest.mark.parametrize(
    ("trial", "name", "knees"),
    [
        ("run_overground", "opensim-rajagopal", True),
        ("run_treadmill_3mps", "opensim-clusters", False),
    ],
)
def test_the_running_recordings_give_hips_and_feet(data, trial, name, knees):
    points = csv_points(data / "gait" / trial / "markers.csv")
    assert recognise_marker_set(points.names).name == name
    found = keypoints_from_markers(points, {})
    assert {"left_hip", "right_heel", "left_foot_index", "right_shoulder"} <= set(found.names)
    assert ("left_knee" in found.names) == knees
    hips = found.point("left_hip") - found.point("right_hip")
    assert 0.13 < np.linalg.norm(hips, axis=1).mean() < 0.20
    assert np.linalg.norm(hips, axis=1).std() < 0.003
    assert (found.point("left_hip")[:, 2] > found.point("left_heel")[:, 2]).all()


@pytest.mark.parametrize("trial", ["run_overground", "run_treadmill_3mps"])
def test_joint_centres_of_another_program_are_taken_by_name(data, trial):
    points = csv_points(data / "gait" / trial / "joint_centres.csv")
    found = keypoints_from_markers(points, {})
    np.testing.assert_array_equal(found.point("left_knee"), points.point("LKneeJC"))
    np.testing.assert_array_equal(found.point("right_ankle"), points.point("RAnkleJC"))
