"""Many clients at once: everybody is served, and afterwards nothing is left open."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker

from tests.support.api import Daemon

CLIENTS, ROUNDS = 16, 2


def test_sixteen_clients_leave_no_descriptor_and_no_process(daemon: Daemon) -> None:
    daemon.docker("run", "--rm", "busybox", "true")
    before = _open_descriptors(daemon), _processes(daemon.pid)

    def work(number: int) -> list[bytes]:
        client = docker.DockerClient(base_url=daemon.url, version="1.44", timeout=120)
        try:
            heard = []
            for turn in range(ROUNDS):
                container = client.containers.create(
                    "busybox", ["sh", "-c", "read x; echo $x; exec sleep 100"], stdin_open=True
                )
                container.start()
                assert container.exec_run(["echo", str(turn)])[1] == f"{turn}\n".encode()
                heard.append(container.exec_run(["sh", "-c", f"echo {number} {turn}"])[1])
                container.remove(force=True)
            return heard
        finally:
            client.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        for number, heard in enumerate(pool.map(work, range(CLIENTS))):
            assert heard == [f"{number} {turn}\n".encode() for turn in range(ROUNDS)]
    assert daemon.docker("ps", "-aq").stdout == ""
    deadline = time.monotonic() + 20
    while (left := (_open_descriptors(daemon), _processes(daemon.pid))) > before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left <= before


def _open_descriptors(daemon: Daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def _processes(pid: int) -> int:
    """It, and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return 1 + sum(_processes(int(child)) for child in children if Path(f"/proc/{child}").exists())
