import numpy as np
import pytest

from capture.clock import ClockStep, NodeClock, fit_clock
from capture.flash import brightness, find_step, measure_skew
from capture.frame_sets import (
    CameraTimes,
    Limits,
    group_frames,
    judge,
    level_ends,
    place_camera,
    share_pulses,
)
from capture.index import RECORD_TYPE, Index, IndexHeader
from lab.errors import LabError

RATE = 60.0
START = 9_000_000_000_000


def camera(name, t, index=None, *, node="left", sigma=2e-5, asymmetry=1e-4):
    index = np.arange(len(t)) if index is None else index
    lost = int(np.clip(np.diff(index) - 1, 0, None).sum())
    return CameraTimes(name, node, index, np.asarray(t, float), sigma, asymmetry, lost, 0)


def node_clock(*steps):
    t1 = START + np.arange(100) * 10_000_000
    stamps = np.column_stack([t1, t1 + 100_000, t1 + 110_000, t1 + 210_000])
    return NodeClock((fit_clock(stamps),), steps)


CLOCKS = {"left": node_clock(), "right": node_clock()}
T = np.arange(600) / RATE
HOLED = np.delete(np.arange(600), range(100, 120, 2))


def test_frames_are_grouped_by_time_not_by_number():
    kept = np.delete(np.arange(600), [50, 51, 300])
    full, holed = camera("a", T), camera("b", T[kept] + 1e-4, kept)
    sets = group_frames([full, holed])
    assert len(sets.rows) == 600
    missing = np.flatnonzero(sets.rows[:, 1] < 0)
    assert missing.tolist() == [50, 51, 300]
    there = sets.rows[:, 1] >= 0
    assert np.abs(T[there] - holed.t[sets.rows[there, 1]]).max() < 2e-4
    assert sets.spread[there] == pytest.approx(1e-4)
    assert sets.complete_share == pytest.approx(597 / 600)


def test_no_frame_is_in_two_sets():
    slow = camera("b", T[::2] + 0.4 / RATE, np.arange(300))
    sets = group_frames([camera("a", T), slow], tolerance=1.0)
    used = sets.rows[sets.rows[:, 1] >= 0, 1]
    assert len(used) == len(set(used.tolist())) == 300


def test_a_good_trial_is_fit_and_its_sync_error_holds_both_parts():
    cameras = [camera("a", T), camera("b", T + 1e-4, node="right", sigma=4e-5, asymmetry=3e-4)]
    figures, reasons = judge(cameras, CLOCKS, START)
    assert reasons == ()
    sigma = np.hypot(2e-5, 4e-5)
    assert figures["sync_sigma_ms"] == pytest.approx(1e3 * sigma)
    assert figures["sync_asymmetry_bound_ms"] == pytest.approx(0.4)
    assert figures["sync_error_95_ms"] == pytest.approx(0.4 + 1.96e3 * sigma)
    assert judge(cameras[:1], CLOCKS, START)[0]["sync_error_95_ms"] == 0  # one clock


def test_a_slow_camera_is_no_gap():
    slow = np.arange(40) / 5
    assert judge([camera("a", slow)], CLOCKS, START)[1] == ()
    late = camera("a", np.r_[slow[:20], slow[20:] + 1])
    assert "without a frame" in judge([late], CLOCKS, START)[1][0]


@pytest.mark.parametrize(
    ("cameras", "limits", "says"),
    [
        ([camera("a", T[HOLED], HOLED)], None, "a lost 10 of 600 frames"),
        ([camera("a", np.r_[T[:300], T[300:] + 0.2])], None, "without a frame"),
        ([camera("a", T), camera("b", T + 0.004)], Limits(skew=0.002), "4.0 ms apart"),
        ([camera("a", T), camera("b", T, node="right", asymmetry=6e-3)], None, "may differ by 6"),
    ],
)  # fmt: skip
def test_a_trial_beyond_a_limit_is_unfit_and_says_why(cameras, limits, says):
    _, reasons = judge(cameras, CLOCKS, START, limits)
    assert len(reasons) == 1
    assert says in reasons[0]


def test_a_camera_plugged_in_again_keeps_its_times():
    t = np.concatenate([np.arange(120), np.arange(150, 300)]) / RATE
    records = np.zeros(len(t), RECORD_TYPE)
    true_ns = np.rint(t * 1e9).astype(np.int64)
    records["index"] = np.rint(t * RATE)
    # Its own clock begins anew after the gap, and it is always 3 ms until a frame arrives.
    records["mid_device_ns"] = 77_000_000_000 + true_ns - np.where(t < 2.2, 0, true_ns[120])
    records["exposure_ns"] = 2_000_000
    records["host_ns"] = START + true_ns + 4_000_000
    header = IndexHeader(
        "a", "walk1", "left", "simulated", "1", "m", (640, 480), 1, RATE, 2000.0, 0.0, "free",
        "exposure_start", "mjpeg", START,
    )  # fmt: skip
    placed = place_camera(Index(header, records, 0), CLOCKS["left"], START)
    assert placed.t == pytest.approx(t + 3e-3, abs=0.2e-3)
    assert placed.lost == 30


def test_a_step_makes_only_the_trial_over_it_unfit():
    for at, unfit in ((5.0, True), (-60.0, False), (90.0, False)):
        clocks = {"left": node_clock(ClockStep(START + int(at * 1e9), 3600.0))}
        _, reasons = judge([camera("a", T)], clocks, START)
        assert (["jumped ahead by 3600.0 s" in r for r in reasons] == [True]) == unfit


