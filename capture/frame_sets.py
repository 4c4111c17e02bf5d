"""Recorded frames on the lab's clock: when each was exposed, what belongs together, what is lost.

A camera stamp goes to its computer's clock (device_clock) and from there to the lab's (clock). A
frame number is never a time: frames are grouped by when they were exposed and by nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from capture.clock import NodeClock
from capture.device_clock import fit_device
from capture.index import Index
from lab.checks import FloatArray

# Of half a period: a camera's frames may all come late on a busy computer, by some ms.
_CERTAIN = 0.8
# s about a trial's ends in which computers' clocks may differ about what belongs to it.
_EDGE_S = 5e-3


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond these a trial is unfit.

    Attributes:
        lost_share: Of the frames of any camera.
        longest_gap: s without a frame in any camera; slow cameras may have two periods and a half.
        skew: s between the first and the last exposure of one set, 95 % of sets; None: half a
            period, as for cameras that run freely.
        sync_error: s, half width of the interval that holds the error between any two cameras.
    """

    lost_share: float = 0.01
    longest_gap: float = 0.1
    skew: float | None = None
    sync_error: float = 5e-3


@dataclass(frozen=True, slots=True, eq=False)
class CameraTimes:
    """One camera's frames of one trial.

    Attributes:
        camera, node: Names.
        index: (T,) the camera's counter.
        t: (T,) s since the start of the trial, mid-exposure.
        sigma: Random standard uncertainty of t, s: the worst over the trial.
        asymmetry: Bound of what no exchange can see, s.
        lost: Counters missing between the first frame and the last.
        late: Frames that should have come before the first or after the last.
    """

    camera: str
    node: str
    index: NDArray[np.int64]
    t: FloatArray = field(metadata={"unit": "s"})
    sigma: float
    asymmetry: float
    lost: int
    late: int

    @property
    def lost_share(self) -> float:
        """Share of this camera's frames that are not there."""
        missing = self.lost + self.late
        return missing / max(len(self.t) + missing, 1)

    @property
    def longest_gap(self) -> float:
        """Longest time between two frames, s."""
        return float(np.diff(self.t).max()) if len(self.t) > 1 else float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class FrameSets:
    """Frames that were exposed together.

    Attributes:
        cameras: Names C.
        rows: (S, C) row of each camera's frame; -1 where it has none.
        t: (S,) s, mean of the set.
        spread: (S,) s between the first and the last exposure.
        tolerance: s.
    """

    cameras: tuple[str, ...]
    rows: NDArray[np.int64]
    t: FloatArray
    spread: FloatArray
    tolerance: float

    @property
    def complete_share(self) -> float:
        """Share of sets in which every camera has a frame."""
        return float((self.rows >= 0).all(axis=1).mean()) if len(self.rows) else 0.0


