"""What the standing trial tells of plates: how they sit on segments and where the landmarks are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.spatial.transform import Rotation

from lab.checks import FloatArray
from lab.errors import LabError
from lab.plates import SEGMENTS, WAND, Plate, PlateSet
from lab.rig import Rig
from reconstruct.associate import AlignedKeypoints
from reconstruct.rigid import GOOD, RigidPath, solve_rigid

# Which segment carries a landmark of the lab's names, sides aside.
_CARRIED_BY = {
    "asis": "pelvis", "psis": "pelvis", "hip": "pelvis", "shoulder": "trunk", "knee": "thigh",
    "ankle": "shank", "heel": "foot", "foot_index": "foot",
}  # fmt: skip
_HALVES = ("_medial", "_lateral")
_FEWEST_FRAMES = 3
# How well the standing trial knows the plates of a segment against each other and the wand's tip.
_FIT_M = 3e-4
_STEP_M = 1e-4


@dataclass(frozen=True, slots=True)
class Pointing:
    """A landmark that the wand's tip was held on.

    Attributes:
        landmark: left_asis; left_knee_medial and left_knee_lateral stand for their middle.
        begin, end: s on the lab clock, while the tip was there.
    """

    landmark: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True, eq=False)
class SegmentTie:
    """One segment: its plates as one rigid body, and the landmarks that it carries.

    Attributes:
        names: M names of its tag points.
        points: (M, 3) m, in the segment's own frame (its origin amid the plates).
        landmarks: L by name, (3,) m in that frame.
        cov: (3 L, 3 L) m^2 of them all, in their order: an error that is the same in every frame.
        by_rig: (3 L, Q) their derivative by the parameters of the rig of the standing trial.
    """

    names: tuple[str, ...]
    points: FloatArray
    landmarks: Mapping[str, FloatArray]
    cov: FloatArray
    by_rig: FloatArray

    def sigma(self, landmark: str) -> float:
        """Return the standard uncertainty of a landmark in each direction, m, their mean square."""
        at = 3 * list(self.landmarks).index(landmark)
        return float(np.sqrt(np.diagonal(self.cov)[at : at + 3].mean()))

    def with_derived(
        self,
        names: Sequence[str],
        function: Callable[[Mapping[str, FloatArray]], Sequence[FloatArray]],
        sigma: float,
    ) -> SegmentTie:
        """Return the tie with further landmarks that follow from its own.

        Args:
            names: n of them.
            function: From the tie's landmarks, by name, to the new ones, (3,) m each.
            sigma: m in each direction, what the rule itself is off by on one person.
        """
        own = list(self.landmarks)
        places = np.concatenate([self.landmarks[n] for n in own])

        def derive(flat: FloatArray) -> FloatArray:
            return np.concatenate(function(dict(zip(own, flat.reshape(-1, 3), strict=True))))

        value = derive(places)
        step = _STEP_M * np.eye(len(places))
        jacobian = np.stack(
            [(derive(places + d) - derive(places - d)) / (2 * _STEP_M) for d in step], axis=-1
        )
        both = np.concatenate([np.eye(len(places)), jacobian])
        own_error = np.zeros((len(both),) * 2)
        own_error[len(places) :, len(places) :] = sigma**2 * np.eye(len(value))
        return replace(
            self,
            landmarks={**self.landmarks, **dict(zip(names, value.reshape(-1, 3), strict=True))},
            cov=both @ self.cov @ both.T + own_error,
            by_rig=both @ self.by_rig,
        )


def select_points(aligned: AlignedKeypoints, names: Sequence[str]) -> AlignedKeypoints:
    """Return only these points, in this order."""
    columns = [aligned.names.index(n) for n in names]
    return replace(
        aligned,
        names=tuple(names),
        xy_px=aligned.xy_px[:, :, columns],
        cov_px=aligned.cov_px[:, :, columns],
        score=aligned.score[:, :, columns],
    )


def segment_of(landmark: str) -> str:
    """Return which segment carries a landmark.

    Raises:
        LabError: For a landmark that none carries.
    """
    name = _without_half(landmark)
    side, _, part = name.partition("_")
    carrier = _CARRIED_BY.get(part, "")
    if side not in ("left", "right") or not carrier:
        raise LabError(
            f"no segment carries a landmark called {landmark!r}",
            where="pointing",
            remedy=f"Name a side and one of {', '.join(_CARRIED_BY)}.",
        )
    return carrier if carrier in SEGMENTS else f"{side}_{carrier}"


def _without_half(landmark: str) -> str:
    for half in _HALVES:
        landmark = landmark.removesuffix(half)
    return landmark


def tie_by_wand(
    rig: Rig,
    aligned: AlignedKeypoints,
    plates: PlateSet,
    pointings: Sequence[Pointing],
    *,
    pointing_sigma: float,
) -> dict[str, SegmentTie]:
    """Tie plates to segments by landmarks that a wand pointed at.

    Each landmark's covariance holds the finding of the landmark under the skin
    (`pointing_sigma`, by far the largest part), and the noise of wand and plates over the frames
    of its pointing. It is the same in every frame of every trial with these plates on. What the
    calibration's error does to it is its derivative by the rig.

    Args:
        rig: The cameras.
        aligned: What they saw of the tags in the standing trial, covariance known.
        plates: What is worn, with a wand.
        pointings: When the tip was on which landmark.
        pointing_sigma: m in each direction, of the tip to the true landmark.

    Raises:
        LabError: Without a wand, for an unknown landmark, or when wand or plates were not seen
            while a landmark was pointed at.
    """
    wand = plates.of_segment(WAND)
    if not wand:
        raise LabError(
            "these plates have no wand",
            where=plates.name,
            remedy="Add one to the plates file (see gait-ring).",
        )
    tip = solve_rigid(rig, select_points(aligned, wand[0].point_names), wand[0].points)
    tip_path, tip_cov = _point_with_cov(tip, plates.wand_tip)
    ties = {}
    for segment in SEGMENTS:
        wanted = [p for p in pointings if segment_of(p.landmark) == segment]
        if segment == WAND or not plates.of_segment(segment) or not wanted:
            continue
        names, points = join_plates(rig, aligned, plates.of_segment(segment))
        path = solve_rigid(rig, select_points(aligned, names), points)
        found: dict[str, FloatArray] = {}
        covs: dict[str, FloatArray] = {}
        by_rig: dict[str, FloatArray] = {}
        for pointing in wanted:
            during = (aligned.t >= pointing.begin) & (aligned.t <= pointing.end)
            both = during & (path.status == GOOD) & (tip.status == GOOD)
            if both.sum() < _FEWEST_FRAMES:
                raise LabError(
                    f"{pointing.landmark}: wand and {segment} were seen together in {both.sum()} "
                    f"of {during.sum()} frames; {_FEWEST_FRAMES} are needed",
                    where="pointing",
                    remedy="Hold the wand so that a face of it looks at two cameras, and point "
                    "again.",
                )
            turn = path.rotation[both]
            local = ((tip_path - path.translation)[both][:, None] @ turn)[:, 0]
            middle = np.median(local, axis=0)
            by_pose = path.by_pose(middle)[both]
            noise = tip_cov[both] + by_pose @ path.cov[both] @ by_pose.swapaxes(1, 2)
            noise = turn.swapaxes(1, 2) @ noise @ turn
            found[pointing.landmark] = middle
            # The frames see the same tags from the same side: their misfit does not average out.
            covs[pointing.landmark] = noise.mean(0) + (pointing_sigma**2 + _FIT_M**2) * np.eye(3)
            apart = tip.by_pose(plates.wand_tip)[both] @ tip.by_rig[both]
            apart -= by_pose @ path.by_rig[both]
            by_rig[pointing.landmark] = (turn.swapaxes(1, 2) @ apart).mean(0)
        ties[segment] = _tie(names, points, found, covs, by_rig)
    return ties


def _tie(
    names: tuple[str, ...],
    points: FloatArray,
    found: Mapping[str, FloatArray],
    covs: Mapping[str, FloatArray],
    by_rig: Mapping[str, FloatArray],
) -> SegmentTie:
    """Return the tie, with the middle where both sides of a joint were pointed at."""
    landmarks: dict[str, FloatArray] = {}
    joint_cov: list[FloatArray] = []
    joint_by_rig: list[FloatArray] = []
    for name in dict.fromkeys(_without_half(n) for n in found):
        halves = [name + half for half in _HALVES if name + half in found]
        if name not in found and len(halves) < len(_HALVES):
            raise LabError(
                f"of {name} only {halves[0]} was pointed at",
                where="pointing",
                remedy="Point at both sides of the joint.",
            )
        parts = [name] if name in found else halves
        landmarks[name] = np.mean([found[p] for p in parts], axis=0)
        joint_cov.append(np.sum([covs[p] for p in parts], axis=0) / len(parts) ** 2)
        joint_by_rig.append(np.mean([by_rig[p] for p in parts], axis=0))
    return SegmentTie(
        names,
        points,
        landmarks,
        np.asarray(block_diag(*joint_cov), np.float64),
        np.concatenate(joint_by_rig),
    )


def join_plates(
    rig: Rig, aligned: AlignedKeypoints, plates: Sequence[Plate]
) -> tuple[tuple[str, ...], FloatArray]:
    """Find how the plates of one segment stand to each other.

    Returns:
        The names of their M points and the points (M, 3) m in one frame, its origin amid them. A
        plate that was never seen together with the others is left out.

    Raises:
        LabError: When none of them was seen in enough frames.
    """
    paths = [solve_rigid(rig, select_points(aligned, p.point_names), p.points) for p in plates]
    good = np.stack([path.status == GOOD for path in paths])
    first = int(good.sum(1).argmax())
    if good[first].sum() < _FEWEST_FRAMES:
        raise LabError(
            f"plates of the {plates[0].segment} were seen in less than {_FEWEST_FRAMES} frames",
            where="standing trial",
            remedy="Check that the plates file is the one that was printed, and that two cameras "
            "see a plate of each segment.",
        )
    first_from: dict[int, tuple[FloatArray, FloatArray]] = {first: (np.eye(3), np.zeros(3))}
    while True:
        link = _best_link(good, set(first_from))
        if link is None:
            break
        known, new = link
        rotation, shift = _relation(paths[known], paths[new], good[known] & good[new])
        turn, at = first_from[known]
        first_from[new] = turn @ rotation, turn @ shift + at
    order = sorted(first_from)
    points = np.concatenate(
        [plates[i].points @ first_from[i][0].T + first_from[i][1] for i in order]
    )
    names = tuple(name for i in order for name in plates[i].point_names)
    return names, points - points.mean(0)


def _best_link(good: NDArray[np.bool_], joined: set[int]) -> tuple[int, int] | None:
    """Return the joined plate and the new one that were seen together most often."""
    pairs = [
        (int((good[a] & good[b]).sum()), a, b)
        for a in joined
        for b in range(len(good))
        if b not in joined
    ]
    best = max(pairs, default=(0, 0, 0))
    return (best[1], best[2]) if best[0] >= _FEWEST_FRAMES else None


def _relation(
    one: RigidPath, other: RigidPath, both: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Return one_from_other, the mean over frames."""
    turn = one.rotation[both].swapaxes(1, 2)
    relative = Rotation.from_matrix(turn @ other.rotation[both]).mean().as_matrix()
    apart = (other.translation - one.translation)[both]
    return relative, np.median((turn @ apart[..., None])[..., 0], axis=0)


def _point_with_cov(path: RigidPath, point: FloatArray) -> tuple[FloatArray, FloatArray]:
    by_pose = path.by_pose(point)
    return path.carry(point), by_pose @ path.cov @ by_pose.swapaxes(1, 2)
