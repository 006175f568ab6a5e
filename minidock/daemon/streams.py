"""Bodies that flow: from a client to a worker, from a worker to a client, neither of them ever whole in memory.

A worker is given one end of a pipe for each direction. A slow client fills the pipe, and the worker waits in write(2);
one that vanishes closes it, and the worker ends (Reply.begin).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from minidock.daemon.app import HEADERS, Daemon
from minidock.daemon.workers import CHUNK, Result, Workers


async def prepared(request: web.Request, response: web.StreamResponse) -> None:
    """Send the header now."""
    response.headers.update(HEADERS)
    await response.prepare(request)


async def relayed(
    daemon: Daemon,
    request: web.Request,
    verb: str,
    arguments: Mapping[str, object],
    *,
    kind: str = "application/json",
    sends: bool = False,
) -> web.StreamResponse:
    """What a verb writes, as the answer's body; with `sends` it reads the request's. Raises Refused until it begins."""
    async with flowing(daemon.workers, verb, arguments, request if sends else None) as (_, output):
        response = web.StreamResponse(headers={"Content-Type": kind})
        await prepared(request, response)
        while piece := await output.read(CHUNK):
            await response.write(piece)
    return response


@contextlib.asynccontextmanager
async def flowing(
    workers: Workers, verb: str, arguments: Mapping[str, object], sender: web.Request | None = None
) -> AsyncIterator[tuple[Result, asyncio.StreamReader]]:
    """A call with a pipe for what it writes and, when there is a sender, another for what it reads: in that order."""
    async with contextlib.AsyncExitStack() as stack:
        reading, writing = os.pipe()
        given = [writing]
        try:
            output = await stack.enter_async_context(piped(reading))
            if sender is not None:
                source, sink = os.pipe()
                given.append(source)
                await stack.enter_async_context(_fed(sender, sink))
            result = await stack.enter_async_context(workers.asked(verb, arguments, give=given))
        finally:
            for fd in given:
                os.close(fd)
        yield result, output


@contextlib.asynccontextmanager
async def piped(fd: int) -> AsyncIterator[asyncio.StreamReader]:
    """What a worker writes. Closed at the end: then the worker ends, too."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop), os.fdopen(fd, "rb", buffering=0)
    )
    try:
        yield reader
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def _fed(sender: web.Request, fd: int) -> AsyncIterator[None]:
    """The request's body goes into the pipe meanwhile. A worker that has read enough closes its end."""
    feeding = asyncio.create_task(_feed(sender, fd))
    try:
        yield
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await feeding


async def _feed(sender: web.Request, fd: int) -> None:
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(fd, "wb", buffering=0)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    try:
        async for piece in sender.content.iter_any():
            writer.write(piece)
            await writer.drain()
        writer.close()  # once what is still in the buffer has gone
    except BaseException:
        transport.abort()
        raise
