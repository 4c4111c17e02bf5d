"""Bones that keep their length: an option for few or noisy cameras.

The length of each bone is estimated from the whole trial, with how much it truly varies (a keypoint
is not the centre of a joint). In each frame all points are then moved by the least, in their own
covariance, that brings the lengths as near the estimate as that variation lets them:

    x' = x - C G' (G C G' + R)^-1 (length(x) - L)

with G the derivative of the lengths and R the variation and the error of L (the update of Kalman,
1960, linearised; Rauch and Julier's soft constraints). It only takes; where noise is small against
the variation nothing moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.points import Points3D

# One side's; the other side's are added. Only those whose points a trial has are held.
_LIMBS = (
    ("hip", "knee"), ("knee", "ankle"), ("ankle", "heel"), ("ankle", "foot_index"),
    ("heel", "foot_index"), ("shoulder", "elbow"), ("elbow", "wrist"),
)  # fmt: skip
_ACROSS = (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"))
BONES = _ACROSS + tuple((f"{s}_{a}", f"{s}_{b}") for s in ("left", "right") for a, b in _LIMBS)
_LEAST_FRAMES = 20
_ROUNDS = 2  # of linearisation


@dataclass(frozen=True, slots=True, eq=False)
class HeldBones:
    """Points with bones of constant length.

    Attributes:
        points: The points moved, with their covariance (each by itself; what holding a bone makes
            its two ends share is not told).
        bones: B pairs of names.
        length: (B,) m.
        sigma: (B,) m, standard uncertainty of the length.
        variation: (B,) m, how much the length varies beyond the noise.
        gain: (T, 3K, B) by how much the points move for a bone too long.
        by_points: (T, B, 3K) derivative of the lengths; 0 where a bone is not seen.
    """

    points: Points3D
    bones: tuple[tuple[str, str], ...]
    length: FloatArray
    sigma: FloatArray
    variation: FloatArray
    gain: FloatArray
    by_points: FloatArray

    def carry(self, by_parameter: FloatArray) -> FloatArray:
        """Take a derivative of the points (T, K, 3, Q) by parameters to the points moved.

        What changes a bone alike throughout changes the length that it is held at.
        """
        shape = by_parameter.shape
        flat = np.nan_to_num(by_parameter).reshape(shape[0], -1, shape[3])
        longer = self.by_points @ flat
        seen = np.abs(self.by_points).sum(-1) > 0
        on_average = longer.sum(0) / np.maximum(seen.sum(0), 1)[:, None]
        apart = np.where(seen[..., None], longer - on_average, 0.0)
        return by_parameter - (self.gain @ apart).reshape(shape)


def hold_bones(points: Points3D, bones: Sequence[tuple[str, str]] = BONES) -> HeldBones:
    """Estimate the lengths of bones from a trial and move the points so that they keep them.

    Args:
        points: Unsmoothed, with covariance; points without one stay as they are.
        bones: Pairs of names; those that the points lack, or that are seen in fewer than 20 frames,
            are left out.
    """
    pairs, figures = [], []
    for bone in bones:
        if set(bone) <= set(points.names):
            known = _length(points, bone)
            if known is not None:
                pairs.append(bone)
                figures.append(known)
    frames, size = len(points.t), 3 * len(points.names)
    if not pairs:
        none = np.empty(0)
        gain, g = np.zeros((frames, size, 0)), np.zeros((frames, 0, size))
        return HeldBones(points, (), none, none, none, gain, g)
    length, sigma, variation = np.array(figures).T
    ends = np.array([[points.index(a), points.index(b)] for a, b in pairs], np.intp)
    cov = _blocks(points.cov)
    start = points.xyz
    xyz = start
    slack = np.diag(sigma**2 + variation**2)
    gain = np.zeros((frames, size, len(pairs)))
    g = np.zeros((frames, len(pairs), size))
    for _ in range(_ROUNDS):
        g, now, seen = _lengths(xyz, ends)
        seen &= np.isfinite(points.cov[:, ends].sum((-1, -2, -3)))
        g[~seen] = 0.0
        inner = g @ cov @ g.swapaxes(1, 2) + slack
        gain = np.asarray(np.linalg.solve(inner, g @ cov).swapaxes(1, 2), np.float64)
        # About the last point, for the first one: the iterated update.
        back = np.einsum("tbi,ti->tb", g, np.nan_to_num(start - xyz).reshape(frames, size))
        miss = np.where(seen, now - length + back, 0.0)
        xyz = start - np.einsum("tib,tb->ti", gain, miss).reshape(start.shape)
    whole = cov - gain @ (g @ cov)
    whole = (whole + whole.swapaxes(1, 2)) / 2
    k = np.arange(len(points.names))
    own = whole.reshape(frames, len(k), 3, len(k), 3)[:, k, :, k].transpose(1, 0, 2, 3)
    own = np.where(np.isfinite(points.cov), own, np.nan)
    moved = replace(points, xyz=xyz, cov=own)
    return HeldBones(moved, tuple(pairs), length, sigma, variation, gain, g)


def _blocks(cov: FloatArray) -> FloatArray:
    """Return (T, 3K, 3K) with the covariances of the points on the diagonal; 0 where not known."""
    frames, count = cov.shape[:2]
    result = np.zeros((frames, count, 3, count, 3))
    k = np.arange(count)
    result[:, k, :, k] = np.nan_to_num(cov).transpose(1, 0, 2, 3)
    return result.reshape(frames, 3 * count, 3 * count)


def _lengths(
    xyz: FloatArray, ends: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return lengths' derivative (T, B, 3K), the lengths (T, B), and whether they are known."""
    along = xyz[:, ends[:, 0]] - xyz[:, ends[:, 1]]
    now = np.linalg.norm(along, axis=-1)
    seen = now > 0
    unit = np.where(seen[..., None], along, 0.0) / np.where(seen, now, 1.0)[..., None]
    g = np.zeros((len(xyz), len(ends), xyz.shape[1], 3))
    b = np.arange(len(ends))
    g[:, b, ends[:, 0]], g[:, b, ends[:, 1]] = unit, -unit
    return g.reshape(len(xyz), len(ends), -1), now, seen


