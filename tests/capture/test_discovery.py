"""A node is found by its name, or in a list."""

from __future__ import annotations

import os

import pytest

from capture.discovery import NodePlace, advertise, find_nodes, read_nodes
from lab.errors import FileError


def test_a_node_is_found_while_it_runs():
    # A name of its own: whatever else says its name on this computer is none of this test's.
    name = f"left{os.getpid()}"
    with advertise(name, 5870, "127.0.0.1"):
        assert find_nodes(address="127.0.0.1").get(name) == NodePlace("127.0.0.1", 5870)
    assert name not in find_nodes(0.3, "127.0.0.1")


def test_a_list_of_nodes(tmp_path):
    path = tmp_path / "nodes.toml"
    path.write_text('[nodes.left]\nhost = "192.168.7.2"\nport = 5870\n')
    assert read_nodes(path) == {"left": NodePlace("192.168.7.2", 5870)}


@pytest.mark.parametrize(
    "text",
    ["[nodes", '[nodes.left]\nhost = "a"', '[nodes."a b"]\nhost = "a"\nport = 1',
     '[nodes.left]\nhost = "a"\nport = 70000'],
)  # fmt: skip
def test_a_wrong_list_is_named(tmp_path, text):
    path = tmp_path / "nodes.toml"
    path.write_text(text)
    with pytest.raises(FileError, match="nodes"):
        read_nodes(path)
