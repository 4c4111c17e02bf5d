"""Which of several people is the one to be measured, in every camera and frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Keypoints2D
from lab.rig import Rig
from reconstruct.people import People2D

# Sights of the same joints by two cameras pass each other this near, in the median of the joints.
_SAME_BODY_M = 0.12
_LEAST_JOINTS = 4
# From one frame to the next a body moves no further than this, and less than this speed after gaps.
_STEP_M, _SPEED_M_S, _FURTHEST_M = 0.2, 6.0, 1.0
# Two people who come as near the place as this to each other cannot be told apart by it.
_TOO_ALIKE_M = 0.25
_BODY_WIDTH_M = 0.35
_CLICK_TIME_S = 0.25
_REMEDY = (
    "Say who it is in trial.toml: [person] with camera, t, x_px and y_px of a click on the person "
    "(or near_m = [x, y], where the person is on the floor)."
)


@dataclass(frozen=True, slots=True)
class Click:
    """A place on the person in one image.

    Attributes:
        camera: Its name.
        t: s on the lab clock.
        x_px: Pixel (0, 0) is the centre of the top-left pixel.
        y_px: Likewise.
    """

    camera: str
    t: float
    x_px: float
    y_px: float


@dataclass(frozen=True, slots=True, eq=False)
class _Body:
    """One person in one frame: which of the people each camera has it as, and where it is."""

    members: dict[int, int]
    place: FloatArray


def choose_person(
    rig: Rig,
    people: Sequence[People2D],
    *,
    near_m: tuple[float, float] | None = None,
    click: Click | None = None,
) -> list[Keypoints2D]:
    """Return the keypoints of the one person to be measured, one set a camera.

    In each frame the people of all cameras are put together by how near their sights of the same
    joints pass each other in space. The person is the one clicked on; or the one who comes nearest
    a place on the floor, by default the middle of what the cameras look at. From there the body is
    followed through time both ways by its place on the floor. Where nobody was seen twice there is
    nothing to choose.

    Args:
        rig: The cameras.
        people: What each of them saw.
        near_m: (x, y) m on the floor.
        click: A place on the person in one image.

    Raises:
        LabError: When the click meets nobody, when nobody is seen by two cameras, or when two
            people come equally near the place.
    """
    if click is None and all(p.most <= 1 for p in people):
        return [
            p.pick(np.isfinite(p.xy_px[..., 0]).any(-1).argmax(-1))
            if p.score.shape[1]
            else p.pick(np.full(len(p.t), -1))
            for p in people
        ]
    fullest = max(people, key=lambda p: len(p.t))
    rows = [np.abs(p.t[None] - fullest.t[:, None]).argmin(1) if len(p.t) else None for p in people]
    bodies = _bodies(rig, people, rows)
    if not any(bodies):
        raise LabError(
            "nobody was seen by two cameras at once",
            where="choice of the person",
            remedy="Check that the videos belong together, and their times.",
        )
    if click is not None:
        start = _clicked(people, rows, fullest.t, bodies, click)
    else:
        start = _nearest(bodies, _middle(rig) if near_m is None else np.array(near_m))
    path = _follow(bodies, fullest.t, start)
    if click is None:
        _refuse_alike(bodies, path, _middle(rig) if near_m is None else np.array(near_m))
    chosen = []
    for c, p in enumerate(people):
        which = np.full(len(p.t), -1)
        row = rows[c]
        for j, b in enumerate(path):
            if b >= 0 and row is not None and c in bodies[j][b].members:
                which[row[j]] = bodies[j][b].members[c]
        chosen.append(p.pick(which))
    return chosen


def _bodies(
    rig: Rig, people: Sequence[People2D], rows: Sequence[NDArray[np.int64] | None]
) -> list[list[_Body]]:
    """Return the bodies seen by two cameras or more, by frame of the fullest camera."""
    frames = max(len(r) for r in rows if r is not None)
    names = sorted({n for p in people for n in p.names})
    slots: list[tuple[int, int]] = []
    origins, directions = [], []
    for c, p in enumerate(people):
        row = rows[c]
        if row is None:
            continue
        columns = [names.index(n) for n in p.names]
        for person in range(p.score.shape[1]):
            xy = p.xy_px[row, person]
            ray = rig.camera(p.camera).ray(xy.reshape(-1, 2))
            direction = np.full((frames, len(names), 3), np.nan)
            direction[:, columns] = ray.direction.reshape(frames, -1, 3)
            direction[:, columns] = np.where(
                np.isfinite(xy).all(-1, keepdims=True), direction[:, columns], np.nan
            )
            slots.append((c, person))
            origins.append(rig.camera(p.camera).centre)
            directions.append(direction)
    n = len(slots)
    apart = np.full((n, n, frames), np.inf)
    between = np.full((n, n, frames, 3), np.nan)
    for a in range(n):
        for b in range(a + 1, n):
            if slots[a][0] != slots[b][0]:
                apart[a, b], between[a, b] = _passing(
                    origins[a], directions[a], origins[b], directions[b]
                )
    return [_together(apart[..., j], between[..., j, :], slots) for j in range(frames)]


def _passing(
    o1: FloatArray, d1: FloatArray, o2: FloatArray, d2: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return how far (T,) m sights (T, K, 3) pass each other, and the middle (T, 3) m of where."""
    base = o2 - o1
    cosine = (d1 * d2).sum(-1)
    sine2 = np.maximum(1 - cosine**2, 1e-9)
    along1 = (d1 @ base - cosine * (d2 @ base)) / sine2
    along2 = (cosine * (d1 @ base) - d2 @ base) / sine2
    p1, p2 = o1 + along1[..., None] * d1, o2 + along2[..., None] * d2
    distance = np.linalg.norm(p1 - p2, axis=-1)
    distance[(along1 < 0) | (along2 < 0)] = np.inf
    known = np.isfinite(d1[..., 0] + d2[..., 0])
    enough = known.sum(1) >= _LEAST_JOINTS
    result, middle = np.full(len(d1), np.inf), np.full((len(d1), 3), np.nan)
    if enough.any():
        masked = np.where(known, distance, np.nan)[enough]
        result[enough] = np.nanmedian(masked, axis=1)
        points = np.where(known[..., None], (p1 + p2) / 2, np.nan)[enough]
        middle[enough] = np.nanmedian(points, axis=1)
    return result, middle


