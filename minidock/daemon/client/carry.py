"""Bytes between standard streams and a daemon's connection, each way until it ends."""

from __future__ import annotations

import os
import socket
import threading

CHUNK = 64 * 1024


def between(daemon: socket.socket) -> None:
    """Until the daemon has said everything. The end of our stdin is the end of what it hears from us."""
    threading.Thread(target=_inward, args=(daemon,), daemon=True).start()
    while chunk := daemon.recv(CHUNK):
        _write(chunk)


def _inward(daemon: socket.socket) -> None:
    try:
        while chunk := os.read(0, CHUNK):
            daemon.sendall(chunk)
        daemon.shutdown(socket.SHUT_WR)
    except OSError:
        return  # it has gone: the other direction sees that, too


def _write(chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(1, rest) :]
