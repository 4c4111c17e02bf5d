"""The walker obeys its own laws: feet at rest in stance, events at corners, exact symmetry."""

from itertools import pairwise

import numpy as np
import pytest

from simulation.walker import simulate, standing

CASES = [
    ("walk", 1.2, True, 1),
    ("walk", 1.2, False, 2),
    ("walk", 0.8, True, 3),
    ("run", 3.0, True, 1),
    ("run", 3.0, False, 4),
    ("run", 4.0, True, 5),
]


def make(activity, speed, treadmill, seed, duration=4.0, **more):
    return simulate(
        activity, speed_m_s=speed, treadmill=treadmill, duration_s=duration, seed=seed, **more
    )


@pytest.fixture(params=CASES, ids=lambda c: f"{c[0]}-{c[1]}-{'belt' if c[2] else 'floor'}")
def walker(request):
    return make(*request.param)


def point(walker, name, t):
    """A point relative to ground or belt, (T, 3) m."""
    t = np.asarray(t, float)
    xyz = walker.points(t)[:, walker.names.index(name)]
    return xyz + walker.belt_speed * t[:, None] * walker.forward


def stances(walker):
    """(side, strike, off) of every whole stance."""
    for event in walker.events:
        if event.kind == "foot_strike":
            later = [
                e.t
                for e in walker.events
                if e.kind == "foot_off" and e.side == event.side and e.t > event.t
            ]
            if later:
                yield event.side, event.t, later[0]


def velocity(walker, name, t, h=1e-4):
    return (point(walker, name, t + h) - point(walker, name, t - h)) / (2 * h)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_walk():
    t = np.linspace(0, 4, 301)
    one, two, other = (make("run", 3.0, True, seed) for seed in (7, 7, 8))
    assert one.points(t).tobytes() == two.points(t).tobytes()
    assert one.events == two.events
    assert np.abs(one.points(t) - other.points(t)).max() > 1e-3


def test_heel_then_toe_rest_on_the_ground_in_stance(walker):
    style_flat, style_rise = (
        walker.feet["left"].planted.style.flat_at,
        walker.feet["left"].planted.style.rise_at,
    )
    count = 0
    for side, strike, off in stances(walker):
        length = off - strike
        for name, begin, end in (
            ("heel", 0.0, style_rise),
            ("foot_index", style_flat, 1.0),
        ):
            t = np.linspace(strike + begin * length + 2e-4, strike + end * length - 2e-4, 40)
            rest = point(walker, f"{side}_{name}", t)
            assert np.abs(rest - rest[0]).max() < 1e-12
            assert np.abs(velocity(walker, f"{side}_{name}", t)).max() < 1e-9
            assert rest[0, 2] == pytest.approx(walker.body.sole, abs=1e-12)
        count += 1
    assert count >= 4


def test_velocity_of_the_heel_breaks_at_strike_and_acceleration_of_the_toe_at_off(walker):
    low, high = (0.8, 2.3) if walker.activity == "run" else (0.25, 0.9)
    for side, strike, off in stances(walker):
        heel = f"{side}_heel"
        if strike > 0.1:
            before = velocity(walker, heel, np.array([strike - 3e-4]), 1e-4)[0]
            assert low < before @ walker.forward < high
            assert -1.5 < before[2] < -0.15
        after = velocity(walker, heel, np.array([strike + 3e-4]), 1e-4)[0]
        assert np.abs(after).max() < 1e-9
        toe = f"{side}_foot_index"
        h = 1e-4
        t = off + h * np.array([0.5, 1.5, 2.5])
        second = np.diff(point(walker, toe, t), 2, axis=0)[0] / h**2
        onset = walker.feet[side].planted.style.off_acceleration
        np.testing.assert_allclose(
            [second @ walker.forward, second[2]], onset, atol=0.08 * np.linalg.norm(onset)
        )
        assert 10 < np.linalg.norm(onset) < 40
        speed = velocity(walker, toe, np.array([off + 2e-5]), 1e-5)[0]
        assert np.linalg.norm(speed) < 2e-3


@pytest.mark.parametrize("part", ["hip", "ankle", "heel", "foot_index"])
def test_paths_are_smooth_but_for_the_corners(walker, part):
    # Within stance and within swing the acceleration has no jump: its change between samples falls
    # with their distance.
    for side, strike, off in list(stances(walker))[1:3]:
        for begin, end in ((strike, off), (off, off + 0.5 * (off - strike))):
            jumps = []
            for h in (1e-3, 2.5e-4):
                t = np.arange(begin + 2 * h, end - 2 * h, h)
                acceleration = np.diff(point(walker, f"{side}_{part}", t), 2, axis=0) / h**2
                jumps.append(np.abs(np.diff(acceleration, axis=0)).max())
            assert jumps[1] < 0.4 * jumps[0] + 1e-3


