"""Frames of a video by index: the right image at the right time, wherever reading starts."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import av
import numpy as np
import pytest

from lab.errors import FileError, LabError
from lab.points import Keypoints2D
from reconstruct.detect.detector import GRAY, Detector, Image, PeopleDetector, detect_everyone
from reconstruct.detect.video import index_video, read_video
from reconstruct.people import People2D


def write(path, codec, numbers, *, gop=10, step=1, size=64):
    """Frames that carry their number as brightness, with stamps 0, step, 2 step, ... / 100 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=100)
        stream.width = stream.height = size
        stream.pix_fmt = "gray" if codec == "ffv1" else "yuv420p"
        stream.codec_context.gop_size = gop
        if codec == "mpeg4":
            stream.codec_context.bit_rate = 8_000_000
            stream.codec_context.max_b_frames = 2
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
        for i in numbers:
            image = np.full((size, size), 16 + 3 * i, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="gray")
            frame.pts = i * step
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode())
    return path


def numbers_of(frames):
    return [round((float(image.mean()) - 16) / 3) for _, image in frames]


# With frames that are stored in another order than shown, and without.
@pytest.mark.parametrize(("codec", "name"), [("ffv1", "a.mkv"), ("mpeg4", "a.mp4")])
def test_any_part_holds_its_own_frames(tmp_path, codec, name):
    index = index_video(write(tmp_path / name, codec, range(60)))
    assert len(index.t) == 60
    assert np.allclose(index.t, np.arange(60) / 100, atol=1e-9)
    whole = list(read_video(index, pixel_format=GRAY))
    assert numbers_of(whole) == list(range(60))
    for start, stop in [(0, 7), (7, 25), (33, 34), (59, 60), (40, None)]:
        part = list(read_video(index, start, stop, pixel_format=GRAY))
        assert numbers_of(part) == list(range(start, stop or 60))
        expected = whole[start:stop]
        assert [t for t, _ in part] == [t for t, _ in expected]
        assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(part, expected, strict=True))
    assert list(read_video(index, 60)) == []


def test_colour_has_three_channels(tmp_path):
    index = index_video(write(tmp_path / "a.mkv", "ffv1", range(2)))
    assert index.size_px == (64, 64)
    assert next(read_video(index))[1].shape == (64, 64, 3)


def test_times_choose_frames_and_tell_when(tmp_path):
    path = write(tmp_path / "a.mkv", "ffv1", range(20))
    index = index_video(path, {3: 1.5, 4: 1.75, 11: 9.0})
    frames = list(read_video(index, pixel_format=GRAY))
    assert numbers_of(frames) == [3, 4, 11]
    assert [t for t, _ in frames] == [1.5, 1.75, 9.0]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({}, "no frame of this camera"),
        ({20: 1.0}, "list frame 20, the video has 20 frames"),
        ({1: 2.0, 2: 1.0}, "do not rise"),
        ({1: 2.0, 2: float("nan")}, "do not rise"),
    ],
)
def test_times_of_another_recording(tmp_path, times, said):
    path = write(tmp_path / "a.mkv", "ffv1", range(20))
    with pytest.raises(LabError, match=said):
        index_video(path, times)


def test_what_is_no_video(tmp_path):
    with pytest.raises(FileError, match="no such video"):
        index_video(tmp_path / "a.mp4")
    (tmp_path / "a.mp4").write_bytes(b"\x00" * 4000)
    with pytest.raises(FileError, match="not a video"):
        index_video(tmp_path / "a.mp4")


def test_a_file_cut_off_is_refused(tmp_path):
    path = write(tmp_path / "a.mp4", "mpeg4", range(60))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match=r"end is missing|truncated|damaged"):
        list(read_video(index_video(path)))


class Brightness:
    """A detector that finds the brightness: enough to see that the protocol can be kept."""

    names = ("nose",)
    identity = "brightness 1"
    pixel_format = GRAY

    def detect(self, camera: str, frames: Iterable[tuple[float, Image]]) -> Keypoints2D:
        rows = [(t, image.mean()) for t, image in frames]
        t, value = np.array(rows).reshape(-1, 2).T
        xy = np.stack([value, value], axis=-1)[:, None]
        cov = np.broadcast_to(np.eye(2), (len(t), 1, 2, 2))
        return Keypoints2D(camera, self.names, t, xy, cov, np.ones((len(t), 1)))


def test_a_detector_of_one_person_fits_the_protocol(tmp_path):
    detector = Brightness()
    assert isinstance(detector, Detector)
    assert not isinstance(detector, PeopleDetector)
    index = index_video(write(tmp_path / "a.mkv", "ffv1", range(20)))
    parts = [
        detect_everyone(detector, "cam01", read_video(index, a, b, GRAY))
        for a, b in [(0, 8), (8, 8), (8, 20)]
    ]
    people = People2D.joined(parts)
    assert people.xy_px.shape == (20, 1, 1, 2)
    assert people.most == 1
    found = people.pick([0] * 19 + [-1])
    assert found.xy_px[:19, 0, 0].tolist() == [16 + 3 * i for i in range(19)]
    assert np.isnan(found.xy_px[19]).all()
