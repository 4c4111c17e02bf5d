"""Whether two sights can meet, against the misfit of the most likely point of the two."""

from __future__ import annotations

import numpy as np
import pytest

from reconstruct.gates import misfit
from reconstruct.likeliest import solve
from reconstruct.optics import middle_of
from reconstruct.pairs import can_meet, pair_cameras, without_lenses
from reconstruct.sightlines import take_sightlines

SIGMA_PX = 1.5


def two_views(rig, xy_px, k, m):
    """Return the sightlines, the pair's essential matrix and the misfit of each point of two."""
    s = take_sightlines(rig.cameras, xy_px)
    wide = np.array([1.0, 0.3, 0.6]) / SIGMA_PX**2
    s = s.weighted(np.broadcast_to(wide, (*s.seen.shape, 3)))
    numbers, essential = pair_cameras(s.packed)
    which = int(np.flatnonzero((numbers == (k, m)).all(1))[0])
    used = np.zeros_like(s.seen)
    used[[k, m]] = True
    at = solve(s, used)
    xyz = at.xyz - middle_of(s.cameras)
    total = [
        misfit(s.packed, s.xy_px, s.information, used[:, i], i, (*xyz[i], *at.cov[i]))
        for i in range(len(xyz))
    ]
    return s, essential[which], np.array(total)


def meetings(s, essential, k, m):
    spread = np.zeros((len(s.cameras), 3))
    result = []
    for i in range(s.seen.shape[1]):
        without_lenses(s.packed, s.xy, s.information, s.seen[:, i], i, spread)
        result.append(can_meet(essential, s.xy, spread, k, m, i))
    return np.array(result)


@pytest.mark.parametrize("model", ["brown4", "brown8", "fisheye"])
def test_sights_meet_where_the_misfit_of_their_point_says_so(make_ring, see, body, model):
    rng = np.random.default_rng(8)
    rig = make_ring(4, models=(model,))
    xy = see(rig, body).xy_px.reshape(4, -1, 2)[:, :400]
    # From right to wrong by far: the misfits lie on both sides of the gate.
    off = rng.normal(0, 1, xy.shape) * np.geomspace(1, 60, xy.shape[1])[:, None]
    s, essential, total = two_views(rig, xy + off, 0, 1)
    meets = meetings(s, essential, 0, 1)
    # The gate is twice that of a pair: nothing that passes there may be turned away here.
    assert meets[total < 30].all()
    assert not meets[total > 80].any()
    assert (total < 30).sum() > 50
    assert (total > 80).sum() > 50


def test_pairs_that_see_depth_are_asked_first(make_ring):
    rig = make_ring(4)
    numbers, _ = pair_cameras(take_sightlines(rig.cameras, np.zeros((4, 1, 2))).packed)
    # Of four in a ring the neighbours stand square, the two pairs across face each other.
    assert sorted(map(tuple, numbers[-2:].tolist())) == [(0, 2), (1, 3)]
