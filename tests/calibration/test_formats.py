"""Other programs' calibrations: what a format holds comes back, what it cannot is said."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from calibration.formats.door import FORMATS, read_rig, write_rig_as
from calibration.formats.refit import image_grid
from calibration.formats.yaml_text import read_yaml
from lab.camera import Camera
from lab.errors import FileError, LabError
from lab.pose import Pose
from lab.rig import Rig, RigQuality

_K = {
    "brown4": [-0.1, 0.02, 1e-3, -2e-3],
    "brown5": [-0.1, 0.02, 1e-3, -2e-3, 0.01],
    "brown8": [0.1, 0.02, 1e-3, -2e-3, 0.01, 0.2, 0.03, 0.001],
    "fisheye": [-0.03, 0.01, -0.002, 0.001],
}
# The lens models that each format holds as they are.
_HOLDS = {
    "aniposelib": set(_K),
    "caliscope": set(_K),
    "pose2sim": {"brown4", "brown5", "brown8"},
    "qualisys": {"brown4", "brown5"},
    "opencv": set(_K),
    "kalibr": {"brown4", "fisheye"},
    "mrcal": {"brown4", "brown5", "brown8"},
    "easymocap": {"brown4", "brown5"},
}
_FILE = {
    "aniposelib": "rig.toml",
    "caliscope": "camera_array.toml",
    "pose2sim": "Calib.toml",
    "qualisys": "Calib.qca.txt",
    "opencv": "rig.yml",
    "kalibr": "camchain.yaml",
    "mrcal": "models",
    "easymocap": "easymocap",
}


def _camera(name: str, model: str, seed: int = 0) -> Camera:
    rng = np.random.default_rng(seed)
    lens = np.array([900.1 + seed, 905.3, 641.2, 355.7 - seed / 3, *_K[model]])
    return Camera(
        name, (1280, 720), model, lens, Pose.from_rotvec(rng.normal(size=3), [0.3, -1, 4])
    )


def _rig(*cameras: Camera) -> Rig:
    size = sum(6 + len(c.intrinsics) for c in cameras)
    quality = RigQuality(True, (), {"rmse_px": 0.3}, {cameras[0].name: {"time_offset_s": 0.01}})
    return Rig(cameras, np.eye(size), quality, "2026-01-01T00:00:00+00:00", "a board")


def _rays(camera: Camera) -> np.ndarray:
    return camera.ray(image_grid(camera.size_px)).direction


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_format_holds_comes_back(tmp_path, format):
    held = sorted(_HOLDS[format])
    rig = _rig(*(_camera(f"cam_{i}", model, i) for i, model in enumerate(held)))
    written = write_rig_as(rig, format, tmp_path / _FILE[format])
    assert not written.refits
    assert all(file.is_file() for file in written.files)
    assert {"the covariance", "the board", "the cameras' time offsets"} <= set(written.not_held)
    back = read_rig(tmp_path / _FILE[format])
    assert back.names == rig.names
    assert not back.has_covariance
    for before, after in zip(rig.cameras, back.cameras, strict=True):
        assert after.size_px == before.size_px
        assert_allclose(after.centre, before.centre, atol=1e-9)
        assert_allclose(after.cam_from_lab.rotation, before.cam_from_lab.rotation, atol=1e-9)
        assert_allclose(after.intrinsics[:4], before.intrinsics[:4], atol=1e-9)
        points = before.centre + 3 * _rays(before)
        assert_allclose(after.project(points), before.project(points), atol=1e-9)


@pytest.mark.parametrize("format", [f for f in FORMATS if set(_K) - _HOLDS[f]])
def test_a_refitted_lens_reports_the_pixels_that_it_costs(tmp_path, format):
    other = sorted(set(_K) - _HOLDS[format])
    rig = _rig(*(_camera(f"cam_{i}", model, i) for i, model in enumerate(other)))
    written = write_rig_as(rig, format, tmp_path / _FILE[format])
    assert [r.camera for r in written.refits] == list(rig.names)
    back = read_rig(tmp_path / _FILE[format])
    for refit, before, after in zip(written.refits, rig.cameras, back.cameras, strict=True):
        points = before.centre + 3 * _rays(before)
        off = np.linalg.norm(after.project(points) - before.project(points), axis=1)
        assert_allclose(refit.rms_px, np.sqrt(np.mean(off**2)), rtol=1e-3, atol=1e-8)
        assert_allclose(refit.max_px, off.max(), rtol=1e-3, atol=1e-8)
        assert 0 < refit.rms_px < 0.2
        assert f"{refit.rms_px:.2g} px RMS" in refit.text


def test_a_lens_that_no_model_of_the_format_follows_is_refused(tmp_path):
    wide = Camera(
        "wide", (1280, 720), "fisheye",
        np.array([420.0, 420, 639.5, 359.5, 0.05, 0.01, 0, 0]), Pose.identity(),
    )  # fmt: skip
    target = tmp_path / "Calib.qca.txt"
    with pytest.raises(LabError, match=r"wide: its lens .* (cannot be|no line of sight)"):
        write_rig_as(_rig(wide), "qualisys", target)
    assert not target.exists()


def test_opencv_itself_reads_what_is_written(tmp_path):
    rig = _rig(_camera("cam_0", "brown5"), _camera("links ä", "fisheye", 1))
    for name in ("rig.yml", "rig.json"):
        write_rig_as(rig, "opencv", tmp_path / name)
        storage = cv2.FileStorage(str(tmp_path / name), cv2.FILE_STORAGE_READ)
        cameras = storage.getNode("cameras")
        for index, camera in enumerate(rig.cameras):
            node = cameras.at(index)
            assert node.getNode("name").string() == camera.name
            assert int(node.getNode("fisheye_model").real()) == (camera.model == "fisheye")
            assert_allclose(node.getNode("camera_matrix").mat(), camera.matrix, rtol=0)
            k = node.getNode("distortion_coefficients").mat().ravel()
            assert_allclose(k, camera.coefficients, rtol=0)
        assert read_rig(tmp_path / name).names == rig.names


def test_opencv_reads_easymocap_files(tmp_path):
    rig = _rig(_camera("01", "brown5"), _camera("cam 2", "brown4", 1))
    written = write_rig_as(rig, "easymocap", tmp_path)
    assert any("names" in line for line in written.not_held)
    inner = cv2.FileStorage(str(tmp_path / "intri.yml"), cv2.FILE_STORAGE_READ)
    outer = cv2.FileStorage(str(tmp_path / "extri.yml"), cv2.FILE_STORAGE_READ)
    names = inner.getNode("names")
    assert [names.at(i).string() for i in range(names.size())] == ["01", "cam_2"]
    assert_allclose(inner.getNode("K_01").mat(), rig.cameras[0].matrix, rtol=0)
    turn = cv2.Rodrigues(outer.getNode("R_cam_2").mat())[0]
    assert_allclose(turn, rig.cameras[1].cam_from_lab.rotation, atol=1e-12)
    assert_allclose(
        outer.getNode("T_cam_2").mat().ravel(), rig.cameras[1].cam_from_lab.translation, rtol=0
    )


def test_files_that_opencv_writes_are_read(tmp_path):
    # As OpenCV's calibration sample writes one camera, by OpenCV's own hand.
    for name in ("one.yml", "one.json"):
        storage = cv2.FileStorage(str(tmp_path / name), cv2.FILE_STORAGE_WRITE)
        storage.write("image_width", 640)
        storage.write("image_height", 480)
        storage.write("camera_matrix", np.array([[500.25, 0, 319.5], [0, 501, 239.5], [0, 0, 1]]))
        storage.write("distortion_coefficients", np.array([[-0.1, 0.02, 0, 0, 1 / 3]]).T)
        storage.release()
        rig = read_rig(tmp_path / name)
        assert rig.names == ("one",)
        assert "no pose in the file" in rig.quality.reasons[1]
        assert_allclose(
            rig.cameras[0].intrinsics, [500.25, 501, 319.5, 239.5, -0.1, 0.02, 0, 0, 1 / 3], rtol=0
        )


_KALIBR = """
cam0:
  camera_model: pinhole
  intrinsics: [461.629, 460.152, 362.680, 246.049]
  distortion_model: radtan
  distortion_coeffs: [-0.27695497, 0.06712482, 0.00087538, 0.00011556]
  rostopic: /left/image_raw
  resolution: [752, 480]
