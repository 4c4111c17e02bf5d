"""trial.toml: what the operator states of a trial."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from lab.errors import FileError, LabError

TRIAL_FILE = "trial.toml"
_LONGEST_READOUT_MS = 50.0
RECORD = "trial.h5"
_CODE = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,47}\Z")
REPORT = "report.pdf"

TEMPLATE = """\
# One trial of one person. Lines that begin with # are explanations, or settings left as they are.

[trial]
patient = "{patient}"               # a code, never a name
activity = "walk"              # walk or run
# treadmill_speed_m_s = 3.0    # on a treadmill; leave out overground
# recorded = "2026-03-14"      # date of the recording
# static = "../static"         # a standing trial: drop and lean are then also given against it
rig = "../../rigs/lab/calibration.h5"

# One section a camera. Keypoints: columns t,name,x_px,y_px,score; t in s on the lab clock,
# pixel (0, 0) is the centre of the top-left pixel.
[cameras.cam01]
keypoints = "cam01.csv"        # or the files of another program: docs/detectors.md
# video = "cam01.mp4"          # with [detect] keypoints are found in it; and for stills
# readout_ms = 12.0            # exposes row by row: from its first row to its last

[cameras.cam02]
keypoints = "cam02.csv"

# [detect]                     # find the keypoints in the videos of cameras without keypoints
# detector = "pose"            # docs/detectors.md; or "plates": docs/tag-plates.md
# model = "rtmpose-m-halpe26"  # get it once with: gaitlab models get rtmpose-m-halpe26
# plates = "gait-ring"         # the plates worn

# [person]                     # when several people are seen: a click on the one measured
# camera = "cam01"
# t = 1.5
# x_px = 640.0
# y_px = 360.0

# Markers instead of cameras: a C3D, TRC or CSV file.
# [markers]
# file = "walk.c3d"
# unit = "mm"                  # these three where the file does not say
# up = "z"
# forward = "+y"

# [subject]                    # what a marker model needs
# leg_length_left_mm = 880.0
# marker_radius_mm = 7.0

# [analysis]
# also = ["plug-in-gait"]      # further definitions to compute beside our own
# constant_bones = true        # bones keep the length that the trial shows: for few cameras
"""


class TrialTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The [trial] section."""

    patient: str
    activity: str
    rig: str = ""
    treadmill_speed_m_s: float | None = None
    recorded: str = ""
    static: str = ""
    times: str = ""


class CameraTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A [cameras.NAME] section.

    Attributes:
        keypoints: File or folder.
        video: File.
        skeleton: Of foreign keypoints.
        form: Of foreign keypoints.
        rate_hz: Where neither the keypoints nor a video tell the time of a frame.
        readout_ms: From the exposure of the first row to that of the last; 0 for a global shutter.
            Its stamps are those of the middle row.
    """

    keypoints: str = ""
    video: str = ""
    skeleton: str = ""
    form: str = ""
    rate_hz: float | None = None
    readout_ms: float = 0.0


class MarkersTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The [markers] section."""

    file: str
    unit: str | None = None
    up: str | None = None
    forward: str | None = None


class DetectTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The [detect] section: how keypoints are found in videos.

    Attributes:
        detector: "pose" or "plates".
        model: Name of a pose model.
        device: Where networks run: auto, cpu, cuda, coreml, directml or openvino.
        plates: Name of a set in configs/plates, or a file beside trial.toml.
    """

    detector: str
    model: str = "rtmpose-m-halpe26"
    device: str = "auto"
    plates: str = "gait-ring"


class PointingTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A [[tie.pointing]] section: from when to when the wand's tip was on a landmark, s."""

    landmark: str
    begin: float
    end: float


class TieTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The [tie] section of a standing trial: where the landmarks are among the plates.

    Attributes:
        by: "wand", or "standing": by the standing pose alone.
        sigma_mm: In each direction, of the wand's tip to the true landmark; by the standing pose,
            of each segment as taken to the true one.
        turn_sigma_deg: By the standing pose, about each axis, likewise.
        hip_sigma_mm: In each direction, of the regression of hip joint centres on this person.
            By default what Mantovani et al., Gait Posture 44:48 (2016), found against computed
            tomography: 12.3 mm with a standard deviation of 5.9 mm in space.
        pointing: In any order.
    """

    sigma_mm: float
    by: str = "wand"
    turn_sigma_deg: float = 5.0
    hip_sigma_mm: float = 7.9
    pointing: tuple[PointingTable, ...] = ()


class PersonTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The [person] section: who is measured when several people are seen.

    Attributes:
        camera: Of a click on the person.
        t: Of the click, s on the lab clock.
        x_px: Of the click.
        y_px: Of the click.
        near_m: (x, y) m on the floor that the person comes nearest to; instead of a click.
    """

    camera: str = ""
    t: float | None = None
    x_px: float | None = None
    y_px: float | None = None
    near_m: tuple[float, float] | None = None


class AnalysisTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The [analysis] section.

    Attributes:
        also: Further definitions, so far only "plug-in-gait".
        max_gap_s: Gaps longer than this stay empty.
        draws: Pairs of replicates for the uncertainty.
        constant_bones: Whether bones keep one length, estimated from the trial; from cameras only.
    """

    also: tuple[str, ...] = ()
    max_gap_s: float = 0.1
    draws: int = 64
    constant_bones: bool = False


class TrialSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole of trial.toml."""

    trial: TrialTable
    cameras: dict[str, CameraTable] = {}
    markers: MarkersTable | None = None
    subject: dict[str, float] = {}
    detect: DetectTable | None = None
    person: PersonTable | None = None
    tie: TieTable | None = None
    analysis: AnalysisTable = AnalysisTable()


def read_settings(folder: Path) -> tuple[TrialSettings, str]:
    """Read a trial folder's settings.

    Returns:
        The settings, and the text they were read from.

    Raises:
        FileError: When trial.toml is missing or is not valid TOML.
        LabError: When a setting is unknown, missing or out of range.
    """
    path = folder / TRIAL_FILE
    if not path.is_file():
        raise FileError(
            "there is no trial.toml",
            where=str(folder),
            remedy=f"Make one with: gaitlab trial new {folder}",
        )
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise FileError(
            f"not valid TOML ({fault})", where=str(path), remedy="Mend the line named."
        ) from fault
    try:
        settings = msgspec.convert(table, TrialSettings)
    except msgspec.ValidationError as fault:
        raise LabError(
            str(fault).replace("`", ""),
            where=str(path),
            remedy="gaitlab trial new DIR writes a commented example.",
        ) from fault
    _check(settings, path)
    return settings, text


def check_code(code: str, where: str) -> None:
    """Raise LabError where a patient's code is no code: a name must stand in no file."""
    if not _CODE.match(code):
        raise LabError(
            f'"{code}" is no patient code',
            where=where,
            remedy="Use letters, digits, _ and -, at most 48; never a name.",
        )


