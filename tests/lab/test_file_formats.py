"""docs/file-formats.md says what is in the files: all of it, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import pytest

from lab.store import save_rig, save_trial

PAGE = (Path(__file__).parents[2] / "docs" / "file-formats.md").read_text(encoding="utf-8")


def documented(section: str) -> dict[str, str]:
    """Paths of datasets in a section's table, and the third column of their row."""
    table = PAGE.split(f"\n### {section}\n")[1].split("\n## ")[0].split("\n### ")[0]
    found: dict[str, str] = {}
    for row in table.splitlines():
        cells = row.split("|")
        if len(cells) > 3 and "`" in cells[1]:
            found |= dict.fromkeys(re.findall("`(.*?)`", cells[1]), cells[3].strip())
    return found


def stored(file: h5py.File) -> dict[str, h5py.Dataset]:
    """Datasets of a file by path; of numbered children only the first."""
    found: dict[str, h5py.Dataset] = {}

    def note(path, item):
        if isinstance(item, h5py.Dataset) and not re.search("/[1-9]", path):
            found[path] = item

    file.visititems(note)
    return found


@pytest.mark.parametrize("section", ["Trial", "Rig"])
def test_the_page_lists_what_is_stored(trial, tmp_path, section):
    path = tmp_path / "a.h5"
    if section == "Trial":
        save_trial(trial, path)
    else:
        save_rig(trial.rig, path)
    page = documented(section)
    with h5py.File(path) as file:
        datasets = stored(file)
        listed = {p.split("/")[0] if p.startswith("rig/") else p for p in datasets}
        assert listed == set(page)
        for name, place in page.items():
            item = datasets.get(name)
            unit = None if item is None else item.attrs.get("unit")
            if unit is not None:
                frame = item.attrs.get("frame")
                assert unit == "px, px, px, px, then 1" or place.startswith(unit), name
                assert frame is None or place.endswith(frame), name


def test_the_five_lines_work(trial, tmp_path, monkeypatch):
    save_trial(trial, tmp_path / "trial.h5")
    monkeypatch.chdir(tmp_path)
    lines = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    assert sum(bool(line) for line in lines.splitlines()) == 5
    seen: dict[str, object] = {}
    exec(lines, seen)
    assert seen["hip"].tobytes() == trial.points.point("left_hip").tobytes()
    assert seen["measures"] == {("cadence", "both"): 171.5}
    seen["file"].close()
