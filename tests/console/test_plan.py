"""A session's plan as a file, and what of it goes into the takes."""

import pytest

from capture.discovery import NodePlace, read_nodes, write_nodes
from console.desk import Desk
from console.event_edits import add_edit, read_edits
from console.lab_folder import read_lab
from console.plan import PLAN_FILE, Plan, PlannedTake, read_plan, write_plan
from console.settings import DetectTable, PointingTable, TieTable
from lab.errors import LabError
from lab.gait import Event


@pytest.mark.parametrize(
    "plan",
    [
        Plan(),
        Plan(
            patient="P017",
            activity="run",
            treadmill_speed_m_s=3.0,
            nodes={"left": "127.0.0.1:5870"},
            detect=DetectTable("plates"),
            tie=TieTable(15.0, by="standing"),
            subject={"height_m": 1.75},
        ),
        Plan(
            tie=TieTable(5.0, pointing=(PointingTable("left_asis", 2.1, 2.6),)),
            take=(PlannedTake("static"), PlannedTake("trial", "run1", 20.0)),
        ),
    ],
)
def test_a_plan_is_read_as_it_was_written(tmp_path, plan):
    write_plan(plan, tmp_path)
    assert read_plan(tmp_path / PLAN_FILE) == plan


def test_plates_tied_by_the_standing_pose_ask_for_the_height(tmp_path):
    (tmp_path / "lab.toml").write_text(
        '[detect]\ndetector = "plates"\n[tie]\nby = "standing"\nsigma_mm = 15.0\n'
    )
    assert read_lab(tmp_path).needs_height
    desk = Desk(tmp_path)
    try:
        with pytest.raises(LabError, match="needs the height"):
            desk.begin_session("P017", "run", 3.0)
        with pytest.raises(LabError, match="no rig yet"):
            desk.begin_session("P017", "run", 3.0, 1.75)
        assert not (tmp_path / "sessions").exists()
    finally:
        desk.close()


def test_a_session_that_the_console_did_not_begin_is_left_to_its_own_verb(tmp_path, monkeypatch):
    desk = Desk(tmp_path)
    monkeypatch.setattr(desk, "_check_rig", lambda: None)
    try:
        with pytest.raises(LabError, match="gaitlab capture --out"):
            desk.go_on(tmp_path / "sessions" / "P1" / "day")
    finally:
        desk.close()


def test_what_an_operator_writes_is_read_as_it_was_written(tmp_path):
    reason = 'heel "hidden" \\ by the rail\t\N{GRINNING FACE} ü \x7f'
    event = Event("foot_strike", "left", 1.25, 0.01, "contact")
    written = add_edit(tmp_path, event, reason, 1.27)
    assert read_edits(tmp_path) == written
    assert written[0].reason == reason


def test_nodes_are_read_as_they_were_written(tmp_path):
    places = {"right": NodePlace("192.168.7.3", 5870), "left": NodePlace("127.0.0.1", 40001)}
    write_nodes(tmp_path / "nodes.toml", places)
    assert read_nodes(tmp_path / "nodes.toml") == places
