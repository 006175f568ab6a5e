"""`sudo scripts/bench learning`: the machine-learning image of tests/support/learning.py, by minidock and by Docker.

Both build without a cache, in turn, from one base image, with the network of the machine; a round fetches the same
packages for both, minidock's first in one round and Docker's in the next. dockerd has its own directories and socket,
no bridge and no rules: RUN's network is the host's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from minidock.paths import Layout  # noqa: E402
from tests.support import learning  # noqa: E402

OURS, THEIRS = "minidock", "Docker"
PATIENCE = 60
"""Seconds for dockerd to answer."""


class Engines:
    """Commands of both, by name."""

    def __init__(self, place: Path) -> None:
        self.socket = place / "d.sock"
        self.prefix = {
            OURS: [str(REPOSITORY / "scripts" / "minidock"), f"--root={place / 'minidock'}"],
            THEIRS: ["docker", "-H", f"unix://{self.socket}"],
        }

    def run(self, who: str, *words: str) -> str:
        """Its output. Ends it all when it fails."""
        environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
        command = [*self.prefix[who], *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def build(self, who: str, tag: str, context: Path) -> float:
        """Seconds."""
        begun = time.monotonic()
        self.run(who, "build", "-q", "--no-cache", "--network", "host", "-t", tag, str(context))
        return time.monotonic() - begun

    def size(self, who: str) -> tuple[int, int]:
        """Bytes, and layers."""
        found = json.loads(self.run(who, "image", "inspect", "development"))[0]
        return found["Size"], len(found["RootFS"]["Layers"])


def main() -> None:
    options = argparse.ArgumentParser(prog="scripts/bench learning", description=__doc__.partition("\n")[0])
    options.add_argument("-n", type=int, default=3, metavar="TIMES", help="builds of each engine (3)")
    times = options.parse_args().n
    with tempfile.TemporaryDirectory(prefix="md-learning-") as name:
        place = Path(name)
        engines = Engines(place)
        daemon = start_dockerd(place, engines)
        try:
            report(engines, measure(engines, place, times))
        finally:
            daemon.terminate()
            daemon.wait(timeout=PATIENCE)
            shutil.rmtree(Layout(place / "minidock").run, ignore_errors=True)


def start_dockerd(place: Path, engines: Engines) -> subprocess.Popen[bytes]:
    flags = [f"--data-root={place}/docker", f"--exec-root={place}/exec", f"--pidfile={place}/pid"]
    # In a mount namespace of its own: what it mounts is gone with it.
    command = [
        "unshare",
        "--mount",
        "dockerd",
        f"--host=unix://{engines.socket}",
        "--bridge=none",
        "--iptables=false",
        *flags,
    ]
    with (place / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    deadline = time.monotonic() + PATIENCE
    while subprocess.run([*engines.prefix[THEIRS], "version"], capture_output=True).returncode != 0:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise SystemExit((place / "log").read_text())
        time.sleep(0.2)
    return daemon


def measure(engines: Engines, place: Path, times: int) -> dict[str, list[float]]:
    """The base is made once, and is the same image for both."""
    framework, development = learning.contexts(place)
    engines.build(OURS, "framework", framework)
    engines.run(OURS, "save", "-o", str(place / "framework.tar"), "framework")
    engines.run(THEIRS, "load", "-i", str(place / "framework.tar"))
    taken: dict[str, list[float]] = {OURS: [], THEIRS: []}
    for number in range(times):
        order = (OURS, THEIRS) if number % 2 == 0 else (THEIRS, OURS)
        for who in order:
            taken[who].append(engines.build(who, "development", development))
            print(f"{who}: {taken[who][-1]:.1f} s", file=sys.stderr)
    return taken


def report(engines: Engines, taken: dict[str, list[float]]) -> None:
    print("| | size | layers | time, `--no-cache` |\n|---|---|---|---|")
    for who, seconds in taken.items():
        size, layers = engines.size(who)
        spread = f"{min(seconds):.1f} to {max(seconds):.1f}"
        print(f"| {who} | {size / 1e6:.1f} MB | {layers} | {statistics.median(seconds):.1f} s ({spread}) |")
    ratio = statistics.median(taken[OURS]) / statistics.median(taken[THEIRS])
    print(f"\nminidock / Docker: {ratio:.2f}; load {os.getloadavg()[0]:.1f} at the end, {time.strftime('%Y-%m-%d')}")


if __name__ == "__main__":
    main()
