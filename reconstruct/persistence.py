"""How long what the cameras get wrong of a joint lasts, from the residuals of a trial.

A pose network errs alike in neighbouring frames, and part of it alike throughout: a knee seen too
far forward is so in every frame of a stance. Noise that is new in every frame averages out over a
stance; this does not. The residuals tell it where the cameras err each in its own way: the
autocorrelation of a joint's residuals over time is that of its noise. It is put down as a mixture:
with shares w of the variance,

    rho(lag) = w_0 [lag = 0] + sum_i w_i exp(-lag / tau_i),

w >= 0 found by least squares (Lawson and Hanson, Solving Least Squares Problems, 1974, chapter 23),
so that it is the autocorrelation of something that can be drawn. An error of the calibration lasts,
too; it is drawn elsewhere, and what it makes of the residuals is taken off first.

What all cameras get wrong together in space (a hip that every view places too low) leaves no
residual, and cannot be known from a trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import nnls

from lab.checks import FloatArray
from lab.cores import each_over_cores
from lab.rig import Rig
from reconstruct.associate import AlignedKeypoints
from reconstruct.consensus import GOOD
from reconstruct.optics import COMPILED
from reconstruct.swaps import exchange
from reconstruct.triangulate import Reconstruction

# Time constants, s; the last lasts throughout.
TIMES_S = (0.02, 0.05, 0.12, 0.3, 0.8, np.inf)
_LONGEST_S = 3.0
_LAGS = 24
# A joint's noise is taken as new in every frame unless a correlation is this many standard errors
# beyond what the calibration makes of it.
_SURE = 4.0
_LEAST_PAIRS = 200
_LEAST_VIEWS = 3
_RIG_FRAMES = 60


@dataclass(frozen=True, slots=True, eq=False)
class Persistence:
    """What lasts of the noise of K joints.

    Attributes:
        share: (K, M) of the variance, by time constant; the rest is new in every frame.
        times_s: (M,) s; infinite for what lasts throughout.
    """

    share: FloatArray
    times_s: FloatArray

    def draw(
        self, rng: np.random.Generator, t: FloatArray, k: int, count: int, width: int = 3
    ) -> FloatArray:
        """Draw standard normal noise of joint k that lasts as its own does, (count, T, width).

        Args:
            rng: Where chance comes from.
            t: (T,) s.
            k: Which joint.
            count: Number of draws.
            width: Numbers a frame, independent of each other.
        """
        new = max(1.0 - float(self.share[k].sum()), 0.0)
        result = np.sqrt(new) * rng.standard_normal((count, len(t), width))
        for share, lasting in zip(self.share[k], self.times_s, strict=True):
            if share > 0:
                fresh = rng.standard_normal((count, len(t), width))
                _carry_on(np.exp(-np.diff(t, prepend=t[0]) / lasting), fresh)
                result += np.sqrt(share) * fresh
        return result

    def of_groups(self, groups: Sequence[Sequence[int]]) -> Persistence:
        """Return the mean of the joints of each group, as if a group were one joint."""
        share = [self.share[list(group)].mean(0) for group in groups]
        return Persistence(np.array(share).reshape(-1, len(self.times_s)), self.times_s)

    def of_all(self) -> float:
        """Return the share of the variance that lasts over frames, mean of the joints."""
        return float(self.share.sum(1).mean()) if len(self.share) else 0.0


@njit(**COMPILED)
def _carry_on(kept: FloatArray, x: FloatArray) -> None:
    """Make white noise (n, T, m) that of a first-order process, in place.

    Args:
        kept: (T,) correlation of each value with the one before it.
        x: Overwritten.
    """
    for b in range(len(x)):
        for i in range(1, len(kept)):
            new = np.sqrt(1 - kept[i] * kept[i])
            for j in range(x.shape[2]):
                x[b, i, j] = kept[i] * x[b, i - 1, j] + new * x[b, i, j]


def no_persistence(count: int) -> Persistence:
    """Return that the noise of so many joints is new in every frame."""
    return Persistence(np.zeros((count, len(TIMES_S))), np.array(TIMES_S))


def find_persistence(rig: Rig, aligned: AlignedKeypoints, result: Reconstruction) -> Persistence:
    """Find how long the noise of each joint lasts.

    Points of three views and more count. A joint with few of them, or without a correlation beyond
    chance, is taken to have noise that is new in every frame.

    Args:
        rig: The cameras.
        aligned: The keypoints at common times, with exchanged sides as they came.
        result: What was made of them.
    """
    joints = len(aligned.names)
    z = _whitened(rig, exchange(aligned, result.swapped), result)
    rows, step = _even_rows(aligned.t)
    if step == 0.0:
        return no_persistence(joints)
    even = np.full((len(z), rows[-1] + 1, joints, 2), np.nan)
    even[:, rows] = z
    calibration = _of_calibration(rig, result)
    longest = min(int(_LONGEST_S / step), len(even[0]) // 2)
    if longest < 1:
        return no_persistence(joints)
    lags = np.unique(np.round(np.geomspace(1, longest, _LAGS)).astype(int))
    basis = np.exp(-np.outer(lags * step, 1 / np.array(TIMES_S)))
    free = _free(result)
    share = each_over_cores(
        lambda k: _shares(even[:, :, k], lags, basis, calibration[k], free[k]), joints
    )
    return Persistence(np.array(share).reshape(joints, -1), np.array(TIMES_S))


def _shares(
    z: FloatArray,
    lags: NDArray[np.int64],
    basis: FloatArray,
    calibration: float,
    free: float,
) -> FloatArray:
    """Return the shares (M,) of one joint.

    Args:
        z: (C, T, 2) residuals in standard deviations of the noise.
        lags: (L,) frames.
        basis: (L, M) what each time constant leaves after each lag.
        calibration: Mean square that the calibration makes.
        free: Independent part of the residuals of a point.
    """
    nothing = np.zeros(basis.shape[1])
    seen = np.isfinite(z)
    if seen.sum() < _LEAST_PAIRS:
        return nothing
    variance = float(np.mean(z[seen] ** 2)) - calibration
    rho, pairs = np.zeros(len(lags)), np.zeros(len(lags))
    for i, lag in enumerate(lags):
        both = seen[:, lag:] & seen[:, :-lag]
        pairs[i] = both.sum()
        if pairs[i]:
            rho[i] = float(np.mean(z[:, lag:][both] * z[:, :-lag][both])) - calibration
    if not variance > 0:
        return nothing
    rho /= variance
    known = pairs >= _LEAST_PAIRS
    error = 1 / np.sqrt(np.maximum(pairs * free, 1.0))
    if not (rho > _SURE * error + calibration / variance)[known].any():
        return nothing
    root = 1 / error[known]
    share = nnls(basis[known] * root[:, None], rho[known] * root)[0]
    return share / max(1.0, share.sum())


def _free(result: Reconstruction) -> FloatArray:
    """Return which part (K,) of the numbers that make points of three views and more is spare."""
    views = np.where(result.views >= _LEAST_VIEWS, result.views, 0).astype(float)
    total = 2 * views.sum(0)
    return np.where(total > 0, 1 - 3 * (views > 0).sum(0) / np.maximum(total, 1), 0.0)


def _whitened(rig: Rig, aligned: AlignedKeypoints, result: Reconstruction) -> FloatArray:
    """Return residuals (C, T, K, 2) in standard deviations of the noise; NaN where not used."""
    z = np.full(aligned.xy_px.shape, np.nan)
    enough = (result.views >= _LEAST_VIEWS) & (result.status == GOOD)
    for c, name in enumerate(aligned.cameras):
        information = result.information_px[c]
        on = enough & (information[..., 0] > 0)
        r = aligned.xy_px[c][on] - rig.camera(name).project(result.points.xyz[on])
        z[c][on] = _whiten(information[on], r)
    return z


def _whiten(information: FloatArray, r: FloatArray) -> FloatArray:
    """Return residuals (n, 2) times the Cholesky factor of their information (n, 3)."""
    root = np.sqrt(information[:, 0])
    low = information[:, 1] / root
    rest = np.sqrt(np.maximum(information[:, 2] - low**2, 0.0))
    return np.stack([root * r[:, 0] + low * r[:, 1], rest * r[:, 1]], axis=1)


def _even_rows(t: FloatArray) -> tuple[NDArray[np.int64], float]:
    """Return where each time stands on an even grid, and the grid's step, s (0 with one time)."""
    if len(t) < 2:
        return np.zeros(len(t), np.int64), 0.0
    step = float(np.median(np.diff(t)))
    return np.round((t - t[0]) / step).astype(np.int64), step


