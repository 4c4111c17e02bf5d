"""The smoother: a linear operator, exact where it must be, with the covariance of what it gives."""

from __future__ import annotations

import numpy as np
import pytest

from lab.points import Points3D
from reconstruct.persistence import Persistence
from reconstruct.smooth import Smoother

T = np.arange(300) / 100
NAMES = ("knee", "ankle")


def movement(t):
    """Paths (T, 2, 3) m with the frequencies of gait."""
    phase = np.arange(6).reshape(2, 3)
    w = 2 * np.pi * 1.4 * np.asarray(t)[:, None, None]
    return 0.3 * np.sin(w + phase) + 0.05 * np.sin(3 * w + 2 * phase)


def covariances(rng, n, sigma):
    a = rng.normal(size=(n, 2, 3, 3))
    return sigma**2 * (0.5 * np.eye(3) + 0.2 * a @ a.swapaxes(-1, -2))


def noisy(rng, xyz, cov):
    noise = np.linalg.cholesky(cov) @ rng.normal(size=(*xyz.shape, 1))
    return xyz + noise[..., 0]


@pytest.fixture
def recording():
    rng = np.random.default_rng(1)
    cov = covariances(rng, len(T), 0.003)
    return Points3D(NAMES, T, noisy(rng, movement(T), cov), cov)


@pytest.mark.parametrize("known", [True, False])
def test_a_quadratic_passes_unchanged(recording, known):
    rng = np.random.default_rng(2)
    t = np.sort(T + rng.uniform(-0.004, 0.004, len(T)))
    xyz = np.broadcast_to(np.stack([1 + 0 * t, 2 - 3 * t, t**2], -1)[:, None], (len(t), 2, 3))
    xyz = xyz.copy()
    xyz[50:55, 0] = np.nan
    cov = recording.cov if known else np.full_like(recording.cov, np.nan)
    smoother = Smoother(Points3D(NAMES, t, xyz, cov))
    full = np.stack([1 + 0 * t, 2 - 3 * t, t**2], -1)[:, None]
    assert np.abs(smoother.points.xyz - full).max() < 1e-9


def test_smoothing_helps_and_the_gap_of_a_few_frames_is_bridged(recording):
    xyz = recording.xyz.copy()
    xyz[100:105, 0] = np.nan
    smooth = Smoother(Points3D(NAMES, T, xyz, recording.cov)).points
    truth = movement(T)
    rms = np.sqrt(np.mean((smooth.xyz - truth) ** 2))
    assert rms < 0.75 * np.sqrt(np.nanmean((xyz - truth) ** 2))
    bridged = np.abs(smooth.xyz - truth)[100:105, 0].max()
    assert bridged < 4 * np.sqrt(smooth.cov[102, 0].max())
    # A bridge is less certain than what was seen.
    assert np.trace(smooth.cov[102, 0]) > 2 * np.trace(smooth.cov[130, 0])


def test_long_gaps_part_the_recording(recording):
    xyz = recording.xyz.copy()
    xyz[100:120, 0] = np.nan  # 0.21 s from frame to frame
    xyz[:3, 0] = np.nan
    xyz[290:, 0] = np.nan
    smooth = Smoother(Points3D(NAMES, T, xyz, recording.cov)).points
    known = np.isfinite(smooth.xyz[:, 0, 0])
    assert np.flatnonzero(~known).tolist() == [0, 1, 2, *range(100, 120), *range(290, 300)]
    assert np.isnan(smooth.cov[~known, 0]).all()
    # What happens after a long gap changes nothing before it.
    other = xyz.copy()
    other[120:, 0] += 1.0
    smoother = Smoother(Points3D(NAMES, T, xyz, recording.cov))
    moved = smoother.apply(np.stack([xyz, other]))
    assert np.array_equal(moved[0, :100, 0], moved[1, :100, 0], equal_nan=True)
    assert np.abs(moved[1, 120:290, 0] - moved[0, 120:290, 0] - 1).max() < 1e-9


@pytest.mark.parametrize(("missing", "bridged"), [(9, True), (10, False)])
def test_the_limit_runs_from_frame_seen_to_frame_seen(recording, missing, bridged):
    xyz = recording.xyz.copy()
    xyz[100 : 100 + missing, 1] = np.nan
    smooth = Smoother(Points3D(NAMES, T, xyz, recording.cov), max_gap_s=0.1).points
    assert np.isfinite(smooth.xyz[100 : 100 + missing, 1]).all() == bridged


