"""A made-up but lifelike runner: fixtures that build trials for the page and the exports."""

from dataclasses import replace

import numpy as np
import pytest

from lab.camera import Camera
from lab.gait import Curves, Cycle, Event, Measure
from lab.points import Keypoints2D, Points3D
from lab.pose import Pose
from lab.rig import Rig, RigQuality
from lab.trial import InputFile, Norm, Provenance, Trial
from report.findings import FindingText

RATE = 100.0
STRIDE = 0.70
CONTACT = 0.26
FIRST = {"left": 0.30, "right": 0.65}

# Over the cycle of the side: mean, first and second harmonic (amplitude deg, phase rad).
SIDED = {
    "hip_adduction": (4, 7, 0.4, 2, 1.0),
    "hip_flexion": (18, 24, 0.5, 5, 2.4),
    "thigh_flexion": (8, 25, 0.5, 4, 2.4),
    "thigh_trunk_flexion": (12, 25, 0.5, 4, 2.4),
    "knee_flexion": (45, 35, 2.9, 18, 0.6),
    "ankle_dorsiflexion": (4, 14, 5.4, 10, 1.5),
    "shank_angle": (-30, 38, 6.1, 9, 2.0),
    "foot_angle": (-20, 40, 6.0, 12, 2.0),
    "limb_angle_heel": (-6, 26, 0.2, 3, 2.0),
}
# Over the left cycle; the second step mirrors the first where the angle is frontal or transverse.
SIDELESS = {
    "pelvis_obliquity": (0.6, 5.2, 4.9, 0.0, 0.0),
    "trunk_lean_lateral": (-0.5, 3.0, 1.6, 0.0, 0.0),
    "trunk_pelvis_lateral": (0.2, 6.1, 1.9, 0.0, 0.0),
    "pelvis_tilt": (14, 0.0, 0.0, 2.4, 0.7),
    "trunk_lean_forward": (3.4, 0.0, 0.0, 1.6, 2.0),
    "trunk_pelvis_forward": (-10.6, 0.0, 0.0, 2.0, 1.0),
    "pelvis_rotation": (0.4, 7.5, 0.3, 0.0, 0.0),
}
JOINTS = ("shoulder", "hip", "knee", "ankle", "heel", "foot_index")


def harmonic(phase, shape):
    mean, a, pa, b, pb = shape
    return mean + a * np.cos(2 * np.pi * phase + pa) + b * np.cos(4 * np.pi * phase + pb)


def make_curves(rng, t):
    names, values = [], []
    wobble = 0.8 * np.sin(2 * np.pi * t / 5.3)
    for name, shape in SIDELESS.items():
        names.append(name)
        values.append(harmonic((t - FIRST["left"]) / STRIDE, shape) + wobble)
    for name, shape in SIDED.items():
        for side, first in FIRST.items():
            names.append(f"{name}_{side}")
            values.append(harmonic((t - first) / STRIDE, shape) + wobble)
    values = np.radians(np.column_stack(values) + rng.normal(0, 0.25, (len(t), len(names))))
    return Curves(tuple(names), t, values, np.full_like(values, np.radians(0.3)))


def make_cycles(counts):
    cycles, events = [], []
    for side, n in counts.items():
        for i in range(n):
            strike = FIRST[side] + i * STRIDE
            off = strike + CONTACT
            opposite = strike + STRIDE / 2
            cycles.append(
                Cycle(side, "run", strike, off, opposite, opposite + CONTACT, strike + STRIDE)
            )
            source = "operator" if i == 2 else "Fellin 2010"
            events.append(Event("foot_strike", side, strike, 0.004, source))
            events.append(Event("foot_off", side, off, 0.006, "Fellin 2010"))
    return tuple(cycles), tuple(sorted(events, key=lambda e: e.t))


