"""Services of the swarm, and their tasks. What is asked goes to the store, in a thread; managers only."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json
from minidock.daemon.routes.registries import auth
from minidock.daemon.workers import Refused

LABEL = "com.docker.swarm.network.id"
"""Of bridges that are a part of the swarm's networks (swarm/networks.py)."""


async def listed(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import services

    filters = query.filters(request)
    found = await daemon.swarming.asked(services.listed, filters, status=query.flag(request, "status"))
    return json(msgspec.json.encode(found))


async def _asked_for(daemon: Daemon, request: web.Request) -> dict[str, Any]:
    """The body. A network of the node's own is meant by its name: ids differ between nodes. Raises Refused."""
    body = await query.body(request)
    daemon.swarming.manager()
    for place in (body, body.get("TaskTemplate") or {}):
        for each in place.get("Networks") or [] if isinstance(place, dict) else []:
            try:
                found: Any = (await daemon.workers.call("inspect_network", {"ref": each["Target"]})).value()
            except Refused as refused:
                if refused.status != 404:
                    raise
                continue
            if found["Name"] == "host":
                each["Target"] = "host"
            elif LABEL not in (found["Labels"] or {}):
                raise Refused(
                    403,
                    f"The network {each['Target']} cannot be used with services. Only networks scoped to the swarm can "
                    "be used, such as those created with the overlay driver.",
                )
    return body


async def create(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import services

    body = await _asked_for(daemon, request)
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
        await _asked_for(daemon, request),
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
