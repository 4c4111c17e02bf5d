"""A solved network: its covariance, its time offsets, and what each view then sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from calibration.bundle import camera_step
from calibration.continuous import timed_camera_step, timed_covariance
from calibration.covariances import covariance
from calibration.lens import Lens
from calibration.lens_gate import LensUse, held_covariance
from calibration.network import Network, to_rig_parameters, with_lenses
from calibration.normals import adjoint
from calibration.readout import at_the_middle_row
from calibration.steadiness import Step
from calibration.timed_network import TimedNetwork, is_timed, timed_slices
from calibration.timed_system import board_at
from calibration.views import Sightings
from lab.checks import FloatArray
from lab.pose import Pose


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A solved network.

    Attributes:
        network: Adjusted; the first camera's pose is its gauge.
        sightings: What went in, with only the views used.
        lenses: What each camera's own views said.
        uses: How the adjustment took each camera's lens.
        views_dropped: Views that disagreed with all others, by camera (C,).
        asynchrony: Square root of the views' disagreement over what corner noise explains, before
            any time offset.
        timed: Where the cameras do not share a shutter: the same with a continuous motion of the
            board and an offset of each camera's stamps. `network` then holds a board pose for
            every view.
        step: A camera that was knocked, or its lens turned, within the recording.
        doubts_m: (S, K, 3) m, where the board's corners go by a standard deviation of each thing
            that is not known of its shape (`BoardShape.doubts_m`).
    """

    network: Network
    sightings: Sightings
    lenses: tuple[Lens, ...]
    uses: tuple[LensUse, ...]
    views_dropped: FloatArray
    asynchrony: float
    timed: TimedNetwork | None = None
    step: Step | None = None
    doubts_m: FloatArray = field(
        default_factory=lambda: np.zeros((0, 0, 3)), metadata={"unit": "m"}
    )

    @property
    def held(self) -> dict[int, tuple[FloatArray, FloatArray]]:
        """The lenses that were held, as `covariances.covariance` takes them."""
        return {
            c: held_covariance(lens)
            for c, (lens, use) in enumerate(zip(self.lenses, self.uses, strict=True))
            if use.use == "held"
        }

    def covariance(self) -> FloatArray:
        """Return the joint covariance of all cameras in the order of `Rig.cov`.

        The board's shape is known apart from the cameras, from each view by itself; what its
        error does to the cameras is added as that of something known before
        (`covariances.known_before`).
        """
        by_shape = self._by_shape()
        return self._covariance_on_this_board() + by_shape.T @ by_shape

    def _by_shape(self) -> FloatArray:
        """Return (S, Q) what each doubt of the board's shape does to the parameters of the rig."""
        network = self.network if self.timed is None else self.timed.network
        spread = to_rig_parameters(network)
        moves = np.zeros((len(self.doubts_m), len(spread)))
        for i, doubt in enumerate(self.doubts_m):
            # To both sides: what the solution itself has not settled falls out.
            ends = [self._step_on(network.corners_m + sign * doubt) for sign in (0.5, -0.5)]
            moves[i] = spread @ (ends[0] - ends[1])
        return moves

    def _step_on(self, corners_m: FloatArray) -> FloatArray:
        """Return the step (Q,) of the cameras' free parameters with the corners elsewhere."""
        if self.timed is None:
            return camera_step(replace(self.network, corners_m=corners_m))
        network = replace(self.timed.network, corners_m=corners_m)
        return timed_camera_step(replace(self.timed, network=network))

    def _covariance_on_this_board(self) -> FloatArray:
        if self.timed is None:
            return covariance(self.network, self.held)
        timed = self.timed
        network = with_lenses(timed.network, self.held)
        free = timed_covariance(timed, self.held)
        keep = np.concatenate(
            [
                np.arange(piece.start, piece.stop - int(own))
                for piece, own in zip(
                    timed_slices(replace(timed, network=network)), timed.own_times, strict=True
                )
            ]
        )
        spread = to_rig_parameters(network)
        cov = spread @ free[np.ix_(keep, keep)] @ spread.T
        return 0.5 * (cov + cov.T)

    def offsets(self) -> tuple[FloatArray, FloatArray]:
        """Return each camera's time offset (C,) s and its sigma; NaN where not solved for."""
        if self.timed is None:
            unknown = np.full(len(self.network.cameras), np.nan)
            return unknown, unknown
        places = [piece.stop - 1 for piece in self._timed_slices(self.timed)]
        return self.timed.offsets, self._sigmas(places, self.timed.free_offset)

    def readouts(self) -> tuple[FloatArray, FloatArray]:
        """Return each camera's row read-out time (C,) s and its sigma; NaN where not solved for."""
        if self.timed is None or not self.timed.free_readout.any():
            unknown = np.full(len(self.network.cameras), np.nan)
            return unknown, unknown
        timed = self.timed
        places = [
            piece.stop - int(own)
            for piece, own in zip(self._timed_slices(timed), timed.own_times, strict=True)
        ]
        known = np.where(timed.free_readout, timed.readouts, np.nan)
        return known, self._sigmas(places, timed.free_readout)

    def _timed_slices(self, timed: TimedNetwork) -> tuple[slice, ...]:
        return timed_slices(replace(timed, network=with_lenses(timed.network, self.held)))

    def _sigmas(self, places: Sequence[int], free: NDArray[np.bool_]) -> FloatArray:
        if self.timed is None:
            return np.full(len(free), np.nan)
        variance = np.diag(timed_covariance(self.timed, self.held))
        return np.array(
            [np.sqrt(variance[p]) if f else 0.0 for p, f in zip(places, free, strict=True)]
        )

    def in_frame_of(self, pose: int) -> Solution:
        """Return the solution in the frame of a still board pose, which becomes its gauge."""
        if self.timed is None:
            return replace(self, network=_in_frame(self.network, pose))
        network = self.timed.network
        new_from_old = Pose(network.rotations[pose], network.translations[pose]).inverse()
        motion = self.timed.motion.transformed(new_from_old)
        timed = replace(self.timed, network=_in_frame(network, pose), motion=motion)
        return replace(self, timed=timed, network=as_seen(timed))