DEFINITIONS = {
    "pelvic_drop_peak": "Largest elevation of the stance side of the right-to-left pelvic axis over"
    " the swing side, against gravity, over stance; + when the swing side is lower.",
    "trunk_lean_forward_stance_mean": "Mean over stance of the trunk axis (mid hip centres to mid"
    " acromia) against the vertical in the plane of progression; forward +.",
    "over_stride_angle_heel": "Angle at the hip joint centre between straight down and the line to"
    " the heel at foot strike, in the sagittal plane of progression; + with the foot ahead.",
    "hip_extension_peak": "Largest extension of the thigh against the pelvis over the cycle.",
}


def make_measures(sides, known):
    rad = np.pi / 180
    table = [
        ("pelvic_drop_peak", "rad", (7.92 * rad, 4.31 * rad), 0.31 * rad, 0.8 * rad),
        ("pelvic_drop_midstance", "rad", (6.2 * rad, 3.5 * rad), 0.3 * rad, 0.7 * rad),
        ("pelvic_drop_strike", "rad", (1.1 * rad, -0.4 * rad), 0.3 * rad, 0.7 * rad),
        ("pelvic_drop_excursion", "rad", (8.8 * rad, 5.6 * rad), 0.36 * rad, 0.9 * rad),
        ("trunk_lean_forward_stance_mean", "rad", (3.1 * rad, 3.4 * rad), 0.22 * rad, 0.6 * rad),
        ("trunk_lean_forward_strike", "rad", (3.9 * rad, 4.2 * rad), 0.24 * rad, 0.6 * rad),
        ("trunk_lean_lateral_peak", "rad", (3.6 * rad, 2.8 * rad), 0.26 * rad, 0.5 * rad),
        ("over_stride_angle_heel", "rad", (17.8 * rad, 14.9 * rad), 0.41 * rad, 1.1 * rad),
        ("over_stride_angle_ankle", "rad", (15.1 * rad, 12.2 * rad), 0.39 * rad, 1.1 * rad),
        ("over_stride_distance_heel", "m", (0.283, 0.241), 0.006, 0.02),
        ("shank_angle_strike", "rad", (8.3 * rad, 6.1 * rad), 0.5 * rad, 1.4 * rad),
        ("hip_extension_peak", "rad", (4.2 * rad, 5.1 * rad), 0.55 * rad, 1.0 * rad),
        ("thigh_extension_peak", "rad", (17.4 * rad, 18.3 * rad), 0.33 * rad, 1.0 * rad),
        ("thigh_trunk_extension_peak", "rad", (14.0 * rad, 14.9 * rad), 0.4 * rad, 1.0 * rad),
        ("pelvic_tilt_stance_mean", "rad", (14.2 * rad, 14.0 * rad), 0.44 * rad, 0.7 * rad),
        ("knee_flexion_peak_stance", "rad", (41.2 * rad, 40.5 * rad), 0.5 * rad, 1.2 * rad),
        ("contact_time", "s", (0.262, 0.258), 0.0022, 0.006),
        ("flight_time", "s", (0.088, 0.092), 0.0025, 0.006),
        ("stride_length", "m", (2.1, 2.11), 0.006, 0.03),
        ("step_length", "m", (1.04, 1.06), 0.006, 0.02),
    ]
    n = dict.fromkeys(("left", "right"), 8) | sides
    measures = [
        Measure(
            name,
            side,
            values[i],
            sigma if known else np.nan,
            spread,
            unit,
            n[side],
            DEFINITIONS.get(name, f"The {name.replace('_', ' ')} as this laboratory defines it."),
        )
        for name, unit, values, sigma, spread in table
        for i, side in enumerate(("left", "right"))
        if n[side]
    ]
    for name, unit, value, sigma, spread in (
        ("cadence", "1/min", 171.4, 0.4, 1.6),
        ("step_width", "m", 0.052, 0.003, 0.011),
    ):
        measures.append(
            Measure(
                name,
                "both",
                value,
                sigma if known else np.nan,
                spread,
                unit,
                16,
                f"The {name.replace('_', ' ')} over all steps.",
            )
        )
    return tuple(measures)


