"""Pose networks end to end on small ones, and every step before and after them by hand."""

from __future__ import annotations

import hashlib
import io
import zipfile

import msgspec
import numpy as np
import pytest

from lab.errors import FileError, LabError
from reconstruct.detect.crops import back_to_frame, box_to_area, cut_out, letterbox, network_input
from reconstruct.detect.model_card import read_card, shipped_cards, write_card
from reconstruct.detect.model_store import ModelStore, network_in
from reconstruct.detect.network import Network
from reconstruct.detect.person_boxes import boxes_of, suppress
from reconstruct.detect.pose import PoseDetector, check_network
from reconstruct.detect.simcc import decode_simcc, peak_variance
from reconstruct.skeletons import SKELETONS, load_skeleton
from tests.networks import draw_people, person_network, pose_network

POSE = """
name = "tiny"
kind = "pose"
licence = "none"
input_px = [96, 128]
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]
channels = "rgb"
skeleton = "coco17"
person = "boxes"
"""
BOXES = """
name = "boxes"
kind = "person"
licence = "none"
input_px = [256, 192]
channels = "bgr"
score_least = 0.2
overlap_most = 0.1
"""
SIZE = (640, 480)
NORMAL = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}


def body(x, y, height=200.0, seed=0):
    """17 joints (17, 2) px scattered over a body's size."""
    rng = np.random.default_rng(seed)
    places = rng.permutation([(i, j) for i in range(3) for j in range(7)])[:17]
    return np.array([x, y]) + (places - [1, 3]) * height / 7 + rng.uniform(-3, 3, (17, 2))


@pytest.fixture
def store(tmp_path):
    made = ModelStore(tmp_path / "models")
    card = read_card(POSE, "tiny")
    made.add(card, pose_network(17, card.input_px, **NORMAL), "tiny.onnx")
    made.add(read_card(BOXES, "boxes"), person_network((256, 192), (60, 96)), "boxes.onnx")
    return made


def sorted_by_x(people, frame):
    seen = np.flatnonzero(np.isfinite(people.xy_px[frame, :, 0, 0]))
    return sorted(seen, key=lambda p: np.nanmean(people.xy_px[frame, p, :, 0]))


def test_people_are_found_where_they_are(store):
    detector = PoseDetector(store, "tiny", device="cpu", threads=1)
    assert detector.names == load_skeleton("coco17").order
    frames, truth = [], []
    for i in range(20):
        people = [body(150 + 3 * i, 230, seed=1), body(450 - 2 * i, 250, seed=2)][: 1 + (i != 5)]
        truth.append(people)
        frames.append((i / 50, draw_people(SIZE, people)))
    found = detector.detect_people("cam01", frames)
    assert found.t.tolist() == [t for t, _ in frames]
    for i, people in enumerate(truth):
        order = sorted_by_x(found, i)
        assert len(order) == len(people)
        for person, true in zip(order, people, strict=True):
            error = found.xy_px[i, person] - true
            # The crop is about 2.2 times coarser than the image, and has two bins a pixel.
            assert np.abs(error).max() < 2.0
            assert np.sqrt((error**2).mean()) < 0.9
            sigma = np.sqrt(found.cov_px[i, person][:, [0, 1], [0, 1]])
            assert (sigma > 0.2).all()
            assert (sigma < 30).all()


def test_parts_give_what_the_whole_gives(store):
    detector = PoseDetector(store, "tiny", device="cpu", threads=1)
    frames = [(i / 50, draw_people(SIZE, [body(200 + 9 * i, 240)])) for i in range(6)]
    whole = detector.detect("c", frames)
    for i, frame in enumerate(frames):
        assert np.array_equal(detector.detect("c", [frame]).xy_px[0], whole.xy_px[i])
    nobody = detector.detect("c", [(0.0, np.zeros((480, 640, 3), np.uint8))])
    assert np.isnan(nobody.xy_px).all()
    assert detector.detect_people("c", []).xy_px.shape[0] == 0


