"""One suite over all drivers: each camera that can run here must behave the same."""

from __future__ import annotations

import importlib.util
import os
import time

import av
import cv2
import numpy as np
import pytest

from capture.cameras import CameraSettings, read_cameras
from capture.counter import draw_counter, read_counter
from capture.driver import CameraDriver, CameraError, open_camera, open_cameras
from capture.host_clock import HostClock
from capture.simulated import register_source
from lab.errors import FileError, LabError

SIZE = (352, 64)
RATE = 100.0
# pylon reads this once, when it is loaded.
os.environ.setdefault("PYLON_CAMEMU", "2")


def picture(counter):
    image = np.full((SIZE[1], SIZE[0]), 90, np.uint8)
    draw_counter(image, counter)
    return image


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=100)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "gray"
        for counter in range(60):
            frame = av.VideoFrame.from_ndarray(picture(counter), format="gray")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stills")
    for counter in range(20):
        cv2.imwrite(str(folder / f"{counter:04d}.png"), picture(counter))
    return folder


def _need_pylon():
    if importlib.util.find_spec("pypylon") is None:
        pytest.skip("pypylon is not installed")


@pytest.fixture(params=["simulated", "simulated_jpeg", "source", "opencv", "stream", "basler"])
def camera(request, film, stills):
    kind = request.param
    if kind == "basler":
        _need_pylon()
    register_source("source", lambda name, t: np.full((SIZE[1], SIZE[0]), 90, np.uint8))
    options = {
        "simulated_jpeg": {"delivers": "mjpeg"},
        "opencv": {"backend": "file"},
        "basler": {"image_files": str(stills)},
    }
    serial = {"opencv": str(film), "stream": str(film), "basler": "0815-0000"}
    settings = CameraSettings(
        name="cam01",
        driver=kind.removesuffix("_jpeg"),
        serial=serial.get(kind, ""),
        size_px=SIZE,
        rate_hz=RATE,
        exposure_us=2000.0 if kind in ("simulated", "source", "basler") else None,
        options=options.get(kind, {}),
    )
    driver = open_camera(settings, HostClock())
    yield driver
    driver.close()
    driver.close()


def take(driver, count, timeout_s=2.0):
    shots = []
    deadline = time.monotonic() + 20
    while len(shots) < count and time.monotonic() < deadline:
        shot = driver.grab(timeout_s)
        if shot is not None:
            shots.append(shot)
    return shots


def test_a_camera_keeps_the_protocol(camera):
    assert isinstance(camera, CameraDriver)
    got = camera.accepted
    assert got.differences == ()
    assert got.size_px == SIZE
    assert got.rate_hz == pytest.approx(RATE, rel=0.01)
    camera.start()
    began_ns = time.monotonic_ns()
    shots = take(camera, 20)
    assert len(shots) == 20
    index = np.array([s.index for s in shots])
    assert (np.diff(index) >= 1).all()
    host = np.array([s.host_ns for s in shots])
    assert (np.diff(host) >= 0).all()
    assert began_ns <= host[0]
    assert host[-1] <= time.monotonic_ns()
    device = np.array([s.device_ns for s in shots])
    assert (np.diff(device) > 0).all()
    for shot in shots:
        assert abs(shot.mid_device_ns - shot.device_ns) == shot.exposure_ns // 2
        image = shot.image
        if isinstance(image, bytes):
            image = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_UNCHANGED)
        assert image.dtype == np.uint8
        assert image.shape[:2] == (SIZE[1], SIZE[0])
        assert image.flags.c_contiguous
        assert read_counter(image) is not None
    # The camera's own pace, not a timing of this computer: 20 frames span 19 periods or more.
    assert host[-1] - host[0] >= 0.6 * 19 * 1e9 / RATE


def test_the_counter_goes_on_after_a_stop(camera):
    camera.start()
    first = take(camera, 3)
    camera.stop()
    camera.start()
    second = take(camera, 3)
    assert second[0].index > first[-1].index


def test_pixels_agree_with_the_counter(camera):
    """Neither doubled nor swapped: the drawn counter rises in step with the camera's own."""
    camera.start()
    shots = take(camera, 15)
    images = [
        cv2.imdecode(np.frombuffer(s.image, np.uint8), cv2.IMREAD_UNCHANGED)
        if isinstance(s.image, bytes)
        else s.image
        for s in shots
    ]
    drawn = np.array([read_counter(i) for i in images])
    index = np.array([s.index for s in shots])
    modulus = 20 if camera.accepted.model == "Emulation" else 1 << 32
    assert (np.diff(drawn) % modulus == np.diff(index) % modulus).all()


def test_what_was_asked_is_compared_with_what_was_accepted():
    asked = CameraSettings(
        name="cam01", driver="simulated", size_px=SIZE, trigger="hardware", region_px=(8, 0, 10, 10)
    )
    driver = open_camera(asked, HostClock())
    found = driver.accepted.differences
    driver.close()
    assert any(d.startswith("trigger: hardware asked, free") for d in found)
    assert any(d.startswith("region_px") for d in found)
    assert len(found) == 2


