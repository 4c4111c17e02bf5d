"""A floor recording that cannot be of this rig: two cameras' names exchanged, or one moved since.

Taken into the adjustment, one view that is hundreds of pixels off would bend every camera to it, so
it is looked at first, against the rig that the moving board gives.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from calibration.floor import still_network
from calibration.network import Network
from calibration.normals import residuals_px
from calibration.solution import Solution
from calibration.thresholds import thresholds
from calibration.views import Views

# Cameras out of step stand a little wrong here: then only what is so many times the gate's limit is
# surely wrong, and the gate judges the floor when all is solved.
_GROSSLY = 4.0
_SURELY = 5.0  # times better than any other exchange


def floor_misfit(moving: Solution, views: tuple[Views, ...]) -> str:
    """Return the reason why the floor recording cannot belong to the rig; empty where it can.

    Args:
        moving: Solved without the floor.
        views: The board lying still, one view of each camera or none.
    """
    network = moving.network
    limits = thresholds()
    in_step = moving.asynchrony <= limits["note"]["asynchrony"]
    part = limits["refuse"]["floor_residual"] * (1.0 if in_step else _GROSSLY)
    limit = part * max(max(camera.size_px) for camera in network.cameras)
    given = _rms_px(network, views)
    if given <= limit:
        return ""
    tried = []
    for a, b in combinations(range(len(views)), 2):
        if len(views[a]) or len(views[b]):
            swapped = list(views)
            swapped[a], swapped[b] = views[b], views[a]
            tried.append((_rms_px(network, tuple(swapped)), a, b))
    best, a, b = min(tried)
    others = min([given, *(rms for rms, *pair in tried if pair != [a, b])])
    names = [camera.name for camera in network.cameras]
    if best <= limit and others > _SURELY * best:
        return (
            f"{names[a]} and {names[b]} are exchanged in the floor recording: it fits the rig to "
            f"{best:.1f} px with their videos exchanged, and to {given:.0f} px as they are; name "
            "them as in the other recordings"
        )
    return (
        f"the floor recording does not fit the rig ({given:.0f} px): was a camera moved between "
        "the recordings, or are names exchanged? It was left out"
    )


def _rms_px(network: Network, views: tuple[Views, ...]) -> float:
    """Return the residual of the board's views, its one pose solved, the cameras held."""
    try:
        lying = still_network(network.cameras, views, network.corners_m)
    except np.linalg.LinAlgError:
        return float("inf")
    every = [residuals_px(lying, c)[own.weight > 0] for c, own in enumerate(views) if len(own)]
    squared = (np.concatenate(every) ** 2).sum(-1)
    return float(np.sqrt(squared.mean())) if np.isfinite(squared).all() else float("inf")
