"""Plug-in Gait against the angles that Vicon stored, and the laws that it has to keep."""

from __future__ import annotations

import csv
from pathlib import Path

import ezc3d
import numpy as np
import pytest

from analysis.pig_segments import required_measures
from analysis.plug_in_gait import nearest_lab_axis, plug_in_gait
from lab.errors import LabError
from lab.points import Points3D

TRIALS = {
    "walk_straight_plusY": ("HC002D06.c3d", "+y"),
    "walk_straight_minusY": ("HC036A10.c3d", "-y"),
    "walk_turn45": ("HC036A23.c3d", "+x"),
    "stairs_minusX": ("Movement_trial.c3d", "-x"),
}
LIMIT_DEG = 0.01
SIDES = {"L": "left", "R": "right"}
MEASURES = {
    "leg_length_{}_mm": "LegLength",
    "knee_width_{}_mm": "KneeWidth",
    "ankle_width_{}_mm": "AnkleWidth",
    "asis_trochanter_{}_mm": "AsisTrocanterDistance",
    "thigh_rotation_{}_rad": "ThighRotation",
    "shank_rotation_{}_rad": "ShankRotation",
    "tibial_torsion_{}_rad": "TibialTorsion",
    "static_plantar_flexion_{}_rad": "StaticPlantFlex",
    "static_foot_rotation_{}_rad": "StaticRotOff",
}


def points_of(names: tuple[str, ...], t: np.ndarray, xyz: np.ndarray) -> Points3D:
    return Points3D(names, t, xyz, np.full((*xyz.shape, 3), np.nan))


def load(data: Path, trial: str) -> tuple[Points3D, dict[str, float], dict[str, np.ndarray]]:
    """Markers, measures and stored model angles (deg), read without the product's reader."""
    content = ezc3d.c3d(str(data / "gait" / trial / TRIALS[trial][0]))
    parameters = content["parameters"]
    labels = list(parameters["POINT"]["LABELS"]["value"])
    if "LABELS2" in parameters["POINT"]:
        labels += list(parameters["POINT"]["LABELS2"]["value"])
    xyz = np.transpose(content["data"]["points"][:3], (2, 1, 0))
    missing = np.transpose(content["data"]["meta_points"]["residuals"][0]) < 0
    xyz = np.where(missing[..., None], np.nan, xyz)
    wanted = ["LASI", "RASI", "LPSI", "RPSI", "SACR", "C7", "T10", "CLAV", "STRN"]
    wanted += [s + n for s in "LR" for n in ("THI", "KNE", "TIB", "ANK", "HEE", "TOE")]
    names = tuple(n for n in wanted if n in labels)
    markers = xyz[:, [labels.index(n) for n in names]] / 1000
    t = np.arange(len(xyz)) / content["header"]["points"]["frame_rate"]
    processing = parameters["PROCESSING"]
    subject = {
        key.format(side): float(processing[letter + name]["value"][0])
        for key, name in MEASURES.items()
        for letter, side in SIDES.items()
    }
    subject["inter_asis_distance_mm"] = float(processing["InterAsisDistance"]["value"][0])
    subject["marker_radius_mm"] = 7.0
    outputs = {n: xyz[:, labels.index(n)] for n in ("LAnkleAngles", "RAnkleAngles")}
    return points_of(names, t, markers), subject, outputs


def stored_angles(data: Path, trial: str) -> dict[str, np.ndarray]:
    with (data / "gait" / trial / "angles.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        f"pig_{name}_{SIDES[letter]}": np.array(
            [float(row[name] or "nan") for row in rows if row["side"] == letter]
        )
        for name in rows[0]
        if name not in ("time_s", "side")
        for letter in SIDES
    }


def rms(a: np.ndarray, b: np.ndarray) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    assert both.sum() > 0.9 * len(a)
    return float(np.sqrt(np.mean((a[both] - b[both]) ** 2)))


