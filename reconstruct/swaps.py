"""Left taken for right: partner joints that a camera has exchanged, found over views and time.

A detector that takes the left leg for the right gives two keypoints that are each in a good place,
under each other's name. Where most cameras are right, geometry tells; where two of four are wrong,
both ways round fit and only the movement before and after decides. For each pair of partner joints
and each frame in doubt every exchange in up to two cameras (and the same under exchanged names) is
reconstructed; the cheapest path through the frames is taken (Viterbi, IEEE Trans Inf Theory
13:260, 1967), where a step costs the misfit of its views and its departure from the movement so
far. What stays nearly as likely the other way round is withheld.

With few cameras one wrong keypoint can do the same: two cameras that face each other and a third
that is wrong meet in a point that does not exist, and an exchange in the fourth makes all four
agree on it. So where few see a joint, leaving out one or two views of it is a candidate, too, and
where no more than three agree, that they are wrong together: a place to which the joint cannot have
moved and from which it cannot have come back is withheld.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.cores import each_over_cores
from reconstruct.associate import AlignedKeypoints
from reconstruct.consensus import Agreement, agree
from reconstruct.gates import GATE_VIEW
from reconstruct.joint_paths import FLOOR_M, cheapest_path
from reconstruct.partner_line import partner_line
from reconstruct.sightlines import Sightlines

_MOST_SWAPPED = 2
_KEPT = 24  # candidates of a frame
# Twice the log of the odds: a view that fits nothing, one more camera that exchanges, and what a
# decision must be ahead by.
_COST_LOST = GATE_VIEW + 6.0
_COST_SWAP = 6.0
_COST_WITHHELD = GATE_VIEW
_MARGIN = 6.0
_LEAST_FRAMES = 5
# Four views or so can agree on a point that does not exist; a path that jumps betrays it.
_FEW_VIEWS = 5
_WEAK_VIEWS = 3
_JUMP_M = 0.04
_JUMP_REACH = 12  # frames
_ODD = 20.0  # squared standard deviations of the line between partners to look again
# The calmer part of the frames, so that many exchanges do not hide themselves; times this it is
# half as large again as one standard deviation of three normal coordinates.
_CALM_PERCENT = 30
_NORMAL_CALM = 1.9


@dataclass(frozen=True, slots=True, eq=False)
class Swaps:
    """What was exchanged.

    Attributes:
        aligned: The keypoints, exchanged back.
        swapped: (C, T, K) observations that stood under their partner's name.
        dropped: (C, T, K) observations, exchanged back, that the movement shows to be wrong.
        doubtful: (T, K) points for which left and right cannot be told apart.
        impossible: (T, K) points that the movement contradicts.
    """

    aligned: AlignedKeypoints
    swapped: NDArray[np.bool_]
    dropped: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    impossible: NDArray[np.bool_]


def partners(names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Return the columns of each left point and its right partner."""
    return tuple(
        (i, names.index("right_" + name[5:]))
        for i, name in enumerate(names)
        if name.startswith("left_") and "right_" + name[5:] in names
    )


