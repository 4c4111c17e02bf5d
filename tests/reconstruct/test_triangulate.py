"""Truth out without noise, covariance equal to scatter, and robust to wrong joints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.errors import LabError
from reconstruct.triangulate import triangulate


def with_noise(seen, rng, sigma, miss=0.0):
    xy = seen.xy_px + rng.normal(0, 1, seen.xy_px.shape) * np.asarray(sigma)
    lost = rng.random(seen.score.shape) < miss
    return replace(seen, xy_px=np.where(lost[..., None], np.nan, xy))


def nees(points, truth):
    error = points.xyz - truth
    return np.einsum("tki,tkij,tkj->tk", error, np.linalg.inv(points.cov), error)


@pytest.mark.parametrize("models", [("brown4",), ("brown5", "brown8"), ("fisheye",)])
@pytest.mark.parametrize("cov_px", [np.nan, 1.0])
def test_no_noise_in_truth_out(make_ring, see, body, models, cov_px):
    seen = see(make_ring(4, models=models), body, cov_px)
    result = triangulate(make_ring(4, models=models), seen)
    assert np.abs(result.points.xyz - body).max() < 1e-9
    assert (result.views == np.isfinite(seen.xy_px[..., 0]).sum(0)).all()
    assert not result.rejected.any()
    assert np.nanmax(result.residual_px) < 1e-8


def test_two_cameras_are_enough(make_ring, see, body):
    rig = make_ring(3)
    seen = see(rig, body, 1.0)
    two = replace(
        seen,
        cameras=seen.cameras[:2],
        xy_px=seen.xy_px[:2],
        cov_px=seen.cov_px[:2],
        score=seen.score[:2],
    )
    assert np.abs(triangulate(rig, two).points.xyz - body).max() < 1e-9


@pytest.mark.parametrize("cameras", [3, 6])
def test_covariance_matches_scatter_for_every_number_of_views(make_ring, see, body, cameras):
    rng = np.random.default_rng(11)
    rig = make_ring(cameras, models=("brown5",))
    values, views = [], []
    for _ in range(4):
        sigma = 1.5
        seen = with_noise(see(rig, body, sigma**2), rng, sigma, miss=0.25)
        result = triangulate(rig, seen)
        values.append(nees(result.points, body))
        views.append(result.views)
    values, views = np.array(values), np.array(views)
    for n in np.unique(views[views > 1]):
        chosen = values[views == n]
        if len(chosen) < 200:
            continue
        # Chi-squared with three degrees of freedom has variance 6.
        assert abs(chosen.mean() - 3) < 5 * np.sqrt(6 / len(chosen)), (n, chosen.mean())


def test_full_pixel_covariances_weigh(make_ring, see, body):
    rng = np.random.default_rng(5)
    rig = make_ring(4, models=("brown5",))
    seen = see(rig, body)
    a = rng.normal(size=(*seen.xy_px.shape, 2))
    cov = a @ a.swapaxes(-1, -2) + 0.2 * np.eye(2)
    noise = np.linalg.cholesky(cov) @ rng.normal(size=(*seen.xy_px.shape, 1))
    seen = replace(seen, xy_px=seen.xy_px + noise[..., 0], cov_px=cov)
    result = triangulate(rig, seen)
    good = np.isfinite(result.points.xyz[..., 0])
    values = nees(result.points, body)[good]
    assert good.mean() > 0.99
    assert abs(values.mean() - 3) < 5 * np.sqrt(6 / len(values))
    assert abs(result.chi2_per_dof - 1) < 0.05


def test_scale_shows_a_wrong_covariance(make_ring, see, body):
    rng = np.random.default_rng(6)
    rig = make_ring(5)
    seen = with_noise(see(rig, body, 4.0), rng, 1.0)
    assert triangulate(rig, seen).chi2_per_dof == pytest.approx(0.25, rel=0.05)


def test_noise_is_found_for_each_camera_and_joint(make_ring, see, body):
    rng = np.random.default_rng(7)
    rig = make_ring(5)
    sigma = rng.uniform(1, 4, (5, 1, body.shape[1], 1))
    seen = with_noise(see(rig, body), rng, sigma)
    result = triangulate(rig, seen)
    ratio = result.noise_px / sigma[:, 0, :, 0]
    assert abs(ratio.mean() - 1) < 0.03
    assert ratio.std() < 0.12
    values = nees(result.points, body)
    assert np.isfinite(values).mean() > 0.999
    assert abs(np.nanmean(values) - 3) < 0.25
    equal = triangulate(
        rig, replace(seen, cov_px=np.broadcast_to(np.eye(2) * 6, seen.cov_px.shape))
    )
    rms = [np.sqrt(np.nanmean((r.points.xyz - body) ** 2)) for r in (result, equal)]
    assert rms[0] < 0.95 * rms[1]


@pytest.mark.parametrize(("cameras", "known"), [(4, True), (8, True), (8, False)])
def test_gross_errors_do_not_break_it(make_ring, see, body, cameras, known):
    rng = np.random.default_rng(13)
    rig = make_ring(cameras)
    sigma = 1.5
    seen = with_noise(see(rig, body, sigma**2 if known else np.nan), rng, sigma, miss=0.1)
    wrong = (rng.random(seen.score.shape) < 0.05) & np.isfinite(seen.xy_px[..., 0])
    anywhere = rng.uniform([0, 0], [1920, 1080], (*wrong.shape, 2))
    clean = np.where(wrong[..., None], np.nan, seen.xy_px)
    broken = replace(seen, xy_px=np.where(wrong[..., None], anywhere, seen.xy_px))
    result = triangulate(rig, broken)
    bound = triangulate(rig, replace(seen, xy_px=clean), robust=False)
    judged = np.isfinite(clean[..., 0]).sum(0) >= 3
    found = judged & np.isfinite(result.points.xyz[..., 0])
    assert found.sum() > 0.995 * judged.sum()
    error2 = ((result.points.xyz - body) ** 2).sum(-1)[found].mean()
    cramer_rao = np.trace(bound.points.cov, axis1=2, axis2=3)[found].mean()
    assert np.sqrt(error2 / cramer_rao) < 1.05
    assert (result.rejected & wrong & found).sum() > 0.99 * (wrong & found).sum()
    assert (result.rejected & ~wrong & found).sum() < 0.002 * found.sum() * cameras
    # Without the consensus the same data give errors of decimetres.
    naive = triangulate(rig, broken, robust=False).points.xyz
    assert np.sqrt(np.nanmean((naive - body) ** 2)) > 20 * np.sqrt(error2 / 3)


def test_two_against_one_way_each_is_withheld(make_ring, see, body):
    """Three cameras, one wrong along the epipolar line of a second: nobody can say who is right."""
    rig = make_ring(3)
    seen = see(rig, body[:, :1], 1.0)
    # Camera 1 sees another point of the sight line of camera 2.
    on_line = rig.cameras[1].centre + 0.8 * (body[:, :1] - rig.cameras[1].centre)
    xy = seen.xy_px.copy()
    xy[0] = rig.cameras[0].project(on_line)
    result = triangulate(rig, replace(seen, xy_px=xy))
    assert np.isnan(result.points.xyz).all()
    assert (result.views == 0).all()
    assert result.withheld == {"several pairs of cameras agree on different points": len(body)}


def test_reasons_are_counted(make_ring, see, body):
    rig = make_ring(3)
    seen = see(rig, body[:40, :3], 1.0)
    xy = seen.xy_px.copy()
    xy[1:, :10, 0] = np.nan  # one view
    xy[2, 10:20, 0] = np.nan
    xy[1, 10:20, 0, 1] += 300  # two views that do not agree
    result = triangulate(rig, replace(seen, xy_px=xy))
    assert result.withheld == {
        "seen by fewer than two cameras": 10,
        "the cameras do not agree": 10,
    }
    assert np.isnan(result.points.xyz[:20, 0]).all()
    assert np.isnan(result.points.cov[:20, 0]).all()
    assert np.abs(result.points.xyz[20:] - body[20:40, :3]).max() < 1e-9


def test_a_point_behind_the_cameras_is_withheld(make_ring, see, body):
    rig = make_ring(4)
    seen = see(rig, body[:5, :2], 1.0)
    # Two cameras looking away from each other: their lines cross behind one of them.
    far = np.array([60.0, 0.0, 1.0]) + body[:5, :2]
    xy = np.stack([camera.project(far) for camera in rig.cameras])
    result = triangulate(rig, replace(seen, xy_px=xy))
    assert np.isnan(result.points.xyz).all()


@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_rig_sensitivity_equals_finite_differences(make_ring, see, body, sigma):
    rng = np.random.default_rng(17)
    rig = make_ring(4, models=("brown5", "fisheye"))
    seen = with_noise(see(rig, body[:6, :4], 1.0), rng, sigma, miss=0.1)
    result = triangulate(rig, seen)
    by_rig = result.rig_sensitivity(rig)
    assert by_rig.shape == (6, 4, 3, len(rig.cov))
    for q in range(len(rig.cov)):
        step = np.zeros(len(rig.cov))
        # Intrinsics in px need larger steps than angles.
        step[q] = 1e-5
        ends = [
            triangulate(rig.perturbed(s * step), seen, robust=False).points.xyz for s in (1, -1)
        ]
        numeric = (ends[0] - ends[1]) / 2e-5
        known = np.isfinite(result.points.xyz[..., 0])
        scale = np.abs(numeric[known]).max() + 1e-4
        tolerance = 1e-4 if sigma == 0 else 5e-2
        assert np.abs(by_rig[..., q] - numeric)[known].max() < tolerance * scale, q


def test_rig_error_travels_as_drawn(make_ring, see, body):
    """The linearised rig error equals the scatter of reconstructions with drawn rigs."""
    rng = np.random.default_rng(19)
    rig = make_ring(4)
    sizes = np.tile([2e-4] * 3 + [5e-4] * 3 + [0.5] * 4 + [0.0] * 4, 4)
    rig = replace(rig, cov=np.diag(sizes**2))
    seen = see(rig, body[:2, :3], 1.0)
    by_rig = triangulate(rig, seen).rig_sensitivity(rig)
    predicted = np.einsum("tkiq,q->tki", by_rig**2, sizes**2)
    draws = np.array(
        [
            triangulate(rig.perturbed(d), seen, robust=False).points.xyz - body[:2, :3]
            for d in rig.draw(rng, 400)
        ]
    )
    assert np.abs((draws**2).mean(0) / predicted - 1).max() < 5 * np.sqrt(2 / 400)


def test_a_turned_lab_gives_turned_points(make_ring, see, body):
    from lab.pose import Pose

    rng = np.random.default_rng(23)
    rig = make_ring(4, models=("brown5",))
    seen = with_noise(see(rig, body[:20], 2.25), rng, 1.5)
    lab_from_new = Pose.from_rotvec([0.1, -0.2, 1.3], [0.4, -1.0, 0.2])
    turned = replace(
        rig,
        cameras=tuple(replace(c, cam_from_lab=c.cam_from_lab @ lab_from_new) for c in rig.cameras),
    )
    points = triangulate(rig, seen).points.xyz
    assert np.allclose(
        lab_from_new.transform(triangulate(turned, seen).points.xyz), points, atol=1e-8
    )


def test_same_input_same_bytes(make_ring, see, body):
    rig = make_ring(5)
    seen = with_noise(see(rig, body[:50]), np.random.default_rng(29), 2.0, miss=0.1)
    first, second = triangulate(rig, seen), triangulate(rig, seen)
    assert first.points.xyz.tobytes() == second.points.xyz.tobytes()
    assert first.points.cov.tobytes() == second.points.cov.tobytes()


def test_a_camera_that_the_rig_lacks_is_named(make_ring, see, body):
    seen = replace(see(make_ring(3), body), cameras=("cam01", "cam02", "elsewhere"))
    with pytest.raises(LabError, match=r"keypoints of elsewhere.*cam01, cam02, cam03"):
        triangulate(make_ring(3), seen)


def test_a_weak_pair_does_not_decide(make_ring, see):
    """On the line between two facing cameras a third, wrong, is as good as the fourth, right."""
    rig = make_ring(4)
    rng = np.random.default_rng(37)
    middle = (rig.cameras[0].centre + rig.cameras[2].centre) / 2
    along = rig.cameras[2].centre - rig.cameras[0].centre
    truth = np.tile(middle, (50, 1, 1)) + 0.1 * rng.normal(size=(50, 1, 1)) * along / 8
    xy = see(rig, truth, 1.0).xy_px.copy()
    xy[1] = rig.cameras[1].project(truth + 0.3 * along / 8)
    seen = replace(see(rig, truth, 1.0), xy_px=xy + rng.normal(0, 1, xy.shape))
    result = triangulate(rig, seen)
    assert np.isnan(result.points.xyz[..., 0]).mean() > 0.9
