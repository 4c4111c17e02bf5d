from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lab.camera import Camera
from lab.pose import Pose
from lab.rig import Rig


def test_draws_scatter_as_the_covariance_says(rig):
    n = 20000
    draws = rig.draw(np.random.default_rng(0), n)
    assert draws.shape == (n, len(rig.cov))
    # Whitened, each entry of the sample covariance has a standard error of at most sqrt(2 / n).
    root = np.linalg.cholesky(rig.cov)
    white = np.linalg.solve(root, draws.T)
    scatter = white @ white.T / n
    assert np.abs(scatter - np.eye(len(rig.cov))).max() < 6 * np.sqrt(2 / n)
    assert np.abs(white.mean(axis=1)).max() < 5 / np.sqrt(n)


def test_the_same_seed_draws_the_same(rig):
    first, second = (rig.draw(np.random.default_rng(4), 3) for _ in range(2))
    assert_allclose(first, second, rtol=0)


def test_a_singular_covariance_draws_nothing_where_nothing_is_unsure(rig):
    cov = np.zeros_like(rig.cov)
    cov[2, 2] = 4e-6
    draws = replace(rig, cov=cov).draw(np.random.default_rng(0), 100)
    assert np.abs(np.delete(draws, 2, axis=1)).max() == 0
    assert draws[:, 2].std() > 1e-3


def test_an_unknown_covariance_draws_nothing(rig):
    unknown = replace(rig, cov=np.full_like(rig.cov, np.nan))
    assert rig.has_covariance
    assert not unknown.has_covariance
    with pytest.raises(ValueError, match="not known"):
        unknown.draw(np.random.default_rng(0), 1)


def test_perturbed_reaches_each_camera_where_its_slice_says(rig):
    delta = np.arange(len(rig.cov)) * 1e-4
    moved = rig.perturbed(delta)
    for before, after, part in zip(rig.cameras, moved.cameras, rig.parameter_slices(), strict=True):
        assert_allclose(after.intrinsics - before.intrinsics, delta[part][6:], atol=1e-12)
        assert_allclose(
            after.cam_from_lab.translation,
            before.cam_from_lab.perturbed(delta[part][:6]).translation,
        )
    assert rig.parameter_slices()[-1].stop == len(rig.cov)


def test_sha256_is_of_what_the_rig_measures_with(rig):
    assert rig.sha256 == replace(rig, created="later", board="another").sha256
    camera = Camera("a", (640, 480), "brown4", [500, 500, 320, 240, 0, 0, 0, 0], Pose.identity())
    plain = Rig((camera,), np.eye(14), rig.quality, "", "")
    # A change of this value loses every reference that was ever stored to a rig.
    assert plain.sha256 == "851d9ee9c4b55aa5d81b6925741483cf147cdfaafb656af980a8a4e437eca74c"


@pytest.mark.parametrize("parameter", range(0, 56, 5))
def test_sha256_feels_every_parameter(rig, parameter):
    delta = np.zeros(len(rig.cov))
    delta[parameter] = 1e-9
    assert rig.perturbed(delta).sha256 != rig.sha256


def test_sha256_feels_names_sizes_order_and_covariance(rig):
    first = rig.cameras[0]
    others = rig.cameras[1:]
    cov = rig.cov.copy()
    cov[0, 0] *= 1 + 1e-12
    changed = [
        replace(rig, cameras=(replace(first, name="z"), *others)),
        replace(rig, cameras=(replace(first, size_px=(1280, 721)), *others)),
        replace(rig, cov=cov),
        Rig((*others, first), rig.cov, rig.quality, rig.created, rig.board),
    ]
    assert len({r.sha256 for r in (rig, *changed)}) == 5


def test_cameras_by_name(rig):
    assert rig.camera("cam_brown8") is rig.cameras[2]
    with pytest.raises(ValueError, match="not in tuple"):
        rig.camera("cam_9")


def test_refuses(rig):
    half = rig.cov.copy()
    half[0, 0] = np.nan
    for change, message in [
        ({"cameras": ()}, "no cameras"),
        ({"cameras": rig.cameras[:1] * 2}, "twice"),
        ({"cov": rig.cov[:-1, :-1]}, "shape"),
        ({"cov": half}, "finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            replace(rig, **change)
