"""A trial with tag plates: ties from its standing trial, landmarks from its own images."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.joint_centres import harrington_hips
from console.settings import TRIAL_FILE, TieTable
from lab.atomic import write_atomically
from lab.checks import FloatArray
from lab.errors import LabError
from lab.gait import SIDES
from lab.plates import WAND, PlateSet
from lab.rig import Rig
from reconstruct.associate import AlignedKeypoints
from reconstruct.plate_points import CarriedPoints
from reconstruct.plate_standing import Stature, tie_by_standing
from reconstruct.plate_ties import Pointing, SegmentTie, tie_by_wand
from reconstruct.rigid import CONTRADICTED, GOOD

TIE_FILE = "tie.toml"
_PELVIS = tuple(f"{side}_{spine}" for spine in ("asis", "psis") for side in SIDES)
_HIPS = tuple(f"{side}_hip" for side in SIDES)
_MM = 1e3
# No landmark lies further from the middle of its segment's plates.
_FURTHEST_M = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Ties:
    """What a standing trial says of the plates worn.

    Attributes:
        segments: The ties by segment.
        rig: With which it was seen.
        plates_sha256: Of the description of the plates.
        text: The tie as TOML, for people and for the record.
    """

    segments: Mapping[str, SegmentTie]
    rig: Rig
    plates_sha256: str
    text: str

    @property
    def worst_mm(self) -> float:
        """The largest standard uncertainty of a landmark in each direction."""
        return _MM * max(t.sigma(n) for t in self.segments.values() for n in t.landmarks)


def plates_hash(plates: PlateSet) -> str:
    """Return the sha256 of the description of plates."""
    return hashlib.sha256(plates.text.encode()).hexdigest()


def tie_plates(
    rig: Rig,
    aligned: AlignedKeypoints,
    plates: PlateSet,
    table: TieTable,
    subject: Mapping[str, float],
    where: Path,
) -> Ties:
    """Tie plates to landmarks by wand or standing pose, and hip joint centres by regression.

    Args:
        rig: The cameras.
        aligned: What they saw of the tags in the standing trial.
        plates: What is worn.
        table: The [tie] section.
        subject: The person's measures by the keys of trial.toml.
        where: The trial folder.

    Raises:
        LabError: When a landmark of the pelvis is missing, one is too far from its plates, or as
            of `tie_by_wand` and `tie_by_standing`.
    """
    at = str(where / TRIAL_FILE)
    if table.by == "standing":
        width = subject.get("inter_asis_distance_mm")
        segments = tie_by_standing(
            rig,
            aligned,
            plates,
            Stature(subject["height_m"], None if width is None else width / _MM),
            turn_sigma=float(np.deg2rad(table.turn_sigma_deg)),
            shift_sigma=table.sigma_mm / _MM,
        )
    else:
        missing = [n for n in _PELVIS if n not in {p.landmark for p in table.pointing}]
        if missing:
            raise LabError(
                f"[tie] does not point at {', '.join(missing)}",
                where=at,
                remedy="Point at both ASIS and both PSIS: the pelvis and the hips come from them.",
            )
        segments = tie_by_wand(
            rig,
            aligned,
            plates,
            [Pointing(p.landmark, p.begin, p.end) for p in table.pointing],
            pointing_sigma=table.sigma_mm / _MM,
        )
    for segment, tie in segments.items():
        for name, place in tie.landmarks.items():
            if np.linalg.norm(place) > _FURTHEST_M:
                raise LabError(
                    f"{name} was pointed at {np.linalg.norm(place):.2f} m from the plates of the "
                    f"{segment}",
                    where=at,
                    remedy="Check which landmark the wand was held on at these times.",
                )
    if "pelvis" not in segments:
        raise LabError(
            "these plates have none on the pelvis",
            where=plates.name,
            remedy="Add one to the plates file (see gait-ring).",
        )
    segments["pelvis"] = segments["pelvis"].with_derived(
        _HIPS, _hips_of_pelvis, table.hip_sigma_mm / _MM
    )
    text = _text(segments, rig, plates, table.by)
    return Ties(segments, rig, plates_hash(plates), text)


def _hips_of_pelvis(landmarks: Mapping[str, FloatArray]) -> list[FloatArray]:
    found = harrington_hips({n: landmarks[n][None] for n in _PELVIS})
    return [found[name][0] for name in _HIPS]


def write_tie(ties: Ties, folder: Path) -> Path:
    """Write the tie beside the standing trial; FileError when it cannot be written."""
    path = folder / TIE_FILE
    write_atomically(path, ties.text.encode())
    return path


def _text(segments: Mapping[str, SegmentTie], rig: Rig, plates: PlateSet, by: str) -> str:
    """Return the tie as TOML: places in the frame of each segment's plates."""
    lines = [
        "# How the plates are tied to the body: written by gaitlab, read by nobody but people.",
        f'by = "{by}"',
        f'plates = "{plates.name}"',
        f'plates_sha256 = "{plates_hash(plates)}"',
        f'rig_sha256 = "{rig.sha256}"',
    ]
    for segment, tie in segments.items():
        lines += ["", f"[{segment}]", f"tags_seen = {len(tie.names) // 4}"]
        for name, place in tie.landmarks.items():
            x, y, z = _MM * place
            lines.append(
                f"{name} = {{ x_mm = {x:.2f}, y_mm = {y:.2f}, z_mm = {z:.2f}, "
                f"sigma_mm = {_MM * tie.sigma(name):.2f} }}"
            )
    return "\n".join(lines) + "\n"


