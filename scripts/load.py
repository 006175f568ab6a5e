"""The load of tests/support/load.py for minutes, with a line of figures every half minute. Called by scripts/load."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from minidock.paths import Layout
from tests.support import leaks, load
from tests.support.api import Daemon, serving
from tests.support.images import busybox_layer, docker_archive
from tests.support.instance import Minidock
from tests.support.needs import require_tool

EVERY = 30.0
"""Seconds between two lines."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/load")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument(
        "--runs", type=int, default=0, help="instead: containers one after the other, and what they leave"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="minidock-load-") as directory:
        box = Minidock(Layout(Path(directory) / "root"))
        archive = Path(directory) / "busybox.tar"
        docker_archive(archive, "busybox:latest", [busybox_layer(require_tool("busybox"))], {"Cmd": ["sh"]})
        box("load", "-i", str(archive), check=True)
        try:
            if asked.runs:
                count(box, asked.runs)
            else:
                with serving(box) as daemon:
                    measure(daemon, asked.clients, asked.streams, asked.seconds)
        finally:
            box.close()  # raises when a mount, a cgroup, a link, a rule or a process is left
    print("nothing is left on the host")


def count(box: Minidock, runs: int) -> None:
    """`run --rm` so many times, with ports, names and a volume; what is there before and after, and in between."""
    began = time.monotonic()
    first, meanwhile, last = leaks.through(box, runs)
    print("| | after the first run | while one runs | at the end |\n|---|---|---|---|")
    for what, number in first.items():
        print(f"| {what} | {number} | {meanwhile[what]} | {last[what]} |")
    print(f"{runs} runs in {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.0f}")
    if last != first:
        sys.exit("there is more or less than before")


def measure(daemon: Daemon, clients: int, streams: int, seconds: float) -> None:
    began = time.monotonic()
    print("| after | lives | load | descriptors | threads | processes | memory, MiB |\n|---|---|---|---|---|---|---|")

    def line(lives: int) -> None:
        found = load.held(daemon.pid)
        row = [
            f"{time.monotonic() - began:.0f} s",
            lives,
            f"{os.getloadavg()[0]:.0f}",
            *found[:3],
            f"{found.memory:.0f}",
        ]
        print(f"| {' | '.join(map(str, row))} |", flush=True)

    def tell(lives: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            line(lives)
            due += EVERY

    load.clients(daemon, 1, 0.1)
    before = load.held(daemon.pid)
    line(1)
    with load.streaming(daemon, streams) as open_streams:
        line(1)
        due = time.monotonic() + EVERY
        lives = load.clients(daemon, clients, seconds, tell)
        line(lives)
        heard, ended = open_streams.heard, open_streams.ended
    after = load.settled(daemon, before)
    line(lives)
    print(f"{lives} containers lived; {streams} streams gave {heard >> 20} MiB, {ended} of them ended early")
    if after.more_than(before):
        sys.exit(f"more is open than before: {before} {after}")


if __name__ == "__main__":
    main()