@pytest.mark.parametrize("trial", TRIALS)
def test_angles_are_those_that_vicon_stored(data, trial):
    points, subject, _ = load(data, trial)
    curves = plug_in_gait(points, subject)
    stored = stored_angles(data, trial)
    assert len(stored) == 38
    assert set(stored) <= set(curves.names)
    worst = {n: rms(np.degrees(curves.curve(n)), values) for n, values in stored.items()}
    assert {n: e for n, e in worst.items() if not e < LIMIT_DEG} == {}
    assert np.isnan(curves.sigma).all()


@pytest.mark.parametrize("trial", TRIALS)
def test_ankle_angles_are_those_in_the_c3d(data, trial):
    points, subject, outputs = load(data, trial)
    curves = plug_in_gait(points, subject)
    for letter, side in SIDES.items():
        stored = outputs[f"{letter}AnkleAngles"]
        for i, name in enumerate(("dorsiflexion", "adduction", "rotation")):
            own = np.degrees(curves.curve(f"pig_ankle_{name}_{side}"))
            assert rms(own, stored[:, i]) < LIMIT_DEG


@pytest.mark.parametrize("trial", TRIALS)
def test_the_axis_of_the_walk_is_the_one_that_vicon_took(data, trial):
    points, _, _ = load(data, trial)
    assert nearest_lab_axis(points) == TRIALS[trial][1]


def test_another_axis_gives_other_angles_but_the_same_rot_columns(data):
    points, subject, _ = load(data, "walk_turn45")
    along_x = plug_in_gait(points, subject, progression="+x")
    along_y = plug_in_gait(points, subject, progression="+y")
    difference = np.nanmax(
        np.abs(
            along_x.curve("pig_pelvis_obliquity_left") - along_y.curve("pig_pelvis_obliquity_left")
        )
    )
    assert np.degrees(difference) > 5
    for name in ("pelvis_tilt_rot", "pelvis_obliquity_rot", "thorax_tilt_rot", "hip_flexion"):
        np.testing.assert_allclose(
            along_x.curve(f"pig_{name}_left"), along_y.curve(f"pig_{name}_left"), atol=1e-12
        )


@pytest.mark.parametrize("turn_deg", [90, 180, 270])
def test_turning_the_lab_by_right_angles_and_shifting_it_changes_nothing(data, turn_deg):
    points, subject, _ = load(data, "walk_straight_plusY")
    a = np.radians(turn_deg)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    moved = points_of(points.names, points.t, points.xyz @ turn.T + [3.0, -2.0, 0.5])
    before, after = plug_in_gait(points, subject), plug_in_gait(moved, subject)
    np.testing.assert_allclose(after.values, before.values, atol=1e-10)


def test_tilting_the_lab_changes_what_stands_against_it_and_no_joint(data):
    points, subject, _ = load(data, "walk_turn45")  # progression +x: pitch turns about the lab's y
    a = np.radians(4.0)
    pitch = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    moved = points_of(points.names, points.t, points.xyz @ pitch.T)
    before = plug_in_gait(points, subject, progression="+x")
    after = plug_in_gait(moved, subject, progression="+x")
    np.testing.assert_allclose(
        after.curve("pig_pelvis_tilt_left") - before.curve("pig_pelvis_tilt_left"), a, atol=1e-10
    )
    for name in ("hip_flexion", "hip_rotation", "knee_flexion", "spine_lateral"):
        np.testing.assert_allclose(
            after.curve(f"pig_{name}_right"), before.curve(f"pig_{name}_right"), atol=1e-10
        )


