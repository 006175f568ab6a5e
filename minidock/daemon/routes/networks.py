"""Networks, and who is on them."""

from __future__ import annotations

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json, nothing
from minidock.daemon.workers import Refused


async def listed(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("networks", {"filters": query.filters(request)})).body)


async def create(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {"body": await query.body(request, needed=True)}
    return json((await daemon.workers.call("create_network", arguments)).body, status=201)


async def inspect(daemon: Daemon, request: web.Request) -> web.Response:
    """`scope` looks among the networks of that kind only."""
    ref, scope = request.match_info["ref"], request.query.get("scope", "")
    found = (await daemon.workers.call("inspect_network", {"ref": ref})).body
    if scope and msgspec.json.decode(found)["Scope"] != scope:
        raise Refused(404, f"network {ref} not found")
    return json(found)


async def remove(daemon: Daemon, request: web.Request) -> web.Response:
    await daemon.workers.call("remove_network", {"ref": request.match_info["ref"]})
    return nothing()


async def connect(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {"network": request.match_info["ref"], "body": await query.body(request, needed=True)}
    await daemon.workers.call("connect_network", arguments)
    return web.Response()


async def disconnect(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {"network": request.match_info["ref"], "body": await query.body(request, needed=True)}
    await daemon.workers.call("disconnect_network", arguments)
    return web.Response()


async def prune(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("prune_networks", {"filters": query.prune_filters(request)})).body)


ROUTES: list[Route] = [
    ("GET", "/networks", listed),
    ("POST", "/networks/create", create),
    ("POST", "/networks/prune", prune),
    ("GET", "/networks/{ref}", inspect),
    ("DELETE", "/networks/{ref}", remove),
    ("POST", "/networks/{ref}/connect", connect),
    ("POST", "/networks/{ref}/disconnect", disconnect),
]
