"""A node's clock on the lab's clock: offset, drift, and how far both can be wrong.

One exchange is four stamps: t1 the lab sends, t2 the node receives, t3 the node answers, t4 the lab
receives (D. L. Mills, RFC 5905, section 8). With the delays d there and e back, and o what the
node's clock shows beyond the lab's,

    t2 - t1 = o + d        t3 - t4 = o - e        o = ((t2 - t1) + (t3 - t4)) / 2 - (d - e) / 2

The mean of (d - e) / 2 cannot be seen from any number of exchanges. It is bounded by half the least
round trip and is kept apart, as `asymmetry`; what scatters is `sigma`. The interval holds both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.errors import LabError

IntArray = NDArray[np.int64]

# No computer's crystal is further off than this; exchanges that need more have a step between them.
MAX_DRIFT = 500e-6
# A crystal's rate may change by this much while nobody looks (a few degrees of temperature).
STABILITY = 0.3e-6
MIN_EXCHANGES = 8
# By then a crystal may have gone a fifth of a millisecond: a session that is opened again hours
# later has a line of its own.
_LONGEST_UNSEEN_NS = 600_000_000_000
_COVERAGE_95 = 1.96
# Delay classes: the quickest exchanges, each class twice the one before.
_SMALLEST_CLASS = 24
_ROUNDS = 4
_SURE_SHARE = 0.02  # of the exchanges, the quickest, with which the fit begins
_TOLERATED_SIGMAS = 4.0
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class ClockFit:
    """A node's clock on the lab's clock: node = lab + offset + drift (lab - lab_ref).

    Attributes:
        lab_ref_ns: Lab time at which `offset_ns` holds.
        offset_ns: What the node's clock shows beyond the lab's then; whole ns.
        correction: The part of the offset below a nanosecond and above, s; usually tiny.
        drift: Seconds that the node's clock gains each second.
        cov: (2, 2) of offset (s) and drift.
        asymmetry: Half the least round trip, s: bound of what delays that differ by direction do;
            and how far the line lies beyond what any single exchange allows, where it does.
        first_ns, last_ns: Lab time of the first and the last exchange.
        exchanges, used: How many there were, and how many carried the fit.
        residuals: (used,) s, offset of each exchange from the fit.
        residual_t: (used,) s since lab_ref_ns.
    """

    lab_ref_ns: int
    offset_ns: int
    correction: float
    drift: float
    cov: FloatArray
    asymmetry: float
    first_ns: int
    last_ns: int
    exchanges: int
    used: int
    residuals: FloatArray
    residual_t: FloatArray = field(metadata={"unit": "s"})

    def lab_s(self, node_ns: IntArray | int, origin_ns: int = 0) -> FloatArray:
        """Return lab time, s since lab time `origin_ns`, of node stamps (T,) ns."""
        since = np.asarray(node_ns, np.int64) - np.int64(self.lab_ref_ns + self.offset_ns)
        elapsed = (since * 1e-9 - self.correction) / (1 + self.drift)
        return np.asarray(elapsed + (self.lab_ref_ns - origin_ns) * 1e-9, np.float64)

    def node_ns(self, lab_ns: int) -> int:
        """Return what the node's clock shows at a lab time, ns."""
        elapsed = (lab_ns - self.lab_ref_ns) * 1e-9
        return lab_ns + self.offset_ns + round((self.correction + self.drift * elapsed) * 1e9)

    def sigma(self, lab_ns: IntArray | int) -> FloatArray:
        """Return the random standard uncertainty of `lab_s` at lab times, s.

        It grows away from the exchanges: by the fit's own covariance, and by what a crystal may do
        unseen.
        """
        lab = np.asarray(lab_ns, np.int64)
        elapsed = (lab - np.int64(self.lab_ref_ns)) * 1e-9
        variance = self.cov[0, 0] + 2 * elapsed * self.cov[0, 1] + elapsed**2 * self.cov[1, 1]
        unseen = np.maximum(np.maximum(self.first_ns - lab, lab - self.last_ns), 0) * 1e-9
        return np.sqrt(variance + (STABILITY * unseen) ** 2)

    def interval(self, lab_ns: IntArray | int) -> FloatArray:
        """Return the half width that holds the error of `lab_s`, s: 95 % random, and the bound."""
        return _COVERAGE_95 * self.sigma(lab_ns) + self.asymmetry


@dataclass(frozen=True, slots=True)
class ClockStep:
    """A clock that jumped.

    Attributes:
        lab_ns: Lab time of the first exchange after it.
        step: s; positive when the clock jumped ahead.
    """

    lab_ns: int
    step: float

    def sentence(self, node: str) -> str:
        """Say it to the operator."""
        way = "ahead" if self.step > 0 else "back"
        size = abs(self.step)
        text = f"{size:.1f} s" if size >= 1 else f"{1000 * size:.1f} ms"
        return (
            f"the clock of {node} jumped {way} by {text} during the recording: trials over the "
            "jump are unfit; find what sets that computer's clock, and record again"
        )


