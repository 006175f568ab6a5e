"""A connection that speaks WebSocket (RFC 6455): what a page in a browser can open to a container.

Bytes come and go in messages, as they are; there are no frames of Docker's in them. There is no half-closed WebSocket:
a client that closes has left.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from minidock.daemon.streams import prepared
from minidock.daemon.workers import Refused

LONGEST = 16 << 20
"""Bytes of one message from a client, which is whole in memory."""
GOODBYE_SECONDS = 1.0
"""How long we wait for the client's answer to our close."""


class Messages:
    """What the client types."""

    def __init__(self, response: web.WebSocketResponse) -> None:
        self.response = response

    async def read(self, n: int, /) -> bytes:
        """The next message, whatever its size. Raises ConnectionResetError when the client has left."""
        while True:
            message = await self.response.receive()
            if message.type is WSMsgType.BINARY:
                typed = bytes(message.data)
            elif message.type is WSMsgType.TEXT:
                typed = str(message.data).encode()
            else:
                raise ConnectionResetError("the client has closed its WebSocket")
            if typed:
                return typed


class Sender:
    """What the client is shown. Old versions of the API have text in the messages, whatever the bytes are."""

    def __init__(self, response: web.WebSocketResponse, *, text: bool) -> None:
        self.response = response
        self._kind = WSMsgType.TEXT if text else WSMsgType.BINARY
        self._waiting: list[bytes] = []

    def write(self, data: bytes, /) -> None:
        self._waiting.append(data)

    async def drain(self) -> None:
        said, self._waiting = b"".join(self._waiting), []
        if said:
            await self.response.send_frame(said, self._kind)


@contextlib.asynccontextmanager
async def upgraded(request: web.Request, *, text: bool) -> AsyncIterator[tuple[Messages, Sender]]:
    """The client's side of the connection. It is closed at the end of the block. Raises Refused."""
    _same_origin(request)
    asked = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()]
    response = web.WebSocketResponse(timeout=GOODBYE_SECONDS, protocols=asked[:1], compress=False, max_msg_size=LONGEST)
    if not response.can_prepare(request):
        raise Refused(
            400, "a WebSocket is expected here: Connection: Upgrade, Upgrade: websocket, its key and version 13"
        )
    await prepared(request, response)
    sender = Sender(response, text=text)
    try:
        yield Messages(response), sender
    finally:
        with contextlib.suppress(ConnectionError):
            await sender.drain()
            await response.close()


def _same_origin(request: web.Request) -> None:
    """A browser lets every page open a WebSocket to everywhere, and says which page it is: only ours may.

    Without this, a page from anywhere would have the containers of whoever listens on his loopback. Who is no browser
    names no origin, or the address that he asks.
    """
    origin = urlsplit(request.headers.get("Origin", "")).netloc.lower()
    local = request.transport is None or not isinstance(request.transport.get_extra_info("peername"), tuple)
    if origin and origin != request.headers.get("Host", "").lower() and not local:
        raise Refused(403, f"a page of {origin} may not attach to a container")
