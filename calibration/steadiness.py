"""Whether every camera stood, and kept its lens, while the board was shown.

At the solution each view's score is what it would change of its camera, the board's pose, shared
with other cameras, being free. A camera that was knocked half-way has scores that add up to
something after the knock, and to the opposite before. The step at each instant is solved by
generalised least squares, and the largest statistic is taken (Rao's score test, with Bonferroni's
correction over cameras and instants). A step that is no chance is then solved for: two cameras in
the place of one, before and after.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import chi2

from calibration.bundle import ROUGHLY, adjust
from calibration.covariances import board_equations
from calibration.network import Network
from calibration.normals import adjoint, marginalised, view_normals
from calibration.synchrony import chi_squared
from lab.checks import FloatArray
from lab.cores import each_over_cores
from lab.errors import LabError

# Chance of a false alarm of one calibration.
_ALARM = 1e-5
_MOST_INSTANTS = 100
_FEWEST = 5  # views on either side
_COLUMNS = 7  # pose and focal length
_COARSE = 15  # instants, evenly spread, where a large change is looked for first
_REACHES = (12, 6, 3, 2, 1)  # views, by which the instant is looked for
_WELL = 0.01  # of the disagreement, below which the instant need not be looked for further
# A step explains cameras that seem out of time when this much of their disagreement goes with it.
_EXPLAINS = 0.8
_AGREE = 2.0  # chi-squared over its freedom, below which the views agree apart from the step
_MOST_CANDIDATES = 4  # cameras


@dataclass(frozen=True, slots=True)
class Step:
    """A sudden change of one camera within the recording.

    Attributes:
        camera: Its name.
        t: s, of the stamps, when.
        shift_mm: By how much the boards it saw are displaced by it in its view (median).
        turn_deg: Of the camera's axes.
        focal: Part by which the focal length changed.
        p_value: Chance of this much without a change, over all cameras and instants.
        left: What is left of the views' disagreement beyond the corners' noise, as a part.
    """

    camera: str
    t: float = field(metadata={"unit": "s"})
    shift_mm: float = field(metadata={"unit": "mm"})
    turn_deg: float = field(metadata={"unit": "deg"})
    focal: float
    p_value: float
    left: float

    @property
    def explains(self) -> bool:
        """Whether nothing else is needed to explain why the cameras disagree."""
        return self.left < 1 - _EXPLAINS


def find_step(network: Network) -> Step | None:
    """Return the step that the views show, None where there is none but by chance.

    Cameras out of time with each other disagree as well, without a step. One is believed where
    the views agree to their noise otherwise, or where it is what most of their disagreement goes
    with.

    Args:
        network: Solved without time offsets.
    """
    plain = network
    if network.jitter != (0.0, 0.0):
        plain = adjust(replace(network, jitter=(0.0, 0.0)), ROUGHLY)
    total, freedom = chi_squared(plain)
    boards = board_equations(plain)
    every = each_over_cores(lambda c: _most_likely(plain, boards, c), len(plain.cameras))
    candidates = [found for found in every if found]
    trials = 2 * sum(min(len(v), _MOST_INSTANTS) for v in plain.views)
    best: Step | None = None
    for chance, c, t in sorted(candidates)[:_MOST_CANDIDATES]:
        p_value = float(np.exp(min(chance + np.log(trials), 0.0)))
        if p_value >= _ALARM:
            break
        # Not from the plain solution: what does not fit may have bent it far off.
        start = replace(network, jitter=(0.0, 0.0))
        step = _solved(start, c, t, p_value, total - freedom)
        if step is not None and (best is None or step.left < best.left):
            best = step
    if best is None or (total > _AGREE * freedom and not best.explains):
        return None
    return best


def _most_likely(
    network: Network, boards: tuple[FloatArray, FloatArray], c: int
) -> tuple[float, int, float] | None:
    """Return the logarithm of the chance of the most likely step of a camera, it, and when."""
    score, information, t = _scores(network, boards, c)
    if len(t) < 2 * _FEWEST:
        return None
    order = np.argsort(t, kind="stable")
    score, information, t = score[order], information[order], t[order]
    sums, totals = np.cumsum(score, 0), np.cumsum(information, 0)
    splits = np.arange(_FEWEST, len(t) - _FEWEST + 1)
    splits = splits[:: max(1, -(-len(splits) // _MOST_INSTANTS))]
    before = totals[splits - 1]
    share = (totals[-1] - before) @ np.linalg.pinv(totals[-1], hermitian=True)
    variance = share @ before
    variance = 0.5 * (variance + np.swapaxes(variance, 1, 2))
    gained = (sums[-1] - sums[splits - 1]) - share @ sums[-1]
    best = np.zeros(len(splits))
    for rows in (slice(0, 6), slice(6, 7)):
        inverse = _inverse(variance[:, rows, rows])
        statistic = np.einsum("si,sij,sj->s", gained[:, rows], inverse, gained[:, rows])
        best = np.minimum(best, chi2.logsf(statistic, rows.stop - rows.start))
    most = int(np.argmin(best))
    return float(best[most]), c, float(t[splits[most]])


def _scores(
    network: Network, boards: tuple[FloatArray, FloatArray], c: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return score (V, 7), information (V, 7, 7) and time (V,) of the views that are shared."""
    by_focal = np.zeros((len(network.cameras[c].intrinsics), 1))
    by_focal[:2] = 1.0
    bases = tuple(by_focal if i == c else basis for i, basis in enumerate(network.bases))
    own = replace(network, bases=bases)
    views = network.views[c]
    moving = ~np.isin(views.pose, list(network.still))
    products = marginalised(view_normals(own, c), network.jitter, moving)
    every = np.concatenate([v.pose for v in network.views])
    shared = np.bincount(every, minlength=len(network.rotations))[views.pose] > 1
    use = np.isfinite(views.t) & moving & shared
    products, pose = products[use], views.pose[use]
    ties = products[:, :_COLUMNS, :6] @ adjoint(network.cameras[c])
    gain = ties @ np.linalg.inv(boards[0][pose])
    information = products[:, :_COLUMNS, :_COLUMNS] - gain @ np.swapaxes(ties, 1, 2)
    score = products[:, :_COLUMNS, -1]
    score = score - np.einsum("vij,vj->vi", gain, boards[1][pose])
    return score, information, views.t[use]


