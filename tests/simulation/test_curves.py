"""The true curves agree with the points, by a calculation of the tests' own."""

import numpy as np
import pytest

from simulation.rotations import rotation_x, rotation_y, rotation_z
from simulation.walker import simulate, standing

T = np.linspace(0.0, 3.0, 211)


@pytest.fixture(
    params=[("walk", 1.2, 1, 0.0), ("run", 3.0, 1, 0.4), ("walk", 1.0, -1, -0.2)],
    ids=["walk", "run-turned", "walk-back"],
)
def walker(request):
    activity, speed, heading, turn = request.param
    return simulate(
        activity,
        speed_m_s=speed,
        treadmill=activity == "run",
        duration_s=3.0,
        seed=5,
        heading=heading,
        turn=turn,
    )


def seen(walker):
    """Points in the frame of progression by name: 0 forward, 1 left, 2 up."""
    f = walker.forward
    axes = np.stack([f, [-f[1], f[0], 0.0], [0.0, 0.0, 1.0]])
    xyz = walker.points(T) @ axes.T
    return {n: xyz[:, i] for i, n in enumerate(walker.names)}


def test_pelvis_and_trunk(walker):
    p, c = seen(walker), walker.curves(T)
    for pair in ("asis", "psis", "hip"):
        d = p[f"left_{pair}"] - p[f"right_{pair}"]
        np.testing.assert_allclose(np.sin(c["pelvis_obliquity"]), d[:, 2] / np.hypot(*[
            np.hypot(d[:, 0], d[:, 1]), d[:, 2]]), atol=1e-12)  # fmt: skip
        # Left side forward: the left-to-right difference has a forward part of the same sign.
        np.testing.assert_allclose(np.tan(c["pelvis_rotation"]), d[:, 0] / d[:, 1], atol=1e-12)
    # The way from the PSIS to the ASIS points down by the tilt, within the plane square to the
    # pelvic axis; its slope is sin(tilt) times the cosine of the obliquity.
    front = (p["left_asis"] + p["right_asis"] - p["left_psis"] - p["right_psis"]) / 2
    slope = -front[:, 2] / np.linalg.norm(front, axis=1)
    expected = np.sin(c["pelvis_tilt"]) * np.cos(c["pelvis_obliquity"])
    np.testing.assert_allclose(slope, expected, atol=1e-12)
    trunk = p["left_shoulder"] + p["right_shoulder"] - p["left_hip"] - p["right_hip"]
    np.testing.assert_allclose(
        np.tan(c["trunk_lean_forward"]), trunk[:, 0] / trunk[:, 2], atol=1e-12
    )
    np.testing.assert_allclose(
        np.tan(c["trunk_lean_lateral"]), trunk[:, 1] / trunk[:, 2], atol=1e-12
    )
    assert c["trunk_lean_forward"].mean() > np.deg2rad(1.5)
    assert c["pelvis_tilt"].mean() > np.deg2rad(8)


