"""Between a client and a container's shim: both speak Docker's frames, so what comes out passes as it is.

A slow client makes us stop reading from the shim, and so in the end the container wait in write(2): as with Docker
nothing is lost. A client that vanishes is an end-of-file or an error on its connection, and the container goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import msgspec

from minidock.daemon.hijack import Reader, Streams, Writer
from minidock.engine import wire

CHUNK = 64 * 1024


def _nobody_asks() -> None: ...


class Wish(msgspec.Struct, frozen=True):
    """What of the container's streams a client wants. `keys` end the attachment, on a terminal; `on_leave` is told."""

    tty: bool
    stdin: bool
    stdout: bool
    stderr: bool
    keys: bytes | None = None
    framed: bool = True
    """Whether the client wants to know which stream bytes are from; nearly always what isn't a terminal's."""
    on_leave: Callable[[], None] = _nobody_asks

    def wants(self, kind: int) -> bool:
        return (kind == wire.STDOUT and self.stdout) or (kind == wire.STDERR and self.stderr)


class Shim:
    """A connection to a container's shim. `resize` and signals of other requests may use it meanwhile."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.exit_code: int | None = None

    @classmethod
    async def of(cls, fd: int) -> Shim:
        return cls(*await asyncio.open_unix_connection(sock=socket.socket(fileno=fd)))

    def send(self, kind: int, payload: bytes = b"") -> None:
        self.writer.write(wire.frame(kind, payload))

    def close(self) -> None:
        self.writer.close()


async def carry(shim: Shim, client: Streams, wish: Wish) -> bool:
    """Until the container ends (True), or the client leaves: by its keys, or without a word."""
    reader, writer = client
    typing = asyncio.create_task(inward(shim, reader, wish))
    outward = asyncio.create_task(_outward(shim, writer, wish))
    try:
        await asyncio.wait({typing, outward}, return_when=asyncio.FIRST_COMPLETED)
        if typing.done() and not outward.done() and not typing.result():
            await outward  # the client has closed its sending half only
        return outward.done() and not outward.cancelled() and outward.exception() is None and outward.result()
    except ConnectionError:
        return False
    finally:
        for task in (typing, outward):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await task


async def _outward(shim: Shim, writer: Writer, wish: Wish) -> bool:
    decoder = wire.Decoder()
    while chunk := await shim.reader.read(CHUNK):
        for kind, payload in decoder.feed(chunk):
            if kind == wire.EXIT:
                shim.exit_code = int.from_bytes(payload, "big", signed=True)
                return True
            if wish.wants(kind):
                writer.write(wire.frame(kind, payload) if wish.framed else payload)
        await writer.drain()
    return True


async def inward(shim: Shim, reader: Reader, wish: Wish) -> bool:
    """True when the client has typed its detach keys. The beginning of them is kept back only for a moment."""
    keys = wire.DetachKeys(wish.keys) if wish.keys and wish.tty else None
    while True:
        held = keys is not None and bool(keys.held)
        try:
            typed = await asyncio.wait_for(reader.read(CHUNK), wire.DETACH_SECONDS if held else None)
        except TimeoutError:
            assert keys is not None
            shim.send(wire.STDIN, keys.release())
            continue
        except ConnectionError:
            if wish.stdin:
                shim.send(wire.CLOSE_STDIN)  # who has gone types no more
            raise
        if not typed:
            break
        if keys is not None:
            typed = keys.feed(typed)
        if wish.stdin and typed:
            shim.send(wire.STDIN, typed)
            await shim.writer.drain()
        if keys is not None and keys.complete:
            wish.on_leave()
            return True
    if wish.stdin:
        shim.send(wire.CLOSE_STDIN)
    return False
