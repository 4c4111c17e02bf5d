"""What measures and curves are called on the page: plain words first, the clinical term once."""

from __future__ import annotations

from dataclasses import dataclass

_VS_STANDING = "_vs_standing"
PLANES = ("frontal", "sagittal", "transverse", "further")


@dataclass(frozen=True, slots=True)
class MeasureWords:
    """A measure's names.

    Attributes:
        plain: In words a patient knows.
        term: The clinical term, with the instant or period it stands for; empty where `plain`
            is the clinical term.
        low, high: What smaller and larger values mean; empty where the number speaks for itself.
    """

    plain: str
    term: str
    low: str = ""
    high: str = ""


@dataclass(frozen=True, slots=True)
class CurveWords:
    """A curve's names.

    Attributes:
        plain: In words a patient knows.
        term: The clinical term.
        up, down: What the ends of the axis mean.
        plane: frontal, sagittal, transverse, or further.
    """

    plain: str
    term: str
    up: str
    down: str
    plane: str


_DROP = ("swing side higher", "swing side lower")
_FORWARD = ("backward", "forward")
_AHEAD = ("foot behind the hip", "foot ahead")
_EXTENSION = ("bent", "further back")

MEASURES: dict[str, MeasureWords] = {
    "pelvic_drop_peak": MeasureWords(
        "Pelvis sinking on the swing side", "pelvic drop, peak in stance", *_DROP
    ),
    "pelvic_drop_midstance": MeasureWords("Pelvic drop at mid-stance", "", *_DROP),
    "pelvic_drop_strike": MeasureWords("Pelvic drop at foot strike", "", *_DROP),
    "pelvic_drop_excursion": MeasureWords("Pelvic drop, excursion over stance", ""),
    "trunk_lean_forward_stance_mean": MeasureWords(
        "Upper body leaning forward", "forward trunk lean, mean over stance", *_FORWARD
    ),
    "trunk_lean_forward_strike": MeasureWords("Forward trunk lean at foot strike", "", *_FORWARD),
    "trunk_lean_lateral_peak": MeasureWords(
        "Upper body leaning sideways",
        "lateral trunk lean to the stance side, peak",
        "away",
        "to the stance side",
    ),
    "over_stride_angle_heel": MeasureWords(
        "Foot landing ahead of the hip", "over-stride, hip to heel at foot strike", *_AHEAD
    ),
    "over_stride_angle_ankle": MeasureWords(
        "Foot landing ahead of the hip", "over-stride, hip to ankle at foot strike", *_AHEAD
    ),
    "over_stride_distance_heel": MeasureWords(
        "Heel landing ahead of the hip", "over-stride distance", *_AHEAD
    ),
    "shank_angle_strike": MeasureWords("Shank against vertical at foot strike", ""),
    "hip_extension_peak": MeasureWords(
        "Leg reaching back", "hip extension, thigh against pelvis, peak", *_EXTENSION
    ),
    "thigh_extension_peak": MeasureWords(
        "Leg reaching back", "thigh extension against vertical, peak", *_EXTENSION
    ),
    "thigh_trunk_extension_peak": MeasureWords(
        "Leg reaching back", "thigh extension against the trunk line, peak", *_EXTENSION
    ),
    "pelvic_tilt_stance_mean": MeasureWords("Anterior pelvic tilt, mean over stance", ""),
    "knee_flexion_peak_stance": MeasureWords("Knee flexion, peak in stance", ""),
    "cadence": MeasureWords("Step rate", "cadence"),
    "contact_time": MeasureWords("Time on the ground", "contact time"),
    "flight_time": MeasureWords("Time in the air", "flight time"),
    "stride_length": MeasureWords("Length of a stride", "stride length"),
    "step_length": MeasureWords("Length of a step", "step length"),
    "step_width": MeasureWords("Width of the steps", "step width"),
}

