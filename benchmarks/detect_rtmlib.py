"""Pre- and post-processing of pose networks beside rtmlib's, on the same network and images.

Claim: letterbox, box selection, affine crop, SimCC decoding and the way back to pixels of the frame
equal rtmlib's to 0.01 px; the speed is given beside. The networks are small ones that find
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
find = YOLOX(folder + "/boxes.onnx", model_input_size=(192, 256), nms_thr=0.1, score_thr=0.05)
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
# Of the person detector's aspect: in the grey beside an image all places are equally likely.
SIZE, JOINTS = (1280, 960), 26


def make_images(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    images = []
    for _ in range(count):
        people = []
        for x in rng.uniform(250, 400, 1).tolist() + rng.uniform(800, 1050, 1).tolist():
            grid = rng.permutation([(i, j) for i in range(4) for j in range(8)])[:JOINTS]
            people.append([x, 480] + (grid - [1.5, 3.5]) * 42 + rng.uniform(-4, 4, (JOINTS, 2)))
        images.append(draw_people(SIZE, people, blob_px=9.0))
    return np.array(images)


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
        boxes = person_network((256, 192), (50, 90), gain=0.05, tapered=True)
        pose = pose_network(JOINTS, (192, 256), mean=MEAN, std=STD, rgb=False)
        (folder / "boxes.onnx").write_bytes(boxes)
        (folder / "pose.onnx").write_bytes(pose)
        store.add(
            ModelCard("boxes", "person", "none", (256, 192), channels="bgr", score_least=0.05,
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
        counts = peer["count"].tolist()
        which = [i for i, n in enumerate(counts) for _ in range(n)]
        # Keypoints from the peer's boxes; boxes by the nearest of the same image.
        # One at a time as the peer does: a batch rounds otherwise within the network, and of two
        # bins that are equally high either may come first.
        single = [
            detector.keypoints([images[i]], [box])
            for i, box in zip(which, peer["boxes"], strict=True)
        ]
        xy, score = (np.concatenate([one[j] for one in single]) for j in (0, 2))
        batched = detector.keypoints([images[i] for i in which], list(peer["boxes"]))[0]
        columns = load_skeleton("halpe26").numbers[1]
        boxes = [detector.boxes([image])[0][:, :4] for image in images]
        nearest = np.array(
            [
                np.abs(boxes[i] - box).max(1).min() if len(boxes[i]) else np.inf
                for i, box in zip(which, peer["boxes"], strict=True)
            ]
        )
        alike = nearest < 1
        seen = np.isfinite(xy).all(-1)
        difference = np.abs(xy - peer["xy"][:, columns])[seen].max()
        result = {
            "frames": len(images),
            "boxes": len(nearest),
            "same_number_of_boxes": [len(b) for b in boxes] == counts,
            "boxes_at_the_same_place": int(alike.sum()),
            "box_difference_px": float(nearest[alike].max(initial=0)),
            "keypoint_difference_px": float(difference),
            "keypoints_compared": int(seen.sum()),
            "differ_in_a_batch": int((np.abs(batched - xy).max(-1) > 0.01).sum()),
            "score_difference": float(np.abs(score - peer["score"][:, columns]).max()),
        }
        result |= {
            "frames_per_s": len(images) / seconds,
            "frames_per_s_rtmlib": len(images) / float(peer["seconds"]),
        }
        result["ratio"] = result["frames_per_s"] / result["frames_per_s_rtmlib"]
        print(json.dumps(result, indent=2))
        if (
            not alike.all()
            or max(result["keypoint_difference_px"], result["box_difference_px"]) > 0.01
        ):
            sys.exit("the claim does not hold")


if __name__ == "__main__":
    main()