def test_scraps_are_left_out_and_an_empty_point_stays_empty(recording):
    xyz = np.full_like(recording.xyz, np.nan)
    xyz[10:14, 0] = recording.xyz[10:14, 0]
    xyz[100:200, 0] = recording.xyz[100:200, 0]
    smoother = Smoother(Points3D(NAMES, T, xyz, recording.cov))
    known = np.isfinite(smoother.points.xyz[..., 0])
    assert np.flatnonzero(known[:, 0]).tolist() == list(range(100, 200))
    assert not known[:, 1].any()
    assert np.isnan(smoother.cutoff_hz[1])


def test_apply_is_linear_and_the_same_for_every_replicate(recording):
    rng = np.random.default_rng(3)
    xyz = recording.xyz.copy()
    xyz[40:44, 1] = np.nan
    smoother = Smoother(Points3D(NAMES, T, xyz, recording.cov))
    replicates = xyz + rng.normal(0, 0.01, (5, *xyz.shape))
    together = smoother.apply(replicates)
    for one, alone in zip(together, replicates, strict=True):
        assert np.allclose(one, smoother.apply(alone[None])[0], atol=1e-13, equal_nan=True)
    mixed = smoother.apply(2 * replicates[:1] - 3 * replicates[1:2])
    assert np.allclose(mixed[0], 2 * together[0] - 3 * together[1], atol=1e-12)
    assert np.allclose(smoother.apply(xyz[None])[0], smoother.points.xyz, atol=1e-15)


def test_covariance_matches_scatter(recording):
    rng = np.random.default_rng(4)
    xyz = recording.xyz.copy()
    xyz[40:46, 1] = np.nan
    smoother = Smoother(Points3D(NAMES, T, xyz, recording.cov))
    cov = smoother.points.cov
    n = 600
    draws = noisy(rng, np.zeros((n, *xyz.shape)), recording.cov)
    scatter = smoother.apply(draws)
    # Chi-squared with three degrees of freedom for each draw and frame; a few dozen frames apart
    # they are independent.
    values = np.einsum("btki,tkij,btkj->btk", scatter, np.linalg.inv(cov), scatter)
    assert abs(values.mean() - 3) < 0.03
    per_frame = values.mean(0)
    assert np.abs(per_frame - 3).max() < 5 * np.sqrt(6 / n)


