"""The skeletons that come with the product."""

from __future__ import annotations

import pytest

from reconstruct.skeletons import SKELETONS, Skeleton, find_skeleton, load_skeleton, partner_name

_SIDED = ("shoulder", "hip", "knee", "ankle", "heel", "foot_index", "eye", "ear", "elbow", "wrist")
_OURS = {"nose", "neck"} | {
    f"{side}_{part}" for side in ("left", "right") for part in (*_SIDED, "asis", "psis")
}


@pytest.mark.parametrize("name", SKELETONS)
def test_names_are_ours_and_both_sides_are_there(name):
    skeleton = load_skeleton(name)
    assert skeleton.name == name
    assert set(skeleton.points.values()) <= _OURS
    assert set(skeleton.partners) == set(skeleton.points.values()) - {"nose", "neck"}
    mirrored = {frozenset(partner_name(end) or end for end in bone) for bone in skeleton.bones}
    assert mirrored == {frozenset(bone) for bone in skeleton.bones}
    # A left name maps onto a left one: the first letter of the detector's name says the side.
    for theirs, ours in skeleton.points.items():
        assert theirs[0].lower() == ours[0]


def test_the_lab_s_own_skeleton_has_every_name():
    assert set(load_skeleton("own").points.values()) == _OURS


def test_skeletons_are_told_apart_by_their_names():
    for name in ("blazepose33", "halpe26", "own"):
        assert find_skeleton(load_skeleton(name).points).points == load_skeleton(name).points
    coco = load_skeleton("coco17")
    assert set(find_skeleton(coco.points).points) >= set(coco.points)


def test_a_skeleton_with_a_loose_bone_is_a_mistake():
    with pytest.raises(ValueError, match="ends at no point"):
        Skeleton("x", {"a": "left_hip"}, (("left_hip", "left_knee"),))
    with pytest.raises(ValueError, match="same name"):
        Skeleton("x", {"a": "left_hip", "b": "left_hip"}, ())
