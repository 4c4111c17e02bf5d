"""Which detector a trial asks for, and how a worker process makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from console.detection import FOLDER, Footage, Progress, Recipe, detect_footage
from console.folders import models_folder
from console.settings import DetectTable
from lab.errors import LabError
from lab.plates import PlateSet, read_plates
from reconstruct.detect.detector import Detector
from reconstruct.detect.model_store import ModelStore
from reconstruct.people import People2D

POSE, PLATES = "pose", "plates"
DETECTORS = (POSE, PLATES)


@dataclass(frozen=True, slots=True)
class PoseRecipe:
    """Makes a pose detector.

    Attributes:
        folder: Of the models.
        model: Its name.
        device: As of `reconstruct.detect.network.Network`.
    """

    folder: Path
    model: str
    device: str

    def __call__(self) -> Detector:
        """Make it; one thread each, for there are as many workers as cores."""
        # Trials whose keypoints are given need not wait for networks and their libraries.
        from reconstruct.detect.pose import PoseDetector

        return PoseDetector(ModelStore(self.folder), self.model, device=self.device, threads=1)


@dataclass(frozen=True, slots=True)
class PlatesRecipe:
    """Makes a detector of tag plates.

    Attributes:
        plates: Name of a set in configs/plates, or a file.
    """

    plates: str | Path

    def __call__(self) -> Detector:
        """Make it."""
        from reconstruct.detect.tag_plates import TagPlates

        return TagPlates(read_plates(self.plates))


def plates_source(table: DetectTable, folder: Path) -> str | Path:
    """Return where a trial's plates are described: a file beside trial.toml before a name."""
    path = folder / table.plates
    return path if path.is_file() else table.plates


def worn_plates(table: DetectTable, folder: Path) -> PlateSet:
    """Read the plates of a trial.

    Raises:
        LabError: As of `lab.plates.read_plates`.
    """
    return read_plates(plates_source(table, folder))


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a trial's detector found.

    Attributes:
        people: By camera.
        identity: Of the detector.
        rescale: Whether its covariances are right up to a factor only.
        models: sha256 of the networks, by name.
    """

    people: Mapping[str, People2D]
    identity: str
    rescale: bool
    models: Mapping[str, str]


def make_recipe(table: DetectTable, folder: Path, where: str) -> Recipe:
    """Return what makes the detector of a [detect] section.

    Args:
        table: The section.
        folder: Of the trial.
        where: What to name in an error.

    Raises:
        LabError: When there is no such detector.
    """
    if table.detector == POSE:
        return PoseRecipe(models_folder(), table.model, table.device)
    if table.detector == PLATES:
        return PlatesRecipe(plates_source(table, folder))
    raise LabError(
        f'detector is "{table.detector}"',
        where=where,
        remedy="Write one of: " + ", ".join(f'"{name}"' for name in DETECTORS) + ".",
    )


def find_people(
    table: DetectTable, footage: list[Footage], folder: Path, where: str, progress: Progress
) -> Found:
    """Find everyone in a trial's videos; kept detections are used where there are any.

    Args:
        table: The [detect] section.
        footage: The videos.
        folder: Of the trial.
        where: What to name in an error.
        progress: Called with frames done, frames in all, and what is done.

    Raises:
        LabError: As of `make_recipe` and `detect_footage`.
    """
    from reconstruct.detect.pose import PoseDetector

    recipe = make_recipe(table, folder, where)
    detector = recipe()
    people = detect_footage(footage, recipe, folder / FOLDER, progress=progress)
    pose = isinstance(detector, PoseDetector)
    models = dict(detector.models) if isinstance(detector, PoseDetector) else {}
    return Found(people, detector.identity, pose, models)