def make_norms():
    rad = np.pi / 180
    nan = np.nan
    vandi = "C. Vandi, Back Pain While Running: the 4 Most Common Causes and Fixes"
    return (
        Norm(
            "trunk_lean_forward_stance_mean",
            8 * rad,
            10 * rad,
            nan,
            nan,
            "rad",
            "run",
            "trunk against the vertical",
            "runners",
            "not stated",
            vandi,
            "expert advice",
            True,
        ),
        Norm(
            "trunk_lean_forward_stance_mean",
            nan,
            nan,
            7.3 * rad,
            3.6 * rad,
            "rad",
            "run",
            "trunk against lab vertical, mean over stance",
            "24 healthy runners, overground",
            "3.4 m/s",
            "Teng and Powers 2014, J Orthop Sports Phys Ther",
            "study",
            False,
        ),
        Norm(
            "over_stride_angle_heel",
            nan,
            15 * rad,
            nan,
            nan,
            "rad",
            "run",
            "hip to foot at initial contact",
            "runners",
            "not stated",
            vandi,
            "expert advice",
            True,
        ),
        Norm(
            "pelvic_drop_peak",
            3 * rad,
            6 * rad,
            nan,
            nan,
            "rad",
            "run",
            "peak frontal pelvis against horizontal in stance",
            "uninjured runners",
            "not stated",
            "Textbook range, to be verified",
            "textbook",
            False,
        ),
        Norm(
            "cadence",
            nan,
            nan,
            171.0,
            7.9,
            "1/min",
            "run",
            "steps per minute",
            "uninjured male runners",
            "self-selected",
            "PMC6044588, table 2",
            "study",
            False,
        ),
        Norm(
            "hip_extension_peak",
            nan,
            nan,
            5.8 * rad,
            6.8 * rad,
            "rad",
            "walk",
            "thigh against pelvis",
            "typically developing children",
            "free",
            "Schwartz 2008",
            "study",
            False,
        ),
    )


def make_rig(*, accepted=True, known=True):
    cameras = []
    for i in range(5):
        angle = 2 * np.pi * i / 5
        place = np.array([4 * np.cos(angle), 4 * np.sin(angle), 1.3])
        forward = np.array([0, 0, 1.0]) - place
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        cameras.append(
            Camera(
                f"cam{i + 1:02d}",
                (1280, 720),
                "brown4",
                np.array([900, 900, 639.5, 359.5, -0.1, 0.05, 0, 0]),
                Pose(rotation, -rotation @ place),
            )
        )
    size = 5 * 14
    cov = np.eye(size) * 1e-8 if known else np.full((size, size), np.nan)
    quality = RigQuality(
        accepted,
        () if accepted else ("Held-out error 2.9 px is above 1.0 px.",),
        {"held_out_rmse_px": 0.412, "held_out_distance_rmse_mm": 0.63, "gravity_sigma_deg": 0.08},
        {c.name: {"rmse_px": 0.4 + 0.01 * i, "frames": 61.0 + i} for i, c in enumerate(cameras)},
    )
    return Rig(tuple(cameras), cov, quality, "2026-11-20T09:12:00Z", "A1, 7 by 5, 54.0 mm squares")


def make_points(rng, t):
    names = tuple(f"{side}_{joint}" for joint in JOINTS for side in ("left", "right"))
    heights = dict(zip(JOINTS, (1.42, 0.92, 0.5, 0.09, 0.05, 0.02), strict=True))
    xyz = np.empty((len(t), len(names), 3))
    for k, name in enumerate(names):
        side, joint = name.split("_", 1)
        phase = 2 * np.pi * (t - FIRST[side]) / STRIDE
        reach = 0.35 * (1.42 - heights[joint]) / 1.42
        xyz[:, k, 0] = reach * np.cos(phase) + (0.12 if joint == "foot_index" else 0)
        xyz[:, k, 1] = 0.15 if side == "left" else -0.15
        xyz[:, k, 2] = heights[joint] + 0.03 * np.cos(2 * phase)
    noisy = xyz + rng.normal(0, 0.002, xyz.shape)
    noisy[40:52, 4] = np.nan
    cov = np.broadcast_to(np.eye(3) * 4e-6, (*xyz.shape, 3))
    return Points3D(names, t, noisy, cov), Points3D(names, t, xyz, cov)


