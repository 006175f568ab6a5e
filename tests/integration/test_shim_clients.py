"""The wire between the shim and its clients: nothing is lost, and no client can hurt the container."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidock.runtime import attach
from tests.support.shim import Shim, children, wait_for

Start = Callable[..., Shim]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Shim] = []

    def begin(command: str, **options: Any) -> Shim:
        started.append(Shim(tmp_path, command, **options))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def echo(one: Shim, word: bytes) -> None:
    """The container still answers."""
    one.send(attach.STDIN, word + b"\n")
    one.until(word + b"\n")


# stdin


def test_stdin_reaches_the_container_and_ends(start: Start) -> None:
    one = start("tr a-z A-Z; echo end")
    one.send(attach.STDIN, b"hello ")
    one.send(attach.STDIN, b"world\n")
    one.send(attach.CLOSE_STDIN)
    assert one.output() == (b"HELLO WORLD\nend\n", b"", 0)


def test_stdin_sent_in_one_go_with_its_end(start: Start) -> None:
    one = start("wc -c")
    assert one.client is not None
    one.client.sendall(attach.frame(attach.STDIN, bytes(50_000)) + attach.frame(attach.CLOSE_STDIN))
    assert one.output() == (b"50000\n", b"", 0)


def test_a_container_that_reads_slowly_gets_all_of_stdin(start: Start) -> None:
    one = start("sleep 0.3; sha256sum")
    data = os.urandom(8 << 20)
    sender = threading.Thread(target=lambda: (one.send(attach.STDIN, data), one.send(attach.CLOSE_STDIN)))
    sender.start()
    out, _, code = one.output()
    sender.join()
    assert (out.split()[0].decode(), code) == (hashlib.sha256(data).hexdigest(), 0)


def test_a_full_stdin_stops_only_its_sender(start: Start) -> None:
    """The shim holds little of what the container doesn't read, and another client is served meanwhile."""
    one = start("echo ready; sleep 100")
    one.until(b"ready\n")
    assert one.client is not None
    one.client.setblocking(False)
    sent = 0
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 0.3:
        try:
            sent += one.client.send(attach.frame(attach.STDIN, bytes(4096)))
            quiet_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    assert sent < 2 << 20
    other = one.connect()
    one.wait_for_clients(2)
    os.kill(children(one.pid)[0], signal.SIGKILL)
    assert attach.wait(other) == 137


def test_stdin_that_nobody_reads_is_thrown_away(start: Start) -> None:
    one = start("exec <&-; echo closed; sleep 0.5; echo done")
    one.until(b"closed\n")
    one.send(attach.STDIN, bytes(1 << 20))
    assert one.output() == (b"done\n", b"", 0)


def test_without_stdin_it_is_at_its_end(start: Start) -> None:
    one = start("cat; echo done", stdin=False)
    one.send(attach.STDIN, b"ignored")
    assert one.output() == (b"done\n", b"", 0)


def test_two_clients_may_both_type(start: Start) -> None:
    one = start("cat")
    echo(one, b"first")
    other = one.connect()
    other.sendall(attach.frame(attach.STDIN, b"second\n"))
    assert one.until(b"second\n") == b"second\n"
    assert one.until(b"second\n", other) == b"second\n"


# stdin-once


def test_stdin_once_ends_with_the_client_that_gave_it(start: Start) -> None:
    one = start("cat; exit 5", stdin_once=True)
    echo(one, b"x")
    watcher = one.connect()
    one.wait_for_clients(2)
    assert one.client is not None
    one.client.close()
    assert attach.wait(watcher) == 5


def test_stdin_once_does_not_end_with_a_mere_watcher(start: Start) -> None:
    one = start("cat; exit 5", stdin_once=True)
    one.connect().close()
    echo(one, b"x")
    time.sleep(0.1)
    echo(one, b"y")


def test_without_stdin_once_clients_come_and_go(start: Start) -> None:
    one = start("cat")
    echo(one, b"x")
    assert one.client is not None
    one.client.close()
    one.client = one.connect()
    echo(one, b"y")


# output


def test_all_clients_get_all_of_the_output(start: Start) -> None:
    one = start("read go; i=0; while [ $i -lt 2000 ]; do echo $i; echo $i >&2; i=$((i+1)); done")
    clients = [one.connect() for _ in range(5)]
    one.wait_for_clients(6)
    one.send(attach.STDIN, b"\n")
    expected = b"".join(b"%d\n" % number for number in range(2000))
    results = [one.output(client) for client in (*clients, one.client)]
    assert results == [(expected, expected, 0)] * 6


