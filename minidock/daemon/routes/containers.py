"""Containers: their life, their streams, and how to wait for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json, nothing, version
from minidock.daemon.births import expected
from minidock.daemon.bridge import Shim, Wish, carry
from minidock.daemon.hijack import FRAMED, RAW, taken_over
from minidock.daemon.streams import flowing, prepared
from minidock.daemon.workers import CHUNK, Refused
from minidock.engine import wire
from minidock.model import Event

# A life


async def create(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {
        "body": await query.body(request),
        "name": request.query.get("name", ""),
        "platform": request.query.get("platform", ""),
    }
    return json((await daemon.workers.call("create", arguments)).body, status=201)


async def start(daemon: Daemon, request: web.Request) -> web.Response:
    """Whoever has attached to it beforehand is given the shim's first connection, and misses nothing."""
    ref = request.match_info["ref"]
    container_id = await identity(daemon, ref) if daemon.starting else ""
    waiting = daemon.starting.pop(container_id, None)
    try:
        result = await daemon.workers.call("start", {"ref": ref, "held": waiting is not None})
    except Refused:
        if waiting is not None:
            waiting.give_up()
        raise
    if result.value() is not True:
        if waiting is not None:
            waiting.give_up()
        return web.Response(status=304)
    if waiting is not None:
        waiting.begin(daemon, container_id, result.descriptors[0])
    return nothing()


async def stop(daemon: Daemon, request: web.Request) -> web.Response:
    facts = await inspected(daemon, request.match_info["ref"])
    if not facts["State"]["Running"]:
        return web.Response(status=304)
    arguments = {"ref": facts["Id"], "timeout": query.number(request, "t"), "signal": request.query.get("signal", "")}
    await daemon.workers.call("stop", arguments)
    return nothing()


