"""A board filmed by a small room of cameras: real files to calibrate from."""

from fractions import Fraction

import av
import numpy as np

from calibration.board import Board
from lab.rig import Rig
from simulation.board_path import board_path
from simulation.images import render_plane
from simulation.room import ring

BOARD = Board(columns=5, rows=4, square_m=0.22, marker_m=0.17, dictionary="DICT_4X4_100")
BOARD_TOML = """[board]
columns = 5
rows = 4
square_mm = 220.0
marker_mm = 170.0
dictionary = "DICT_4X4_100"
"""
TEXTURE = BOARD.image(60)
POSES = 8


def room(seed: int = 0) -> Rig:
    return ring(
        4, radius_m=3.0, height_m=1.4, target=(0, 0, 0.9), size_px=(640, 480), focal_px=460.0,
        seed=seed,
    )  # fmt: skip


def filmed(folder, cameras, poses, seed):
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for camera in cameras:
        with av.open(str(folder / f"{camera.name}.mkv"), "w") as container:
            stream = container.add_stream("ffv1", rate=5)
            stream.width, stream.height = camera.size_px
            stream.pix_fmt, stream.time_base = "gray", Fraction(1, 5)
            for index, pose in enumerate(poses):
                image = render_plane(
                    TEXTURE, BOARD.size_m, pose, camera, blur_px=0.6, noise=2.0, rng=rng
                )
                frame = av.VideoFrame.from_ndarray(image, format="gray")
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return folder


def carried(cameras, poses=POSES):
    return board_path(
        poses, ((-0.6, 0.6), (-0.5, 0.5), (0.6, 1.4)), cameras, BOARD.size_m,
        np.random.default_rng(2),
    )  # fmt: skip
