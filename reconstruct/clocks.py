"""Cameras on their own clocks: every detection is used at its own time.

Between cameras that expose at different times a foot moves by centimetres. The path of each point
is fitted to all detections at their own times (`reconstruct.trajectory`); then each detection is
moved along it, from its own time to the nearest of common times:

    xy' = xy + image(path(common time)) - image(path(own time))

Only the short way in between is taken from the path, so its smoothing costs little, and the noise
of a detection stays its own, used once. From there on the cameras are as good as in step:
consensus, left and right, the watch of the rig and everything after are those of
`reconstruct.triangulate`. What agrees decides what the path is fitted to, so this is done twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.points import Keypoints2D
from lab.rig import Rig
from reconstruct.associate import AlignedKeypoints, align
from reconstruct.consensus import GOOD
from reconstruct.swaps import exchange, exchange_columns, partners
from reconstruct.trajectory import Sights, Trajectories, fit_trajectories
from reconstruct.triangulate import Reconstruction, triangulate

# Stamps closer than this part of a frame interval belong to one instant.
_SAME_INSTANT = 1e-3
_GAP = 1.5  # intervals between two frames with one lost between them
_NODES = 4  # of a path to a frame
_ROUNDS = 2


@dataclass(frozen=True, slots=True, eq=False)
class OwnTimes:
    """A reconstruction of cameras on their own clocks.

    Attributes:
        aligned: The detections, moved to common times (with exchanged sides as they came).
        result: Points at the common times.
        trajectories: The paths along which they were moved.
        furthest_s: The longest way in time of a detection.
        unused: Detections (single keypoints) that no common time was near.
    """

    aligned: AlignedKeypoints
    result: Reconstruction
    trajectories: Trajectories
    furthest_s: float
    unused: int


def share_a_shutter(keypoints: Sequence[Keypoints2D]) -> bool:
    """Return whether all cameras expose at the same instants (lost frames aside)."""
    fullest = max(keypoints, key=lambda k: len(k.t))
    if len(fullest.t) < 2:
        return True
    interval = float(np.median(np.diff(fullest.t)))
    for k in keypoints:
        after = np.searchsorted(fullest.t, k.t)
        inside = (after > 0) & (after < len(fullest.t))
        t, after = k.t[inside], after[inside]
        low, high = fullest.t[after - 1], fullest.t[after]
        off = np.minimum(t - low, high - t)
        # In a hole of the fullest camera's frames the others have nothing to agree with.
        if ((off > _SAME_INSTANT * interval) & (high - low <= _GAP * interval)).any():
            return False
    return True


def reconstruct_own_times(
    rig: Rig,
    keypoints: Sequence[Keypoints2D],
    *,
    rescale: bool = False,
    readout_s: Mapping[str, float] | None = None,
    max_gap_s: float = 0.1,
) -> OwnTimes:
    """Reconstruct from cameras with any rates, phases and lost frames.

    Args:
        rig: The cameras.
        keypoints: One set a camera, at its own times.
        rescale: As in `triangulate`.
        readout_s: By camera, time from the exposure of the first row to that of the last, for
            cameras that expose row by row; their stamps are those of the middle row.
        max_gap_s: Longest gap over which a path is carried.

    Raises:
        LabError: As `align` and `triangulate` do.
    """
    if len(keypoints) < 2 or any(len(k.t) == 0 for k in keypoints):
        align(keypoints)  # says what is missing
    grid, interval = _common_times(keypoints)
    source = np.stack([_nearest_frames(k.t, grid, interval) for k in keypoints])
    linear = align(keypoints, grid=grid)
    own = _own(keypoints, linear, source, rig, readout_s or {})
    result = triangulate(rig, linear, rescale=rescale)
    exchanged = np.zeros(linear.score.shape, bool)
    aligned = linear
    paths = Trajectories(float(grid[0]), interval, (None,) * len(linear.names))
    for _ in range(_ROUNDS):
        # Exchanged sides go back first: a detection is moved along the path that it belongs to.
        turn = _whole(result.swapped, linear.names)
        exchanged ^= turn
        own, linear = _exchange(own, turn, linear.names), exchange(linear, turn)
        paths = _fit(rig, own, result, interval, max_gap_s)
        aligned = _moved(rig, own, paths, linear)
        result = triangulate(rig, aligned, rescale=rescale)
    swapped = exchanged ^ _whole(result.swapped, linear.names)
    aligned = exchange(aligned, exchanged)
    result = replace(result, swapped=swapped & np.isfinite(aligned.xy_px[..., 0]))
    way = np.abs(own.t - grid[None, :, None])
    unused = sum(
        int(np.isfinite(k.xy_px[np.setdiff1d(np.arange(len(k.t)), frames), :, 0]).sum())
        for k, frames in zip(keypoints, source, strict=True)
    )
    return OwnTimes(aligned, result, paths, float(np.nanmax(way, initial=0.0)), unused)


@dataclass(frozen=True, slots=True, eq=False)
class _Own:
    """Detections by common time, (C, T, K, ...), each with its own time; NaN where none."""

    grid: FloatArray
    t: FloatArray
    xy_px: FloatArray
    cov_px: FloatArray
    score: FloatArray


def _common_times(keypoints: Sequence[Keypoints2D]) -> tuple[FloatArray, float]:
    """Return the times of the camera with the most frames, its holes filled, and its interval."""
    fullest = max(keypoints, key=lambda k: len(k.t))
    if len(fullest.t) < 2:
        return fullest.t, 1.0
    interval = float(np.median(np.diff(fullest.t)))
    # What two cameras see before the first or after the last frame belongs to it, too.
    begin = np.sort([k.t[0] for k in keypoints if len(k.t)])[1]
    end = np.sort([k.t[-1] for k in keypoints if len(k.t)])[-2]
    before = max(int(np.ceil((fullest.t[0] - begin) / interval - 0.5)), 0)
    after = max(int(np.ceil((end - fullest.t[-1]) / interval - 0.5)), 0)
    t = np.concatenate(
        [
            fullest.t[0] - interval * np.arange(before, 0, -1),
            fullest.t,
            fullest.t[-1] + interval * np.arange(1, after + 1),
        ]
    )
    pieces = [t[:1]]
    for low, high in pairwise(t):
        n = max(round(float(high - low) / interval), 1)
        pieces.append(np.linspace(low, high, n + 1)[1:])
    return np.concatenate(pieces), interval


def _nearest_frames(t: FloatArray, grid: FloatArray, interval: float) -> NDArray[np.int64]:
    """Return for each common time the frame that is used there, -1 for none; none is used twice."""
    source = np.full(len(grid), -1)
    after = np.clip(np.searchsorted(grid, t), 1, max(len(grid) - 1, 1))
    low, high = np.clip(after - 1, 0, None), np.clip(after, 0, len(grid) - 1)
    near = np.where(t - grid[low] <= grid[high] - t, low, high)
    last = -1
    for i, slot in enumerate(near):
        if abs(grid[slot] - t[i]) > interval:
            continue
        if slot > last:
            source[slot] = i
            last = int(slot)
            continue
        # Two frames at one time: one of them goes to a free neighbour.
        if last and source[last - 1] < 0 and abs(grid[last - 1] - t[source[last]]) <= interval:
            source[last - 1], source[last] = source[last], i
        elif last + 1 < len(grid) and abs(grid[last + 1] - t[i]) <= interval:
            last += 1
            source[last] = i
    return source


def _own(
    keypoints: Sequence[Keypoints2D],
    linear: AlignedKeypoints,
    source: NDArray[np.int64],
    rig: Rig,
    readout_s: Mapping[str, float],
) -> _Own:
    shape = linear.score.shape
    t, score = np.full(shape, np.nan), np.full(shape, np.nan)
    xy, cov = np.full((*shape, 2), np.nan), np.full((*shape, 2, 2), np.nan)
    for c, k in enumerate(keypoints):
        columns = np.array([linear.names.index(name) for name in k.names])
        have = np.flatnonzero(source[c] >= 0)
        rows = np.ix_(have, columns)
        frames = source[c][have]
        xy[c][rows], cov[c][rows] = k.xy_px[frames], k.cov_px[frames]
        score[c][rows] = k.score[frames]
        height = rig.camera(k.camera).size_px[1] if k.camera in rig.names else 1
        row = (k.xy_px[frames][..., 1] - (height - 1) / 2) / height
        t[c][rows] = k.t[frames][:, None] + readout_s.get(k.camera, 0.0) * row
    return _Own(linear.t, t, xy, cov, score)


def _whole(swapped: NDArray[np.bool_], names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return the exchanges with both of each pair of partners."""
    result = swapped.copy()
    for left, right in partners(names):
        both = swapped[..., left] | swapped[..., right]
        result[..., left] = result[..., right] = both
    return result


