"""One trial from its folder to its record: read, reconstruct, analyse, judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analysis.joint_centres import keypoints_from_markers
from analysis.norms import load_norms
from analysis.plug_in_gait import plug_in_gait
from analysis.walk import WalkAnalysis, analyse_walk
from console.detection import Progress as FrameProgress
from console.draws import draw_errors
from console.event_edits import apply_edits, edit_files, read_edits
from console.gate import judge_trial
from console.keypoints import TrialKeypoints, take_keypoints
from console.provenance import trace
from console.settings import TRIAL_FILE, TrialSettings, read_settings
from console.standing import against_standing, standing_reference
from console.synchrony import read_synchrony, sync_files
from lab.checks import FloatArray
from lab.errors import RefusedError
from lab.gait import Curves
from lab.points import Keypoints2D, Points3D
from lab.rig import Rig
from lab.store import load_rig
from lab.trial import Trial
from reconstruct.associate import AlignedKeypoints, align
from reconstruct.clocks import reconstruct_own_times, share_a_shutter
from reconstruct.detect.markers import read_markers
from reconstruct.held_bones import hold_bones
from reconstruct.smooth import Smoother
from reconstruct.triangulate import Reconstruction, triangulate
from reconstruct.watch import watch_rig

# Same input, same draws, same numbers.
_SEED = 20_260_101

# Standard uncertainties by which a camera's time offset must differ from none to be applied.
_SURE_OFFSET = 4.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Reconstructed:
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


def process_folder(
    folder: Path,
    *,
    use_refused_rig: bool = False,
    standing: bool = False,
    progress: Progress = lambda _: None,
    progress_of_frames: FrameProgress = lambda done, total, what: None,
) -> Trial:
    """Make the Trial of a folder that holds trial.toml and its data.

    Args:
        folder: The trial folder.
        use_refused_rig: Use a rig that its calibration refused; the trial then says so.
        standing: The person stands: no events are sought, and forward is where the pelvis faces.
        progress: Called with the name of each step as it begins.
        progress_of_frames: Called with frames done, frames in all, and what is done.

    Raises:
        LabError: When the folder or its files cannot be used; RefusedError for a refused rig.
    """
    settings, text = read_settings(folder)
    progress("reading")
    done = (
        _from_markers(folder, settings)
        if settings.markers is not None
        else _from_keypoints(folder, settings, use_refused_rig, progress, progress_of_frames)
    )
    progress("smoothing")
    smoother = Smoother(done.points, max_gap_s=settings.analysis.max_gap_s)
    progress("measuring")
    errors = draw_errors(done.points, done.rig, done.by_rig, settings.analysis.draws, _SEED)
    edits, missed = read_edits(folder), []
    analysis = analyse_walk(
        done.points,
        smoother.apply,
        activity=settings.trial.activity,
        treadmill_speed=settings.trial.treadmill_speed_m_s,
        errors=errors,
        markers=settings.markers is not None,
        standing=standing,
        change_events=apply_edits(edits, missed) if edits else None,
    )
    measures, static = analysis.measures, {}
    if settings.trial.static:
        progress("standing trial")
        quiet = process_folder(
            (folder / settings.trial.static).resolve(),
            use_refused_rig=use_refused_rig,
            standing=True,
            progress_of_frames=progress_of_frames,
        )
        static = standing_reference(quiet)
        measures += against_standing(analysis.measures, quiet)
    curves = analysis.curves if done.extra is None else _joined(analysis.curves, done.extra)
    synchrony, unfit = read_synchrony(folder)
    quality = done.quality | analysis.quality | synchrony
    if done.moved is not None:
        better = analyse_walk(
            replace(done.points, xyz=done.points.xyz - done.moved),
            smoother.apply,
            activity=settings.trial.activity,
            treadmill_speed=settings.trial.treadmill_speed_m_s,
            errors=None,
            standing=standing,
            change_events=apply_edits(edits, []) if edits else None,
        )
        quality["camera_turned_effect_deg"] = _largest_change_deg(analysis, better)
    accepted, reasons = judge_trial(
        done.rig,
        done.points,
        analysis,
        quality,
        treadmill=settings.trial.treadmill_speed_m_s is not None and not standing,
    )
    reasons = (*reasons, *missed, *(e.words for e in edits))
    if unfit:
        accepted, reasons = False, (*unfit, *reasons)
    return Trial(
        patient=settings.trial.patient,
        activity=settings.trial.activity,
        treadmill_speed_m_s=_or_nan(settings.trial.treadmill_speed_m_s),
        recorded=settings.trial.recorded,
        subject=dict(done.subject),
        rig=done.rig,
        keypoints=done.keypoints,
        points=done.points,
        smoothed=smoother.points,
        curves=curves,
        events=analysis.events,
        cycles=analysis.cycles,
        measures=measures,
        withheld=analysis.withheld,
        norms=load_norms(settings.trial.activity),
        static=static,
        accepted=accepted,
        reasons=reasons,
        quality=quality,
        provenance=trace(
            folder,
            [folder / TRIAL_FILE, *edit_files(folder), *sync_files(folder), *done.files],
            "\n".join([text.rstrip("\n"), *done.notes, ""]),
        ),
    )


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


def _largest_change_deg(analysis: WalkAnalysis, other: WalkAnalysis) -> float:
    """Return the largest difference of an angle between two analyses; NaN without any."""
    values = {(m.name, m.side): m.value for m in other.measures if m.unit == "rad"}
    changes = [
        abs(m.value - values[m.name, m.side])
        for m in analysis.measures
        if (m.name, m.side) in values
    ]
    return float(np.degrees(np.max(changes))) if changes else float("nan")


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _from_keypoints(
    folder: Path,
    settings: TrialSettings,
    use_refused_rig: bool,
    progress: Progress,
    progress_of_frames: FrameProgress,
) -> _Reconstructed:
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
    taken = take_keypoints(folder, settings, rig, progress_of_frames)
    progress("reconstructing")
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
    moved = None
    watch = watch_rig(rig, aligned, result)
    if watch is not None:
        quality["rig_agreement_chi2"] = float(watch.statistic.max())
        if watch.moved:
            turn = watch.turn[watch.cameras.index(watch.moved)]
            quality[f"camera_turned_{watch.moved}_deg"] = float(np.degrees(np.linalg.norm(turn)))
            moved = watch.shift(rig, by_rig)
    points = result.points
    if settings.analysis.constant_bones:
        held = hold_bones(points)
        points, by_rig = held.points, held.carry(by_rig)
        moved = None if moved is None else held.carry(moved[..., None])[..., 0]
        for bone, length, sigma in zip(held.bones, held.length, held.sigma, strict=True):
            quality[f"bone_{'_'.join(bone)}_mm"] = 1e3 * float(length)
            quality[f"bone_{'_'.join(bone)}_sigma_mm"] = 1e3 * float(sigma)
    return _Reconstructed(
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
    )


def _from_markers(folder: Path, settings: TrialSettings) -> _Reconstructed:
    """Read markers, compute joint centres, and Plug-in Gait where asked."""
    table = settings.markers
    if table is None:
        raise ValueError("_from_markers needs a [markers] section")
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
    return _Reconstructed(None, (), points, None, None, quality, (path,), subject, extra)


def _joined(own: Curves, extra: Curves) -> Curves:
    """Return our own curves and the further ones, on the same times."""
    if not np.array_equal(own.t, extra.t):
        raise ValueError("further curves stand at other times")
    return Curves(
        own.names + extra.names,
        own.t,
        np.concatenate([own.values, extra.values], axis=1),
        np.concatenate([own.sigma, extra.sigma], axis=1),
    )
