"""Peaks against those of scipy, on smooth curves, noise and steps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import find_peaks

from analysis.peaks import prominent_peaks


@pytest.mark.parametrize("seed", range(8))
def test_the_peaks_are_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    t = np.arange(600) / 100
    curve = np.sin(2 * np.pi * rng.uniform(0.8, 2) * t) + rng.normal(0, 0.2 * (seed % 3), len(t))
    if seed % 2:
        curve = np.round(curve, 1)  # level tops
    for prominence in (0.0, 0.3, 1.2):
        for distance in (1, 20, 70):
            ours = prominent_peaks(curve, prominence, distance)
            theirs, _ = find_peaks(curve, prominence=prominence, distance=distance)
            if seed % 2 == 0 or distance == 1:
                assert ours.tolist() == theirs.tolist()
            # Of level tops of the same height either may stay.
            assert (np.diff(ours) >= distance).all()


@pytest.mark.parametrize("curve", [[1.0, 1.0, 1.0], [0.0, 1.0, 2.0], [3.0, 1.0, 3.0], [1.0]])
def test_what_rises_to_its_end_has_no_peak(curve):
    assert len(prominent_peaks(np.array(curve), 0.0, 1)) == 0