def _exchange(own: _Own, chosen: NDArray[np.bool_], names: tuple[str, ...]) -> _Own:
    order = exchange_columns(names)
    return _Own(
        own.grid,
        np.where(chosen, own.t[:, :, order], own.t),
        np.where(chosen[..., None], own.xy_px[:, :, order], own.xy_px),
        np.where(chosen[..., None, None], own.cov_px[:, :, order], own.cov_px),
        np.where(chosen, own.score[:, :, order], own.score),
    )


def _fit(
    rig: Rig, own: _Own, result: Reconstruction, interval: float, max_gap_s: float
) -> Trajectories:
    """Fit paths to the detections that agree, each at its own time."""
    information = result.information_px
    sights, guess = [], []
    for k in range(len(result.points.names)):
        t, xy = own.t[:, :, k], own.xy_px[:, :, k]
        on = (information[:, :, k, 0] > 0) & np.isfinite(t + xy[..., 0])
        camera = np.broadcast_to(np.arange(len(t))[:, None], t.shape)[on]
        sights.append(Sights(camera.astype(np.int64), t[on], xy[on], information[:, :, k][on]))
        good = result.status[:, k] == GOOD
        guess.append((own.grid[good], result.points.xyz[good, k]))
    return fit_trajectories(
        tuple(rig.camera(name) for name in result.cameras),
        tuple(sights),
        tuple(guess),
        step_s=interval / _NODES,
        margin_s=interval,
        max_gap_s=max(max_gap_s, 1.01 * _GAP * interval),
        fastest_hz=1 / interval,
    )


