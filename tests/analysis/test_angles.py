"""Angles of exact points are the angles that drove the simulated person."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.angles import compute_angles
from analysis.segments import Body
from simulation.walker import standing

T = np.linspace(0.2, 3.8, 150)


def angles_of(person, names=None):
    kept = [n for n in person.names if names is None or n in names]
    columns = [person.names.index(n) for n in kept]
    return compute_angles(Body(kept, person.points(T)[None, :, columns], person.forward[None]))


def test_exact_points_give_the_driving_angles(person):
    found, true = angles_of(person), person.curves(T)
    assert {"pelvis_obliquity", "hip_flexion_left", "ankle_dorsiflexion_right"} <= set(found)
    shared = sorted(set(found) & set(true))
    assert len(shared) >= 20
    for name in shared:
        np.testing.assert_allclose(found[name][0], true[name], atol=1e-9, err_msg=name)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    ("posture", "curve"),
    [
        ("obliquity", "pelvis_obliquity"),
        ("tilt", "pelvis_tilt"),
        ("rotation", "pelvis_rotation"),
        ("lean_forward", "trunk_lean_forward"),
        ("lean_lateral", "trunk_lean_lateral"),
    ],
)
def test_a_posture_has_its_sign(posture, curve, sign):
    person = standing(duration_s=1.0, **{"tilt": 0.0, posture: sign * 0.05})
    curves = compute_angles(Body(person.names, person.points([0.5]), person.forward[None]))
    assert curves[curve][0] == pytest.approx(sign * 0.05, abs=1e-9)


def test_without_the_landmarks_of_the_pelvis_there_is_no_tilt_and_no_hip_angle(runner):
    joints = [n for n in runner.names if "asis" not in n and "psis" not in n]
    found = angles_of(runner, joints)
    assert "pelvis_obliquity" in found
    assert not {"pelvis_tilt", "hip_flexion_left", "hip_flexion_right"} & set(found)


def test_a_missing_point_is_missing_only_where_it_matters(runner):
    xyz = runner.points(T)[None].copy()
    xyz[0, 10, runner.names.index("left_knee")] = np.nan
    curves = compute_angles(Body(runner.names, xyz, runner.forward[None]))
    lost = {name for name, values in curves.items() if np.isnan(values).any()}
    assert {"thigh_flexion_left", "hip_flexion_left", "knee_flexion_left"} <= lost
    assert not {n for n in lost if "right" in n or "pelvis" in n or n.startswith("trunk_lean")}
    assert all(np.flatnonzero(np.isnan(curves[n][0])).tolist() == [10] for n in lost)
