"""gaitlab doctor: what is missing on this machine, and the one command that mends it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys

from console.terminal import REFUSED, out, write_json
from console.verbs.options import AsJson

_NEEDED = {
    "av": "av",
    "cv2": "opencv-contrib-python-headless",
    "ezc3d": "ezc3d",
    "h5py": "h5py",
    "msgspec": "msgspec",
    "numba": "numba",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "scipy": "scipy",
    "typst": "typst",
}
_OPENCV = "opencv-contrib-python-headless"
_CLASHING = ("opencv-python", "opencv-contrib-python", "opencv-python-headless")


def doctor(json: AsJson = False) -> int:
    """Tell what is missing on this machine, and the one command that mends it."""
    faults = find_faults()
    if json:
        write_json({"healthy": not faults, "faults": faults})
    elif not faults:
        out.print("✓ everything gaitlab needs is here", style="green")
    else:
        for fault in faults:
            out.print(f"✗ {fault['what']}\n  mend it with: {fault['remedy']}", markup=False)
    return REFUSED if faults else 0


def find_faults() -> list[dict[str, str]]:
    """Return what is wrong, each with the command that mends it."""
    faults = []
    for module, distribution in _NEEDED.items():
        if importlib.util.find_spec(module) is None:
            faults.append(
                {
                    "what": f"{distribution} is not installed",
                    "remedy": f"{sys.executable} -m pip install {distribution}",
                }
            )
    installed = {d.metadata["Name"].lower() for d in importlib.metadata.distributions()}
    clashing = [name for name in _CLASHING if name in installed]
    if clashing:
        faults.append(
            {
                "what": f"a second OpenCV is installed beside ours: {', '.join(clashing)}",
                "remedy": f"{sys.executable} -m pip uninstall -y {' '.join(clashing)} && "
                f"{sys.executable} -m pip install --force-reinstall {_OPENCV}",
            }
        )
    return faults