_FLEXION = ("bent", "extended")
_SIDEWAYS = ("to the left", "to the right")
_TOES = ("toes up", "toes down")

CURVES: dict[str, CurveWords] = {
    "pelvis_obliquity": CurveWords(
        "Pelvis from side to side", "obliquity", "left side higher", "right side higher", "frontal"
    ),
    "trunk_lean_lateral": CurveWords(
        "Upper body, sideways", "trunk lean, lateral", *_SIDEWAYS, "frontal"
    ),
    "trunk_pelvis_lateral": CurveWords(
        "Upper body against pelvis, sideways", "trunk to pelvis, lateral", *_SIDEWAYS, "frontal"
    ),
    "hip_adduction": CurveWords(
        "Thigh towards the midline", "hip adduction", "inward", "outward", "frontal"
    ),
    "pelvis_tilt": CurveWords(
        "Pelvis, forward and back", "anterior tilt", "front lower", "front higher", "sagittal"
    ),
    "trunk_lean_forward": CurveWords(
        "Upper body, forward", "trunk lean, forward", "forward", "backward", "sagittal"
    ),
    "trunk_pelvis_forward": CurveWords(
        "Upper body against pelvis, forward",
        "trunk to pelvis, forward",
        "forward",
        "backward",
        "sagittal",
    ),
    "hip_flexion": CurveWords("Thigh against pelvis", "hip flexion", *_FLEXION, "sagittal"),
    "thigh_flexion": CurveWords(
        "Thigh against the vertical", "thigh flexion", "knee ahead", "knee behind", "sagittal"
    ),
    "thigh_trunk_flexion": CurveWords(
        "Thigh against the trunk line", "thigh to trunk flexion", *_FLEXION, "sagittal"
    ),
    "knee_flexion": CurveWords("Knee", "knee flexion", "bent", "straight", "sagittal"),
    "ankle_dorsiflexion": CurveWords("Ankle", "ankle dorsiflexion", *_TOES, "sagittal"),
    "shank_angle": CurveWords(
        "Shin against the vertical", "shank angle", "ankle ahead", "ankle behind", "sagittal"
    ),
    "foot_angle": CurveWords("Foot against the ground", "foot angle", *_TOES, "sagittal"),
    "limb_angle_heel": CurveWords(
        "Line from hip to heel", "limb angle, heel", "heel ahead", "heel behind", "sagittal"
    ),
    "limb_angle_ankle": CurveWords(
        "Line from hip to ankle", "limb angle, ankle", "ankle ahead", "ankle behind", "sagittal"
    ),
    "pelvis_rotation": CurveWords(
        "Pelvis turning", "pelvic rotation", "left side ahead", "right side ahead", "transverse"
    ),
}


def readable(name: str) -> str:
    """Return a name from the files as words: `hip_flexion_left` becomes `hip flexion left`."""
    return name.replace("_", " ")


def sentence(text: str) -> str:
    """Return the text with a capital at its head."""
    return text[:1].upper() + text[1:]


def measure_words(name: str) -> MeasureWords:
    """Return a measure's names; one that is not in the list is called by its own name."""
    if name.endswith(_VS_STANDING):
        own = measure_words(name.removesuffix(_VS_STANDING))
        clinical = f"{own.term or own.plain}, against standing"
        return MeasureWords(sentence(clinical), "", own.low, own.high)
    known = MEASURES.get(name)
    return known if known is not None else MeasureWords(sentence(readable(name)), "")


def curve_words(stem: str) -> CurveWords:
    """Return a curve's names; one that is not in the list is called by its own name."""
    known = CURVES.get(stem)
    if known is not None:
        return known
    if stem.startswith("pig_"):
        name = sentence(readable(stem.removeprefix("pig_")))
        return CurveWords(name, "Plug-in Gait definition", "", "", "further")
    return CurveWords(sentence(readable(stem)), "", "", "", "further")


def listing(items: list[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"
