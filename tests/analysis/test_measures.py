"""Measures of exact points are the true ones, wherever the lab lies and whichever way one goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import savgol_filter
from scipy.spatial.transform import Rotation

from analysis.measures import DEFINITIONS, CycleValues
from analysis.walk import _summarise, analyse_walk
from simulation.truth import true_measures
from simulation.walker import simulate

# What 100 frames a second and the contact model leave without noise.
LIMITS = {"rad": np.deg2rad(0.15), "m": 0.003, "s": 0.0055, "1/min": 0.15}
# An angle that changes fast at an event takes the event's error with it: the shank at strike, and
# the knee near the off of a walker.
FAST = ("shank_angle_strike", "knee_flexion_peak_stance")


def by_name(found):
    return {(m.name, m.side): m.value for m in found.measures}


def moved(points, rotation, shift=(0.0, 0.0, 0.0)):
    matrix = rotation.as_matrix()
    return replace(points, xyz=points.xyz @ matrix.T + np.asarray(shift))


def swap(name):
    other = {"left": "right", "right": "left"}
    return "_".join(other.get(part, part) for part in name.split("_"))


def test_exact_points_give_the_true_measures(person, analyse_person):
    found = analyse_person(person)
    truth = true_measures(person, found.cycles)
    checked = 0
    for m in found.measures:
        limit = LIMITS[m.unit] * (4 if m.name in FAST else 1)
        assert m.value == pytest.approx(truth[m.name, m.side], abs=limit), f"{m.name} {m.side}"
        checked += 1
    assert checked == len(truth)
    assert found.withheld == {}
    assert found.refusals == ()


@pytest.mark.parametrize("angle", [0.7, np.pi / 2, np.pi, -2.3])
def test_turning_and_shifting_the_lab_changes_nothing_overground(walker, record, analyse, angle):
    points = record(walker)
    still = by_name(analyse(points, "walk", None))
    turned = moved(points, Rotation.from_euler("z", angle), (3.0, -2.0, 0.0))
    assert by_name(analyse(turned, "walk", None)) == pytest.approx(still, abs=1e-7)


def test_shifting_the_lab_changes_nothing_on_a_belt(runner, record, analyse):
    points = record(runner)
    still = by_name(analyse(points, "run", 3.0))
    shifted = moved(points, Rotation.identity(), (0.4, -0.2, 0.0))
    assert by_name(analyse(shifted, "run", 3.0)) == pytest.approx(still, abs=1e-7)


def test_a_pass_against_x_gives_what_a_pass_along_x_gives(analyse_person):
    passes = [
        simulate("walk", speed_m_s=1.3, treadmill=False, duration_s=4.0, seed=5, heading=heading)
        for heading in (1, -1)
    ]
    there, back = (by_name(analyse_person(p)) for p in passes)
    assert back == pytest.approx(there, abs=1e-7)


def test_a_mirror_swaps_left_and_right(person, analyse_person):
    seen = by_name(analyse_person(person))
    mirrored = by_name(analyse_person(person.mirror()))
    exchanged = {(name, swap(side)): value for (name, side), value in mirrored.items()}
    assert exchanged == pytest.approx(seen, abs=1e-7)


def test_tilting_the_lab_about_the_left_axis_leans_what_stands_against_gravity(
    runner, record, analyse
):
    points, tilt = record(runner), 0.02
    still = by_name(analyse(points, "run", 3.0, events=runner.events))
    tilted = by_name(
        analyse(moved(points, Rotation.from_euler("y", tilt)), "run", 3.0, events=runner.events)
    )
    change = {key: tilted[key] - still[key] for key in still}
    for side in ("left", "right"):
        # A turn about the left axis is exact in every angle of the sagittal plane, and takes from
        # thigh and limb, which hang down, what it gives to the trunk.
        assert change["trunk_lean_forward_stance_mean", side] == pytest.approx(tilt, abs=1e-9)
        assert change["thigh_extension_peak", side] == pytest.approx(tilt, abs=1e-9)
        assert change["over_stride_angle_heel", side] == pytest.approx(-tilt, abs=1e-4)
        for name in ("hip_extension_peak", "thigh_trunk_extension_peak", "contact_time"):
            assert change[name, side] == pytest.approx(0, abs=1e-9)


def test_tilting_the_lab_about_the_way_drops_one_side_and_lifts_the_other(runner, record, analyse):
    points, tilt = record(runner), 0.02
    still = by_name(analyse(points, "run", 3.0, events=runner.events))
    tilted = by_name(
        analyse(moved(points, Rotation.from_euler("x", tilt)), "run", 3.0, events=runner.events)
    )
    for side, sign in (("left", 1), ("right", -1)):
        key = ("pelvic_drop_midstance", side)
        # Left goes up: the drop of left stance grows. The pelvis' rotation takes a few percent.
        assert tilted[key] - still[key] == pytest.approx(sign * tilt, rel=0.03)
        key = ("trunk_lean_lateral_peak", side)
        assert tilted[key] - still[key] == pytest.approx(-sign * tilt, rel=0.03)


def test_a_wrong_belt_speed_is_refused(runner, record, analyse):
    found = analyse(record(runner), "run", 2.6)
    assert any("treadmill_speed_m_s" in reason for reason in found.refusals)
    assert found.quality["belt_speed_from_feet_m_s"] == pytest.approx(3.0, abs=0.05)


def test_a_measure_without_its_points_is_withheld_with_the_reason(runner, record, analyse):
    points = record(runner)
    kept = [i for i, n in enumerate(points.names) if "asis" not in n and "psis" not in n]
    fewer = replace(
        points,
        names=tuple(points.names[i] for i in kept),
        xyz=points.xyz[:, kept],
        cov=points.cov[:, kept],
    )
    found = analyse(fewer, "run", 3.0)
    names = {m.name for m in found.measures}
    assert "pelvic_drop_peak" in names
    assert not {"hip_extension_peak", "pelvic_tilt_stance_mean"} & names
    assert "both ASIS and both PSIS" in found.withheld["hip_extension_peak left"]


def test_unknown_noise_gives_no_interval_and_known_noise_gives_one(runner, record, analyse):
    points = record(runner)
    assert all(np.isnan(m.sigma) for m in analyse(points, "run", 3.0).measures)
    draws = np.random.default_rng(1).normal(0, 1e-3, (8, *points.xyz.shape))
    known = analyse(points, "run", 3.0, errors=draws)
    assert all(np.isfinite(m.sigma) and m.sigma > 0 for m in known.measures)


def test_the_interval_of_a_common_error_does_not_shrink_with_the_strides(runner, record, analyse):
    points = record(runner)
    rng = np.random.default_rng(2)
    lean = rng.normal(0, 0.01, 16)
    draws = np.stack([moved(points, Rotation.from_euler("y", a)).xyz - points.xyz for a in lean])
    found = analyse(points, "run", 3.0, errors=draws)
    sigma = {m.name: m.sigma for m in found.measures if m.side == "left"}
    size = np.sqrt(np.mean(lean**2))
    assert size < sigma["trunk_lean_forward_stance_mean"] < 1.15 * size
    assert sigma["hip_extension_peak"] < 5e-3 * size


def test_the_bias_that_noise_gives_to_a_peak_is_taken_off(runner, record):
    points = record(runner)
    rng = np.random.default_rng(3)

    def drops(xyz, errors):
        found = analyse_walk(
            replace(points, xyz=xyz),
            lambda each: savgol_filter(each, 11, 3, axis=1),
            activity="run",
            treadmill_speed=3.0,
            errors=errors,
            events=runner.events,
        )
        both = by_name(found)
        return np.array([both["pelvic_drop_excursion", s] for s in ("left", "right")])

    true = drops(points.xyz, None)
    before, after = [], []
    for _ in range(5):
        noise = rng.normal(0, 3e-3, (13, *points.xyz.shape))
        noisy = points.xyz + noise[0]
        before.extend(drops(noisy, None) - true)
        after.extend(drops(noisy, noise[1:]) - true)
    assert np.mean(before) > np.deg2rad(0.3)
    assert abs(np.mean(after)) < np.mean(before) / 2


def test_what_noise_bends_belongs_to_sigma_and_its_mean_is_taken_off():
    draws = np.random.default_rng(4).normal(0, 1, 4000)
    definition = next(d for d in DEFINITIONS if d.name == "stride_length")
    for linear, bend in ((1.0, 0.0), (1.0, 0.7), (0.0, 0.7)):
        move = np.concatenate([[0.0], draws, -draws])
        values = CycleValues(definition, "left", (2.0 + linear * move + bend * move**2)[:, None])
        made, _ = _summarise(values, len(draws))
        # The variance of x + b x^2 for a standard normal x is 1 + 2 b^2, its mean b.
        assert made.sigma == pytest.approx(np.hypot(linear, bend * np.sqrt(2)), rel=0.05)
        assert made.value == pytest.approx(2.0 - bend, abs=0.05)
