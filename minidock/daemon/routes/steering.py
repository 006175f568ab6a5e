"""Containers that are there: hold them up, change them, watch what they use, and clear away what has ended."""

from __future__ import annotations

import shlex

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import CONTAINER, Daemon, Route, json, nothing, version
from minidock.daemon.streams import relayed
from minidock.daemon.workers import Refused


async def restart(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {"timeout": query.number(request, "t"), "signal": request.query.get("signal", "")}
    await daemon.workers.call("restart", {"ref": request.match_info["ref"], **arguments})
    return nothing()


async def pause(daemon: Daemon, request: web.Request) -> web.Response:
    await daemon.workers.call("pause", {"ref": request.match_info["ref"]})
    return nothing()


async def unpause(daemon: Daemon, request: web.Request) -> web.Response:
    await daemon.workers.call("unpause", {"ref": request.match_info["ref"]})
    return nothing()


async def rename(daemon: Daemon, request: web.Request) -> web.Response:
    name = request.query.get("name", "")
    if not name:
        raise Refused(400, "Neither old nor new names may be empty")
    await daemon.workers.call("rename", {"ref": request.match_info["ref"], "name": name})
    return nothing()


async def update(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {"ref": request.match_info["ref"], "body": await query.body(request, needed=True)}
    return json((await daemon.workers.call("update", arguments)).body)


async def top(daemon: Daemon, request: web.Request) -> web.Response:
    try:
        options = shlex.split(request.query.get("ps_args", "") or "-ef")
    except ValueError as error:
        raise Refused(400, f"invalid ps_args: {error}") from None
    result = await daemon.workers.call("top", {"ref": request.match_info["ref"], "options": options})
    titles, rows = msgspec.json.decode(result.body, type=tuple[list[str], list[list[str]]])
    return json(msgspec.json.encode({"Titles": titles, "Processes": rows}))


async def stats(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    """One object each second. With `one-shot`, which has a meaning since 1.41, the first has nothing before it."""
    stream = query.flag(request, "stream", default=True)
    one_shot = query.flag(request, "one-shot") and version(request) >= (1, 41)
    if stream and one_shot:
        raise Refused(400, "cannot have stream=true and one-shot=true")
    arguments = {"ref": request.match_info["ref"], "stream": stream, "one_shot": one_shot}
    return await relayed(daemon, request, "stats", arguments)


async def prune(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("prune_containers", {"filters": query.prune_filters(request)})).body)


ROUTES: list[Route] = [
    ("POST", "/containers/prune", prune),
    ("POST", f"{CONTAINER}/restart", restart),
    ("POST", f"{CONTAINER}/pause", pause),
    ("POST", f"{CONTAINER}/unpause", unpause),
    ("POST", f"{CONTAINER}/rename", rename),
    ("POST", f"{CONTAINER}/update", update),
    ("GET", f"{CONTAINER}/top", top),
    ("GET", f"{CONTAINER}/stats", stats),
]
