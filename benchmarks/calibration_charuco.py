"""The real board recording: our calibration from its even frames, judged on its odd ones.

Claim: the rig of four webcams that do not share a shutter measures the board's own distances as
well as the best peer, from this recording alone. The judge is holdout.py of the tools folder
(GAITLAB_TOOLS, or ../shared/tools beside the repository), the recording lies in the data folder
(GAITLAB_DATA, or ../shared/data). The peers' figures were measured by the same judge on the same
corners (2026-11; caliscope 0.11.8, aniposelib 0.8.0) and stand here as given.

Run: python benchmarks/calibration_charuco.py
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from calibration.board import Board  # noqa: E402
from calibration.detect import detect_videos, video_size  # noqa: E402
from calibration.rig_calibration import calibrate  # noqa: E402
from calibration.times import read_times  # noqa: E402
from lab.points import Keypoints2D  # noqa: E402
from lab.rig import Rig  # noqa: E402

PEERS = (
    ("caliscope, delivered intrinsics", 1.296, 0.765, 0.727),
    ("caliscope, intrinsics from the same recording", 1.408, 1.180, 1.017),
    ("caliscope, intrinsics from the lens clips, every 5th frame", 1.744, 1.447, 2.710),
    ("caliscope, intrinsics from the lens clips, every frame", 16.7, 4.79, 7.58),
    ("caliscope, no intrinsics (joint)", 1.887, 3.005, 2.555),
    ("aniposelib, intrinsics from the same recording", 1.360, 1.014, 1.07),
    ("aniposelib, delivered intrinsics", 1.335, 0.914, 0.934),
    ("reference: rigid boards, delivered intrinsics", 1.269, 0.694, 0.671),
)


def holdout_tool() -> object:
    folder = Path(os.environ.get("GAITLAB_TOOLS", ROOT.parent / "shared" / "tools"))
    spec = importlib.util.spec_from_file_location("holdout", folder / "holdout.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"no holdout.py in {folder}")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def write_json(rig: Rig, path: Path) -> None:
    cameras = {
        str(i): {
            "K": c.matrix.tolist(),
            "dist": c.coefficients.tolist(),
            "R": c.cam_from_lab.rotation.tolist(),
            "t": c.cam_from_lab.translation.tolist(),
            "size": list(c.size_px),
        }
        for i, c in enumerate(rig.cameras)
    }
    path.write_text(json.dumps({"cams": cameras}, indent=1))


def judged(tool: object, rig: Rig, data: Path) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calibration.json"
        write_json(rig, path)
        result = tool.evaluate(
            tool.load_calib(path),
            tool.read_csv(data / "charuco_corners_even_odd.csv"),
            np.loadtxt(data / "board_corners_m.csv", delimiter=","),
            "odd",
        )
    return (
        result["reproj_rmse_px"],
        result["dist_all_pairs"]["rmse_mm"],
        result["kabsch_residual"]["rmse_mm"],
    )


def main() -> None:
    data = Path(os.environ.get("GAITLAB_DATA", ROOT.parent / "shared" / "data")) / "charuco"
    board = Board.from_toml(data / "board_as_given.toml")
    names = [f"cam_{i}" for i in range(4)]
    times = {
        camera: {frame: t for frame, t in by_frame.items() if frame % 2 == 0}
        for camera, by_frame in read_times(data / "wave" / "times.csv").items()
    }
    clock = time.perf_counter()
    wave = detect_videos({n: data / "wave" / f"{n}.mp4" for n in names}, board, times=times)
    detection = time.perf_counter() - clock
    clips: dict[str, Keypoints2D] = detect_videos(
        {n: data / "lens" / f"{n}.mp4" for n in names}, board
    )
    sizes = {n: video_size(data / "wave" / f"{n}.mp4") for n in names}
    tool = holdout_tool()
    print(f"{'calibration':62}{'px':>8}{'distance mm':>13}{'rigid mm':>10}")
    for name, px, distance, rigid in PEERS:
        print(f"{name:62}{px:8.3f}{distance:13.3f}{rigid:10.3f}")
    for name, lens in (
        ("gaitlab, this recording alone", None),
        ("gaitlab, with lens clips", clips),
    ):
        clock = time.perf_counter()
        rig = calibrate(wave, sizes, board, lens_from=lens)
        again = calibrate(wave, sizes, board, lens_from=lens)
        seconds = (time.perf_counter() - clock) / 2
        px, distance, rigid = judged(tool, rig, data)
        print(f"{name:62}{px:8.3f}{distance:13.3f}{rigid:10.3f}")
        print(f"    accepted {rig.quality.accepted}, {seconds:.1f} s, same bytes twice: ", end="")
        print(rig.sha256 == again.sha256)
        for reason in rig.quality.reasons:
            print(f"    - {reason}")
    print(f"detection of the 222 even frames: {detection:.1f} s")


if __name__ == "__main__":
    main()