def _of_calibration(rig: Rig, result: Reconstruction) -> FloatArray:
    """Return the mean square (K,) of whitened residuals that the calibration's error makes."""
    frames, joints = result.status.shape
    if not rig.has_covariance:
        return np.zeros(joints)
    some = np.unique(np.linspace(0, frames - 1, min(frames, _RIG_FRAMES)).astype(int))
    result = result.at_frames(some)
    on = (result.views >= _LEAST_VIEWS) & (result.status == GOOD)
    values, vectors = np.linalg.eigh(rig.cov)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    moved = result.rig_sensitivity(rig)[on] @ root
    slices = dict(zip(rig.names, rig.parameter_slices(), strict=True))
    joint = np.nonzero(on)[1]
    total, count = np.zeros(joints), np.zeros(joints)
    for c, name in enumerate(result.cameras):
        seen = rig.camera(name).project_with_jacobians(result.points.xyz[on])
        information = result.information_px[c][on]
        used = information[:, 0] > 0
        by_parameters = np.concatenate([seen.by_pose, seen.by_intrinsics], axis=-1)
        off = by_parameters @ root[slices[name]] + seen.by_point @ moved
        xx, xy, yy = information.T
        x, y = off[:, 0], off[:, 1]
        square = xx * (x**2).sum(1) + 2 * xy * (x * y).sum(1) + yy * (y**2).sum(1)
        np.add.at(total, joint[used], square[used])
        np.add.at(count, joint[used], 2.0)
    return total / np.maximum(count, 1.0)
