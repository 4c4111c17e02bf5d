"""A rig with every lens model and a trial with something in every field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from lab.camera import Camera
from lab.gait import Curves, Cycle, Event, Measure
from lab.points import Keypoints2D, Points3D
from lab.pose import Pose
from lab.rig import Rig, RigQuality
from lab.trial import InputFile, Norm, Provenance, Trial

LENSES = {
    "brown4": [-0.28, 0.09, 0.001, -0.0007],
    "brown5": [-0.31, 0.12, -0.0006, 0.0011, -0.02],
    "brown8": [0.4, -0.1, 0.0008, 0.0004, 0.02, 0.7, -0.08, 0.01],
    "fisheye": [-0.03, 0.012, -0.006, 0.001],
}

NORM = Norm(
    measure="cadence",
    low=np.nan,
    high=190.0,
    mean=172.0,
    sd=8.0,
    unit="1/min",
    activity="run",
    definition="steps a minute",
    population="recreational runners",
    speed="3 m/s",
    citation="a source",
    grade="B",
    finding=False,
)


def make_camera(model: str, turn: float = 0.0) -> Camera:
    """A camera 4 m from the origin of the lab, looking at it."""
    # Camera axes x right, y down, z forward, seen from +x of the lab.
    facing = np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])
    cam_from_lab = Pose(facing, [0.1, 0.9, 4.0]) @ Pose.from_rotvec([0.05, -0.1, turn], [0, 0, 0])
    return Camera(
        f"cam_{model}", (1280, 720), model, [950, 940, 655.2, 349.1, *LENSES[model]], cam_from_lab
    )


def make_rig(models: tuple[str, ...] = tuple(LENSES)) -> Rig:
    rng = np.random.default_rng(3)
    cameras = tuple(make_camera(model, turn) for turn, model in enumerate(models))
    size = sum(6 + len(c.intrinsics) for c in cameras)
    root = rng.normal(size=(size, size)) * np.geomspace(1e-5, 1e-3, size)[:, None] / np.sqrt(size)
    quality = RigQuality(
        True,
        ("cam_fisheye saw little of the corners", "später prüfen – 測定"),
        {"held_out_rmse_px": 0.31, "distance_rmse_mm": np.nan},
        {c.name: {"rmse_px": 0.2 + i, "views": 40.0} for i, c in enumerate(cameras[:-1])}
        | {cameras[-1].name: {}},
    )
    return Rig(cameras, root @ root.T, quality, "2026-11-20T10:00:00Z", "7 x 5, 54.0 mm")


def make_points(names: tuple[str, ...], frames: int) -> Points3D:
    rng = np.random.default_rng(5)
    xyz = rng.normal(size=(frames, len(names), 3))
    root = rng.normal(size=(frames, len(names), 3, 3)) * 1e-3
    cov = root @ np.swapaxes(root, -1, -2)
    cov = (cov + np.swapaxes(cov, -1, -2)) / 2
    if frames and names:
        xyz[0, 0] = np.nan
        cov[0, 0] = np.nan
    return Points3D(names, np.arange(frames) / 100 + 0.005, xyz, cov)


def make_trial(rig: Rig | None, frames: int = 30) -> Trial:
    rng = np.random.default_rng(7)
    names = ("left_hip", "right_hip", "nose")
    t = np.arange(frames) / 100 + 0.005
    values = rng.normal(size=(frames, 2))
    values[3] = np.nan
    keypoints = tuple(
        Keypoints2D(
            camera,
            names[: 3 - i],
            t,
            rng.normal(size=(frames, 3 - i, 2)) * 100,
            np.full((frames, 3 - i, 2, 2), np.nan),
            rng.random((frames, 3 - i)),
        )
        for i, camera in enumerate(rig.names[:2] if rig else ())
    )
    return Trial(
        patient="P017",
        activity="run",
        treadmill_speed_m_s=np.nan,
        recorded="",
        subject={"height_m": 1.81, "leg_length_left_mm": np.nan},
        rig=rig,
        keypoints=keypoints,
        points=make_points(names, frames),
        smoothed=make_points(names, frames),
        curves=Curves(("pelvis_obliquity", "größe"), t, values, np.abs(values)),
        events=(
            Event("foot_strike", "left", 0.1, np.nan, "operator"),
            Event("foot_off", "right", 0.2, 0.002, "O'Connor (2007)"),
        ),
        cycles=(Cycle("left", "run", 0.1, 0.3, 0.45, 0.65, 0.8),),
        measures=(Measure("cadence", "both", 171.5, 0.4, np.nan, "1/min", 1, "60 × 2 / stride"),),
        withheld={"step_width": "no belt direction", "a/b": ""},
        norms=(NORM,),
        static={},
        accepted=False,
        reasons=("zu kurz",),
        quality={"reprojection_median_px": 1.2},
        provenance=Provenance(
            "gaitlab 0.1.0",
            "2026-11-21T09:00:00Z",
            '[trial]\npatient = "P017"\n',
            (InputFile("cam01.csv", "00" * 32), InputFile("cam02.csv", "ff" * 32)),
        ),
    )


def describe_difference(a: Any, b: Any, where: str = "", *, exact: bool = True) -> str:
    """Say where two values of the lab's types differ; empty when they are the same, NaN too."""
    if type(a) is not type(b):
        return f"{where}: {type(a).__name__} against {type(b).__name__}"
    if is_dataclass(a):
        parts = [(f.name, getattr(a, f.name), getattr(b, f.name)) for f in fields(a)]
    elif isinstance(a, Mapping):
        if list(a) != list(b):
            return f"{where}: keys {list(a)} against {list(b)}"
        parts = [(key, a[key], b[key]) for key in a]
    elif isinstance(a, tuple):
        if len(a) != len(b):
            return f"{where}: length {len(a)} against {len(b)}"
        parts = [(str(i), x, y) for i, (x, y) in enumerate(zip(a, b, strict=True))]
    elif isinstance(a, np.ndarray):
        same = a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        if not exact:
            same = a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=0, equal_nan=True)
        return "" if same else f"{where}: arrays differ"
    else:
        return "" if a == b or (a != a and b != b) else f"{where}: {a!r} against {b!r}"
    found = (describe_difference(x, y, f"{where}/{n}", exact=exact) for n, x, y in parts)
    return next((f for f in found if f), "")


@pytest.fixture
def cameras() -> dict[str, Camera]:
    """One camera of each lens model."""
    return {model: make_camera(model) for model in LENSES}


@pytest.fixture
def rig() -> Rig:
    """Four cameras, one of each lens model, with a full joint covariance."""
    return make_rig()


@pytest.fixture
def trial(rig: Rig) -> Trial:
    """A trial with something in every field: NaN, empty texts and tuples, umlauts."""
    return make_trial(rig)


@pytest.fixture
def bare_trial() -> Trial:
    """A trial with 3D input and nothing found in it."""
    empty = Curves((), [], np.zeros((0, 0)), np.zeros((0, 0)))
    nothing = make_points((), 0)
    return Trial(
        "X", "walk", 1.2, "2026-11-20", {}, None, (), nothing, nothing, empty, (), (), (), {}, (),
        {"pelvis_tilt": 0.1}, True, (), {}, Provenance("", "", "", ()),
    )  # fmt: skip


@pytest.fixture
def kept_trial() -> Trial:
    """The trial in tests/lab/files: small, with two cameras; its rig is the rig there."""
    return make_trial(make_rig(("brown5", "fisheye")), frames=6)


@pytest.fixture
def difference():
    """The function that says where two values differ."""
    return describe_difference
