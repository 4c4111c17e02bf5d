"""Negative controls: what a calibration says when something is wrong, and of 100 that are right.

Claims: a camera knocked while filming, a wrong square (where a second length is known), two cameras
exchanged, a mirrored video, a camera out of time and a lens turned are said, each at three
magnitudes; of 100 good rigs at least 95 are accepted. Corners are simulated (0.2 px), the
calibration is the production one: four cameras on a ring of 3 m, a board of 0.7 x 0.5 m waved for
40 s at 5 frames a second, and lying on the floor.

A control counts as detected where the calibration is refused, or where what is wrong is said and
solved for: a camera's time offset, a bowed board. "named" are those where the right camera (or
exchange, or board) is named. What becomes of a patient's pelvis in those that are accepted is said
in mm: pelves around the room's middle, as the rig has them, laid on where they are by a turn and a
shift.

Run: python benchmarks/calibration_controls.py [--good 100] [--seeds 10] [--only KIND ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from calibration.board import Board  # noqa: E402
from calibration.free_points import rigid_residuals, triangulate  # noqa: E402
from calibration.known_length import KnownLength  # noqa: E402
from calibration.mistakes import refuse_mirrored  # noqa: E402
from calibration.rig_calibration import calibrate  # noqa: E402
from lab.camera import Camera  # noqa: E402
from lab.errors import LabError  # noqa: E402
from lab.points import Keypoints2D  # noqa: E402
from lab.rig import RigQuality  # noqa: E402
from simulation.board_path import floor_pose  # noqa: E402
from simulation.board_wave import film_corners, waved  # noqa: E402
from simulation.room import ring  # noqa: E402

BOARD = Board(columns=7, rows=5, square_m=0.1, marker_m=0.075, dictionary="DICT_4X4_100")
CORNERS, NAMES = BOARD.corners_m(), BOARD.corner_names
NOISE_PX = 0.2
VOLUME = ((-0.8, 0.8), (-0.7, 0.7), (0.5, 1.5))
T = np.arange(0, 40, 0.2)
# Pelves in the middle of the room and half a metre around it.
PELVIS = np.array([[x, y, z] for x in (-0.5, 0, 0.5) for y in (-0.5, 0, 0.5) for z in (0.8, 1.0)])
DIAGONAL_M = float(np.linalg.norm(CORNERS[0] - CORNERS[-1]))
_QUIET = ("no second known length", "lenses:", "up is from", "the board was seen in less")


@dataclass
class Session:
    """Everything that one calibration is given."""

    cameras: tuple[Camera, ...]
    seed: int
    board: Board = BOARD
    late: dict[str, float] = field(default_factory=dict)
    bend: Callable[[np.ndarray], np.ndarray] | None = None
    lens: dict[str, Keypoints2D] = field(default_factory=dict)
    lengths: tuple[KnownLength, ...] = ()

    def __post_init__(self) -> None:
        self.seen = {c.name: self.film(c, T, 1) for c in self.cameras}
        still = [floor_pose(BOARD.size_m)] * 5
        rng = np.random.default_rng([3, self.seed])
        self.floor = {
            c.name: film_corners(
                c, np.arange(5) / 5, still, CORNERS, NAMES, noise_px=NOISE_PX, rng=rng,
                bend=self.bend,
            )
            for c in self.cameras
        }  # fmt: skip

    def film(self, camera: Camera, t: np.ndarray, part: int) -> Keypoints2D:
        """The board as a camera sees it, its stamps being late by what `late` says."""
        when = t + self.late.get(camera.name, 0.0)
        poses = waved(when, VOLUME, BOARD.size_m, np.random.default_rng([1, self.seed]))
        rng = np.random.default_rng([2, self.seed, part, int(camera.name[3:])])
        return film_corners(
            camera, t, poses, CORNERS, NAMES, noise_px=NOISE_PX, rng=rng, bend=self.bend
        )

    def judged(self) -> tuple[RigQuality, float]:
        """Calibrate as `gaitlab calibrate` does, and say how far off (mm) it puts the pelvis.

        An error counts as refused.
        """
        try:
            refuse_mirrored(self.seen, self.board, "videos of the board")
            sizes = {c.name: c.size_px for c in self.cameras}
            rig = calibrate(
                self.seen, sizes, self.board, floor=self.floor, lens_from=self.lens or None,
                lengths=self.lengths,
            )  # fmt: skip
        except LabError as error:
            return RigQuality(False, (str(error),), {}, {}), np.nan
        pixels = np.stack([camera.project(PELVIS) for camera in self.cameras])
        return rig.quality, off_mm(triangulate(rig.cameras, pixels))


def off_mm(points: np.ndarray) -> float:
    """RMS over points (N, 3) m of how far they are from `PELVIS`, laid on it by a turn and a shift.

    The lab frame of a rig is that of the board on the floor, the room's is another.
    """
    return 1e3 * float(np.sqrt((rigid_residuals(points, PELVIS) ** 2).sum(1).mean()))


def room(seed: int, count: int = 4) -> tuple[Camera, ...]:
    rig = ring(count, radius_m=3.0, height_m=1.4, target=(0, 0, 0.92), focal_px=880.0, seed=seed)
    return rig.cameras


def knocked(seed: int, mm: float) -> tuple[Session, str]:
    """A camera shifted by so much, and turned by 0.025 degrees a mm, half-way."""
    session = Session(room(seed), seed)
    rng = np.random.default_rng([4, seed])
    camera = session.cameras[seed % 4]
    way = rng.normal(size=6)
    delta = np.zeros(15)
    delta[:3] = np.radians(0.025 * mm) * way[:3] / np.linalg.norm(way[:3])
    delta[3:6] = 1e-3 * mm * way[3:] / np.linalg.norm(way[3:])
    later = session.film(camera.perturbed(delta), T, 5)
    xy = np.where((T < 20)[:, None, None], session.seen[camera.name].xy_px, later.xy_px)
    session.seen[camera.name] = replace(later, xy_px=xy)
    return session, camera.name


def wrong_square(seed: int, percent: float, known: bool = True) -> tuple[Session, str]:
    """The square typed in too large; the diagonal is known by a rule, to half a millimetre."""
    board = replace(BOARD, square_m=BOARD.square_m * (1 + percent / 100))
    read = DIAGONAL_M + 5e-4 * np.random.default_rng([4, seed]).normal()
    lengths = (KnownLength(NAMES[0], NAMES[-1], read),) if known else ()
    return Session(room(seed), seed, board=board, lengths=lengths), "square"


def exchanged(seed: int, degrees: float) -> tuple[Session, str]:
    """Two cameras so far apart on the ring bear each other's name in the floor recording."""
    cameras = list(room(seed))
    turn = np.radians(degrees - 90)
    about = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    pose = cameras[1].cam_from_lab
    moved = replace(pose, rotation=pose.rotation @ about.T)
    cameras[1] = replace(cameras[1], cam_from_lab=moved)
    session = Session(tuple(cameras), seed)
    first, second = cameras[0].name, cameras[1].name
    a, b = session.floor[first], session.floor[second]
    session.floor[first], session.floor[second] = (
        replace(b, camera=first),
        replace(a, camera=second),
    )
    return session, "exchanged"


