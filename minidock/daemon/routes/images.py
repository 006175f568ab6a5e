"""Images. Names have slashes and colons in them, so a route takes all up to its last word."""

from __future__ import annotations

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json


async def listed(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {"all": query.flag(request, "all"), "filters": query.filters(request)}
    return json((await daemon.workers.call("images", arguments)).body)


async def inspect(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("inspect_image", {"ref": request.match_info["name"]})).body)


async def tag(daemon: Daemon, request: web.Request) -> web.Response:
    repository, name = request.query.get("repo", ""), request.query.get("tag", "")
    target = f"{repository}:{name}" if name else repository
    await daemon.workers.call("tag", {"source": request.match_info["name"], "target": target})
    return web.Response(status=201)


async def remove(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {
        "ref": request.match_info["name"],
        "force": query.flag(request, "force"),
        "prune": not query.flag(request, "noprune"),
    }
    rows = msgspec.json.decode((await daemon.workers.call("remove_image", arguments)).body, type=list[tuple[str, str]])
    return json(msgspec.json.encode([{what: name} for what, name in rows]))


ROUTES: list[Route] = [
    ("GET", "/images/json", listed),
    ("GET", "/images/{name:.+}/json", inspect),
    ("POST", "/images/{name:.+}/tag", tag),
    ("DELETE", "/images/{name:.+}", remove),
]
