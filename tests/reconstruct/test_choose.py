"""Two simulated people: the right one is followed in every camera, or the choice is refused."""

from __future__ import annotations

import numpy as np
import pytest

from lab.errors import LabError
from lab.points import Keypoints2D, Points3D
from reconstruct.associate import align
from reconstruct.choose import Click, choose_person
from reconstruct.people import People2D
from reconstruct.triangulate import triangulate


@pytest.fixture
def rig(make_ring):
    return make_ring(4)


def shifted(body, x, y, seed=0):
    """Another build of the same body, moved on the floor."""
    rng = np.random.default_rng(seed)
    return body * [1, 1, 1 + 0.05 * rng.standard_normal()] + [x, y, 0]


def filmed(rig, bodies, seed=1, noise_px=1.5):
    """What each camera sees of bodies (T, K, 3) m, in an order that changes from frame to frame."""
    rng = np.random.default_rng(seed)
    names = tuple(f"p{k}" for k in range(bodies[0].shape[1]))
    t = np.arange(len(bodies[0])) / 100
    seen, order = [], []
    for camera in rig.cameras:
        xy = np.stack([camera.project(b) for b in bodies], axis=1)
        xy = xy + noise_px * rng.standard_normal(xy.shape)
        which = rng.permuted(np.tile(np.arange(len(bodies)), (len(t), 1)), axis=1)
        xy = np.take_along_axis(xy, which[..., None, None], axis=1)
        score = np.ones(xy.shape[:-1])
        cov = np.broadcast_to(np.eye(2), (*score.shape, 2, 2))
        seen.append(People2D(camera.name, names, t, xy, cov, score))
        order.append(which)
    return seen, order


def worst(chosen, rig, body):
    return max(
        float(np.nanmax(np.abs(k.xy_px - c.project(body))))
        for k, c in zip(chosen, rig.cameras, strict=True)
    )


def share(chosen):
    return min(float(np.isfinite(k.xy_px).mean()) for k in chosen)


def test_the_one_in_the_middle_is_followed(rig, body):
    other = shifted(body, 1.1, 0.6)
    people, _ = filmed(rig, [body, other])
    chosen = choose_person(rig, people)
    assert worst(chosen, rig, body) < 10
    assert share(chosen) > 0.98
    points = triangulate(rig, align(chosen)).points
    assert np.nanmax(np.linalg.norm(points.xyz - body, axis=-1)) < 0.03


def test_a_place_on_the_floor_or_a_click_chooses_the_other(rig, body):
    other = shifted(body, 1.1, 0.6)
    people, order = filmed(rig, [body, other])
    chosen = choose_person(rig, people, near_m=(1.4, 0.8))
    assert worst(chosen, rig, other) < 10
    frame = 73
    person = int(np.flatnonzero(order[2][frame] == 1)[0])
    x, y = people[2].xy_px[frame, person, 4]
    click = Click(people[2].camera, frame / 100, float(x) + 3, float(y) - 2)
    by_click = choose_person(rig, people, click=click)
    assert worst(by_click, rig, other) < 10
    assert share(by_click) > 0.98


def test_people_who_walk_past_each_other_are_not_exchanged(rig, body):
    t = np.linspace(-1, 1, len(body))[:, None, None]
    rest = body - body.mean((0, 1)) * [1, 1, 0]
    one = rest + t * [1.2, 0, 0]
    other = shifted(rest[::-1], 0, 0.6) - t * [1.2, 0, 0]
    people, _ = filmed(rig, [one, other])
    chosen = choose_person(rig, people, near_m=(0.0, 0.0))
    assert worst(chosen, rig, one) < 10


def test_two_who_are_equally_near_are_refused_with_what_to_write(rig, body):
    middle = body - body.mean((0, 1)) * [1, 1, 0]
    people, _ = filmed(rig, [shifted(middle, 0.5, 0), shifted(middle, -0.5, 0.0, 1)])
    with pytest.raises(LabError, match="equally near") as caught:
        choose_person(rig, people, near_m=(0.0, 0.0))
    assert "[person]" in caught.value.remedy


def test_a_click_beside_everybody_or_in_another_camera(rig, body):
    people, _ = filmed(rig, [body, shifted(body, 1.1, 0.6)])
    with pytest.raises(LabError, match="meets nobody"):
        choose_person(rig, people, click=Click("cam01", 0.5, 5.0, 5.0))
    with pytest.raises(LabError, match="meets nobody"):
        choose_person(rig, people, click=Click("cam01", 50.0, 960.0, 540.0))
    with pytest.raises(LabError, match="the videos are of cam01"):
        choose_person(rig, people, click=Click("cam09", 0.5, 960.0, 540.0))


def test_who_is_seen_by_one_camera_only_cannot_be_chosen(rig, body):
    people, _ = filmed(rig, [body, shifted(body, 1.1, 0.6)])
    blind = [people[0]]
    for p in people[1:]:
        nothing = np.full_like(p.xy_px, np.nan)
        blind.append(People2D(p.camera, p.names, p.t, nothing, p.cov_px, p.score))
    with pytest.raises(LabError, match="nobody was seen by two cameras"):
        choose_person(rig, blind)


def test_one_person_is_taken_as_seen(rig, body):
    people, _ = filmed(rig, [body])
    for before, after in zip(people, choose_person(rig, people), strict=True):
        assert np.array_equal(before.xy_px[:, 0], after.xy_px)


def test_sizes_of_a_network_s_covariances_come_from_residuals(rig, body):
    rng = np.random.default_rng(4)
    true = np.array([1.0, 2.0, 3.0, 1.5])
    seen = []
    for camera, sigma in zip(rig.cameras, true, strict=True):
        blur = rng.choice([0.5, 1.0, 3.0], body.shape[:2])
        xy = camera.project(body) + sigma * blur[..., None] * rng.standard_normal((*blur.shape, 2))
        # It tells sharp from blurred, and is ten times too sure.
        cov = (0.1 * blur)[..., None, None] ** 2 * np.eye(2)
        names = tuple(f"p{k}" for k in range(body.shape[1]))
        t = np.arange(len(body)) / 100
        seen.append(Keypoints2D(camera.name, names, t, xy, cov, np.ones(blur.shape)))
    aligned = align(seen)
    result = triangulate(rig, aligned, rescale=True)
    assert result.chi2_per_dof == pytest.approx(1, abs=0.08)
    used = result.information_px[..., 0] > 0
    sigma = np.where(used, result.information_px[..., 0], np.nan) ** -0.5
    given = np.sqrt(aligned.cov_px[..., 0, 0])
    factor = np.nanmedian(sigma / given, axis=(1, 2))
    assert factor == pytest.approx(10 * true, rel=0.12)
    # Weighted by what it tells, points are better than with one size for a camera and joint.
    blunt = align(
        [
            Keypoints2D(k.camera, k.names, k.t, k.xy_px, np.full_like(k.cov_px, np.nan), k.score)
            for k in seen
        ]
    )

    def error(points: Points3D) -> float:
        return float(np.sqrt(np.nanmean((points.xyz - body) ** 2)))

    assert error(result.points) < 0.85 * error(triangulate(rig, blunt).points)