def test_fifty_megabytes_to_a_slow_client_and_a_fast_one(start: Start, tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(os.urandom(50 << 20))
    one = start(f"read go; cat {blob}")
    slow = one.connect()
    slow.sendall(attach.frame(attach.STDIN, b"\n"))
    results: dict[str, tuple[str, int | None]] = {}

    def take(name: str, client: socket.socket | None, pause: float) -> None:
        assert client is not None
        digest = hashlib.sha256()
        for kind, payload in attach.frames(client):
            if kind == attach.EXIT:
                results[name] = (digest.hexdigest(), int.from_bytes(payload, "big"))
                return
            digest.update(payload)
            time.sleep(pause)

    takers = [threading.Thread(target=take, args=("fast", one.client, 0))]
    takers.append(threading.Thread(target=take, args=("slow", slow, 0.002)))
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert results["fast"] == results["slow"] == (hashlib.sha256(blob.read_bytes()).hexdigest(), 0)


def test_a_stalled_client_stops_the_container_and_not_the_shim_s_memory(start: Start) -> None:
    one = start("yes 0123456789")
    wait_for(one.log.path.exists)
    before = -1
    while before != (now := one.log.path.stat().st_size):  # until the container waits in write(2)
        before = now
        time.sleep(0.5)
    assert before < 100 << 20
    status = Path(f"/proc/{one.pid}/status").read_text()
    resident = int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")))
    assert resident < 6 * 1024
    assert one.client is not None
    one.client.close()  # and goes on when the client is gone
    wait_for(lambda: one.log.path.stat().st_size != before)


def test_a_stopped_client_gets_the_rest_after_the_exit(start: Start) -> None:
    one = start("head -c 900000 /dev/zero; exit 6")
    one.exit()
    time.sleep(0.2)
    out, _, code = one.output()
    assert (len(out), code) == (900000, 6)


def test_a_client_that_never_reads_delays_the_end_by_seconds_only(start: Start) -> None:
    one = start("head -c 900000 /dev/zero; exit 6")
    begun = time.monotonic()
    assert one.wait() == 0
    assert time.monotonic() - begun < 10
    assert one.cleaned.exists()


# clients that misbehave


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 64,
        b"GET / HTTP/1.1\r\n\r\n",
        attach.frame(1, b"stdout is not for you to write"),
        attach.frame(attach.EXIT, bytes(4)),
        attach.frame(attach.RESIZE, bytes(3)),
        attach.frame(attach.OWNER, bytes(2)),
        attach.frame(attach.CLOSE_STDIN, b"x"),
        b"\x00\x00\x01\x00" + bytes(4),
        struct.pack(">B3xI", attach.RESIZE, 0xFFFFFFFF),
    ],
)
def test_a_client_that_does_not_speak_frames_is_dropped(start: Start, garbage: bytes) -> None:
    one = start("cat")
    echo(one, b"x")
    other = one.connect()
    other.sendall(garbage)
    with contextlib.suppress(ConnectionResetError):
        assert other.recv(1) == b""
    echo(one, b"y")


@pytest.mark.parametrize("kind", [attach.NAMES, attach.STDIN])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 30])
def test_descriptors_that_the_shim_has_no_use_for_are_closed(start: Start, kind: int, count: int) -> None:
    one = start("cat")
    echo(one, b"started")
    before = sorted(os.listdir(f"/proc/{one.pid}/fd"))
    assert one.client is not None
    for _ in range(20):
        socket.send_fds(one.client, [attach.frame(kind)], [0] * count)
    echo(one, b"well")
    assert sorted(os.listdir(f"/proc/{one.pid}/fd")) == before


def test_frames_may_come_byte_by_byte(start: Start) -> None:
    one = start("cat")
    assert one.client is not None
    for byte in attach.frame(attach.STDIN, b"slow\n") + attach.frame(attach.OWNER, b"\0"):
        one.client.send(bytes([byte]))
        time.sleep(0.002)
    one.until(b"slow\n")


def test_a_killed_client_is_forgotten(start: Start) -> None:
    one = start("cat")
    echo(one, b"x")
    pid = os.fork()
    if pid == 0:
        client = one.connect()
        client.sendall(attach.frame(attach.STDIN, b"from the child\n"))
        signal.pause()
    one.until(b"from the child\n")
    before = len(os.listdir(f"/proc/{one.pid}/fd"))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_for(lambda: len(os.listdir(f"/proc/{one.pid}/fd")) == before - 1)
    echo(one, b"y")


def test_more_clients_than_places_wait_for_one(start: Start) -> None:
    one = start("cat")
    echo(one, b"x")
    crowd: list[socket.socket] = []
    for _ in range(127):
        crowd.append(one.connect())
        crowd[-1].sendall(attach.frame(attach.STDIN))
    wait_for(lambda: len(os.listdir(f"/proc/{one.pid}/fd")) > 130)
    late = one.connect()
    late.sendall(attach.frame(attach.STDIN, b"late\n"))
    time.sleep(0.1)
    echo(one, b"y")
    crowd[0].close()
    one.until(b"late\n")
