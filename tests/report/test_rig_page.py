"""The page of a rig: verdict, reasons, what to film next, and every camera; always the same."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from pypdf import PdfReader

from lab.board_views import CameraViews
from lab.camera import Camera
from lab.errors import FileError
from lab.pose import Pose
from lab.rig import Rig, RigQuality
from lab.room_slice import RoomSlice
from lab.store import load_rig, load_views, save_rig
from report.rig_figures import grid_of, heat_map, plan, slice_maps
from report.rig_page import write_rig_page


def make_rig(accepted: bool = True) -> Rig:
    cameras = []
    for i in range(3):
        angle = 2 * np.pi * i / 3
        z = np.array([-np.cos(angle), -np.sin(angle), 0.0])
        x = np.cross(z, [0, 0, 1.0])
        rotation = np.stack([x, np.cross(z, x), z])
        centre = np.array([3 * np.cos(angle), 3 * np.sin(angle), 1.5])
        lens = np.array([1100.0, 1101, 955.5, 541, -0.1, 0, 0, 0, 0])
        cameras.append(
            Camera(f"cam{i}", (1920, 1080), "brown5", lens, Pose(rotation, -rotation @ centre))
        )
    one = np.array([1e-4] * 3 + [1e-3] * 3 + [2.0, 2, 3, 3, 1e-3, 0, 0, 0, 0])
    quality = RigQuality(
        accepted,
        ("cam1: the lens is not determined",),
        {"held_out_distance_rmse_mm": 0.42, "rmse_px": 0.31, "gravity_sigma_rad": 0.002},
        {c.name: {"rmse_px": 0.3, "views": 20.0, "coverage": 0.5} for c in cameras},
    )
    board = "ChArUco 5 x 7"
    return Rig(tuple(cameras), np.diag(np.tile(one, 3) ** 2), quality, "2026-01-02T03:04", board)


def make_views(camera: str) -> CameraViews:
    rng = np.random.default_rng(4)
    xy = rng.uniform([100, 100], [1200, 1000], (400, 2))
    return CameraViews(
        camera, xy, rng.normal(0.1, 0.3, (400, 2)), np.repeat(np.arange(20.0), 20), np.arange(20.0),
        rng.uniform(1, 3, 20), rng.uniform(0, 1, 20),
    )  # fmt: skip


def read(path) -> str:
    text = " ".join(page.extract_text() for page in PdfReader(path).pages)
    return re.sub(r"\s+", " ", text.replace("\u00a0", " "))


@pytest.fixture(scope="module")
def views():
    return tuple(make_views(f"cam{i}") for i in range(3))


def test_verdict_reasons_figures_and_advice_are_on_the_page(tmp_path, views):
    text = {}
    for accepted in (True, False):
        path = tmp_path / f"{accepted}.pdf"
        write_rig_page(
            make_rig(accepted), path, views=views,
            advice=("Bring the board to the left third of what cam1 sees",),
            limits={"held_out_distance_rmse_mm": 1.5},
        )  # fmt: skip
        text[accepted] = read(path)
        for words in (
            "cam1: the lens is not determined", "Bring the board to the left third",
            "0.4 mm at most 1.5 mm", "cam0", "cam2", "2026-01-02 03:04", "1100 ± 4 px",
            "Up is known to (1 sigma) 0.11°", "Arrows magnified", "20, 400",
        ):  # fmt: skip
            assert words in text[accepted], words
    assert "✓" not in text[True]
    assert "Calibration accepted, with notes" in text[True]
    assert "✗ Calibration refused" in text[False]
    assert "Why it was refused" in text[False]


def test_a_rig_without_views_or_covariance_says_so(tmp_path):
    rig = make_rig()
    foreign = replace(rig, cov=np.full_like(rig.cov, np.nan), created="", board="")
    write_rig_page(foreign, tmp_path / "a.pdf")
    text = read(tmp_path / "a.pdf")
    assert "is not kept in this rig" in text
    assert "How well each place is known is not stated by this rig" in text
    assert "Arrows magnified" not in text
    assert "±" not in text.split("Each camera")[1]


def test_how_well_a_point_is_known_is_a_map_on_the_page(tmp_path):
    sigma = np.array([[0.0012, 0.0034, np.nan], [0.002, 0.0127, 0.005]])
    one = RoomSlice((0, 1), 1.0, np.array([-3.5, -1.0]), 0.5, sigma)
    write_rig_page(make_rig(), tmp_path / "a.pdf", slices=(one,))
    text = read(tmp_path / "a.pdf").split("How well a point is known")[1]
    assert "From above, 1.0 m over the floor" in text
    for number in ("2.0", "13", "5.0", "1.2", "3.4"):
        assert f" {number} " in text
    (drawn,) = slice_maps((one,), make_rig())
    assert [(c["column"], c["row"]) for c in drawn["cells"]] == [
        (0, 1), (1, 1), (0, 0), (1, 0), (2, 0),
    ]  # fmt: skip
    assert drawn["cells"][0]["tone"] == 0
    assert drawn["cells"][3]["tone"] == 1
    # Two planes have one scale, and no number stands under a camera.
    other = replace(one, sigma_m=sigma / 2)
    assert slice_maps((one, other), make_rig())[0]["cells"][0]["tone"] == pytest.approx(
        np.log10(2), abs=1e-3
    )
    under = make_rig().cameras[0].centre[:2] - 0.25
    placed = replace(one, low_m=under - [0.0, 0.5], sigma_m=np.full((3, 3), 0.002))
    texts = {
        (c["column"], c["row"]): c["text"] for c in slice_maps((placed,), make_rig())[0]["cells"]
    }
    assert texts[0, 1] == ""
    assert texts[1, 1] == "2.0"
    write_rig_page(make_rig(), tmp_path / "none.pdf")
    assert "How well a point is known" not in read(tmp_path / "none.pdf")


def test_the_same_rig_gives_the_same_bytes(tmp_path, views):
    for name in ("a.pdf", "b.pdf"):
        write_rig_page(make_rig(), tmp_path / name, views=views)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    with pytest.raises(FileError):
        write_rig_page(make_rig(), tmp_path / "nowhere" / "a.pdf")


def test_arrows_and_tones_are_where_the_corners_are(views):
    heat = heat_map(views[0], (1920, 1080))
    columns, rows = grid_of((1920, 1080))
    assert (heat["columns"], heat["rows"]) == (columns, rows) == (16, 9)
    tones = np.array(heat["tones"])
    assert tones[:, 11:].max() == 0
    assert tones[2:8, 1:10].min() > 0
    shift = np.array([a[2:] for a in heat["arrows"]]) - np.array([a[:2] for a in heat["arrows"]])
    # Drawn upward in y: the mean residual of +0.1, +0.1 px points right and down.
    assert shift[:, 0].mean() > 0 > shift[:, 1].mean()


def test_the_plan_is_the_cameras_from_above():
    rig = make_rig()
    drawn = plan(rig, up_known=True)
    at = np.array([camera["at"] for camera in drawn["cameras"]])
    true = np.stack([camera.centre for camera in rig.cameras])[:, :2]
    ratio = np.linalg.norm(at[0] - at[1]) / np.linalg.norm(true[0] - true[1])
    for i, j in ((0, 2), (1, 2)):
        assert np.linalg.norm(at[i] - at[j]) == pytest.approx(
            ratio * np.linalg.norm(true[i] - true[j]), rel=1e-3
        )
    # The ellipse is the 95 % region, as many times larger as the page says.
    ring = np.array(drawn["cameras"][0]["ring"]) - at[0]
    reach = 2.4477 * 1e-3 * ratio * float(drawn["magnified"])
    assert np.linalg.norm(ring, axis=1).max() == pytest.approx(reach, rel=0.02)
    assert float(drawn["magnified"]) > 10


def test_views_are_stored_beside_the_rig(tmp_path, views):
    rig = make_rig()
    save_rig(rig, tmp_path / "with.h5", views)
    save_rig(rig, tmp_path / "without.h5")
    assert load_views(tmp_path / "without.h5") == ()
    back = load_views(tmp_path / "with.h5")
    assert [own.camera for own in back] == ["cam0", "cam1", "cam2"]
    np.testing.assert_array_equal(back[1].residual_px, views[1].residual_px)
    assert load_rig(tmp_path / "with.h5").sha256 == rig.sha256
    with pytest.raises(ValueError, match="no view"):
        replace(views[0], view=views[0].view + 1)
