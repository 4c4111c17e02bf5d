"""The map of a rig's 3D uncertainty against what calibrations really do.

Claim: points triangulated with a calibrated rig, whitened by the covariance that the same rig
states for them (`sigma_map.point_covariances`), have a mean squared error of 1 (0.95 to 1.05) over
a 3D grid and 1000 calibrations or more; for the rig's error alone, and with keypoint noise.

Gauge: the first camera's pose is exact by definition; truth and estimate are compared in its frame,
laid so that the true first camera stands where it does. Four cameras, 24 corners in 40 board poses,
0.3 px, lens f, cx, cy, k1, each calibration adjusted from the truth (production start and this end
at the same minimum), its covariance taken at its own estimate.

Run: python benchmarks/calibration_map.py [--runs 1000]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from calibration.bundle import adjust  # noqa: E402
from calibration.covariances import covariance  # noqa: E402
from calibration.free_points import triangulate  # noqa: E402
from calibration.lens import basis  # noqa: E402
from calibration.sigma_map import point_covariances, volume_grid  # noqa: E402
from lab.rig import Rig, RigQuality  # noqa: E402
from tests.calibration.synthetic import board_poses, ring, scene  # noqa: E402

NOISE_PX, KEYPOINT_PX = 0.3, 1.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    shown = scene(ring(4), board_poses(40, rng))
    network = shown.network(shown.sightings, NOISE_PX, basis("f cx cy k1"))
    grid = volume_grid(np.array([-0.6, -0.6, 0.2]), np.array([0.6, 0.6, 1.6]), 0.6)
    pixels = np.stack([c.project(grid) for c in shown.cameras])
    squared = {"rig alone": [], "with keypoint noise": []}
    for _ in range(given.runs):
        found = adjust(replace(network, views=shown.noisy(NOISE_PX, rng).views), 1e-9)
        rig = Rig(found.cameras, covariance(found), RigQuality(True, (), {}, {}), "", "")
        for what, noise in (("rig alone", 0.0), ("with keypoint noise", KEYPOINT_PX)):
            seen = pixels + noise * rng.standard_normal(pixels.shape)
            away = triangulate(rig.cameras, seen) - grid
            cov = point_covariances(rig, grid, noise)
            white = np.einsum("ni,ni->n", away, np.linalg.solve(cov, away[..., None])[..., 0])
            squared[what].append(white.mean() / 3)
    sigma = 1e3 * np.sqrt(np.einsum("nii->n", point_covariances(rig, grid)))
    print(f"{given.runs} calibrations, {len(grid)} points; sigma of the rig's error there ", end="")
    print(f"{sigma.min():.2f} to {sigma.max():.2f} mm (first camera exact)")
    for what, values in squared.items():
        error = np.std(values, ddof=1) / np.sqrt(given.runs)
        print(f"{what:22} whitened squared error {np.mean(values):.3f} +- {error:.3f}")


if __name__ == "__main__":
    main()
