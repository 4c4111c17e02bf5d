"""The points of a trial, from markers, keypoints or plates, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analysis.joint_centres import keypoints_from_markers
from analysis.plug_in_gait import plug_in_gait
from console.detection import Progress as FrameProgress
from console.detectors import PLATES, worn_plates
from console.keypoints import TrialKeypoints, take_keypoints
from console.plates import Ties, check_ties, plate_quality, tie_plates, write_tie
from console.settings import TRIAL_FILE, TrialSettings
from lab.checks import FloatArray
from lab.errors import LabError, RefusedError
from lab.gait import Curves
from lab.plates import PlateSet
from lab.points import Keypoints2D, Points3D
from lab.rig import Rig
from lab.store import load_rig
from reconstruct.associate import AlignedKeypoints, align
from reconstruct.clocks import reconstruct_own_times, share_a_shutter
from reconstruct.detect.markers import read_markers
from reconstruct.held_bones import hold_bones
from reconstruct.persistence import Persistence, find_persistence
from reconstruct.plate_points import CarriedPoints, carry_landmarks
from reconstruct.triangulate import Reconstruction, triangulate
from reconstruct.watch import watch_rig

Progress = Callable[[str], None]

# Standard uncertainties by which a camera's time offset must differ from none to be applied.
_SURE_OFFSET = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Reconstructed:
    """Points of one trial, and what is known of them."""

    rig: Rig | None
    keypoints: tuple[Keypoints2D, ...]
    points: Points3D
    by_rig: FloatArray | None
    moved: FloatArray | None
    quality: dict[str, float]
    files: tuple[Path, ...]
    subject: Mapping[str, float]
    extra: Curves | None
    notes: tuple[str, ...] = ()
    carried: CarriedPoints | None = None
    ties: Ties | None = None
    persistence: Persistence | None = None


def from_keypoints(
    folder: Path,
    settings: TrialSettings,
    use_refused_rig: bool,
    ties: Ties | None,
    progress: Progress,
    progress_of_frames: FrameProgress,
) -> Reconstructed:
    """Read each camera's keypoints and reconstruct."""
    rig_path = (folder / settings.trial.rig).resolve()
    rig = load_rig(rig_path)
    if not rig.quality.accepted and not use_refused_rig:
        raise RefusedError(
            "this rig was refused by its calibration: " + "; ".join(rig.quality.reasons),
            where=str(rig_path),
            remedy="Calibrate again. To use it all the same add --use-refused-rig; every page of "
            "the report will then say so.",
        )
    plates = _worn_plates(folder, settings, ties)
    taken = take_keypoints(folder, settings, rig, progress_of_frames)
    progress("reconstructing")
    if plates is not None:
        return _from_plates(folder, settings, rig, rig_path, taken, plates, ties)
    aligned, result, of_times = _reconstruct(settings, rig, taken)
    seen = np.isfinite(aligned.xy_px).all(-1)
    quality = {
        "cameras": float(len(taken.keypoints)),
        "frames": float(len(result.points.t)),
        "reprojection_median_px": float(np.nanmedian(result.residual_px)),
        "observations_rejected_share": float(result.rejected.sum() / max(seen.sum(), 1)),
        "points_missing_share": float(np.isnan(result.points.xyz[..., 0]).mean()),
        "noise_median_px": float(np.nanmedian(result.noise_px)),
        "people_most": float(taken.most_people),
        "views_mean": float(result.views[result.views > 0].mean()) if result.views.any() else 0.0,
        **of_times,
    }
    for name, count in zip(result.cameras, result.swapped.sum((1, 2)), strict=True):
        if count:
            quality[f"left_right_exchanged_{name}"] = float(count)
    by_rig = result.rig_sensitivity(rig)
    persistence = find_persistence(rig, aligned, result)
    quality["noise_lasting_share"] = persistence.of_all()
    moved = _watch(rig, aligned, result, by_rig, quality)
    points = result.points
    if settings.analysis.constant_bones:
        held = hold_bones(points)
        points, by_rig = held.points, held.carry(by_rig)
        moved = None if moved is None else held.carry(moved[..., None])[..., 0]
        for bone, length, sigma in zip(held.bones, held.length, held.sigma, strict=True):
            quality[f"bone_{'_'.join(bone)}_mm"] = 1e3 * float(length)
            quality[f"bone_{'_'.join(bone)}_sigma_mm"] = 1e3 * float(sigma)
    return Reconstructed(
        rig=rig,
        keypoints=taken.keypoints,
        points=points,
        by_rig=by_rig,
        moved=moved,
        quality=quality,
        files=(rig_path, *taken.files),
        subject=settings.subject,
        extra=None,
        notes=taken.notes,
        persistence=persistence,
    )


def _watch(
    rig: Rig,
    aligned: AlignedKeypoints,
    result: Reconstruction,
    by_rig: FloatArray,
    quality: dict[str, float],
) -> FloatArray | None:
    """Tell of a camera that has turned, and return by how much the points are off for it."""
    watch = watch_rig(rig, aligned, result)
    if watch is None:
        return None
    quality["rig_agreement_chi2"] = float(watch.statistic.max())
    if not watch.moved:
        return None
    turn = watch.turn[watch.cameras.index(watch.moved)]
    quality[f"camera_turned_{watch.moved}_deg"] = float(np.degrees(np.linalg.norm(turn)))
    return watch.shift(rig, by_rig)


