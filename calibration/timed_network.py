"""A network whose board moves continuously, each camera's frames having their own time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calibration.motion import Motion
from calibration.network import Network
from lab.checks import FloatArray


@dataclass(frozen=True, slots=True)
class Strengths:
    """Variance components of the motion and of the stamps.

    Attributes:
        shift: m^2/s^3, of the white noise that the centre's acceleration is.
        turn: rad^2/s^3, of the angular acceleration.
        stamp: s, standard deviation of a stamp.
        wobble: m, standard deviation per axis of what else displaces the board in one view (a
            board that bends, a rolling shutter); turned by as much over its size.
    """

    shift: float = field(metadata={"unit": "m^2/s^3"})
    turn: float = field(metadata={"unit": "rad^2/s^3"})
    stamp: float = field(metadata={"unit": "s"})
    wobble: float = field(metadata={"unit": "m"})


@dataclass(frozen=True, slots=True, eq=False)
class TimedNetwork:
    """A network whose shared board poses lie on a motion.

    Attributes:
        network: Cameras and lenses, and the poses of their own; views with a time belong to the
            motion.
        motion: Of the board.
        offsets: (C,) s, frames were taken at stamp + offset.
        free_offset: (C,) whether a camera's offset is solved for; one camera's is the gauge.
        strengths: Variance components.
        readouts: (C,) s, from a frame's first row to its last.
        free_readout: (C,) whether a camera's read-out time is solved for.
    """

    network: Network
    motion: Motion
    offsets: FloatArray = field(metadata={"unit": "s"})
    free_offset: NDArray[np.bool_]
    strengths: Strengths
    readouts: FloatArray = field(metadata={"unit": "s"})
    free_readout: NDArray[np.bool_]

    @property
    def own_times(self) -> NDArray[np.intp]:
        """How many parameters of time each camera has (C,): the last ones of its own."""
        return self.free_readout.astype(np.intp) + self.free_offset


def timed_slices(timed: TimedNetwork) -> tuple[slice, ...]:
    """Return where each camera's free parameters (pose, lens, read-out, offset) stand."""
    own = [s.stop - s.start for s in timed.network.free_slices()] + timed.own_times
    ends = np.cumsum(own)
    return tuple(slice(int(e - n), int(e)) for e, n in zip(ends, own, strict=True))


def is_timed(network: Network, camera: int) -> NDArray[np.bool_]:
    """Say which views (V,) of a camera lie on the motion: those with a time, the board moving."""
    views = network.views[camera]
    return np.isfinite(views.t) & ~np.isin(views.pose, list(network.still))
