"""The instants of contact: exact on their own model, between the frames, and never shared."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.contact import fit_contacts
from analysis.corner import value_at_corner

T = np.arange(0, 5, 0.01)
SHAPES = {
    "foot_strike": ((1, 2, 3), [(-0.6, 0.05, -0.02), (-0.3, 0.11, 0.04)]),
    "foot_off": ((2, 3), [(0.65, 0.05), (0.7, -0.1)]),
}
CERTAIN = 1e-5


def feet(kind, instants, rng=None, noise=0.0):
    """Return a path (1, T, 2) m that is at rest on one side of each instant."""
    powers, shapes = SHAPES[kind]
    sign = 1.0 if kind == "foot_strike" else -1.0
    path = np.full((len(T), 2), np.nan)
    for number, instant in enumerate(instants):
        inside = np.abs(T - instant) < 0.12
        away = np.clip(sign * (instant - T[inside]), 0, None) / 0.05
        for d, shape in enumerate(shapes):
            basis = sum(0.05 * c * away**p for c, p in zip(shape, powers, strict=True))
            path[inside, d] = 0.3 * number + basis
    if rng is not None:
        path = path + rng.normal(0, noise, path.shape)
    return path[None]


@pytest.mark.parametrize("kind", SHAPES)
def test_exact_feet_give_the_exact_instants_between_the_frames(kind):
    instants = np.array([0.5037, 1.2211, 1.9193, 2.64, 3.3589])
    start = instants + np.array([0.012, -0.009, 0.004, 0.015, -0.015])
    variance = np.full((len(T), 2), 1e-10)
    fit = fit_contacts(kind, T, feet(kind, instants), variance, start)
    np.testing.assert_allclose(fit.t[0], instants, atol=CERTAIN)
    assert fit.chi2 < 1e-4


@pytest.mark.parametrize("kind", SHAPES)
def test_sigma_is_the_scatter_of_repeated_noise(kind):
    rng = np.random.default_rng(5)
    instants = np.arange(0.5, 4.6, 0.37) + rng.uniform(0, 0.01, 12)
    variance = np.full((len(T), 2), 1e-6)
    z = []
    for _ in range(25):
        near = instants + rng.uniform(-0.008, 0.008, len(instants))
        fit = fit_contacts(kind, T, feet(kind, instants, rng, 1e-3), variance, near)
        z.extend((fit.t[0] - instants) / fit.sigma)
    assert 0.8 < np.std(z) < 1.25
    assert abs(np.mean(z)) < 0.3


def test_replicates_follow_the_derivative_of_the_fit():
    instants = np.array([0.5037, 1.2211, 1.9193, 2.6441])
    path = feet("foot_strike", instants)
    moved = np.concatenate(
        [path, path + 2e-5 * np.array([0, 1]) * (np.arange(len(T)) % 7)[:, None]]
    )
    variance = np.full((len(T), 2), 1e-8)
    both = fit_contacts("foot_strike", T, moved, variance, instants)
    alone = fit_contacts("foot_strike", T, moved[1:], variance, instants)
    shift = both.t[1] - both.t[0]
    assert np.abs(shift).max() > 1e-5
    np.testing.assert_allclose(shift, alone.t[0] - both.t[0], atol=0.05 * np.abs(shift).max())


def test_a_replicate_that_is_moved_far_is_fitted_and_not_extrapolated():
    """The derivative makes 77 ms of a foot that leaves 30 ms earlier, and 142 of 45."""
    instants = np.array([0.5037, 1.2211, 1.9193, 2.6441, 3.35])
    earlier = np.array([0.0, 0.030, 0.045])
    path = np.concatenate([feet("foot_off", instants - e) for e in earlier])
    fit = fit_contacts("foot_off", T, np.nan_to_num(path), np.full((len(T), 2), 1e-6), instants)
    np.testing.assert_allclose(fit.t, instants - earlier[:, None], atol=1e-3)


def test_a_stride_that_is_hardly_seen_has_no_instant():
    instants = np.array([0.5037, 1.2211, 1.9193])
    path = feet("foot_strike", instants)
    path[0, (T > 1.13) & (T < 1.25)] = np.nan
    fit = fit_contacts("foot_strike", T, path, np.full((len(T), 2), 1e-8), instants)
    assert np.isnan(fit.t[0, 1])
    np.testing.assert_allclose(fit.t[0, [0, 2]], instants[[0, 2]], atol=CERTAIN)


@pytest.mark.parametrize("kind", SHAPES)
def test_sigma_holds_where_the_fit_is_far_from_linear(kind):
    """With noise that leaves many milliseconds open, the fit's own covariance is too small."""
    rng = np.random.default_rng(7)
    instants = np.arange(0.5, 4.6, 1.0)
    z = []
    for _ in range(60):
        path = feet(kind, instants, rng, 8e-3)
        near = instants + rng.uniform(-0.01, 0.01)
        fit = fit_contacts(kind, T, path, np.full((len(T), 2), 64e-6), near)
        z.append((fit.t[0] - instants).mean() / fit.sigma.mean())
    assert np.mean(np.square(z)) < 1.6
    assert np.mean(np.abs(z) > 1.96) <= 0.15


def test_a_value_is_read_at_a_corner_without_rounding_it():
    corner = 2.0033
    curve = 0.4 + 1.5 * (T - corner) + np.where(corner < T, -2.5 * (T - corner), 0.0)
    read = value_at_corner(T, curve[None, :, None], np.array([[corner]]))
    assert read[0, 0, 0] == pytest.approx(0.4, abs=1e-9)
    assert np.isnan(value_at_corner(T, curve[None, :, None], np.array([[0.0]]))).all()


def test_an_instant_that_nothing_shows_is_missing_and_not_certain():
    rng = np.random.default_rng(5)
    instants = np.arange(0.5, 4.6, 0.37)
    weak = feet("foot_off", instants) * 0.05
    for _ in range(20):
        path = weak + rng.normal(0, 2e-3, weak.shape)
        fit = fit_contacts("foot_off", T, path, np.full((len(T), 2), 4e-6), instants)
        known = np.isfinite(fit.t[0])
        assert (fit.sigma[known] > 1e-3).all()
        assert np.isnan(fit.sigma[~known]).all()


def test_each_replicate_has_the_samples_around_its_own_corner():
    t = np.arange(100) / 100
    corners = np.array([0.5, 0.56, 0.44])
    curves = np.abs(t - corners[:, None])[..., None]
    curves[1, (t > 0.57) & (t < 0.61)] = np.nan
    value = value_at_corner(t, curves, corners[:, None])[:, 0]
    np.testing.assert_allclose(value[[0, 2]], 0, atol=1e-9)
    assert np.isnan(value[1]).all()