def _solved(network: Network, c: int, t: float, p_value: float, excess: float) -> Step | None:
    """Solve the step as two cameras, before and after, at the instant that fits best.

    `excess` is what the views disagree by beyond their noise without the step.
    """
    times = np.sort(network.views[c].t[np.isfinite(network.views[c].t)])
    at = int(np.searchsorted(times, t))
    tried: dict[int, tuple[float, Network] | None] = {}
    # The score's instant is that of small changes; a large one is looked for everywhere first.
    evenly = (np.linspace(0, 1, _COARSE + 2)[1:-1] * len(times)).astype(int)
    for place in (at, *evenly.tolist()):
        if _FEWEST <= place <= len(times) - _FEWEST:
            tried[place] = _refitted(_split(network, c, float(times[place])))
    rough = {place: end[0] for place, end in tried.items() if end is not None}
    for reach in _REACHES:
        if rough:
            at = min(rough, key=lambda place: (rough[place], place))
            rough = {}
        for place in (at, at - reach, at + reach):
            if place not in tried and _FEWEST <= place <= len(times) - _FEWEST:
                tried[place] = _refitted(_split(network, c, float(times[place])))
        solved = {place: end[0] for place, end in tried.items() if end is not None}
        if not solved:
            return None
        at = min(solved, key=lambda place: (solved[place], place))
        if excess > 0 and solved[at] < _WELL * excess:
            break
    best = tried[at]
    if best is None:
        return None
    (rest, split), when = best, float(times[at])
    first, second = split.cameras[c], split.cameras[-1]
    change = second.cam_from_lab @ first.cam_from_lab.inverse()
    views = network.views[c]
    middle = network.rotations[views.pose] @ network.corners_m.mean(0)
    middle = first.cam_from_lab.transform(middle + network.translations[views.pose])
    away = np.linalg.norm(change.transform(middle) - middle, axis=1)
    return Step(
        first.name,
        when,
        1e3 * float(np.median(away)),
        float(np.degrees(np.linalg.norm(change.rotvec()))),
        float(second.intrinsics[0] / first.intrinsics[0] - 1),
        p_value,
        max(rest, 0.0) / max(excess, 1e-9),
    )


def _refitted(network: Network) -> tuple[float, Network] | None:
    """Return what the views disagree by beyond their noise, adjusted; None where they cannot be."""
    try:
        network = adjust(network, ROUGHLY)
    except (LabError, ValueError):
        return None  # the board was not shown to others on both sides of the instant
    total, freedom = chi_squared(network)
    return (total - freedom, network) if freedom > 0 else None


def _split(network: Network, c: int, t: float) -> Network:
    """Return the network with the views of a camera from t on given to one more camera.

    Of its lens the focal length may have changed.
    """
    views, after = network.views[c], network.views[c].t >= t
    by_focal = np.zeros((len(network.cameras[c].intrinsics), 1))
    by_focal[:2] = 1.0
    own = list(network.views)
    own[c] = views.only(~after)
    return replace(
        network,
        cameras=(*network.cameras, network.cameras[c]),
        bases=(*network.bases, by_focal),
        views=(*own, views.only(after)),
        sigma_px=np.append(network.sigma_px, network.sigma_px[c]),
    )


def _inverse(matrices: FloatArray) -> FloatArray:
    """Invert (S, n, n), scaled by their diagonals; directions that are not known are left out."""
    scale = 1 / np.sqrt(np.maximum(np.einsum("sii->si", matrices), 1e-300))
    scaled = matrices * scale[:, :, None] * scale[:, None, :]
    inverse = np.linalg.pinv(scaled, rcond=1e-9, hermitian=True)
    return inverse * scale[:, :, None] * scale[:, None, :]