def _together(apart: FloatArray, between: FloatArray, slots: list[tuple[int, int]]) -> list[_Body]:
    """Join the people of one frame, nearest first, never two of one camera into one body."""
    group = list(range(len(slots)))
    pairs = np.argwhere(apart < _SAME_BODY_M)
    for a, b in pairs[np.argsort(apart[tuple(pairs.T)], kind="stable")]:
        if group[a] == group[b]:
            continue
        first = [i for i, g in enumerate(group) if g == group[a]]
        second = [i for i, g in enumerate(group) if g == group[b]]
        if {slots[i][0] for i in first} & {slots[i][0] for i in second}:
            continue
        crossing = [apart[min(i, j), max(i, j)] for i in first for j in second]
        # Pairs that share too few joints say nothing.
        known = [x for x in crossing if np.isfinite(x)]
        if np.median(known) < _SAME_BODY_M:
            for i in second:
                group[i] = group[a]
    bodies = []
    for g in dict.fromkeys(group):
        inside = [i for i, other in enumerate(group) if other == g]
        if len(inside) > 1:
            places = np.array([between[i, j] for i in inside for j in inside if i < j])
            place = np.median(places[np.isfinite(places[:, 0])], axis=0)
            bodies.append(_Body(dict(slots[i] for i in inside), place[:2]))
    return bodies


def _middle(rig: Rig) -> FloatArray:
    """Return the place (2,) m on the floor that all cameras look at: nearest to their axes."""
    normal, right = np.zeros((3, 3)), np.zeros(3)
    for camera in rig.cameras:
        axis = camera.cam_from_lab.rotation[2]
        across = np.eye(3) - np.outer(axis, axis)
        normal += across
        right += across @ camera.centre
    return np.asarray(np.linalg.lstsq(normal, right, rcond=None)[0][:2], np.float64)


