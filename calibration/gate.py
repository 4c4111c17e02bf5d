"""The gate of a calibration: each reason why it may not be used, and what to note of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.board_shape import BoardShape
from calibration.known_length import ScaleCheck
from calibration.starts import Starts
from calibration.steadiness import Step

_ENOUGH_VIEWS = 20  # in which a carried board has shown all its corners
_NO_CHANCE = 4.0  # standard deviations
# The same lens by other views: what bends the one and not the other is no corner noise.
_OTHER_VIEWS = 6.0
_LENS_CHANCE = 4.5  # the same lens by views of the same kind


def rig_reasons(
    figures: Mapping[str, float], limits: Mapping[str, float], longest: int
) -> tuple[str, ...]:
    """Return what of the whole rig's figures is over its limit; `longest` side of an image, px."""
    reasons = []
    distance, rigid = figures["held_out_distance_rmse_mm"], figures["held_out_rigid_rmse_mm"]
    if not np.isfinite(distance):
        reasons.append("the calibration cannot be judged: half of the board poses do not solve it")
    if distance > limits["held_out_distance_mm"]:
        reasons.append(
            f"held-out distance error {distance:.1f} mm is above "
            f"{limits['held_out_distance_mm']} mm"
        )
    if rigid > limits["held_out_rigid_mm"]:
        reasons.append(
            f"held-out rigid-board error {rigid:.1f} mm is above {limits['held_out_rigid_mm']} mm"
        )
    limit = limits["held_out_reprojection"] * longest
    if figures["held_out_rmse_px"] > limit:
        reasons.append(
            f"held-out residual {figures['held_out_rmse_px']:.1f} px is above {limit:.1f} px, the "
            f"corner noise being {figures['corner_noise_px']:.2f} px: the cameras are not "
            "synchronous, or the board is not rigid"
        )
    floor = figures.get("floor_rmse_px", 0.0)
    if floor > limits["floor_residual"] * longest:
        reasons.append(
            f"the floor recording does not fit the rig ({floor:.1f} px, limit "
            f"{limits['floor_residual'] * longest:.1f} px): were cameras moved or exchanged?"
        )
    return tuple(reasons)


def board_reasons(seen: NDArray[np.bool_], limits: Mapping[str, float]) -> tuple[str, ...]:
    """Return why the board cannot be the one that was filmed, from what V views saw (V, K) of it.

    A part that is in no view is another board's: the file has more rows or columns.
    """
    views, corners = seen.shape
    never = corners - int(seen.any(axis=0).sum())
    if views < _ENOUGH_VIEWS or never < limits["corners_never_seen"] * corners:
        return ()
    return (
        f"{never} of the board's {corners} corners were seen in none of {views} views: is this the "
        "board that was filmed?",
    )


def camera_reasons(
    name: str, own: Mapping[str, float], limits: Mapping[str, float], longest: int
) -> tuple[str, ...]:
    """Return what of one camera's figures is over its limit."""
    reasons = []
    if own["shared_poses"] < limits["shared_poses"]:
        reasons.append(
            f"{name}: shares {own['shared_poses']:.0f} board poses with other cameras, "
            f"{limits['shared_poses']:.0f} are needed"
        )
    if own["focal_sigma_px"] > limits["focal_sigma"] * own["focal_px"]:
        reasons.append(
            f"{name}: the lens is not determined (focal length {own['focal_px']:.0f} +- "
            f"{1.96 * own['focal_sigma_px']:.0f} px): show the board closer and tilted"
        )
    if own["centre_sigma_px"] > limits["centre_sigma"] * longest:
        reasons.append(
            f"{name}: the lens is not determined (principal point +- "
            f"{1.96 * own['centre_sigma_px']:.0f} px): show the board closer and tilted"
        )
    if own["dropped_views"] > limits["dropped_views"]:
        reasons.append(
            f"{name}: {100 * own['dropped_views']:.0f} % of its views disagree with the other "
            "cameras: are its times right?"
        )
    if own["position_sigma_mm"] > limits["camera_position_mm"]:
        reasons.append(
            f"{name}: its place is known to {own['position_sigma_mm']:.0f} mm only, "
            f"{limits['camera_position_mm']:.0f} mm are needed"
        )
    change, sigma = own.get("lens_change", 1.0), own.get("lens_change_sigma", 0.0)
    if abs(change - 1) > max(limits["lens_change"], _LENS_CHANCE * sigma):
        reasons.append(
            f"{name}: its focal length is {100 * (change - 1):+.1f} ± {196 * sigma:.1f} % "
            "different in the lens recording: was the lens turned, or are two cameras exchanged?"
        )
    return tuple(reasons)