cam1:
  T_cn_cnm1:
  - - 0.0
    - -1.0
    - 0.0
    - -0.11
  - - 1.0
    - 0.0
    - 0.0
    - 0.02
  - [0.0, 0.0, 1.0,
     0.5]   # a comment
  - - 0.0
    - 0.0
    - 0.0
    - 1.0
  camera_model: pinhole
  intrinsics:
  - 460.0
  - 461.0
  - 360.0
  - 240.0
  distortion_model: equidistant
  distortion_coeffs: [-0.01, 0.02, 0.003, -0.0004]
  rostopic: /right/image_raw
  resolution: [752, 480]
"""


def test_a_camera_chain_as_kalibr_documents_it(tmp_path):
    path = tmp_path / "camchain.yaml"
    path.write_text(_KALIBR)
    rig = read_rig(path)
    assert rig.names == ("left", "right")
    left, right = rig.cameras
    assert (left.model, right.model) == ("brown4", "fisheye")
    assert_allclose(left.cam_from_lab.translation, 0)
    # A point one metre before the left camera, one hand over to the right one.
    assert_allclose(right.cam_from_lab.transform([0.1, 0.2, 1.0]), [-0.2 - 0.11, 0.1 + 0.02, 1.5])
    assert "the lab frame is that of left" in rig.quality.reasons


def test_a_chain_of_three_is_a_chain(tmp_path):
    rig = _rig(*(_camera(f"c{i}", "brown4", i) for i in range(3)))
    write_rig_as(rig, "kalibr", tmp_path / "chain.yaml")
    document = read_yaml((tmp_path / "chain.yaml").read_text(), "")
    step = np.array(document["cam2"]["T_cn_cnm1"])
    point = np.array([0.3, 0.2, 5.0])
    one, two = (c.cam_from_lab.transform(point) for c in rig.cameras[1:])
    assert_allclose(step @ [*one, 1], [*two, 1], atol=1e-12)


_MRCAL = """# a note
{
    'lensmodel':  'LENSMODEL_OPENCV8',

    # intrinsics are fx,fy,cx,cy,distortion0,distortion1,....
    'intrinsics': [ 1761.181055, 1761.250444, 1965.706996, 1087.518797, -0.01266096516,
        0.03590794372, -0.0002547045941, 0.0005275929652, 0.01968883397, 0.01482863541,
        -0.0562239888, 0.0500223357,],
    'extrinsics': [ 2e-2, -3e-1, -1e-2,  1., 2, -3., ],
    'imagersize': [ 4000, 2200 ],
    'optimization_inputs': b'abc',
}
"""


def test_a_camera_model_as_mrcal_documents_it(tmp_path):
    (tmp_path / "cam7.cameramodel").write_text(_MRCAL)
    for source in (tmp_path, tmp_path / "cam7.cameramodel"):
        camera = read_rig(source).cameras[0]
        assert (camera.name, camera.model, camera.size_px) == ("cam7", "brown8", (4000, 2200))
        assert_allclose(camera.cam_from_lab.rotvec(), [0.02, -0.3, -0.01], atol=1e-12)
        assert_allclose(camera.cam_from_lab.translation, [1, 2, -3])
        assert camera.intrinsics[-1] == 0.0500223357


def _xcp(radial: str, turn: Rotation, centre_mm: np.ndarray, kind: str = "Vue_VIDEO") -> str:
    q = " ".join(repr(float(v)) for v in turn.as_quat())
    c = " ".join(repr(float(v)) for v in centre_mm)
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<Cameras NAME="" VERSION="1.0">
  <Camera DEVICEID="2111560" PIXEL_ASPECT_RATIO="1" SENSOR_SIZE="1920 1080" SKEW="0" TYPE="{kind}">
    <KeyFrames>
      <KeyFrame FOCAL_LENGTH="1700" FRAME="0" ORIENTATION="{q}" POSITION="{c}"
        PRINCIPAL_POINT="950 545" {radial} WORLD_ERROR="0.2"/>
    </KeyFrames>
  </Camera>
  <Camera DEVICEID="7" PIXEL_ASPECT_RATIO="1" SENSOR_SIZE="1920 1080" SKEW="0" TYPE="V8"/>
</Cameras>"""


