"""A connection that was taken over from HTTP ends for aiohttp, too: of each it would keep some kilobytes for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from minidock.daemon.hijack import RAW, taken_over

ASKED = b"POST /attach HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


async def echo(request: web.Request) -> web.StreamResponse:
    async with taken_over(request, RAW) as (reader, writer):
        writer.write(await reader.read())
    return web.Response()


async def served(path: str) -> int:
    """How many connections the server still knows after three were used."""
    app = web.Application()
    app.router.add_post("/attach", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    for _ in range(3):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(ASKED)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"hello"
        writer.close()
    for _ in range(100):
        if not runner.server or not runner.server.connections:
            break
        await asyncio.sleep(0.05)
    left = len(runner.server.connections) if runner.server else -1
    await runner.cleanup()
    return left


def test_nothing_is_kept_of_a_connection_that_has_ended(tmp_path: Path) -> None:
    assert asyncio.run(served(str(tmp_path / "s"))) == 0
