"""Whether the cameras together ask for larger lens models than each camera's own views do.

What a lens lacks, a camera's own board poses take over: a decentred lens looks as if every board
were turned a little. The same boards seen by other cameras cannot turn with it, so that the views
of one board pose disagree. Larger models are taken where they lessen that disagreement by more than
chance (an F test on the views' displacements, six numbers a view, so that corners which err
together are not counted one by one), and take most of it away: cameras out of time with each other
disagree as well, in ways that last from view to view, and no lens is to be bent to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scipy.stats import f as f_distribution

from calibration.bundle import ROUGHLY, adjust
from calibration.lens import LENSES, Lens, basis, folds
from calibration.network import Network
from calibration.synchrony import chi_squared, disagrees
from lab.errors import LabError

_CHANCE = 1e-4
_MOST = 0.5  # of the disagreement beyond noise, that must go
_MODELS = tuple(LENSES)


def larger_lenses(
    network: Network, lenses: tuple[Lens, ...], refined: Sequence[bool]
) -> tuple[Lens, ...]:
    """Return the lenses with the models that the cameras together ask for.

    Args:
        network: Adjusted; its jitter is not used.
        lenses: With the models that the cameras' own views ask for.
        refined: Of which cameras the lens is refined with the rig; others stay as they are.
    """
    if not any(refined):
        return lenses
    plain = adjust(replace(network, jitter=(0.0, 0.0)), ROUGHLY)
    total, freedom = chi_squared(plain)
    if not disagrees(total, freedom):
        return lenses
    given, excess = lenses, total - freedom
    for model in _MODELS[1:]:
        wider = tuple(
            replace(lens, model=model) if use and _smaller(lens.model, model) else lens
            for lens, use in zip(lenses, refined, strict=True)
        )
        bases = tuple(
            basis(lens.model) if use else given
            for lens, use, given in zip(wider, refined, plain.bases, strict=True)
        )
        more = sum(b.shape[1] for b in bases) - sum(b.shape[1] for b in plain.bases)
        if more == 0:
            continue
        try:
            trial = adjust(replace(plain, bases=bases), ROUGHLY)
        except (LabError, ValueError):
            continue
        if any(folds(camera) for camera in trial.cameras):
            continue
        left, _ = chi_squared(trial)
        gained = (total - left) / more / (left / max(freedom - more, 1))
        if f_distribution.sf(gained, more, max(freedom - more, 1)) < _CHANCE:
            lenses, plain, total, freedom = wider, trial, left, freedom - more
    return lenses if total - freedom < (1 - _MOST) * excess else given


def _smaller(first: str, second: str) -> bool:
    return _MODELS.index(first) < _MODELS.index(second)
