"""Two engines side by side with the same images: the real Docker and minidock, each in a network namespace of its own.

The namespaces keep the ports and bridges of the two apart, so that a case's script runs in both at the same time.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
import pytest

from minidock.image import builtin
from minidock.paths import Layout
from tests.conftest import require_tool
from tests.support.dockerd import Docker
from tests.support.instance import COMMAND, leftovers, settled
from tests.support.registry import Registry

HERE = Path(__file__).resolve().parent
PATIENCE = 120
"""Seconds that one case may take with one engine."""


class Outcome(msgspec.Struct, frozen=True):
    """What a script did, as its user sees it. `code` is 128+n after signal n, as in a shell."""

    stdout: str
    stderr: str
    code: int


class Engine(msgspec.Struct, frozen=True):
    """One of the two: `home` holds the directory `bin` with its `docker` command, put first in PATH."""

    home: Path
    environment: dict[str, str]
    network: int
    """Process in whose network namespace scripts run."""

    def run(self, script: str, directory: Path, container: str) -> Outcome:
        """Run sh with the script in the directory; $C is a container name that no other case uses."""
        command = ["nsenter", f"--net=/proc/{self.network}/ns/net", "sh", "-c", f". {HERE}/prelude.sh\n{script}"]
        path = f"{self.home}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = {"PATH": path, "HOME": str(directory), "C": container, "LC_ALL": "C.UTF-8", **self.environment}
        with subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                stdout, stderr = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                stdout, stderr = process.communicate()
                stderr += b"\n(the script did not end in time)"
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        return Outcome(stdout.decode(errors="replace"), stderr.decode(errors="replace"), code)


def write_command(home: Path, words: list[str]) -> None:
    """home/bin/docker: a command that is the words and whatever follows."""
    (home / "bin").mkdir(parents=True)
    path = home / "bin" / "docker"
    path.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n')
    path.chmod(0o755)


@pytest.fixture(scope="session")
def theirs(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The real Docker."""
    home = tmp_path_factory.mktemp("docker")
    write_command(home, [docker.client])
    return Engine(home, docker.environment, docker.pid)


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """minidock, as an instance of its own. When all cases are through, nothing of it may be left."""
    home = tmp_path_factory.mktemp("minidock")
    write_command(home, COMMAND)
    layout = Layout(home / "root")
    holder = hold_network()
    try:
        engine = Engine(home, {"MINIDOCK_ROOT": str(layout.root)}, holder.pid)
        yield engine
        engine.run("docker ps -aq | xargs -r docker rm -fv", home, "all")
        time.sleep(0.5)
        left = leftovers(layout)
        assert not left, "left behind by the cases:\n  " + "\n  ".join(left)
    finally:
        holder.kill()
        holder.wait()
        shutil.rmtree(layout.run, ignore_errors=True)


def hold_network() -> subprocess.Popen[bytes]:
    """A process in a network namespace of its own, where the loopback is up and packets may be forwarded."""
    script = "ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward; echo up; exec sleep 86400"
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"up\n"
    return holder


@pytest.fixture(scope="session")
def registries(theirs: Engine, ours: Engine) -> Iterator[None]:
    """Two for each engine, in its namespace: 127.0.0.1:5000 for everybody, 127.0.0.1:5001 for bob (`secret`)."""
    started = []
    try:
        for engine in (theirs, ours):
            for port in (5000, 5001):
                registry = Registry(engine.home / f"registry-{port}", port=port, network=engine.network)
                registry.start(auth=registry.basic_auth() if port == 5001 else None)
                started.append(registry)
        yield
    finally:
        for registry in started:
            registry.stop()


@pytest.fixture(scope="session")
def place(theirs: Engine, ours: Engine, registries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory, after the same images came into both engines: made by Docker, saved there, loaded by minidock."""
    place = tmp_path_factory.mktemp("parity")
    images = place / "images"
    make_tars(images)
    made = theirs.run((HERE / "images.sh").read_text(), images, "none")
    assert made.code == 0, made
    loaded = ours.run("docker load --quiet --input all.tar", images, "none")
    assert loaded.code == 0, f"minidock can't load what Docker saved: {loaded}"
    return place


def make_tars(images: Path) -> None:
    """busybox.tar, from the recipe of the built-in image, and small.tar with one file."""
    (images / "scratch").mkdir(parents=True)
    recipe = builtin.load("busybox")
    epoch = builtin.run_recipe("busybox", recipe, images / "scratch", lambda line: None)
    with (images / "busybox.tar").open("wb") as archive:
        builtin.pack(images / "scratch" / "rootfs", archive, epoch)
    with tarfile.open(images / "small.tar", "w") as tar:
        member = tarfile.TarInfo("readme")
        member.size = 6
        tar.addfile(member, io.BytesIO(b"small\n"))


@pytest.fixture(scope="session")
def swarms(theirs: Engine, place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    """Docker and a daemon of minidock's, each a swarm of one with the same images; afterwards nothing may be left."""
    require_tool("etcd")
    home = tmp_path_factory.mktemp("swarm")
    layout, url = Layout(home / "root"), f"unix://{home}/d.sock"
    write_command(home, [*COMMAND, "-H", url])
    command = [*COMMAND, "--root", str(layout.root), "daemon", "-H", url]
    init = "docker swarm init --listen-addr 127.0.0.1 --advertise-addr 127.0.0.1"
    holder = hold_network()
    ours = Engine(home, {}, holder.pid)
    with (home / "log").open("wb") as log, in_network(holder.pid, command, log) as daemon:
        try:
            assert ours.run("until docker version; do sleep 0.1; done", home, "none").code == 0
            for engine, script in ((ours, f"docker load -qi {place}/images/all.tar && {init}"), (theirs, init)):
                made = engine.run(script, home, "none")
                assert made.code == 0, made
            yield theirs, ours
            for engine in (ours, theirs):
                engine.run("docker swarm leave --force", home, "none")
            left = settled(lambda: leftovers(layout))
            assert not left, "left behind by the swarm's cases:\n  " + "\n  ".join(left)
        finally:
            daemon.terminate()
            daemon.wait()
            holder.kill()
            holder.wait()
            shutil.rmtree(layout.run, ignore_errors=True)


def in_network(of: int, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    words = ["nsenter", f"--net=/proc/{of}/ns/net", *command]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