def test_a_vicon_lens_runs_from_the_seen_pixel_to_the_ideal_one(tmp_path):
    turn, centre = Rotation.from_rotvec([1.1, -0.6, 0.4]), np.array([1200.0, -3400, 1500])
    k = np.array([3e-8, 2e-15, 1e-22])
    path = tmp_path / "trial.xcp"
    path.write_text(
        _xcp(f'VICON_RADIAL2="Vicon3Parameter 948 541 {k[0]} {k[1]} {k[2]}"', turn, centre)
    )
    rig = read_rig(path)
    camera = rig.cameras[0]
    assert rig.names == ("2111560",)
    assert any("1 further cameras" in reason for reason in rig.quality.reasons)
    assert_allclose(camera.centre, centre / 1000, atol=1e-12)
    # The documented model by hand: pixels seen -> ideal pixels -> lines of sight in the lab.
    seen = image_grid((1920, 1080))
    off = seen - [948, 541]
    r2 = (off**2).sum(1, keepdims=True)
    ideal = [948, 541] + off * (1 + k[0] * r2 + k[1] * r2**2 + k[2] * r2**3)
    rays = np.column_stack([(ideal - [950, 545]) / 1700, np.ones(len(seen))])
    points = centre / 1000 + 4 * turn.inv().apply(rays)
    error = np.linalg.norm(camera.project(points) - seen, axis=1)
    figures = rig.quality.cameras["2111560"]
    assert_allclose(figures["lens_refit_rms_px"], np.sqrt(np.mean(error**2)), rtol=1e-3)
    assert_allclose(figures["lens_refit_max_px"], error.max(), rtol=1e-3)
    assert error.max() < 0.05
    # Taken the other way round, as some readers do, it would be wrong by many pixels.
    scale = [k[0] * 1700**2, k[1] * 1700**4, 0, 0, k[2] * 1700**6]
    wrong = replace(camera, intrinsics=np.array([1700, 1700, 950, 545, *scale]))
    assert np.linalg.norm(wrong.project(points) - seen, axis=1).max() > 20


