"""Pre- and post-processing of pose networks beside rtmlib's, on the same network and images.

Claim: letterbox, box selection, affine crop, SimCC decoding and the way back to pixels of the frame
equal rtmlib's to 0.01 px, and batches make them quicker. The networks are small ones that find
coloured blobs, made on the spot. rtmlib hands blue green red to networks as it comes; the card says
channels = "bgr" here so that both do the same.

    python benchmarks/detect_rtmlib.py [--peer-python PYTHON] [--frames 60]

PYTHON is one that has rtmlib (pip install --no-deps rtmlib, with onnxruntime, numpy and OpenCV); or
set RTMLIB_PYTHON. Without it the comparison is skipped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reconstruct.detect.model_card import ModelCard
from reconstruct.detect.model_store import ModelStore
from reconstruct.detect.pose import PoseDetector
from reconstruct.skeletons import load_skeleton
from tests.networks import draw_people, person_network, pose_network

PEER = """
import json, sys, time
import numpy as np
from rtmlib import RTMPose, YOLOX

folder = sys.argv[1]
images = np.load(folder + "/images.npy")
find = YOLOX(folder + "/boxes.onnx", model_input_size=(192, 256), nms_thr=0.1, score_thr=0.2)
pose = RTMPose(folder + "/pose.onnx", model_input_size=(192, 256))
begin = time.perf_counter()
boxes, points, scores = [], [], []
for image in images:
    found = find(image)
    xy, score = pose(image, found)
    boxes.append(found)
    points.append(xy)
    scores.append(score)
seconds = time.perf_counter() - begin
np.savez(folder + "/peer.npz", count=[len(b) for b in boxes], boxes=np.concatenate(boxes),
         xy=np.concatenate(points), score=np.concatenate(scores), seconds=seconds)
"""
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SIZE, JOINTS = (1280, 720), 26


def make_images(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    images = []
    for _ in range(count):
        people = []
        for x in rng.uniform(250, 400, 1).tolist() + rng.uniform(800, 1050, 1).tolist():
            grid = rng.permutation([(i, j) for i in range(4) for j in range(8)])[:JOINTS]
            people.append([x, 360] + (grid - [1.5, 3.5]) * 42 + rng.uniform(-4, 4, (JOINTS, 2)))
        images.append(draw_people(SIZE, people, blob_px=9.0))
    return np.array(images)


def _by_place(frames: list[int], boxes: np.ndarray) -> np.ndarray:
    return np.lexsort((boxes[:, 0], frames))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer-python", default=os.environ.get("RTMLIB_PYTHON", ""))
    parser.add_argument("--frames", type=int, default=60)
    options = parser.parse_args()
    if not options.peer_python:
        print("skipped: give --peer-python or RTMLIB_PYTHON, a Python that has rtmlib")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = make_images(options.frames)
        np.save(folder / "images.npy", images)
        store = ModelStore(folder / "models")
        # rtmlib writes sizes of person detectors as (height, width).
        boxes = person_network((256, 192), (50, 90))
        pose = pose_network(JOINTS, (192, 256), mean=MEAN, std=STD, rgb=False)
        (folder / "boxes.onnx").write_bytes(boxes)
        (folder / "pose.onnx").write_bytes(pose)
        store.add(
            ModelCard("boxes", "person", "none", (256, 192), channels="bgr", score_least=0.2,
                      overlap_most=0.1),
            boxes, "boxes",
        )  # fmt: skip
        store.add(
            ModelCard("pose", "pose", "none", (192, 256), mean=MEAN, std=STD, channels="bgr",
                      skeleton="halpe26", person="boxes"),
            pose, "pose",
        )  # fmt: skip
        (folder / "peer.py").write_text(PEER)
        run = subprocess.run(
            [options.peer_python, str(folder / "peer.py"), str(folder)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if run.returncode:
            print("skipped: the peer failed:", run.stderr.strip().splitlines()[-1:])
            return
        peer = np.load(folder / "peer.npz")
        detector = PoseDetector(store, "pose", device="cpu")
        begin = time.perf_counter()
        detector.detect_people("cam01", [(float(i), image) for i, image in enumerate(images)])
        seconds = time.perf_counter() - begin
        ours = [b for i in images for b in detector.boxes([i])]
        counts = [len(b) for b in ours]
        which = [i for i, b in enumerate(ours) for _ in b]
        flat = [box for b in ours for box in b]
        xy, _, score = detector.keypoints([images[i] for i in which], flat)
        columns = load_skeleton("halpe26").numbers[1]
        same = counts == peer["count"].tolist()
        result = {"frames": len(images), "people": int(sum(counts)), "same_people": same}
        if same:
            # Two people whose boxes are as sure stand in either order: by place from left to right.
            peer = {
                n: peer[n][_by_place(which, peer["boxes"])] for n in ("boxes", "xy", "score")
            } | {"seconds": peer["seconds"]}
            mine = _by_place(which, np.array(flat))
            flat, xy, score = np.array(flat)[mine], xy[mine], score[mine]
            seen = np.isfinite(xy).all(-1)
            result |= {
                "box_difference_px": float(np.abs(np.array(flat)[:, :4] - peer["boxes"]).max()),
                "keypoint_difference_px": float(np.abs(xy - peer["xy"][:, columns])[seen].max()),
                "keypoints_compared": int(seen.sum()),
                "keypoints_of_all": float(seen.mean()),
                "score_difference": float(np.abs(score - peer["score"][:, columns]).max()),
            }
        result |= {
            "frames_per_s": len(images) / seconds,
            "frames_per_s_rtmlib": len(images) / float(peer["seconds"]),
        }
        result["ratio"] = result["frames_per_s"] / result["frames_per_s_rtmlib"]
        print(json.dumps(result, indent=2))
        if not same or result["keypoint_difference_px"] > 0.01:
            sys.exit("the claim does not hold")


if __name__ == "__main__":
    main()
