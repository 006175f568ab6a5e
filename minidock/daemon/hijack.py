"""A connection that stops being HTTP: after the answer's header it carries bytes both ways, and each way ends alone.

Docker's clients ask with `Connection: Upgrade, Upgrade: tcp` and are answered 101; older ones just go on after a 200.
The client may close its sending half (`echo x | docker run -i`) and still reads: so the protocol that takes over must
not close the connection at the first end-of-file, as one for HTTP does.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import sys
import termios
from asyncio.trsock import TransportSocket
from collections.abc import AsyncIterator
from typing import Protocol

from aiohttp import web

from minidock.daemon.app import HEADERS

RAW, FRAMED = "application/vnd.docker.raw-stream", "application/vnd.docker.multiplexed-stream"


class Reader(Protocol):
    """What a client sends. asyncio's, or a WebSocket's."""

    async def read(self, n: int, /) -> bytes:
        """At most `n` bytes, if it can be helped; none at the end. Raises ConnectionError."""


class Writer(Protocol):
    """What a client is sent."""

    def write(self, data: bytes, /) -> None: ...

    async def drain(self) -> None:
        """Until the client has taken enough of it. Raises ConnectionError."""


Streams = tuple[Reader, Writer]


@contextlib.asynccontextmanager
async def taken_over(
    request: web.Request, content_type: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """The client's side of the connection. It is closed at the end of the block."""
    transport = request.transport
    assert transport is not None and isinstance(transport, asyncio.Transport)
    upgrade = request.headers.get("Upgrade", "").lower() == "tcp"
    first = "HTTP/1.1 101 UPGRADED" if upgrade else "HTTP/1.1 200 OK"
    rows = [first, f"Content-Type: {content_type}", *(f"{name}: {value}" for name, value in HEADERS.items())]
    rows += ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else []
    transport.write("\r\n".join([*rows, "", ""]).encode("latin-1"))
    # At once: a client that has nothing to send says so as soon as it has the header.
    reader, writer = _streams(transport, request.protocol, early=_early(request))
    try:
        await _taken(transport)
        yield reader, writer
    finally:
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()


PATIENCE = 1.0
"""Seconds for a client to read the header; then it has to be one that keeps what comes after it."""


async def _taken(transport: asyncio.Transport) -> None:
    """Until the client has read the header: docker-py throws away whatever comes with it in one read(2).

    A unix socket knows what its other end hasn't read yet (unix(7), SIOCOUTQ). TCP knows only what has arrived there;
    but of a client on the loopback the kernel tells in its list of sockets. One that is further away isn't waited for.
    """
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while not transport.is_closing() and _unread(sock) and loop.time() < until:
        await asyncio.sleep(0.001)


def _unread(sock: TransportSocket) -> int:
    """Bytes; 0 when it can't be known."""
    if sock.family == socket.AF_UNIX:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    if sock.family != socket.AF_INET:
        return 0
    wanted = f" {_as_listed(sock.getpeername())} {_as_listed(sock.getsockname())} "
    with open("/proc/net/tcp", encoding="ascii") as table:  # proc_net_tcp(5): the client's end, if it is here
        row = next((line for line in table if wanted in line), "")
    return int(row.split()[4].partition(":")[2], 16) if row else 0


def _as_listed(address: tuple[str, int]) -> str:
    return f"{int.from_bytes(socket.inet_aton(address[0]), sys.byteorder):08X}:{address[1]:04X}"


class _TakenOver(asyncio.StreamReaderProtocol):
    """aiohttp keeps its own protocol for as long as nobody tells that one of the connection's end."""

    def __init__(self, reader: asyncio.StreamReader, http: asyncio.Protocol) -> None:
        super().__init__(reader, loop=asyncio.get_running_loop())
        self._http = http

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._http.connection_lost(exc)


def _streams(
    transport: asyncio.Transport, http: asyncio.Protocol, early: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = _TakenOver(reader, http)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if early:
        reader.feed_data(early)
    transport.resume_reading()
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _early(request: web.Request) -> bytes:
    """What the client sent without waiting for the answer: aiohttp has kept it as the head of the next message."""
    return bytes(getattr(request.protocol, "_message_tail", b""))
