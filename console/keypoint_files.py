"""Keypoints as the CSV file that a trial folder may hold for a camera."""

from __future__ import annotations

import math
from pathlib import Path

from lab.atomic import write_atomically
from lab.points import Keypoints2D


def write_keypoints(path: Path, keypoints: Keypoints2D) -> None:
    """Write t,name,x_px,y_px,score; points that were not seen are left out."""
    rows = ["t,name,x_px,y_px,score"]
    for i, t in enumerate(keypoints.t):
        for k, name in enumerate(keypoints.names):
            x, y = keypoints.xy_px[i, k]
            if math.isfinite(x):
                rows.append(f"{t:.6f},{name},{x:.3f},{y:.3f},{keypoints.score[i, k]:.4f}")
    write_atomically(path, ("\n".join(rows) + "\n").encode())
