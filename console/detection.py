"""Detections of videos: with all cores, kept part by part, and never made twice."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from console.workers import Stopped, Tick, Work, run_jobs
from lab.atomic import write_atomically
from lab.cores import core_count
from lab.errors import LabError
from reconstruct.detect.detector import Detector, Image, detect_everyone
from reconstruct.detect.model_store import hash_of
from reconstruct.detect.video import VideoIndex, index_video, read_video
from reconstruct.people import People2D

# What a kill loses is at most this many frames a core.
CHUNK_FRAMES = 32
FOLDER = "detections"
_FIELDS = ("t", "xy_px", "cov_px", "score")

Progress = Callable[[int, int, str], None]
Recipe = Callable[[], Detector]


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """One camera's video.

    Attributes:
        camera: Its name in the rig.
        path: The video.
        times: s on the lab clock by frame; None for the stream's own stamps.
    """

    camera: str
    path: Path
    times: Mapping[int, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """Chunks of one video, one after the other, so that nothing is decoded twice."""

    camera: str
    index: VideoIndex
    chunks: tuple[tuple[int, int, Path], ...]


def detect_footage(
    footage: list[Footage],
    recipe: Recipe,
    folder: Path,
    *,
    workers: int | None = None,
    progress: Progress = lambda done, total, what: None,
) -> dict[str, People2D]:
    """Return what a detector finds in each camera's video, from what is kept where it is.

    Each finished chunk of frames is kept under a name made of the video's content, its times, and
    the detector's identity, so that it is found again after a Ctrl-C or a kill and with any number
    of cores, and never mistaken for another. A first Ctrl-C lets the chunks in hand finish.

    Args:
        footage: The cameras.
        recipe: Makes the detector; it is called in each worker process and so has to be picklable.
        folder: Where detections are kept; made if need be.
        workers: Processes; all cores by default.
        progress: Called with frames done, frames in all, and what is done.

    Raises:
        LabError: When a video or the detector cannot be used, or a worker process died.
    """
    detector = recipe()
    identity, names = detector.identity, detector.names
    indices: dict[str, VideoIndex] = {}
    chunks: dict[str, tuple[tuple[int, int, Path], ...]] = {}
    for number, film in enumerate(footage):
        progress(number, len(footage), "reading videos")
        index = index_video(film.path, film.times)
        key = _key(film, index, identity)
        place = folder / f"{film.camera}-{key[:16]}"
        indices[film.camera] = index
        chunks[film.camera] = tuple(
            (start, min(start + CHUNK_FRAMES, len(index.t)), place / f"{start:08d}.npz")
            for start in range(0, len(index.t), CHUNK_FRAMES)
        )
    count = workers or core_count()
    jobs, left = _plan(indices, chunks, names, count)
    total = sum(len(index.t) for index in indices.values())
    if jobs:
        for _, _, path in (chunk for job in jobs for chunk in job.chunks):
            path.parent.mkdir(parents=True, exist_ok=True)
        run_jobs(
            jobs,
            _Prepare(recipe),
            count,
            lambda done: progress(total - left + done, total, "finding keypoints"),
            "finds keypoints",
        )
    return {
        camera: People2D.joined(
            [
                _whole(_load(path, camera, names, stop - start), path)
                for start, stop, path in chunks[camera]
            ]
        )
        for camera in indices
    }


def _whole(part: People2D | None, path: Path) -> People2D:
    if part is None:
        raise LabError(
            "detections that were just written cannot be read",
            where=str(path),
            remedy="Check the disk, and process the trial again.",
        )
    return part


def _key(film: Footage, index: VideoIndex, identity: str) -> str:
    """Return what detections depend on, as a hash."""
    parts = [film.camera, hash_of(film.path), identity, str(CHUNK_FRAMES)]
    digest = hashlib.sha256("\n".join(parts).encode())
    digest.update(np.ascontiguousarray(index.t).tobytes())
    digest.update(np.ascontiguousarray(index.frame, np.int64).tobytes())
    return digest.hexdigest()


def _plan(
    indices: Mapping[str, VideoIndex],
    chunks: Mapping[str, tuple[tuple[int, int, Path], ...]],
    names: tuple[str, ...],
    workers: int,
) -> tuple[list[_Job], int]:
    """Return what is still to be done, the longest first, and its number of frames.

    A video is cut at keyframes into pieces, so that several cores can share it.
    """
    jobs: list[_Job] = []
    for camera, index in indices.items():
        missing = [c for c in chunks[camera] if _load(c[2], camera, names, c[1] - c[0]) is None]
        longest = max(1, -(-len(chunks[camera]) * len(indices) // (2 * workers)))
        run: list[tuple[int, int, Path]] = []
        for chunk in missing:
            gap = bool(run) and chunk[0] != run[-1][1]
            full = len(run) >= longest and index.keyframe[chunk[0] : chunk[1]].any()
            if gap or full:
                jobs.append(_Job(camera, index, tuple(run)))
                run = []
            run.append(chunk)
        if run:
            jobs.append(_Job(camera, index, tuple(run)))
    left = sum(stop - start for job in jobs for start, stop, _ in job.chunks)
    return sorted(jobs, key=lambda job: -len(job.chunks)), left


@dataclass(frozen=True, slots=True)
class _Prepare:
    """Makes a worker process ready.

    Attributes:
        recipe: Makes its detector.
    """

    recipe: Recipe

    def __call__(self) -> Work:
        """Return what does a job with the process' own detector."""
        return partial(_detect, self.recipe())


def _detect(detector: Detector, job: _Job, tick: Tick, stopped: Stopped) -> None:
    """Detect and keep the chunks of a job."""
    stream = read_video(job.index, job.chunks[0][0], job.chunks[-1][1], detector.pixel_format)
    for start, stop, path in job.chunks:
        if stopped():
            return
        people = detect_everyone(detector, job.camera, _counted(stream, stop - start, tick))
        if not np.array_equal(people.t, job.index.t[start:stop]):
            raise ValueError(f"the detector {detector.identity} lost or moved frames")
        _save(people, path)


def _counted(
    stream: Iterator[tuple[float, Image]], count: int, tick: Tick
) -> Iterator[tuple[float, Image]]:
    for _ in range(count):
        frame = next(stream, None)
        if frame is None:
            return
        yield frame
        tick()


def _save(people: People2D, path: Path) -> None:
    """Keep a chunk, atomically; the same content gives the same bytes."""
    content = io.BytesIO()
    fields: dict[str, Any] = {name: getattr(people, name) for name in _FIELDS}
    np.savez_compressed(content, names=np.array(people.names), **fields)
    write_atomically(path, content.getvalue())


def _load(path: Path, camera: str, names: tuple[str, ...], frames: int) -> People2D | None:
    """Read a chunk; None where it is not there or damaged, so that it is made again."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            if tuple(str(n) for n in kept["names"]) != names or len(kept["t"]) != frames:
                return None
            return People2D(camera, names, *(kept[name] for name in _FIELDS))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