def test_swing_clears_the_ground(walker):
    for side, _, off in list(stances(walker))[:-1]:
        strikes = [
            e.t for e in walker.events if e.kind == "foot_strike" and e.side == side and e.t > off
        ]
        if not strikes:
            continue
        t = np.linspace(off, strikes[0], 200)
        low = np.minimum(
            point(walker, f"{side}_heel", t)[:, 2], point(walker, f"{side}_foot_index", t)[:, 2]
        )
        assert low.min() > walker.body.sole - 1e-9
        assert low[45:115].min() > walker.body.sole + 0.0095


def test_events_alternate_in_the_order_of_the_activity(walker):
    strikes = [e for e in walker.events if e.kind == "foot_strike"]
    assert all(a.side != b.side for a, b in pairwise(strikes))
    words = [(e.kind, e.side) for e in walker.events]
    first = next(i for i, w in enumerate(words) if w == ("foot_strike", "left"))
    order = (
        [("foot_off", "right"), ("foot_strike", "right"), ("foot_off", "left")]
        if walker.activity == "walk"
        else [("foot_off", "left"), ("foot_strike", "right"), ("foot_off", "right")]
    )
    assert words[first + 1 : first + 4] == order
    assert [e.t for e in walker.events] == sorted(e.t for e in walker.events)


@pytest.mark.parametrize(
    ("activity", "speed", "cadence", "contact"),
    [("walk", 1.2, (105, 118), (0.62, 0.72)), ("run", 3.0, (162, 172), (0.24, 0.29))],
)
def test_cadence_contact_and_variation_are_those_of_people(activity, speed, cadence, contact):
    walker = make(activity, speed, True, 11, duration=40.0)
    left = np.array([e.t for e in walker.events if (e.kind, e.side) == ("foot_strike", "left")])
    strides = np.diff(left)
    assert cadence[0] < 120 / strides.mean() < cadence[1]
    assert 0.007 < strides.std() / strides.mean() < 0.025
    stance = [off - strike for side, strike, off in stances(walker) if side == "left"]
    assert contact[0] < np.mean(stance) < contact[1]
    if activity == "run":
        flights = []
        for _, _, off in stances(walker):
            following = [e.t for e in walker.events if e.kind == "foot_strike" and e.t > off]
            flights += [following[0] - off] if following else []
        assert min(flights) > 0.05
        assert 0.08 < np.mean(flights) < 0.12


def test_a_runner_is_lowest_in_stance_and_falls_freely_in_flight():
    walker = make("run", 3.0, True, 2)
    middle = []
    for side, strike, off in list(stances(walker))[1:-1]:
        t = np.linspace(strike, off, 60)
        z = (point(walker, "left_hip", t) + point(walker, "right_hip", t))[:, 2] / 2
        assert 0.35 < np.argmin(z) / 59 < 0.75, side
        h = 2e-3
        t = off + 0.045 + h * np.array([-1, 0, 1])
        z = (point(walker, "left_hip", t) + point(walker, "right_hip", t))[:, 2] / 2
        middle.append(np.diff(z, 2)[0] / h**2)
    assert -12.5 < np.mean(middle) < -7


def test_a_turned_and_moved_lab_turns_and_moves_the_points_and_nothing_else():
    t = np.linspace(0, 4, 57)
    for treadmill in (True, False):
        here = make("walk", 1.2, treadmill, 3)
        there = make("walk", 1.2, treadmill, 3, heading=-1, turn=0.3, origin=(1.0, -2.0))
        a = np.pi + 0.3
        rotation = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        expected = here.points(t) @ rotation.T + np.array([1.0, -2.0, 0.0])
        np.testing.assert_allclose(there.points(t), expected, atol=1e-12)
        assert there.events == here.events
        for name, curve in here.curves(t).items():
            np.testing.assert_array_equal(there.curves(t)[name], curve)