def flash_frames(rng, t, on, exposure, *, noise=1.5):
    """Images (T, 64, 96) of a dim room in whose corner an LED goes on at `on`."""
    lit = np.clip((t + exposure / 2 - on) / exposure, 0, 1)
    images = rng.normal(60, noise, (len(t), 64, 96))
    images[:, 16:32, 32:48] += 120 * lit[:, None, None]
    return [np.clip(i, 0, 255).astype(np.uint8) for i in images]


@pytest.mark.parametrize("true_skew", [0.0, 0.004, -0.012])
def test_a_flash_measures_the_skew_within_its_interval(true_skew):
    rng = np.random.default_rng(3)
    exposure, found, cameras = 4e-3, {}, {}
    flashes = 1.2 + rng.uniform(0, 3, 12)
    for name, late in (("a", 0.0), ("b", true_skew)):
        cameras[name] = camera(name, T, asymmetry=2e-4)
        steps = []
        for on in flashes:
            near = np.flatnonzero(np.abs(T - on) < 0.5)
            # The camera's stated times are `late` after the true ones.
            images = flash_frames(rng, T[near] - late, on, exposure)
            steps.append(find_step(brightness(images), T[near], exposure, name))
        found[name] = steps
    skews = measure_skew(found, cameras)
    between = skews["b"].skew - skews["a"].skew
    unsure = skews["a"].half_width + skews["b"].half_width
    assert abs(between - true_skew) < unsure
    assert unsure < 6e-3
    assert skews["b"].as_stated == (true_skew == 0)


def test_a_frame_partly_lit_gives_the_instant_to_a_tenth_of_a_millisecond():
    rng = np.random.default_rng(4)
    on = T[30] - 0.5e-3  # within the exposure of frame 30
    images = flash_frames(rng, T[:60], on, 4e-3)
    step = find_step(brightness(images), T[:60], 4e-3)
    assert step.t == pytest.approx(on, abs=1e-4)
    assert abs(step.t - on) < step.half_width < 3e-4


def test_no_flash_is_no_measurement():
    rng = np.random.default_rng(5)
    dark = flash_frames(rng, T[:60], 99.0, 4e-3)
    with pytest.raises(LabError, match=r"flash is too faint|no single step"):
        find_step(brightness(dark), T[:60], 4e-3, "a")
    with pytest.raises(LabError, match="four frames"):
        brightness(dark[:3])
    with pytest.raises(LabError, match="two cameras"):
        measure_skew({}, {})


def test_a_triggered_camera_that_missed_the_first_pulses_is_told_by_the_others():
    cameras = [camera("a", T), camera("b", T[7:-2]), camera("c", T + 1e-4)]
    levelled = level_ends(cameras)
    assert [c.late for c in levelled] == [0, 9, 0]
    assert any("b lost 9 of 600" in r for r in judge(levelled, CLOCKS, START)[1])
    assert level_ends([]) == []


def test_frames_out_of_the_trials_time_are_nobodys_loss():
    """A line that goes on: one computer stops at once, another nine frames later."""
    cameras = [camera("a", T[:-9]), camera("b", T), camera("c", T[3:])]
    end = float(T[-10]) + 0.006
    assert [c.late for c in level_ends(cameras, end)] == [0, 0, 2]  # the first came at the edge
    assert [c.late for c in level_ends(cameras, end + 2 / RATE)] == [2, 0, 2]
    assert [c.late for c in level_ends(cameras)] == [9, 0, 3]


def test_clocks_of_cameras_on_one_line_need_only_tell_its_pulses_apart():
    apart = {"node": "right", "sigma": 1e-4, "asymmetry": 6e-3}
    cameras = [camera("a", T), camera("b", T, **apart)]
    assert any("clocks of two nodes" in r for r in judge(cameras, CLOCKS, START)[1])
    assert judge(cameras, CLOCKS, START, one_line=True)[1] == ()
    worse = [cameras[0], camera("b", T, **apart | {"asymmetry": 7e-3})]  # 0.8 of half a period: 6.7
    assert any("clocks of two" in r for r in judge(worse, CLOCKS, START, one_line=True)[1])


def test_frames_of_one_pulse_get_one_time_and_a_line_that_is_none_is_not_believed():
    kept = np.delete(np.arange(600), [50, 51, 300])
    cameras = [camera("a", T), camera("b", T[kept] + 3e-4, kept), camera("c", T + 1e-4)]
    shared, spread = share_pulses(cameras)
    assert spread == pytest.approx(3e-4)
    assert (shared[0].t == shared[2].t).all()
    assert (shared[1].t == shared[0].t[kept]).all()
    assert shared[0].t[10] == pytest.approx(T[10] + 1e-4)  # the median of three
    assert shared[0].t[50] == pytest.approx(T[50] + 0.5e-4)  # of two
    late, _ = share_pulses([cameras[0], camera("b", T + 0.3 / RATE)])
    assert (late[1].t == late[0].t).all()
    apart, spread = share_pulses([cameras[0], camera("b", T + 0.45 / RATE)])
    assert spread == pytest.approx(0.45 / RATE)
    assert (apart[1].t != apart[0].t).all()