def as_seen(timed: TimedNetwork) -> Network:
    """Return a network with a board pose for every view, where the motion has it at its time.

    It serves to look at residuals. Poses of their own keep their numbers.
    """
    network = timed.network
    centre_m = network.corners_m.mean(0)
    rotations, translations = [network.rotations], [network.translations]
    views, count = [], len(network.rotations)
    for c, own in enumerate(network.views):
        moving = is_timed(network, c)
        turn, centre, velocity = board_at(timed, c)
        origin = centre - turn @ centre_m
        rotations.append(turn[moving])
        translations.append(origin[moving])
        if timed.readouts[c] != 0:
            camera = network.cameras[c]
            points = network.corners_m @ np.swapaxes(turn, 1, 2) + origin[:, None]
            points = camera.cam_from_lab.transform(points)
            late = velocity @ adjoint(camera).T
            own = at_the_middle_row(camera, points, late, float(timed.readouts[c]), own)
        pose = own.pose.copy()
        pose[moving] = count + np.arange(int(moving.sum()))
        count += int(moving.sum())
        views.append(replace(own, pose=pose))
    return replace(
        network,
        views=tuple(views),
        rotations=np.concatenate(rotations),
        translations=np.concatenate(translations),
    )


def _in_frame(network: Network, pose: int) -> Network:
    old_from_new = Pose(network.rotations[pose], network.translations[pose])
    new_from_old = old_from_new.inverse()
    return replace(
        network,
        cameras=tuple(
            replace(c, cam_from_lab=c.cam_from_lab @ old_from_new) for c in network.cameras
        ),
        rotations=new_from_old.rotation @ network.rotations,
        translations=network.translations @ new_from_old.rotation.T + new_from_old.translation,
        fixed_camera=None,
        fixed_board=pose,
    )
