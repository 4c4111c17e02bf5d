"""Claim: a camera's clock is put on its computer's within its stated sigma, busy computer or not.

Two seconds at 60 Hz, crystals 50 ppm apart (one standard deviation), arrivals late by exponential
times whose mean is that of a quiet computer, of a busy one, of one that grows busy, and of one that
is busy from the middle on. Printed: the error of the line at the recording's ends, root mean square
and largest, how often two sigmas hold it, and the scatter of the drift.

    python benchmarks/capture_device_clock.py [--runs 400]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from capture.device_clock import fit_device

FRAMES, RATE_HZ, CRYSTAL_PPM = 120, 60, 50
LATE_S = {
    "quiet": np.full(FRAMES, 1e-4),
    "busy": np.full(FRAMES, 4e-3),
    "grows busy": np.linspace(2e-4, 8e-3, FRAMES),
    "busy from the middle": np.repeat([1e-4, 1e-2], FRAMES // 2),
}


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(1)
    device = 10**15 + np.arange(FRAMES) * 10**9 // RATE_HZ
    elapsed = device - device[0]
    for name, mean in LATE_S.items():
        errors, sigmas, drifts = [], [], []
        for _ in range(runs):
            drift = rng.normal(0, CRYSTAL_PPM) * 1e-6
            true = elapsed + np.rint(elapsed * drift).astype(np.int64)
            fit = fit_device(device, true + np.rint(rng.exponential(mean) * 1e9).astype(np.int64))
            errors.append((fit.host_ns(device[[0, -1]]) - true[[0, -1]]) * 1e-9)
            sigmas.append(fit.sigma)
            drifts.append(fit.drift - drift)
        error, sigma = np.array(errors), np.array(sigmas)[:, None]
        print(
            f"{name:20} RMS {1e6 * np.sqrt(np.mean(error**2)):6.1f} us, largest "
            f"{1e6 * np.abs(error).max():6.1f} us, within two sigmas "
            f"{100 * np.mean(np.abs(error) < 2 * sigma):5.1f} %, drift "
            f"{1e6 * np.std(drifts):5.1f} ppm"
        )


if __name__ == "__main__":
    main()
