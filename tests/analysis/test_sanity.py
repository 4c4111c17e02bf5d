from dataclasses import replace

import numpy as np
import pytest

from analysis.sanity import check_frame
from simulation.walker import simulate


def walked(activity="walk", treadmill=False, **how):
    speed = 1.3 if activity == "walk" else 3.0
    walker = simulate(activity, speed_m_s=speed, treadmill=treadmill, duration_s=4.0, seed=2, **how)
    return walker.record(50.0)


def turned(points, matrix, shift=(0, 0, 0)):
    return replace(points, xyz=points.xyz @ np.asarray(matrix, float).T + np.asarray(shift))


@pytest.mark.parametrize("activity", ["walk", "run"])
@pytest.mark.parametrize("treadmill", [False, True])
@pytest.mark.parametrize("heading", [1, -1])
def test_a_good_walk_or_run_passes(activity, treadmill, heading):
    sanity = check_frame(walked(activity, treadmill, heading=heading), treadmill=treadmill)
    assert sanity.refusals == ()
    assert sanity.notes == ()


WRONG = {
    "mirrored in x": (np.diag([-1, 1, 1]), (0, 0, 0), "mirrored"),
    "mirrored in y": (np.diag([1, -1, 1]), (0, 0, 0), "mirrored"),
    "upside down": (np.diag([1, -1, -1]), (0, 0, 0), "upside down"),
    "upside down over the floor": (np.diag([1, -1, -1]), (0, 0, 1.7), "upside down"),
    "lying": ([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], (0, 0, 0), "leans"),
    "in mm": (1000 * np.eye(3), (0, 0, 0), "millimetres"),
    "a floor too high": (np.eye(3), (0, 0, -0.4), "feet come down"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("activity", ["walk", "run"])
def test_a_wrong_frame_is_refused_for_its_reason(case, activity):
    matrix, shift, said = WRONG[case]
    refusals = check_frame(turned(walked(activity), matrix, shift)).refusals
    assert any(said in reason for reason in refusals)


def test_sides_swapped_among_the_hips_are_seen():
    points = walked()
    left, right = (points.names.index(f"{s}_hip") for s in ("left", "right"))
    xyz = points.xyz.copy()
    xyz[:, [left, right]] = xyz[:, [right, left]]
    assert "exchanged" in check_frame(replace(points, xyz=xyz)).refusals[0]


@pytest.mark.parametrize(("treadmill", "place"), [(False, "notes"), (True, "refusals")])
def test_a_wrong_heading_is_noted_overground_and_refused_on_a_treadmill(treadmill, place):
    quarter = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    sanity = check_frame(turned(walked(treadmill=treadmill), quarter), treadmill=treadmill)
    assert "90 degrees off" in getattr(sanity, place)[0]


def test_what_was_not_seen_is_not_judged():
    points = walked()
    sanity = check_frame(replace(points, xyz=np.full_like(points.xyz, np.nan)))
    assert sanity.refusals == sanity.notes == ()
