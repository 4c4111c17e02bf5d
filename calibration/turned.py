"""Principal points of cameras that were mounted on their side, settled by what the cameras saw.

A program that turns a calibration upright has to mirror one coordinate of the principal point:
the horizontal one for a camera turned one way, the vertical one for the other way. Files exist in
which this was not done, and they do not say which way a camera was turned. Points that several
cameras saw tell: the three hypotheses differ by up to some 20 px.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

import numpy as np

from calibration.free_points import triangulate
from lab.camera import Camera
from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Keypoints2D
from lab.rig import Rig

_MOST_POINTS = 400
_MOST_EXHAUSTIVE = 6  # cameras whose hypotheses are all tried against each other
_SAME_TIME = 0.004  # s
_SCALE_PART = 0.004  # of the image's longer side: where a residual begins to count as wrong
_CLEAR = 0.99  # the best hypothesis must be better than the file by this factor


def settle_principal_points(rig: Rig, keypoints: Mapping[str, Keypoints2D]) -> Rig:
    """Return the rig with the principal points that the keypoints support.

    Only cameras with upright images (higher than wide) are in question, sensors being wider than
    high. Either the file is right for all of them, or each was turned one way or the other. The
    hypothesis with the least robust reprojection error wins, the stored one unless it is clearly
    beaten.

    Args:
        rig: As read from the file.
        keypoints: Points by camera, named alike, at the same times.

    Raises:
        LabError: When fewer than two cameras saw the same points at the same times.
    """
    upright = [c for c, camera in enumerate(rig.cameras) if camera.size_px[1] > camera.size_px[0]]
    if not upright:
        return rig
    xy = _common_points(rig, keypoints)
    stored = _cost(rig.cameras, xy)
    best = (stored, rig.cameras, "")
    for mirrored in _hypotheses(rig.cameras, upright, xy):
        cost = _cost(mirrored[0], xy)
        if cost < min(best[0], _CLEAR * stored):
            best = (cost, *mirrored)
    if not best[2]:
        return rig
    note = (
        f"principal points mirrored ({best[2]}): the file stores them as before its cameras were "
        "turned upright, as the keypoints show"
    )
    quality = replace(rig.quality, reasons=(*rig.quality.reasons, note))
    return replace(rig, cameras=best[1], quality=quality)


def mirrored(camera: Camera, axis: int) -> Camera:
    """Return the camera with its principal point mirrored in the image, across axis 0 or 1."""
    intrinsics = camera.intrinsics.copy()
    intrinsics[2 + axis] = camera.size_px[axis] - 1 - intrinsics[2 + axis]
    return replace(camera, intrinsics=intrinsics)


def fitted_to(camera: Camera, size_px: tuple[int, int]) -> Camera:
    """Return the camera for images scaled to fit another size, bars filling what is left.

    The scale is the smaller of the two ratios and the picture stays in the middle, as video
    programs do it. Half a pixel is minded: the image's edge is at -0.5.
    """
    scale = min(size_px[0] / camera.size_px[0], size_px[1] / camera.size_px[1])
    intrinsics = camera.intrinsics.copy()
    intrinsics[:2] *= scale
    for axis in (0, 1):
        bar = (size_px[axis] - scale * camera.size_px[axis]) / 2
        intrinsics[2 + axis] = scale * (intrinsics[2 + axis] + 0.5) - 0.5 + bar
    return replace(camera, size_px=size_px, intrinsics=intrinsics)


def fit_to_images(rig: Rig, sizes_px: Mapping[str, tuple[int, int]]) -> Rig:
    """Return the rig for images of these sizes, with a note for every camera that changed.

    The covariance of the intrinsics is scaled likewise.
    """
    cameras, scales, notes = [], [], []
    for camera in rig.cameras:
        size = sizes_px.get(camera.name, camera.size_px)
        moved = fitted_to(camera, size) if tuple(size) != camera.size_px else camera
        scale = np.ones(6 + len(camera.intrinsics))
        scale[6:10] = moved.intrinsics[0] / camera.intrinsics[0]
        scales.append(scale)
        cameras.append(moved)
        if moved is not camera:
            notes.append(
                f"{camera.name}: calibrated at {camera.size_px[0]} x {camera.size_px[1]}, its "
                f"video is {size[0]} x {size[1]}: taken as scaled to fit, with bars"
            )
    both = np.concatenate(scales)
    quality = replace(rig.quality, reasons=(*rig.quality.reasons, *notes))
    cov = rig.cov * both[:, None] * both
    return replace(rig, cameras=tuple(cameras), cov=cov, quality=quality)


def _hypotheses(
    cameras: tuple[Camera, ...], upright: list[int], xy: FloatArray
) -> list[tuple[tuple[Camera, ...], str]]:
    """Return the rigs in which every upright camera was turned, one way or the other."""
    if len(upright) <= _MOST_EXHAUSTIVE:
        ways = list(product((0, 1), repeat=len(upright)))
    else:
        # From either common turn, one camera after the other takes the better of its two.
        ways = []
        for common in (0, 1):
            way = [common] * len(upright)
            for place in range(len(upright)):
                trials = [[*way[:place], axis, *way[place + 1 :]] for axis in (0, 1)]
                costs = [_cost(_turned(cameras, upright, trial)[0], xy) for trial in trials]
                way = trials[int(np.argmin(costs))]
            ways.append(tuple(way))
    return [_turned(cameras, upright, way) for way in ways]


def _turned(
    cameras: tuple[Camera, ...], upright: list[int], way: list[int] | tuple[int, ...]
) -> tuple[tuple[Camera, ...], str]:
    result, words = list(cameras), []
    for c, axis in zip(upright, way, strict=True):
        result[c] = mirrored(cameras[c], axis)
        words.append(f"{cameras[c].name} in {'uv'[axis]}")
    return tuple(result), ", ".join(words)


def _cost(cameras: tuple[Camera, ...], xy: FloatArray) -> float:
    """Return the mean Cauchy loss of the reprojection error of triangulated points."""
    points = triangulate(cameras, xy)
    scale = _SCALE_PART * max(max(camera.size_px) for camera in cameras)
    error = np.stack([camera.project(points) for camera in cameras]) - xy
    loss = np.log1p((error**2).sum(-1) / scale**2)
    return float(np.nanmean(loss))


def _common_points(rig: Rig, keypoints: Mapping[str, Keypoints2D]) -> FloatArray:
    """Return pixels (C, N, 2) of points that at least two cameras saw at the same time."""
    given = [name for name in rig.names if name in keypoints]
    if len(given) < 2:
        raise LabError("keypoints of at least two cameras are needed", where="principal points")
    names = [n for n in keypoints[given[0]].names if all(n in keypoints[g].names for g in given)]
    t = keypoints[given[0]].t
    xy = np.full((len(rig.cameras), len(t), len(names), 2), np.nan)
    for c, name in enumerate(rig.names):
        if name not in keypoints:
            continue
        own = keypoints[name]
        nearest = np.abs(own.t[None] - t[:, None]).argmin(1)
        together = np.abs(own.t[nearest] - t) < _SAME_TIME
        columns = [own.names.index(n) for n in names]
        xy[c] = np.where(together[:, None, None], own.xy_px[nearest][:, columns], np.nan)
    flat = xy.reshape(len(rig.cameras), -1, 2)
    flat = flat[:, np.isfinite(flat.sum(-1)).sum(0) >= 2]
    if not flat.shape[1]:
        raise LabError("no point was seen by two cameras at once", where="principal points")
    return flat[:, :: max(1, flat.shape[1] // _MOST_POINTS)]