def _nearest(bodies: list[list[_Body]], place: FloatArray) -> tuple[int, int]:
    """Return frame and number of the body nearest to a place."""
    distance = {
        (j, b): float(np.linalg.norm(body.place - place))
        for j, frame in enumerate(bodies)
        for b, body in enumerate(frame)
    }
    return min(distance, key=lambda key: distance[key])


def _clicked(
    people: Sequence[People2D],
    rows: Sequence[NDArray[np.int64] | None],
    t: FloatArray,
    bodies: list[list[_Body]],
    click: Click,
) -> tuple[int, int]:
    """Return frame and number of the body clicked on."""
    cameras = [p.camera for p in people]
    where = f"[person] camera {click.camera}, t {click.t:g}"
    if click.camera not in cameras:
        raise LabError(
            f"the click is in camera {click.camera}, the videos are of {', '.join(cameras)}",
            where=where,
            remedy="Name a camera of this trial.",
        )
    c = cameras.index(click.camera)
    p, row = people[c], rows[c]
    order = np.argsort(np.abs(t - click.t), kind="stable")
    at = np.array([click.x_px, click.y_px])
    for j in order[np.abs(t[order] - click.t) <= _CLICK_TIME_S]:
        if row is None:
            break
        xy = p.xy_px[row[j]]
        seen = np.isfinite(xy[..., 0]).any(1)
        for person in np.flatnonzero(seen):
            low, high = np.nanmin(xy[person], axis=0), np.nanmax(xy[person], axis=0)
            margin = 0.1 * (high - low).max()
            inside = (at > low - margin).all() and (at < high + margin).all()
            others = [i for i in np.flatnonzero(seen) if i != person]
            distance = np.nanmin(np.linalg.norm(xy - at, axis=-1), axis=1, initial=np.inf)
            if not inside or any(distance[i] < distance[person] for i in others):
                continue
            for b, body in enumerate(bodies[j]):
                if body.members.get(c) == person:
                    return int(j), b
    raise LabError(
        f"the click at ({click.x_px:g}, {click.y_px:g}) px meets nobody whom another camera sees",
        where=where,
        remedy="Click on the middle of the person, at a moment when two cameras see them.",
    )


def _follow(bodies: list[list[_Body]], t: FloatArray, start: tuple[int, int]) -> list[int]:
    """Return which body the person is in each frame, -1 where it is lost."""
    path = [-1] * len(bodies)
    path[start[0]] = start[1]
    for step in (1, -1):
        last, place = start[0], bodies[start[0]][start[1]].place
        j = start[0] + step
        while 0 <= j < len(bodies):
            reach = min(_STEP_M + _SPEED_M_S * abs(t[j] - t[last]), _FURTHEST_M)
            near = [float(np.linalg.norm(body.place - place)) for body in bodies[j]]
            if near and min(near) <= reach:
                path[j] = int(np.argmin(near))
                last, place = j, bodies[j][path[j]].place
            j += step
    return path


def _refuse_alike(bodies: list[list[_Body]], path: list[int], place: FloatArray) -> None:
    """Raise LabError when somebody else came as near the place as the one followed."""
    mine, others = [], []
    for frame, chosen in zip(bodies, path, strict=True):
        if chosen < 0:
            continue
        me = frame[chosen].place
        mine.append(float(np.linalg.norm(me - place)))
        # Nearer than that it is the same person, put together twice.
        apart = [body for body in frame if np.linalg.norm(body.place - me) > _BODY_WIDTH_M]
        others += [float(np.linalg.norm(body.place - place)) for body in apart]
    if others and min(others) < min(mine) + _TOO_ALIKE_M:
        raise LabError(
            f"two people come equally near the place ({place[0]:.2f}, {place[1]:.2f}) m: "
            f"{min(mine):.2f} m and {min(others):.2f} m",
            where="choice of the person",
            remedy=_REMEDY,
        )