@pytest.mark.parametrize("trial", ["walk_straight_minusY", "stairs_minusX"])
def test_mirroring_the_walker_swaps_left_and_right(data, trial):
    points, subject, _ = load(data, trial)

    def other(name: str) -> str:
        if name in ("LASI", "LPSI") or name[1:] in ("THI", "KNE", "TIB", "ANK", "HEE", "TOE"):
            return {"L": "R", "R": "L"}[name[0]] + name[1:]
        return {"RASI": "LASI", "RPSI": "LPSI"}.get(name, name)

    def swapped(key: str) -> str:
        return key.replace("left", "#").replace("right", "left").replace("#", "right")

    flip = np.array([-1.0, 1, 1]) if trial == "walk_straight_minusY" else np.array([1.0, -1, 1])
    mirrored = points_of(tuple(other(n) for n in points.names), points.t, points.xyz * flip)
    before = plug_in_gait(points, subject)
    after = plug_in_gait(mirrored, {swapped(k): v for k, v in subject.items()})
    for name in before.names:
        np.testing.assert_allclose(after.curve(swapped(name)), before.curve(name), atol=1e-10)


def test_a_missing_marker_is_missing_only_where_it_enters(data):
    points, subject, _ = load(data, "walk_straight_plusY")
    xyz = points.xyz.copy()
    xyz[20:30, points.index("RKNE")] = np.nan
    curves = plug_in_gait(points_of(points.names, points.t, xyz), subject)
    assert np.isnan(curves.curve("pig_hip_flexion_right")[20:30]).all()
    assert np.isfinite(curves.curve("pig_hip_flexion_right")[30:]).all()
    assert np.isfinite(curves.curve("pig_hip_flexion_left")).all()
    assert np.isfinite(curves.curve("pig_pelvis_tilt_right")).all()


def test_missing_markers_and_measures_are_all_named(data):
    points, subject, _ = load(data, "walk_straight_plusY")
    few = points.select([n for n in points.names if n not in ("SACR", "C7", "LTHI")])
    with pytest.raises(LabError, match=r"LTHI, C7, SACR \(or LPSI and RPSI\)"):
        plug_in_gait(few, subject)
    for key in required_measures():
        with pytest.raises(LabError, match=key):
            plug_in_gait(points, {k: v for k, v in subject.items() if k != key})
    with pytest.raises(LabError, match="marker_radius_mm"):
        plug_in_gait(points, {**subject, "marker_radius_mm": float("nan")})


def test_without_the_shank_s_measures_knee_and_ankle_are_left_out(data):
    points, subject, _ = load(data, "walk_straight_plusY")
    few = {k: v for k, v in subject.items() if not k.startswith("shank_rotation_left")}
    curves = plug_in_gait(points, few)
    assert "pig_knee_flexion_left" not in curves.names
    assert "pig_ankle_dorsiflexion_left" not in curves.names
    assert "pig_knee_flexion_right" in curves.names


def test_the_trochanter_distance_is_estimated_as_vicon_does(data):
    points, subject, _ = load(data, "walk_straight_minusY")
    few = {k: v for k, v in subject.items() if not k.startswith("asis_trochanter")}
    np.testing.assert_allclose(
        plug_in_gait(points, few).values, plug_in_gait(points, subject).values, atol=1e-6
    )


def test_the_wrong_marker_radius_costs_a_quarter_of_a_degree(data):
    points, subject, _ = load(data, "walk_straight_plusY")
    right = plug_in_gait(points, subject).curve("pig_hip_flexion_left")
    wrong = plug_in_gait(points, {**subject, "marker_radius_mm": 5.0})
    off = np.degrees(np.abs(wrong.curve("pig_hip_flexion_left") - right).mean())
    assert 0.1 < off < 0.5


def test_standing_still_takes_the_axis_that_the_pelvis_faces(data):
    points, _, _ = load(data, "walk_straight_minusY")
    still = np.repeat(points.xyz[50:51], 30, axis=0)
    assert nearest_lab_axis(points_of(points.names, points.t[:30], still)) == "-y"
    gone = points_of(points.names, points.t, np.full_like(points.xyz, np.nan))
    with pytest.raises(LabError, match="no frame shows"):
        nearest_lab_axis(gone)
