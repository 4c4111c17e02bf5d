"""The board in videos: every frame's corners as keypoints, on all cores, kept by content."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.detect_cache import Found, cache_key, load_found, save_found
from calibration.find_board import BoardFinder, Seen
from calibration.mistakes import find_mistake, flipped_back, mirrored_cameras, refuse_mirrored
from calibration.times import Times, read_times
from lab.cores import core_count
from lab.errors import FileError, LabError
from lab.points import Keypoints2D

Progress = Callable[[int, int, str], None]

_WORKERS = max(2, core_count())
_TOGETHER = 6  # frames; the board's distance changes little over them
# Pixel formats whose first plane is the grey image, a byte a pixel.
_GRAY_FIRST = ("gray", "yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12")
# With fewer views than this the video may be a mirrored one.
_FEWEST_VIEWS = 3
_ALTERNATIVE_FRAMES = 12


def detect_video(
    path: Path | str,
    board: Board,
    *,
    camera: str,
    times: Times | Path | str | None = None,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> Keypoints2D:
    """Find the board in every frame of a video.

    Args:
        path: The video.
        board: What was printed.
        camera: The camera's name, as the times file has it.
        times: The times file or its content: frames it does not list are not used. Without it the
            times are the video's own.
        progress: Called as (frames done, frames in all, what).
        cache: A folder where corners found are kept and looked up; None to find them anew.

    Returns:
        Keypoints c000, c001, ... (the corner ids) at every frame used, NaN where not seen, with
        the covariance of each corner as its image suggests it.

    Raises:
        FileError: When the video is missing, damaged, truncated, or no video.
        LabError: When the times do not fit the video, or no frame shows the board.
    """
    path = Path(path)
    wanted = _wanted_frames(times, camera, path)
    names = board.corner_names
    key = "" if cache is None or not path.is_file() else cache_key(path, board, wanted)
    kept = load_found(cache, key, len(names)) if cache is not None and key else None
    if kept is None:
        kept = _find_all(path, board, camera, wanted, progress)
        if cache is not None and key:
            save_found(cache, key, kept)
    elif progress:
        progress(len(kept.t), len(kept.t), camera)
    # The frames asked for are part of the key; their times are the times file's own.
    t = kept.t if wanted is None else np.array([wanted[i] for i in sorted(wanted)])
    xy_px, cov_px = kept.xy_px, kept.cov_px
    if (np.diff(t) <= 0).any():
        raise FileError(
            "the times of its frames do not rise", where=str(path), remedy="Give a times file."
        )
    score = np.full(xy_px.shape[:2], np.nan)
    return Keypoints2D(camera, names, t, xy_px, cov_px, score)


def _find_all(
    path: Path,
    board: Board,
    camera: str,
    wanted: Mapping[int, float] | None,
    progress: Progress | None,
) -> Found:
    """Find the board in the frames of a video, all cores at work."""
    t, found = _find_each(path, board, camera, wanted, progress, None if board.two_sided else False)
    if not board.two_sided and sum(len(ids) > 0 for ids, _, _ in found) < _FEWEST_VIEWS:
        # Hardly seen as it should be: as its mirror image, then?
        _, behind = _find_each(path, board, camera, wanted, progress, True)
        pairs = zip(found, behind, strict=True)
        found = [own if len(own[0]) else other for own, other in pairs]
    if not any(len(ids) for ids, _, _ in found):
        raise _nothing_found(path, board, camera, wanted)
    count = len(board.corner_names)
    xy_px = np.full((len(t), count, 2), np.nan)
    cov_px = np.full((len(t), count, 2, 2), np.nan)
    for frame, (ids, xy, cov) in enumerate(found):
        xy_px[frame, ids] = xy
        cov_px[frame, ids] = cov
    return Found(np.array(t), xy_px, cov_px)


def _find_each(
    path: Path,
    board: Board,
    camera: str,
    wanted: Mapping[int, float] | None,
    progress: Progress | None,
    mirrored: bool | None,
) -> tuple[list[float], list[Seen]]:
    """Return the times of the frames and what each shows; `mirrored` as in `BoardFinder.find`."""
    detector = BoardFinder(board)
    t: list[float] = []
    found: list[Seen] = []
    waiting: deque[Future[list[Seen]]] = deque()
    together: list[NDArray[np.uint8]] = []
    with ThreadPoolExecutor(_WORKERS) as pool:
        for time, total, gray in _frames(path, wanted):
            t.append(time)
            together.append(gray)
            if len(together) < _TOGETHER:
                continue
            waiting.append(pool.submit(detector.find_each, together, mirrored))
            together = []
            while len(waiting) > _WORKERS:
                found.extend(waiting.popleft().result())
                if progress:
                    progress(len(found), total, camera)
        waiting.append(pool.submit(detector.find_each, together, mirrored))
        for future in waiting:
            found.extend(future.result())
    if progress:
        progress(len(found), len(found), camera)
    return t, found


def detect_videos(
    paths: Mapping[str, Path | str],
    board: Board,
    *,
    times: Times | Path | str | None = None,
    progress: Progress | None = None,
    cache: Path | None = None,
    mirrored: str = "refuse",
) -> dict[str, Keypoints2D]:
    """Find the board in the videos of several cameras.

    Here it is decided what becomes of mirrored videos, for every recording but the floor's.

    Args:
        paths: The video of each camera, by the camera's name (`cameras_of` makes it of files).
        board: What was printed.
        times: As in `detect_video`.
        progress: Called as (frames done, frames in all of this video, camera).
        cache: As in `detect_video`.
        mirrored: What to do with a video that shows the board as its mirror image: "refuse" it, or
            "flip" its corners back to where the sensor saw them.

    Returns:
        The corners by camera. A camera that never saw the board is an error: see `detect_video`.

    Raises:
        LabError: As `detect_video`; for mirrored videos, naming every one of them.
    """
    if mirrored not in ("refuse", "flip"):
        raise ValueError(f'mirrored must be "refuse" or "flip", got {mirrored!r}')
    if isinstance(times, (str, Path)):
        times = read_times(times)
    seen = {
        camera: detect_video(
            path, board, camera=camera, times=times, progress=progress, cache=cache
        )
        for camera, path in paths.items()
    }
    if mirrored == "refuse":
        refuse_mirrored(seen, board, "videos of the board")
        return seen
    wrong = mirrored_cameras(seen, board)
    return seen | {name: flipped_back(seen[name], video_size(paths[name])[0]) for name in wrong}


def cameras_of(paths: list[Path]) -> dict[str, Path]:
    """Name each camera by the stem of its video file; LabError when two are the same."""
    named: dict[str, Path] = {}
    for path in map(Path, paths):
        if path.stem in named:
            raise LabError(
                f"two videos are called {path.stem}",
                where=str(path),
                remedy="A camera is named after its video file: give each its own name.",
            )
        named[path.stem] = path
    return named


def video_size(path: Path | str) -> tuple[int, int]:
    """Return (width, height) px of a video; FileError when it cannot be opened."""
    with _open(Path(path)) as container:
        stream = container.streams.video[0]
        return int(stream.width), int(stream.height)


def _wanted_frames(
    times: Times | Path | str | None, camera: str, path: Path
) -> Mapping[int, float] | None:
    if times is None:
        return None
    listed = read_times(times) if isinstance(times, (str, Path)) else times
    if camera not in listed:
        raise LabError(
            f"the times file has no camera {camera!r}, it has {', '.join(sorted(listed))}",
            where=str(path),
            remedy="A camera is named after its video file.",
        )
    if not listed[camera]:
        raise LabError("the times list no frame of this camera", where=str(path))
    return listed[camera]


def _open(path: Path) -> Any:
    if not path.is_file():
        raise FileError("there is no such video", where=str(path), remedy="Check the path.")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise FileError(
            "not a video, or its end is missing", where=str(path), remedy="Copy or record it again."
        ) from error
    if not container.streams.video:
        container.close()
        raise FileError("there is no picture in it", where=str(path))
    return container


def _frames(
    path: Path, wanted: Mapping[int, float] | None
) -> Iterator[tuple[float, int, NDArray[np.uint8]]]:
    """Yield time, number of frames to expect, and grey image of each wanted frame."""
    with _open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        expected = int(stream.frames)
        last = max(wanted) if wanted is not None else None
        total = len(wanted) if wanted is not None else expected
        index = -1
        try:
            for index, frame in enumerate(container.decode(stream)):
                if last is not None and index > last:
                    break
                if wanted is not None and index not in wanted:
                    continue
                if wanted is None and frame.pts is None:
                    raise FileError(
                        "its frames have no time", where=str(path), remedy="Give a times file."
                    )
                time = float(frame.time) if wanted is None else wanted[index]
                yield time, total, _gray(frame)
        except av.error.FFmpegError as error:
            raise FileError(
                f"damaged after frame {index}", where=str(path), remedy="Record it again."
            ) from error
    if index + 1 < expected and (last is None or index < last):
        raise FileError(
            f"truncated: {index + 1} of {expected} frames can be read",
            where=str(path),
            remedy="Copy or record it again.",
        )
    if last is not None and index < last:
        raise LabError(
            f"the times list frame {last}, the video ends at frame {index}",
            where=str(path),
            remedy="Give the times file of this recording.",
        )


def _gray(frame: Any) -> NDArray[np.uint8]:
    """Return the grey image (H, W) of a frame, as it was coded where it was coded as one."""
    if frame.format.name not in _GRAY_FIRST:
        return frame.to_ndarray(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return np.ascontiguousarray(rows[: frame.height, : frame.width])


def _nothing_found(
    path: Path, board: Board, camera: str, wanted: Mapping[int, float] | None
) -> LabError:
    """Say why no frame shows the board, after trying what is most often wrong."""
    images = [gray for _, _, gray in _frames(path, wanted)]
    images = images[:: max(1, len(images) // _ALTERNATIVE_FRAMES)]
    change = find_mistake(
        images, board, lambda other, image: len(BoardFinder(other).find(image)[0])
    )
    if change:
        return LabError(
            f"no frame shows {board.words()}, but with {change} it is found",
            where=f"{path} ({camera})",
            remedy="Correct the board file.",
        )
    return LabError(
        f"no frame shows {board.words()}",
        where=f"{path} ({camera})",
        remedy="Is it the right board file (squares, dictionary), and is the board in view, "
        "sharp and lit?",
    )
