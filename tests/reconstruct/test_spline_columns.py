"""The compiled solves of the smoother equal dense algebra, for any number of replicates."""

import numpy as np
import pytest
from scipy.linalg import cholesky_banded

from reconstruct.spline_columns import penalty_taps, smooth_twice, solver_rows


def banded(rng, n, diagonals):
    """Lower bands (diagonals, n) of a symmetric matrix, and the matrix."""
    bands = rng.normal(size=(diagonals, n))
    whole = np.diag(bands[0])
    for d in range(1, diagonals):
        bands[d, n - d :] = 0
        whole += np.diag(bands[d, : n - d], -d) + np.diag(bands[d, : n - d], d)
    return bands, whole


@pytest.mark.parametrize("frames", [5, 40])
@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("replicates", [1, 16, 37])
def test_smoothing_twice_equals_dense_algebra(frames, order, replicates):
    rng = np.random.default_rng([frames, order, replicates])
    bands, penalty = banded(rng, frames, order + 1)
    system, a = banded(rng, 3 * frames, 3 * order + 3)
    system[0] += 40
    a += 40 * np.eye(3 * frames)
    values = rng.normal(size=(replicates, frames, 3))
    factor = cholesky_banded(system, lower=True)
    found = smooth_twice(solver_rows(factor), penalty_taps(bands), values)
    rough = np.linalg.solve(a, np.kron(penalty, np.eye(3)))
    flat = values.reshape(replicates, -1)
    expected = flat - flat @ rough.T @ rough.T
    assert np.abs(found.reshape(replicates, -1) - expected).max() < 1e-12
