"""Many clients at once, and what the daemon holds before, meanwhile and afterwards.

A client makes a container, attaches, starts it, types a line, hears it back, hears the end, and removes it. Beside them
streams stay open: half `events`, half `logs -f` of one container. What is counted are the daemon and its children: open
descriptors, threads, processes, memory. `scripts/load` runs it for minutes, tests/interop/test_api_load.py for seconds.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import docker

from tests.support.api import Daemon
from tests.support.instance import SLOWNESS

PATIENCE = 60 * SLOWNESS


class Held(NamedTuple):
    """Of the daemon and its children: numbers, memory in MiB (resident, what is shared with others counted once)."""

    descriptors: int
    threads: int
    processes: int
    memory: float

    def more_than(self, before: Held) -> bool:
        return any(now > then for now, then in zip(self[:3], before[:3], strict=True))


def held(pid: int) -> Held:
    found = [pid, *_children(pid)]
    counts = [_one(each) for each in found]
    return Held(*(sum(column) for column in zip(*counts, strict=True)))


def _children(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        listed = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [each for child in listed for each in (child, *_children(child))]
    return []


def _one(pid: int) -> tuple[int, int, int, float]:
    """Nothing for a process that has just ended."""
    try:
        threads = len(os.listdir(f"/proc/{pid}/task"))
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        memory = next(int(row.split()[1]) for row in rows if row.startswith("Pss:")) / 1024
        descriptors = sum(not _is_old_log(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
        return descriptors, threads, 1, memory
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return 0, 0, 0, 0.0


def _is_old_log(link: str) -> bool:
    """The log of events before the present one stays open: some may still write to it (engine/events.py)."""
    try:
        return os.readlink(link).endswith("/events/log.1")
    except FileNotFoundError:  # closed since it was listed
        return False


class Streams:
    """Open answers that are read as they come, by one thread of ours."""

    def __init__(self, daemon: Daemon, paths: list[str]) -> None:
        self._selector = selectors.DefaultSelector()
        self._ends = threading.Event()
        self.heard = 0
        """Bytes."""
        self.ended = 0
        """Streams that the daemon has ended."""
        for path in paths:
            one = socket.socket(socket.AF_UNIX)
            one.settimeout(PATIENCE)
            one.connect(str(daemon.socket))
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
            assert one.recv(12) == b"HTTP/1.1 200", path
            self._selector.register(one, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._ends.is_set():
            for key, _ in self._selector.select(0.2):
                assert isinstance(key.fileobj, socket.socket)
                piece = key.fileobj.recv(65536)
                self.heard += len(piece)
                if not piece:
                    self._selector.unregister(key.fileobj)
                    key.fileobj.close()
                    self.ended += 1

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()


@contextlib.contextmanager
def streaming(daemon: Daemon, count: int) -> Iterator[Streams]:
    """Half of them events, half the log of a container that speaks each second."""
    talker = daemon.docker("run", "-d", "busybox", "sh", "-c", "while sleep 1; do echo tick; done").stdout.strip()
    assert talker
    logs = f"/v1.44/containers/{talker}/logs?follow=1&stdout=1&tail=0"
    streams = Streams(daemon, ["/v1.44/events", logs] * (count // 2))
    try:
        yield streams
    finally:
        streams.close()
        daemon.docker("rm", "-f", talker)


def life(client: Any, word: str) -> None:
    """One container's, with everything that is heard of it checked."""
    container = client.containers.create("busybox", ["sh", "-c", "read x; echo got $x; exit 3"], stdin_open=True)
    try:
        attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
        try:
            attached._sock.settimeout(PATIENCE)
            container.start()
            attached._sock.sendall(f"{word}\n".encode())
            heard = b""
            while piece := attached._sock.recv(4096):
                heard += piece
        finally:
            attached._sock.close()
            attached._response.close()
        assert heard[8:] == f"got {word}\n".encode(), heard
        assert container.wait()["StatusCode"] == 3
    finally:
        container.remove(force=True)


def clients(daemon: Daemon, count: int, seconds: float, tell: Callable[[int], None] = lambda lives: None) -> int:
    """So many at once, for so long; how many containers have lived. Raises what went wrong with the first."""
    until = time.monotonic() + seconds
    lived = [0] * count

    def work(number: int) -> None:
        client = docker.DockerClient(base_url=daemon.url, version="1.44", timeout=PATIENCE)
        try:
            while time.monotonic() < until:
                life(client, f"{number}-{lived[number]}")
                lived[number] += 1
        finally:
            client.close()

    with ThreadPoolExecutor(count) as pool:
        works = [pool.submit(work, number) for number in range(count)]
        while not all(one.done() for one in works):
            time.sleep(0.5)
            tell(sum(lived))
        for one in works:
            one.result()
    return sum(lived)


def settled(daemon: Daemon, before: Held, patience: float = 20 * SLOWNESS) -> Held:
    """What it holds, as soon as that is no more than before, or when patience ends. Memory isn't looked at."""
    deadline = time.monotonic() + patience
    while (found := held(daemon.pid)).more_than(before) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found