def test_simulated_cameras_that_share_an_epoch_are_on_a_line():
    asked = CameraSettings(
        name="cam01", driver="simulated", size_px=SIZE, trigger="hardware",
        options={"epoch_ns": time.monotonic_ns()},
    )  # fmt: skip
    driver = open_camera(asked, HostClock())
    assert driver.accepted.trigger == "hardware"
    assert driver.accepted.differences == ()
    driver.close()


def test_a_basler_says_what_it_could_not_do():
    _need_pylon()
    asked = CameraSettings(
        name="cam01", driver="basler", serial="0815-0001", exposure_us=9e7, size_px=(640, 480)
    )
    driver = open_camera(asked, HostClock())
    got = driver.accepted
    driver.close()
    assert got.exposure_us < 9e7
    assert any(d.startswith("exposure_us") for d in got.differences)


def test_a_basler_triggered_by_software(stills):
    _need_pylon()
    asked = CameraSettings(
        name="cam01", driver="basler", serial="0815-0001", size_px=SIZE, trigger="software",
        options={"image_files": str(stills)},
    )  # fmt: skip
    driver = open_camera(asked, HostClock())
    driver.start()
    shots = take(driver, 5)
    driver.close()
    assert [s.index - shots[0].index for s in shots] == [0, 1, 2, 3, 4]


def test_all_failures_of_eight_cameras_at_once():
    cameras = [
        CameraSettings(name=f"cam{i}", driver="stream", serial=f"nowhere{i}.mp4") for i in range(6)
    ]
    cameras += [CameraSettings(name="cam6", driver="kinect")]
    cameras += [CameraSettings(name="cam7", driver="simulated")]
    with pytest.raises(LabError) as failed:
        open_cameras(cameras, HostClock())
    message = str(failed.value)
    assert "7 of 8 cameras did not open" in message
    for i in range(6):
        assert f"nowhere{i}.mp4" in message
    assert 'no driver is called "kinect"' in message
    assert "cam7" not in message


def test_a_stream_that_ends_says_so(film):
    driver = open_camera(
        CameraSettings(name="cam01", driver="stream", serial=str(film), rate_hz=1000.0), HostClock()
    )
    driver.start()
    with pytest.raises(CameraError, match="ended"):
        take(driver, 100)
    driver.close()


def test_a_driver_whose_library_is_missing_says_what_to_install():
    if importlib.util.find_spec("harvesters") is not None:
        pytest.skip("harvesters is installed")
    with pytest.raises(LabError, match=r"gaitlab\[genicam\]"):
        open_camera(CameraSettings(name="cam01", driver="genicam"), HostClock())


def test_drift_drop_and_stall_of_the_simulated_camera():
    options = {"faults": {"drop": 0.3, "drift_ppm": 1000.0, "stall_at": 20, "stall_s": 0.2}}
    driver = open_camera(
        CameraSettings(
            name="cam01", driver="simulated", size_px=SIZE, rate_hz=200, options=options
        ),
        HostClock(),
    )
    driver.start()
    shots = take(driver, 50)
    driver.close()
    index = np.array([s.index for s in shots])
    device = np.array([s.device_ns for s in shots])
    assert (np.diff(index) > 1).any()
    period = np.diff(device) / np.diff(index)
    assert period == pytest.approx(5e6 * 1.001, abs=10)
    late = np.array([s.host_ns for s in shots]) - device
    assert np.ptp(late) > 0.1e9


def test_cameras_toml(tmp_path):
    path = tmp_path / "cameras.toml"
    path.write_text(
        '[cameras.a]\ndriver = "basler"\nserial = "1"\nnode = "left"\nexposure_us = 1500.0\n'
        '[cameras.b]\ndriver = "basler"\nserial = "2"\nnode = "right"\n'
    )
    assert [c.name for c in read_cameras(path)] == ["a", "b"]
    assert [c.name for c in read_cameras(path, "right")] == ["b"]
    assert read_cameras(path)[0].exposure_us == 1500.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[cameras.a]\ndriver = "basler"\nexposure = 3', "exposure"),
        ('[cameras.a]\nserial = "1"', "driver"),
        ('[cameras."../a"]\ndriver = "basler"', "letters, digits"),
        ('[cameras.a]\ndriver = "basler"\ntrigger = "flash"', "trigger|flash"),
        ('[cameras.a]\ndriver="basler"\nserial="1"\n[cameras.b]\ndriver="basler"\nserial="1"',
         "a and b are both the camera 1"),
        ("[cameras", "list of cameras"),
    ],
)  # fmt: skip
def test_cameras_toml_that_is_wrong(tmp_path, text, said):
    path = tmp_path / "cameras.toml"
    path.write_text(text)
    with pytest.raises(FileError, match=said):
        read_cameras(path)
