"""What a view says of the others, and what the others say of it."""

from __future__ import annotations

import numpy as np

from reconstruct.consensus import foretell
from reconstruct.sightlines import solve, take_sightlines


def test_a_view_inside_is_judged_as_if_it_had_been_left_out(make_ring, see, body):
    rng = np.random.default_rng(31)
    rig = make_ring(5, models=("brown5",))
    seen = see(rig, body)
    xy = (seen.xy_px + rng.normal(0, 1.5, seen.xy_px.shape)).reshape(5, -1, 2)
    s = take_sightlines(rig.cameras, xy)
    s = s.weighted(np.broadcast_to([1 / 2.25, 0, 1 / 2.25], (*s.seen.shape, 3)))
    without = s.seen.copy()
    without[2] = False
    inside = foretell(s, 2, solve(s, s.seen), s.seen[2])
    outside = foretell(s, 2, solve(s, without), without[2])
    # The two are the same but for the curvature of the projection.
    assert np.median(np.abs(inside.distance / outside.distance - 1)) < 0.01
    # Chi-squared with two degrees of freedom.
    assert abs(inside.distance.mean() - 2) < 5 * 2 / np.sqrt(len(inside.distance))
