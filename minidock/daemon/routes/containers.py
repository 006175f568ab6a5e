"""Containers: their life, and how to look at them and wait for them. Their streams are in attached.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import CONTAINER, Daemon, Route, json, nothing, version
from minidock.daemon.streams import prepared
from minidock.daemon.workers import Refused
from minidock.engine import events
from minidock.model.events import Event

# A life


async def create(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {
        "body": await query.body(request, needed=True),
        "name": request.query.get("name", ""),
        "platform": request.query.get("platform", ""),
        "version": version(request),
    }
    return json((await daemon.workers.call("create", arguments)).body, status=201)


LARGEST_NOTHING = 7
"""Bytes of a body in which nothing is asked for (`null`, `{}`, a line's end), as dockerd counts."""


async def start(daemon: Daemon, request: web.Request) -> web.Response:
    """Whoever has attached to it beforehand is given the shim's first connection, and misses nothing."""
    ref = request.match_info["ref"]
    if request.body_exists and (request.content_length is None or request.content_length > LARGEST_NOTHING):
        told = "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        raise Refused(400, told)
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
        "link": query.flag(request, "link"),
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


def tell(daemon: Daemon, facts: dict[str, Any], action: str, more: Mapping[str, str] | None = None) -> None:
    """What a client does by itself, and no verb tells: an event of the container with these `facts`."""
    config = facts["Config"]
    attributes = {**(config["Labels"] or {}), "image": config["Image"], "name": facts["Name"].removeprefix("/")}
    events.emit(daemon.layout, "container", action, facts["Id"], {**attributes, **(more or {})})


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


ROUTES: list[Route] = [
    ("POST", "/containers/create", create),
    ("GET", "/containers/json", listed),
    ("GET", f"{CONTAINER}/json", inspect),
    ("POST", f"{CONTAINER}/start", start),
    ("POST", f"{CONTAINER}/stop", stop),
    ("POST", f"{CONTAINER}/kill", kill),
    ("POST", f"{CONTAINER}/wait", wait),
    ("DELETE", CONTAINER, remove),
]
