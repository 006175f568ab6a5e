"""What isn't here, said so that clients understand: they ask some of it only to learn that it isn't.

Docker's own daemon answers 503 for all of a swarm's nouns while it is in none. `/session` and `/grpc` belong to
BuildKit; after a 404 clients build with POST /build. Plugins are none, so none of any name is found; to
install one is refused.
"""

from __future__ import annotations

from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import CONTAINER, Daemon, Handler, Route, json
from minidock.daemon.workers import Refused


def refused(status: int, message: str) -> Handler:
    async def handle(daemon: Daemon, request: web.Request) -> web.Response:
        raise Refused(status, message)

    return handle


async def no_such_plugin(daemon: Daemon, request: web.Request) -> web.Response:
    raise Refused(404, f'plugin "{request.match_info["name"]}" not found')


async def no_plugins_listed(daemon: Daemon, request: web.Request) -> web.Response:
    for name in query.filters(request):
        if name not in ("capability", "enabled"):
            raise Refused(400, f"invalid filter '{name}'")
    return json(b"[]")


no_plugins = refused(501, "minidock has no plugins: its drivers are built in")
no_checkpoints = refused(501, "minidock makes no checkpoints of containers")
no_buildkit = refused(
    404, "page not found: this daemon has no BuildKit; set DOCKER_BUILDKIT=0 to build with POST /build"
)

ROUTES: list[Route] = [
    ("POST", "/session", no_buildkit),
    ("POST", "/grpc", no_buildkit),
    ("GET", "/plugins", no_plugins_listed),
    ("GET", "/plugins/{name:.+}/json", no_such_plugin),
    *(("POST", f"/plugins/{{name:.+}}/{verb}", no_such_plugin)
      for verb in ("enable", "disable", "push", "set", "upgrade")),
    ("DELETE", "/plugins/{name:.+}", no_such_plugin),
    ("*", "/plugins/{rest:.*}", no_plugins),
    ("*", f"{CONTAINER}/checkpoints", no_checkpoints),
    ("*", f"{CONTAINER}/checkpoints/{{name}}", no_checkpoints),
]  # fmt: skip
