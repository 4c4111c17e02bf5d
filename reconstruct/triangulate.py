"""Points in space from what several cameras saw, with covariance, robust to wrong joints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lab.camera import Camera
from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Points3D
from lab.rig import Rig
from reconstruct.associate import AlignedKeypoints
from reconstruct.consensus import GOOD, MOVEMENT, REASONS, SIDES, Agreement, agree, withhold
from reconstruct.noise import estimate_noise, estimate_scale
from reconstruct.sightlines import Sightlines, take_sightlines
from reconstruct.swaps import exchange_columns, find_swaps
from reconstruct.tally import all_known, carry_parameters, medians, take_stock, weigh

# A point is no further from the middle of the cameras than this many times the furthest of them.
_VOLUME = 3.0
_LEAST_VOLUME_M = 10.0
_MEDIAN = 0.6744897501960817  # of |z| of a standard normal variable


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """Points in space and how they came about. C cameras in the order of the keypoints.

    Attributes:
        points: (T, K) points; NaN where withheld.
        cameras: C names.
        views: (T, K) number of views that the point is made from; 0 where withheld.
        residual_px: (C, T, K) distance of each used observation from the point's image; NaN where
            not used.
        rejected: (C, T, K) seen, but judged wrong by the views that agree on the point.
        status: (T, K) index into `consensus.REASONS`; 0 where the point stands.
        noise_px: (C, K) standard deviation per axis of each camera's sight of each joint, from the
            residuals of the used views; NaN where there were none.
        chi2_per_dof: Mean squared standardised residual; 1 where the noise given (or estimated)
            fits. NaN where no point has a redundant view.
        information_px: (C, T, K, 3) xx, xy, yy, 1/px^2, as used; 0 where not used.
        swapped: (C, T, K) observations that stood under their partner's name (left for right) and
            were exchanged back.
    """

    points: Points3D
    cameras: tuple[str, ...]
    views: NDArray[np.int64]
    residual_px: FloatArray
    rejected: NDArray[np.bool_]
    status: NDArray[np.uint8]
    noise_px: FloatArray
    chi2_per_dof: float
    information_px: FloatArray
    swapped: NDArray[np.bool_]

    @property
    def withheld(self) -> Mapping[str, int]:
        """How many points were withheld for which reason (points that no camera saw left out)."""
        return {
            reason: int((self.status == code).sum())
            for code, reason in enumerate(REASONS)
            if code != GOOD and (self.status == code).any()
        }

    def at_frames(self, which: NDArray[np.intp]) -> Reconstruction:
        """Return the reconstruction of some of the frames; what is said of all stays so."""
        points = self.points
        return replace(
            self,
            points=Points3D(points.names, points.t[which], points.xyz[which], points.cov[which]),
            views=self.views[which],
            residual_px=self.residual_px[:, which],
            rejected=self.rejected[:, which],
            status=self.status[which],
            information_px=self.information_px[:, which],
            swapped=self.swapped[:, which],
        )

    def rig_sensitivity(self, rig: Rig) -> FloatArray:
        """Return the derivative of each point by the rig's parameters, (T, K, 3, Q).

        The parameters are those of `Rig.cov` and `Rig.perturbed`. With J the derivative of the
        pixels by the point and B that by the parameters, it is -(J'WJ)^-1 J'WB: the derivative of
        the least-squares solution (implicit function theorem), to first order in the residuals.
        NaN for points withheld.

        Raises:
            ValueError: When the rig lacks a camera of this reconstruction.
        """
        frames, joints = self.points.xyz.shape[:2]
        good = np.flatnonzero(self.status == GOOD)
        xyz = self.points.xyz.reshape(-1, 3)[good]
        result = np.empty((frames * joints, 3, len(rig.cov)))
        result[np.flatnonzero(self.status != GOOD)] = np.nan
        taken = [rig.names.index(name) for name in self.cameras]
        slices = rig.parameter_slices()
        for index in set(range(len(rig.names))) - set(taken):
            result[good, :, slices[index]] = 0.0
        cov = self.points.cov.reshape(-1, 3, 3)
        for c, index in enumerate(taken):
            seen = rig.cameras[index].project_with_jacobians(xyz)
            by = seen.by_point, seen.by_pose, seen.by_intrinsics
            information = self.information_px[c].reshape(-1, 3)
            carry_parameters(good, cov, information, by, slices[index].start, result)
        return result.reshape(frames, joints, 3, -1)


def triangulate(
    rig: Rig, aligned: AlignedKeypoints, *, robust: bool = True, rescale: bool = False
) -> Reconstruction:
    """Reconstruct points by maximum likelihood from the views that agree.

    Each point: a linear start, Gauss-Newton on pixel residuals through the lens weighted by the
    inverse covariance of the pixels, and the covariance (J'WJ)^-1 of the result. A point whose
    views do not agree is found again by a consensus of pairs of cameras (`consensus.agree`); views
    that disagree with it are rejected outright, so that the rest keep their full weight. Where a
    keypoint has no covariance its noise is estimated from the residuals, for each joint and
    camera (`noise.estimate_noise`).

    A point with exactly two views has one redundant number: an error along the line that the
    other camera sees is not found out. `Reconstruction.views` tells.

    Args:
        rig: The cameras.
        aligned: What they saw.
        robust: Whether to look for wrong observations; without, all are used.
        rescale: Whether given covariances are right up to a factor only, which is then estimated
            from the residuals, for each joint and camera (`noise.estimate_scale`).

    Raises:
        LabError: When a camera of the keypoints is not in the rig.
    """
    cameras = tuple(_camera(rig, name) for name in aligned.cameras)
    shape = aligned.score.shape
    flat = (shape[0], shape[1] * shape[2])
    s = take_sightlines(cameras, aligned.xy_px.reshape(*flat, 2))
    volume = _volume(cameras)
    sigma = np.ones((shape[0], shape[2]))
    if not all_known(aligned.cov_px, s.seen):
        sigma = estimate_noise(s, aligned.cov_px, aligned.score, volume)
    elif rescale:
        factor = estimate_scale(s, aligned.cov_px, volume)
        scaled = aligned.cov_px * (factor**2)[:, None, :, None, None]
        aligned = replace(aligned, cov_px=scaled)
    information = weigh(aligned.cov_px, sigma)
    s = s.weighted(information)
    agreement = agree(s, volume, robust=robust)
    swapped = np.zeros(shape, bool)
    if robust:
        swaps = find_swaps(s, aligned, agreement, volume)
        swapped = swaps.swapped
        doubtful = swaps.doubtful.ravel()
        if swapped.any():
            aligned = swaps.aligned
            order = exchange_columns(aligned.names)
            information = np.where(
                swapped.reshape(flat)[..., None],
                information.reshape(*shape, 3)[:, :, order].reshape(*flat, 3),
                information,
            )
            s = take_sightlines(cameras, aligned.xy_px.reshape(*flat, 2)).weighted(information)
        dropped = swaps.dropped.reshape(flat) & s.seen
        if swapped.any() or dropped.any():
            agreement = agree(replace(s, seen=s.seen & ~dropped), volume)
        if doubtful.any():
            agreement = withhold(agreement, doubtful, SIDES)
        if swaps.impossible.any():
            agreement = withhold(agreement, swaps.impossible.ravel(), MOVEMENT)
    return _reconstruction(s, information, agreement, aligned, swapped)


def _camera(rig: Rig, name: str) -> Camera:
    if name not in rig.names:
        raise LabError(
            f"the rig has no camera of this name; it has {', '.join(rig.names)}",
            where=f"keypoints of {name}",
            remedy="Name the camera as the rig does, or give the rig that belongs to the trial.",
        )
    return rig.camera(name)


def _volume(cameras: tuple[Camera, ...]) -> tuple[FloatArray, float]:
    centres = np.array([camera.centre for camera in cameras])
    middle = centres.mean(0)
    furthest = float(np.linalg.norm(centres - middle, axis=1).max())
    return middle, max(_VOLUME * furthest, _LEAST_VOLUME_M)


def _reconstruction(
    s: Sightlines,
    information: FloatArray,
    agreement: Agreement,
    aligned: AlignedKeypoints,
    swapped: NDArray[np.bool_],
) -> Reconstruction:
    shape = aligned.score.shape
    good = agreement.status == GOOD
    used = agreement.used
    xyz = agreement.estimate.xyz
    cov = agreement.estimate.cov[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]]
    # Read-only, so that they are not copied again.
    xyz.flags.writeable = cov.flags.writeable = False
    residual, kept, in_px, freedom, misfit = take_stock(
        agreement.residual_px, agreement.standardised, agreement.redundancy, information, used
    )
    return Reconstruction(
        points=Points3D(
            aligned.names,
            aligned.t,
            xyz.reshape(*shape[1:], 3),
            cov.reshape(*shape[1:], 3, 3),
        ),
        cameras=aligned.cameras,
        views=used.sum(0).reshape(shape[1:]),
        residual_px=residual.reshape(shape),
        rejected=(s.seen & ~used & good).reshape(shape),
        status=agreement.status.reshape(shape[1:]),
        noise_px=medians(in_px.reshape(*shape, 2)) / _MEDIAN,
        chi2_per_dof=misfit / freedom if freedom > 0 else np.nan,
        information_px=kept.reshape(*shape, 3),
        swapped=swapped,
    )