async def kill(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {"ref": request.match_info["ref"], "signal": request.query.get("signal", "") or "KILL"}
    await daemon.workers.call("kill", arguments)
    return nothing()


async def remove(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {
        "ref": request.match_info["ref"],
        "force": query.flag(request, "force"),
        "volumes": query.flag(request, "v"),
    }
    await daemon.workers.call("remove", arguments)
    return nothing()


# Looking


async def listed(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {
        "all": query.flag(request, "all"),
        "last": query.number(request, "limit", 0),
        "size": query.flag(request, "size"),
        "filters": query.filters(request),
    }
    return json((await daemon.workers.call("containers", arguments)).body)


async def inspect(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("inspect", {"ref": request.match_info["ref"]})).body)


async def inspected(daemon: Daemon, ref: str) -> dict[str, Any]:
    return msgspec.json.decode((await daemon.workers.call("inspect", {"ref": ref})).body, type=dict[str, Any])


async def identity(daemon: Daemon, ref: str) -> str:
    """The id that a name or a prefix means."""
    return str((await inspected(daemon, ref))["Id"])


# Waiting


async def wait(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    """The header goes out at once: `docker run` starts the container only when it has it."""
    condition = request.query.get("condition", "") or "not-running"
    if condition not in ("not-running", "next-exit", "removed"):
        raise Refused(400, f'invalid condition: "{condition}"')
    with daemon.happenings.watched() as events:
        facts = await inspected(daemon, request.match_info["ref"])
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await prepared(request, response)
        if condition == "not-running" and not facts["State"]["Running"]:
            code = facts["State"]["ExitCode"]
        else:
            code = await _ended(events, facts["Id"], facts["State"]["ExitCode"], removed=condition == "removed")
    await response.write(msgspec.json.encode({"StatusCode": code}) + b"\n")
    return response


async def _ended(events: AsyncIterator[Event], container_id: str, code: int, *, removed: bool) -> int:
    async for event in events:
        if event.type != "container" or event.actor.id != container_id:
            continue
        if event.action == "die":
            code = int(event.actor.attributes["exitCode"])
        if event.action == "destroy" or (event.action == "die" and not removed):
            return code
    return code


# Streams


async def attach(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    facts = await inspected(daemon, request.match_info["ref"])
    tty, running = facts["Config"]["Tty"], facts["State"]["Running"]
    wish = Wish(
        tty=tty,
        stdin=query.flag(request, "stdin") and facts["Config"]["OpenStdin"],
        stdout=query.flag(request, "stdout"),
        stderr=query.flag(request, "stderr"),
        keys=wire.parse_detach_keys(request.query.get("detachKeys", "")),
        framed=not tty,
    )
    if facts["State"]["Paused"]:
        raise Refused(409, f"container {facts['Id']} is paused, unpause the container before attach")
    past, stream = query.flag(request, "logs"), query.flag(request, "stream")
    kind = FRAMED if not tty and version(request) >= (1, 42) else RAW
    async with contextlib.AsyncExitStack() as stack:
        # Before the answer begins: once they have it, clients start the container.
        birth = stack.enter_context(expected(daemon, facts["Id"])) if stream and not running else None
        client = await stack.enter_async_context(taken_over(request, kind))
        if past:
            await _past(daemon, facts["Id"], wish, client[1])
        if birth is not None:
            await birth.follow(client, wish)
        elif stream:
            await _running(daemon, facts["Id"], wish, client)
    return web.Response()


async def _past(daemon: Daemon, container_id: str, wish: Wish, writer: asyncio.StreamWriter) -> None:
    async with _log(daemon, {"ref": container_id}, wish) as lines:
        while piece := await lines.read(CHUNK):
            writer.write(piece)
            await writer.drain()


async def _running(daemon: Daemon, container_id: str, wish: Wish, client: tuple[Any, Any]) -> None:
    shim = await Shim.of((await daemon.workers.call("connect", {"ref": container_id})).descriptors[0])
    try:
        await carry(shim, client, wish)
    finally:
        shim.close()


async def resize(daemon: Daemon, request: web.Request) -> web.Response:
    shim = await Shim.of((await daemon.workers.call("connect", {"ref": request.match_info["ref"]})).descriptors[0])
    shim.send(wire.RESIZE, size_of(request))
    await shim.writer.drain()
    shim.close()
    return web.Response()


def size_of(request: web.Request) -> bytes:
    """Rows and columns, as the shim's frame has them."""
    sides = [query.number(request, name, 0) or 0 for name in ("h", "w")]
    if any(not 0 <= side < 1 << 16 for side in sides):
        raise Refused(400, f"invalid size: {sides[0]} rows, {sides[1]} columns")
    return b"".join(side.to_bytes(2, "big") for side in sides)


async def logs(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    facts = await inspected(daemon, request.match_info["ref"])
    wish = Wish(facts["Config"]["Tty"], False, query.flag(request, "stdout"), query.flag(request, "stderr"))
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
        kind = FRAMED if not wish.tty and version(request) >= (1, 42) else RAW
        response = web.StreamResponse(headers={"Content-Type": kind})
        await prepared(request, response)
        while piece := await lines.read(CHUNK):
            await response.write(piece)
    return response


@contextlib.asynccontextmanager
async def _log(daemon: Daemon, arguments: dict[str, object], wish: Wish) -> AsyncIterator[asyncio.StreamReader]:
    streams = [number for number in (wire.STDOUT, wire.STDERR) if wish.wants(number)]
    async with flowing(daemon, "logs", {**arguments, "streams": streams, "framed": not wish.tty}) as (_, lines):
        yield lines


ROUTES: list[Route] = [
    ("POST", "/containers/create", create),
    ("GET", "/containers/json", listed),
    ("GET", "/containers/{ref}/json", inspect),
    ("GET", "/containers/{ref}/logs", logs),
    ("POST", "/containers/{ref}/start", start),
    ("POST", "/containers/{ref}/stop", stop),
    ("POST", "/containers/{ref}/kill", kill),
    ("POST", "/containers/{ref}/wait", wait),
    ("POST", "/containers/{ref}/attach", attach),
    ("POST", "/containers/{ref}/resize", resize),
    ("DELETE", "/containers/{ref}", remove),
]