def notes_of(
    figures: Mapping[str, float],
    cameras: Mapping[str, Mapping[str, float]],
    limits: Mapping[str, float],
) -> tuple[str, ...]:
    """Return what to say of an accepted rig, too."""
    notes = []
    timed = {n: own["time_offset_s"] for n, own in cameras.items() if "time_offset_s" in own}
    sure = [
        abs(offset) > _NO_CHANCE * cameras[n]["time_offset_sigma_s"] for n, offset in timed.items()
    ]
    if figures["asynchrony"] > limits["asynchrony"] or any(sure):
        if timed and not any(sure):
            notes.append(
                f"the views of one board pose disagree by {figures['asynchrony']:.0f} times what "
                "the corner noise explains, but not by the cameras' times, which agree; the "
                "covariance allows for it"
            )
        elif timed:
            late = ", ".join(f"{n} {1e3 * offset:+.0f} ms" for n, offset in timed.items())
            notes.append(
                f"the cameras do not share a shutter; their frames' times are off by {late}, which "
                "is solved for and allowed for"
            )
        else:
            notes.append(
                f"the views of one board pose disagree by {figures['jitter_mm']:.1f} mm, "
                f"{figures['asynchrony']:.0f} times what the corner noise explains: the cameras do "
                "not share a shutter; the covariance allows for it"
            )
    rows = [
        f"{n} {1e3 * own['readout_s']:.1f} ± {1960 * own['readout_sigma_s']:.1f} ms"
        for n, own in cameras.items()
        if "readout_s" in own
    ]
    if rows:
        notes.append(
            f"the rows of a frame are read out one after the other, in {', '.join(rows)}, which is "
            "solved for; the frames' times are those of their middle rows"
        )
    narrow = [n for n, own in cameras.items() if own["coverage"] < limits["coverage"]]
    if narrow:
        notes.append(
            f"{', '.join(narrow)}: the board was seen in less than "
            f"{100 * limits['coverage']:.0f} % of the image; outside of it the lens is extrapolated"
        )
    return tuple(notes)


def step_reasons(step: Step | None, limits: Mapping[str, float]) -> tuple[str, ...]:
    """Return that a camera was knocked, or its lens turned, within the recording."""
    if step is None:
        return ()
    moved = step.shift_mm > limits["moved_mm"] or step.turn_deg > limits["moved_deg"]
    if not moved and abs(step.focal) <= limits["moved_focal"]:
        return ()
    return (
        f"{step.camera} moved, or its lens was turned, {step.t:.1f} s into the recording: the "
        f"board then lies {step.shift_mm:.1f} mm elsewhere in its view, its axes are turned by "
        f"{step.turn_deg:.2f} degrees and its focal length by {100 * step.focal:+.2f} % "
        f"(p = {step.p_value:.0e}): record again, with nobody touching a camera",
    )