def test_the_older_vicon_lens_is_about_the_principal_point(tmp_path):
    path = tmp_path / "old.xcp"
    path.write_text(_xcp('VICON_RADIAL="3e-8 0"', Rotation.identity(), np.zeros(3), "T160"))
    camera = read_rig(path).cameras[0]
    on_axis = camera.project([0, 0, 2.0])
    assert_allclose(on_axis, [950, 545], atol=0.02)


def test_half_a_pixel_between_qualisys_and_the_rest(tmp_path):
    rig = _rig(_camera("1", "brown5"))
    write_rig_as(rig, "qualisys", tmp_path / "a.qca.txt")
    text = (tmp_path / "a.qca.txt").read_text()
    u = float(text.split('centerPointU="')[1].split('"')[0])
    assert_allclose(u / 64, rig.cameras[0].intrinsics[2] + 0.5, atol=1e-12)


def test_the_real_qualisys_file_comes_back(data, tmp_path):
    rig = read_rig(data / "pose" / "Calib.qca.txt")
    write_rig_as(rig, "qualisys", tmp_path / "again.qca.txt")
    again = read_rig(tmp_path / "again.qca.txt")
    for before, after in zip(rig.cameras, again.cameras, strict=True):
        assert_allclose(after.intrinsics, before.intrinsics, atol=1e-9)
        assert_allclose(after.centre, before.centre, atol=1e-9)
    assert again.quality.cameras == rig.quality.cameras


def test_a_file_in_millimetres_is_refused_unless_said(tmp_path):
    rig = _rig(_camera("a", "brown5"))
    pose = rig.cameras[0].cam_from_lab
    far = replace(rig.cameras[0], cam_from_lab=Pose(pose.rotation, 1000 * pose.translation))
    write_rig_as(_rig(far), "aniposelib", tmp_path / "mm.toml")
    with pytest.raises(FileError, match="--unit mm"):
        read_rig(tmp_path / "mm.toml")
    back = read_rig(tmp_path / "mm.toml", unit="mm")
    assert_allclose(back.cameras[0].centre, rig.cameras[0].centre, atol=1e-12)


def test_an_easymocap_file_without_a_size_asks_for_it(tmp_path):
    write_rig_as(_rig(_camera("a", "brown5")), "easymocap", tmp_path)
    inner = tmp_path / "intri.yml"
    inner.write_text("\r\n".join(li for li in inner.read_text().splitlines() if "W_" not in li))
    with pytest.raises(FileError, match="--size-px"):
        read_rig(inner)
    assert read_rig(inner, size_px=(1920, 1080)).cameras[0].size_px == (1920, 1080)