@pytest.mark.parametrize("side", ["left", "right"])
def test_legs(walker, side):
    p, c = seen(walker), walker.curves(T)
    hip, knee, ankle, heel, toe = (
        p[f"{side}_{n}"] for n in ("hip", "knee", "ankle", "heel", "foot_index")
    )

    def ahead(low, high):
        d = low - high
        return np.arctan(d[:, 0] / -d[:, 2])

    np.testing.assert_allclose(c[f"thigh_flexion_{side}"], ahead(knee, hip), atol=1e-12)
    np.testing.assert_allclose(c[f"limb_angle_heel_{side}"], ahead(heel, hip), atol=1e-12)
    np.testing.assert_allclose(c[f"limb_angle_ankle_{side}"], ahead(ankle, hip), atol=1e-12)
    shank = ankle - knee
    np.testing.assert_allclose(
        np.tan(c[f"shank_angle_{side}"]), shank[:, 0] / -shank[:, 2], atol=1e-9
    )
    # Law of cosines in the triangle of hip, knee and ankle.
    a, b = np.linalg.norm(knee - hip, axis=1), np.linalg.norm(shank, axis=1)
    whole = ((ankle - hip) ** 2).sum(1)
    inner = np.arccos((a**2 + b**2 - whole) / (2 * a * b))
    np.testing.assert_allclose(c[f"knee_flexion_{side}"], np.pi - inner, atol=1e-9)
    # The shank bends backwards.
    bent = c[f"knee_flexion_{side}"] > 0.2
    assert (c[f"thigh_flexion_{side}"] > c[f"shank_angle_{side}"])[bent].all()
    foot = toe - heel
    np.testing.assert_allclose(
        c[f"foot_angle_{side}"], np.arctan2(foot[:, 2], foot[:, 0]), atol=1e-12
    )
    cosine = (-shank * foot).sum(1) / (b * np.linalg.norm(foot, axis=1))
    np.testing.assert_allclose(
        c[f"ankle_dorsiflexion_{side}"], np.pi / 2 - np.arccos(cosine), atol=1e-12
    )
    # Thigh in a pelvis frame built from the landmarks.
    y = p["left_asis"] - p["right_asis"]
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    x = p["left_asis"] + p["right_asis"] - p["left_psis"] - p["right_psis"]
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    z = np.cross(x, y)
    d = (knee - hip) / a[:, None]
    forward, left, up = ((d * axis).sum(1) for axis in (x, y, z))
    np.testing.assert_allclose(np.tan(c[f"hip_flexion_{side}"]), forward / -up, atol=1e-9)
    inward = -left if side == "left" else left
    np.testing.assert_allclose(np.sin(c[f"hip_adduction_{side}"]), inward, atol=1e-12)
    np.testing.assert_array_equal(
        c[f"thigh_trunk_flexion_{side}"], c[f"thigh_flexion_{side}"] + c["trunk_lean_forward"]
    )


def test_signs_of_one_posture_by_hand():
    person = standing(
        duration_s=1.0, obliquity=0.1, tilt=0.2, rotation=0.15, lean_forward=0.1, lean_lateral=0.05
    )
    p = dict(zip(person.names, person.points([0.5])[0], strict=True))
    assert p["left_asis"][2] > p["right_asis"][2]  # left up
    assert p["left_asis"][2] < p["left_psis"][2]  # front down
    assert p["left_hip"][0] > p["right_hip"][0]  # left forward
    middle = p["left_shoulder"] + p["right_shoulder"] - p["left_hip"] - p["right_hip"]
    assert middle[0] > 0  # leans forward
    assert middle[1] > 0  # and to the left
    assert p["left_foot_index"][0] > p["left_heel"][0]
    assert p["left_foot_index"][1] > p["left_heel"][1]  # toes out
    curves = person.curves([0.5])
    assert curves["trunk_pelvis_forward"] == pytest.approx(0.1 - 0.2)
    assert curves["trunk_pelvis_lateral"] == pytest.approx(0.05 + 0.1)


@pytest.mark.parametrize(
    ("rotation", "start", "end"),
    [(rotation_x, 1, 2), (rotation_y, 2, 0), (rotation_z, 0, 1)],
)
def test_rotations_turn_the_way_they_say(rotation, start, end):
    quarter = rotation(np.array([np.pi / 2, -0.3]))
    np.testing.assert_allclose(quarter[0] @ np.eye(3)[start], np.eye(3)[end], atol=1e-15)
    np.testing.assert_allclose(
        quarter @ np.swapaxes(quarter, 1, 2), np.stack([np.eye(3)] * 2), atol=1e-15
    )
    np.testing.assert_allclose(np.linalg.det(quarter), 1)


def test_pelvis_and_trunk_hold_no_fast_parts():
    # Without variation every body curve is a sum of at most five harmonics of the stride.
    still = simulate(
        "run", speed_m_s=3.0, treadmill=True, duration_s=3.0, seed=1,
        stride_time_cv=0.0, amplitude_cv=0.0, offset_sd=0.0,
    )  # fmt: skip
    left = [e.t for e in still.events if (e.kind, e.side) == ("foot_strike", "left")]
    t = left[0] + (left[1] - left[0]) * np.arange(64) / 64
    for name, curve in still.curves(t).items():
        if name.startswith(("pelvis", "trunk")):
            power = np.abs(np.fft.rfft(curve)) / 64
            assert power[6:].max() < 1e-6, name
            assert power[1:6].max() > 1e-3, name
