"""Boxes around people from what a person detector gives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lab.checks import FloatArray

_STRIDES = (8, 16, 32)


def boxes_of(
    output: NDArray[np.floating],
    labels: NDArray[np.integer] | None,
    size_px: tuple[int, int],
    *,
    score_least: float,
    overlap_most: float,
    person_class: int,
) -> FloatArray:
    """Return the boxes (n, 5) of one image, surest first: left, top, right, bottom, score.

    Two forms are known, both in px of the network's input. With five columns boxes have been
    selected by the network (left, top, right, bottom, score), with a class each in `labels`. With
    more, each row is a cell of the grids of stride 8, 16 and 32: centre (in cells, from the cell),
    logarithm of the size (in cells), objectness, and a score for each class (YOLOX, arXiv
    2107.08430, section 2.1); people are then selected by non-maximum suppression.

    Args:
        output: (N, 5) or (cells, 5 + classes).
        labels: (N,), or None where there is one class.
        size_px: (width, height) of the network's input.
        score_least: Boxes below are left out.
        overlap_most: Intersection over union from which two boxes are one person.
        person_class: Which class is a person.
    """
    if output.shape[-1] == 5:
        boxes = output.astype(float)
        if labels is not None:
            boxes = boxes[labels == person_class]
        boxes = boxes[boxes[:, 4] > score_least]
        return boxes[np.argsort(-boxes[:, 4], kind="stable")]
    rows = output.astype(float)
    cells, stride = _cells(size_px)
    centre = (rows[:, :2] + cells) * stride
    half = np.exp(np.minimum(rows[:, 2:4], 20)) * stride / 2
    score = rows[:, 4] * rows[:, 5 + person_class]
    boxes = np.concatenate([centre - half, centre + half, score[:, None]], axis=1)
    return suppress(boxes[score > score_least], overlap_most)


def cell_count(size_px: tuple[int, int]) -> int:
    """Return how many rows the grid form has for an input of this size."""
    return len(_cells(size_px)[0])


def suppress(boxes: FloatArray, overlap_most: float) -> FloatArray:
    """Return the boxes (n, 5) without those that overlap a surer one, surest first.

    Areas count a pixel more on each side, as in the detectors' own code.
    """
    left = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        low = np.maximum(best[:2], left[:, :2])
        high = np.minimum(best[2:4], left[:, 2:4])
        shared = np.clip(high - low + 1, 0, None).prod(-1)
        area = (left[:, 2:4] - left[:, :2] + 1).prod(-1)
        union = (best[2:4] - best[:2] + 1).prod() + area - shared
        left = left[shared <= overlap_most * union]
    return np.array(kept).reshape(-1, 5)


def _cells(size_px: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Return the place (cells, 2) and stride (cells, 1) px of each row of the grid form."""
    cells, strides = [], []
    for stride in _STRIDES:
        x, y = np.meshgrid(np.arange(size_px[0] // stride), np.arange(size_px[1] // stride))
        cells.append(np.stack([x.ravel(), y.ravel()], axis=-1))
        strides.append(np.full((x.size, 1), float(stride)))
    return np.concatenate(cells).astype(float), np.concatenate(strides)
