"""Whether a camera has turned since the calibration, from the person alone.

Every point that several cameras see says whether they still agree. With B the derivative of the
pixels by the parameters of the rig, J that by the point and W the weights, the points are taken out
(Schur complement): S = B'WB - B'WJ (J'WJ)^-1 J'WB, g likewise of the residuals. If nothing moved, g
is S times the calibration's own error (covariance P) and noise (covariance S). A camera that has
turned by d adds S d; the score test of d = 0 (Rao, Proc Camb Phil Soc 44:50, 1948) and its estimate
use (S^-1 + P)^-1 = S - S L (I + L'SL)^-1 L'S with P = LL'. Residuals of a detector hang together
from frame to frame and joint by joint; S is lessened by what the joints scatter among each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from lab.checks import FloatArray
from lab.rig import Rig
from reconstruct.associate import AlignedKeypoints
from reconstruct.consensus import GOOD
from reconstruct.gates import GATE_VIEW
from reconstruct.noise import information_of
from reconstruct.swaps import exchange
from reconstruct.triangulate import Reconstruction

_FRAMES = 100  # enough to tell a turn of a hundredth of a degree
_FALSE_ALARM = 1e-4  # for a whole trial
_LEAST_POINTS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """How each camera stands to the others, against its calibration.

    Attributes:
        cameras: C names.
        turn: (C, 3) rad, estimated turn about the camera's centre in its own frame, if it alone
            has turned; NaN where it cannot be told.
        sigma: (C,) rad, standard uncertainty of the turn along its direction.
        statistic: (C,) chi-squared with three degrees of freedom if nothing has moved.
        moved: The camera that has turned, most likely; empty where none has.
    """

    cameras: tuple[str, ...]
    turn: FloatArray
    sigma: FloatArray
    statistic: FloatArray
    moved: str

    def shift(self, rig: Rig, by_rig: FloatArray) -> FloatArray:
        """Return by how much the points (T, K, 3) m are off for the camera that has moved.

        Args:
            rig: The rig.
            by_rig: (T, K, 3, Q), from `Reconstruction.rig_sensitivity`.
        """
        where = rig.parameter_slices()[rig.names.index(self.moved)]
        turn = self.turn[self.cameras.index(self.moved)]
        return -by_rig[..., where.start : where.start + 3] @ turn


def watch_rig(rig: Rig, aligned: AlignedKeypoints, result: Reconstruction) -> Watch | None:
    """Test every camera for a turn since the calibration; None where that cannot be known.

    It cannot without the covariance of the rig, with fewer than three cameras, or with too few
    points of three and more views.
    """
    cameras = len(aligned.cameras)
    if not rig.has_covariance or cameras < 3:
        return None
    aligned = exchange(aligned, result.swapped)
    good = result.status == GOOD
    frames = np.flatnonzero(good.any(1))
    if not len(frames):
        return None
    frames = frames[np.unique(np.linspace(0, len(frames) - 1, _FRAMES).astype(int))]
    which = np.zeros_like(good)
    which[frames] = good[frames]
    joint = np.nonzero(which)[1]
    h, b_w_j, b_w_b, g, j_w_r = _sums(rig, aligned, result, which)
    solid = np.linalg.matrix_rank(h, hermitian=True) == 3
    if solid.sum() < _LEAST_POINTS:
        return None
    inverse = np.linalg.inv(h[solid])
    b_w_j, g, joint = b_w_j[solid], g[solid], joint[solid]
    reduced = b_w_j @ inverse
    g = g - np.einsum("nqi,ni->nq", reduced, j_w_r[solid])
    slices = [rig.parameter_slices()[rig.names.index(name)] for name in aligned.cameras]
    turns = [np.arange(s.start, s.start + 3) for s in slices]
    flat = reduced.transpose(1, 0, 2).reshape(reduced.shape[1], -1)
    s = -flat @ b_w_j.transpose(1, 0, 2).reshape(len(flat), -1).T
    for at, block in zip(slices, b_w_b, strict=True):
        s[at, at] += block[solid].sum(0)
    of_turns = [block[solid][:, :3, :3] for block in b_w_b]
    scatter = _scatter(g, of_turns, reduced, b_w_j, joint, turns)
    m, score = _with_calibration(s / scatter, g.sum(0) / scatter, rig.cov)
    turn, sigma = np.full((cameras, 3), np.nan), np.full(cameras, np.nan)
    statistic = np.zeros(cameras)
    for c, at in enumerate(turns):
        block = m[np.ix_(at, at)]
        if np.linalg.matrix_rank(block, hermitian=True) < 3:
            continue
        cov = np.linalg.inv(block)
        turn[c] = cov @ score[at]
        statistic[c] = score[at] @ turn[c]
        unit = turn[c] / np.linalg.norm(turn[c])
        sigma[c] = np.sqrt(unit @ cov @ unit)
    most = int(statistic.argmax())
    alarm = statistic[most] > chdtri(3, _FALSE_ALARM / cameras)
    return Watch(aligned.cameras, turn, sigma, statistic, aligned.cameras[most] if alarm else "")


def _sums(
    rig: Rig, aligned: AlignedKeypoints, result: Reconstruction, which: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray, list[FloatArray], FloatArray, FloatArray]:
    """Return J'WJ, B'WJ, B'WB (one camera's block at a time), B'Wr and J'Wr of each of N points."""
    xyz = result.points.xyz[which]
    n, size = len(xyz), len(rig.cov)
    h, b_w_j = np.zeros((n, 3, 3)), np.zeros((n, size, 3))
    b_w_b: list[FloatArray] = []
    g, j_w_r = np.zeros((n, size)), np.zeros((n, 3))
    noise = np.nan_to_num(result.noise_px, nan=float(np.nanmedian(result.noise_px)))
    for c, name in enumerate(aligned.cameras):
        at = rig.parameter_slices()[rig.names.index(name)]
        seen = rig.camera(name).project_with_jacobians(xyz)
        residual = aligned.xy_px[c][which] - seen.xy_px
        sigma = np.broadcast_to(noise[c], which.shape)[which]
        w = information_of(aligned.cov_px[c][which], sigma)[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
        # A camera that has turned is rejected as a whole: its views count where they are off alike.
        alike = residual - np.nanmedian(residual, axis=0)
        square = np.einsum("ni,nij,nj->n", alike, w, alike)
        on = (square < GATE_VIEW) | (np.isfinite(result.residual_px[c][which]))
        r = np.where(on[:, None], np.nan_to_num(residual), 0.0)
        w = np.where(on[:, None, None], w, 0.0)
        b = np.concatenate([seen.by_pose, seen.by_intrinsics], axis=-1)
        j = np.nan_to_num(seen.by_point)
        w_j, w_b = w @ j, w @ np.nan_to_num(b)
        h += j.swapaxes(1, 2) @ w_j
        b_w_j[:, at] = np.nan_to_num(b).swapaxes(1, 2) @ w_j
        b_w_b.append(np.nan_to_num(b).swapaxes(1, 2) @ w_b)
        g[:, at] = np.einsum("niq,ni->nq", w_b, r)
        j_w_r += np.einsum("nij,ni->nj", w_j, r)
    return h, b_w_j, b_w_b, g, j_w_r


def _scatter(
    g: FloatArray,
    of_turns: list[FloatArray],
    reduced: FloatArray,
    b_w_j: FloatArray,
    joint: NDArray[np.intp],
    turns: list[NDArray[np.intp]],
) -> float:
    """Return the mean square of the joints' own departures, against independent noise; >= 1."""
    found = []
    for at, block in zip(turns, of_turns, strict=True):
        s_of = block - reduced[:, at] @ b_w_j[:, at].swapaxes(1, 2)
        parts = [(s_of[joint == k].sum(0), g[joint == k][:, at].sum(0)) for k in np.unique(joint)]
        parts = [(s, v) for s, v in parts if np.linalg.matrix_rank(s, hermitian=True) == 3]
        if len(parts) < 2:
            continue
        common = np.linalg.solve(sum(s for s, _ in parts), sum(v for _, v in parts))
        squares = [(v - s @ common) @ np.linalg.solve(s, v - s @ common) for s, v in parts]
        found.append(float(np.sum(squares)) / (3 * (len(parts) - 1)))
    return max(1.0, float(np.median(found))) if found else 1.0


def _with_calibration(
    s: FloatArray, g: FloatArray, cov: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return (S^-1 + P)^-1 and the same times S^-1 g, without an inverse of S or P."""
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    s_root = s @ root
    solved = np.linalg.solve(np.eye(len(cov)) + root.T @ s_root, np.c_[s_root.T, root.T @ g])
    return s - s_root @ solved[:, :-1], g - s_root @ solved[:, -1]
