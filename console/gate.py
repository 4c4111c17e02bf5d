"""Whether a trial may be reported, and every reason why not."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.sanity import check_frame
from analysis.walk import WalkAnalysis
from lab.points import Points3D
from lab.rig import Rig
from lab.trial import NOTED

_MAX_MISSING = 0.5
_MAX_REJECTED = 0.35
# A camera that was knocked may change an angle by no more than this.
_MAX_TURN_EFFECT_DEG = 0.5
# Of the variance of keypoints' noise that lasts over frames: more is said.
_LASTING_NOTE = 0.2
_TURNED, _TURN_EFFECT = "camera_turned_", "camera_turned_effect_deg"


def judge_trial(
    rig: Rig | None,
    points: Points3D,
    analysis: WalkAnalysis,
    quality: Mapping[str, float],
    *,
    treadmill: bool = False,
) -> tuple[bool, tuple[str, ...]]:
    """Judge a trial.

    Returns:
        Whether it is accepted, and the reasons for refusal and the notes, a line each; in a refused
        trial the notes come last and are marked as such (`NOTED`).
    """
    refusals = list(analysis.refusals)
    notes = list(analysis.notes)
    if rig is not None:
        if not rig.quality.accepted:
            refusals.append(
                "the rig was refused by its calibration and used all the same: "
                + "; ".join(rig.quality.reasons)
            )
        if not rig.has_covariance:
            notes.append("intervals are without calibration error: this rig does not state it")
    if quality.get("points_missing_share", 0.0) > _MAX_MISSING:
        refusals.append(
            f"{quality['points_missing_share']:.0%} of the points are missing; "
            f"at most {_MAX_MISSING:.0%} may be"
        )
    if quality.get("observations_rejected_share", 0.0) > _MAX_REJECTED:
        refusals.append(
            f"{quality['observations_rejected_share']:.0%} of the keypoints contradict the other "
            f"cameras; at most {_MAX_REJECTED:.0%} may: check that the rig belongs to this "
            "recording and that no camera has moved"
        )
    refused, noted = _check_turn(quality)
    refusals.extend(refused)
    notes.extend(noted)
    exchanged = {
        name.removeprefix("left_right_exchanged_"): int(count)
        for name, count in quality.items()
        if name.startswith("left_right_exchanged_")
    }
    if exchanged:
        notes.append(
            "left was taken for right and exchanged back: "
            + ", ".join(f"{count} keypoints of {name}" for name, count in exchanged.items())
        )
    lasting = quality.get("noise_lasting_share", 0.0)
    if lasting > _LASTING_NOTE:
        notes.append(
            f"what the keypoints get wrong lasts over frames ({lasting:.0%} of its variance): the "
            "intervals are wider for it as far as the cameras contradict each other; what all of "
            "them get wrong together is in none"
        )
    sanity = check_frame(points, treadmill=treadmill)
    refusals.extend(sanity.refusals)
    if rig is not None:
        # Markers come in a frame of their own, along which nobody needs to walk.
        notes.extend(sanity.notes)
    if not analysis.cycles:
        notes.append("no complete gait cycle was found, so no measure over cycles is given")
    if refusals:
        return False, (*refusals, *(f"{NOTED} {note}" for note in notes))
    return True, tuple(notes)


def _check_turn(quality: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """Return the refusal or the note that a camera has turned since the calibration."""
    effect = quality.get(_TURN_EFFECT, float("nan"))
    for name, turn in quality.items():
        if not name.startswith(_TURNED) or name == _TURN_EFFECT:
            continue
        camera = name.removeprefix(_TURNED).removesuffix("_deg")
        text = f"camera {camera} has turned by {turn:.2f} degrees since the calibration"
        if effect <= _MAX_TURN_EFFECT_DEG:
            return [], [f"{text}; it changes no angle by more than {effect:.2f} degrees"]
        cost = (
            f"this changes an angle by {effect:.1f} degrees; at most {_MAX_TURN_EFFECT_DEG} may be"
            if effect > 0
            else "what it changes cannot be told"
        )
        return [f"{text}: {cost}. Calibrate again"], []
    return [], []
