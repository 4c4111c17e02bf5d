"""The cameras, the poses of the board, and the views that tie them: what is adjusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

from calibration.views import Views
from lab.camera import Camera
from lab.checks import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Cameras, board poses, and the views that tie them.

    Attributes:
        cameras: C cameras; their lab frame is the one of the board poses.
        bases: For each camera (P, n): which combinations of its intrinsics are free.
        rotations, translations: (B, 3, 3) and (B, 3) m, lab_from_board of each pose.
        views: One of each camera.
        corners_m: (K, 3) m in the board frame.
        sigma_px: (C,) noise of a corner of weight 1, per axis.
        jitter: (2,) rad and m: standard deviation, per axis, of the board's displacement in a view
            about its centre.
        fixed_camera: The camera whose pose is the gauge, or None.
        fixed_board: The board pose that is the gauge where no camera is.
        still: Board poses that did not move, so that jitter does not concern them.
    """

    cameras: tuple[Camera, ...]
    bases: tuple[FloatArray, ...]
    rotations: FloatArray
    translations: FloatArray = field(metadata={"unit": "m"})
    views: tuple[Views, ...]
    corners_m: FloatArray = field(metadata={"unit": "m"})
    sigma_px: FloatArray = field(metadata={"unit": "px"})
    jitter: tuple[float, float] = (0.0, 0.0)
    fixed_camera: int | None = 0
    fixed_board: int | None = None
    still: frozenset[int] = frozenset()

    def free_slices(self) -> tuple[slice, ...]:
        """Return where each camera's free parameters (pose, then lens) stand."""
        sizes = [
            (0 if c == self.fixed_camera else 6) + basis.shape[1]
            for c, basis in enumerate(self.bases)
        ]
        ends = np.cumsum(sizes)
        return tuple(slice(int(e) - n, int(e)) for e, n in zip(ends, sizes, strict=True))


def with_lenses(network: Network, held: Mapping[int, tuple[FloatArray, FloatArray]]) -> Network:
    """Return the network with the combinations of held lenses as parameters."""
    bases = tuple(held[c][0] if c in held else b for c, b in enumerate(network.bases))
    return replace(network, bases=bases)


def moved_by(network: Network, cameras: FloatArray, boards: FloatArray) -> Network:
    """Return the network after a step of its free camera parameters and board poses (B, 6).

    Raises:
        ValueError: Where the step leaves what a camera can be.
    """
    moved = moved_where_possible(network, cameras, boards)
    if moved is None:
        raise ValueError("moved_by: a focal length would not be positive")
    return moved


def moved_where_possible(
    network: Network, cameras: FloatArray, boards: FloatArray
) -> Network | None:
    """Return the network after a step; None where it leaves what a camera can be."""
    moved = []
    for c, camera in enumerate(network.cameras):
        step = cameras[network.free_slices()[c]]
        pose = np.zeros(6) if c == network.fixed_camera else step[:6]
        lens = network.bases[c] @ step[len(step) - network.bases[c].shape[1] :]
        if (camera.intrinsics[:2] + lens[:2] <= 0).any() or not np.isfinite(step).all():
            return None
        moved.append(camera.perturbed(np.concatenate([pose, lens])))
    turn = Rotation.from_rotvec(boards[:, :3]).as_matrix()
    return replace(
        network,
        cameras=tuple(moved),
        rotations=turn @ network.rotations,
        translations=np.einsum("bij,bj->bi", turn, network.translations) + boards[:, 3:],
    )


def to_rig_parameters(network: Network) -> FloatArray:
    """Return (full, free): from the free parameters to those of `Rig.cov`."""
    slices = network.free_slices()
    sizes = [6 + len(camera.intrinsics) for camera in network.cameras]
    spread = np.zeros((sum(sizes), slices[-1].stop))
    row = 0
    for c, (piece, size) in enumerate(zip(slices, sizes, strict=True)):
        lens_start = piece.start
        if c != network.fixed_camera:
            spread[row : row + 6, piece.start : piece.start + 6] = np.eye(6)
            lens_start += 6
        spread[row + 6 : row + size, lens_start : piece.stop] = network.bases[c]
        row += size
    return spread
