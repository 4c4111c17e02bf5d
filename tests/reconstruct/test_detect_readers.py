"""Keypoints of other programs, each in the form that the program documents."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from lab.errors import FileError, LabError
from reconstruct.detect.keypoint_files import FORMS, read_people, recognise
from reconstruct.skeletons import load_skeleton

FILES = Path(__file__).parent / "files"


def at(frame):
    return frame / 50


def points(count, offset=0.0):
    """(count, 3): point i at (10 i, 10 i + 1) px + offset, score 0.5 + i / 1000."""
    i = np.arange(count)
    return np.stack([10 * i + offset, 10 * i + 1 + offset, 0.5 + i / 1000], axis=1)


def expect(people, skeleton, frame, offset=0.0, person=0, order=None):
    names = list(load_skeleton(skeleton).order) if order is None else list(order)
    ours = load_skeleton(skeleton).points
    for theirs in names:
        if theirs in ours:
            k = people.names.index(ours[theirs])
            truth = points(len(names), offset)[names.index(theirs)]
            assert people.xy_px[frame, person, k] == pytest.approx(truth[:2])
            if np.isfinite(people.score[frame, person, k]):
                assert people.score[frame, person, k] == pytest.approx(truth[2])


def openpose(folder, frames=3, count=25):
    folder.mkdir()
    for i in range(frames):
        people = [
            {
                "person_id": [-1],
                "pose_keypoints_2d": points(count, i + 100 * p).ravel().tolist(),
                "face_keypoints_2d": [],
                "hand_left_keypoints_2d": [],
                "hand_right_keypoints_2d": [],
                "pose_keypoints_3d": [],
            }
            for p in range(1 + (i == 1))
        ]
        people = people if i < 2 else []
        path = folder / f"walk_{i:012d}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": people}))
    return folder


def mmpose_rows(first, count=26):
    return [
        {
            "frame_id": i + first,
            "instances": [
                {
                    "keypoints": points(count, i)[:, :2].tolist(),
                    "keypoint_scores": points(count)[:, 2].tolist(),
                    "bbox": [[0.0, 0.0, 300.0, 300.0]],
                    "bbox_score": 0.9,
                }
            ],
        }
        for i in range(3)
    ]


def mmpose_demo(path):
    meta = {"dataset_name": "halpe26", "num_keypoints": 26}
    path.write_text(json.dumps({"meta_info": meta, "instance_info": mmpose_rows(1)}))
    return path


def mmpose_inferencer(path):
    path.write_text(json.dumps(mmpose_rows(0)))
    return path


def coco_results(path):
    rows = [
        {"image_id": i, "category_id": 1, "keypoints": points(17, i).ravel().tolist(), "score": 0.8}
        for i in range(3)
    ]
    path.write_text(json.dumps(rows))
    return path


def coco_annotations(path):
    labelled = points(17)
    labelled[:, 2] = 2
    labelled[3] = 0
    content = {
        "images": [{"id": 900 + i, "file_name": f"cam01_{i:06d}.png"} for i in range(3)],
        "annotations": [
            {"id": 1, "image_id": 902, "category_id": 1, "keypoints": labelled.ravel().tolist()}
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": load_skeleton("coco17").order}],
    }
    path.write_text(json.dumps(content))
    return path


def deeplabcut_csv(path, individuals=False):
    parts = ["nose", "left_hip", "right_hip", "tail"]
    rows = [["scorer"] + ["DLC_resnet50"] * 12]
    if individuals:
        rows.append(["individuals"] + ["person1"] * 12)
    rows.append(["bodyparts"] + [p for p in parts for _ in range(3)])
    rows.append(["coords"] + ["x", "y", "likelihood"] * 4)
    rows += [[str(i)] + [f"{v:.6f}" for v in points(4, i).ravel()] for i in range(3)]
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    return path


def sleap(path):
    names = ["nose", "left_hip", "right_hip"]
    with h5py.File(path, "w") as file:
        tracks = np.full((2, 2, 3, 4), np.nan)
        scores = np.full((2, 3, 4), np.nan)
        for i in range(4):
            tracks[0, :, :, i] = points(3, i)[:, :2].T
            scores[0, :, i] = points(3)[:, 2]
        tracks[1, :, :, 2] = points(3, 50)[:, :2].T
        scores[1, :, 2] = points(3)[:, 2]
        file["tracks"] = tracks
        file["point_scores"] = scores
        file["node_names"] = np.array([n.encode() for n in names])
        file["track_names"] = np.array([b"track_0", b"track_1"])
        file["track_occupancy"] = np.ones((4, 2))
    return path


def mediapipe(path, upper=True):
    names = load_skeleton("blazepose33").order
    shown = [n.upper() if upper else n for n in names]
    header = ["frame"] + [f"{n}_{c}" for n in shown for c in ("x", "y", "z", "visibility")]
    rows = [header]
    for i in range(3):
        p = points(33, i)
        cells = np.stack([(p[:, 0] + 0.5) / 640, (p[:, 1] + 0.5) / 480, 0 * p[:, 0], p[:, 2]], 1)
        rows.append([str(i), *(f"{v:.9f}" for v in cells.ravel())])
    path.write_text("\n".join(",".join(row) for row in rows))
    return path


def read(path, **options):
    options = {"frame_time": at, "size_px": (640, 480)} | options
    return read_people(path, "cam01", **options)


def test_openpose(tmp_path):
    folder = openpose(tmp_path / "json")
    assert recognise(folder) == "openpose"
    people = read(folder)
    assert people.t.tolist() == [0, 0.02, 0.04]
    expect(people, "body25", 0)
    expect(people, "body25", 1, 1)
    expect(people, "body25", 1, 101, person=1)
    assert people.most == 2
    assert np.isnan(people.xy_px[2]).all()
    # Point 0 of the first frame lies at (0, 1): seen. One at (0, 0) with score 0 was not.
    path = folder / "walk_000000000000_keypoints.json"
    content = json.loads(path.read_text())
    content["people"][0]["pose_keypoints_2d"][:3] = [0, 0, 0]
    path.write_text(json.dumps(content))
    assert np.isnan(read(folder).xy_px[0, 0, people.names.index("nose")]).all()


@pytest.mark.parametrize("write", [mmpose_demo, mmpose_inferencer])
def test_mmpose(tmp_path, write):
    path = write(tmp_path / "results_walk.json")
    assert recognise(path) == "mmpose"
    people = read(path)
    assert people.t.tolist() == [0, 0.02, 0.04]
    for i in range(3):
        expect(people, "halpe26", i, i)


def test_coco(tmp_path):
    path = coco_results(tmp_path / "results.json")
    assert recognise(path) == "coco"
    people = read(path)
    for i in range(3):
        expect(people, "coco17", i, i)
    labelled = read(coco_annotations(tmp_path / "person_keypoints.json"))
    assert labelled.t.tolist() == [0, 0.02, 0.04]
    assert np.isnan(labelled.xy_px[:2]).all()
    lost = labelled.names.index(load_skeleton("coco17").order[3])
    assert np.isnan(labelled.xy_px[2, 0, lost]).all()
    assert np.isfinite(labelled.xy_px[2, 0]).all(-1).sum() == 16
    assert np.isnan(labelled.score).all()


@pytest.mark.parametrize("individuals", [False, True])
def test_deeplabcut_csv(tmp_path, individuals):
    path = deeplabcut_csv(tmp_path / "walkDLC.csv", individuals)
    assert recognise(path) == "deeplabcut"
    people = read(path)
    assert set(people.names) == {"nose", "left_hip", "right_hip"}
    for i in range(3):
        expect(people, "own", i, i, order=["nose", "left_hip", "right_hip", "tail"])


def test_deeplabcut_hdf5_as_pandas_wrote_it():
    # DataFrame.to_hdf(..., key="df_with_missing", format="table") of pandas with PyTables.
    path = FILES / "deeplabcut.h5"
    assert recognise(path) == "deeplabcut"
    people = read(path)
    assert people.t.tolist() == [0, 0.02, 0.04]
    for i in range(3):
        expect(people, "own", i, i, order=["nose", "left_hip", "right_hip", "tail"])


def test_a_table_of_names_that_runs_code_is_refused(tmp_path):
    path = tmp_path / "evil.h5"
    path.write_bytes((FILES / "deeplabcut.h5").read_bytes())

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    with h5py.File(path, "a") as file:
        file["df_with_missing"].attrs["non_index_axes"] = np.void(pickle.dumps([(1, [Evil()])]))
    with pytest.raises(FileError, match="no table of DeepLabCut"):
        read(path)
    assert not (tmp_path / "ran").exists()


def test_sleap(tmp_path):
    path = sleap(tmp_path / "walk.analysis.h5")
    assert recognise(path) == "sleap"
    people = read(path)
    for i in range(4):
        expect(people, "own", i, i, order=["nose", "left_hip", "right_hip"])
    expect(people, "own", 2, 50, person=1, order=["nose", "left_hip", "right_hip"])
    assert people.most == 2


@pytest.mark.parametrize("upper", [True, False])
def test_mediapipe(tmp_path, upper):
    path = mediapipe(tmp_path / "walk.csv", upper)
    assert recognise(path) == "mediapipe"
    people = read(path)
    for i in range(3):
        expect(people, "blazepose33", i, i)
    text = path.read_text().splitlines()
    timed = [f"timestamp_ms,{text[0]}"] + [f"{40 * i},{r}" for i, r in enumerate(text[1:])]
    path.write_text("\n".join(timed))
    assert read(path, frame_time=None).t == pytest.approx([0, 0.04, 0.08])


def test_our_own_table(tmp_path):
    path = tmp_path / "cam01.csv"
    path.write_text("t,name,x_px,y_px,score\n0,left_hip,1,2,0.5\n0,right_hip,3,4,0.5\n")
    assert recognise(path) == "gaitlab"
    assert read(path).xy_px[0, 0].tolist() == [[1, 2], [3, 4]]


def test_frames_without_times_are_refused_and_frames_of_a_times_file_chosen(tmp_path):
    path = mmpose_inferencer(tmp_path / "a.json")
    with pytest.raises(FileError, match="does not say when"):
        read(path, frame_time=None)
    assert read(path, frame_time={1: 7.0, 2: 8.0}.get).t.tolist() == [7, 8]
    with pytest.raises(FileError, match="no times that rise"):
        read(path, frame_time={}.get)


def damage(path, change):
    text = path.read_text()
    changed = change(text)
    assert changed != text
    path.write_text(changed)
    return path


@pytest.mark.parametrize(
    ("write", "name", "change", "said"),
    [
        (mmpose_demo, "a.json", lambda s: s[: len(s) // 2], "not valid JSON"),
        (mmpose_demo, "a.json", lambda s: "", "not valid JSON"),
        (mmpose_demo, "a.json", lambda s: s.replace('"frame_id": 2', '"frame_id": 1'), "twice"),
        (mmpose_demo, "a.json", lambda s: s.replace('"frame_id": 2', '"frame_id": "b"'), "whole"),
        (mmpose_demo, "a.json", lambda s: s.replace("keypoint_scores", "scores"), "without keyp"),
        (
            mmpose_demo,
            "a.json",
            lambda s: s.replace("[10.0, 11.0]", '[10.0, "x"]'),
            "no list of nu",
        ),
        (mmpose_demo, "a.json", lambda s: s.replace("[10.0, 11.0], ", ""), "do not fit"),
        (
            coco_results,
            "a.json",
            lambda s: s.replace("[0.0, 1.0, 0.5, ", "["),
            "17 points, expected 16",
        ),
        (coco_results, "a.json", lambda s: s.replace("[0.0, ", "["), "50 numbers"),
        (coco_results, "a.json", lambda s: s.replace('"keypoints"', '"points"'), "lacks keypoints"),
        (
            coco_results,
            "a.json",
            lambda s: s.replace('"image_id": 0', '"image_id": -3'),
            "whole nu",
        ),
        (
            coco_annotations,
            "a.json",
            lambda s: s.replace(": 902,", ": 7,", 1),
            "annotation 0 names",
        ),
        (coco_annotations, "a.json", lambda s: s.replace("cam01_000000", "x"), "no frame number"),
        (
            coco_annotations,
            "a.json",
            lambda s: s.replace("_000001", "_000000"),
            "same frame number",
        ),
        (coco_annotations, "a.json", lambda s: s.replace('"images"', '"pictures"'), "list images"),
        (deeplabcut_csv, "a.csv", lambda s: s[:-20], r"row 6 has \d+ columns"),
        (deeplabcut_csv, "a.csv", lambda s: s.replace("bodyparts", "parts"), "first rows are not"),
        (deeplabcut_csv, "a.csv", lambda s: s.replace("10.000000", "1o"), "row 4: '1o' is not a"),
        (deeplabcut_csv, "a.csv", lambda s: s.replace("\n1,", "\n0,"), "a frame stands twice"),
        (deeplabcut_csv, "a.csv", lambda s: s.replace("\n1,", "\nimg1.png,"), "row 5 begins with"),
        (
            deeplabcut_csv,
            "a.csv",
            lambda s: s.replace("likelihood", "z"),
            "is no x, y or likelihood",
        ),
        (mediapipe, "a.csv", lambda s: s[:-4].rsplit(",", 1)[0], r"row 4 has \d+ columns"),
        (mediapipe, "a.csv", lambda s: s.replace("\n1,", "\n0,"), "a frame stands twice"),
        (mediapipe, "a.csv", lambda s: s.replace("\n1,", "\n1.5,"), "no whole number"),
        (mediapipe, "a.csv", lambda s: s.replace("0.000781250", "400"), "are these pixels"),
        (mediapipe, "a.csv", lambda s: s.replace("0.000781250", "abc"), "'abc' is not a number"),
    ],
)
def test_damage_is_named(tmp_path, write, name, change, said):
    path = damage(write(tmp_path / name), change)
    with pytest.raises(FileError, match=said) as caught:
        read(path)
    assert caught.value.remedy
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.__delitem__("tracks"), "no tracks in it"),
        (lambda f: f.__delitem__("node_names"), "no node_names in it"),
        (
            lambda f: f.move("point_scores", "x") or f.__setitem__("point_scores", [1.0]),
            "point_scor",
        ),
        (lambda f: f.move("tracks", "x") or f.__setitem__("tracks", f["x"][()].T), "tracks is"),
    ],
)
def test_damage_of_a_sleap_file(tmp_path, change, said):
    path = sleap(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(FileError, match=said):
        read(path, form="sleap")


@pytest.mark.parametrize("form", ["sleap", "deeplabcut"])
def test_an_hdf5_cut_off(tmp_path, form):
    path = sleap(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FileError, match="damaged, cut off"):
        read(path, form=form)
    with pytest.raises(FileError, match="damaged, cut off"):
        read(path)


def test_damage_of_an_openpose_folder(tmp_path):
    folder = openpose(tmp_path / "json")
    path = folder / "walk_000000000001_keypoints.json"
    whole = path.read_text()
    for text, said in [
        (whole[:-9], "line 1: not valid JSON"),
        ('{"version": 1.3}', "no list people"),
        ('{"people": [{"a": 1}]}', "pose_keypoints_2d is missing"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "has 2 numbers"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', "has 1 points, files before it 25"),
    ]:
        path.write_text(text)
        with pytest.raises(FileError, match=said):
            read(folder)
    path.write_text(whole)
    path.rename(folder / "other.json")
    with pytest.raises(FileError, match="frame's number"):
        read(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=r"no \.json"):
        read(tmp_path / "empty")
    with pytest.raises(FileError, match="does not name them"):
        read(openpose(tmp_path / "other", count=19))
    with pytest.raises(FileError, match="the folder that holds"):
        recognise(folder / "walk_000000000000_keypoints.json")


def test_forms_that_do_not_exist(tmp_path):
    with pytest.raises(FileError, match="no such file"):
        read(tmp_path / "none.json")
    with pytest.raises(LabError, match='form is "cat"'):
        read(tmp_path / "none.json", form="cat")
    (tmp_path / "a.json").write_text('{"a": 1}')
    with pytest.raises(FileError, match="form is not known"):
        read(tmp_path / "a.json")
    (tmp_path / "a.xyz").write_text("hello")
    with pytest.raises(FileError, match="form is not known"):
        read(tmp_path / "a.xyz")
    for form in FORMS:
        with pytest.raises(FileError):
            read(tmp_path / "none", form=form)


def test_a_skeleton_that_does_not_fit(tmp_path):
    with pytest.raises(FileError, match="it has 26 points, the skeleton coco17 has 17"):
        read(mmpose_demo(tmp_path / "a.json"), skeleton="coco17")
