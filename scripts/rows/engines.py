"""Both engines side by side with the image busybox, and how they are timed: what every row of scripts/bench needs."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from minidock.paths import Layout
from tests.support.dockerd import Docker
from tests.support.images import busybox_layer, docker_archive

REPOSITORY = Path(__file__).resolve().parents[2]
OURS, THEIRS, SCALE = "minidock", "Docker", "runc"
FEW = "minidock with few"
"""What a row of growth is beside: minidock itself."""
TAR = "GNU tar"
PODMAN = "podman"
Samples = dict[str, list[float]]
"""Milliseconds, or MiB, by who took them."""


class Row(NamedTuple):
    """`take` measures, given how often; `goal`, now and later, is a ratio to Docker, from the figures to reach."""

    name: str
    unit: str
    goal: str
    take: Callable[[Bench, int], Samples]


class Bench:
    """Both engines, with the image busybox in each, and a directory for what a row needs."""

    def __init__(self, directory: Path, docker: Docker) -> None:
        self.directory = directory
        self.docker = docker
        self.layout = Layout(directory / "minidock")
        self.prefix = {
            OURS: [str(REPOSITORY / "scripts" / "minidock"), f"--root={self.layout.root}"],
            THEIRS: [docker.client],
            SCALE: ["runc", f"--root={directory / 'runc-state'}"],
        }
        self.environment = {**os.environ, **docker.environment}

    def run(self, who: str, *words: str, timeout: float = 120) -> str:
        """One command; its output. A benchmark of something that fails would mean nothing, so failure ends it all."""
        command = [*self.prefix[who], *words]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment, timeout=timeout
        )
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def both(self, *words: str) -> None:
        for who in (OURS, THEIRS):
            self.run(who, *words)

    @contextlib.contextmanager
    def containers(self, *options: str, count: int = 1) -> Iterator[None]:
        """Sleeping containers c0, c1 … in both engines; gone afterwards."""
        names = [f"c{number}" for number in range(count)]
        try:
            for name in names:
                self.both("run", "-d", "--name", name, *options, "busybox", "sleep", "3600")
            yield
        finally:
            self.both("rm", "-f", *names)

    def pid(self, who: str, name: str) -> int:
        return int(self.run(who, "inspect", "--format", "{{.State.Pid}}", name))


def milliseconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


def in_turn(times: int, actions: dict[str, Callable[[], object]]) -> Samples:
    """Each action so many times, one after the other, after a round that doesn't count: caches are warm for all."""
    for action in actions.values():
        action()
    taken: Samples = {who: [] for who in actions}
    for _ in range(times):
        for who, action in actions.items():
            taken[who].append(milliseconds(action))
    return taken


def same_words(bench: Bench, times: int, *words: str) -> Samples:
    return in_turn(times, {who: lambda who=who: bench.run(who, *words) for who in (OURS, THEIRS)})  # type: ignore[misc]


def prepared(
    times: int, sides: Iterable[str], prepare: Callable[[str, int], object], act: Callable[[str, int], object]
) -> Samples:
    """`act` of all sides in turn; what `prepare` does before isn't counted, nor is the first round."""
    taken: Samples = {who: [] for who in sides}
    for number in range(times + 1):
        for who, samples in taken.items():
            prepare(who, number)
            took = milliseconds(lambda who=who, number=number: act(who, number))  # type: ignore[misc]
            if number:
                samples.append(took)
    return taken


@contextlib.contextmanager
def engines() -> Iterator[Bench]:
    """Both, with the image; everything is gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="md-bench-"))  # short: a socket's path has at most 107 bytes
    client, daemon, busybox = (need(name) for name in ("docker", "dockerd", "busybox"))
    need("runc")
    (directory / "docker").mkdir()
    docker = Docker(directory / "docker", client)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        docker.start(daemon)
        stack.callback(docker.stop)
        bench = Bench(directory, docker)
        layer = busybox_layer(busybox)
        (directory / "layer.tar").write_bytes(layer)
        archive = docker_archive(directory / "busybox.tar", "busybox:latest", [layer], {"Cmd": ["sh"]})
        stack.callback(remove_instance, bench)
        bench.both("load", "-i", str(archive))
        yield bench


def remove_instance(bench: Bench) -> None:
    """Its containers after a row that failed; the bridge and the table, which stay between containers."""
    from minidock import network

    if left := bench.run(OURS, "ps", "-aq").split():
        bench.run(OURS, "rm", "-f", *left)
    network.teardown(bench.layout)
    shutil.rmtree(bench.layout.run, ignore_errors=True)


def need(tool: str) -> str:
    found = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")
    return found or sys.exit(f"scripts/bench needs {tool}: sudo scripts/setup test installs it")
