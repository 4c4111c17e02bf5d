"""Smoothing trajectories with the roughness that the data themselves show, and with covariance.

Each point is fitted by a discrete smoothing spline. With y the measured positions, C their
covariances and D the divided differences of third order over the (possibly uneven) sample times,
x minimises

    sum (y - x)' C^-1 (y - x) + lam |D x|^2

(Whittaker, Proc Edinburgh Math Soc 41:63, 1923; Reinsch, Numer Math 10:177, 1967). This is the
posterior mean when the jerk is white noise, so lam is found by restricted maximum likelihood,
with the scale of C left free (Wahba, Ann Statist 13:1378, 1985): errors that last over
many frames look like movement and are not taken for noise. "Twicing" (Tukey, Exploratory Data
Analysis, 1977; Stuetzle and Mittal, 1979) adds the smoothed residual, so that the bias
at low frequencies goes with the twelfth power of frequency, not the sixth.

The result is linear in y once lam is found: the same operator serves the data and any replicate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from lab.checks import FloatArray
from lab.points import Points3D
from reconstruct.persistence import Persistence, no_persistence
from reconstruct.spline_system import SplineSystem, half_gain_weight, weight_of_half_gain

MAX_GAP_S = 0.1
ORDER = 3
# The likelihood balances variance against bias where the movement is rough on average. Half as much
# bandwidth again costs a fifth of the noise and halves the bias where a foot strikes.
UNDERSMOOTH = 1.5
# A stretch with fewer seen frames than this beyond the order holds no curve worth smoothing.
_SPARE_FRAMES = 2
_TOLERANCE = 0.02  # of ln(lam): a sixth of it in the cut-off
_SLOWEST = 0.02  # lowest cut-off tried, rad per sample
_FASTEST = 4.0  # highest (above the Nyquist frequency: practically no smoothing)
_REACH = 1e-4  # part of an impulse's response that the covariance may leave out


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    system: SplineSystem
    cov: FloatArray  # (n, 3, 3) of the seen frames, as used
    scale: float
    cutoff: float


class Smoother:
    """The smoother of one recording, a linear operator for each point.

    A gap no longer than `max_gap_s` (from the last frame seen to the next) is bridged; a longer
    one stays NaN and parts the trajectory in stretches that know nothing of each other. Stretches
    of fewer than `order` + 2 seen frames, and what lies before the first and after the last seen
    frame, are NaN.

    Args:
        points: Unsmoothed points, NaN where not seen. Where a point's covariance is NaN its noise
            is taken as equal in all directions and frames, and estimated.
        max_gap_s: Longest gap to bridge, s.
        order: Order of the differences whose squares are kept small.
        persistence: How long the noise of each point lasts; None where it is new in every frame.
        undersmooth: Factor on the cut-off frequency that the data ask for; above 1 trades
            variance for less bias.

    Attributes:
        estimated: (K,) whether the covariance was estimated, not given.
        sigma: (K,) m, the estimated noise of such points; NaN for the others.
        scale: (K,) the variance of the frame-to-frame noise over that of the given covariances
            (1 where they fit; less where errors last over many frames); NaN for points not
            smoothed and for those whose covariance was estimated.
        cutoff_hz: (K,) frequency at which half of the amplitude passes, at the median noise of
            the point; NaN for points without a stretch long enough.

    Raises:
        ValueError: For arguments out of range.
    """

    def __init__(
        self,
        points: Points3D,
        *,
        max_gap_s: float = MAX_GAP_S,
        order: int = ORDER,
        undersmooth: float = UNDERSMOOTH,
        persistence: Persistence | None = None,
    ) -> None:
        if not (max_gap_s >= 0 and order in (2, 3) and undersmooth > 0):
            raise ValueError("Smoother: max_gap_s >= 0, order 2 or 3, undersmooth > 0")
        self._raw = points
        count = len(points.names)
        self._lasting = no_persistence(count) if persistence is None else persistence
        self.estimated = np.zeros(count, bool)
        self.sigma = np.full(count, np.nan)
        self.scale = np.full(count, np.nan)
        self.cutoff_hz = np.full(count, np.nan)
        self._fits: list[_Fit | None] = []
        for k in range(count):
            fit = _fit(points, k, max_gap_s, order, undersmooth)
            self._fits.append(fit)
            if fit is None:
                continue
            self.estimated[k] = _unknown_noise(points, k)
            if self.estimated[k]:
                self.sigma[k] = np.sqrt(fit.scale)
            else:
                self.scale[k] = fit.scale
            self.cutoff_hz[k] = fit.cutoff

    def apply(self, xyz: FloatArray) -> FloatArray:
        """Smooth replicates of the recording by the same operator.

        Args:
            xyz: (B, T, K, 3) m; what lies where the recording itself is NaN is not used.

        Returns:
            (B, T, K, 3) m, NaN in the same places as `points`.
        """
        xyz = np.asarray(xyz, float)
        if xyz.ndim != 4 or xyz.shape[1:] != self._raw.xyz.shape:
            raise ValueError(f"Smoother.apply: expected (B, *{self._raw.xyz.shape})")
        result = np.full(xyz.shape, np.nan)
        for k, fit in enumerate(self._fits):
            if fit is not None:
                seen = fit.system.seen_frames
                result[:, fit.system.frames, k] = fit.system.smooth(xyz[:, seen, k])
        return result

    @cached_property
    def points(self) -> Points3D:
        """The smoothed points; their covariance is that of the smoothed noise of the frames.

        It holds no part for what smoothing takes from the movement itself. Noise that lasts is
        smoothed away the less, the longer it lasts.
        """
        cov = np.full(self._raw.cov.shape, np.nan)
        for k, fit in enumerate(self._fits):
            if fit is not None:
                cov[fit.system.frames, k] = fit.system.smoothed_covariance(
                    fit.cov, _REACH, self._lasting.share[k], self._lasting.times_s
                )
        return Points3D(self._raw.names, self._raw.t, self.apply(self._raw.xyz[None])[0], cov)


def _unknown_noise(points: Points3D, k: int) -> bool:
    seen = np.isfinite(points.xyz[:, k]).all(-1)
    return not np.isfinite(points.cov[seen, k]).all()


def _fit(points: Points3D, k: int, max_gap_s: float, order: int, undersmooth: float) -> _Fit | None:
    stretches = _stretches(points.t, points.xyz[:, k], max_gap_s, order + _SPARE_FRAMES)
    if not stretches:
        return None
    seen = np.concatenate(stretches)
    unknown = _unknown_noise(points, k)
    cov = np.tile(np.eye(3), (len(seen), 1, 1)) if unknown else points.cov[seen, k]
    # Scaled to about one, so that one range of lam serves every lab and unit.
    size = 1.0 if unknown else float(np.median(np.trace(cov, axis1=1, axis2=2)) / 3)
    system = SplineSystem(
        points.t, stretches, np.asarray(np.linalg.inv(cov / size), np.float64), order
    )
    y = points.xyz[seen, k]
    low = np.log(weight_of_half_gain(_FASTEST, order))
    high = np.log(weight_of_half_gain(_SLOWEST, order))
    best = minimize_scalar(
        lambda log_lam: system.deviance(np.exp(log_lam), y)[0],
        bounds=(low, high),
        method="bounded",
        options={"xatol": _TOLERANCE},
    )
    lam = float(np.exp(best.x))
    scale = system.deviance(lam, y)[1] / size
    if unknown:
        cov = cov * scale
    lam *= undersmooth ** (-2 * order)
    system.factor(lam)
    return _Fit(system, cov, scale, half_gain_weight(lam, order) / (2 * np.pi * system.step_s))


def _stretches(
    t: FloatArray, xyz: FloatArray, max_gap_s: float, least: int
) -> list[NDArray[np.intp]]:
    """Return the seen frames of each stretch without a gap longer than the limit."""
    seen = np.flatnonzero(np.isfinite(xyz).all(-1))
    # A hair more than the limit is rounding of the times, not a longer gap.
    far = np.diff(t[seen]) > max(max_gap_s, 0.0) * (1 + 1e-6)
    # Neighbouring frames are no gap, however slow the recording.
    far &= np.diff(seen) > 1
    return [part for part in np.split(seen, np.flatnonzero(far) + 1) if len(part) >= least]