def find_swaps(
    s: Sightlines,
    aligned: AlignedKeypoints,
    found: Agreement,
    volume: tuple[FloatArray, float],
) -> Swaps:
    """Find exchanged partner joints and exchange them back.

    Args:
        s: Sightlines of T times K points, K running fastest, with information.
        aligned: The same as keypoints.
        found: What the views agree on, each point by itself.
        volume: Centre m and radius m of the space in which a point can be.
    """
    cameras, frames, joints = aligned.score.shape
    chosen = np.zeros((cameras, frames, joints), bool)
    dropped = np.zeros((cameras, frames, joints), bool)
    doubtful = np.zeros((frames, joints), bool)
    impossible = np.zeros((frames, joints), bool)
    pairs = partners(aligned.names) if frames >= _LEAST_FRAMES else ()

    def decide(i: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        columns = [np.arange(frames) * joints + k for k in pairs[i]]
        return _decide(s, aligned.t, found, columns, volume)

    answers = each_over_cores(decide, len(pairs))
    for pair, (decided, left_out, doubt) in zip(pairs, answers, strict=True):
        for side, k in enumerate(pair):
            chosen[:, :, k] = decided
            gone = left_out[side].all(0)
            dropped[:, :, k] = left_out[side] & ~gone
            impossible[:, k] = gone
            doubtful[:, k] = doubt
    swapped = chosen & np.isfinite(aligned.xy_px[..., 0])
    return Swaps(exchange(aligned, chosen), swapped, dropped, doubtful, impossible)


def exchange_columns(names: tuple[str, ...]) -> NDArray[np.intp]:
    """Return for each of K columns its partner's, or its own where it has none."""
    order = np.arange(len(names))
    for left, right in partners(names):
        order[[left, right]] = right, left
    return order


def exchange(aligned: AlignedKeypoints, chosen: NDArray[np.bool_]) -> AlignedKeypoints:
    """Return the keypoints with the chosen ones (C, T, K) taken from under their partner's name."""
    if not chosen.any():
        return aligned
    order = exchange_columns(aligned.names)
    return replace(
        aligned,
        xy_px=np.where(chosen[..., None], aligned.xy_px[:, :, order], aligned.xy_px),
        cov_px=np.where(chosen[..., None, None], aligned.cov_px[:, :, order], aligned.cov_px),
        score=np.where(chosen, aligned.score[:, :, order], aligned.score),
    )


def _hypotheses(cameras: int) -> NDArray[np.bool_]:
    """Return exchanges (H, C): none, in one camera, in two; the second half is the rest of each."""
    rows = [
        [c in chosen for c in range(cameras)]
        for n in range(min(_MOST_SWAPPED, cameras // 2) + 1)
        for chosen in combinations(range(cameras), n)
    ]
    some = np.array(rows)
    # Where two of four are exchanged, the rest of one pair is another pair.
    some = some[
        [not any((~row == other).all() for other in some[:i]) for i, row in enumerate(some)]
    ]
    return np.concatenate([some, ~some])


def _omissions(cameras: int) -> NDArray[np.bool_]:
    """Return which cameras (O, C) can be left out of a joint seen by few: one or two."""
    rows = [
        np.isin(np.arange(cameras), chosen)
        for n in range(1, min(_MOST_SWAPPED, cameras - 2) + 1)
        for chosen in combinations(range(cameras), n)
    ]
    return np.array(rows, bool).reshape(-1, cameras)


def _decide(
    s: Sightlines,
    t: FloatArray,
    found: Agreement,
    columns: list[NDArray[np.intp]],
    volume: tuple[FloatArray, float],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Decide one pair.

    Returns:
        The exchanges (C, T); the observations left out (2, C, T) where nothing is exchanged, all of
        a side where its point is withheld; and the frames (T,) left in doubt.
    """
    cameras, frames = len(s.cameras), len(t)
    left, right = columns
    hypotheses = _hypotheses(cameras)
    half = len(hypotheses) // 2
    xyz = np.full((frames, len(hypotheses), 2, 3), np.nan)
    cost = np.full((frames, len(hypotheses)), np.inf)
    points = np.stack([found.estimate.xyz[left], found.estimate.xyz[right]], axis=1)
    xyz[:, 0], xyz[:, half] = points, points[:, ::-1]
    cost[:, 0] = sum(_cost(s, found, column) for column in columns)
    rejected = sum(((s.seen[:, c] & ~found.used[:, c]).any(0)).astype(int) for c in columns)
    few = np.minimum(*(s.seen[:, c].sum(0) for c in columns)) <= _FEW_VIEWS
    line = partner_line(t, points)
    odd = few & (line.cost(points[:, None])[:, 0] > _ODD)
    ask = np.flatnonzero((np.asarray(rejected) > 0) | (few & _near_jump(t, points)) | odd)
    both = s.seen[:, left] & s.seen[:, right]
    ask = ask[both[:, ask].any(0)]
    # Where many views agree on both points, one of them is not the exchanged one.
    agreed = found.used[:, left] & found.used[:, right]
    solid = (found.used[:, left].sum(0) > _FEW_VIEWS) & (found.used[:, right].sum(0) > _FEW_VIEWS)
    agreed &= solid
    which, at = np.nonzero(hypotheses[1:half].astype(int) @ agreed[:, ask] == 0)
    if len(at):
        which, at, n = which + 1, ask[at], len(at)
        part = _crossed(s, left[at], right[at], hypotheses[which].T)
        tried = agree(part, volume)
        xyz[at, which, 0], xyz[at, which, 1] = tried.estimate.xyz[:n], tried.estimate.xyz[n:]
        price = _cost(part, tried, np.arange(2 * n))
        cost[at, which] = price[:n] + price[n:]
    xyz[:, half:], cost[:, half:] = xyz[:, :half, ::-1], cost[:, :half]
    cost += _COST_SWAP * np.minimum(hypotheses.sum(1), cameras)
    out = np.zeros((len(hypotheses), 2, cameras), bool)
    more = [_withheld(found, columns, side, cost[:, 0], ask) for side in range(2)]
    more += [_without(s, found, columns, side, ask[few[ask]], volume) for side in range(2)]
    hypotheses = np.concatenate(
        [hypotheses, np.zeros((sum(len(m[2]) for m in more), cameras), bool)]
    )
    xyz = np.concatenate([xyz, *[m[0] for m in more]], axis=1)
    cost = np.concatenate([cost, *[m[1] for m in more]], axis=1)
    out = np.concatenate([out, *[m[2] for m in more]])
    cost += line.cost(xyz)
    kept = np.argsort(cost, axis=1, kind="stable")[:, :_KEPT]
    # The exchange of everything is always among them.
    kept[~(kept == half).any(1), -1] = half
    rows = np.arange(frames)[:, None]
    scale = _acceleration(t, points)
    path, lead = cheapest_path(t, xyz[rows, kept], cost[rows, kept], scale)
    taken = kept[np.arange(frames), path]
    doubt = (lead < _MARGIN) & np.isin(np.arange(frames), ask)
    return hypotheses[taken].T, out[taken].transpose(1, 2, 0), doubt


def _withheld(
    found: Agreement,
    columns: list[NDArray[np.intp]],
    side: int,
    standing: FloatArray,
    ask: NDArray[np.intp],
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Give no point for one side, where no more than three views made it: as `_without`."""
    frames, cameras = len(standing), len(found.used)
    xyz, cost = np.full((frames, 1, 2, 3), np.nan), np.full((frames, 1), np.inf)
    out = np.zeros((1, 2, cameras), bool)
    out[:, side] = True
    used = found.used[:, columns[side][ask]].sum(0)
    weak = ask[(used > 1) & (used <= _WEAK_VIEWS)]
    xyz[weak, 0, 1 - side] = found.estimate.xyz[columns[1 - side][weak]]
    cost[weak, 0] = standing[weak] + _COST_WITHHELD
    return xyz, cost, out


def _without(
    s: Sightlines,
    found: Agreement,
    columns: list[NDArray[np.intp]],
    side: int,
    ask: NDArray[np.intp],
    volume: tuple[FloatArray, float],
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Leave one or two views out of one side's joint in the frames asked for.

    Returns:
        Points (T, O, 2, 3) m, their cost (T, O), infinite where not tried, and what is left out
        (O, 2, C).
    """
    own, other = columns[side], columns[1 - side]
    frames, omitted = len(own), _omissions(len(s.cameras))
    xyz, cost = (
        np.full((frames, len(omitted), 2, 3), np.nan),
        np.full((frames, len(omitted)), np.inf),
    )
    out = np.zeros((len(omitted), 2, len(s.cameras)), bool)
    out[:, side] = omitted
    seen, number = s.seen[:, own[ask]], omitted.sum(1)
    # Of five, the other three outvote two.
    tried = (omitted.astype(int) @ seen == number[:, None]) & (
        seen.sum(0) + number[:, None] <= _FEW_VIEWS + 1
    )
    which, at = np.nonzero(tried)
    if len(at):
        at = ask[at]
        part = s.select(own[at])
        part = replace(part, seen=np.ascontiguousarray(part.seen & ~omitted[which].T))
        again = agree(part, volume)
        xyz[at, which, side] = again.estimate.xyz
        xyz[at, which, 1 - side] = found.estimate.xyz[other[at]]
        price = _cost(part, again, np.arange(len(at))) + _cost(s, found, other[at])
        cost[at, which] = price + _COST_LOST * number[which]
    return xyz, cost, out


def _crossed(
    s: Sightlines, left: NDArray[np.intp], right: NDArray[np.intp], swapped: NDArray[np.bool_]
) -> Sightlines:
    """Return the pair's sightlines, n left ones then n right ones, exchanged where (C, n) says."""
    straight = s.select(np.concatenate([left, right]))
    turned = s.select(np.concatenate([right, left]))
    where = np.concatenate([swapped, swapped], axis=1)

    def mixed(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        return np.where(where.reshape(*where.shape, *[1] * (a.ndim - 2)), b, a)

    return replace(
        straight,
        xy_px=mixed(straight.xy_px, turned.xy_px),
        xy=mixed(straight.xy, turned.xy),
        seen=mixed(straight.seen, turned.seen),
        information=mixed(straight.information, turned.information),
    )


def _cost(s: Sightlines, found: Agreement, columns: NDArray[np.intp]) -> FloatArray:
    """Return the misfit of the used views and the price of the others, (N,)."""
    used, seen = found.used[:, columns], s.seen[:, columns]
    x, y = found.residual_px[:, columns, 0], found.residual_px[:, columns, 1]
    xx, xy, yy = (s.information[:, columns, j] for j in range(3))
    misfit = np.where(used, xx * x * x + 2 * xy * x * y + yy * y * y, 0.0)
    lost = seen & ~used & (seen.sum(0) > 1)
    return np.nansum(misfit, axis=0) + _COST_LOST * lost.sum(0)


def _acceleration(t: FloatArray, points: FloatArray) -> float:
    """Return the usual size of second differences of paths (T, 2, 3) over time squared, m/s^2."""
    step = float(np.median(np.diff(t)))
    bend = np.linalg.norm(np.diff(points, n=2, axis=0), axis=-1) / step**2
    known = bend[np.isfinite(bend)]
    usual = float(np.percentile(known, _CALM_PERCENT)) * _NORMAL_CALM if len(known) else 0.0
    return max(usual, FLOOR_M / step**2)


def _near_jump(t: FloatArray, points: FloatArray) -> NDArray[np.bool_]:
    """Return which frames (T,) are near one where paths (T, 2, 3) jump."""
    step = np.median(np.diff(t))
    size = max(_JUMP_M, 3 * _acceleration(t, points) * step**2)
    jumps = np.zeros(len(t))
    for side in range(2):
        seen = np.flatnonzero(np.isfinite(points[:, side, 0]))
        bend = np.linalg.norm(np.diff(points[seen, side], n=2, axis=0), axis=-1)
        jumps[seen[1:-1][bend > size]] = 1
    return np.convolve(jumps, np.ones(2 * _JUMP_REACH + 1), "same")[: len(t)] > 0