def test_the_identity_tells_models_and_cards_apart(store):
    first = PoseDetector(store, "tiny", device="cpu").identity
    card = msgspec.structs.replace(store.card("tiny"), padding=1.1)
    store.add(card, store.file("tiny")[1].read_bytes(), "x")
    second = PoseDetector(store, "tiny", device="cpu").identity
    other = msgspec.structs.replace(card, sha256="")
    store.add(other, pose_network(17, (96, 128), **NORMAL, rgb=False), "x")
    third = PoseDetector(store, "tiny", device="cpu").identity
    assert len({first, second, third}) == 3
    assert PoseDetector(store, "tiny", device="cpu").identity == third


def test_a_crop_and_its_way_back_are_inverse():
    xy = np.array([[201.25, 150.5], [230.0, 300.0]])
    image = draw_people(SIZE, [xy], blob_px=9)
    area = box_to_area(np.array([150.0, 100, 300, 350]), (96, 128), 1.25)
    assert area.tolist() == [225, 225, 250 * 1.25 * 0.75, 250 * 1.25]
    crop = cut_out(image, area, (96, 128)).astype(float)
    for k, colour in enumerate(draw_people((9, 9), [[(4, 4), (99, 99)]])[4, 4:5]):
        weight = np.clip(crop @ colour / (colour @ colour) - 0.2, 0, None)
        weight *= np.linalg.norm(crop, axis=-1) > 60
        rows, columns = np.indices(weight.shape)
        near = (
            np.hypot(
                columns - (xy[k, 0] - area[0] + area[2] / 2) * 96 / area[2],
                rows - (xy[k, 1] - area[1] + area[3] / 2) * 128 / area[3],
            )
            < 12
        )
        weight *= near
        centre = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
        back = back_to_frame(centre[None, None], area[None], (96, 128))[0, 0]
        assert np.abs(back - xy[k]).max() < 0.1


def test_a_wide_box_grows_in_height():
    area = box_to_area(np.array([0.0, 0, 300, 100]), (96, 128), 1.0)
    assert area.tolist() == [150, 50, 300, 400]


def test_a_letterbox_keeps_the_aspect():
    boxed, factor = letterbox(np.full((400, 800, 3), 7, np.uint8), (200, 200))
    assert factor == 0.25
    assert (boxed[:100] == 7).all()
    assert (boxed[100:] == 114).all()


def test_channels_and_scaling():
    image = np.array([[[1, 2, 3]]], np.uint8)
    assert network_input([image], None, None, False).ravel().tolist() == [1, 2, 3]
    scaled = network_input([image], np.array([1.0, 1, 1]), np.array([2.0, 2, 2]), True)
    assert scaled.ravel().tolist() == [1, 0.5, 0]
    assert scaled.shape == (1, 3, 1, 1)


def test_simcc_peaks_and_their_width():
    x = np.arange(200.0)
    beta = 10.0
    for sigma in (2.0, 4.0):
        # What training aims at: its softmax is normal about the peak.
        along = (-((x - 80) ** 2) / (2 * sigma**2) / beta)[None, None] + 1
        variance = peak_variance(along, 2.0, beta)[0, 0]
        cut = np.abs(x - 80) < sigma * np.sqrt(2 * np.log(100))
        weight = np.exp(-((x - 80) ** 2) / 2 / sigma**2) * cut
        expected = (weight * (x - 80) ** 2).sum() / weight.sum()
        assert variance == pytest.approx((expected + 1 / 12) / 4, rel=1e-9)
        assert variance == pytest.approx(sigma**2 / 4, rel=0.1)
    xy, score = decode_simcc(along, along[..., ::-1], 2.0)
    assert xy[0, 0].tolist() == [40.0, 59.5]
    assert score[0, 0] == 1
    assert np.isnan(decode_simcc(along - 2, along - 2, 2.0)[0]).all()


