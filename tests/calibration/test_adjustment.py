from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from calibration.adjustment import NotDeterminedError, inverse
from calibration.bundle import adjust
from calibration.covariances import board_equations, covariance
from calibration.lens import basis
from calibration.normals import normal_equations
from calibration.synchrony import disagreements
from lab import cores
from lab.errors import LabError
from tests.calibration.synthetic import board_poses, ring, scene


def network(cameras=6, poses=60, lens="fx fy cx cy k1 k2 p1 p2 k3"):
    rng = np.random.default_rng(3)
    shown = scene(ring(cameras, 2.0), board_poses(poses, rng))
    return shown.network(shown.noisy(0.3, rng), 0.3, basis(lens))


def as_brown8(given):
    """The same network, that the compiled sums do not know."""
    wider = tuple(
        replace(c, model="brown8", intrinsics=np.append(c.intrinsics, np.zeros(3)))
        for c in given.cameras
    )
    bases = tuple(np.vstack([b, np.zeros((3, b.shape[1]))]) for b in given.bases)
    return replace(given, cameras=wider, bases=bases)


def test_the_result_is_the_same_on_any_number_of_cores(monkeypatch):
    given, ends = network(6, 150), []
    for threads in (1, 5):
        with ThreadPoolExecutor(threads) as pool:
            monkeypatch.setattr(cores, "core_count", lambda threads=threads: threads)
            monkeypatch.setattr(cores, "_pool", lambda pool=pool: pool)
            ended = adjust(given)
            ends.append((ended, covariance(ended)))
    (first, own), (second, other) = ends
    assert own.tobytes() == other.tobytes()
    assert first.rotations.tobytes() == second.rotations.tobytes()
    for a, b in zip(first.cameras, second.cameras, strict=True):
        assert a.intrinsics.tobytes() == b.intrinsics.tobytes()


def test_views_lie_against_the_network_as_the_plain_sums_say():
    given = adjust(network(4, 30))
    for compiled, plain in zip(disagreements(given), disagreements(as_brown8(given)), strict=True):
        scale = np.sqrt(np.einsum("vii->vi", plain.cov))
        apart = (compiled.cov - plain.cov) / (scale[:, :, None] * scale[:, None])
        assert np.abs(apart).max() < 1e-8
        assert np.abs((compiled.displacement - plain.displacement) / scale).max() < 1e-7
        np.testing.assert_allclose(compiled.squared, plain.squared, rtol=1e-7)


def test_the_boards_equations_are_those_of_all_sums():
    given = adjust(network(4, 30))
    boards, gradient = board_equations(given)
    plain = normal_equations(given)
    np.testing.assert_allclose(boards, plain.boards, rtol=1e-9, atol=1e-6 * np.abs(boards).max())
    assert np.abs(gradient - plain.board_gradient).max() < 1e-8 * np.sqrt(boards.max())


@pytest.mark.parametrize("lens", ["fx fy cx cy k1 k2 p1 p2 k3", "f cx cy k1"])
def test_the_compiled_covariance_is_the_plain_one(lens):
    given = adjust(network(4, 30, lens))
    own, other = covariance(given), covariance(as_brown8(given))
    keep = np.concatenate([c * 18 + np.arange(15) for c in range(4)])
    other = other[np.ix_(keep, keep)]
    scale = np.sqrt(np.maximum(np.diag(other), 1e-30))
    assert np.abs((own - other) / (scale[:, None] * scale)).max() < 1e-5


def test_a_system_that_is_not_positive_is_refused():
    with pytest.raises(NotDeterminedError):
        inverse(np.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(NotDeterminedError):
        inverse(np.diag([1.0, 0.0]))


def test_views_that_determine_nothing_have_no_covariance():
    """One board pose, seen by one camera, does not tell a lens of nine parameters."""
    given = network(1, 1)
    with pytest.raises(LabError, match="do not determine"):
        covariance(given)
