"""Whether a stored rig still stands: new views of the board against it.

The views are tested against the rig as it was stored, its own uncertainty allowed for; where they
contradict it, what explains most of it is named: a camera that stands elsewhere, or one whose lens
was turned. `check_change` has the statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import chi2

from calibration.board import Board
from calibration.check_change import (
    KINDS,
    Change,
    Freed,
    change_of,
    eliminated,
    score_of,
)
from calibration.check_network import boards_settled, network_of, sightings_of
from calibration.network import Network
from calibration.thresholds import thresholds
from calibration.views import Sightings
from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Keypoints2D
from lab.rig import Rig

# A camera is said to have moved at this chance of a false alarm, over all cameras together.
ALARM = 0.01
# One view, or a few alike, do not tell a turned camera from a shifted lens.
_LENS_VIEWS = 4
_LENS_RARER = 20.0  # by a factor exp(10)


@dataclass(frozen=True, slots=True)
class CameraCheck:
    """What new views say of one camera.

    Attributes:
        camera: Its name.
        views: How many views it had of the board together with others.
        moved: Whether it stands elsewhere than stored.
        refocused: Whether its lens is another than stored (focus, zoom), standing where it stood.
        shift_mm, turn_deg: How far its centre and its axes are from where they were stored.
        shift_sigma_mm: Standard deviation of the shift along itself.
        focal_change: Part by which the focal length differs; NaN unless refocused.
        p_value: Chance of this much without a movement; NaN where it was not seen with others.
    """

    camera: str
    views: int
    moved: bool
    refocused: bool
    shift_mm: float = field(metadata={"unit": "mm"})
    shift_sigma_mm: float = field(metadata={"unit": "mm"})
    turn_deg: float = field(metadata={"unit": "deg"})
    focal_change: float
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class RigCheck:
    """The verdict.

    Attributes:
        cameras: One each.
        p_value: Of all views against the stored rig together.
        p_left: The same once the cameras that changed are as they are now.
        rig: The rig with only the cameras that moved solved anew; the stored one where none did.
    """

    cameras: tuple[CameraCheck, ...]
    p_value: float
    p_left: float
    rig: Rig

    @property
    def moved(self) -> tuple[str, ...]:
        """Names of the cameras that moved."""
        return tuple(c.camera for c in self.cameras if c.moved)

    @property
    def refocused(self) -> tuple[str, ...]:
        """Names of the cameras whose lens was turned."""
        return tuple(c.camera for c in self.cameras if c.refocused)

    @property
    def explained(self) -> bool:
        """Whether the views agree with the rig, once the changes found are allowed for."""
        return not self.p_left < ALARM

    @property
    def stands(self) -> bool:
        """Whether the stored rig may be used as it is."""
        return not self.moved and not self.refocused and self.explained


def check_rig(
    rig: Rig,
    observations: Mapping[str, Keypoints2D],
    board: Board,
    *,
    still: bool = False,
    tolerance: float | None = None,
) -> RigCheck:
    """Compare new views of the board with a stored rig.

    Args:
        rig: As stored.
        observations: Corners by camera, of the board waved or lying still.
        board: The board.
        still: Whether it lay still in all frames; then one view a camera, the median, is taken.
        tolerance: s, as in `views.group_views`.

    Raises:
        LabError: When fewer than two cameras of the rig saw the board at the same time.
    """
    unknown = sorted(set(observations) - set(rig.names))
    if unknown:
        raise LabError(
            f"the rig has no camera {', '.join(unknown)}, it has {', '.join(rig.names)}",
            where="check",
            remedy="A camera is named after its video file.",
        )
    sightings = sightings_of(rig, observations, board, still, tolerance)
    return check_views(rig, sightings, board.corners_m(), still=still)


def check_views(
    rig: Rig, sightings: Sightings, corners_m: FloatArray, *, still: bool = False
) -> RigCheck:
    """Do what `check_rig` does, with views that are grouped already, one `Views` a camera."""
    if not (sightings.cameras_per_pose() > 1).any():
        raise LabError(
            "no two cameras of the rig saw the board at the same time",
            where="check",
            remedy="Show the board to more cameras at once, or check the times of the frames.",
        )
    network = boards_settled(network_of(rig, sightings, corners_m, still))
    given = [len(v) for v in network.views]
    seen = [c for c, n in enumerate(given) if n]
    first = score_of(rig, network)
    p_value = left = float(chi2.sf(first.statistic, first.rank))
    found: dict[Freed, Change] = {}
    # Of two cameras that contradict each other nobody can say which one changed.
    while left < ALARM and len(found) + 2 < len(seen):
        trials: dict[Freed, Change] = {}
        for c in (c for c in seen if all(c != taken for taken, _ in found)):
            for kind in KINDS if given[c] >= _LENS_VIEWS else KINDS[:1]:
                trials[c, kind] = change_of(rig, network, (c, kind), list(found), anew=True)
        best = min(trials, key=lambda f: (_criterion(f, trials[f]), f))
        if trials[best].p_value * 2 * len(seen) > ALARM:
            break
        found[best] = trials[best]
        network, left = trials[best].network, trials[best].p_left
    checks = tuple(_checked(rig, network, c, given[c], found) for c in range(len(rig.cameras)))
    verdict = RigCheck(checks, p_value, left, rig)
    return replace(verdict, rig=_mended(rig, network, verdict))


def _criterion(freed: Freed, change: Change) -> float:
    """Akaike's criterion, with what a turned lens is rarer than a knock."""
    rarer = _LENS_RARER if freed[1] == "lens" else 0.0
    return change.left + 2 * len(change.step) + rarer


