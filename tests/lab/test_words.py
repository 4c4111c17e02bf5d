"""What the words of the lab refuse, and what they give back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.checks import frozen_array, rising_times, unique_names
from lab.errors import FileError, LabError, RefusedError
from lab.frame import Frame
from lab.gait import Curves, Cycle, Event, Measure

IMAGE = np.zeros((4, 6), np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": IMAGE.astype(float)}, "uint8"),
        ({"image": IMAGE[0]}, r"\(H, W\)"),
        ({"image": np.zeros((4, 6, 4), np.uint8)}, r"\(H, W\)"),
        ({"camera": ""}, "camera"),
        ({"index": -1}, "negative"),
        ({"exposure_ns": -1}, "negative"),
    ],
)
def test_frame_refuses(change, message):
    frame = Frame("cam01", 0, 10**18, 5, 0, IMAGE)
    with pytest.raises(ValueError, match=message):
        replace(frame, **change)


@pytest.mark.parametrize("kind", ["points", "keypoints"])
def test_points_refuse(trial, kind):
    points = trial.points if kind == "points" else trial.keypoints[0]
    position, covariance = ("xyz", "cov") if kind == "points" else ("xy_px", "cov_px")
    cov = np.nan_to_num(getattr(points, covariance))
    negative, lopsided = cov.copy(), cov.copy()
    negative[1, 1, 0, 0] = -1e-12
    lopsided[1, 1] = np.eye(cov.shape[-1])
    lopsided[1, 1, 0, 1] = 0.1
    stopped = points.t.copy()
    stopped[5] = stopped[4]
    unknown = points.t.copy()
    unknown[5] = np.nan
    for change, message in [
        ({"names": ("a", "b", "a")}, "twice"),
        ({"names": ("a", "b", "")}, "empty"),
        ({"names": ("a", "b")}, "shape"),
        ({"t": stopped}, "rising"),
        ({"t": unknown}, "finite"),
        ({position: getattr(points, position)[:-1]}, "shape"),
        ({covariance: negative}, "negative"),
        ({covariance: lopsided}, "symmetric"),
    ]:
        with pytest.raises(ValueError, match=message):
            replace(points, **change)


def test_points_by_name(trial):
    points = trial.points
    assert points.index("nose") == 2
    assert points.point("nose").tobytes() == points.xyz[:, 2].tobytes()
    turned = points.select(("nose", "left_hip"))
    assert turned.names == ("nose", "left_hip")
    assert turned.cov[:, 0].tobytes() == points.cov[:, 2].tobytes()
    with pytest.raises(ValueError, match="not in tuple"):
        points.point("left_wing")


def test_curves(trial):
    curves = trial.curves
    assert curves.curve("größe").tobytes() == curves.values[:, 1].tobytes()
    assert curves.curve_sigma("größe").tobytes() == curves.sigma[:, 1].tobytes()
    for change, message in [
        ({"sigma": -np.ones_like(curves.sigma)}, "negative"),
        ({"values": curves.values[:, :1]}, "shape"),
        ({"names": ("a", "a")}, "twice"),
        ({"t": curves.t[::-1]}, "rising"),
    ]:
        with pytest.raises(ValueError, match=message):
            replace(curves, **change)
    assert isinstance(curves, Curves)


@pytest.mark.parametrize(
    "change",
    [{"kind": "toe_off"}, {"side": "both"}, {"t": np.nan}, {"t": np.inf}, {"sigma": -0.1}],
)
def test_event_refuses(change):
    event = Event("foot_strike", "left", 1.0, np.nan, "operator")
    with pytest.raises(ValueError, match="Event"):
        replace(event, **change)


def test_cycle_keeps_the_order_of_its_activity():
    walk = Cycle("left", "walk", strike=0, opposite_off=0.1, opposite_strike=0.5, off=0.6,
                 next_strike=1)  # fmt: skip
    run = Cycle("left", "run", strike=0, off=0.2, opposite_strike=0.35, opposite_off=0.55,
                next_strike=0.7)  # fmt: skip
    for cycle, change in [
        (walk, {"activity": "run"}),
        (run, {"activity": "walk"}),
        (walk, {"activity": "hop"}),
        (walk, {"side": "both"}),
        (walk, {"next_strike": 0.6}),
        (run, {"off": 0.0}),
        (run, {"off": np.nan}),
    ]:
        with pytest.raises(ValueError, match="Cycle"):
            replace(cycle, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""}, {"unit": ""}, {"definition": ""}, {"side": "middle"}, {"sigma": -1.0},
        {"spread": -1.0}, {"n": -1},
    ],
)  # fmt: skip
def test_measure_refuses(change):
    measure = Measure("cadence", "both", 170.0, np.nan, np.nan, "1/min", 0, "steps a minute")
    with pytest.raises(ValueError, match="Measure"):
        replace(measure, **change)


def test_trial_refuses_and_finds_measures(trial):
    for change in ({"patient": ""}, {"activity": "hop"}):
        with pytest.raises(ValueError, match="Trial"):
            replace(trial, **change)
    assert trial.measure("cadence", "both") is trial.measures[0]
    assert trial.measure("cadence", "left") is None


def test_arrays_are_copied_once_and_locked():
    mine = np.zeros((2, 3))
    locked = frozen_array(mine, (None, 3), "x")
    mine[0, 0] = 1
    assert locked[0, 0] == 0
    assert frozen_array(locked, (2, None), "x") is locked
    for shape in ((3, 3), (2,), (None, None, None)):
        with pytest.raises(ValueError, match="expected shape"):
            frozen_array(mine, shape, "x")


def test_names_and_times():
    assert unique_names(["a", "b"], "names") == ("a", "b")
    assert rising_times([0, 1, 2], "t").dtype == np.float64
    with pytest.raises(ValueError, match="rising"):
        rising_times([0, 0], "t")


def test_errors_say_what_where_and_what_to_do():
    error = FileError("the file is empty", where="a.h5", remedy="Make it again.")
    assert str(error) == "a.h5: the file is empty. Make it again."
    assert str(LabError("nothing was found")) == "nothing was found."
    assert isinstance(error, LabError)
    assert issubclass(RefusedError, LabError)