@dataclass(frozen=True, slots=True, eq=False)
class NodeClock:
    """A node's clock over a session: one fit between any two steps or long times unseen."""

    fits: tuple[ClockFit, ...]
    steps: tuple[ClockStep, ...]

    def fit_at(self, lab_ns: int) -> ClockFit:
        """Return the fit that holds at a lab time: the last that began before it."""
        before = [f for f in self.fits if f.first_ns <= lab_ns]
        return before[-1] if before else self.fits[0]

    def fit_of(self, node_ns: int) -> ClockFit:
        """Return the fit whose exchanges lie nearest to a node stamp."""

        def distance(fit: ClockFit) -> int:
            first, last = fit.node_ns(fit.first_ns), fit.node_ns(fit.last_ns)
            return max(first - node_ns, node_ns - last, 0)

        return min(self.fits, key=distance)

    def steps_between(self, first_ns: int, last_ns: int) -> tuple[ClockStep, ...]:
        """Return the steps within a stretch of lab time, a second to spare on both sides."""
        spare = 1_000_000_000
        return tuple(s for s in self.steps if first_ns - spare <= s.lab_ns <= last_ns + spare)


def follow_clock(stamps: Sequence[tuple[int, int, int, int]] | IntArray) -> NodeClock:
    """Fit a node's clock from its exchanges, one fit between any two steps or long times unseen.

    Args:
        stamps: (N, 4) ns, t1 to t4 of every exchange, in the order they were made.

    Raises:
        LabError: When no stretch between steps has exchanges enough.
    """
    table = np.asarray(stamps, np.int64).reshape(-1, 4)
    # A clock cannot answer before it was asked: rows that say so are damaged.
    sane = (table[:, 3] >= table[:, 0]) & (_round_trip_ns(table) >= 0)
    table = table[sane]
    pieces, steps = _split(table)
    fits = [fit_clock(piece) for piece in pieces if len(piece) >= MIN_EXCHANGES]
    if not fits:
        raise LabError(
            f"there are {len(table)} clock exchanges; at least {MIN_EXCHANGES} are needed",
            remedy="Wait a few seconds after the node was found, or check the network.",
        )
    return NodeClock(tuple(fits), tuple(steps))


