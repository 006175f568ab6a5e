"""SCMP_ACT_NOTIFY: an agent at listenerPath gets the filter's listener, and decides over system calls."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.oci import Run, bundle, configure, oci

__all__ = ["bundle", "oci"]

# linux/seccomp.h; seccomp_unotify(2)
RECEIVE, SEND = 0xC0502100, 0xC0182101
NOTICE = struct.Struct("=QIIiIQ6Q")
EXDEV = 18


class Agent:
    """Takes one listener after the other, and answers every held call with an errno that no kernel path gives it."""

    def __init__(self, path: Path) -> None:
        self.told: list[dict[str, Any]] = []
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(str(path))
        self.server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=[connection], daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        raw, fds, _, _ = socket.recv_fds(connection, 65536, 4)
        if not raw:
            return
        self.told.append(json.loads(raw) | {"descriptors": len(fds)})
        while True:
            held = bytearray(NOTICE.size)
            try:
                fcntl.ioctl(fds[0], RECEIVE, held)
                fcntl.ioctl(fds[0], SEND, struct.pack("=QqiI", NOTICE.unpack(held)[0], 0, -EXDEV, 0))
            except OSError:  # ENOENT: nobody is under the filter any more
                os.close(fds[0])
                return


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    served = Agent(tmp_path / "agent.sock")
    yield served
    served.server.shutdown(socket.SHUT_RDWR)
    served.server.close()


def asking(tmp_path: Path, script: str, *, privileges: bool = False, calls: list[str] | None = None) -> Any:
    def change(config: dict[str, Any]) -> None:
        config["process"]["args"] = ["/bin/sh", "-c", script]
        config["process"]["noNewPrivileges"] = not privileges
        config["root"]["readonly"] = False
        config["annotations"] = {"who": "it is"}
        config["linux"]["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": str(tmp_path / "agent.sock"),
            "listenerMetadata": "for the agent",
            "syscalls": [{"names": calls or ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
        }

    return change


@pytest.mark.parametrize("privileges", [False, True])
def test_the_agent_decides(agent: Agent, bundle: Path, oci: Run, tmp_path: Path, privileges: bool) -> None:
    configure(oci, bundle, asking(tmp_path, "mkdir /tmp/x; echo $?", privileges=privileges))
    done = oci("run", "-b", str(bundle), "asked")
    assert done.stdout == "1\n"
    assert "Invalid cross-device link" in done.stderr
    (told,) = agent.told
    assert told["descriptors"] == 1
    assert told["fds"] == ["seccompFd"]
    assert told["metadata"] == "for the agent"
    assert told["pid"] == told["state"]["pid"] > 1
    assert told["state"]["id"] == "asked"
    assert told["state"]["status"] == "creating"
    assert told["state"]["annotations"] == {"who": "it is"}


def test_even_the_calls_that_start_the_command_may_be_asked_for(
    agent: Agent, bundle: Path, oci: Run, tmp_path: Path
) -> None:
    configure(oci, bundle, asking(tmp_path, "true", calls=["execve"]))
    done = oci("run", "-b", str(bundle), "asked", check=False)
    assert done.returncode != 0
    assert "cross-device link" in done.stderr


def test_create_start_and_exec(agent: Agent, bundle: Path, oci: Run, tmp_path: Path) -> None:
    configure(oci, bundle, asking(tmp_path, "sleep 100"))
    oci("create", "-b", str(bundle), "asked")
    oci("start", "asked")
    done = oci("exec", "asked", "mkdir", "/tmp/y", check=False)
    assert "cross-device link" in done.stderr
    first = json.loads(oci("state", "asked").stdout)["pid"]
    by_status = {told["state"]["status"]: told for told in agent.told}
    assert by_status["creating"]["pid"] == first
    assert by_status["running"]["state"]["pid"] == first
    assert by_status["running"]["pid"] != first
    # The command has neither the socket nor the listener.
    assert oci("exec", "asked", "ls", "/proc/1/fd").stdout.split() == ["0", "1", "2"]


def test_nobody_listens(bundle: Path, oci: Run, tmp_path: Path) -> None:
    configure(oci, bundle, asking(tmp_path, "true"))
    done = oci("run", "-b", str(bundle), "asked", check=False)
    assert done.returncode == 1
    assert "failed to connect with seccomp agent" in done.stderr
    assert oci("list", "-q").stdout == ""


def test_a_decision_that_nobody_is_asked_for(bundle: Path, oci: Run, tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        asking(tmp_path, "true")(config)
        del config["linux"]["seccomp"]["listenerPath"]

    configure(oci, bundle, change)
    done = oci("run", "-b", str(bundle), "asked", check=False)
    assert done.returncode == 1
    assert "listenerPath" in done.stderr
