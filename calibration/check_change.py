"""What may have happened to one camera of a stored rig, solved and judged against new views.

With x the rig's own errors (covariance S), the score of the new views at the stored rig is s =
-I x + noise, I being the information of the new views with the board poses eliminated; so s has
covariance V = I + I S I. A camera that changed by d (its pose, or its lens) adds I E d.
Generalised least squares gives d with its covariance, and Wald's statistic a p-value (Rao, Linear
Statistical Inference, 2nd ed., 4i). Directions that neither the views nor the rig know drop out
with the pseudo-inverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.stats import chi2

from calibration.network import Network, moved_by
from calibration.normals import normal_equations
from calibration.start import board_poses, pair_pose, shared_board_poses
from calibration.views import Sightings
from lab.camera import Camera
from lab.checks import FloatArray
from lab.rig import Rig

Kind = Literal["pose", "lens"]
Freed = tuple[int, Kind]
KINDS: tuple[Kind, ...] = ("pose", "lens")

_STEPS = 30
_SMALLEST_PART = 1e-10  # of the largest eigenvalue, below which a direction is not known
# A lens that was refocused or zoomed: fx and fy by one part, cx, cy, and the first coefficient.
_LENS_FREE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Score (Q,), information (Q, Q) and pseudo-inverse of the score's covariance."""

    score: FloatArray
    information: FloatArray
    weight: FloatArray
    rank: int

    @property
    def statistic(self) -> float:
        """Wald's statistic of no change at all, chi-squared with `rank` degrees of freedom."""
        return float(self.score @ self.weight @ self.score)


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One camera's change, as new views have it.

    Attributes:
        network: With the camera where it is solved to be.
        step: (6,) rad and m of the pose, or (4,): part of the focal length, cx, cy px, k1.
        cov: Of the step.
        p_value: Chance of this much without a change.
        left: Statistic of what the change does not explain, and its chance `p_left`.
    """

    network: Network
    step: FloatArray
    cov: FloatArray
    p_value: float
    left: float
    p_left: float


def score_of(rig: Rig, network: Network) -> Score:
    """Return the score of a network's views at its cameras, the rig's own errors allowed for."""
    score, information = eliminated(network)
    own = rig.cov if rig.has_covariance else np.zeros_like(information)
    variance = information + information @ own @ information
    # A parameter of which the views say nothing has no row.
    scale = 1 / np.sqrt(np.where(np.diag(variance) > 0, np.diag(variance), 1.0))
    values, vectors = np.linalg.eigh(variance * scale[:, None] * scale)
    known = values > _SMALLEST_PART * values[-1]
    root = scale[:, None] * vectors[:, known] / np.sqrt(values[known])
    return Score(score, information, root @ root.T, int(known.sum()))


def eliminated(network: Network) -> tuple[FloatArray, FloatArray]:
    """Return the score (Q,) and information (Q, Q) of the cameras, board poses eliminated."""
    normals = normal_equations(network)
    gain = np.einsum("qbi,bij->qbj", normals.ties, np.linalg.inv(normals.boards))
    size = len(normals.cameras)
    information = normals.cameras - gain.reshape(size, -1) @ normals.ties.reshape(size, -1).T
    score = normals.camera_gradient - np.einsum("qbi,bi->q", gain, normals.board_gradient)
    return score, 0.5 * (information + information.T)


def free_rows(camera: Camera, kind: Kind) -> FloatArray:
    """Return (6 + P, n): the camera's parameters by those that a change of this kind moves."""
    size = 6 + len(camera.intrinsics)
    if kind == "pose":
        return np.eye(size)[:, :6]
    rows = np.zeros((size, _LENS_FREE))
    rows[6:8, 0] = camera.intrinsics[:2]
    rows[8, 1] = rows[9, 2] = rows[10, 3] = 1.0
    return rows