def make_keypoints(rig, points):
    result = []
    for i, camera in enumerate(rig.cameras):
        xy = camera.project(points.xyz).copy()
        xy[:, i] = np.nan
        shape = xy.shape[:2]
        cov = np.broadcast_to(np.eye(2), (*shape, 2, 2))
        result.append(
            Keypoints2D(camera.name, points.names, points.t, xy, cov, np.full(shape, 0.9))
        )
    return tuple(result)


def build(
    *,
    left=8,
    right=8,
    known=True,
    cameras=True,
    calibrated=True,
    rig_accepted=True,
    **changed,
):
    """Return the runner; `changed` replaces fields of the Trial."""
    rng = np.random.default_rng(7)
    t = np.arange(0, 7.0, 1 / RATE)
    points, smoothed = make_points(rng, t)
    rig = make_rig(accepted=rig_accepted, known=calibrated) if cameras else None
    cycles, events = make_cycles({"left": left, "right": right})
    any_cycle = left + right > 0
    trial = Trial(
        patient="P017",
        activity="run",
        treadmill_speed_m_s=3.0,
        recorded="2026-11-21T10:30:00Z",
        subject={"height_m": 1.78, "mass_kg": 71.0},
        rig=rig,
        keypoints=() if rig is None else make_keypoints(rig, points),
        points=points,
        smoothed=smoothed,
        curves=make_curves(rng, t),
        events=events,
        cycles=cycles,
        measures=make_measures({"left": left, "right": right}, known) if any_cycle else (),
        withheld={"hip_rotation_peak": "No points on the thigh fix its rotation."},
        norms=make_norms(),
        static={"pelvis_obliquity": 0.011, "trunk_lean_forward": -0.02},
        accepted=True,
        reasons=(),
        quality={
            "reprojection_median_px": 1.23,
            "rejected_percent": 1.4,
            "bone_length_spread_percent": 1.1,
            "swaps_mended": 0.0,
        },
        provenance=Provenance(
            "gaitlab 0.1.0",
            "2026-11-21T11:02:03Z",
            "",
            (InputFile("trial.toml", "ab" * 32), InputFile("cam01.csv", "cd" * 32)),
        ),
    )
    return replace(trial, **changed)


TEXTS = {
    "pelvic_drop": FindingText(
        "Named consequences: the facet joints are pressed together, the muscles along the spine"
        " strained, a nerve may be squeezed.",
        "gluteal isometrics with growing resistance, single-leg Romanian deadlift, side plank.",
        "C. Vandi, Back Pain While Running",
    ),
    "trunk_lean": FindingText(
        "Named consequences of an upright trunk: pressure on facet joints and discs, muscle spasm.",
        "running with a forward lean, endurance training of the lower back.",
        "C. Vandi, Back Pain While Running",
    ),
    "over_stride": FindingText(
        "Named consequences: pressure on discs and facet joints, load on knee and hip.",
        "landing closer under the hips, with a little more bend in knee and hip.",
        "C. Vandi, Back Pain While Running",
    ),
    "hip_extension": FindingText(
        "Named consequences of limited extension: strain of the hip flexors and of the muscles of"
        " the lower back.",
        "hip-flexor stretch, held one to two minutes, for six to eight weeks.",
        "C. Vandi, Back Pain While Running",
    ),
}


@pytest.fixture(scope="session")
def make_trial():
    return build


@pytest.fixture(scope="session")
def texts():
    return TEXTS
