"""Rigs in other programs' files, projected by those programs' own readers.

Claim: a point seen by a camera of our rig lands on the same pixel (to 1e-6 px; a refitted lens: to
its reported residual) when aniposelib, Caliscope or Pose2Sim read the file that `gaitlab rig
export` wrote, and the file that they write comes back to the same cameras. The peers run in a
Python of their own: --peer-python or GAITLAB_PEER_PYTHON; without it they are skipped.

Run: python benchmarks/calibration_formats.py [--peer-python PYTHON]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from calibration.formats.door import read_rig, write_rig_as  # noqa: E402
from lab.camera import Camera  # noqa: E402
from lab.pose import Pose  # noqa: E402
from lab.rig import Rig, RigQuality  # noqa: E402

# Each reads a file, projects points (n, 3) by every camera and writes the file again where it can.
PEERS = {
    "aniposelib": """
import sys, numpy as np
from aniposelib.cameras import CameraGroup
folder = sys.argv[1]
group = CameraGroup.load(folder + "/aniposelib.toml")
points = np.load(folder + "/points.npy")
found = np.array(group.project(points)).reshape(len(group.cameras), -1, 2)
np.save(folder + "/aniposelib.npy", found)
group.dump(folder + "/aniposelib_again.toml")
""",
    "caliscope": """
import sys, cv2, numpy as np
from caliscope.cameras.camera_array import CameraArray
folder = sys.argv[1]
array = CameraArray.from_toml(folder + "/caliscope.toml")
points, found = np.load(folder + "/points.npy"), []
for camera in array.cameras.values():
    # Caliscope has no projection of its own; its undistortion is compared instead.
    pixels = np.load(folder + "/pixels.npy")[len(found)]
    undone = camera.undistort_points(pixels, output="normalized")
    inside = points @ camera.rotation.T + camera.translation.ravel()
    off = undone - inside[:, :2] / inside[:, 2:]
    found.append(pixels + off * camera.matrix[[0, 1], [0, 1]])
np.save(folder + "/caliscope.npy", np.array(found))
array.to_toml(folder + "/caliscope_again.toml")
""",
    "pose2sim": """
import sys, cv2, numpy as np
from pathlib import Path
from Pose2Sim.common import retrieve_calib_params, computeP
from Pose2Sim.calibration import toml_write
folder = sys.argv[1]
path = Path(folder + "/pose2sim.toml")
p = retrieve_calib_params(path)
points = np.load(folder + "/points.npy")
found = [cv2.projectPoints(points, np.array(r), np.array(t), k, d)[0].reshape(-1, 2)
         for r, t, k, d in zip(p["R"], p["T"], p["K"], p["dist"])]
np.save(folder + "/pose2sim.npy", np.array(found))
computeP(path, undistort=True)
names = ["cam%d" % i for i in range(len(found))]
toml_write(folder + "/pose2sim_again.toml", names, p["S"], p["dist"], p["K"], p["R"], p["T"])
""",
    "pose2sim, easymocap": """
import sys, cv2, numpy as np
from Pose2Sim.calibration import calib_easymocap_fun
folder = sys.argv[1]
points = np.load(folder + "/points.npy")
files = [folder + "/easymocap/extri.yml", folder + "/easymocap/intri.yml"]
_, _, _, D, K, R, T = calib_easymocap_fun(files)
# It drops the fifth coefficient and with it k3: lenses here have none in this file.
found = [cv2.projectPoints(points, r, t, k, d)[0].reshape(-1, 2) for r, t, k, d in zip(R, T, K, D)]
np.save(folder + "/pose2sim, easymocap.npy", np.array(found))
""",
    "pose2sim, qualisys": """
import sys, cv2, numpy as np
from Pose2Sim.calibration import calib_qca_fun
folder = sys.argv[1]
points = np.load(folder + "/points.npy")
_, _, _, D, K, R, T = calib_qca_fun(folder + "/qualisys.qca.txt")
found = [cv2.projectPoints(points, r, t, k, 64 * d)[0].reshape(-1, 2)
         for r, t, k, d in zip(R, T, K, D)]