def mirrored(seed: int, count: float) -> tuple[Session, str]:
    """The videos of so many cameras are mirrored."""
    session = Session(room(seed), seed)
    for camera in session.cameras[: int(count)]:
        xy = session.seen[camera.name].xy_px.copy()
        xy[..., 0] = camera.size_px[0] - 1 - xy[..., 0]
        session.seen[camera.name] = replace(session.seen[camera.name], xy_px=xy)
    return session, "cam01"


def mistimed(seed: int, ms: float) -> tuple[Session, str]:
    """The stamps of one camera are wrong by so much; the hand moves at some decimetres a second."""
    name = f"cam{2 + seed % 3:02d}"
    return Session(room(seed), seed, late={name: 1e-3 * ms}), name


def refocused(seed: int, percent: float) -> tuple[Session, str]:
    """One camera's focal length was another in its lens recording."""
    session = Session(room(seed), seed)
    camera = session.cameras[seed % 4]
    intrinsics = camera.intrinsics.copy()
    intrinsics[:2] *= 1 + percent / 100
    turned = replace(camera, intrinsics=intrinsics)
    session.lens[camera.name] = session.film(turned, T, 6)
    return session, camera.name


def turned_while_filming(seed: int, percent: float) -> tuple[Session, str]:
    """One camera's focal length changes half-way."""
    session = Session(room(seed), seed)
    camera = session.cameras[seed % 4]
    intrinsics = camera.intrinsics.copy()
    intrinsics[:2] *= 1 + percent / 100
    later = session.film(replace(camera, intrinsics=intrinsics), T, 5)
    xy = np.where((T < 20)[:, None, None], session.seen[camera.name].xy_px, later.xy_px)
    session.seen[camera.name] = replace(later, xy_px=xy)
    return session, camera.name


