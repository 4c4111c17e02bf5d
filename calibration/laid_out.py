"""A network as the compiled adjustment takes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibration.compiled import PARAMETERS
from calibration.compiled_adjust import Layout, State
from calibration.network import Network


def _columns(network: Network) -> NDArray[np.int64] | None:
    """Return (C, 15) which of its camera's free parameters each is, -1 for none.

    None where the network is not of that kind.

    The compiled adjustment knows brown5, and lenses of which each intrinsic is free, held, or tied
    to another.
    """
    columns = np.full((len(network.cameras), PARAMETERS), -1, np.int64)
    for c, (camera, basis) in enumerate(zip(network.cameras, network.bases, strict=True)):
        if camera.model != "brown5" or ((basis != 0) & (basis != 1)).any():
            return None
        if (basis.sum(1) > 1).any():
            return None
        start = 0
        if c != network.fixed_camera:
            columns[c, :6] = np.arange(6)
            start = 6
        for row, column in zip(*np.nonzero(basis), strict=True):
            columns[c, 6 + row] = start + column
    return columns


def laid_out(network: Network, cauchy: float = 0.0) -> tuple[Layout, State] | None:
    """Return the network as the compiled adjustment takes it; None where that does not know it.

    It knows networks without jitter, of brown5 lenses of which each intrinsic is free, held, or
    tied to another. `cauchy` is as in `bundle.adjust`.
    """
    if network.jitter[0] > 0 and network.jitter[1] > 0:
        return None
    columns = _columns(network)
    if columns is None:
        return None
    view_camera = np.repeat(np.arange(len(network.views)), [len(v) for v in network.views])
    view_pose = np.concatenate([v.pose for v in network.views]).astype(np.int64)
    order = np.argsort(view_pose, kind="stable")
    weight = np.concatenate(
        [v.weight / s**2 for v, s in zip(network.views, network.sigma_px, strict=True)]
    )
    poses = len(network.rotations)
    held = np.zeros(poses, bool)
    if network.fixed_board is not None:
        held[network.fixed_board] = True
    pieces = network.free_slices()
    layout = Layout(
        columns,
        np.array([piece.stop - piece.start for piece in pieces]),
        np.array([piece.start for piece in pieces]),
        view_camera[order],
        np.searchsorted(view_pose[order], np.arange(poses + 1)),
        held,
        np.ascontiguousarray(network.corners_m),
        np.concatenate([v.xy_px for v in network.views])[order],
        weight[order],
        float(cauchy),
    )
    start = State(
        np.stack([c.cam_from_lab.rotation for c in network.cameras]),
        np.stack([c.cam_from_lab.translation for c in network.cameras]),
        np.stack([c.intrinsics for c in network.cameras]),
        np.array(network.rotations, order="C"),
        np.array(network.translations, order="C"),
    )
    return layout, start