def _checked(
    rig: Rig, network: Network, camera: int, views: int, found: Mapping[Freed, Change]
) -> CameraCheck:
    """Gather what the views say of one camera."""
    name, nan = rig.names[camera], float("nan")
    if not views:
        return CameraCheck(name, 0, False, False, nan, nan, nan, nan, nan)
    lens = found.get((camera, "lens"))
    own = found.get((camera, "pose"))
    one = own or change_of(rig, network, (camera, "pose"), list(found), anew=False)
    stored = rig.cameras[camera].cam_from_lab
    now = stored.perturbed(one.step)
    centre = now.inverse().translation - stored.inverse().translation
    shift = float(np.linalg.norm(centre))
    # The centre moves by minus the shift of the pose, turned into the lab.
    spread = now.rotation.T @ one.cov[3:, 3:] @ now.rotation
    along = centre / max(shift, 1e-12)
    return CameraCheck(
        name, views, own is not None, lens is not None, 1e3 * shift,
        1e3 * float(np.sqrt(max(along @ spread @ along, 0.0))),
        float(np.degrees(np.linalg.norm(one.step[:3]))),
        float(lens.step[0]) if lens else nan, lens.p_value if lens else one.p_value,
    )  # fmt: skip


def _mended(rig: Rig, network: Network, verdict: RigCheck) -> Rig:
    """Return the rig with the cameras that moved where they are now, and their covariance.

    What the others' errors do to the new poses is carried along, with the noise of the new views.
    It is refused where the views contradict it all the same, where a lens was turned, and where a
    camera's new place is not known well enough.
    """
    moved = [c for c, one in enumerate(verdict.cameras) if one.moved]
    if not moved:
        return rig
    cameras = tuple(
        network.cameras[c] if c in moved else camera for c, camera in enumerate(rig.cameras)
    )
    _, information = eliminated(network)
    free = np.concatenate(
        [np.arange(s.start, s.start + 6) for s in (rig.parameter_slices()[c] for c in moved)]
    )
    own = np.linalg.inv(information[np.ix_(free, free)])
    size = len(information)
    carry = np.eye(size)
    carry[free] = 0.0
    carry[free] -= own @ np.where(np.isin(np.arange(size), free), 0.0, information[free])
    cov = carry @ rig.cov @ carry.T
    cov[np.ix_(free, free)] += own
    refused, figures = [], dict(rig.quality.cameras)
    limit = thresholds()["refuse"]["camera_position_mm"]
    for i, c in enumerate(moved):
        place = own[6 * i + 3 : 6 * i + 6, 6 * i + 3 : 6 * i + 6]
        sigma_mm = 1e3 * float(np.sqrt(np.trace(place)))
        name = rig.names[c]
        figures[name] = {**figures.get(name, {}), "position_sigma_mm": sigma_mm}
        if sigma_mm > limit:
            refused.append(
                f"{name}: its place is known to {sigma_mm:.0f} mm only, {limit:.0f} mm are needed: "
                "show it the board longer, closer and tilted"
            )
    if verdict.refocused:
        refused.append(
            f"{', '.join(verdict.refocused)}: the lens was turned; calibrate the rig again"
        )
    if not verdict.explained:
        refused.append(
            "the check's views contradict the rig also with "
            f"{', '.join(verdict.moved)} solved anew; calibrate the rig again"
        )
    note = f"{', '.join(verdict.moved)} solved anew against the other cameras, from a check"
    quality = replace(
        rig.quality,
        accepted=rig.quality.accepted and not refused,
        reasons=(*refused, *rig.quality.reasons, note),
        cameras=figures,
    )
    return replace(rig, cameras=cameras, cov=0.5 * (cov + cov.T), quality=quality)
