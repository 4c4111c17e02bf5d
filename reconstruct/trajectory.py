"""Paths in continuous time, each from what every camera saw at its own times, with covariance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from lab.camera import Camera
from lab.checks import FloatArray
from lab.cores import each_over_cores
from reconstruct import path_system
from reconstruct.optics import middle_of, pack
from reconstruct.path_system import ORDER, WINDOW
from reconstruct.spline_system import half_gain_weight, weight_of_half_gain

# Fewer observations than this, a stretch, hold no path.
_LEAST_NODES = WINDOW + 1
_FASTEST = 3.0  # cut-off, rad per step
_SLOWEST_PART = 0.005  # lowest cut-off tried, of the highest
_TOLERANCE = 0.02  # of ln(lam)
_STEPS = 3  # of Gauss-Newton, from a triangulated start


@dataclass(frozen=True, slots=True, eq=False)
class Sights:
    """What cameras saw of one point, each at its own time.

    Attributes:
        camera: (n,) number of the camera.
        t: (n,) s.
        xy_px: (n, 2).
        information: (n, 3) xx, xy, yy of the inverse covariance, 1/px^2.
    """

    camera: NDArray[np.int64]
    t: FloatArray
    xy_px: FloatArray
    information: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The path of one point.

    Attributes:
        nodes: (N,) numbers of the nodes it passes, rising; a jump parts stretches.
        xyz: (N, 3) m.
        cov: (N, WINDOW, 3, 3) m^2, what the smoothing spline leaves open where the movement is as
            rough as it is on average: of each node with itself and with the next ones.
        cutoff_hz: Frequency at which half of the amplitude passes.
        scale: Variance of the noise over that given.
    """

    nodes: NDArray[np.int64]
    xyz: FloatArray
    cov: FloatArray
    cutoff_hz: float
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class Trajectories:
    """Paths of K points.

    Attributes:
        start: s, time of node 0.
        step_s: s between nodes.
        paths: One a point; None where it was not seen for long enough.
    """

    start: float
    step_s: float
    paths: tuple[Path | None, ...]

    def at(self, t: Any, k: int) -> FloatArray:
        """Return where point k is at times t (...), (..., 3) m; NaN off its path."""
        t = np.asarray(t, float)
        path = self.paths[k]
        if path is None:
            return np.full((*t.shape, 3), np.nan)
        first, weight, inside = _place((t.ravel() - self.start) / self.step_s, path.nodes)
        xyz = np.einsum("nw,nwj->nj", weight, path.xyz[first[:, None] + np.arange(WINDOW)])
        xyz[~inside] = np.nan
        return xyz.reshape(*t.shape, 3)

    def way_covariance(self, start: Any, end: Any, k: int) -> FloatArray:
        """Return what is open of the way from one time to another, (n, 3, 3) m^2; NaN off the path.

        Far less than what is open of either end, as their errors are nearly the same. From the two
        nodes that are as far apart as the times, at most three steps.

        Args:
            start: (n,) s.
            end: (n,) s.
            k: Which point.
        """
        path = self.paths[k]
        p, q = ((np.asarray(t, float) - self.start) / self.step_s for t in (start, end))
        result = np.full((len(p), 3, 3), np.nan)
        if path is None:
            return result
        apart = np.abs(p - q)
        known = np.isfinite(apart)
        for side in (p, q):
            known[known] = _place(side[known], path.nodes)[2]
        lag = np.clip(np.round(np.nan_to_num(apart)), 1, WINDOW - 1).astype(np.int64)
        middle = np.nan_to_num((p + q) / 2)
        at = np.searchsorted(path.nodes, np.round(middle - lag / 2))
        at = np.clip(at, 0, len(path.nodes) - 1 - lag)
        between = path.cov[at, lag]
        both = path.cov[at, 0] + path.cov[at + lag, 0] - between - between.swapaxes(1, 2)
        result[known] = (both * ((apart / lag) ** 2)[:, None, None])[known]
        return result


def _place(
    position: FloatArray, nodes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], FloatArray, NDArray[np.bool_]]:
    """Return the first of the four nodes about each position, their weights, and whether inside.

    Args:
        position: (n,) in steps from node 0; NaN is outside.
        nodes: (N,) rising numbers in stretches of at least four.
    """
    ends = np.flatnonzero(np.diff(nodes) > 1)
    begins = np.concatenate([[0], ends + 1])
    lasts = np.concatenate([ends, [len(nodes) - 1]])
    held = np.nan_to_num(position, nan=-1.0)
    stretch = np.clip(np.searchsorted(nodes[begins], held, side="right") - 1, 0, None)
    begin, last = begins[stretch], lasts[stretch]
    inside = (held >= nodes[begin]) & (held <= nodes[last])
    offset = np.clip(held - nodes[begin], 0, last - begin)
    low = np.clip(np.floor(offset).astype(np.int64) - 1, 0, last - begin - WINDOW + 1)
    u = offset - low
    weight = np.ones((len(u), WINDOW))
    for i in range(WINDOW):
        for j in range(WINDOW):
            if i != j:
                weight[:, i] *= (u - j) / (i - j)
    return begin + low, weight, inside


