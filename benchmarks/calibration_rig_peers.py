"""Caliscope and aniposelib on the synthetic rigs of calibration_rig.py; run by a Python of theirs.

Both are given the true lens to start from, which they must otherwise find first (gaitlab starts
without), and free the lens parameters that they can: Caliscope f, k1, k2 (bootstrap, then one
adjustment with the board's distances as constraints), aniposelib f, k1 (its own start, then one
adjustment of all points and boards at once). Neither gives a covariance.

    PYTHON benchmarks/calibration_rig_peers.py TASK.npz PEER...

prints one line of JSON for each peer: seconds, R and T of the cameras, or what went wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import Any

import cv2
import numpy as np

SIZE = (1920, 1080)
SQUARES = (5, 7)
FEWEST = 8  # corners of a view


def caliscope(task: Any) -> tuple[np.ndarray, np.ndarray]:
    import pandas as pd
    from caliscope.api import (
        CameraArray,
        CameraData,
        CaptureVolume,
        Charuco,
        ConstraintSet,
        ImagePoints,
    )

    board = Charuco.from_squares(
        *SQUARES, square_size_cm=100 * float(task["square"]), dictionary="DICT_4X4_1000"
    )
    camera, pose, corner = np.nonzero(np.isfinite(task["obs"][..., 0]))
    xy, place = task["obs"][camera, pose, corner], task["board"][corner]
    table = {
        "sync_index": pose, "cam_id": camera, "frame_index": pose, "frame_time": pose * 1.0,
        "object_id": 0, "keypoint_id": corner, "img_loc_x": xy[:, 0], "img_loc_y": xy[:, 1],
        "obj_loc_x": place[:, 0], "obj_loc_y": place[:, 1], "obj_loc_z": place[:, 2],
    }  # fmt: skip
    points = ImagePoints(pd.DataFrame(table))
    cameras = CameraArray(
        {
            c: CameraData(c, SIZE, matrix=task["K"].copy(), distortions=task["dist"].copy())
            for c in range(len(task["obs"]))
        }
    )
    volume = CaptureVolume.bootstrap(points, cameras, constraints=ConstraintSet.from_charuco(board))
    solved = volume.optimize(refine_intrinsics=True).camera_array.cameras
    every = [solved[c] for c in range(len(task["obs"]))]
    return np.array([c.rotation for c in every]), np.array([c.translation for c in every])


def aniposelib(task: Any) -> tuple[np.ndarray, np.ndarray]:
    from aniposelib.boards import CharucoBoard, extract_points, extract_rtvecs, merge_rows
    from aniposelib.cameras import Camera, CameraGroup
    from aniposelib.utils import get_initial_extrinsics

    np.random.seed(0)  # noqa: NPY002 - its start draws from there
    square = float(task["square"])
    board = CharucoBoard(*SQUARES, square, 0.75 * square, 4, 1000)
    group = CameraGroup(
        [Camera(task["K"].copy(), task["dist"].copy(), SIZE, name=str(c))
         for c in range(len(task["obs"]))]
    )  # fmt: skip
    rows = []
    for camera, seen in zip(group.cameras, task["obs"], strict=True):
        own = []
        for number, xy in enumerate(seen):
            ids = np.flatnonzero(np.isfinite(xy[:, 0]))
            if len(ids) >= FEWEST:
                corners = xy[ids].reshape(-1, 1, 2)
                own.append({"framenum": number, "corners": corners, "ids": ids})
        rows.append(board.estimate_pose_rows(camera, board.fill_points_rows(own)))
    merged = merge_rows(rows)
    points, extra = extract_points(merged, board, min_cameras=2)
    turns, shifts = get_initial_extrinsics(extract_rtvecs(merged), group.get_names())
    group.set_rotations(turns)
    group.set_translations(shifts)
    group.bundle_adjust(points, extra, verbose=False)
    rotations = [cv2.Rodrigues(c.get_rotation())[0] for c in group.cameras]
    return np.array(rotations), np.array([c.get_translation() for c in group.cameras])


PEERS = {"caliscope": caliscope, "aniposelib": aniposelib}


def main() -> None:
    task = dict(np.load(sys.argv[1]))
    few = {**task, "obs": task["obs"][:4, :40]}
    for name in sys.argv[2:]:
        try:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                with contextlib.suppress(Exception):
                    PEERS[name](few)  # compiled and imported once, then warm
                clock = time.perf_counter()
                rotations, translations = PEERS[name](task)
                seconds = time.perf_counter() - clock
            result = {"R": rotations.tolist(), "T": translations.tolist(), "seconds": seconds}
        except Exception as error:  # noqa: BLE001 - whatever a peer meets, the next is measured
            result = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps({"peer": name, **result}), flush=True)


if __name__ == "__main__":
    main()