def plate_quality(
    carried: CarriedPoints, aligned: AlignedKeypoints, ties: Ties, plates: PlateSet
) -> dict[str, float]:
    """Return how well the plates were seen, by name with unit suffix."""
    worn = [n for p in plates.plates if p.segment != WAND for n in p.point_names]
    tags = _tags_seen(aligned, worn)
    seen = used = 0
    for segment, path in carried.paths.items():
        judged = (path.status == GOOD) | (path.status == CONTRADICTED)
        seen += int(_tags_seen(aligned, ties.segments[segment].names)[:, judged].sum())
        used += int(path.tags[judged].sum())
    misfits = [path.misfit_px for path in carried.paths.values()]
    status = np.stack([path.status for path in carried.paths.values()])
    return {
        "tags_an_image_mean": float(tags.mean()),
        "reprojection_median_px": float(np.nanmedian(misfits)),
        "observations_rejected_share": float(1 - used / seen) if seen else 0.0,
        "segments_missing_share": float((status != GOOD).mean()),
        "points_missing_share": float(np.isnan(carried.points.xyz[..., 0]).mean()),
        "landmark_sigma_most_mm": ties.worst_mm,
    }


def _tags_seen(aligned: AlignedKeypoints, names: Sequence[str]) -> NDArray[np.int64]:
    """Return how many whole tags of these points each camera saw in each frame, (C, T)."""
    columns = [aligned.names.index(n) for n in names]
    points = np.array(np.isfinite(aligned.xy_px[:, :, columns]).all(-1), bool, ndmin=3)
    return points.reshape(*points.shape[:2], -1, 4).all(-1).sum(-1)


def check_ties(ties: Ties | None, plates: PlateSet, where: Path) -> Ties:
    """Return the ties of a trial's plates.

    Raises:
        LabError: When there are none, or they are of other plates.
    """
    if ties is None:
        raise LabError(
            "plates tell nothing of the body without a standing trial",
            where=str(where / TRIAL_FILE),
            remedy='Write static = "../standing" under [trial]: a trial with the same plates on '
            "and a section [tie]; docs/tag-plates.md.",
        )
    if ties.plates_sha256 != plates_hash(plates):
        raise LabError(
            "the standing trial was made with plates of another description",
            where=str(where / TRIAL_FILE),
            remedy="Name the same plates in [detect] of both trials.",
        )
    return ties
