"""A container's streams: attach, by a connection taken over or by WebSocket; logs; the size of its terminal."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import CONTAINER, Daemon, Route, version
from minidock.daemon.births import Birth, expected
from minidock.daemon.bridge import Shim, Wish, carry
from minidock.daemon.hijack import FRAMED, RAW, Streams, taken_over
from minidock.daemon.routes.containers import inspected, tell
from minidock.daemon.streams import flowing, prepared
from minidock.daemon.websocket import upgraded
from minidock.daemon.workers import CHUNK, Refused
from minidock.engine import wire


async def attach(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    facts = await _attachable(daemon, request)
    tty = facts["Config"]["Tty"]
    kind = FRAMED if not tty and version(request) >= (1, 42) else RAW
    wish = _wish(daemon, request, facts, framed=not tty)
    async with _birth(daemon, request, facts) as birth, taken_over(request, kind) as client:
        tell(daemon, facts, "attach")
        await _served(daemon, request, facts["Id"], wish, client, birth)
    return web.Response()


async def attach_websocket(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    """A message is a piece of input or output; which stream it is from can't be told, as with Docker."""
    facts = await _attachable(daemon, request)
    all_streams = version(request) < (1, 42)
    wish = _wish(daemon, request, facts, framed=False, default=all_streams)
    async with _birth(daemon, request, facts) as birth, upgraded(request, text=version(request) < (1, 28)) as client:
        tell(daemon, facts, "attach")
        await _served(daemon, request, facts["Id"], wish, client, birth)
    return client[1].response


async def _attachable(daemon: Daemon, request: web.Request) -> dict[str, Any]:
    facts = await inspected(daemon, request.match_info["ref"])
    if facts["State"]["Paused"]:
        raise Refused(409, f"container {facts['Id']} is paused, unpause the container before attach")
    return facts


def _wish(daemon: Daemon, request: web.Request, facts: dict[str, Any], *, framed: bool, default: bool = False) -> Wish:
    """`default`: every stream, whatever was asked for."""
    return Wish(
        tty=facts["Config"]["Tty"],
        stdin=(default or query.flag(request, "stdin")) and facts["Config"]["OpenStdin"],
        stdout=default or query.flag(request, "stdout"),
        stderr=default or query.flag(request, "stderr"),
        keys=wire.parse_detach_keys(request.query.get("detachKeys", "")),
        framed=framed,
        on_leave=functools.partial(tell, daemon, facts, "detach"),
    )


@contextlib.asynccontextmanager
async def _birth(daemon: Daemon, request: web.Request, facts: dict[str, Any]) -> AsyncIterator[Birth | None]:
    """Entered before the answer begins: once they have it, clients start the container."""
    if not query.flag(request, "stream") or facts["State"]["Running"]:
        yield None
        return
    with expected(daemon, facts["Id"]) as birth:
        yield birth


async def _served(
    daemon: Daemon, request: web.Request, container_id: str, wish: Wish, client: Streams, birth: Birth | None
) -> None:
    if query.flag(request, "logs"):
        await _past(daemon, container_id, wish, client)
    if birth is not None:
        await birth.follow(client, wish)
    elif query.flag(request, "stream"):
        await _running(daemon, container_id, wish, client)


async def _past(daemon: Daemon, container_id: str, wish: Wish, client: Streams) -> None:
    async with _log(daemon, {"ref": container_id}, wish) as lines:
        while piece := await lines.read(CHUNK):
            client[1].write(piece)
            await client[1].drain()


async def _running(daemon: Daemon, container_id: str, wish: Wish, client: Streams) -> None:
    shim = await Shim.of((await daemon.workers.call("connect", {"ref": container_id})).descriptors[0])
    try:
        await carry(shim, client, wish)
    finally:
        shim.close()


async def resize(daemon: Daemon, request: web.Request) -> web.Response:
    size = size_of(request)
    facts = await inspected(daemon, request.match_info["ref"])
    shim = await Shim.of((await daemon.workers.call("connect", {"ref": facts["Id"]})).descriptors[0])
    shim.send(wire.RESIZE, size)
    await shim.writer.drain()
    shim.close()
    rows, columns = (str(int.from_bytes(side, "big")) for side in (size[:2], size[2:]))
    tell(daemon, facts, "resize", {"height": rows, "width": columns})
    return web.Response()


def size_of(request: web.Request) -> bytes:
    """Rows and columns, as the shim's frame has them."""
    sides = [query.number(request, name, needed=True) or 0 for name in ("h", "w")]
    if any(not 0 <= side < 1 << 16 for side in sides):
        raise Refused(400, f"invalid size: {sides[0]} rows, {sides[1]} columns")
    return b"".join(side.to_bytes(2, "big") for side in sides)


async def logs(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    facts = await inspected(daemon, request.match_info["ref"])
    tty = facts["Config"]["Tty"]
    wish = Wish(tty, False, query.flag(request, "stdout"), query.flag(request, "stderr"), framed=not tty)
    if not (wish.stdout or wish.stderr):
        raise Refused(400, "Bad parameters: you must choose at least one stream")
    tail = request.query.get("tail", "all")
    arguments = {
        "ref": facts["Id"],
        "follow": query.flag(request, "follow"),
        "tail": int(tail) if tail.isdigit() else None,
        "since": query.moment(request, "since"),
        "until": query.moment(request, "until"),
        "timestamps": query.flag(request, "timestamps"),
        "details": query.flag(request, "details"),
    }
    async with _log(daemon, arguments, wish) as lines:
        kind = FRAMED if wish.framed and version(request) >= (1, 42) else RAW
        response = web.StreamResponse(headers={"Content-Type": kind})
        await prepared(request, response)
        while piece := await lines.read(CHUNK):
            await response.write(piece)
    return response


@contextlib.asynccontextmanager
async def _log(daemon: Daemon, arguments: dict[str, object], wish: Wish) -> AsyncIterator[asyncio.StreamReader]:
    streams = [number for number in (wire.STDOUT, wire.STDERR) if wish.wants(number)]
    async with flowing(daemon.workers, "logs", {**arguments, "streams": streams, "framed": wish.framed}) as (_, lines):
        yield lines


ROUTES: list[Route] = [
    ("POST", f"{CONTAINER}/attach", attach),
    ("GET", f"{CONTAINER}/attach/ws", attach_websocket),
    ("POST", f"{CONTAINER}/resize", resize),
    ("GET", f"{CONTAINER}/logs", logs),
]
