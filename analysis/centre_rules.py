"""Where a joint's centre lies, from the markers on the skin about it."""

from __future__ import annotations

import numpy as np

from analysis.segments import unit
from lab.checks import FloatArray

# Davis et al., Hum Mov Sci 10:575 (1991), hip centre: 28.4 and 18 degrees. Plug-in Gait writes the
# two angles in radians to these digits.
_DAVIS_THETA_RAD = 0.5
_DAVIS_BETA_RAD = 0.314


def asis_trochanter_distance_mm(leg_length_mm: float) -> float:
    """Return Plug-in Gait's estimate of the ASIS to greater trochanter distance along the pelvis.

    Vicon, Plug-in Gait Reference Guide, lower body model: 0.1288 leg length - 48.56 mm.
    """
    return 0.1288 * leg_length_mm - 48.56


def davis_hip_centre(
    mean_leg_length: float,
    inter_asis_distance: float,
    asis_trochanter: float,
    marker_radius: float,
    *,
    left: bool,
) -> FloatArray:
    """Return a hip joint centre (3,) m in the pelvis frame (x forward, y left, origin mid ASIS).

    Davis et al., Hum Mov Sci 10:575 (1991), with the leg length of both sides averaged as in
    Vicon's Plug-in Gait Reference Guide.

    Args:
        mean_leg_length: Of both legs, ASIS to medial malleolus, m.
        inter_asis_distance: m.
        asis_trochanter: Of this side, m.
        marker_radius: Of the marker with its base, m.
        left: The side.
    """
    depth = 0.115 * mean_leg_length - 0.0153
    sin_b, cos_b = np.sin(_DAVIS_BETA_RAD), np.cos(_DAVIS_BETA_RAD)
    sin_t, cos_t = np.sin(_DAVIS_THETA_RAD), np.cos(_DAVIS_THETA_RAD)
    back = asis_trochanter + marker_radius
    aside = inter_asis_distance / 2 - depth * sin_t
    return np.array(
        [
            depth * cos_t * sin_b - back * cos_b,
            aside if left else -aside,
            -depth * cos_t * cos_b - back * sin_b,
        ]
    )


def harrington_hip_centre(width: float, depth: float, *, left: bool) -> FloatArray:
    """Return a hip joint centre (3,) m in the pelvis frame (x forward, y left, origin mid ASIS).

    Harrington et al., J Biomech 40:595 (2007), the regressions on one measure each.

    Args:
        width: Between the ASIS, m.
        depth: Between the middle of the ASIS and the middle of the PSIS, m.
        left: The side.
    """
    aside = 0.33 * width + 0.0073
    return np.array([-0.24 * depth - 0.0099, aside if left else -aside, -0.30 * width - 0.0109])


def chord_centre(
    proximal: FloatArray,
    wand: FloatArray,
    lateral: FloatArray,
    offset: float,
    wand_angle: float = 0.0,
) -> FloatArray:
    """Find a knee or ankle centre by the chord construction of Plug-in Gait.

    The centre lies at `offset` from the marker on the lateral side, sees that marker and the
    proximal centre at a right angle, and, looked at along the limb, has the wand turned by
    `wand_angle` from the lateral marker (Davis et al., Hum Mov Sci 10:575, 1991; Kadaba et al.,
    J Orthop Res 8:383, 1990; Vicon's Plug-in Gait Reference Guide). The right angle leaves a
    circle about the line from the proximal centre to the marker; the condition on the wand is
    A sin g - B cos g = C in the angle g on that circle, and is solved as such.

    Args:
        proximal: Centre of the joint above (T, 3) m.
        wand: Marker on the segment (T, 3) m.
        lateral: Marker at the joint (T, 3) m.
        offset: Half the joint's width and the marker's radius, m.
        wand_angle: rad about the axis from the centre up to the proximal centre.

    Returns:
        (T, 3) m; NaN where a marker is missing or no such point exists.
    """
    line = lateral - proximal
    distance = np.linalg.norm(line, axis=-1, keepdims=True)
    u = unit(line)
    to_wand = wand - proximal
    along = (to_wand * u).sum(-1, keepdims=True)
    sideways = to_wand - along * u
    aside = np.linalg.norm(sideways, axis=-1, keepdims=True)
    v = unit(sideways)
    with np.errstate(invalid="ignore", divide="ignore"):
        limb = np.sqrt(distance**2 - offset**2)
        a = aside * np.cos(wand_angle)
        b = aside * (limb / distance) * np.sin(wand_angle)
        c = along * (offset / distance) * np.sin(wand_angle)
        g = np.arctan2(b, a) + np.arcsin(c / np.hypot(a, b))
        out = np.cos(g) * v + np.sin(g) * np.cross(u, v)
        return proximal + (limb**2 / distance) * u - (offset * limb / distance) * out
