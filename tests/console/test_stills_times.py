"""Which frame of a video a still is taken from."""

from types import SimpleNamespace

import numpy as np
import pytest

from console.settings import read_settings
from console.stills import frames_near
from console.videos import write_video
from lab.points import Keypoints2D

SIZE = (64, 48)


def seen(t):
    """Keypoints of one point at these times."""
    shape = (len(t), 1)
    return Keypoints2D(
        "cam01", ("nose",), t, np.zeros((*shape, 2)), np.tile(np.eye(2), (*shape, 1, 1)),
        np.ones(shape),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    images = (np.full(SIZE[::-1], 20 * i, np.uint8) for i in range(8))
    write_video(tmp_path / "cam01.mkv", images, SIZE, 10)
    return tmp_path


def grey(folder, times, t, moments):
    """The grey levels, a twentieth, of the frames taken at moments."""
    (folder / "trial.toml").write_text(
        '[trial]\npatient = "P"\nactivity = "walk"\nrig = "r.h5"\n'
        + (f'times = "{times}"\n' if times else "")
        + '[cameras.cam01]\nvideo = "cam01.mkv"\nkeypoints = "k.csv"\n'
    )
    trial = SimpleNamespace(keypoints=(seen(np.asarray(t)),))
    found = frames_near(trial, folder, read_settings(folder)[0], "cam01", moments)
    return [(round(at, 6), round(float(image.mean()) / 20)) for at, image in found]


def test_a_times_file_says_which_frame_was_when(folder):
    rows = "".join(f"cam01,{f},{t}\n" for f, t in ((1, 50.0), (3, 50.1), (6, 50.2)))
    (folder / "times.csv").write_text("camera,frame,t\n" + rows)
    taken = grey(folder, "times.csv", [50.0, 50.1, 50.2], [50.11, 50.19, 49.0])
    assert taken == [(50.1, 3), (50.2, 6), (50.0, 1)]


def test_without_one_frames_are_those_of_the_keypoints(folder):
    t = 900.0 + np.arange(8) / 10
    assert grey(folder, "", t, [900.31]) == [(900.3, 3)]


def test_fewer_keypoints_than_frames_are_met_by_the_videos_own_stamps(folder):
    assert grey(folder, "", [0.2, 0.5], [0.52]) == [(0.5, 5)]