def test_covariance_equals_that_of_the_whole_operator(recording):
    short = Points3D(NAMES, T[:60], recording.xyz[:60], recording.cov[:60])
    smoother = Smoother(short)
    n = 180
    units = np.zeros((n, 60, 2, 3))
    units[np.arange(n), np.arange(n) // 3, 0, np.arange(n) % 3] = 1.0
    operator = smoother.apply(units)[:, :, 0].reshape(n, 60, 3)
    whole = np.zeros((60, 3, 3))
    for frame in range(60):
        part = operator[3 * frame : 3 * frame + 3]
        whole += np.einsum("bti,bc,ctj->tij", part, short.cov[frame, 0], part)
    assert np.allclose(smoother.points.cov[:, 0], whole, rtol=2e-3, atol=1e-12)


def test_unknown_noise_is_estimated():
    rng = np.random.default_rng(5)
    sigma = np.array([0.001, 0.004])
    xyz = movement(T) + rng.normal(size=(len(T), 2, 3)) * sigma[:, None]
    unknown = Smoother(Points3D(NAMES, T, xyz, np.full((len(T), 2, 3, 3), np.nan)))
    assert unknown.estimated.all()
    assert np.allclose(unknown.sigma, sigma, rtol=0.12)
    cov = sigma[:, None, None] ** 2 * np.broadcast_to(np.eye(3), (len(T), 2, 3, 3))
    known = Smoother(Points3D(NAMES, T, xyz, cov))
    assert not known.estimated.any()
    assert np.isnan(known.sigma).all()
    assert np.allclose(known.scale, 1, atol=0.25)
    assert np.allclose(known.points.xyz, unknown.points.xyz, atol=1e-6)
    # The noisier point is smoothed more.
    assert known.cutoff_hz[1] < known.cutoff_hz[0]


def test_noise_that_lasts_over_frames_is_not_smoothed_as_if_new(recording):
    """An error common to many frames leaves the trajectory smooth: the scale tells."""
    rng = np.random.default_rng(6)
    cov = np.broadcast_to(0.02**2 * np.eye(3), recording.cov.shape)
    xyz = movement(T) + 0.02 * np.sin(T)[:, None, None] + rng.normal(0, 0.001, recording.xyz.shape)
    smoother = Smoother(Points3D(NAMES, T, xyz, cov))
    assert (smoother.scale < 0.01).all()
    assert np.abs(smoother.points.xyz - movement(T) - 0.02 * np.sin(T)[:, None, None]).max() < 0.006


def test_uneven_times(recording):
    rng = np.random.default_rng(7)
    t = np.sort(T + rng.uniform(-0.003, 0.003, len(T)))
    smooth = Smoother(
        Points3D(NAMES, t, noisy(rng, movement(t), recording.cov), recording.cov)
    ).points
    error = smooth.xyz - movement(t)
    values = np.einsum("tki,tkij,tkj->tk", error, np.linalg.inv(smooth.cov), error)
    assert 2.5 < values.mean() < 3.6


def test_units_and_place_do_not_matter(recording):
    """A movement a thousand times as large a thousand metres off is smoothed alike."""
    first = Smoother(recording)
    second = Smoother(Points3D(NAMES, T, 1000 * recording.xyz + 1e6, 1e6 * recording.cov))
    assert np.allclose(first.cutoff_hz, second.cutoff_hz, rtol=1e-3)
    assert np.allclose((second.points.xyz - 1e6) / 1000, first.points.xyz, atol=1e-4)


def test_undersmoothing_scales_the_cut_off(recording):
    one, two = (Smoother(recording, undersmooth=u) for u in (0.5, 1.0))
    assert np.allclose(two.cutoff_hz / one.cutoff_hz, 2, rtol=0.05)


def test_the_cut_off_halves_an_oscillation():
    rng = np.random.default_rng(8)
    t = np.arange(600) / 100
    cov = np.broadcast_to(0.004**2 * np.eye(3), (600, 2, 3, 3))
    smoother = Smoother(Points3D(NAMES, t, noisy(rng, movement(t), cov), cov))
    wave = np.sin(2 * np.pi * smoother.cutoff_hz[0] * t)
    passed = smoother.apply(np.broadcast_to(wave[:, None, None], (1, 600, 2, 3)))[0, 200:400, 0, 0]
    assert np.sqrt(np.mean(passed**2) / np.mean(wave[200:400] ** 2)) == pytest.approx(0.5, abs=0.03)


def test_arguments_are_checked(recording):
    with pytest.raises(ValueError, match="order 2 or 3"):
        Smoother(recording, order=5)
    with pytest.raises(ValueError, match="expected"):
        Smoother(recording).apply(recording.xyz)


def test_same_input_same_bytes(recording):
    first, second = Smoother(recording).points, Smoother(recording).points
    assert first.xyz.tobytes() == second.xyz.tobytes()
    assert first.cov.tobytes() == second.cov.tobytes()


def test_neighbouring_frames_of_a_slow_recording_are_no_gap():
    rng = np.random.default_rng(9)
    t = np.arange(60) / 5
    xyz = np.cumsum(rng.normal(0, 0.01, (60, 2, 3)), axis=0)
    smooth = Smoother(Points3D(NAMES, t, xyz, np.full((60, 2, 3, 3), np.nan))).points
    assert np.isfinite(smooth.xyz).all()


@pytest.mark.parametrize("tau", [0.05, 0.3, np.inf])
def test_noise_that_lasts_is_smoothed_away_the_less(tau):
    rng = np.random.default_rng(12)
    cov = np.tile(1e-5 * np.diag([4.0, 1.0, 2.0]), (len(T), 1, 1, 1))
    lasting = Persistence(np.array([[0.7]]), np.array([tau]))
    xyz = noisy(rng, movement(T)[:, :1], cov)
    recording = Points3D(("left_knee",), T, xyz, cov)
    smoother = Smoother(recording, persistence=lasting)
    blind = Smoother(recording).points.cov[:, 0]
    noise = lasting.draw(rng, T, 0, 3000)[:, :, None] * np.sqrt(np.diagonal(cov[0, 0]))
    off = smoother.apply(noise)[:, :, 0]  # linear in what is smoothed
    seen = np.einsum("bti,bti->ti", off, off) / len(off)
    told = np.diagonal(smoother.points.cov[:, 0], axis1=1, axis2=2)
    assert np.allclose((seen / told).mean(0), 1, rtol=0, atol=0.1)
    assert np.abs(seen / told - 1).max() < 0.25
    assert (told.mean(0) > 1.3 * np.diagonal(blind, axis1=1, axis2=2).mean(0)).all()
