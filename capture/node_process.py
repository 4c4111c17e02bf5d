"""A node as a process of its own: `python -m capture.node_process --name left ...`.

Its first line on standard output is `ready PORT {...}`, or `refused {...}` with what a LabError
says, each with one JSON object. It ends in order on SIGTERM, on Ctrl-C, and with --guarded when its
standard input closes: a trial under way is recorded to its end first.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import math
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from capture.cameras import read_cameras
from capture.host_clock import parse_clock
from capture.node import DEFAULT_PORT, Node, NodeSettings
from capture.publisher import PREVIEW_HZ
from lab.errors import LabError

REFUSED = 2
_ROOT = Path(__file__).resolve().parents[1]
# The working folder is not looked into: the packages are those of this program.
_BOOT = (
    "import sys; root = sys.argv.pop(1); root in sys.path or sys.path.insert(0, root); "
    "from capture.node_process import main; sys.exit(main())"
)


def node_command(words: Sequence[str | Path]) -> list[str]:
    """Return the command that runs a node in a process of its own, from any working folder."""
    return [sys.executable, "-P", "-c", _BOOT, str(_ROOT), *map(str, words)]


def run_node(settings: NodeSettings, ready: Callable[[Node], None]) -> None:
    """Run a node until SIGTERM or Ctrl-C; a trial under way is recorded to its end first.

    Args:
        settings: Of the node.
        ready: Called once sockets are bound and cameras open.
    """
    node = Node(settings)

    def stop(number: int, frame: FrameType | None) -> None:
        node.end()

    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)
    ready(node)
    node.run()


def main(arguments: list[str] | None = None) -> int:
    """Run a node from a bare command line, without the rest of gaitlab."""
    parser = argparse.ArgumentParser(prog="python -m capture.node_process")
    parser.add_argument("--name", required=True)
    parser.add_argument("--cameras", type=Path, required=True, help="cameras.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--clock", default="", help="clock faults for tests: ppm=50,step_s=3600")
    parser.add_argument("--preview-hz", type=float, default=PREVIEW_HZ, help="at the most")
    parser.add_argument(
        "--end-after", type=float, default=math.inf, help="end when no lab asked for so long, s"
    )
    parser.add_argument("--guarded", action="store_true", help="end when standard input closes")
    parser.add_argument("--after", default="", help="what ended the process before this one")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    faulthandler.enable(all_threads=False)  # a driver's crash leaves where it was in the log

    def ready(node: Node) -> None:
        if given.after:
            node.report("node", given.after, "What was recorded before is kept and collected.")
        if given.guarded:
            threading.Thread(target=_await_close, args=(node,), daemon=True).start()
        _tell("ready", _describe(node), f" {node.port}")

    try:
        settings = NodeSettings(
            name=given.name,
            data=given.data,
            cameras=tuple(read_cameras(given.cameras, given.name)),
            host=given.host,
            port=given.port,
            keys=given.keys,
            clock=parse_clock(given.clock),
            preview_hz=given.preview_hz,
            end_after_s=given.end_after,
        )
        run_node(settings, ready)
    except LabError as error:
        logging.getLogger("gaitlab.node").error("%s", error)
        _tell("refused", {"what": error.what, "where": error.where, "remedy": error.remedy})
        return REFUSED
    return 0


def _describe(node: Node) -> dict[str, object]:
    stations = node.stations
    return {
        "node": node.settings.name,
        "port": node.port,
        "cameras": list(stations),
        "differences": [f"{n}: {d}" for n, s in stations.items() for d in s.accepted.differences],
    }


def _await_close(node: Node) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    node.end()


def _tell(word: str, content: dict[str, object], more: str = "") -> None:
    sys.stdout.write(f"{word}{more} {json.dumps(content)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
