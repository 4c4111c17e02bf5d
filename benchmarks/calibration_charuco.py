"""The real board recording: our calibration from its even frames, judged on its odd ones.

Claim: the rig of four webcams that do not share a shutter measures the board's own distances, and
its shape, better than every peer whose lenses are from this recording alone: on raw corners, as the
peers were judged, without time offsets, as the peers have none; with offsets on corners shifted.
The judge is holdout.py of the tools folder (GAITLAB_TOOLS, or ../shared/tools beside the
repository), the recording lies in the data folder
(GAITLAB_DATA, or ../shared/data). The peers' figures were measured by the same judge on the same
corners (2026-11; caliscope 0.11.8, aniposelib 0.8.0) and stand here as given.

The cameras do not share a shutter, so the corners of one frame number are of different instants:
"raw" judges them as they are, which blames the rig for the board's motion. "Shifted" moves every
corner of a camera linearly in time, along its own track (frames before and after), to one instant
for all cameras: the mean of the corrected stamps of those that saw the board. The rig is solved
with time offsets and without; corners are shifted by the offsets solved, or by the stamps alone.

The lens clip of cam_1 is a mirrored video. `gaitlab calibrate` refuses it; here its corners are
flipped back to where the sensor saw them, which is said.

Run: python benchmarks/calibration_charuco.py [--no-clips]
"""

from __future__ import annotations

import argparse
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
from calibration.times import Times, read_times  # noqa: E402
from lab.errors import LabError  # noqa: E402
from lab.points import Keypoints2D  # noqa: E402
from lab.rig import Rig  # noqa: E402

Figures = tuple[float, float, float, int]
LONGEST_STEP_S = 0.5  # a track with a longer gap is not followed

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


def shifted(corners: np.ndarray, stamps: Times, offsets: list[float]) -> np.ndarray:
    """Move the corners of each frame number to one instant, along their own tracks."""
    frame, camera = corners["sync_index"].astype(int), corners["cam"].astype(int)
    corner = corners["corner_id"].astype(int)
    at = {
        (f"cam_{c}", f): t + offsets[c]
        for c in range(len(offsets))
        for f, t in stamps[f"cam_{c}"].items()
    }
    t = np.array([at[f"cam_{c}", f] for c, f in zip(camera, frame, strict=True)])
    result, kept = corners.copy(), np.zeros(len(corners), bool)
    instants = {
        f: np.mean([t[(frame == f) & (camera == c)][0] for c in np.unique(camera[frame == f])])
        for f in np.unique(frame)
    }
    for c in np.unique(camera):
        for k in np.unique(corner[camera == c]):
            track = np.flatnonzero((camera == c) & (corner == k))
            track = track[np.argsort(t[track])]
            for i in track:
                wanted = instants[frame[i]]
                after = int(np.searchsorted(t[track], wanted))
                if not 0 < after < len(track):
                    if after < len(track) and t[track[after]] == wanted:
                        kept[i] = True
                    continue
                a, b = track[after - 1], track[after]
                if t[b] - t[a] > LONGEST_STEP_S:
                    continue
                part = (wanted - t[a]) / (t[b] - t[a])
                for axis in ("x", "y"):
                    result[axis][i] = (1 - part) * corners[axis][a] + part * corners[axis][b]
                kept[i] = True
    return result[kept]


def judged(tool: object, rig: Rig, data: Path, corners: np.ndarray) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calibration.json"
        write_json(rig, path)
        result = tool.evaluate(
            tool.load_calib(path),
            corners,
            np.loadtxt(data / "board_corners_m.csv", delimiter=","),
            "odd",
        )
    return (
        result["reproj_rmse_px"],
        result["dist_all_pairs"]["rmse_mm"],
        result["kabsch_residual"]["rmse_mm"],
        result["n_obs_used"],
    )


def solved(
    wave: dict[str, Keypoints2D],
    sizes: dict[str, tuple[int, int]],
    board: Board,
    clips: dict[str, Keypoints2D] | None,
    with_offsets: bool,
) -> Rig:
    shutter = "auto" if with_offsets else "common"
    return calibrate(wave, sizes, board, lens_from=clips, shutter=shutter)


def main() -> None:
    data = Path(os.environ.get("GAITLAB_DATA", ROOT.parent / "shared" / "data")) / "charuco"
    board = Board.from_toml(data / "board_as_given.toml")
    names = [f"cam_{i}" for i in range(4)]
    times = {
        camera: {frame: t for frame, t in by_frame.items() if frame % 2 == 0}
        for camera, by_frame in read_times(data / "wave" / "times.csv").items()
    }
    parser = argparse.ArgumentParser()
    parser.add_argument("--no-clips", action="store_true", help="this recording alone")
    alone = parser.parse_args().no_clips
    clock = time.perf_counter()
    wave = detect_videos({n: data / "wave" / f"{n}.mp4" for n in names}, board, times=times)
    detection = time.perf_counter() - clock
    films = {n: data / "lens" / f"{n}.mp4" for n in names}
    try:
        detect_videos(films, board)
    except LabError as refused:
        print(f"the lens clips as they are: {refused.what}: refused by the verb, flipped here")
    clips = {} if alone else detect_videos(films, board, mirrored="flip")
    sizes = {n: video_size(data / "wave" / f"{n}.mp4") for n in names}
    tool = holdout_tool()
    corners = tool.read_csv(data / "charuco_corners_even_odd.csv")
    stamps = read_times(data / "wave" / "times.csv")
    print(f"{'calibration':62}{'px':>8}{'distance mm':>13}{'rigid mm':>10}{'corners':>9}")
    for name, px, distance, rigid in PEERS:
        print(f"{name:62}{px:8.3f}{distance:13.3f}{rigid:10.3f}{935:9d}")
    for name, lens, with_offsets in (
        ("gaitlab, this recording alone", None, True),
        ("gaitlab, this recording alone, no time offsets", None, False),
        ("gaitlab, with lens clips", clips, True),
        ("gaitlab, with lens clips, no time offsets", clips, False),
    ):
        if lens == {}:
            continue
        clock = time.perf_counter()
        rig = solved(wave, sizes, board, lens, with_offsets)
        seconds = time.perf_counter() - clock
        offsets = [rig.quality.cameras[n].get("time_offset_s", 0.0) for n in names]
        for what, judged_on in (
            ("raw corners", corners),
            ("shifted corners", shifted(corners, stamps, offsets)),
        ):
            px, distance, rigid, used = judged(tool, rig, data, judged_on)
            print(f"{name + ', ' + what:62}{px:8.3f}{distance:13.3f}{rigid:10.3f}{used:9d}")
        again = solved(wave, sizes, board, lens, with_offsets)
        print(f"    accepted {rig.quality.accepted}, {seconds:.1f} s, same bytes twice: ", end="")
        print(rig.sha256 == again.sha256)
        for reason in rig.quality.reasons:
            print(f"    - {reason}")
    print(f"detection of the 222 even frames: {detection:.1f} s")


if __name__ == "__main__":
    main()