def fit_clock(stamps: IntArray) -> ClockFit:
    """Fit offset and drift to exchanges (N, 4) ns without a step among them.

    Exchanges are classed by their round trip; each class is weighted by the inverse of the scatter
    that it shows about the fit (iterated), and by what its delay may hide. Where quick exchanges
    are better, they carry the fit alone, as in minimum-delay filtering; where the delay says
    nothing, all do. Stalls, whose round trip exceeds the median by four of its sigmas, are left
    out.

    Raises:
        ValueError: With fewer than `MIN_EXCHANGES`.
    """
    table = np.asarray(stamps, np.int64)
    if len(table) < MIN_EXCHANGES:
        raise ValueError(f"fit_clock needs {MIN_EXCHANGES} exchanges, got {len(table)}")
    middle_ns = (table[:, 0] + table[:, 3]) // 2
    lab_ref = int(middle_ns[len(middle_ns) // 2])
    offset_ref = int(np.median(table[:, 1] - table[:, 0]))
    # Each difference is small by now, so that float64 holds it to a fraction of a nanosecond.
    ahead = table[:, 1] - table[:, 0] - offset_ref
    behind = table[:, 2] - table[:, 3] - offset_ref
    offset = _seconds(ahead + behind) / 2
    t = _seconds(table[:, 0] - lab_ref + table[:, 3] - lab_ref) / 2
    delay = _seconds(_round_trip_ns(table))
    used = delay <= _stall_limit(delay)
    offset, t, kept_delay = offset[used], t[used], delay[used]
    line, cov = _weighted_line(t, offset, kept_delay)
    residuals = offset - line[0] - line[1] * t
    # Each exchange bounds the offset from both sides, whatever its delays. A line beyond a bound is
    # not this clock's: it was set a little, or the crystal changed. How far counts as bound, too.
    height = line[0] + line[1] * _seconds(table[:, 0] - lab_ref + table[:, 3] - lab_ref) / 2
    beyond = np.maximum(_seconds(behind) - height, height - _seconds(ahead))
    misfit = max(0.0, float(beyond.max()))
    return ClockFit(
        lab_ref_ns=lab_ref,
        offset_ns=offset_ref,
        correction=float(line[0]),
        drift=float(line[1]),
        cov=cov,
        asymmetry=float(delay.min() / 2) + misfit,
        first_ns=int(middle_ns[0]),
        last_ns=int(middle_ns[-1]),
        exchanges=len(table),
        used=int(used.sum()),
        residuals=residuals,
        residual_t=t,
    )


def _seconds(ns: IntArray) -> FloatArray:
    return np.asarray(ns * 1e-9, np.float64)


def _round_trip_ns(table: IntArray) -> IntArray:
    """Return the round trips (N,) ns without the node's own time."""
    return (table[:, 3] - table[:, 0]) - (table[:, 2] - table[:, 1])


def _stall_limit(delay: FloatArray) -> float:
    """Return the round trip beyond which an exchange was held up."""
    median = float(np.median(delay))
    spread = _MAD_TO_SIGMA * float(np.median(np.abs(delay - median)))
    return median + max(_TOLERATED_SIGMAS * spread, 0.1 * median, 50e-6)


def _weighted_line(
    t: FloatArray, offset: FloatArray, delay: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Fit a line with the scatter of each delay class as its weight.

    Returns:
        Offset and drift (2,), and their covariance (2, 2).
    """
    order = np.argsort(delay, kind="stable")
    classes = np.empty(len(t), np.intp)
    edges = [0]
    while edges[-1] < len(t):
        edges.append(min(len(t), max(_SMALLEST_CLASS, 2 * edges[-1])))
    if len(edges) > 2 and edges[-1] - edges[-2] < _SMALLEST_CLASS:
        del edges[-2]
    for k in range(len(edges) - 1):
        classes[order[edges[k] : edges[k + 1]]] = k
    # With few exchanges the unknowns take a good part of the scatter with them.
    freedom = len(t) / max(len(t) - 2, 1)
    design = np.column_stack([np.ones_like(t), t])
    # What an exchange took beyond the least may all have gone one way: a busy computer reads all
    # answers late. Unseen, that is as good as uniform over half of it on both sides, which is also
    # what delays that are alike both ways scatter by.
    unseen = (delay - delay.min()) / np.sqrt(12)
    sigma = np.maximum(unseen, np.quantile(unseen, _SURE_SHARE) + 1e-7)
    line, inverse = np.zeros(2), np.zeros((2, 2))
    for _ in range(_ROUNDS):
        weighted = design / sigma[:, None]
        scale = np.linalg.norm(weighted, axis=0)
        scale[scale == 0] = 1.0
        inverse = np.linalg.pinv((weighted / scale).T @ (weighted / scale)) / np.outer(scale, scale)
        line = inverse @ (weighted.T @ (offset / sigma))
        residuals = offset - design @ line
        per_class = np.array(
            [
                np.sqrt(freedom * np.mean(residuals[classes == k] ** 2))
                for k in range(len(edges) - 1)
            ]
        )
        sigma = np.maximum(np.maximum(per_class, 1e-7)[classes], unseen)
    return line, inverse


def find_steps(stamps: IntArray) -> list[ClockStep]:
    """Return where no drift within `MAX_DRIFT` joins an exchange to the one before.

    Each exchange bounds the offset from both sides, by the two delays being positive; bounds that
    are further apart than a crystal can go in the time between are a step.

    Args:
        stamps: (N, 4) ns.
    """
    return [step for _, step in _cuts(np.asarray(stamps, np.int64).reshape(-1, 4))]


def _split(table: IntArray) -> tuple[list[IntArray], list[ClockStep]]:
    """Split exchanges at their steps, and where nobody looked for so long that no line holds."""
    cuts = _cuts(table)
    unseen = np.flatnonzero(np.diff(table[:, 0]) > _LONGEST_UNSEEN_NS) + 1
    rows = sorted({at for at, _ in cuts} | {int(row) for row in unseen})
    return np.split(table, rows), [step for _, step in cuts]


def _cuts(table: IntArray) -> list[tuple[int, ClockStep]]:
    """Return the rows that come first after a step, and the steps."""
    low, high = table[:, 2] - table[:, 3], table[:, 1] - table[:, 0]
    middle = (table[:, 0] + table[:, 3]) // 2
    slack = (MAX_DRIFT * np.diff(middle)).astype(np.int64) + 1
    ahead = low[1:] > high[:-1] + slack
    back = high[1:] < low[:-1] - slack
    cuts = []
    for row in np.flatnonzero(ahead | back) + 1:
        step = (low[row] + high[row]) / 2 - (low[row - 1] + high[row - 1]) / 2
        cuts.append((int(row), ClockStep(int(middle[row]), float(step) * 1e-9)))
    return cuts
