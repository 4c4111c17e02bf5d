"""Claim: tag plates give pelvic obliquity, trunk lean and hip extension to a part of a degree.

Images of a dressed walker with motion blur, lens distortion, noise and occlusion are rendered into
a ring of cameras, tags are found in them, ties come from a standing trial with a wand (also in
images), and the angles of the raw, unsmoothed points are compared with the walker's own curves.
Landmarks are pointed at without error, and the simulated body's hips lie where the regression puts
them: what is left is the tags' own.

    python benchmarks/tag_plates.py [--frames 60] [--rate 50]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from analysis.angles import compute_angles
from analysis.joint_centres import harrington_hips
from analysis.segments import Body
from lab.checks import FloatArray
from lab.plates import WAND, PlateSet, read_plates
from lab.points import Keypoints2D
from lab.rig import Rig
from reconstruct.associate import AlignedKeypoints, align
from reconstruct.detect.tag_plates import TagPlates
from reconstruct.plate_points import carry_landmarks
from reconstruct.plate_ties import Pointing, SegmentTie, tie_by_wand
from simulation.dress import Dressed, dress
from simulation.person_images import PersonFilm
from simulation.room import treadmill_room
from simulation.walker import simulate, standing
from simulation.wand import LANDMARKS, point_at_landmarks

_HOLD = 0.4


def film(
    dressed: Dressed, rig: Rig, t: FloatArray, exposure: float, spent: dict[str, float]
) -> AlignedKeypoints:
    """Render and detect; add up the seconds of each in `spent`."""
    detector = TagPlates(dressed.plates)
    found: list[Keypoints2D] = []
    for c, camera in enumerate(rig.cameras):
        take = PersonFilm(dressed, camera, exposure_s=exposure, rng=np.random.default_rng(c))
        begin = time.process_time()
        images = list(zip(map(float, t), take.shoot(t), strict=True))
        middle = time.process_time()
        found.append(detector.detect(camera.name, images))
        spent["render"] = spent.get("render", 0.0) + middle - begin
        spent["detect"] = spent.get("detect", 0.0) + time.process_time() - middle
        spent["images"] = spent.get("images", 0.0) + len(t)
    return align(found)


def ties_of_standing(
    plates: PlateSet, rig: Rig, worn: Dressed, spent: dict[str, float]
) -> dict[str, SegmentTie]:
    """Return ties from images of a standing trial with a wand held without error."""
    person = standing(duration_s=10.0)
    rng = np.random.default_rng(9)
    wand = point_at_landmarks(person, plates, rng, begin=0.5, each=0.5, hold=_HOLD, sigma=0.0)
    dressed = Dressed(person, plates, worn.segment_from_plate, wand)
    t = np.concatenate([b + np.array([0.05, 0.15, 0.25, 0.35]) for b in wand.begins])
    seen = film(dressed, rig, t, 2e-3, spent)
    ties = tie_by_wand(
        rig,
        seen,
        plates,
        [Pointing(n, b, b + _HOLD) for n, b in zip(LANDMARKS, wand.begins, strict=True)],
        pointing_sigma=0.0,
    )
    ties["pelvis"] = ties["pelvis"].with_derived(
        ("left_hip", "right_hip"),
        lambda at: [v[0] for v in harrington_hips({n: p[None] for n, p in at.items()}).values()],
        0.0,
    )
    return ties


def _some(rig: Rig, seen: AlignedKeypoints, every: int) -> AlignedKeypoints:
    return replace(
        seen,
        cameras=seen.cameras[::every],
        xy_px=seen.xy_px[::every],
        cov_px=seen.cov_px[::every],
        score=seen.score[::every],
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rate", type=float, default=50.0)
    options = parser.parse_args()
    plates = read_plates("gait-ring")
    rig = treadmill_room(8)
    worn_tags = sum(len(p.tags) for p in plates.plates if p.segment != WAND)
    spent: dict[str, float] = {}
    ties = None
    print(
        "speed  exposure  cameras | RMS error, degrees                   | segments | tags an image"
    )
    print("  m/s        ms          | obliquity  trunk lean  hip extension  |  found %  |   found")
    for activity, speed in (("walk", 1.0), ("run", 3.0)):
        walker = simulate(activity, speed_m_s=speed, treadmill=True, duration_s=4.0, seed=1)
        worn = dress(walker, plates, np.random.default_rng(0))
        if ties is None:
            ties = ties_of_standing(plates, rig, worn, spent)
        t = 1.0 + np.arange(options.frames) / options.rate
        truth = walker.curves(t)
        for exposure in (2e-3, 8e-3):
            every = film(worn, rig, t, exposure, spent)
            for count in (4, 8):
                seen = _some(rig, every, 8 // count)
                carried = carry_landmarks(rig, seen, ties)
                forward = np.tile([1.0, 0.0, 0.0], (1, 1, 1))
                angles = compute_angles(
                    Body(carried.points.names, carried.points.xyz[None], forward)
                )
                errors = {}
                for name, curves in (
                    ("obliquity", ["pelvis_obliquity"]),
                    ("lean", ["trunk_lean_forward", "trunk_lean_lateral"]),
                    ("hip", ["hip_flexion_left", "hip_flexion_right"]),
                ):
                    off = np.concatenate([angles[c][0] - truth[c] for c in curves])
                    errors[name] = np.degrees(np.sqrt(np.nanmean(off**2)))
                found = np.mean([np.isfinite(p.translation[:, 0]) for p in carried.paths.values()])
                tags = np.isfinite(seen.xy_px[:, :, ::4, 0]).sum(-1).mean()
                print(
                    f"{speed:5.1f}  {1e3 * exposure:8.0f}  {count:7d} | "
                    f"{errors['obliquity']:9.3f}  {errors['lean']:10.3f}  {errors['hip']:13.3f}  | "
                    f"{100 * found:7.1f}  | {tags:5.1f} of {worn_tags}",
                    flush=True,
                )
    for what in ("render", "detect"):
        each = spent[what] / spent["images"]
        print(f"{what}: {1e3 * each:.0f} ms of one core an image, {1 / each:.0f} images/s a core")


if __name__ == "__main__":
    main()