def _length(points: Points3D, bone: tuple[str, str]) -> tuple[float, float, float] | None:
    """Return a bone's length, the uncertainty of it, and its variation beyond the noise, m."""
    a, b = (points.index(name) for name in bone)
    along = points.xyz[:, a] - points.xyz[:, b]
    noise = points.cov[:, a] + points.cov[:, b]
    known = np.isfinite(along.sum(-1) + noise.sum((-1, -2)))
    if known.sum() < _LEAST_FRAMES:
        return None
    along, noise = along[known], noise[known]
    length = np.linalg.norm(along, axis=1)
    unit = along / length[:, None]
    own = np.einsum("ni,nij,nj->n", unit, noise, unit)
    # Noise across a bone makes it longer: |d + e| is |d| + e_across^2 / 2 |d| on average.
    length = length - (np.trace(noise, axis1=1, axis2=2) - own) / (2 * length)
    middle = float(np.median(length))
    wide = 1.4826 * float(np.median(np.abs(length - middle)))
    near = np.abs(length - middle) <= 4 * wide
    length, own = length[near], own[near]
    variation2, mean = 0.0, middle
    for _ in range(20):
        weight = 1 / (own + variation2)
        mean = float((weight * length).sum() / weight.sum())
        excess = ((length - mean) ** 2 - own) * weight**2
        variation2 = max(float(excess.sum() / (weight**2).sum()), 0.0)
    off = length - mean
    # What lasts from frame to frame does not average out.
    lasting = float((off[1:] * off[:-1]).sum() / max(float((off**2).sum()), 1e-300))
    alone = len(off) * (1 - lasting) / (1 + lasting) if 0 < lasting < 1 else len(off)
    sigma = float(np.sqrt(np.mean(off**2) / max(alone, 1.0)))
    return mean, sigma, float(np.sqrt(variation2))