def bowed(seed: int, mm: float) -> tuple[Session, str]:
    """The board is bent about both axes, its middle so far out of the plane of its edges."""
    middle, half = CORNERS.mean(0), np.ptp(CORNERS, axis=0)[:2] / 2

    def bend(corners: np.ndarray) -> np.ndarray:
        part = (corners[:, :2] - middle[:2]) / half
        out = corners.copy()
        out[:, 2] += 1e-3 * mm * (1 - (part**2).mean(1))
        return out

    return Session(room(seed), seed, bend=bend), "board"


CONTROLS: dict[str, tuple[Callable[[int, float], tuple[Session, str]], tuple[float, ...], str]] = {
    "camera knocked while filming": (knocked, (3, 10, 30), "mm"),
    "wrong square, a second length known": (wrong_square, (0.5, 1, 3), "%"),
    "wrong square, nothing else known": (
        lambda seed, size: wrong_square(seed, size, known=False), (0.5, 1, 3), "%",
    ),
    "two cameras exchanged on the floor": (exchanged, (15, 45, 90), "degrees apart"),
    "mirrored videos": (mirrored, (1, 2, 4), "cameras"),
    "one camera out of time": (mistimed, (10, 30, 100), "ms"),
    "lens turned since its own recording": (refocused, (1, 3, 8), "%"),
    "lens turned while filming": (turned_while_filming, (0.5, 1.5, 5), "%"),
    "board bowed": (bowed, (1, 3, 10), "mm"),
}  # fmt: skip


def said_of(quality: RigQuality) -> list[str]:
    return [r for r in quality.reasons if not any(q in r for q in _QUIET)]


def control(name: str, seeds: int) -> None:
    make, magnitudes, unit = CONTROLS[name]
    for magnitude in magnitudes:
        found, named, words, off = 0, 0, "", []
        for seed in range(seeds):
            session, who = make(seed, magnitude)
            quality, off_by = session.judged()
            said = said_of(quality)
            detected = not quality.accepted
            if not detected:
                off.append(off_by)
            if name == "one camera out of time":
                own = quality.cameras.get(who, {})
                wrong_s = abs(own.get("time_offset_s", np.nan) - 1e-3 * magnitude)
                detected = detected or any("do not share a shutter" in s for s in said)
                named += wrong_s < max(3 * own.get("time_offset_sigma_s", 0.0), 1e-3)
            else:
                detected = detected or any("which is solved for" in s for s in said)
                named += any(who in s for s in said)
            found += detected
            words = said[0] if detected and said and not words else words
        missed = f", accepted rigs {np.sqrt(np.mean(np.square(off))):.1f} mm off" if off else ""
        print(
            f"{name:38} {magnitude:>5g} {unit:14} detected {found}/{seeds}, named {named}{missed}"
        )
        print(f"      {words[:170] or 'nothing is said'}", flush=True)


def good(count: int) -> None:
    accepted, reasons, off = 0, [], []
    for seed in range(1000, 1000 + count):
        quality, off_by = Session(room(seed), seed).judged()
        accepted += quality.accepted
        off.append(off_by)
        if not quality.accepted:
            reasons.append(f"seed {seed}: {said_of(quality)[0][:150]}")
    rms = np.sqrt(np.mean(np.square(off)))
    print(
        f"good rigs: {accepted}/{count} accepted, {rms:.1f} mm off", *reasons, sep="\n      ",
        flush=True,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--good", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="*", help="the controls whose name holds one of these")
    given = parser.parse_args()
    for name in CONTROLS:
        if not given.only or any(word in name for word in given.only):
            control(name, given.seeds)
    if given.good:
        good(given.good)


if __name__ == "__main__":
    main()