def place_camera(
    index: Index, clock: NodeClock, start_lab_ns: int, duration: float | None = None
) -> CameraTimes:
    """Put one camera's frames on the lab's clock.

    Args:
        index: As recorded.
        clock: Of the camera's computer.
        start_lab_ns: When the trial was to begin.
        duration: How long it was to be, s; frames missing at its ends then count as late.

    Raises:
        ValueError: For an index without frames.
    """
    records = index.records
    if not len(records):
        raise ValueError(f"{index.header.camera}: an index without frames cannot be placed")
    mid, host = records["mid_device_ns"], records["host_ns"]
    half = (records["exposure_ns"] // 2).astype(np.int64)
    fits = _fit_of_each(clock, host)
    t = np.empty(len(records))
    from_device = 0.0
    # A camera that was plugged in again begins its clock anew; a computer's clock that jumped is
    # another clock. The frames of each are placed by themselves.
    anew = np.concatenate([[0], np.cumsum(np.diff(mid) <= 0)])
    for fit, run in {(id(f), r): (f, r) for f, r in zip(fits, anew, strict=True)}.values():
        own = np.array([f is fit for f in fits]) & (anew == run)
        t_host = mid[own]
        # A frame arrives after its exposure ended: that instant lies on the envelope.
        if index.header.stamps != "arrival" and own.sum() > 1:
            ended = mid[own] + half[own]
            fitted = fit_device(ended, host[own])
            t_host = fitted.host_ns(ended) - half[own]
            from_device = max(from_device, fitted.sigma)
        t[own] = fit.lab_s(t_host, start_lab_ns)
    used = list({id(f): f for f in fits}.values())
    at = start_lab_ns + (t * 1e9).astype(np.int64)
    counters = records["index"].astype(np.int64)
    period = _period(t, counters)
    return CameraTimes(
        camera=index.header.camera,
        node=index.header.node,
        index=counters,
        t=t,
        sigma=float(np.hypot(max(f.sigma(at).max() for f in used), from_device)),
        asymmetry=max(f.asymmetry for f in used),
        lost=index.lost,
        # Where a line triggers, it says when the trial begins and ends, not the order.
        late=_late(t, period, duration) if index.header.trigger in ("free", "ptp") else 0,
    )


def level_ends(cameras: Sequence[CameraTimes], duration: float | None = None) -> list[CameraTimes]:
    """Count frames that a triggered camera lacks at the ends, where others on the line have them.

    A line may go on before and after the trial. What was exposed out of the trial's time is
    nobody's loss: a computer that is told to stop a moment later has recorded more than was asked.

    Args:
        cameras: On one trigger line.
        duration: How long the trial was to be, s; None where only the line tells.
    """
    if not cameras:
        return []
    first, last = min(c.t[0] for c in cameras), max(c.t[-1] for c in cameras)
    period = float(np.median([_period(c.t, c.index) for c in cameras]))
    pulses = np.arange(first, last + period / 2, period) if np.isfinite(period) else np.empty(0)
    if duration is not None:
        pulses = pulses[(pulses >= _EDGE_S) & (pulses <= duration - _EDGE_S)]
    return [
        replace(
            c,
            late=int((pulses < c.t[0] - period / 2).sum() + (pulses > c.t[-1] + period / 2).sum()),
        )
        for c in cameras
    ]


def share_pulses(cameras: Sequence[CameraTimes]) -> tuple[list[CameraTimes], float]:
    """Give the frames of one pulse one time: the median of what their cameras' clocks say.

    Args:
        cameras: On one trigger line.

    Returns:
        The cameras, and how far their own times of one pulse lay apart, s, in 95 % of pulses.
        Near half a period it is no more certain which frames are of one pulse: the line is not
        believed, and the cameras stay as they were.
    """
    if len(cameras) < 2:
        return list(cameras), 0.0
    sets = group_frames(cameras)
    spread = float(np.quantile(sets.spread, 0.95))
    if spread > _CERTAIN * sets.tolerance:
        return list(cameras), spread
    there = sets.rows >= 0
    own = np.full(sets.rows.shape, np.nan)
    for column, camera in enumerate(cameras):
        own[there[:, column], column] = camera.t[sets.rows[there[:, column], column]]
    pulses = np.nanmedian(own, axis=1)
    shared = []
    for column, camera in enumerate(cameras):
        t = camera.t.copy()
        t[sets.rows[there[:, column], column]] = pulses[there[:, column]]
        shared.append(replace(camera, t=t))
    return shared, spread


def group_frames(cameras: Sequence[CameraTimes], tolerance: float | None = None) -> FrameSets:
    """Group frames by lab time: each camera's nearest frame to those of the fullest camera.

    Args:
        cameras: At least one, each with a frame.
        tolerance: s; half a period when None.
    """
    anchor = max(cameras, key=lambda c: len(c.t))
    if tolerance is None:
        tolerance = 0.5 * _period(anchor.t, anchor.index)
    rows = np.full((len(anchor.t), len(cameras)), -1)
    times = np.full(rows.shape, np.nan)
    for column, camera in enumerate(cameras):
        right = np.clip(np.searchsorted(camera.t, anchor.t), 1, max(len(camera.t) - 1, 1))
        left = right - 1
        right = np.minimum(right, len(camera.t) - 1)
        nearer_left = np.abs(anchor.t - camera.t[left]) <= np.abs(camera.t[right] - anchor.t)
        nearest = np.where(nearer_left, left, right)
        away = np.abs(camera.t[nearest] - anchor.t)
        # One frame belongs to one set: to the set it is nearest to.
        order = np.lexsort((away, nearest))
        first = np.ones(len(order), bool)
        first[1:] = nearest[order][1:] != nearest[order][:-1]
        owned = np.zeros(len(order), bool)
        owned[order[first]] = True
        taken = owned & (away <= tolerance)
        rows[taken, column] = nearest[taken]
        times[taken, column] = camera.t[nearest[taken]]
    names = tuple(c.camera for c in cameras)
    spread = np.nanmax(times, axis=1) - np.nanmin(times, axis=1)
    return FrameSets(names, rows, np.nanmean(times, axis=1), spread, tolerance)


def sync_error(cameras: Sequence[CameraTimes]) -> tuple[float, float, float]:
    """Return the error between the worst two cameras, s: sigma, bound, and the 95 % half width.

    Cameras on one computer share its clock, so that its error does not come between them.
    """
    worst = (0.0, 0.0, 0.0)
    for a, b in combinations(cameras, 2):
        if a.node == b.node:
            continue
        sigma, bound = float(np.hypot(a.sigma, b.sigma)), a.asymmetry + b.asymmetry
        worst = max(worst, (sigma, bound, 1.96 * sigma + bound), key=lambda w: w[2])
    return worst


def judge(
    cameras: Sequence[CameraTimes],
    clocks: Mapping[str, NodeClock],
    start_lab_ns: int,
    limits: Limits | None = None,
    *,
    one_line: bool = False,
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Judge a trial's frames.

    Args:
        cameras: On the lab's clock.
        clocks: By node.
        start_lab_ns: When the trial was to begin.
        limits: The usual ones when None.
        one_line: Whether all cameras are on one trigger line, and their frames share its pulses: no
            clock comes between them then, as long as it tells one pulse from the next.

    Returns:
        Figures by name with unit suffix, and why the trial is unfit, a sentence each.
    """
    limits = limits or Limits()
    sets = group_frames(cameras)
    skew_limit = sets.tolerance if limits.skew is None else limits.skew
    sigma, bound, half_width = sync_error(cameras)
    skew = float(np.quantile(sets.spread, 0.95))
    figures = {
        "sync_error_95_ms": 1e3 * half_width,
        "sync_sigma_ms": 1e3 * sigma,
        "sync_asymmetry_bound_ms": 1e3 * bound,
        "exposure_spread_95_ms": 1e3 * skew,
        "frames_lost_share": max(c.lost_share for c in cameras),
        "frames_lost_gap_s": max(c.longest_gap for c in cameras),
        "frame_sets_complete_share": sets.complete_share,
    }
    reasons = []
    for camera in cameras:
        if camera.lost_share > limits.lost_share:
            reasons.append(
                f"{camera.camera} lost {camera.lost + camera.late} of "
                f"{len(camera.t) + camera.lost + camera.late} frames "
                f"({camera.lost_share:.1%}); at most {limits.lost_share:.1%} may be lost"
            )
        if len(camera.t) == 1:
            reasons.append(f"{camera.camera} has a single frame: at what rate it ran is not known")
            continue
        gap_limit = max(limits.longest_gap, 2.5 * _period(camera.t, camera.index))
        if camera.longest_gap > gap_limit:
            reasons.append(
                f"{camera.camera} has {1e3 * camera.longest_gap:.0f} ms without a frame; at most "
                f"{1e3 * gap_limit:.0f} ms may be"
            )
    if skew > skew_limit:
        reasons.append(
            f"frames of one set were exposed up to {1e3 * skew:.1f} ms apart; at most "
            f"{1e3 * skew_limit:.1f} ms may be"
        )
    clock_limit = max(limits.sync_error, _CERTAIN * sets.tolerance if one_line else 0.0)
    if half_width > clock_limit:
        reasons.append(
            f"the clocks of two nodes may differ by {1e3 * half_width:.1f} ms; at most "
            f"{1e3 * clock_limit:.1f} ms may be: use a quicker network, or a hardware trigger"
        )
    first = start_lab_ns + int(min(c.t[0] for c in cameras) * 1e9)
    last = start_lab_ns + int(max(c.t[-1] for c in cameras) * 1e9)
    for name in sorted({c.node for c in cameras}):
        reasons += [s.sentence(name) for s in clocks[name].steps_between(first, last)]
    return figures, tuple(reasons)


def _fit_of_each(clock: NodeClock, host_ns: NDArray[np.int64]) -> list:
    if len(clock.fits) == 1:
        return [clock.fits[0]] * len(host_ns)
    return [clock.fit_of(int(stamp)) for stamp in host_ns]


def _period(t: FloatArray, counters: NDArray[np.int64]) -> float:
    """Return the time from one counter to the next, s."""
    if len(t) < 2:
        return float("inf")
    return float(np.median(np.diff(t) / np.maximum(np.diff(counters), 1)))


def _late(t: FloatArray, period: float, duration: float | None) -> int:
    """Count the whole periods without a frame before the first and after the last."""
    if duration is None or not np.isfinite(period):
        return 0
    before, after = t[0] / period, (duration - t[-1]) / period
    # The first and the last may be cut by where the trial's ends fall.
    return max(0, int(before - 1)) + max(0, int(after - 2))