def _worn_plates(folder: Path, settings: TrialSettings, ties: Ties | None) -> PlateSet | None:
    """Return the plates worn in a trial, None in one without; refuse early what cannot be tied."""
    if settings.detect is None or settings.detect.detector != PLATES:
        return None
    given = [name for name, camera in settings.cameras.items() if camera.keypoints]
    if given:
        raise LabError(
            f"plates are found in videos, but {', '.join(given)} gives keypoints of a file",
            where=str(folder / TRIAL_FILE),
            remedy='Give video = "FILE" for every camera.',
        )
    if settings.analysis.constant_bones:
        raise LabError(
            "bones of constant length are for keypoints; on plates each segment is rigid by itself",
            where=str(folder / TRIAL_FILE),
            remedy="Take constant_bones out of [analysis].",
        )
    plates = worn_plates(settings.detect, folder)
    if settings.tie is None:
        check_ties(ties, plates, folder)
    return plates


def _from_plates(
    folder: Path,
    settings: TrialSettings,
    rig: Rig,
    rig_path: Path,
    taken: TrialKeypoints,
    plates: PlateSet,
    ties: Ties | None,
) -> Reconstructed:
    """Find the segments that carry plates, and the landmarks on them."""
    keypoints = [_at_exposure(k, rig) for k in taken.keypoints]
    if not share_a_shutter(keypoints) or any(c.readout_ms for c in settings.cameras.values()):
        raise LabError(
            "plates need cameras that expose together, whole images at a time; these have times "
            "or a row read-out of their own",
            where=str(folder / TRIAL_FILE),
            remedy="Wire the cameras to a common trigger, or use a pose network.",
        )
    aligned = align(keypoints)
    if settings.tie is not None:
        ties = tie_plates(rig, aligned, plates, settings.tie, settings.subject, folder)
        write_tie(ties, folder)
    ties = check_ties(ties, plates, folder)
    carried = carry_landmarks(rig, aligned, ties.segments, ties.rig)
    quality = {
        "cameras": float(len(taken.keypoints)),
        "frames": float(len(aligned.t)),
        **plate_quality(carried, aligned, ties, plates),
    }
    source = folder / settings.detect.plates if settings.detect is not None else folder
    own = (source,) if source.is_file() else ()
    corners = triangulate(rig, aligned)
    persistence = find_persistence(rig, aligned, corners).of_groups(
        [[aligned.names.index(n) for n in tie.names] for tie in ties.segments.values()]
    )
    quality["noise_lasting_share"] = persistence.of_all()
    moved = _watch(rig, aligned, corners, carried.by_rig, quality)
    return Reconstructed(
        rig=rig,
        keypoints=taken.keypoints,
        points=carried.points,
        by_rig=carried.by_rig,
        moved=moved,
        quality=quality,
        files=(rig_path, *own, *taken.files),
        subject=settings.subject,
        extra=None,
        notes=(
            *taken.notes,
            "# The tie of the plates.",
            *(f"# {x}" for x in ties.text.split("\n")),
        ),
        carried=carried,
        ties=ties,
        persistence=persistence,
    )


def from_markers(folder: Path, settings: TrialSettings) -> Reconstructed:
    """Read markers, compute joint centres, and Plug-in Gait where asked."""
    table = settings.markers
    if table is None:
        raise ValueError("from_markers needs a [markers] section")
    path = folder / table.file
    markers = read_markers(path, unit=table.unit, up=table.up, forward=table.forward)
    subject = dict(markers.subject) | settings.subject
    points = keypoints_from_markers(markers.points, subject)
    extra = (
        plug_in_gait(markers.points, subject) if "plug-in-gait" in settings.analysis.also else None
    )
    quality = {
        "frames": float(len(points.t)),
        "markers": float(len(markers.points.names)),
        "points_missing_share": float(np.isnan(points.xyz[..., 0]).mean()),
    }
    return Reconstructed(None, (), points, None, None, quality, (path,), subject, extra)


def _at_exposure(keypoints: Keypoints2D, rig: Rig) -> Keypoints2D:
    """Return keypoints at the times of exposure that the calibration found, where it is sure.

    An offset within a few of its standard uncertainties is as likely noise, and is left alone.
    """
    own = rig.quality.cameras.get(keypoints.camera, {})
    offset, sigma = own.get("time_offset_s", 0.0), own.get("time_offset_sigma_s", np.inf)
    if not abs(offset) > _SURE_OFFSET * sigma:
        return keypoints
    return replace(keypoints, t=keypoints.t + offset)


def _reconstruct(
    settings: TrialSettings, rig: Rig, taken: TrialKeypoints
) -> tuple[AlignedKeypoints, Reconstruction, dict[str, float]]:
    """Return the keypoints at common times, the points, and figures of the cameras' times."""
    keypoints = [_at_exposure(k, rig) for k in taken.keypoints]
    readout_s = {name: camera.readout_ms * 1e-3 for name, camera in settings.cameras.items()}
    if share_a_shutter(keypoints) and not any(readout_s.values()):
        aligned = align(keypoints)
        return aligned, triangulate(rig, aligned, rescale=taken.rescale), {}
    own = reconstruct_own_times(
        rig,
        keypoints,
        rescale=taken.rescale,
        readout_s=readout_s,
        max_gap_s=settings.analysis.max_gap_s,
    )
    figures = {"moved_in_time_most_ms": 1e3 * own.furthest_s}
    if own.unused:
        figures["keypoints_between_times"] = float(own.unused)
    return own.aligned, own.result, figures
