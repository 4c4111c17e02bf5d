"""How far each camera's stamps are off, from the board's motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from calibration.bundle import Network
from calibration.continuous import Strengths, TimedNetwork, adjust_timed, is_timed
from calibration.motion import through
from calibration.start import board_poses
from lab.checks import FloatArray

_KNOTS = (0.04, 0.1)  # s, the least and the most between knots
_MARGIN = 0.5  # s, how far an offset may carry a frame beyond the first and last
_STAMP, _WOBBLE = 0.005, 5e-4  # s and m, where the search begins
_RANGE = {"shift": (1e-3, 1e3), "turn": (1e-2, 1e5), "stamp": (1e-3, 0.1), "wobble": (5e-5, 0.03)}
_ROUGHLY, _CLOSELY = 1e-6, 1e-10
_WORTH_IT = 1.0  # of minus twice the log evidence
_LONGEST_STEP = 0.5  # s, over which a motion still says something of its acceleration


def continuous(network: Network, t: FloatArray, rolling: bool = False) -> TimedNetwork | None:
    """Return the network on a motion through its board poses at times t (B,); None without any.

    With `rolling` each camera's row read-out time is to be solved for, too. The gauge of time is the camera whose pose is the gauge, or else the one with most views.
    """
    timed_views = [is_timed(network, c) for c in range(len(network.cameras))]
    counts = [int(m.sum()) for m in timed_views]
    if sum(c > 3 for c in counts) < 2:
        return None
    used = np.zeros(len(t), bool)
    steps = []
    for views, moving in zip(network.views, timed_views, strict=True):
        used[views.pose[moving]] = True
        if moving.sum() > 1:
            steps.append(float(np.median(np.diff(np.sort(views.t[moving])))))
    poses = np.flatnonzero(used & np.isfinite(t))
    poses = poses[np.argsort(t[poses], kind="stable")]
    knots = float(np.clip(0.5 * np.median(steps), *_KNOTS))
    rotations = network.rotations[poses]
    centres = rotations @ network.corners_m.mean(0) + network.translations[poses]
    motion = through(t[poses], rotations, centres, knots, _MARGIN)
    reference = network.fixed_camera if network.fixed_camera is not None else None
    if reference is None or counts[reference] == 0:
        reference = int(np.argmax(counts))
    free = np.array(counts) > 3
    free[reference] = False
    shift, turn = motion_strengths(*_own_paths(network, timed_views))
    strengths = Strengths(shift, turn, _STAMP, _WOBBLE)
    none = np.zeros(len(counts))
    read_out = (np.array(counts) > 3) & rolling
    network = replace(network, jitter=(0.0, 0.0))
    return TimedNetwork(network, motion, none, free, strengths, none, read_out)


def _own_paths(
    network: Network, moving: Sequence[NDArray[np.bool_]]
) -> tuple[list[FloatArray], list[FloatArray], list[FloatArray]]:
    """Return times, cam_from_board and centres of each camera's own views, by its own corners.

    They come from homographies, closed form.
    """
    t, rotations, centres = [], [], []
    centre_m = network.corners_m.mean(0)
    for c, own in enumerate(moving):
        views = network.views[c].only(own)
        order = np.argsort(views.t, kind="stable")
        turn, shift = board_poses(network.cameras[c], network.corners_m, views)
        turn, shift = turn[order], shift[order]
        t.append(views.t[order])
        rotations.append(turn)
        centres.append(turn @ centre_m + shift)
    return t, rotations, centres


def solve_offsets(timed: TimedNetwork) -> TimedNetwork:
    """Return the adjusted network with stamps and wobble of the largest evidence.

    Each is doubled or halved as long as that makes the evidence larger. The motion's strengths are
    kept: they are those of the views, before anything else is known.
    """
    timed, best = adjust_timed(timed, _ROUGHLY)
    for name in ("wobble", "stamp"):
        for factor in (0.5, 2.0):
            improved = False
            while True:
                value = getattr(timed.strengths, name) * factor
                if not _RANGE[name][0] <= value <= _RANGE[name][1]:
                    break
                trial = replace(timed, strengths=replace(timed.strengths, **{name: value}))
                trial, evidence = adjust_timed(trial, _ROUGHLY)
                if evidence >= best - _WORTH_IT:
                    break
                timed, best, improved = trial, evidence, True
            if improved:
                break
    return adjust_timed(timed, _CLOSELY)[0]


def adjust_as(timed: TimedNetwork, like: TimedNetwork) -> TimedNetwork:
    """Return the adjusted network with another one's times, held, and variance components."""
    given = replace(
        timed,
        offsets=like.offsets,
        free_offset=np.zeros(len(like.offsets), bool),
        readouts=like.readouts,
        free_readout=np.zeros(len(like.offsets), bool),
        strengths=like.strengths,
    )
    return adjust_timed(given, _CLOSELY)[0]


def motion_strengths(
    t: Sequence[FloatArray], rotations: Sequence[FloatArray], centres: Sequence[FloatArray]
) -> tuple[float, float]:
    """Return the strengths (shift, turn) of the board's acceleration from each camera's own poses.

    Three views at equal steps d have a second difference of variance 2/3 d^3 times the strength,
    per axis. The mean and not the median is taken: a hand that rests in between must not make the
    motion stiff where it moves.

    Args:
        t: (V,) s of each camera's views, rising.
        rotations: (V, 3, 3) cam_from_board of each view.
        centres: (V, 3) m, the board's centre in the camera.
    """
    shifts, turns = [np.zeros(0)], [np.zeros(0)]
    for time, rotation, centre in zip(t, rotations, centres, strict=True):
        if len(time) < 3:
            continue
        first, second = np.diff(time)[:-1], np.diff(time)[1:]
        even = (np.abs(first - second) < 0.2 * first) & (first < _LONGEST_STEP)
        if not even.any():
            continue
        variance = (2 / 3) * ((first + second) / 2) ** 3
        bent = centre[2:] - 2 * centre[1:-1] + centre[:-2]
        step = rotation[1:] @ np.swapaxes(rotation[:-1], 1, 2)
        turn = np.diff(Rotation.from_matrix(step).as_rotvec(), axis=0)
        shifts.append((bent**2 / variance[:, None])[even].ravel())
        turns.append((turn**2 / variance[:, None])[even].ravel())
    both = [np.concatenate(shifts), np.concatenate(turns)]
    values = [float(np.mean(x)) if len(x) else 1.0 for x in both]
    low, high = _RANGE["shift"], _RANGE["turn"]
    return float(np.clip(values[0], *low)), float(np.clip(values[1], *high))
