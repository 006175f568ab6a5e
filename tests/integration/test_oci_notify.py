"""A container that says itself when it is ready: NOTIFY_SOCKET, sd_notify(3)."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minidock.oci import notify
from tests.support.needs import require_tool
from tests.support.oci import Run, add_user_namespace, args, bundle, configure, oci, run_with, status

__all__ = ["bundle", "oci"]


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Who waits outside; it closes what comes with a message, as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "outside"))
        sock.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "outside"))
        yield sock


def _hear(sock: socket.socket) -> bytes:
    message, fds, _, _ = socket.recv_fds(sock, 4096, 1)
    for fd in fds:
        os.close(fd)
    return message


def _say(tmp_path: Path, message: bytes) -> None:
    """As the container does: to the socket that is bound into it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(message, str(tmp_path / "state" / "box" / notify.DIRECTORY / "notify"))


def test_start_lasts_until_the_container_is_ready(
    oci: Run, bundle: Path, tmp_path: Path, waiting: socket.socket
) -> None:
    configure(oci, bundle, args("sleep", "1000"))
    oci("create", "-b", str(bundle), "box")
    starting = threading.Thread(target=oci, args=("start", "box"))
    starting.start()
    while status_of(tmp_path) != "started":
        time.sleep(0.02)
    _say(tmp_path, b"STATUS=warming up")
    time.sleep(0.2)
    assert starting.is_alive()
    _say(tmp_path, b"STATUS=warm\nREADY=1\nMAINPID=1")
    assert _hear(waiting) == b"READY=1"  # and nothing else of what the container says
    pid = int(_hear(waiting).partition(b"MAINPID=")[2])
    assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0001000\0"
    assert _hear(waiting) == b"BARRIER=1"
    starting.join(20)
    assert not starting.is_alive()


def status_of(tmp_path: Path) -> str:
    return "created" if (tmp_path / "state" / "box" / "exec.fifo").exists() else "started"


def test_the_container_finds_the_socket_by_the_name_it_is_given(
    oci: Run, bundle: Path, tmp_path: Path, waiting: socket.socket
) -> None:
    def change(config: dict[str, Any]) -> None:
        add_user_namespace(config, bundle)
        config["process"]["args"] = [
            "sh",
            "-c",
            "echo $NOTIFY_SOCKET; stat -c '%F %a' $NOTIFY_SOCKET; touch $NOTIFY_SOCKET.x",
        ]

    done = run_with(oci, bundle, change)
    assert done.stdout.splitlines() == [f"{tmp_path}/outside/notify", "socket 777"]
    assert "Read-only file system" in done.stderr
    assert not (tmp_path / "state" / "box").exists()


def test_one_that_ends_without_a_word_ends_the_waiting(oci: Run, bundle: Path, waiting: socket.socket) -> None:
    configure(oci, bundle, args("true"))
    oci("run", "--detach", "-b", str(bundle), "box")
    assert status(oci, "box") == "stopped"
    waiting.setblocking(False)
    with pytest.raises(BlockingIOError):
        waiting.recv(100)


def test_ready_is_heard_though_the_process_has_ended(tmp_path: Path, waiting: socket.socket) -> None:
    (tmp_path / notify.DIRECTORY).mkdir()
    notifier = notify.Notifier(tmp_path)
    path = tmp_path / notify.DIRECTORY / "notify"
    assert stat.S_IMODE(path.stat().st_mode) == 0o777
    gone = os.posix_spawn(require_tool("true"), ["true"], {})
    os.waitpid(gone, 0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"READY=1", str(path))
    thread = notifier.forward_meanwhile(gone, pytest.fail)
    assert [_hear(waiting) for _ in range(3)] == [b"READY=1", b"MAINPID=%d" % gone, b"BARRIER=1"]
    thread.join(20)


def test_nobody_outside_is_only_a_warning_beside_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    (tmp_path / notify.DIRECTORY).mkdir()
    notifier = notify.Notifier(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"READY=1", str(tmp_path / notify.DIRECTORY / "notify"))
    told: list[str] = []
    notifier.forward_meanwhile(os.getpid(), told.append).join(20)
    assert told == [f"can't say at {tmp_path}/nobody that the container is ready: No such file or directory"]
