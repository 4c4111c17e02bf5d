"""A pelvis does not turn by a right angle for a few frames, though all views agree that it does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reconstruct.partner_line import partner_line
from reconstruct.swaps import exchange_columns
from reconstruct.triangulate import triangulate

T = np.arange(200) / 100
NAMES = ("left_hip", "right_hip")


def pelvis(turn_rad_s=0.0):
    """Both hips (T, 2, 3) m of a pelvis that sways, 0.2 m wide, and turns."""
    angle = np.pi / 2 + turn_rad_s * T + 0.1 * np.sin(9 * T)
    axis = 0.1 * np.stack([np.cos(angle), np.sin(angle), 0.05 * np.sin(9 * T)], -1)
    middle = np.stack([0.6 * T - 0.6, 0.03 * np.sin(9 * T), 0.95 + 0.02 * np.cos(18 * T)], -1)
    return np.stack([middle + axis, middle - axis], axis=1)


def hips_exchanged(make_ring, see, seed, length):
    """Return what comes of nine exchanges, by turns in either two cameras that face each other."""
    rig, truth = make_ring(4), pelvis()
    seen = replace(see(rig, truth, 9.0), names=NAMES)
    rng = np.random.default_rng(seed)
    seen = replace(seen, xy_px=seen.xy_px + rng.normal(0, 3.0, seen.xy_px.shape))
    which = np.zeros(seen.score.shape, bool)
    for i, start in enumerate(range(10, 190, 20)):
        which[np.ix_((i % 2, i % 2 + 2), range(start, start + length), [0, 1])] = True
    order = exchange_columns(NAMES)
    wrong = replace(seen, xy_px=np.where(which[..., None], seen.xy_px[:, :, order], seen.xy_px))
    result = triangulate(rig, wrong)
    return np.linalg.norm(result.points.xyz - truth, axis=-1), result.swapped, which


@pytest.mark.parametrize("length", [1, 3, 6])
def test_hips_exchanged_in_two_cameras_that_face_each_other(make_ring, see, length):
    for seed in range(4):
        error, swapped, which = hips_exchanged(make_ring, see, seed, length)
        assert np.nanmax(error) < 0.04
        assert np.isnan(error).mean() < 0.02
        assert (swapped == which).mean() > 0.98


def test_the_line_is_the_median_of_the_neighbours():
    rng = np.random.default_rng(2)
    places = pelvis(1.0) + rng.normal(0, 0.004, (200, 2, 3))
    places[rng.random(200) < 0.2] = np.nan
    line = places[:, 0] - places[:, 1]
    found = partner_line(T, places)
    for i in (0, 30, 100, 199):
        around = line[max(i - 60, 0) : i + 61]
        assert np.allclose(found.usual[i], np.nanmedian(around, axis=0))
    assert 0.004 < found.spread < 0.04
    cost = found.cost(places[:, None])[:, 0]
    assert np.median(cost) < 4
    turned = places[:, ::-1]
    assert (found.cost(turned[:, None])[~np.isnan(line[:, 0])] > 40).mean() > 0.95
    assert (found.cost(places[:, None])[np.isnan(line[:, 0])] == 0).all()


def test_feet_that_swing_have_no_line_to_hold_them_to():
    swing = 0.4 * np.sin(9 * T)[:, None] * [1.0, 0, 0] + [0.0, 0.1, 0.0]
    places = np.stack([swing, -swing], axis=1)
    found = partner_line(T, places)
    assert np.isinf(found.spread)
    assert not found.cost(places[:, None]).any()


def test_too_few_frames_tell_nothing():
    assert not partner_line(T[:12], pelvis()[:12]).cost(pelvis()[:12, None]).any()