_SPOILED = [
    ("aniposelib", "matrix", "matrx"),
    ("aniposelib", "641.2", "nan"),
    ("aniposelib", "1280", "-3"),
    ("aniposelib", "900.1", "0.0"),
    ("aniposelib", "]", ""),
    ("qualisys", "</cameras>", ""),
    ("qualisys", "focalLengthU", "focal"),
    ("qualisys", 'r11="', 'r11="9'),
    ("qualisys", "serial", "serious"),
    ("opencv", "rows: 3", "rows: 7"),
    ("opencv", "data: [", "data: "),
    ("opencv", "image_width", "width"),
    ("opencv", "rotation:", "rot:"),
    ("kalibr", "radtan", "fov"),
    ("kalibr", "pinhole", "omni"),
    ("kalibr", "cam0:", "cam1:"),
    ("kalibr", "resolution", "res"),
    ("mrcal", "OPENCV5", "CAHVORE"),
    ("mrcal", "imagersize", "size"),
    ("mrcal", "[", "{"),
    ("easymocap", "K_a", "K_b"),
    ("easymocap", "cols: 3", "cols: 3.5"),
]


@pytest.mark.parametrize(("format", "good", "bad"), _SPOILED)
def test_a_spoiled_file_is_refused_in_a_sentence(tmp_path, format, good, bad):
    model = "brown4" if format == "kalibr" else "brown5"
    written = write_rig_as(_rig(_camera("a", model)), format, tmp_path / _FILE[format])
    text = written.files[0].read_text()
    assert good in text
    written.files[0].write_text(text.replace(good, bad, 1))
    with pytest.raises(LabError) as caught:
        read_rig(tmp_path / _FILE[format])
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=12)
@given(data=st.data())
def test_no_damage_ends_in_anything_but_a_sentence(tmp_path_factory, format, data):
    folder = tmp_path_factory.mktemp("damage")
    model = "brown4" if format == "kalibr" else "brown5"
    written = write_rig_as(_rig(_camera("a", model)), format, folder / _FILE[format])
    content = bytearray(written.files[0].read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[place] = data.draw(st.integers(0, 255))
        else:
            del content[place : place + data.draw(st.integers(1, 200))]
            content += b" "
    written.files[0].write_bytes(bytes(content))
    with contextlib.suppress(LabError):
        read_rig(folder / _FILE[format])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b""),
        ("a.toml", b"[x]\ny = 1\n"),
        ("a.json", json.dumps({"a": 1}).encode()),
        ("a.yaml", b"a: 1\n"),
        ("a.xml", b"<other/>"),
        ("a.bin", bytes(range(256))),
        ("rig.h5", b"\x89HDF\r\n\x1a\n"),
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError):
        read_rig(tmp_path / name)


def test_a_missing_file_an_empty_folder_and_an_unknown_format_are_refused(tmp_path):
    with pytest.raises(FileError, match="cannot be read"):
        read_rig(tmp_path / "none.toml")
    with pytest.raises(FileError, match="folder holds no calibration"):
        read_rig(tmp_path)
    with pytest.raises(LabError, match="no format called"):
        write_rig_as(_rig(_camera("a", "brown4")), "colmap", Path("x"))


def test_yaml_of_all_shapes():
    text = """%YAML:1.0
---
a: {b: [1, 2.5, -3.e-2], 'c d': "x: # y"}   # a comment
names:
   - "01"
   - 02
   -
      k: v
list:
- - 1
  - 2
- [3,
   4]
empty:
url: http://x/y
"""
    assert read_yaml(text, "") == {
        "a": {"b": [1, 2.5, -0.03], "c d": "x: # y"},
        "names": ["01", "02", {"k": "v"}],
        "list": [[1, 2], [3, 4]],
        "empty": None,
        "url": "http://x/y",
    }
    for bad in (
        "a: [1, 2",
        "a: 1\n  b: 2\nc",
        "a: *x",
        "a: 1\na: 2",
        'a: "x',
        "a: [1 2] 3",
        "- " * 99,
    ):
        with pytest.raises(FileError):
            read_yaml(bad, "")
