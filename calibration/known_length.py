"""A second known length: what the rig measures of it, against what it is.

The scale of a rig is that of its board's square as typed in, and no residual shows it wrong. A
distance on the board measured with a rule, or a second board, does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from calibration.board import Board
from lab.checks import FloatArray
from lab.errors import LabError

_FEWEST = 3  # poses, to know how well a length was measured
# A rule is read to half a millimetre.
RULE_SIGMA_M = 0.0005


@dataclass(frozen=True, slots=True)
class KnownLength:
    """The distance between two corners of the calibration's board, measured by other means.

    Attributes:
        first, second: Corner names, c000 being the first inner corner of the first row.
        length_m: Measured.
        sigma_m: Its standard deviation.
    """

    first: str
    second: str
    length_m: float = field(metadata={"unit": "m"})
    sigma_m: float = field(default=RULE_SIGMA_M, metadata={"unit": "m"})

    @classmethod
    def from_words(cls, text: str, board: Board) -> KnownLength:
        """Read "c000 c023 612.5" or "c000 c023 612.5 0.3": two corners, mm, and its sigma.

        Raises:
            LabError: When it is not of that form, or the board has no such corner.
        """
        words = re.split(r"[\s,=]+", text.strip())
        try:
            first, second = words[0], words[1]
            numbers = [float(w) for w in words[2:]]
            length, sigma = (*numbers, 1e3 * RULE_SIGMA_M)[:2]
        except (IndexError, ValueError) as error:
            raise _unreadable(text) from error
        if len(words) > 4 or not (0 < length < 1e5 and 0 < sigma < length):
            raise _unreadable(text)
        unknown = [n for n in (first, second) if n not in board.corner_names]
        if unknown or first == second:
            raise LabError(
                f"{text!r} names no two corners of {board.words()}",
                where="known length",
                remedy=f"Its corners are {board.corner_names[0]} to {board.corner_names[-1]}, row "
                "by row.",
            )
        return cls(first, second, length / 1e3, sigma / 1e3)


@dataclass(frozen=True, slots=True)
class ScaleCheck:
    """A length as measured by the rig over what it is.

    Attributes:
        ratio: 1 where the rig's scale is right.
        sigma: Of the ratio, the length's own included.
        what: The length in words.
    """

    ratio: float
    sigma: float
    what: str


def scale_of(
    points: FloatArray, board: Board, known: Sequence[KnownLength]
) -> tuple[ScaleCheck, ...]:
    """Return what lengths on the board say, from its corners triangulated as free points.

    Args:
        points: (B, K, 3) m in held-out poses, NaN where not seen.
        board: Of the calibration.
        known: Lengths on it.
    """
    checks = []
    for one in known:
        a, b = (board.corner_names.index(n) for n in (one.first, one.second))
        ratios = np.linalg.norm(points[:, a] - points[:, b], axis=-1) / one.length_m
        what = f"{one.first} to {one.second}, {1e3 * one.length_m:.1f} mm"
        checks.append(_check(ratios, one.sigma_m / one.length_m, what))
    return tuple(checks)


def scale_of_board(points: FloatArray, second: Board, sigma: float) -> ScaleCheck:
    """Return what a second board says, from its corners (B, K, 3) triangulated as free points.

    Each pose's scale is the one that lays all distances between corners on the board's best.

    Args:
        points: m, NaN where not seen.
        second: The board.
        sigma: Of its square, as a part of it.
    """
    wanted = second.corners_m()
    ratios = []
    for cloud in points:
        seen = np.isfinite(cloud).all(1)
        i, j = np.triu_indices(int(seen.sum()), 1)
        known = np.linalg.norm(wanted[seen][i] - wanted[seen][j], axis=1)
        found = np.linalg.norm(cloud[seen][i] - cloud[seen][j], axis=1)
        ratios.append(float(found @ known) / float(known @ known) if len(known) else np.nan)
    return _check(np.array(ratios), sigma, f"the second board ({second.words()})")


def _check(ratios: FloatArray, relative_sigma: float, what: str) -> ScaleCheck:
    ratios = ratios[np.isfinite(ratios)]
    if len(ratios) < _FEWEST:
        return ScaleCheck(float("nan"), float("nan"), what)
    own = float(np.std(ratios, ddof=1)) / np.sqrt(len(ratios))
    return ScaleCheck(float(np.mean(ratios)), float(np.hypot(own, relative_sigma)), what)


def _unreadable(text: str) -> LabError:
    return LabError(
        f"{text!r} is no known length",
        where="known length",
        remedy='Give two corners and the distance in mm, for example "c000 c023 612.5".',
    )
