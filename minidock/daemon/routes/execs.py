"""exec: made, then started, then asked how it went."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import CONTAINER, Daemon, Route, json, version
from minidock.daemon.bridge import Shim, Wish, carry
from minidock.daemon.hijack import FRAMED, RAW, Streams, taken_over
from minidock.daemon.routes.attached import size_of
from minidock.daemon.routes.containers import inspected, tell
from minidock.daemon.workers import Refused
from minidock.engine import wire

_running: dict[str, Shim] = {}
"""By id, while its client is connected: `resize` uses that connection."""


class StartBody(msgspec.Struct, frozen=True, rename="pascal"):
    """Body of POST /exec/ID/start; `console_size` is rows and columns."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None


async def create(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {"ref": request.match_info["ref"], "body": await query.body(request, needed=True)}
    return json((await daemon.workers.call("exec_create", arguments)).body, status=201)


async def start(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    """With `Detach` answered at once; else the connection becomes the command's streams."""
    try:
        body = msgspec.convert(await query.body(request), StartBody)
    except msgspec.ValidationError as error:
        raise Refused(400, f"invalid JSON: {error}") from None
    identity = request.match_info["id"]
    facts = msgspec.json.decode((await daemon.workers.call("exec_ready", {"id": identity})).body)
    arguments = {"id": identity, "detach": body.detach, "size": body.console_size or (0, 0)}
    if arguments["detach"]:
        await daemon.workers.call("exec_start", arguments)
        return web.Response()
    tty = facts["ProcessConfig"]["tty"]
    keys = wire.parse_detach_keys(facts["DetachKeys"])
    framed = not body.tty  # it is this answer's shape, whatever the command has
    left = asyncio.Event()
    wish = Wish(tty, facts["OpenStdin"], facts["OpenStdout"] or tty, facts["OpenStderr"], keys, framed, left.set)
    kind = FRAMED if framed and version(request) >= (1, 42) else RAW
    async with taken_over(request, kind) as client:
        await _served(daemon, facts, arguments, client, wish)
        if left.is_set():
            container = await inspected(daemon, facts["ContainerID"])
            tell(daemon, container, "exec_detach", {"execID": identity})
    return web.Response()


async def _served(
    daemon: Daemon, facts: dict[str, Any], arguments: dict[str, object], client: Streams, wish: Wish
) -> None:
    """Start it, and carry its streams until it ends or the client leaves. What can't be started says so to it."""
    try:
        shim = await Shim.of((await daemon.workers.call("exec_start", arguments)).descriptors[0])
    except Refused as refused:
        text = f"{refused.message}\r\n".encode()
        client[1].write(wire.frame(wire.STDOUT, text) if wish.framed else text)
        return
    _running[facts["ID"]] = shim
    try:
        if await carry(shim, client, wish):
            ended = {"container_id": facts["ContainerID"], "exec_id": facts["ID"]}
            await asyncio.shield(daemon.workers.call("cleanup", ended))
        else:
            shim.send(wire.OWNER, b"\0")
            await shim.writer.drain()
    finally:
        del _running[facts["ID"]]
        shim.close()


async def resize(daemon: Daemon, request: web.Request) -> web.Response:
    """Of one that runs without a client nothing is told: it has no terminal that somebody looks at."""
    size, shim = size_of(request), _running.get(request.match_info["id"])
    if shim is not None:
        shim.send(wire.RESIZE, size)
        await asyncio.sleep(0)
        return web.Response()
    facts = msgspec.json.decode((await daemon.workers.call("exec_inspect", {"id": request.match_info["id"]})).body)
    if not facts["Running"]:
        raise Refused(409, f"Exec {request.match_info['id']} is not running")
    return web.Response()


async def inspect(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("exec_inspect", {"id": request.match_info["id"]})).body)


ROUTES: list[Route] = [
    ("POST", f"{CONTAINER}/exec", create),
    ("POST", "/exec/{id}/start", start),
    ("POST", "/exec/{id}/resize", resize),
    ("GET", "/exec/{id}/json", inspect),
]