def test_boxes_of_both_forms():
    options = {"score_least": 0.3, "overlap_most": 0.5, "person_class": 0}
    given = np.array([[0, 0, 9, 9, 0.5], [0, 0, 5, 5, 0.9], [1, 1, 2, 2, 0.2], [3, 3, 9, 9, 0.8]])
    chosen = boxes_of(given, np.array([0, 0, 0, 7]), (64, 64), **options)
    assert chosen.tolist() == [[0, 0, 5, 5, 0.9], [0, 0, 9, 9, 0.5]]
    grid = np.zeros((64 + 16 + 4, 7))
    # Stride 16 begins after 64 cells; its cell (2, 1) is number 1 * 4 + 2.
    grid[64 + 6] = [0.5, 0.25, np.log(2), np.log(3), 0.9, 0.8, 1.0]
    box = boxes_of(grid, None, (64, 64), **options)
    assert box == pytest.approx(np.array([[40 - 16, 20 - 24, 40 + 16, 20 + 24, 0.72]]))


def test_of_boxes_that_overlap_the_surest_stays():
    boxes = np.array([[0, 0, 10, 10, 0.5], [1, 0, 11, 10, 0.9], [50, 0, 60, 10, 0.4]])
    assert suppress(boxes, 0.5)[:, 4].tolist() == [0.9, 0.4]
    assert suppress(boxes, 0.9)[:, 4].tolist() == [0.9, 0.5, 0.4]
    assert suppress(boxes[:0], 0.5).shape == (0, 5)


def test_a_model_that_is_not_here_says_which_command_gets_it(tmp_path):
    with pytest.raises(LabError, match="gaitlab models get rtmpose-m-halpe26"):
        PoseDetector(ModelStore(tmp_path), "rtmpose-m-halpe26")
    with pytest.raises(LabError, match="no model called 'cat'"):
        PoseDetector(ModelStore(tmp_path), "cat")


def test_its_person_detector_is_asked_for_too(tmp_path):
    store = ModelStore(tmp_path)
    store.add(read_card(POSE, ""), pose_network(17, (96, 128)), "x")
    with pytest.raises(LabError, match="no model called 'boxes'"):
        PoseDetector(store, "tiny")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_file_is_refused(store, damage):
    path = store.file("tiny")[1]
    whole = path.read_bytes()
    path.write_bytes(
        {
            "cut": whole[:-20],
            "flip": whole[:300] + bytes([whole[300] ^ 1]) + whole[301:],
            "empty": b"",
        }[damage]
    )
    with pytest.raises(FileError, match="damaged") as caught:
        PoseDetector(store, "tiny")
    assert "gaitlab models add tiny.toml" in caught.value.remedy


def test_a_file_of_another_hash_is_not_kept(tmp_path):
    store = ModelStore(tmp_path)
    card = msgspec.structs.replace(read_card(POSE, ""), sha256="0" * 64)
    with pytest.raises(FileError, match="not the one of the card"):
        store.add(card, pose_network(17, (96, 128)), "x.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", None])
