"""The 95 % intervals hold the truth in about 95 of 100 seeded runs, from keypoints to measures.

The study of thousands of runs is benchmarks/interval_coverage.py; its table is
docs/interval-coverage.md.
"""

from __future__ import annotations

import importlib.util
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, chi2

_FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "interval_coverage.py"
_RUNS = 100
_RARE = 1e-3  # how rarely a true 95 % interval would be called wrong, for each measure


def load_study():
    spec = importlib.util.spec_from_file_location("interval_coverage", _FILE)
    study = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(study)
    return study


STUDY = load_study()


def run(task):
    return STUDY.one_run(task)


def find_wrong(z_by_measure: dict[str, np.ndarray]) -> list[str]:
    """Name the measures whose errors over sigma are not those of a 95 % interval."""
    wrong = []
    for name, z in z_by_measure.items():
        n = len(z)
        misses = int((np.abs(z) > 1.96).sum())
        size = float((z**2).mean())
        if misses > binom.isf(_RARE, n, 0.05):
            wrong.append(f"{name}: {misses} of {n} intervals miss the truth")
        if size < chi2.ppf(_RARE, n) / n:
            wrong.append(f"{name}: the intervals are {size**-0.5:.1f} times too wide")
    return wrong


@pytest.mark.slow
def test_intervals_of_headline_measures_hold_the_truth():
    rig = STUDY.calibrated_rig("run", 6)
    tasks = [(rig, "run", 1.0, 3.0, 100.0, 64, 50_000 + seed) for seed in range(_RUNS)]
    z: dict[str, list[float]] = {}
    with ProcessPoolExecutor(2) as pool:
        for values in pool.map(run, tasks, chunksize=5):
            for name, side, error, sigma, _ in values:
                if name in STUDY.HEADLINES:
                    z.setdefault(f"{name} {side}", []).append(error / sigma)
    assert {key.rpartition(" ")[0] for key in z} == set(STUDY.HEADLINES)
    assert min(len(each) for each in z.values()) >= 0.9 * _RUNS
    assert find_wrong({name: np.array(each) for name, each in z.items()}) == []


def test_intervals_that_are_too_narrow_or_too_wide_are_called_wrong():
    z = np.random.default_rng(1).standard_normal(_RUNS)
    assert find_wrong({"true": z}) == []
    assert "miss the truth" in find_wrong({"half": 2 * z})[0]
    assert "too wide" in find_wrong({"double": z / 2})[0]
