"""The body's driving curves: smooth, band-limited functions of the phase of the stride."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.interpolate import BSpline, make_interp_spline

from lab.checks import FloatArray
from simulation.gait_style import Style

# (harmonic of the stride, amplitude, phase in rad) of sums of a cos(2 pi h phi + p), the phase phi
# being 0 at left foot strike and 0.5 at right foot strike. Shapes follow what is usual in adults:
# sum over odd harmonics where left and right take turns, even ones where both do the same.
_Shape = tuple[tuple[int, float, float], ...]
_SHAPES: dict[str, dict[str, _Shape]] = {
    "walk": {
        "obliquity": ((1, 1.0, -1.45), (2, 0.12, 0.6), (3, 0.6, -2.75)),
        "tilt": ((2, 1.0, -0.6),),
        "rotation": ((1, 1.0, -0.2), (3, 0.08, 0.5)),
        "lean_forward": ((2, 1.0, 1.5),),
        "lean_lateral": ((1, 1.0, -1.2), (3, 0.12, -2.0)),
        "trunk_rotation": ((1, -1.0, -0.1),),
        "sway": ((1, 1.0, -1.55),),
        "arms": ((1, 1.0, 0.0),),
    },
    "run": {
        "obliquity": ((1, 1.0, -1.05), (2, 0.12, 2.8), (3, 0.6, -3.0)),
        "tilt": ((2, 1.0, -0.8), (4, 0.15, 0.4)),
        "rotation": ((1, 1.0, 2.93), (3, 0.12, -0.3)),
        "lean_forward": ((2, 1.0, -2.1), (4, 0.1, 1.0)),
        "lean_lateral": ((1, 1.0, -1.36), (3, 0.12, 0.4)),
        "trunk_rotation": ((1, 1.0, -2.5),),
        "sway": ((1, 1.0, -1.2),),
        "arms": ((1, 1.0, 0.3),),
    },
}
CURVES = tuple(_SHAPES["walk"])
_VARIATION_LIMIT = 2.0


def _wave(shape: _Shape, phase: FloatArray) -> FloatArray:
    return sum(
        (a * np.cos(2 * np.pi * h * phase + p) for h, a, p in shape), start=np.zeros(phase.shape)
    )


@cache
def _size(shape: _Shape) -> float:
    return float(np.abs(_wave(shape, np.linspace(0, 1, 2000, endpoint=False))).max())


def bounded_normal(rng: np.random.Generator, n: int) -> FloatArray:
    """Draw n standard normal numbers, held within two standard deviations."""
    return np.clip(rng.standard_normal(n), -_VARIATION_LIMIT, _VARIATION_LIMIT)


@dataclass(frozen=True, slots=True, eq=False)
class BodyCurves:
    """Driving curves of pelvis, trunk and arms; exact at any time.

    Attributes:
        style: The amplitudes and means.
        phase: phi(t), in strides, smooth.
        variation: For each name of `CURVES`, smooth factors of its amplitude and additions to its
            mean, over t.
    """

    style: Style
    phase: BSpline
    variation: dict[str, tuple[BSpline, BSpline]]

    def at(self, t: FloatArray) -> dict[str, FloatArray]:
        """Return every curve of `CURVES` at times (T,) s: (T,) rad, sway in m."""
        style, phi = self.style, self.phase(t)
        sizes = {
            "obliquity": (style.obliquity_offset, style.obliquity_amplitude),
            "tilt": (style.tilt, style.tilt_amplitude),
            "rotation": (0.0, style.rotation_amplitude),
            "lean_forward": (style.lean_forward, style.lean_forward_amplitude),
            "lean_lateral": (style.lean_lateral, style.lean_lateral_amplitude),
            "trunk_rotation": (0.0, style.trunk_rotation_amplitude),
            "sway": (0.0, style.sway),
            "arms": (0.0, style.arm_swing),
        }
        result = {}
        for name, (mean, amplitude) in sizes.items():
            shape = _SHAPES[style.activity][name]
            factor, addition = self.variation[name]
            wave = _wave(shape, phi) / _size(shape)
            result[name] = mean + addition(t) + amplitude * factor(t) * wave
        return result


def draw_body_curves(style: Style, strikes: FloatArray, rng: np.random.Generator) -> BodyCurves:
    """Draw the curves of one recording.

    Args:
        style: The gait.
        strikes: (M,) s, every foot strike, left and right in turn, beginning with a left one;
            at least 12.
        rng: Where the variation from stride to stride comes from.
    """
    left = strikes[::2]
    variation = {}
    for name in CURVES:
        factor = 1 + style.amplitude_cv * bounded_normal(rng, len(left))
        sd = 0.0 if name in ("sway", "arms") else style.offset_sd
        addition = sd * bounded_normal(rng, len(left))
        variation[name] = (
            make_interp_spline(left, factor, k=5),
            make_interp_spline(left, addition, k=5),
        )
    phase = make_interp_spline(strikes, np.arange(len(strikes)) / 2, k=5)
    return BodyCurves(style, phase, variation)