def test_what_is_no_network_is_refused(content):
    whole = pose_network(17, (96, 128))
    with pytest.raises(FileError, match="not a network that can be read"):
        Network(whole[: len(whole) // 2] if content is None else content, "x.onnx", device="cpu")


def test_a_network_that_does_not_fit_its_card(tmp_path):
    card = read_card(POSE, "")
    with pytest.raises(LabError, match="input_px"):
        check_network(card, pose_network(17, (128, 96)))
    check_network(card, pose_network(17, (96, 128)))
    store = ModelStore(tmp_path)
    alone = msgspec.structs.replace(card, person="")
    store.add(alone, pose_network(26, (96, 128)), "x")
    detector = PoseDetector(store, "tiny", device="cpu")
    with pytest.raises(LabError, match="SimCC"):
        detector.detect("c", [(0.0, draw_people(SIZE, []))])
    boxes = msgspec.structs.replace(read_card(BOXES, ""), kind="pose", skeleton="coco17")
    store.add(boxes, person_network((256, 192), (60, 96)), "x")
    store.add(card, pose_network(17, (96, 128)), "x")
    with pytest.raises(LabError, match="is a pose model"):
        PoseDetector(store, "tiny")


def test_a_device_that_is_not_there(store):
    with pytest.raises(LabError, match=r'device is "abacus".*cpu'):
        PoseDetector(store, "tiny", device="abacus")


def test_a_network_of_one_image_at_a_time(tmp_path):
    network = Network(pose_network(17, (96, 128), batch=1), "x", device="cpu")
    several = Network(pose_network(17, (96, 128)), "x", device="cpu")
    batch = np.random.default_rng(0).random((3, 3, 128, 96), np.float32)
    for one, all_at_once in zip(network.run(batch), several.run(batch), strict=True):
        assert np.allclose(one, all_at_once, atol=1e-6)


def test_fetching_and_keeping(tmp_path):
    packed = io.BytesIO()
    network = pose_network(17, (96, 128))
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("20230605/end2end.onnx", network)
        file.writestr("20230605/pipeline.json", "{}")
    (tmp_path / "tiny.zip").write_bytes(packed.getvalue())
    store = ModelStore(tmp_path / "models")
    store.folder.mkdir()
    address = (tmp_path / "tiny.zip").as_uri()
    card = msgspec.structs.replace(read_card(POSE, ""), address=address)
    (store.folder / "tiny.toml").write_bytes(write_card(card))
    steps = []
    kept = store.fetch("tiny", check_network, lambda done, total: steps.append((done, total)))
    assert kept.sha256 == hashlib.sha256(network).hexdigest()
    assert steps[-1] == (len(packed.getvalue()),) * 2
    assert ModelStore(store.folder).file("tiny")[1].read_bytes() == network
    # The hash recorded at first use binds the next fetch.
    with zipfile.ZipFile(tmp_path / "tiny.zip", "w") as file:
        file.writestr("a.onnx", pose_network(17, (96, 128), rgb=False))
    with pytest.raises(FileError, match="not the one of the card"):
        store.fetch("tiny", check_network, lambda done, total: None)
    (tmp_path / "tiny.zip").unlink()
    with pytest.raises(FileError, match="cannot be fetched"):
        store.fetch("tiny", check_network, lambda done, total: None)
    assert store.file("tiny")[1].read_bytes() == network


def test_a_zip_without_its_network():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("readme", "x")
    with pytest.raises(FileError, match="holds 0 files"):
        network_in(packed.getvalue(), "a.zip")
    with pytest.raises(FileError, match=r"zip is damaged"):
        network_in(packed.getvalue()[:-10], "a.zip")


@pytest.mark.parametrize("card", shipped_cards().values(), ids=lambda c: c.name)
def test_shipped_cards_are_whole(card):
    assert card.address.startswith("https://")
    assert card.licence
    if card.kind == "pose":
        assert load_skeleton(card.skeleton).count
        assert shipped_cards()[card.person].kind == "person"
    assert read_card(write_card(card).decode(), "") == card


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('kind = "pose"', 'kind = "cat"'), "kind"),
        (("[96, 128]", "[96]"), "input_px"),
        (('"coco17"', '"cat"'), "skeleton"),
        (('licence = "none"', ""), "licence"),
        (("std = [58.395, 57.12, 57.375]", ""), "mean and std"),
        (("58.395", "0.0"), "positive"),
        (('name = "tiny"', 'name = "../tiny"'), "signs"),
        (('person = "boxes"', 'person = "boxes"\nspeed = 3'), "speed"),
        (('person = "boxes"', 'sha256 = "12"'), "sha256"),
        (("kind =", "kind"), "not valid TOML"),
    ],
)
def test_a_wrong_card_is_named(change, said):
    with pytest.raises(LabError, match=said):
        read_card(POSE.replace(*change), "tiny.toml")


@pytest.mark.parametrize("name", [s for s in SKELETONS if load_skeleton(s).order])
def test_numbered_points_have_their_names(name):
    skeleton = load_skeleton(name)
    ours, numbers = skeleton.numbers
    assert [skeleton.points[skeleton.order[i]] for i in numbers] == list(ours)
