"""Services of the swarm, and their tasks. What is asked goes to the store, in a thread; managers only."""

from __future__ import annotations

import time

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json
from minidock.daemon.routes.registries import auth
from minidock.daemon.workers import Refused


async def listed(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import services

    filters = query.filters(request)
    found = await daemon.swarming.asked(services.listed, filters, status=query.flag(request, "status"))
    return json(msgspec.json.encode(found))


async def create(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import services

    body = await query.body(request)
    made = await daemon.swarming.asked(services.create, body, auth=auth(request), now=time.time())
    return json(msgspec.json.encode(made), status=201)


async def inspect(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import services

    ref, whole = request.match_info["ref"], query.flag(request, "insertDefaults")
    return json(msgspec.json.encode(await daemon.swarming.asked(services.inspected, ref, insert_defaults=whole)))


async def update(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import services

    text = request.query.get("version", "")
    if not text.isdecimal():
        raise Refused(400, f"invalid service version '{text}': strconv.ParseUint: parsing \"{text}\": invalid syntax")
    changed = await daemon.swarming.asked(
        services.update,
        request.match_info["ref"],
        await query.body(request),
        int(text),
        rollback=request.query.get("rollback", ""),
        auth=auth(request),
        auth_from=request.query.get("registryAuthFrom", ""),
        now=time.time(),
    )
    return json(msgspec.json.encode(changed))


async def remove(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import services

    await daemon.swarming.asked(services.remove, request.match_info["ref"])
    return web.Response()


async def tasks(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import tasks_shown

    found = await daemon.swarming.asked(tasks_shown.listed, query.filters(request))
    return json(msgspec.json.encode(found))


async def task(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import tasks_shown

    return json(msgspec.json.encode(await daemon.swarming.asked(tasks_shown.inspected, request.match_info["ref"])))


ROUTES: list[Route] = [
    ("GET", "/services", listed),
    ("POST", "/services/create", create),
    ("GET", "/services/{ref}", inspect),
    ("POST", "/services/{ref}/update", update),
    ("DELETE", "/services/{ref}", remove),
    ("GET", "/tasks", tasks),
    ("GET", "/tasks/{ref}", task),
]
