"""Images as they lie here. Names have slashes and colons in them, so a route takes all up to its last word."""

from __future__ import annotations

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json
from minidock.daemon.streams import relayed

TAR = "application/x-tar"


async def listed(daemon: Daemon, request: web.Request) -> web.Response:
    """`filter` is how clients before 1.25 asked for a name."""
    filters = query.filters(request)
    if name := request.query.get("filter", ""):
        filters["reference"] = [name]
    arguments = {"all": query.flag(request, "all"), "filters": filters}
    return json((await daemon.workers.call("images", arguments)).body)


async def inspect(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("inspect_image", {"ref": request.match_info["name"]})).body)


async def history(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("history", {"ref": request.match_info["name"]})).body)


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


async def prune(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("prune_images", {"filters": query.prune_filters(request)})).body)


# As archives


async def save(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    names = [name for given in request.query.getall("names", []) for name in given.split(",") if name]
    return await relayed(daemon, request, "save", {"names": names}, kind=TAR)


async def save_one(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    return await relayed(daemon, request, "save", {"names": [request.match_info["name"]]}, kind=TAR)


async def load(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    return await relayed(daemon, request, "load", {"platform": request.query.get("platform", "")}, sends=True)


ROUTES: list[Route] = [
    ("GET", "/images/json", listed),
    ("GET", "/images/get", save),
    ("POST", "/images/load", load),
    ("POST", "/images/prune", prune),
    ("GET", "/images/{name:.+}/json", inspect),
    ("GET", "/images/{name:.+}/history", history),
    ("GET", "/images/{name:.+}/get", save_one),
    ("POST", "/images/{name:.+}/tag", tag),
    ("DELETE", "/images/{name:.+}", remove),
]
