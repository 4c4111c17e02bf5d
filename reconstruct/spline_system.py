"""The banded linear system of a discrete smoothing spline over points in space."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.sparse import csr_array

from lab.checks import FloatArray
from reconstruct.spline_columns import penalty_taps, smooth_twice, solver_rows
from reconstruct.spline_lasting import add_lasting

# Twicing passes 1 - (1 - s)^2 where one pass passes s: a half at s = 1 - sqrt(1/2).
_HALF_GAIN = 1 / (1 - np.sqrt(0.5)) - 1


def half_gain_weight(lam: float, order: int) -> float:
    """Return the angular frequency (rad per sample) that twicing halves, for unit noise.

    On even times an oscillation of frequency w has the penalty (2 sin(w/2))^(2 order); pi where
    even the Nyquist frequency passes by more than half.
    """
    return float(2 * np.arcsin(min(1.0, (_HALF_GAIN / lam) ** (1 / (2 * order)) / 2)))


def weight_of_half_gain(frequency: float, order: int) -> float:
    """Return the lam for which an oscillation with penalty frequency^(2 order) is halved."""
    return float(_HALF_GAIN / frequency ** (2 * order))


class SplineSystem:
    """Frames of one point in stretches, their information, and the penalty between them.

    Times are counted in the median step. Within a stretch every frame is an unknown, seen or not;
    stretches are not tied to each other.

    Args:
        t: (T,) s, all times of the recording.
        stretches: The seen frames of each stretch.
        information: (n, 3, 3) inverse covariance of the n seen frames in turn.
        order: Of the differences.

    Attributes:
        seen_frames: (n,) frames with data.
        frames: (N,) frames with an unknown.
        step_s: The median step, s.
    """

    def __init__(
        self, t: FloatArray, stretches: Sequence[Any], information: FloatArray, order: int
    ) -> None:
        self.seen_frames = np.concatenate(stretches)
        spans = [np.arange(s[0], s[-1] + 1) for s in stretches]
        self.frames = np.concatenate(spans)
        self.order = order
        self.step_s = float(np.median(np.diff(t)))
        self._seen = np.searchsorted(self.frames, self.seen_frames)
        self._times = t[self.frames] / self.step_s
        starts = np.cumsum([0, *(len(s) for s in spans)])
        self._difference = _difference_matrix(self._times, starts, order)
        self._penalty = (self._difference.T @ self._difference).tocsr()
        self._information = information
        self._prior_rank = 3 * (len(self.frames) - order * len(spans))
        self._freedom = 3 * (len(self.seen_frames) - order * len(spans))
        self._bands = self._penalty_bands()
        self._set_gaps()
        self._rows: tuple[FloatArray, FloatArray] | None = None
        self.factor(1.0)

    def _penalty_bands(self) -> FloatArray:
        bands = np.zeros((self.order + 1, len(self.frames)))
        for d in range(self.order + 1):
            diagonal = self._penalty.diagonal(-d)
            bands[d, : len(diagonal)] = diagonal
        return bands

    def _set_gaps(self) -> None:
        unseen = np.setdiff1d(np.arange(len(self.frames)), self._seen)
        after = np.searchsorted(self._seen, unseen)
        before = after - 1
        t0, t1 = self._times[self._seen[before]], self._times[self._seen[after]]
        share = ((self._times[unseen] - t0) / (t1 - t0))[:, None]
        self._unseen, self._before, self._after, self._share = unseen, before, after, share

    def _filled(self, y: FloatArray) -> FloatArray:
        """Take values (B, n, 3) of the seen frames to all frames (B, N, 3), gaps by lines."""
        full = np.empty((len(y), len(self.frames), 3))
        full[:, self._seen] = y
        if len(self._unseen):
            full[:, self._unseen] = (1 - self._share) * y[:, self._before] + self._share * y[
                :, self._after
            ]
        return full

    def factor(self, lam: float) -> None:
        """Factor the system for one lam."""
        n = len(self.frames)
        band: FloatArray = np.zeros((3 * self.order + 3, 3 * n))
        for d in range(self.order + 1):
            band[3 * d] = lam * np.repeat(self._bands[d], 3)
        for row in range(3):
            for column in range(row + 1):
                band[row - column, 3 * self._seen + column] += self._information[:, row, column]
        self._factor = cholesky_banded(band, lower=True, overwrite_ab=True, check_finite=False)
        self._rows = None
        self._lam = lam

    def _rough(self, values: FloatArray) -> FloatArray:
        """Return A^-1 lam P values, the part that one smoothing takes away, (N, 3)."""
        n = len(self.frames)
        bands = self._lam * self._bands[:, :, None]
        pushed = bands[0] * values
        for d in range(1, self.order + 1):
            pushed[d:] += bands[d, : n - d] * values[:-d]
            pushed[:-d] += bands[d, : n - d] * values[d:]
        solved = cho_solve_banded(
            (self._factor, True), pushed.ravel(), overwrite_b=True, check_finite=False
        )
        return solved.reshape(values.shape)

    def smooth(self, y: FloatArray) -> FloatArray:
        """Smooth values (B, n, 3) of the seen frames, twice; all frames (B, N, 3).

        Written as y minus what is rough in it: a polynomial below the order passes unchanged
        whatever lam is, and the fill of the gaps falls out.
        """
        if self._rows is None:
            self._rows = solver_rows(self._factor), penalty_taps(self._lam * self._bands)
        return smooth_twice(*self._rows, self._filled(y))

    def deviance(self, lam: float, y: FloatArray) -> tuple[float, float]:
        """Return -2 ln restricted likelihood (up to a constant) and the noise scale, at lam.

        The scale of the noise is profiled out: Wahba, Ann Statist 13:1378 (1985).

        Args:
            lam: Weight of the penalty.
            y: (n, 3) values of the seen frames.
        """
        self.factor(lam)
        full = self._filled(y[None])[0]
        rough = self._rough(full)
        smooth = full - rough
        residual = rough[self._seen]
        misfit = float(np.einsum("ni,nij,nj->", residual, self._information, residual))
        bent = self._difference @ smooth
        scale = (misfit + lam * float((bent**2).sum())) / self._freedom
        positive = max(scale, np.finfo(float).tiny)
        log_determinant = 2 * float(np.log(self._factor[0]).sum())
        deviance = (
            self._freedom * np.log(positive) + log_determinant - self._prior_rank * np.log(lam)
        )
        return deviance, scale

    def smoothed_covariance(
        self, cov: FloatArray, reach: float, share: FloatArray, times_s: FloatArray
    ) -> FloatArray:
        """Return the covariance (N, 3, 3) of each smoothed frame.

        Impulses far enough apart share one solve; their responses overlap by no more than
        `reach` of their height.

        Args:
            cov: (n, 3, 3) of the seen frames.
            reach: As above.
            share: (M,) of the variance that lasts, by time constant; the rest is new in each frame.
            times_s: (M,) s, of the exponential decay of its correlation.
        """
        values, vectors = np.linalg.eigh(cov)
        # The symmetric root, which is steady over time, so that what lasts keeps its direction.
        roots = (vectors * np.sqrt(values)[:, None, :]) @ vectors.swapaxes(1, 2)
        n = len(self.seen_frames)
        apart = self._impulse_distance(reach)
        result = np.zeros((len(self.frames), 3, 3))
        position = np.arange(n) % apart
        lasts = share.any()
        responses = np.empty((min(apart, n), 3, len(self.frames), 3)) if lasts else np.empty(0)
        for start in range(0, min(apart, n), 64):
            width = min(64, min(apart, n) - start)
            impulses = np.zeros((width, 3, n, 3))
            chosen = np.flatnonzero((position >= start) & (position < start + width))
            impulses[position[chosen] - start, :, chosen] = roots[chosen].swapaxes(1, 2)
            answer = self.smooth(impulses.reshape(-1, n, 3))
            if lasts:
                responses[start : start + width] = answer.reshape(width, 3, -1, 3)
            answer = answer.transpose(1, 2, 0)
            result += answer @ answer.swapaxes(1, 2)
        if lasts:
            result *= 1 - share.sum()
            seen, t_s = self._seen, self._times[self._seen] * self.step_s
            for part, tau in zip(share, times_s, strict=True):
                if part > 0:
                    add_lasting(responses, seen, t_s, part, tau, result)
        return (result + result.swapaxes(1, 2)) / 2

    def _impulse_distance(self, reach: float) -> int:
        """Return how many seen frames apart two impulses must be to not feel each other."""
        eigenvalues = np.linalg.eigvalsh(self._information)[:, 0]
        # The slowest of the decaying waves: exp(-w sin(pi / (2 order)) n) for a cut-off of w.
        slowest = half_gain_weight(self._lam / float(eigenvalues.min()), self.order)
        decay = slowest * np.sin(np.pi / (2 * self.order))
        return int(np.ceil(2 * np.log(1 / reach) / decay)) + 1


def _difference_matrix(times: FloatArray, starts: Any, order: int) -> Any:
    """Return D (sparse): rows are order-th derivatives times the root of their share of time."""
    rows, columns, values = [], [], []
    row = 0
    for first, end in pairwise(starts):
        stretch = times[first:end]
        m = len(stretch) - order
        # Divided differences of order q times q! are the q-th derivative.
        table = np.ones((m, 1))
        windows = np.lib.stride_tricks.sliding_window_view(stretch, order + 1)
        gaps = windows[:, :, None] - windows[:, None, :]
        gaps[:, range(order + 1), range(order + 1)] = 1.0
        table = np.prod(np.arange(1, order + 1)) / gaps.prod(-1)
        width = (windows[:, -1] - windows[:, 0]) / order
        table = table * np.sqrt(width)[:, None]
        rows.append(np.repeat(np.arange(row, row + m), order + 1))
        columns.append((first + np.arange(m)[:, None] + np.arange(order + 1)).ravel())
        values.append(table.ravel())
        row += m
    shape = (row, len(times))
    data = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_array(data, shape=shape)