def _moved(rig: Rig, own: _Own, paths: Trajectories, linear: AlignedKeypoints) -> AlignedKeypoints:
    """Return the detections at the common times; by straight lines where a path is not known."""
    xy, cov = np.array(linear.xy_px), np.array(linear.cov_px)
    score = np.array(linear.score)
    for k in range(len(linear.names)):
        there = paths.at(own.grid, k)
        on_path = np.isfinite(there[:, 0])
        for c, name in enumerate(linear.cameras):
            camera = rig.camera(name)
            with np.errstate(invalid="ignore"):
                way = camera.project(there) - camera.project(paths.at(own.t[c, :, k], k))
            moved = own.xy_px[c, :, k] + way
            # On the path a frame counts once; between its frames a camera saw nothing.
            take = on_path & (np.isfinite(moved[:, 0]) | np.isnan(own.xy_px[c, :, k, 0]))
            xy[c, take, k] = moved[take]
            # What is open of the way adds to the noise; found noise has it in it.
            by_point = camera.project_with_jacobians(there).by_point
            way_cov = paths.way_covariance(own.t[c, :, k], own.grid, k)
            more = by_point @ way_cov @ by_point.swapaxes(1, 2)
            cov[c, take, k] = (own.cov_px[c, :, k] + (more + more.swapaxes(1, 2)) / 2)[take]
            score[c, take, k] = own.score[c, take, k]
    return AlignedKeypoints(linear.cameras, linear.names, linear.t, xy, cov, score)