def fit_trajectories(
    cameras: tuple[Camera, ...],
    sights: tuple[Sights, ...],
    guess: tuple[tuple[FloatArray, FloatArray], ...],
    *,
    step_s: float,
    margin_s: float,
    max_gap_s: float,
    fastest_hz: float,
    undersmooth: float = 1.0,
) -> Trajectories:
    """Fit the path of each point to what all cameras saw of it at their own times.

    How rough the movement is comes from the data (restricted maximum likelihood), as in
    `reconstruct.smooth`, and so is twicing. What all cameras see between frames keeps a foot strike
    sharp without more bandwidth than that.

    Args:
        cameras: C.
        sights: One a point: the observations that are to be believed.
        guess: One a point: times (m,) s and places (m, 3) m, triangulated; the path goes from
            the first to the last of them, and is parted where they are further apart than the
            limit.
        step_s: Between nodes, s.
        margin_s: By how much a path goes on before the first and after the last place, s.
        max_gap_s: Longest gap in the guess that is bridged, s.
        fastest_hz: Highest cut-off allowed.
        undersmooth: Factor on the cut-off that the data ask for.
    """
    packed, middle = pack(cameras), middle_of(cameras)
    start = min((float(g[0][0]) for g in guess if len(g[0])), default=0.0)

    def fit(k: int) -> Path | None:
        t, places = guess[k]
        if len(t) <= ORDER:
            return None
        nodes = _nodes((t - start) / step_s, margin_s / step_s, max_gap_s / step_s)
        if not len(nodes):
            return None
        times = start + nodes * step_s
        x = np.stack([np.interp(times, t, places[:, j]) for j in range(3)], axis=1) - middle
        position = (sights[k].t - start) / step_s
        path = _fit_path(packed, sights[k], position, nodes, x, fastest_hz * step_s, undersmooth)
        if path is None:
            return None
        return replace(path, xyz=path.xyz + middle, cutoff_hz=path.cutoff_hz / step_s)

    return Trajectories(start, step_s, tuple(each_over_cores(fit, len(sights))))


def _nodes(position: FloatArray, margin: float, max_gap: float) -> NDArray[np.int64]:
    """Return the nodes of each stretch of places, all counted in steps."""
    parts = np.split(position, np.flatnonzero(np.diff(position) > max_gap * (1 + 1e-6)) + 1)
    runs: list[NDArray[np.int64]] = []
    for part in parts:
        low = int(np.floor(part[0] - margin + 1e-6))
        high = int(np.ceil(part[-1] + margin - 1e-6))
        if runs and low <= runs[-1][-1] + 1:
            low = int(runs[-1][-1]) + 2  # a stretch of its own
        if len(part) > 1 and high - low + 1 >= _LEAST_NODES:
            runs.append(np.arange(low, high + 1))
    return np.concatenate(runs) if runs else np.empty(0, np.int64)


def _fit_path(
    packed: FloatArray,
    sights: Sights,
    position: FloatArray,
    nodes: NDArray[np.int64],
    x: FloatArray,
    fastest: float,
    undersmooth: float,
) -> Path | None:
    """Fit one path from a start x (N, 3); times, and the cut-off, counted in steps."""
    first, weight, inside = _place(position, nodes)
    camera, xy_px = sights.camera[inside], np.ascontiguousarray(sights.xy_px[inside])
    information = np.ascontiguousarray(sights.information[inside])
    first, weight = first[inside], np.ascontiguousarray(weight[inside])
    stretches = 1 + int((np.diff(nodes) > 1).sum())
    freedom = 2.0 * len(camera) - 3 * ORDER * stretches
    if freedom <= 0:
        return None
    tied = nodes[WINDOW - 1 :] - nodes[: 1 - WINDOW] == WINDOW - 1
    rank = 3.0 * float(tied.sum())
    a, g = np.empty((3 * len(nodes), path_system.BAND)), np.empty(3 * len(nodes))
    seen = (packed, camera, xy_px, information, first, weight)
    misfit = path_system.gather(*seen, x, a, g)
    size = float(a[:, 0].mean())
    low = np.log(size * weight_of_half_gain(min(2 * np.pi * fastest, _FASTEST), ORDER))
    high = np.log(size * weight_of_half_gain(2 * np.pi * fastest * _SLOWEST_PART, ORDER))

    def badness(log_lam: float) -> float:
        lam = float(np.exp(log_lam))
        return path_system.deviance(a, g, misfit, x, tied, lam, freedom, rank)[0]

    best = minimize_scalar(
        badness, bounds=(low, high), method="bounded", options={"xatol": _TOLERANCE}
    )
    lam = float(np.exp(best.x))
    scale = path_system.deviance(a, g, misfit, x, tied, lam, freedom, rank)[1]
    cov = scale * path_system.spread(a, tied, lam)
    lam *= undersmooth ** (-2 * ORDER)
    for _ in range(_STEPS):
        step = path_system.deviance(a, g, misfit, x, tied, lam, freedom, rank)[2]
        x = x + step.reshape(x.shape)
        misfit = path_system.gather(*seen, x, a, g)
    x = x + path_system.echo(a, g, tied, lam).reshape(x.shape)
    if not np.isfinite(x).all():
        return None
    cutoff = half_gain_weight(lam / size, ORDER) / (2 * np.pi)
    return Path(nodes, x, cov, cutoff, float(scale))
