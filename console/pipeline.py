"""One trial from its folder to its record: read, reconstruct, analyse, judge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.norms import load_norms
from analysis.vague import part_vague
from analysis.walk import WalkAnalysis, analyse_walk
from console.detection import Progress as FrameProgress
from console.draws import draw_carried_errors, draw_errors
from console.event_edits import apply_edits, edit_files, read_edits
from console.gate import judge_trial
from console.plates import Ties
from console.provenance import trace
from console.reconstruction import Progress, Reconstructed, from_keypoints, from_markers
from console.settings import TRIAL_FILE, read_settings
from console.standing import Standing, against_standing, standing_reference
from console.synchrony import read_synchrony, sync_files
from lab.checks import FloatArray
from lab.gait import Curves
from lab.trial import Trial
from reconstruct.persistence import Persistence
from reconstruct.smooth import Smoother

# Same input, same draws, same numbers.
_SEED = 20_260_101
_MOVING, _STANDING = range(2)


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
    return _process(folder, use_refused_rig, standing, progress, progress_of_frames)[0].trial


def _process(
    folder: Path,
    use_refused_rig: bool,
    standing: bool,
    progress: Progress,
    progress_of_frames: FrameProgress,
) -> tuple[Standing, Ties | None]:
    """Make the trial of a folder as another may stand against it, and what it ties of plates."""
    settings, text = read_settings(folder)
    standing = standing or settings.tie is not None
    quiet: Standing | None = None
    ties: Ties | None = None
    if settings.trial.static and not standing:
        progress("standing trial")
        quiet, ties = _process(
            (folder / settings.trial.static).resolve(),
            use_refused_rig,
            True,
            lambda _: None,
            progress_of_frames,
        )
    progress("reading")
    done = (
        from_markers(folder, settings)
        if settings.markers is not None
        else from_keypoints(folder, settings, use_refused_rig, ties, progress, progress_of_frames)
    )
    progress("smoothing")
    smoother = Smoother(
        done.points,
        max_gap_s=settings.analysis.max_gap_s,
        persistence=_lasting(done),
    )
    progress("measuring")
    errors = _draw(done, settings.analysis.draws, _STANDING if standing else _MOVING)
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
    if quiet is not None:
        static = standing_reference(quiet.trial)
        measures += against_standing(analysis, quiet)
    measures, vague = part_vague(measures)
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
    trial = Trial(
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
        withheld=analysis.withheld | vague,
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
    return Standing(trial, analysis.curve_effects), done.ties


def _lasting(done: Reconstructed) -> Persistence | None:
    """Return how long the noise of each point lasts: on plates that of its segment."""
    if done.carried is None or done.persistence is None:
        return done.persistence
    return done.persistence.of_groups([[s] for s in done.carried.segment_of])


def _draw(done: Reconstructed, count: int, recording: int) -> FloatArray | None:
    if done.carried is not None and done.rig is not None:
        return draw_carried_errors(
            done.carried, done.rig, count, _SEED, done.persistence, recording
        )
    return draw_errors(
        done.points, done.rig, done.by_rig, count, _SEED, done.persistence, recording
    )


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
