"""A person before four cameras: real keypoints of a real detector, no truth.

Claim: joints that the detector got wrong are found by the other cameras and rejected, and what is
left keeps the person's bones at one length. The recording lies in the data folder (GAITLAB_DATA,
or ../shared/data beside the repository).

Run: python benchmarks/reconstruct_pose.py
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from calibration.formats.qualisys import read_qca  # noqa: E402
from reconstruct.associate import align  # noqa: E402
from reconstruct.bones import bone_lengths  # noqa: E402
from reconstruct.detect.keypoints_csv import read_keypoints  # noqa: E402
from reconstruct.skeletons import load_skeleton  # noqa: E402
from reconstruct.smooth import Smoother  # noqa: E402
from reconstruct.triangulate import triangulate  # noqa: E402


def main() -> None:
    folder = Path(os.environ.get("GAITLAB_DATA", ROOT.parent / "shared" / "data")) / "pose"
    rig = read_qca(folder / "Calib.qca.txt")
    started = time.perf_counter()
    keypoints = [
        read_keypoints(folder / f"cam0{i + 1}.csv", name) for i, name in enumerate(rig.names)
    ]
    aligned = align(keypoints)
    read = time.perf_counter()
    result = triangulate(rig, aligned)
    reconstructed = time.perf_counter()
    smoother = Smoother(result.points)
    smooth = smoother.points
    smoothed = time.perf_counter()
    everything = triangulate(rig, aligned, robust=False)

    seen = np.isfinite(aligned.xy_px[..., 0])
    print(f"{len(aligned.t)} frames, {len(aligned.names)} points, {len(rig.cameras)} cameras")
    print(
        f"seconds: read {read - started:.2f}, reconstruct {reconstructed - read:.2f}, "
        f"smooth {smoothed - reconstructed:.2f}"
    )
    print(
        "median reprojection error: "
        f"{np.nanmedian(everything.residual_px):.1f} px with every observation, "
        f"{np.nanmedian(result.residual_px):.1f} px with those that agree"
    )
    print(
        f"observations rejected: {result.rejected.sum()} of {seen.sum()} "
        f"({100 * result.rejected.sum() / seen.sum():.1f} %), by camera "
        + ", ".join(f"{n} {r}" for n, r in zip(rig.names, result.rejected.sum((1, 2)), strict=True))
    )
    print(
        "left and right exchanged back, by camera: "
        + ", ".join(f"{n} {r}" for n, r in zip(rig.names, result.swapped.sum((1, 2)), strict=True))
    )
    print(f"points withheld: {dict(result.withheld) or 'none'} of {result.status.size}")
    print(
        "noise, median over the joints: "
        + ", ".join(
            f"{n} {s:.1f} px"
            for n, s in zip(rig.names, np.nanmedian(result.noise_px, axis=1), strict=True)
        )
    )
    variance = np.trace(result.points.cov, axis1=2, axis2=3) / 3
    print(f"sigma of a point, per axis: median {1e3 * np.sqrt(np.nanmedian(variance)):.0f} mm")
    print(f"cut-off of the smoother: median {np.nanmedian(smoother.cutoff_hz):.1f} Hz")
    print(f"\n{'bone: length cm, spread cm (%)':44}{'all':>20}{'robust':>20}{'smoothed':>20}")
    bones = load_skeleton("blazepose33").bones
    columns = [bone_lengths(p, bones) for p in (everything.points, result.points, smooth)]
    for row in zip(*columns, strict=True):
        cells = [
            f"{100 * b.median:5.1f} {b.spread_cm:4.1f} ({b.spread_percent:2.0f} %)" for b in row
        ]
        print(f"{' - '.join(row[0].bone):44}" + "".join(f"{cell:>20}" for cell in cells))
    medians = [
        f"{np.median([b.spread_cm for b in column]):.1f} "
        f"({np.median([b.spread_percent for b in column]):.1f} %)"
        for column in columns
    ]
    print(f"{'median spread':44}" + "".join(f"{cell:>20}" for cell in medians))


if __name__ == "__main__":
    main()