np.save(folder + "/pose2sim, qualisys.npy", np.array(found))
""",
}  # fmt: skip
REMARKS = {
    "pose2sim, qualisys": "Pose2Sim keeps the file's pixel origin (0.5 px in x and y) and divides "
    "the distortion by 64, which is undone here",
}


# Pose2Sim imports what it plots and films with at the top of its modules; nothing of it is used.
PLOTLESS = """
import importlib.machinery, sys, types, unittest.mock
class Plotless(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return unittest.mock.MagicMock()
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in OTHERS:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        return Plotless(spec.name)
    def exec_module(self, module):
        pass
OTHERS = {"matplotlib", "mpl_toolkits", "PyQt5", "mpl_interactions", "anytree", "opensim", "lxml",
          "statsmodels", "filterpy", "c3d", "PIL", "Sports2D", "imageio", "bs4"}
try:
    import lxml
    OTHERS.discard("lxml")
except ImportError:
    import xml.etree, xml.etree.ElementTree
    sys.modules["lxml"] = xml.etree
    xml.etree.etree = sys.modules["lxml.etree"] = xml.etree.ElementTree
sys.meta_path.append(Absent())
"""


def make_rig(models: list[str]) -> Rig:
    coefficients = {
        "brown4": [-0.1, 0.02, 1e-3, -2e-3],
        "brown5": [-0.1, 0.02, 1e-3, -2e-3, 0.01],
        "brown8": [0.1, 0.02, 1e-3, -2e-3, 0.01, 0.2, 0.03, 0.001],
        "fisheye": [-0.03, 0.01, -0.002, 0.001],
    }
    cameras = []
    for i, model in enumerate(models):
        angle = 2 * np.pi * i / len(models)
        centre = np.array([4 * np.cos(angle), 4 * np.sin(angle), 1.5])
        forward = np.array([0, 0, 1.0]) - centre
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        lens = np.array([1100.5 + i, 1103.25, 955.5, 541.75, *coefficients[model]])
        cameras.append(
            Camera(f"cam{i}", (1920, 1080), model, lens, Pose(rotation, -rotation @ centre))
        )
    size = sum(6 + len(c.intrinsics) for c in cameras)
    unknown = np.full((size, size), np.nan)
    return Rig(tuple(cameras), unknown, RigQuality(True, (), {}, {}), "", "")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer-python", default=os.environ.get("GAITLAB_PEER_PYTHON", ""))
    python = parser.parse_args().peer_python
    if not python:
        print("skipped: give --peer-python or GAITLAB_PEER_PYTHON, a Python that has the peers")
        return
    every = make_rig(["brown4", "brown5", "brown8", "fisheye"])
    plain = make_rig(["brown4"] * 4)
    points = np.random.default_rng(0).uniform([-1, -1, 0], [1, 1, 2], (500, 3))
    rigs = {
        "aniposelib": (every, "aniposelib", "aniposelib.toml"),
        "caliscope": (every, "caliscope", "caliscope.toml"),
        "pose2sim": (every, "pose2sim", "pose2sim.toml"),
        "pose2sim, easymocap": (plain, "easymocap", "easymocap"),
        "pose2sim, qualisys": (plain, "qualisys", "qualisys.qca.txt"),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "points.npy", points)
        np.save(folder / "pixels.npy", np.stack([c.project(points) for c in every.cameras]))
        for peer, (rig, format, file) in rigs.items():
            written = write_rig_as(rig, format, folder / file)
            code = (PLOTLESS if peer.startswith("pose2sim") else "") + PEERS[peer]
            run = subprocess.run(
                [python, "-c", code, str(folder)], capture_output=True, text=True, check=False,
            )  # fmt: skip
            if run.returncode:
                print(f"{peer:22} skipped: {(run.stderr.strip().splitlines() or ['?'])[-1]}")
                continue
            theirs = np.load(folder / f"{peer}.npy")
            ours = np.stack([c.project(points) for c in rig.cameras])
            off = theirs - ours
            result = {
                "largest_difference_px": [float(np.abs(d).max()) for d in off],
                "mean_difference_px": off.mean((0, 1)).round(9).tolist(),
                "refits": [r.text for r in written.refits],
            }
            again = folder / f"{format}_again.toml"
            if again.is_file():
                back = read_rig(again)
                result["their_file_read_px"] = [
                    float(np.abs(a.project(points) - t).max())
                    for a, t in zip(back.cameras, theirs, strict=True)
                ]
            print(f"{peer:22} {json.dumps(result)}")
            if peer in REMARKS:
                print(f"{'':22} ({REMARKS[peer]})")


if __name__ == "__main__":
    main()
