"""A connection that stops being HTTP: after the answer's header it carries bytes both ways, and each way ends alone.

Docker's clients ask with `Connection: Upgrade, Upgrade: tcp` and are answered 101; older ones just go on after a 200.
The client may close its sending half (`echo x | docker run -i`) and still reads: so the protocol that takes over must
not close the connection at the first end-of-file, as one for HTTP does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from minidock.daemon.app import HEADERS

RAW, FRAMED = "application/vnd.docker.raw-stream", "application/vnd.docker.multiplexed-stream"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def taken_over(request: web.Request, content_type: str) -> AsyncIterator[Streams]:
    """The client's side of the connection. It is closed at the end of the block."""
    transport = request.transport
    assert transport is not None and isinstance(transport, asyncio.Transport)
    upgrade = request.headers.get("Upgrade", "").lower() == "tcp"
    first = "HTTP/1.1 101 UPGRADED" if upgrade else "HTTP/1.1 200 OK"
    rows = [first, f"Content-Type: {content_type}", *(f"{name}: {value}" for name, value in HEADERS.items())]
    rows += ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else []
    # The header goes out alone: docker-py throws away whatever comes in the same packet.
    transport.write("\r\n".join([*rows, "", ""]).encode("latin-1"))
    reader, writer = _streams(transport, early=_early(request))
    try:
        yield reader, writer
    finally:
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()


def _streams(transport: asyncio.Transport, early: bytes) -> Streams:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if early:
        reader.feed_data(early)
    transport.resume_reading()
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _early(request: web.Request) -> bytes:
    """What the client sent without waiting for the answer: aiohttp has kept it as the head of the next message."""
    return bytes(getattr(request.protocol, "_message_tail", b""))
