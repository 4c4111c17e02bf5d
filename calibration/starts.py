"""Whether the adjustment ends at the same place from elsewhere.

Least squares over cameras and boards has other minima: mirrored board poses, a camera on the wrong
side of what it sees. Each further start moves every camera by some degrees and a tenth of its
distance and every focal length by some per cent, lays the boards anew by what the cameras then
see, and adjusts with the same views.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

from calibration.bundle import ROUGHLY, adjust
from calibration.continuous import adjust_timed
from calibration.network import Network
from calibration.normals import normal_equations
from calibration.solution import Solution
from calibration.start import board_poses, shared_board_poses
from calibration.timed_network import TimedNetwork
from calibration.timed_system import system
from calibration.views import Sightings
from lab.camera import Camera
from lab.checks import FloatArray
from lab.errors import LabError
from lab.pose import Pose

_STARTS = 4
_TIMED_STARTS = 2  # of an adjustment that takes seconds
_TURN_RAD = 0.06
_SHIFT_PART = 0.1  # of the distance to the boards
_FOCAL_PART = 0.04
_LATE = 0.02  # s, by which an offset is moved
_CLOSELY = 1e-12
_TIMED_CLOSELY = 1e-9
# Minus twice the log likelihood, within which two ends explain the views equally well.
_AS_GOOD = 10.0


@dataclass(frozen=True, slots=True)
class Starts:
    """What came of the further starts.

    Attributes:
        tried: How many.
        agreeing: How many ended at the solution.
        spread_mm: Largest distance of a camera from where the solution has it, over the starts
            that explain the views as well as the solution, or better; NaN where none does.
        better: Whether one explains them better.
        timed: Whether with time offsets: the board's motion then starts where it was, and a start
            that strays from it ends in no solution, which says nothing of this one.
    """

    tried: int
    agreeing: int
    spread_mm: float = field(metadata={"unit": "mm"})
    better: bool
    timed: bool = False


def try_starts(solution: Solution, same_mm: float, seed: int = 0) -> Starts:
    """Adjust from further starts.

    Args:
        solution: Before it was laid into another frame than its first camera's.
        same_mm: A start agrees that ends nearer than this.
        seed: Of the starts, the same in every calibration.
    """
    rng = np.random.default_rng(seed)
    given = solution.network if solution.timed is None else solution.timed.network
    own = _cost(solution)
    spread, agreeing, better = float("nan"), 0, False
    tried = _STARTS if solution.timed is None else _TIMED_STARTS
    for _ in range(tried):
        ended = _from_elsewhere(solution, rng)
        if ended is None:
            continue
        cameras, cost = ended
        away = [
            float(np.linalg.norm(a.centre - b.centre))
            for a, b in zip(cameras, given.cameras, strict=True)
        ]
        apart_mm = 1e3 * max(away)
        agreeing += apart_mm < same_mm
        if cost < own + _AS_GOOD:
            spread = float(np.fmax(spread, apart_mm))
        better = better or (cost < own - _AS_GOOD and apart_mm >= same_mm)
    return Starts(tried, agreeing, spread, better, solution.timed is not None)


def _cost(solution: Solution) -> float:
    if solution.timed is not None:
        return system(solution.timed).cost
    return normal_equations(solution.network).cost


def _from_elsewhere(
    solution: Solution, rng: np.random.Generator
) -> tuple[tuple[Camera, ...], float] | None:
    """Return the cameras and the cost where another start ends; None where it ends nowhere."""
    timed = solution.timed
    given = solution.network if timed is None else timed.network
    cameras = tuple(
        _moved(given, c, rng, c != given.fixed_camera) for c in range(len(given.cameras))
    )
    try:
        if timed is not None:
            return _timed_end(timed, cameras, rng)
        network = _relaid(replace(given, cameras=cameras))
        # Roughly without jitter first: compiled, and from far away no jitter helps.
        network = adjust(replace(network, jitter=(0.0, 0.0)), ROUGHLY)
        network = adjust(replace(network, jitter=given.jitter), _CLOSELY)
    except (LabError, ValueError, np.linalg.LinAlgError):
        return None
    return network.cameras, normal_equations(network).cost


def _timed_end(
    timed: TimedNetwork, cameras: tuple[Camera, ...], rng: np.random.Generator
) -> tuple[tuple[Camera, ...], float]:
    late = np.where(timed.free_offset, rng.normal(0, _LATE, len(cameras)), 0.0)
    network = replace(timed.network, cameras=cameras)
    start = replace(timed, network=network, offsets=timed.offsets + late)
    ended, _ = adjust_timed(start, _TIMED_CLOSELY)
    return ended.network.cameras, system(ended).cost


def _moved(network: Network, c: int, rng: np.random.Generator, pose: bool) -> Camera:
    camera = network.cameras[c]
    intrinsics = camera.intrinsics.copy()
    if network.bases[c][0].any():
        intrinsics[:2] *= 1 + _FOCAL_PART * rng.uniform(-1, 1)
    if not pose:
        return replace(camera, intrinsics=intrinsics)
    seen = network.translations[network.views[c].pose]
    middle = camera.cam_from_lab.transform(np.median(seen, axis=0))
    turn = Rotation.from_rotvec(rng.normal(0, _TURN_RAD, 3)).as_matrix()
    shift = _SHIFT_PART * np.linalg.norm(middle) * rng.uniform(-1, 1, 3)
    about_middle = Pose(turn, middle - turn @ middle + shift)
    return replace(camera, intrinsics=intrinsics, cam_from_lab=about_middle @ camera.cam_from_lab)


def _relaid(network: Network) -> Network:
    """Return the network with every board pose as its views' own homographies have it."""
    corners: FloatArray = network.corners_m
    poses = [
        board_poses(c, corners, v) for c, v in zip(network.cameras, network.views, strict=True)
    ]
    names = tuple(c.name for c in network.cameras)
    seen = Sightings(names, network.views, np.zeros(len(network.rotations)))
    rotations, translations = shared_board_poses(network.cameras, seen, poses, corners)
    return replace(network, rotations=rotations, translations=translations)
