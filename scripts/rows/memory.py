"""Rows about memory: what stays in it beside a container, and the daemon served by which a client is quick."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.rows.engines import OURS, THEIRS, Bench, Samples, same_words


def of_container(bench: Bench, times: int) -> Samples:
    """PSS of what stays beside a container that publishes a port: its shim (its first process's parent), and dockerd's
    port proxies."""
    with bench.containers("-p", "127.0.0.1::80"):
        time.sleep(1)
        ours = _pss(_parent(bench.pid(OURS, "c0")))
        shim = _pss(_parent(bench.pid(THEIRS, "c0")))
        proxies = _named(_children(bench.docker.pid), "docker-proxy")
        return {OURS: [ours], THEIRS: [shim + sum(map(_pss, proxies))]}


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def _children(pid: int) -> list[int]:
    """Whichever of the parent's threads started them."""
    texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(word) for text in texts for word in text.split()]


def _named(pids: list[int], name: str) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text().strip() == name]


def _pss(pid: int) -> float:
    """MiB of the process, shared pages divided by their users (proc_pid_smaps(5))."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextlib.contextmanager
def daemon_of_ours(bench: Bench) -> Iterator[int]:
    """`minidock daemon`, and the docker client on it for minidock's commands meanwhile; its process."""
    plain, address = dict(bench.prefix), f"unix://{bench.directory / 'm.sock'}"
    with (bench.directory / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen([*plain[OURS], "daemon", "-H", address], stdin=subprocess.DEVNULL, stderr=log)
    bench.prefix = {**plain, OURS: [bench.docker.client, "-H", address]}
    try:
        while subprocess.run([*bench.prefix[OURS], "version"], capture_output=True).returncode != 0:
            if daemon.poll() is not None:
                raise SystemExit(f"minidock daemon: exit {daemon.returncode}\n{Path(log.name).read_text()}")
            time.sleep(0.05)
        yield daemon.pid
    finally:
        bench.prefix = plain
        daemon.terminate()
        daemon.wait(timeout=30)


def run_warm(bench: Bench, times: int) -> Samples:
    """The same client on both sides: what differs is who serves it."""
    with daemon_of_ours(bench):
        return same_words(bench, times, "run", "--rm", "busybox", "true")


def of_daemon(bench: Bench, times: int) -> Samples:
    """PSS of a daemon and of all that it has started, after a first container has come and gone."""
    with daemon_of_ours(bench) as daemon:
        bench.both("run", "--rm", "busybox", "true")
        time.sleep(1)
        return {who: [sum(map(_pss, _family(pid)))] for who, pid in ((OURS, daemon), (THEIRS, bench.docker.pid))}


def _family(pid: int) -> list[int]:
    return [pid, *(found for child in _children(pid) for found in _family(child))]