def _check(settings: TrialSettings, path: Path) -> None:
    """Raise LabError for settings that contradict each other or cannot be."""
    trial, where = settings.trial, str(path)
    check_code(trial.patient, where)
    if trial.activity not in ("walk", "run"):
        raise LabError(
            f'activity is "{trial.activity}"', where=where, remedy='Write "walk" or "run".'
        )
    speed = trial.treadmill_speed_m_s
    if speed is not None and not 0.1 <= speed <= 12:
        raise LabError(
            f"treadmill_speed_m_s is {speed}",
            where=where,
            remedy="Give the belt's speed in m/s (10 km/h is 2.78), or leave it out overground.",
        )
    height = settings.subject.get("height_m")
    if height is not None and not 0.4 <= height <= 2.6:
        raise LabError(
            f"height_m is {height:g}",
            where=where,
            remedy="Give the person's height in m, say 1.75.",
        )
    if (settings.markers is None) == (not settings.cameras):
        raise LabError(
            "either cameras or markers must be given, and not both",
            where=where,
            remedy="Write [cameras.NAME] sections, or one [markers] section.",
        )
    if settings.cameras and not trial.rig:
        raise LabError(
            "no rig is given",
            where=where,
            remedy='Write rig = "PATH/calibration.h5" under [trial].',
        )
    for name, camera in settings.cameras.items():
        if not 0 <= camera.readout_ms <= _LONGEST_READOUT_MS:
            raise LabError(
                f"readout_ms of camera {name} is {camera.readout_ms:g}",
                where=where,
                remedy="Give the time from the first row to the last, in ms: less than a frame.",
            )
    _check_person(settings, where)
    _check_tie(settings, where)
    unknown = set(settings.analysis.also) - {"plug-in-gait"}
    if unknown:
        raise LabError(
            f"unknown definitions in analysis.also: {', '.join(sorted(unknown))}",
            where=where,
            remedy='Known is "plug-in-gait".',
        )
    if settings.analysis.constant_bones and settings.markers is not None:
        raise LabError(
            "constant_bones is for cameras; joint centres from markers have their own rules",
            where=where,
            remedy="Leave constant_bones out.",
        )
    if settings.analysis.draws < 8 or settings.analysis.max_gap_s < 0:
        raise LabError("analysis.draws must be at least 8 and max_gap_s not negative", where=where)


def _check_tie(settings: TrialSettings, where: str) -> None:
    """Raise LabError for a [tie] section that ties nothing, or whose figures cannot be."""
    tie = settings.tie
    if tie is None:
        return
    if settings.detect is None or settings.detect.detector != "plates":
        raise LabError(
            "[tie] ties plates, but no plates are worn",
            where=where,
            remedy='Write [detect] with detector = "plates", or take [tie] out.',
        )
    if not (0 <= tie.sigma_mm < 100 and 0 <= tie.hip_sigma_mm < 100):
        raise LabError(
            "[tie] sigma_mm and hip_sigma_mm must lie between 0 and 100",
            where=where,
            remedy="Give the standard deviation of a landmark in each direction, in mm.",
        )
    if tie.by not in ("wand", "standing") or not 0 <= tie.turn_sigma_deg < 45:
        raise LabError(
            f'[tie] by = "{tie.by}", turn_sigma_deg = {tie.turn_sigma_deg:g}',
            where=where,
            remedy='Write by = "wand" or by = "standing", and turn_sigma_deg between 0 and 45.',
        )
    if tie.by == "standing":
        if tie.pointing or "height_m" not in settings.subject:
            raise LabError(
                "[tie] by the standing pose needs height_m under [subject], and no pointing",
                where=where,
                remedy="Give the person's height in m, and inter_asis_distance_mm where known.",
            )
        return
    if not tie.pointing:
        raise LabError(
            "[tie] has no pointing",
            where=where,
            remedy="Write a section [[tie.pointing]] with landmark, begin and end for each "
            "landmark that the wand's tip was held on.",
        )
    names = [p.landmark for p in tie.pointing]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise LabError(
            f"[tie] points at {twice[0]} twice", where=where, remedy="Keep the better pointing."
        )
    for p in tie.pointing:
        if not p.end > p.begin:
            raise LabError(
                f"[tie] pointing at {p.landmark} ends before it begins",
                where=where,
                remedy="Give begin and end in s on the lab clock.",
            )


def _check_person(settings: TrialSettings, where: str) -> None:
    """Raise LabError for a [person] section that says too little or two things."""
    person = settings.person
    if person is None:
        return
    click = (person.t, person.x_px, person.y_px)
    whole = bool(person.camera) and None not in click
    none = not person.camera and click == (None, None, None)
    if whole == (person.near_m is not None) or not (whole or none):
        raise LabError(
            "[person] needs camera, t, x_px and y_px of a click, or near_m alone",
            where=where,
            remedy="Give all four of the click, or near_m = [x, y] in m on the floor.",
        )
    if whole and person.camera not in settings.cameras:
        raise LabError(
            f"[person] names the camera {person.camera}, which this trial does not have",
            where=where,
            remedy="Name one of the trial's cameras.",
        )