def change_of(
    rig: Rig, network: Network, freed: Freed, others: Sequence[Freed], *, anew: bool
) -> Change:
    """Judge how far one camera is from what was stored.

    Args:
        rig: As stored.
        network: Of the new views, at the stored cameras or where earlier changes put them.
        freed: The camera, and what of it is taken as changed.
        others: What is free besides, found to be changed before.
        anew: Solve it with the others held; else one linear step says it.
    """
    camera, kind = freed
    network = _solved(network, camera, kind) if anew else network
    score = score_of(rig, network)
    by = []
    for c, k in [freed, *(o for o in others if o != freed)]:
        rows = np.zeros((len(score.score), free_rows(rig.cameras[c], k).shape[1]))
        rows[rig.parameter_slices()[c]] = free_rows(rig.cameras[c], k)
        by.append(score.information @ rows)
    design = np.concatenate(by, axis=1)
    precision = design.T @ score.weight @ design
    scale = 1 / np.sqrt(np.maximum(np.diag(precision), 1e-300))
    cov = np.linalg.pinv(precision * scale[:, None] * scale, hermitian=True)
    cov = cov * scale[:, None] * scale
    correction = cov @ (design.T @ (score.weight @ score.score))
    count = by[0].shape[1]
    step, own = correction[:count], cov[:count, :count]
    step = _from_stored(rig.cameras[camera], network.cameras[camera], step, kind)
    statistic = float(step @ np.linalg.solve(own, step))
    rest = score.score - design @ correction
    left = float(rest @ score.weight @ rest)
    freedom = max(score.rank - design.shape[1], 1)
    chance = float(chi2.sf(statistic, count))
    return Change(network, step, own, chance, left, float(chi2.sf(left, freedom)))


def _from_stored(stored: Camera, found: Camera, correction: FloatArray, kind: Kind) -> FloatArray:
    """Return the whole step from the stored camera, the last linear correction included."""
    if kind == "pose":
        change = found.cam_from_lab.perturbed(correction) @ stored.cam_from_lab.inverse()
        return np.concatenate([change.rotvec(), change.translation])
    away = found.intrinsics - stored.intrinsics
    solved = np.array([away[0] / stored.intrinsics[0], away[2], away[3], away[4]])
    return solved + correction


def _solved(network: Network, camera: int, kind: Kind) -> Network:
    """Return the network with one camera, and the board poses, at their least squares."""
    if kind == "pose":
        network = _closed_form(network, camera)
    rows = free_rows(network.cameras[camera], kind)
    place = network.free_slices()[camera]
    for _ in range(_STEPS):
        normals = normal_equations(network)
        inverse = np.linalg.inv(normals.boards)
        ties = np.einsum("qn,qbi->nbi", rows, normals.ties[place])
        gradient = rows.T @ normals.camera_gradient[place]
        gain = np.einsum("qbi,bij->qbj", ties, inverse)
        reduced = rows.T @ normals.cameras[place, place] @ rows
        reduced = reduced - np.einsum("qbi,rbi->qr", gain, ties)
        right = gradient - np.einsum("qbi,bi->q", gain, normals.board_gradient)
        scale = 1 / np.sqrt(np.diag(reduced))
        step = scale * np.linalg.solve(reduced * scale[:, None] * scale, scale * right)
        boards = np.einsum(
            "bij,bj->bi", inverse, normals.board_gradient - np.einsum("qbi,q->bi", ties, step)
        )
        everything = np.zeros(network.free_slices()[-1].stop)
        everything[place] = rows @ step
        part, trial = 1.0, moved_by(network, everything, boards)
        while not normal_equations(trial).cost <= normals.cost * (1 + 1e-12) and part > 1e-4:
            part /= 2
            trial = moved_by(network, part * everything, part * boards)
        if part <= 1e-4:
            break
        network = trial
        if step @ gradient < 1e-10 * (1 + normals.cost):
            break
    return network


def _closed_form(network: Network, camera: int) -> Network:
    """Put a camera where its own views of the boards say, if that fits better than where it is."""
    views, lens = network.views[camera], network.cameras[camera]
    turn, shift = board_poses(lens, network.corners_m, views)
    others = Sightings(
        tuple(c.name for c in network.cameras),
        tuple(v if c != camera else v.only(np.zeros(len(v), bool))
              for c, v in enumerate(network.views)),
        np.zeros(len(network.rotations)),
    )  # fmt: skip
    poses = [
        board_poses(c, network.corners_m, v) if len(v) else (np.zeros((0, 3, 3)), np.zeros((0, 3)))
        for c, v in zip(network.cameras, others.views, strict=True)
    ]
    rotations, translations = shared_board_poses(network.cameras, others, poses, network.corners_m)
    centre = network.corners_m.mean(0)
    lab = (rotations[views.pose], translations[views.pose])
    placed, _ = pair_pose((turn, shift), lab, centre)
    cameras = list(network.cameras)
    cameras[camera] = replace(lens, cam_from_lab=placed)
    trial = replace(network, cameras=tuple(cameras), rotations=rotations, translations=translations)
    better = normal_equations(trial).cost < normal_equations(network).cost
    return trial if better else network
