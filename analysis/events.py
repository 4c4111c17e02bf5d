"""Foot strikes and foot offs of walking and running, sub-frame.

A foot's furthest reach ahead of the pelvis and furthest trail behind it propose one strike and one
off a stride, overground as on a belt, walking as running (Zeni, Richards and Higginson, Gait
Posture 27:710, 2008); the instants themselves are those at which the foot comes to rest on the
ground and leaves it (`analysis.contact`), sought where its speed over the ground falls below a
share of its peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import find_peaks

from analysis.contact import ContactFit, fit_contacts
from analysis.marker_events import find_marker_event
from analysis.segments import Body
from lab.checks import FloatArray
from lab.gait import SIDES, Event

SOURCE = "zeni2008+contact"
# Shares of the foot's peak speed over the ground at which the fit begins to look.
_STRIKE_SHARE = 0.20
_OFF_SHARE = 0.06
_LOOK_S = 0.30
_MIN_STRIDE_S = 0.4
# What the contact model itself leaves of an instant, one standard deviation: each stride's own part
# and the part that all strides of a foot share. It is what remains on simulated walkers and runners
# seen without noise, whose feet do not repeat one curve exactly; noise comes on top.
_MODEL_OWN_S = {"foot_strike": 0.00105, "foot_off": 0.0016}
# A walker's toe leaves so gently that the curve fitted to it begins late.
_MODEL_SHARED_S = {"foot_strike": 0.0005, "foot_off": 0.0005}
_MODEL_SHARED_WALK_S = {"foot_strike": 0.0005, "foot_off": 0.0045}
_MODEL_SEED = 20_260_102
# By so many of its own standard deviations a scatter must pass what it is held against.
_CHANCE_SIGMAS = 2.5
# The toe has to be at rest this much before the heel for the strike to be the toe's.
_TOE_FIRST_S = 0.012


@dataclass(frozen=True, slots=True, eq=False)
class TimedEvents:
    """Events in every replicate.

    Attributes:
        events: N events in order of time, as found in the first replicate.
        t: (B, N) s.
        chi2: Largest misfit of the contact model over feet and kinds, per degree of freedom.
    """

    events: tuple[Event, ...]
    t: FloatArray
    chi2: float


def find_events(
    t: FloatArray,
    body: Body,
    raw: FloatArray,
    cov: FloatArray,
    belt_speed: float,
    activity: str,
) -> TimedEvents:
    """Find the events of both feet.

    Args:
        t: (T,) s.
        body: Smoothed points (1, T, K, 3) m and the progression.
        raw: (B, T, K, 3) m, unsmoothed; the first replicate is the recording itself.
        cov: (T, K, 3, 3) m^2 of the unsmoothed points; NaN where not known.
        belt_speed: m/s, 0 overground.
        activity: walk or run.

    Returns:
        The events; none where the feet or the pelvis are not there.
    """
    found: list[tuple[Event, FloatArray]] = []
    worst = 0.0
    rng = np.random.default_rng(_MODEL_SEED)
    for side in SIDES:
        for kind in ("foot_strike", "foot_off"):
            # A runner's shoe slides on for some frames after it has landed; its fall ends at once.
            landing = kind == "foot_strike" and activity == "run"
            axes = (1,) if landing else (0, 1)
            fits = []
            for joint in ("heel", "foot_index") if kind == "foot_strike" else ("foot_index",):
                name = f"{side}_{joint}"
                if not body.has(name, "left_hip", "right_hip"):
                    continue
                near = _propose(t, body, name, kind, belt_speed)
                if len(near) == 0:
                    continue
                path, variance = ground_path(t, body, raw, cov, name, belt_speed)
                fits.append(fit_contacts(kind, t, path[..., axes], variance[:, axes], near))
            if not fits:
                continue
            fit = _as_draws_say(_with_model_error(_first_to_rest(fits), kind, activity, rng))
            worst = max(worst, fit.chi2 if np.isfinite(cov).any() else 0.0)
            for i in np.flatnonzero(np.isfinite(fit.t[0])):
                event = Event(kind, side, float(fit.t[0, i]), float(fit.sigma[i]), SOURCE)
                found.append((event, fit.t[:, i]))
    found.sort(key=lambda item: item[0].t)
    times = np.stack([f[1] for f in found], axis=1) if found else np.zeros((len(raw), 0))
    return TimedEvents(tuple(f[0] for f in found), times, worst)


def find_marker_events(
    t: FloatArray, body: Body, replicates: int, belt_speed: float, activity: str
) -> TimedEvents:
    """Find the events of both feet from markers (`analysis.marker_events`).

    Args:
        t: (T,) s.
        body: Points (1, T, K, 3) m and the progression.
        replicates: B; every replicate has the same times.
        belt_speed: m/s, 0 overground.
        activity: walk or run.
    """
    found: list[Event] = []
    for side in SIDES:
        if not body.has(f"{side}_heel", f"{side}_foot_index", "left_hip", "right_hip"):
            continue
        for kind, joint in (("foot_strike", "heel"), ("foot_off", "foot_index")):
            for near in _propose(t, body, f"{side}_{joint}", kind, belt_speed):
                event = find_marker_event(t, body, side, kind, activity, float(near))
                if event is not None:
                    found.append(event)
    return hold_events(found, replicates)


def hold_events(events: Sequence[Event], replicates: int) -> TimedEvents:
    """Hold events at the same times in every replicate, in order of time."""
    ordered = tuple(sorted(events, key=lambda e: e.t))
    times = np.broadcast_to([e.t for e in ordered], (replicates, len(ordered))).astype(float)
    return TimedEvents(ordered, times, float("nan"))


def ground_path(
    t: FloatArray, body: Body, raw: FloatArray, cov: FloatArray, name: str, belt_speed: float
) -> tuple[FloatArray, FloatArray]:
    """Return a point's path (B, T, 2) m, forward over the ground or belt and up, and variance.

    The variance is (T, 2) m^2 of the two components.
    """
    k = list(body.names).index(name)
    forward = np.broadcast_to(body.forward[0], (len(t), 3))
    path = np.stack([(raw[:, :, k] * forward).sum(-1) + belt_speed * t, raw[:, :, k, 2]], axis=-1)
    along = np.einsum("ti,tij,tj->t", forward, cov[:, k], forward)
    return path, np.stack([along, cov[:, k, 2, 2]], axis=-1)


def _first_to_rest(fits: list[ContactFit]) -> ContactFit:
    """Choose the heel, unless the toe comes to rest clearly earlier in most strides."""
    if len(fits) == 1:
        return fits[0]
    heel, toe = (fit.t[0][np.isfinite(fit.t[0])] for fit in fits)
    if not len(heel) or not len(toe):
        return fits[0] if len(heel) else fits[1]
    nearest = toe[np.abs(toe - heel[:, None]).argmin(axis=1)]
    return fits[1] if float(np.median(heel - nearest)) > _TOE_FIRST_S else fits[0]


def _with_model_error(
    fit: ContactFit, kind: str, activity: str, rng: np.random.Generator
) -> ContactFit:
    """Add the error of the contact model to the replicates, in antithetic pairs, and to sigma."""
    pairs, strides = (len(fit.t) - 1) // 2, fit.t.shape[1]
    own = _MODEL_OWN_S[kind]
    shared = (_MODEL_SHARED_WALK_S if activity == "walk" else _MODEL_SHARED_S)[kind]
    draws = own * rng.standard_normal((pairs, strides))
    draws += shared * rng.standard_normal((pairs, 1))
    return ContactFit(
        fit.t + np.concatenate([np.zeros((1, strides)), draws, -draws]),
        np.sqrt(fit.sigma**2 + own**2 + shared**2),
        fit.chi2,
    )


def _as_draws_say(fit: ContactFit) -> ContactFit:
    """Raise sigma to what the draws of errors do, where that is more than chance makes of it.

    The fit knows of noise that is new in every frame. The draws may hold more: noise that lasts,
    the calibration, ties of plates.
    """
    pairs = (len(fit.t) - 1) // 2
    if not pairs:
        return fit
    scatter = np.sqrt(np.mean(((fit.t[1 : 1 + pairs] - fit.t[1 + pairs :]) / 2) ** 2, axis=0))
    more = scatter > (1 + _CHANCE_SIGMAS / np.sqrt(2 * pairs)) * fit.sigma
    return replace(fit, sigma=np.where(more, scatter, fit.sigma))


def _propose(t: FloatArray, body: Body, name: str, kind: str, belt_speed: float) -> FloatArray:
    """Return rough instants (N,) s."""
    point = body.point(name)[0]
    forward = np.broadcast_to(body.forward[0], point.shape)
    seen = np.isfinite(point).all(-1) & np.isfinite(body.middle("hip")[0]).all(-1)
    if seen.sum() < 10:
        return np.zeros(0)
    reach = ((point - body.middle("hip")[0]) * forward).sum(-1)
    filled = np.interp(t, t[seen], reach[seen])
    sign = 1.0 if kind == "foot_strike" else -1.0
    frame = float(np.median(np.diff(t)))
    swing = np.ptp(filled)
    tops, _ = find_peaks(
        sign * filled, prominence=0.4 * swing, distance=max(int(_MIN_STRIDE_S / frame), 1)
    )
    along = (point * forward).sum(-1) + belt_speed * t
    speed = np.hypot(np.gradient(along, t), np.gradient(point[:, 2], t))
    top_speed = float(np.nanpercentile(speed, 98))
    share = _STRIKE_SHARE if kind == "foot_strike" else _OFF_SHARE
    limit = share * top_speed
    near = []
    for top in tops:
        span = int(_LOOK_S / frame)
        if kind == "foot_strike":
            window = slice(max(top - span // 4, 0), top + span)
            slow = np.flatnonzero(speed[window] < limit)
            if len(slow):
                near.append(_crossing(t, speed, window.start + slow[0], limit))
        else:
            window = slice(max(top - span, 0), top + 1)
            slow = np.flatnonzero(speed[window] < limit)
            if len(slow) and window.start + slow[-1] + 1 < len(t):
                near.append(_crossing(t, speed, window.start + slow[-1] + 1, limit))
    keep = [n for n in near if seen[int(np.argmin(np.abs(t - n)))]]
    return np.array(sorted(set(keep)))


def _crossing(t: FloatArray, speed: FloatArray, after: int, limit: float) -> float:
    """Return when the speed crosses the limit between a sample and the one before it."""
    if after == 0 or not np.isfinite(speed[after - 1 : after + 1]).all():
        return float(t[after])
    a, b = speed[after - 1], speed[after]
    if a == b or not min(a, b) <= limit <= max(a, b):
        return float(t[after])
    return float(t[after - 1] + (limit - a) / (b - a) * (t[after] - t[after - 1]))
