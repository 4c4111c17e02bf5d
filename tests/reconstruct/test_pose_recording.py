"""A real recording: four cameras, a real detector, a calibration from another system."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.formats.qualisys import read_qca
from reconstruct.associate import align
from reconstruct.bones import bone_lengths
from reconstruct.detect.keypoints_csv import read_keypoints
from reconstruct.skeletons import load_skeleton
from reconstruct.smooth import Smoother
from reconstruct.triangulate import triangulate


@pytest.fixture(scope="module")
def recording(data):
    rig = read_qca(data / "pose" / "Calib.qca.txt")
    keypoints = [
        read_keypoints(data / "pose" / f"cam0{i + 1}.csv", name) for i, name in enumerate(rig.names)
    ]
    return rig, align(keypoints)


@pytest.fixture(scope="module")
def result(recording):
    return triangulate(*recording)


def test_wrong_joints_go_and_the_rest_agrees(recording, result):
    rig, aligned = recording
    everything = triangulate(rig, aligned, robust=False)
    assert np.nanmedian(everything.residual_px) > 14
    assert np.nanmedian(result.residual_px) < 12
    seen = np.isfinite(aligned.xy_px[..., 0]).sum()
    assert result.rejected.sum() < 0.02 * seen
    assert 0.02 < result.swapped.sum() / seen < 0.1
    assert sum(result.withheld.values()) < 0.03 * result.status.size
    # The second camera's detector takes the left side for the right in places.
    assert result.swapped.sum((1, 2))[1] > 0.9 * result.swapped.sum()
    assert 0.7 < result.chi2_per_dof < 1.1


def test_bones_keep_their_length(recording, result):
    rig, aligned = recording
    bones = load_skeleton("blazepose33").bones
    limbs = [b for b in bones if {"knee"} & {end.split("_", 1)[1] for end in b}]
    assert len(limbs) == 4
    for bone in bone_lengths(result.points, limbs):
        assert 0.3 < bone.median < 0.45
        assert bone.spread_percent < 7
    robust = bone_lengths(result.points, bones)
    everything = bone_lengths(triangulate(rig, aligned, robust=False).points, bones)
    assert np.median([b.spread for b in robust]) < 0.75 * np.median([b.spread for b in everything])


def test_smoothing_keeps_the_points_and_the_person(result):
    smooth = Smoother(result.points).points
    far = np.linalg.norm(smooth.xyz - result.points.xyz, axis=-1)
    assert np.nanmedian(far) < 0.02
    # A person stands on the floor, less than two metres high.
    height = smooth.point("nose")[:, 2] - smooth.point("left_heel")[:, 2]
    assert 1.0 < np.nanmedian(height) < 1.9


def test_swapped_cameras_are_seen(recording, result):
    rig, aligned = recording
    swapped = replace(aligned, xy_px=aligned.xy_px[[1, 0, 2, 3]])
    wrong = triangulate(rig, swapped)
    assert np.nanmedian(wrong.noise_px) > 2 * np.nanmedian(result.noise_px)
