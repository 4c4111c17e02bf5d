"""Vicon calibrations (.xcp, XML), in.

Lengths in mm, pixels of the sensor. ORIENTATION is a quaternion x, y, z, w that turns the lab into
the camera's axes (x right, y down, z forward), POSITION the camera's centre. Vicon's lens runs the
other way from OpenCV's: with r the distance in px of a pixel *as seen* from the radial centre, the
pixel without distortion is centre + (seen - centre) (1 + k1 r^2 + k2 r^4 + k3 r^6). VICON_RADIAL
holds k1, k2 about the principal point; VICON_RADIAL2 "Vicon3Parameter" the centre and k1 to k3. So
the lens has to be refitted, and its residual is reported. (Attributes: Vicon's reference "About
calibration data (XCP) files"; the direction of the lens is not in it: open readers that projected
the other cameras of a rig into a view found them on their ring lights this way round only.)

Where the sensor's pixel (0, 0) lies is not documented; it is taken as OpenCV's, which leaves half a
pixel in doubt.
"""

from __future__ import annotations

# scipy carries no type information.
# pyright: reportMissingTypeStubs=false
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from calibration.formats.qualisys import read_xml
from calibration.formats.reading import camera_of, foreign_rig, image_size, number, texts
from calibration.formats.refit import Refit, fit_lens, image_grid
from lab.camera import Camera
from lab.checks import FloatArray
from lab.errors import FileError
from lab.pose import Pose
from lab.rig import Rig

_MM = 0.001
_LENS = "Vicon's radial polynomial"


def read_xcp(path: Path | str) -> Rig:
    """Read a Vicon calibration: its video cameras, or all where it has none.

    A camera is named by its DEVICEID, as Nexus names its videos.

    Returns:
        The rig in the lab frame of the file (z up), its covariance NaN; the pixels that the refit
        of each lens costs stand in its figures and notes.

    Raises:
        FileError: When the file is missing, damaged, lacks a number, or a camera of it moves.
    """
    path = Path(path)
    elements = read_xml(path).findall("Camera")
    calibrated = [e for e in elements if e.find("KeyFrames/KeyFrame") is not None]
    filming = [e for e in calibrated if "VIDEO" in e.get("TYPE", "").upper()]
    cameras: list[Camera] = []
    refits: list[Refit] = []
    figures: dict[str, dict[str, float]] = {}
    for element in filming or calibrated:
        name = element.get("DEVICEID") or ""
        where = f"{path}, camera {name or len(cameras) + 1}"
        if not name:
            raise FileError("a camera has no DEVICEID, so no name", where=where)
        camera, refit = _camera(element, name, where)
        cameras.append(camera)
        refits.append(refit)
        figures[name] = {
            "lens_refit_rms_px": refit.rms_px,
            "lens_refit_max_px": refit.max_px,
        }
    left_out = len(elements) - len(cameras)
    notes = [refit.text for refit in refits]
    if left_out:
        notes.append(f"{left_out} further cameras of the file do not film or are not calibrated")
    notes.append(
        "where a Vicon sensor's first pixel is counted from is not documented: half a pixel is "
        "in doubt"
    )
    return foreign_rig(cameras, path, "Vicon", figures=figures, notes=notes)


def _camera(element: ElementTree.Element, name: str, where: str) -> tuple[Camera, Refit]:
    frames = element.findall("KeyFrames/KeyFrame")
    if len({frame.get("POSITION") for frame in frames}) > 1:
        raise FileError("the camera moves during the recording, which is not read", where=where)
    own, key = element.attrib, frames[0].attrib
    for missing in [k for k in ("ORIENTATION", "POSITION", "PRINCIPAL_POINT") if k not in key]:
        raise FileError(f"{missing} is missing", where=where)
    if "SENSOR_SIZE" not in own:
        raise FileError("SENSOR_SIZE is missing", where=where)
    if "SKEW" in own and number(own, "SKEW", where) != 0:
        raise FileError("a lens with skew is not supported", where=where)
    size = image_size(texts(own["SENSOR_SIZE"], 2, "SENSOR_SIZE", where), where)
    quaternion = texts(key["ORIENTATION"], 4, "ORIENTATION", where)
    if not 0.999 < np.linalg.norm(quaternion) < 1.001:
        raise FileError("ORIENTATION is not a unit quaternion", where=where)
    rotation = Rotation.from_quat(quaternion).as_matrix()
    centre = _MM * texts(key["POSITION"], 3, "POSITION", where)
    focal = number(key, "FOCAL_LENGTH", where)
    aspect = number(own, "PIXEL_ASPECT_RATIO", where) if "PIXEL_ASPECT_RATIO" in own else 1.0
    if focal <= 0 or aspect <= 0:
        raise FileError("the focal length or the aspect ratio is not positive", where=where)
    point = texts(key["PRINCIPAL_POINT"], 2, "PRINCIPAL_POINT", where)
    middle, k = _radial(key, point, where)
    seen = image_grid(size)
    off = seen - middle
    r2 = (off**2).sum(1, keepdims=True)
    ideal = middle + off * (1 + r2 * (k[0] + r2 * (k[1] + r2 * k[2])))
    focals = np.array([focal, focal / aspect])
    # An ideal pixel must move outward with the seen one, or the polynomial has folded.
    slope = 1 + r2 * (3 * k[0] + r2 * (5 * k[1] + r2 * 7 * k[2]))
    if (slope <= 0).any():
        raise FileError("its radial distortion folds within the image", where=where)
    directions = (ideal - point) / focals
    start = np.concatenate([focals, point, np.zeros(5)])
    pose = Pose(rotation, -rotation @ centre)
    checked = camera_of(name, size, "brown5", start.tolist(), pose, where)
    return fit_lens(name, size, "brown5", start, seen, directions, _LENS, checked.cam_from_lab)


def _radial(key: dict[str, str], point: FloatArray, where: str) -> tuple[FloatArray, FloatArray]:
    """Return the centre (2,) px and k1, k2, k3 of the radial polynomial in px."""
    if "VICON_RADIAL2" in key:
        kind, _, rest = key["VICON_RADIAL2"].partition(" ")
        if kind != "Vicon3Parameter":
            raise FileError(f"the lens model {kind!r} is not known", where=where)
        values = texts(rest, 5, "VICON_RADIAL2", where)
        return values[:2], values[2:]
    if "VICON_RADIAL" in key:
        return point, np.append(texts(key["VICON_RADIAL"], 2, "VICON_RADIAL", where), 0.0)
    raise FileError("VICON_RADIAL2 and VICON_RADIAL are missing", where=where)
