"""Foot strikes and foot offs from markers worn on the heel and on the forefoot.

A marker behind the toes leaves the ground well before the foot does, so rest on the ground says
nothing of it; published features of the markers' vertical motion do. Strike: the foot centre's
greatest downward velocity (O'Connor et al., Gait Posture 25:469, 2007, who found 16 +- 15 ms
against force plates). Off in walking: its greatest upward velocity (the same, 9 +- 15 ms); in
running: the forefoot marker's greatest upward acceleration (after Leitch et al., Gait Posture
33:130, 2011).
"""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, sosfiltfilt

from analysis.segments import Body
from lab.checks import FloatArray
from lab.gait import Event

# The published standard deviation of the first two against force plates.
SIGMA_S = 0.015
_CUTOFF_HZ = 12.0
_BEFORE_S = {"foot_strike": 0.07, "foot_off": 0.02}
_AFTER_S = {"foot_strike": 0.06, "foot_off": 0.12}


def find_marker_event(
    t: FloatArray, body: Body, side: str, kind: str, activity: str, near: float
) -> Event | None:
    """Find one event near a time; None where the markers are missing around it.

    Args:
        t: (T,) s, evenly spaced.
        body: Points (1, T, K, 3) m.
        side: left or right.
        kind: foot_strike or foot_off.
        activity: walk or run.
        near: s, where the foot's speed over the ground passes its threshold.
    """
    heel, toe = (body.point(f"{side}_{p}")[0, :, 2] for p in ("heel", "foot_index"))
    inside = np.flatnonzero((t >= near - _BEFORE_S[kind]) & (t <= near + _AFTER_S[kind]))
    if len(inside) < 3 or inside[0] == 0 or inside[-1] == len(t) - 1:
        return None
    span = slice(max(inside[0] - 3, 0), inside[-1] + 4)
    if not (np.isfinite(heel[span]).all() and np.isfinite(toe[span]).all()):
        return None
    if kind == "foot_off" and activity == "run":
        feature = np.gradient(np.gradient(_lowpass(t, toe), t), t)
        source = "leitch2011"
    else:
        feature = np.gradient(_lowpass(t, (heel + toe) / 2), t)
        feature = feature if kind == "foot_off" else -feature
        source = "oconnor2007"
    top = inside[int(np.argmax(feature[inside]))]
    if top in (0, len(t) - 1):
        return None
    a, b, c = feature[top - 1 : top + 2]
    bend = a - 2 * b + c
    shift = float(np.clip((a - c) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
    when = float(t[top] + shift * (t[top + 1] - t[top]))
    return Event(kind, side, when, SIGMA_S, source)


def _lowpass(t: FloatArray, height: FloatArray) -> FloatArray:
    """Second-order Butterworth, forward and backward, over gaps bridged by straight lines."""
    rate = (len(t) - 1) / (t[-1] - t[0])
    seen = np.isfinite(height)
    bridged = np.interp(t, t[seen], height[seen])
    if rate <= 2.2 * _CUTOFF_HZ:
        return bridged
    sections = butter(2, _CUTOFF_HZ / (rate / 2), output="sos")
    return sosfiltfilt(sections, bridged)