def test_the_mirror_exchanges_left_and_right():
    t = np.linspace(0, 4, 57)
    walker = make("run", 3.0, True, 3)
    mirror = walker.mirror()
    swap = [
        n.replace("left", "#").replace("right", "left").replace("#", "right") for n in walker.names
    ]
    expected = walker.points(t)[:, [walker.names.index(n) for n in swap]] * [1, -1, 1]
    np.testing.assert_allclose(mirror.points(t), expected, atol=1e-12)
    ours, theirs = walker.curves(t), mirror.curves(t)
    np.testing.assert_array_equal(theirs["pelvis_obliquity"], -ours["pelvis_obliquity"])
    np.testing.assert_array_equal(theirs["pelvis_tilt"], ours["pelvis_tilt"])
    np.testing.assert_array_equal(theirs["hip_adduction_left"], ours["hip_adduction_right"])
    assert [e.side for e in mirror.events] != [e.side for e in walker.events]
    np.testing.assert_array_equal(mirror.mirror().points(t), walker.points(t))
    # The two sides differ, so that an exchange of sides shows.
    assert np.abs(ours["pelvis_obliquity"].mean()) > np.deg2rad(0.3)


def test_on_a_belt_the_walker_stays_overground_it_goes():
    t = np.array([0.0, 4.0])
    belt, floor = make("walk", 1.2, True, 3), make("walk", 1.2, False, 3)
    hip = belt.names.index("left_hip")
    assert abs(np.diff(belt.points(t)[:, hip, 0])[0]) < 0.05
    assert np.diff(floor.points(t)[:, hip, 0])[0] == pytest.approx(4.8, abs=0.05)
    np.testing.assert_allclose(
        floor.points(t) - belt.points(t),
        np.broadcast_to(
            (1.2 * t - 2.4)[:, None, None] * np.array([1.0, 0, 0]), belt.points(t).shape
        ),
        atol=1e-12,
    )


@pytest.mark.parametrize("height", [1.45, 1.6, 1.75, 1.95])
@pytest.mark.parametrize(
    ("activity", "speed"), [("walk", 0.8), ("walk", 1.6), ("run", 2.4), ("run", 3.6)]
)
def test_legs_keep_their_lengths_at_any_usual_speed_and_height(activity, speed, height):
    walker = make(activity, speed, True, 6, duration=2.0, height_m=height)
    t = np.linspace(0, 2, 101)
    for side in ("left", "right"):
        hip, knee, ankle = (point(walker, f"{side}_{n}", t) for n in ("hip", "knee", "ankle"))
        np.testing.assert_allclose(np.linalg.norm(knee - hip, axis=1), walker.body.thigh)
        np.testing.assert_allclose(np.linalg.norm(ankle - knee, axis=1), walker.body.shank)
        assert walker.curves(t)[f"knee_flexion_{side}"].min() > 0


def test_what_a_leg_cannot_do_is_refused():
    with pytest.raises(ValueError, match="reach"):
        make("walk", 1.2, True, 1, stride_time=2.5)
    with pytest.raises(ValueError, match="no hip_drop"):
        make("walk", 1.2, True, 1, hip_drop=0.1)
    with pytest.raises(ValueError, match="activity"):
        make("jump", 1.2, True, 1)
    with pytest.raises(ValueError, match="stance_fraction"):
        make("run", 3.0, True, 1, stance_fraction=0.55)
    with pytest.raises(ValueError, match="times"):
        make("run", 3.0, True, 1).points([9.0])


def test_asked_for_angles_are_the_driven_ones():
    t = np.linspace(0, 4, 2001)
    usual = make("run", 3.0, True, 1)
    changed = make("run", 3.0, True, 1, lean_forward=0.02, obliquity_offset=0.05, tilt=0.4)
    for name, by in (
        ("trunk_lean_forward", 0.02 - np.deg2rad(8)),
        ("pelvis_obliquity", 0.05 - np.deg2rad(0.7)),
        ("pelvis_tilt", 0.4 - np.deg2rad(15)),
    ):
        np.testing.assert_allclose(changed.curves(t)[name] - usual.curves(t)[name], by, atol=1e-12)


def test_standing_still_is_still_and_as_asked():
    person = standing(duration_s=2.0, obliquity=0.03, lean_lateral=-0.02, tilt=0.2, heading=-1)
    points = person.points(np.linspace(0, 2, 11))
    assert np.ptp(points, axis=0).max() == 0
    assert person.events == ()
    curves = person.curves([1.0])
    assert curves["pelvis_obliquity"] == pytest.approx(0.03)
    assert curves["trunk_lean_lateral"] == pytest.approx(-0.02)
    knees = [curves[f"knee_flexion_{side}"][0] for side in ("left", "right")]
    assert min(knees) == pytest.approx(np.deg2rad(3), abs=1e-9)
    heels = [points[0, person.names.index(f"{s}_heel"), 2] for s in ("left", "right")]
    np.testing.assert_allclose(heels, person.body.sole, atol=1e-12)
