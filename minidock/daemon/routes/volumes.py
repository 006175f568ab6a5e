"""Volumes."""

from __future__ import annotations

from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json, nothing, version


async def listed(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("volumes", {"filters": query.filters(request)})).body)


async def create(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {"body": await query.body(request, needed=True)}
    return json((await daemon.workers.call("create_volume", arguments)).body, status=201)


async def inspect(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("inspect_volume", {"name": request.match_info["name"]})).body)


async def remove(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {"name": request.match_info["name"], "force": query.flag(request, "force")}
    await daemon.workers.call("remove_volume", arguments)
    return nothing()


async def prune(daemon: Daemon, request: web.Request) -> web.Response:
    """Before 1.42 those with a name went, too."""
    filters = query.prune_filters(request)
    if version(request) < (1, 42):
        filters = {**filters, "all": ["1"]}
    return json((await daemon.workers.call("prune_volumes", {"filters": filters})).body)


ROUTES: list[Route] = [
    ("GET", "/volumes", listed),
    ("POST", "/volumes/create", create),
    ("POST", "/volumes/prune", prune),
    ("GET", "/volumes/{name}", inspect),
    ("DELETE", "/volumes/{name}", remove),
]
