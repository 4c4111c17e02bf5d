"""How far each camera's stamps are off, from the board's motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from calibration.continuous import adjust_timed
from calibration.motion import through
from calibration.network import Network
from calibration.start import board_poses
from calibration.synchrony import disagreements
from calibration.timed_network import Strengths, TimedNetwork, is_timed
from lab.checks import FloatArray

_KNOTS = (0.04, 0.1)  # s, the least and the most between knots
_MARGIN = 0.5  # s, how far an offset may carry a frame beyond the first and last
_STAMP, _WOBBLE = 0.005, 5e-4  # s and m, where the search begins
_RANGE = {"shift": (1e-3, 1e3), "turn": (1e-2, 1e5), "stamp": (1e-3, 0.1), "wobble": (5e-5, 0.03)}
_ROUGHLY, _CLOSELY = 1e-6, 1e-10
_ROUNDS = 10
_WORTH_IT = 1.0  # of minus twice the log evidence
# In steps between frames: a view beside another camera's, and how far apart two are around it.
_BESIDE, _BETWEEN = 0.6, 2.5
_LONGEST_STEP = 0.5  # s, over which a motion still says something of its acceleration


def continuous(network: Network, t: FloatArray, rolling: bool = False) -> TimedNetwork | None:
    """Return the network on a motion through its board poses at times t (B,); None without any.

    With `rolling` each camera's row read-out time is to be solved for, too. The gauge of time is
    the camera whose pose is the gauge, or else the one with most views.
    """
    network = _accompanied(network)
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


def _accompanied(network: Network) -> Network:
    """Take the views off the motion that no other camera's are near: they lose their time.

    Where one camera alone saw the board come, its offset would hang on how evenly the board is
    taken to move. A view is kept on the motion that another camera's stands beside, or that others
    stand before and after. The others keep a board pose of their own, for the lens.
    """
    moving = [is_timed(network, c) for c in range(len(network.cameras))]
    times = [np.sort(v.t[m]) for v, m in zip(network.views, moving, strict=True)]
    steps = [float(np.median(np.diff(t))) for t in times if len(t) > 1]
    if not steps:
        return network
    step = float(np.median(steps))
    views = []
    for c, (own, mine) in enumerate(zip(network.views, moving, strict=True)):
        every = [t for other, t in enumerate(times) if other != c]
        others = np.sort(np.concatenate([*every, [-np.inf, np.inf]]))
        after = np.clip(np.searchsorted(others, own.t), 1, len(others) - 1)
        with np.errstate(invalid="ignore"):
            before = own.t - others[after - 1]
            until = others[after] - own.t
            near = np.minimum(before, until) <= _BESIDE * step
            between = before + until <= _BETWEEN * step
        views.append(replace(own, t=np.where(mine & ~(near | between), np.nan, own.t)))
    return replace(network, views=tuple(views))


def _own_paths(
    network: Network, moving: Sequence[NDArray[np.bool_]]
) -> tuple[list[FloatArray], list[FloatArray], list[FloatArray], list[FloatArray]]:
    """Return times, cam_from_board, centres and variances of each camera's own views.

    Poses come from homographies, closed form; the variances (V, 6) rad^2 and m^2, in the camera's
    axes, are what the corners' noise does to them.
    """
    t, rotations, centres, variances = [], [], [], []
    centre_m = network.corners_m.mean(0)
    every = disagreements(network)
    for c, own in enumerate(moving):
        views = network.views[c].only(own)
        order = np.argsort(views.t, kind="stable")
        turn, shift = board_poses(network.cameras[c], network.corners_m, views)
        turn, shift = turn[order], shift[order]
        t.append(views.t[order])
        rotations.append(turn)
        centres.append(turn @ centre_m + shift)
        variances.append(np.einsum("vii->vi", every[c].cov[own][order]))
    return t, rotations, centres, variances


def solve_offsets(timed: TimedNetwork) -> TimedNetwork:
    """Return the adjusted network with the variance components of the largest evidence.

    Each is doubled or halved as long as that makes the evidence larger. The motion's strengths
    begin as those of the views, which the stamps' scatter makes too large, and keep their ratio.
    """
    timed, best = adjust_timed(timed, _ROUGHLY)
    for change in (_wobbling, _stamped, _moving):
        for factor in (0.5, 2.0):
            improved = False
            while True:
                strengths = change(timed.strengths, factor)
                if strengths is None:
                    break
                trial, evidence = adjust_timed(replace(timed, strengths=strengths), _ROUGHLY)
                if evidence >= best - _WORTH_IT:
                    break
                timed, best, improved = trial, evidence, True
            if improved:
                break
    return adjust_timed(timed, _CLOSELY)[0]


def _wobbling(strengths: Strengths, factor: float) -> Strengths | None:
    return _within(replace(strengths, wobble=strengths.wobble * factor))


def _stamped(strengths: Strengths, factor: float) -> Strengths | None:
    return _within(replace(strengths, stamp=strengths.stamp * factor))


def _moving(strengths: Strengths, factor: float) -> Strengths | None:
    shift, turn = strengths.shift * factor, strengths.turn * factor
    return _within(replace(strengths, shift=shift, turn=turn))


def _within(strengths: Strengths) -> Strengths | None:
    """Return the strengths, or None beyond what a board and stamps can be."""
    possible = all(low <= getattr(strengths, n) <= high for n, (low, high) in _RANGE.items())
    return strengths if possible else None


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
    t: Sequence[FloatArray],
    rotations: Sequence[FloatArray],
    centres: Sequence[FloatArray],
    variances: Sequence[FloatArray],
) -> tuple[float, float]:
    """Return the strengths (shift, turn) of the board's acceleration from each camera's own poses.

    Three views at equal steps d have a second difference of variance 2/3 d^3 times the strength,
    per axis, and of the poses' own noise: at many frames a second, and along the line of sight, it
    is mostly that. Moments, weighed by what each is known to (DerSimonian and Laird, Controlled
    Clinical Trials 7:177, 1986). The mean and not the median is taken: a hand that rests in between
    must not make the motion stiff where it moves.

    Args:
        t: (V,) s of each camera's views, rising.
        rotations: (V, 3, 3) cam_from_board of each view.
        centres: (V, 3) m, the board's centre in the camera.
        variances: (V, 6) rad^2 and m^2 of these, in the camera's axes.
    """
    steps, bends, noises = [np.zeros(0)], [np.zeros((0, 6))], [np.zeros((0, 6))]
    for time, rotation, centre, variance in zip(t, rotations, centres, variances, strict=True):
        if len(time) < 3:
            continue
        first, second = np.diff(time)[:-1], np.diff(time)[1:]
        even = (np.abs(first - second) < 0.2 * first) & (first < _LONGEST_STEP)
        step = rotation[1:] @ np.swapaxes(rotation[:-1], 1, 2)
        turn = np.diff(Rotation.from_matrix(step).as_rotvec(), axis=0)
        bent = centre[2:] - 2 * centre[1:-1] + centre[:-2]
        steps.append(((2 / 3) * ((first + second) / 2) ** 3)[even])
        bends.append(np.concatenate([turn, bent], axis=1)[even])
        noises.append((variance[2:] + 4 * variance[1:-1] + variance[:-2])[even])
    step, squared, noise = (
        np.concatenate(steps)[:, None], np.concatenate(bends) ** 2, np.concatenate(noises),
    )  # fmt: skip
    shift = _strength(step, squared[:, 3:], noise[:, 3:], *_RANGE["shift"])
    return shift, _strength(step, squared[:, :3], noise[:, :3], *_RANGE["turn"])


def _strength(
    step: FloatArray, squared: FloatArray, noise: FloatArray, low: float, high: float
) -> float:
    """Return q of squares with the mean noise + step q."""
    if not squared.size:
        return 1.0
    strength = 0.0
    for _ in range(_ROUNDS):
        weight = step / (noise + step * strength) ** 2
        strength = float((weight * (squared - noise)).sum() / (weight * step).sum())
        strength = float(np.clip(strength, low, high))
    return strength
