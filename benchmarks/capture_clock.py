"""How well a node's clock is followed: lab and node in network namespaces, a relay between them.

Two namespaces joined by a veth pair; the node runs in one with drift put in at its one clock
function, the relay and the lab in the other. The true offset is known, since all of them really
share one computer's clock. Needs root and the ip command (Debian: iproute2); without them the same
is run on loopback, and the output says so.

    python benchmarks/capture_clock.py [--runs 6] [--seconds 60]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from capture.clock import fit_clock, follow_clock
from capture.link import NodeLink

CAMERA = """[cameras.cam1]
driver = "simulated"
size_px = [336, 32]
rate_hz = 5
"""
SPACE = "gaitnode"
PPM = 50.0


def namespaces() -> bool:
    """Make a namespace with a veth pair; False where this machine does not let us."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    lines = (
        f"netns add {SPACE}",
        f"link add gaitveth0 type veth peer name gaitveth1 netns {SPACE}",
        "addr add 10.97.5.1/24 dev gaitveth0",
        "link set gaitveth0 up",
        f"-n {SPACE} addr add 10.97.5.2/24 dev gaitveth1",
        f"-n {SPACE} link set gaitveth1 up",
        f"-n {SPACE} link set lo up",
    )
    return all(subprocess.run(["ip", *line.split()], check=False).returncode == 0 for line in lines)


def in_space(spaces: bool) -> list[str]:
    return ["ip", "netns", "exec", SPACE] if spaces else []


def measure(port: int, seconds: float) -> np.ndarray:
    stamps = []
    end = time.monotonic() + seconds
    with NodeLink(f"tcp://127.0.0.1:{port}") as link:
        while time.monotonic() < end:
            stamps.append(link.exchange_clock())
            time.sleep(0.01)
    return np.array(stamps, np.int64)


def true_error(fit, stamps: np.ndarray, ppm: float, anchor: tuple[int, int]) -> np.ndarray:
    """Stated less true lab time over the exchanges, s; anchor: (lab, node) at one instant."""
    lab = np.linspace(stamps[0, 0], stamps[-1, 3], 200)
    node = anchor[1] + np.rint((lab - anchor[0]) * (1 + ppm * 1e-6)).astype(np.int64)
    return fit.lab_s(node, anchor[0]) - (lab - anchor[0]) * 1e-9


def run(node_address: tuple[str, int], there: str, back: str, stalls: str, seconds: float):
    here = Path(__file__).parent / "relay.py"
    process = subprocess.Popen(
        [sys.executable, here, "127.0.0.1:0", "{}:{}".format(*node_address), there, back, stalls],
        stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
    )  # fmt: skip
    port = int(process.stdout.readline().split()[1])
    stamps = measure(port, seconds)
    process.stdin.close()
    process.wait(10)
    return stamps


def main(runs: int, seconds: float) -> None:
    spaces = namespaces()
    print("network namespaces with a veth pair" if spaces else "no namespaces here: loopback")
    host = "10.97.5.2" if spaces else "127.0.0.1"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "cameras.toml").write_text(CAMERA)
        command = [
            sys.executable, "-m", "capture.node_process", "--name", "left", "--port", "0",
            "--host", host,
            "--cameras", work / "cameras.toml", "--data", work / "data",
            "--clock", f"ppm={PPM},offset_s=1234",
        ]  # fmt: skip
        if spaces:  # beyond loopback a node wants keys: a forwarder within its namespace has none
            command[command.index("--host") + 1] = "127.0.0.1"
        node = subprocess.Popen(
            [*in_space(spaces), *command], stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        port = int(node.stdout.readline().split()[1])
        forward = None
        if spaces:
            forward = subprocess.Popen(
                [*in_space(True), sys.executable, Path(__file__).parent / "relay.py",
                 f"{host}:5871", f"127.0.0.1:{port}", "0+-0", "0+-0"],
                stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
            )  # fmt: skip
            port = int(forward.stdout.readline().split()[1])
        try:
            # Truth: the quiet path, whose round trip bounds it to a fraction of a millisecond.
            quiet = fit_clock(run((host, port), "0+-0", "0+-0", "0", 10))
            print(f"quiet path: round trip {2e3 * quiet.asymmetry:.3f} ms, "
                  f"drift {1e6 * quiet.drift:.2f} ppm of {PPM}")  # fmt: skip
            anchor = (quiet.lab_ref_ns, quiet.node_ns(quiet.lab_ref_ns))
            errors, sigmas = [], []
            for _ in range(runs):
                stamps = run((host, port), "0.005+-0.002", "0.005+-0.002", "0.01", seconds)
                clock = follow_clock(stamps)
                if clock.steps:
                    print("  FALSE STEP", clock.steps)
                error = true_error(clock.fits[-1], stamps, PPM, anchor)
                errors.append(error)
                sigmas.append(float(clock.fits[-1].sigma(clock.fits[-1].lab_ref_ns)))
                print(f"  run: {len(stamps)} exchanges, worst {1e3 * np.abs(error).max():.3f} ms, "
                      f"sigma {1e3 * sigmas[-1]:.3f} ms")  # fmt: skip
            all_errors = np.abs(np.concatenate(errors))
            print(
                f"5 ms +- 2 ms each way, stalls of 200 ms in 1 %, {PPM} ppm: error p50 "
                f"{1e3 * np.quantile(all_errors, 0.5):.3f} ms, p99 "
                f"{1e3 * np.quantile(all_errors, 0.99):.3f} ms (aim: under 0.2)"
            )
            for there, back in (
                ("0.001+-0.0002", "0.009+-0.0002"),
                ("0.009+-0.0002", "0.001+-0.0002"),
            ):
                stamps = run((host, port), there, back, "0", 20)
                fit = fit_clock(stamps)
                error = np.abs(true_error(fit, stamps, PPM, anchor)).max()
                interval = float(fit.interval(fit.lab_ref_ns))
                print(
                    f"{there}/{back} s: error {1e3 * error:.3f} ms, interval {1e3 * interval:.3f} "
                    f"ms, {interval / fit.asymmetry:.3f} of its bound "
                    f"({'contains' if error <= interval else 'MISSES'})"
                )
        finally:
            for process in (node, forward):
                if process is not None:
                    process.terminate()
                    process.wait(10)
            if spaces:
                subprocess.run(["ip", "netns", "del", SPACE], check=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    main(given.runs, given.seconds)
