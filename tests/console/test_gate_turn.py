"""What the gate says of a camera that was knocked."""

from __future__ import annotations

import pytest

from console.gate import _check_turn


def test_a_turn_without_effect_is_noted_one_with_effect_refused():
    turned = {"camera_turned_cam02_deg": 0.3}
    assert _check_turn({}) == ([], [])
    refused, noted = _check_turn(turned | {"camera_turned_effect_deg": 0.2})
    assert not refused
    assert "camera cam02 has turned by 0.30 degrees" in noted[0]
    refused, noted = _check_turn(turned | {"camera_turned_effect_deg": 0.9})
    assert not noted
    assert "changes an angle by 0.9 degrees" in refused[0]


@pytest.mark.parametrize("effect", [{}, {"camera_turned_effect_deg": float("nan")}])
def test_an_unknown_effect_is_refused(effect):
    refused, _ = _check_turn({"camera_turned_cam02_deg": 0.3} | effect)
    assert "cannot be told" in refused[0]
