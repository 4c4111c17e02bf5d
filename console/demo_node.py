"""A camera computer of the console's demo: a real node whose cameras play the demo's films.

Which scene is before the cameras stands in a file, and is looked up while the node runs.
"""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

import msgspec

from capture import node_process
from capture.jpeg_source import CountedJpeg
from capture.simulated import read_frames, register_source
from console.demo_films import NOBODY, SCENES, DemoSet

DRIVER = "demo"
_LOOK_EVERY = 8
_QUALITY = 85


class Stage:
    """What each camera sees; scenes are read in the background, the first one at once."""

    def __init__(self, films: Path, scene_file: Path, made: DemoSet, cameras: list[str]) -> None:
        self._films, self._scene_file, self._made = films, scene_file, made
        self._scenes: dict[tuple[str, str], list[CountedJpeg]] = {}
        self._scene, self._looks = NOBODY, 0
        for camera in cameras:
            self._load(NOBODY, camera)
        threading.Thread(target=self._load_all, args=(cameras,), daemon=True).start()

    def __call__(self, camera: str, t: float) -> CountedJpeg:
        """Return the picture of a camera at t (s since epoch)."""
        self._looks += 1
        if self._looks % _LOOK_EVERY == 1:
            self._scene = self._wanted()
        scene = self._scene if (self._scene, camera) in self._scenes else NOBODY
        counter = round(t * self._made.rate_hz)
        images = self._scenes[scene, camera]
        return images[self._made.frame_of(scene, counter) % len(images)]

    def _wanted(self) -> str:
        try:
            wanted = self._scene_file.read_text(encoding="utf-8").strip()
        except OSError:
            return self._scene
        return wanted if wanted in SCENES else self._scene

    def _load(self, scene: str, camera: str) -> None:
        frames = read_frames(self._films / scene / f"{camera}.mkv", False)
        self._scenes[scene, camera] = [CountedJpeg(image, _QUALITY) for image in frames]

    def _load_all(self, cameras: list[str]) -> None:
        for scene in SCENES[1:]:
            for camera in cameras:
                self._load(scene, camera)


def main(arguments: list[str] | None = None) -> int:
    """Run the node; what is not for the stage is handed to capture.node_process."""
    parser = argparse.ArgumentParser(prog="python -m console.demo_node")
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--scene", type=Path, required=True)
    parser.add_argument("--made", required=True)
    parser.add_argument("--of", nargs="+", required=True, help="the node's cameras")
    given, others = parser.parse_known_args(arguments)
    made = msgspec.json.decode(given.made, type=DemoSet)
    register_source(DRIVER, Stage(given.films, given.scene, made, given.of))
    return node_process.main(others)


if __name__ == "__main__":
    sys.exit(main())
