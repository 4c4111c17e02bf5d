"""People's keypoints by two networks: boxes around people, then keypoints within each box."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray
from lab.errors import LabError
from lab.points import Keypoints2D
from reconstruct.detect.crops import back_to_frame, box_to_area, cut_out, letterbox, network_input
from reconstruct.detect.detector import COLOUR, Image
from reconstruct.detect.model_card import ModelCard
from reconstruct.detect.model_store import ModelStore
from reconstruct.detect.network import Network
from reconstruct.detect.person_boxes import boxes_of, cell_count
from reconstruct.detect.simcc import decode_simcc, peak_variance
from reconstruct.people import People2D
from reconstruct.skeletons import load_skeleton

# Counts as part of the identity: to be raised whenever the same frames would give other numbers.
_VERSION = 1
_BATCH = 16  # frames at a time
_MOST_PEOPLE = 6
# A joint whose score is below is not seen: its pixel would be a guess.
_SCORE_LEAST = 0.1


class PoseDetector:
    """Finds everyone in colour images.

    Args:
        store: Where the networks' files are.
        model: Name of a pose model.
        device: As of `Network`.
        threads: As of `Network`.

    Raises:
        LabError: When a model is not here, is of the wrong kind, or does not fit its card.
        FileError: When its file is damaged.
    """

    pixel_format = COLOUR

    def __init__(
        self, store: ModelStore, model: str, *, device: str = "auto", threads: int = 0
    ) -> None:
        self._pose, pose = _load(store, model, "pose", device, threads)
        self._person: ModelCard | None = None
        hashes = [self._pose.sha256]
        if self._pose.person:
            self._person, self._boxes = _load(store, self._pose.person, "person", device, threads)
            hashes.append(self._person.sha256)
        self._joints = pose
        skeleton = load_skeleton(self._pose.skeleton)
        self.names, self._columns = skeleton.numbers
        self._count = skeleton.count
        self.models = {c.name: c.sha256 for c in (self._pose, self._person) if c is not None}
        # The device counts: another one rounds otherwise.
        cards = hashlib.sha256(repr((self._pose, self._person)).encode()).hexdigest()
        self.identity = (
            f"pose {_VERSION}; {'; '.join(f'{n} {h}' for n, h in self.models.items())}; "
            f"cards {cards[:16]}; {pose.device}"
        )

    def detect(self, camera: str, frames: Iterable[tuple[float, Image]]) -> Keypoints2D:
        """Return the person of the highest mean score in each frame; see `Detector`."""
        people = self.detect_people(camera, frames)
        mean = np.nan_to_num(people.score).mean(-1)
        seen = np.isfinite(people.xy_px[..., 0]).any(-1)
        if not mean.shape[1]:
            return people.pick(np.full(len(people.t), -1))
        return people.pick(np.where(seen.any(axis=-1), mean.argmax(1), -1))

    def detect_people(self, camera: str, frames: Iterable[tuple[float, Image]]) -> People2D:
        """Return everyone, up to six a frame, the surest boxes first; see `PeopleDetector`."""
        times: list[float] = []
        found: list[tuple[FloatArray, FloatArray, FloatArray]] = []
        stream = iter(frames)
        while batch := list(islice(stream, _BATCH)):
            times += [t for t, _ in batch]
            found += self._find([image for _, image in batch])
        k, most = len(self.names), max((len(xy) for xy, _, _ in found), default=0)
        xy = np.full((len(times), most, k, 2), np.nan)
        cov = np.full((len(times), most, k, 2, 2), np.nan)
        score = np.full((len(times), most, k), np.nan)
        for i, (one_xy, one_cov, one_score) in enumerate(found):
            n = len(one_xy)
            xy[i, :n], cov[i, :n], score[i, :n] = one_xy, one_cov, one_score
        return People2D(camera, self.names, np.array(times), xy, cov, score)

    def boxes(self, images: Sequence[Image]) -> list[FloatArray]:
        """Return the boxes (n, 5) px of the frame in each image, surest first, with scores."""
        whole = [np.array([[0.0, 0.0, i.shape[1], i.shape[0], 1.0]]) for i in images]
        if self._person is None:
            return whole
        card = self._person
        boxed = [letterbox(image, card.input_px) for image in images]
        outputs = self._boxes.run(_input([b for b, _ in boxed], card))
        table = outputs[0]
        labels = outputs[1] if len(outputs) > 1 and outputs[1].shape == table.shape[:2] else None
        if table.ndim != 3 or (table.shape[2] != 5 and table.shape[1] != cell_count(card.input_px)):
            raise LabError(
                f"the person detector {card.name} gives {table.shape}, expected boxes of YOLOX or "
                "RTMDet",
                where="models",
                remedy="Use a YOLOX or RTMDet model exported with or without its selection.",
            )
        result = []
        for i, (_, factor) in enumerate(boxed):
            boxes = boxes_of(
                table[i],
                None if labels is None else labels[i],
                card.input_px,
                score_least=card.score_least,
                overlap_most=card.overlap_most,
                person_class=card.person_class,
            )
            boxes[:, :4] /= factor
            result.append(boxes)
        return result

    def keypoints(
        self, images: Sequence[Image], boxes: Sequence[FloatArray]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return pixels (N, K, 2), covariances (N, K, 2, 2) px^2 and scores of one box an image."""
        card, k = self._pose, len(self.names)
        if not images:
            return np.empty((0, k, 2)), np.empty((0, k, 2, 2)), np.empty((0, k))
        areas = np.array([box_to_area(box[:4], card.input_px, card.padding) for box in boxes])
        crops = [cut_out(i, a, card.input_px) for i, a in zip(images, areas, strict=True)]
        outputs = self._joints.run(_input(crops, card))
        expected = [(self._count, round(side * card.split)) for side in card.input_px]
        if [o.shape[1:] for o in outputs[:2]] != expected:
            raise LabError(
                f"the model {card.name} gives {[o.shape[1:] for o in outputs]}, "
                f"expected {expected}: SimCC outputs for x and y",
                where="models",
                remedy="Correct input_px, split and skeleton in its card.",
            )
        along_x, along_y = (o[:, self._columns] for o in outputs[:2])
        xy, score = decode_simcc(along_x, along_y, card.split)
        xy = np.where((score >= _SCORE_LEAST)[..., None], xy, np.nan)
        scale = areas[:, None, 2:] / np.array(card.input_px)
        variance = np.stack(
            [peak_variance(along, card.split, card.sharpness) for along in (along_x, along_y)], -1
        )
        variance = np.where(np.isfinite(xy), variance * scale**2, np.nan)
        cov = variance[..., None] * np.eye(2)
        return back_to_frame(xy, areas, card.input_px), cov, score

    def _find(self, images: list[Image]) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        boxes = [b[:_MOST_PEOPLE] for b in self.boxes(images)]
        which = [i for i, b in enumerate(boxes) for _ in b]
        flat = [box for b in boxes for box in b]
        xy, cov, score = self.keypoints([images[i] for i in which], flat)
        ends = np.cumsum([len(b) for b in boxes])[:-1]
        parts = (np.split(a, ends) for a in (xy, cov, score))
        return list(zip(*parts, strict=True))


def check_network(card: ModelCard, content: bytes) -> None:
    """Raise LabError unless the file is a network that fits its card."""
    Network(content, card.name, device="cpu", threads=1).check_size(card.input_px)


def _load(
    store: ModelStore, name: str, kind: str, device: str, threads: int
) -> tuple[ModelCard, Network]:
    card, path = store.file(name)
    if card.kind != kind:
        raise LabError(
            f"{name} is a {card.kind} model, a {kind} model is needed here",
            where="models",
            remedy="gaitlab models list tells which is which.",
        )
    network = Network(path.read_bytes(), str(path), device=device, threads=threads)
    network.check_size(card.input_px)
    return card, network


def _input(images: list[Image], card: ModelCard) -> NDArray[np.float32]:
    mean, std = (np.array(v) if v else None for v in (card.mean, card.std))
    return network_input(images, mean, std, card.channels == "rgb")