def start_reasons(starts: Starts | None, limits: Mapping[str, float]) -> tuple[str, ...]:
    """Return that the solution depends on where it starts."""
    if starts is None:
        return ()
    reasons = []
    if starts.spread_mm > limits["spread_over_starts_mm"]:
        better = ", one of them better" if starts.better else ""
        reasons.append(
            f"{starts.tried} further starts end up to {starts.spread_mm:.1f} mm apart and fit as "
            f"well{better} (limit {limits['spread_over_starts_mm']} mm): show the board to more "
            "cameras at once, closer and tilted"
        )
    elif starts.agreeing < starts.tried / 2 and not starts.timed:
        reasons.append(
            f"only {starts.agreeing} of {starts.tried} further starts end at the same solution: "
            "show the board to more cameras at once, closer and tilted"
        )
    return tuple(reasons)


def scale_reasons(
    scales: Sequence[ScaleCheck], limits: Mapping[str, float]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return reasons and notes of second known lengths."""
    if not scales:
        return (), (
            "no second known length was given: the rig's scale is that of the board's square as "
            "typed in, and nothing has checked it",
        )
    reasons, notes = [], []
    for one in scales:
        away = f"{100 * (one.ratio - 1):+.2f} ± {196 * one.sigma:.2f} %"
        if not np.isfinite(one.ratio):
            reasons.append(f"{one.what} was not seen often enough to check the rig's scale")
        elif abs(one.ratio - 1) > max(limits["known_length"], _NO_CHANCE * one.sigma):
            reasons.append(
                f"{one.what} measures {away} wrong in the rig: was the board's square measured "
                "right, and is it the right board?"
            )
        else:
            notes.append(f"{one.what} measures {away} off in the rig")
    return tuple(reasons), tuple(notes)


def pelvis_reasons(figures: Mapping[str, float], limits: Mapping[str, float]) -> tuple[str, ...]:
    """Return that a patient's pelvis would not be placed well enough."""
    sigma = figures["pelvis_sigma_mm"]
    if sigma <= limits["pelvis_mm"]:
        return ()
    if not np.isfinite(sigma):
        return ("where a patient's pelvis would be, fewer than two cameras see a point",)
    return (
        f"a point at the pelvis is placed to {sigma:.1f} mm only (standard deviation), "
        f"{limits['pelvis_mm']:.0f} mm are needed: show the board there to more cameras at once",
    )


def shape_reasons(
    shape: BoardShape | None, limits: Mapping[str, float], solved_for: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return reasons and notes of a board that is not as planned, its shape solved for or not."""
    if shape is None:
        return (), ()
    bows = list(zip(shape.bow_mm, shape.bow_sigma_mm, ("columns", "rows"), strict=True))
    said = [
        f"the board is bowed by {abs(bow):.1f} ± {1.96 * sigma:.1f} mm along its {along}"
        for bow, sigma, along in bows
        if abs(bow) > max(limits["board_bow_mm"], _OTHER_VIEWS * sigma)
    ]
    stretch, sigma = shape.stretch, shape.stretch_sigma
    if abs(stretch) > max(limits["board_stretch"], _OTHER_VIEWS * sigma):
        said.append(
            f"the board's columns are {100 * stretch:+.2f} ± {196 * sigma:.2f} % wider than its "
            "rows against the plan"
        )
    if said:
        return (
            f"{'; '.join(said)}: glue the print on something flat and stiff, measure its square "
            "both ways, and record again",
        ), ()
    if solved_for:
        bent = [
            f"by {bow:+.1f} ± {1.96 * sigma:.1f} mm along its {along}" for bow, sigma, along in bows
        ]
        return (), (
            f"the board is bowed {', '.join(bent)} and stretched by {100 * stretch:+.2f} ± "
            f"{196 * sigma:.2f} %, which is solved for",
        )
    bow = max(bows, key=lambda one: abs(one[0]))
    if abs(bow[0]) > _OTHER_VIEWS * bow[1] and abs(bow[0]) > limits["board_bow_mm"] / 4:
        return (), (f"the board is bowed by {abs(bow[0]):.1f} ± {1.96 * bow[1]:.1f} mm",)
    return (), ()
