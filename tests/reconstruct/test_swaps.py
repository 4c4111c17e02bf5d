"""Left taken for right is found over views and time, and exchanged back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reconstruct.swaps import exchange_columns, partners
from reconstruct.triangulate import triangulate

NAMES = tuple(f"{side}_{j}" for j in range(6) for side in ("left", "right"))


def noisy(see, rig, body, rng):
    seen = replace(see(rig, body, 2.25), names=NAMES)
    return replace(seen, xy_px=seen.xy_px + rng.normal(0, 1.5, seen.xy_px.shape))


def exchanged(seen, which):
    order = exchange_columns(seen.names)
    return replace(seen, xy_px=np.where(which[..., None], seen.xy_px[:, :, order], seen.xy_px))


def test_partners_are_columns_of_the_same_joint():
    names = ("nose", "right_hip", "left_hip", "left_eye")
    assert partners(names) == ((2, 1),)
    assert exchange_columns(names).tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize("swapped_cameras", [[1], [1, 2]])
@pytest.mark.parametrize("length", [1, 4, 10])
def test_swaps_are_found_and_exchanged_back(make_ring, see, body, swapped_cameras, length):
    rng = np.random.default_rng(41)
    rig = make_ring(4)
    seen = noisy(see, rig, body, rng)
    which = np.zeros(seen.score.shape, bool)
    which[np.ix_(swapped_cameras, range(60, 60 + length), range(4))] = True
    result = triangulate(rig, exchanged(seen, which))
    clean = triangulate(rig, seen)
    assert not clean.swapped.any()
    assert (result.swapped == which).all()
    # Nothing of the exchange is left: the points are those of the clean views.
    both = np.isfinite(result.points.xyz[..., 0]) & np.isfinite(clean.points.xyz[..., 0])
    assert both.mean() > 0.995
    assert np.allclose(result.points.xyz[both], clean.points.xyz[both], rtol=0, atol=1e-12)


def test_gross_errors_are_not_taken_for_swaps(make_ring, see, body):
    rng = np.random.default_rng(43)
    rig = make_ring(5)
    seen = noisy(see, rig, body, rng)
    wrong = rng.random(seen.score.shape) < 0.05
    anywhere = rng.uniform([0, 0], [1920, 1080], seen.xy_px.shape)
    result = triangulate(rig, replace(seen, xy_px=np.where(wrong[..., None], anywhere, seen.xy_px)))
    assert result.swapped.sum() <= 2


def test_half_of_the_cameras_against_the_other_half_throughout_is_withheld(make_ring, see, body):
    rig = make_ring(4)
    seen = noisy(see, rig, body, np.random.default_rng(47))
    which = np.zeros(seen.score.shape, bool)
    which[:2, :, :2] = True
    result = triangulate(rig, exchanged(seen, which))
    assert np.isnan(result.points.xyz[:, :2]).all(-1).mean() > 0.95
    assert np.isfinite(result.points.xyz[:, 2:]).all()
    assert result.withheld["left and right cannot be told apart"] > 300


def test_one_joint_on_its_partners_place_is_never_a_point_between(make_ring, see, body):
    """In a ring of four, two cameras that face each other do not tell which third is right."""
    rig = make_ring(4)
    level = body * [1, 1, 0] + [0, 0, 1.6]
    seen = noisy(see, rig, level, np.random.default_rng(53))
    clean = triangulate(rig, seen)
    wrong = np.zeros(seen.score.shape, bool)
    wrong[0, 20:220:10, 0] = True
    wrong[1, 25:225:10, 3] = True
    xy = np.where(wrong[..., None], seen.xy_px[:, :, exchange_columns(NAMES)], seen.xy_px)
    result = triangulate(rig, replace(seen, xy_px=xy))
    away = np.linalg.norm(result.points.xyz - clean.points.xyz, axis=-1)
    assert not (away[np.isfinite(away)] > 0.03).any()
    # Most of them stand on the three that are right.
    hit = wrong.any(0)
    assert np.isfinite(away[hit]).mean() > 0.8
    assert result.rejected[wrong].mean() > 0.5


def test_a_place_to_which_a_joint_cannot_have_moved_is_withheld(make_ring, see, body):
    rig = make_ring(4)
    seen = noisy(see, rig, body, np.random.default_rng(59))
    at = np.arange(30, 200, 17)
    xy = seen.xy_px.copy()
    # Two of three views show the other shoulder, and they agree with the third.
    ghost = exchange_columns(NAMES)[0]
    xy[2, at, 0] = np.nan
    xy[[1, 3], at[:, None], 0] = xy[[1, 3], at[:, None], ghost]
    result = triangulate(rig, replace(seen, xy_px=xy))
    clean = triangulate(rig, seen)
    away = np.linalg.norm(result.points.xyz - clean.points.xyz, axis=-1)[at, 0]
    assert not (away[np.isfinite(away)] > 0.1).any()
