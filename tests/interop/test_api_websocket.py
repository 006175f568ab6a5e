"""attach/ws with real WebSocket clients: websocket-client, and docker-py, which uses it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator

import docker
import pytest
import websocket

from tests.support.api import Daemon
from tests.support.instance import SLOWNESS


@contextlib.contextmanager
def opened(daemon: Daemon, path: str, **options: object) -> Iterator[websocket.WebSocket]:
    """By the unix socket."""
    plain = socket.socket(socket.AF_UNIX)
    plain.connect(str(daemon.socket))
    connection = websocket.create_connection(f"ws://localhost{path}", socket=plain, timeout=20 * SLOWNESS, **options)
    try:
        yield connection
    finally:
        connection.close()


def heard(connection: websocket.WebSocket, until: bytes) -> bytes:
    text = b""
    while until not in text:
        kind, piece = connection.recv_data()
        assert kind == websocket.ABNF.OPCODE_BINARY, (text, piece)
        text += piece
    return text


def test_a_page_types_reads_and_hears_the_end(daemon: Daemon) -> None:
    daemon.docker("run", "-dit", "--name", "one", "busybox", "sh", "-c", "while read x; do echo got $x; done")
    path = "/v1.44/containers/one/attach/ws?stream=1&stdin=1&stdout=1&stderr=1"
    with opened(daemon, path, subprotocols=["raw"]) as connection:
        assert connection.getsubprotocol() == "raw"
        connection.send("text\n")
        assert b"got text" in heard(connection, b"got text\r\n")
        connection.send_binary(b"b" * 1000 + b"\n")
        heard(connection, b"got " + b"b" * 1000 + b"\r\n")
        connection.ping()
        connection.send_binary(b"\x10\x11")  # the keys to leave by
        assert connection.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    with opened(daemon, path) as connection:
        daemon.docker("kill", "one")
        while (kind := connection.recv_data()[0]) != websocket.ABNF.OPCODE_CLOSE:
            assert kind == websocket.ABNF.OPCODE_BINARY


def test_it_may_open_before_the_start_and_loses_nothing(daemon: Daemon) -> None:
    daemon.docker("create", "-i", "--name", "one", "busybox", "sh", "-c", "echo begun; cat; echo err >&2")
    with opened(daemon, "/v1.41/containers/one/attach/ws?stream=1") as connection:  # before 1.42: every stream
        daemon.docker("start", "one")
        heard(connection, b"begun\n")
        connection.send_binary(bytes(range(256)) * 4096)
        heard(connection, bytes(range(256)) * 16)
    assert daemon.docker("wait", "one").stdout == "0\n", "who closes has left: that ends the input"
    with opened(daemon, "/v1.24/containers/one/attach/ws?logs=1") as connection:
        kind, text = connection.recv_data()
        assert kind == websocket.ABNF.OPCODE_TEXT and text.startswith(b"begun\n")


def test_who_vanishes_leaves_nothing_open(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    path, count = "/containers/one/attach/ws?stream=1&stdout=1", f"/proc/{daemon.pid}/fd"
    with opened(daemon, path):
        pass
    deadline = time.monotonic() + 20 * SLOWNESS
    before = len(os.listdir(count))
    for abrupt in (True, False) * 3:
        with opened(daemon, path) as connection:
            if abrupt:
                connection.sock.shutdown(socket.SHUT_RDWR)
    while len(os.listdir(count)) > before:
        assert time.monotonic() < deadline, subprocess.check_output(["ls", "-l", count], text=True)
        time.sleep(0.05)


def test_docker_py_reads_and_a_page_from_elsewhere_is_refused(listening: Daemon) -> None:
    url = listening.also
    client = docker.APIClient(base_url=url, version="1.44", timeout=30)
    made = client.create_container("busybox", ["printf", "hi there"])
    connection = client.attach_socket(made, {"stdout": 1, "stream": 1}, ws=True)
    client.start(made)
    assert connection.recv() == b"hi there"
    connection.close()
    client.close()
    path = f"ws{url[3:]}/containers/{made['Id']}/attach/ws?stream=1&stdout=1"
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(path, origin="http://elsewhere.example", timeout=20)
    with pytest.raises(websocket.WebSocketBadStatusException, match="404"):
        websocket.create_connection(path.replace(made["Id"], "nobody"), timeout=20)


def test_what_is_no_websocket_is_told(daemon: Daemon) -> None:
    daemon.docker("create", "--name", "one", "busybox")
    client = docker.APIClient(base_url=daemon.url, version="1.44", timeout=30)
    answer = client.get(client._url("/containers/one/attach/ws"))
    assert answer.status_code == 400 and "WebSocket" in answer.json()["message"]
    client.close()
