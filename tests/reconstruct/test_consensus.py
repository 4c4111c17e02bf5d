"""What a view says of the others, and what the others say of it."""

from __future__ import annotations

import numpy as np
import pytest

from reconstruct.gates import foretell
from reconstruct.likeliest import solve
from reconstruct.optics import middle_of, pack, unbend
from reconstruct.optics import see as look
from reconstruct.sightlines import take_sightlines


def distances(s, camera, estimate, inside):
    middle = middle_of(s.cameras)
    return np.array(
        [
            foretell(s.packed, s.xy_px, s.information, camera, i, inside, (*(xyz - middle), *cov))[
                0
            ]
            for i, (xyz, cov) in enumerate(zip(estimate.xyz, estimate.cov, strict=True))
        ]
    )


def test_a_view_inside_is_judged_as_if_it_had_been_left_out(make_ring, see, body):
    rng = np.random.default_rng(31)
    rig = make_ring(5, models=("brown5",))
    seen = see(rig, body)
    xy = (seen.xy_px + rng.normal(0, 1.5, seen.xy_px.shape)).reshape(5, -1, 2)
    s = take_sightlines(rig.cameras, xy)
    s = s.weighted(np.broadcast_to([1 / 2.25, 0, 1 / 2.25], (*s.seen.shape, 3)))
    without = s.seen.copy()
    without[2] = False
    inside = distances(s, 2, solve(s, s.seen), True)
    outside = distances(s, 2, solve(s, without), False)
    # The two are the same but for the curvature of the projection.
    assert np.median(np.abs(inside / outside - 1)) < 0.01
    # Chi-squared with two degrees of freedom.
    assert abs(inside.mean() - 2) < 5 * 2 / np.sqrt(len(inside))


@pytest.mark.parametrize("model", ["brown4", "brown5", "brown8", "fisheye"])
def test_the_compiled_camera_is_the_camera(make_ring, body, model):
    rig = make_ring(3, models=(model,))
    packed, middle = pack(rig.cameras), middle_of(rig.cameras)
    for camera, row in zip(rig.cameras, packed, strict=True):
        for point in body[:20, 0]:
            whole = camera.project_with_jacobians(point)
            found = look(row, *(point - middle))
            assert np.allclose(found[:2], whole.xy_px, rtol=0, atol=1e-9)
            assert np.allclose(np.reshape(found[2:], (2, 3)), whole.by_point, rtol=1e-9, atol=1e-8)
            u, v, good = unbend(row, *whole.xy_px)
            in_camera = camera.cam_from_lab.transform(point)
            assert good
            assert np.allclose([u, v], in_camera[:2] / in_camera[2], rtol=0, atol=1e-12)
        assert np.isnan(look(row, *(camera.centre - middle - camera.cam_from_lab.rotation[2]))[0])


def test_pixels_beyond_the_fold_of_a_lens_are_not_seen(make_ring):
    rig = make_ring(3, models=("brown5",))
    # Where r (1 - 0.21 r^2 + 0.08 r^4 - 0.01 r^6) has no more radius to give.
    far = np.array([[[960.0 + 1e5, 540.0], [960.0, 540.0]]] * 3)
    s = take_sightlines(rig.cameras, far)
    assert not s.seen[:, 0].any()
    assert s.seen[:, 1].all()
