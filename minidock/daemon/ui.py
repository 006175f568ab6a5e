"""The page of `minidock ui`: what the kernel has of each container, live, in a browser on this machine.

    GET /TOKEN/        the page (ui_page.py), which needs nothing else from anywhere
    GET /TOKEN/state   everything it shows (ui_view.py), as JSON; the page asks each second
    GET /TOKEN/file    what a fact's command prints: only of commands that the last state has named

It listens on the loopback address, and the token in its address is the key: other users of this machine, and pages that
the browser has open, don't know it. A request for another host name is refused too, so that no name of somebody else's
can be made to lead here (DNS rebinding). One thread: engine calls of a moment, in turn.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from minidock.daemon.ui_page import PAGE
from minidock.daemon.ui_view import View
from minidock.engine import Engine
from minidock.paths import Layout

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}


def application(layout: Layout, token: str) -> web.Application:
    view = View(Engine(layout))

    def guarded(answer: Callable[[web.Request], web.Response]) -> Callable[[web.Request], Any]:
        async def handler(request: web.Request) -> web.Response:
            name = request.host.rpartition(":")[0] or request.host
            known = hmac.compare_digest(request.match_info["token"].encode(), token.encode())
            if not known or name not in ("127.0.0.1", "localhost"):
                return web.Response(status=404, headers=HEADERS)
            response = answer(request)
            response.headers.update(HEADERS)
            return response

        return handler

    def state(_: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(view.state()), content_type="application/json")

    def file(request: web.Request) -> web.Response:
        try:
            return web.Response(text=view.look(request.query.get("command", "")))
        except PermissionError:
            return web.Response(status=403, text="only what the page shows now can be read here: it may have gone")

    app = web.Application()
    app.router.add_get("/{token}/", guarded(lambda _: web.Response(text=PAGE, content_type="text/html")))
    app.router.add_get("/{token}/state", guarded(state))
    app.router.add_get("/{token}/file", guarded(file))
    return app


def serve(layout: Layout, port: int, say: Callable[[str], None]) -> None:
    """Until SIGINT or SIGTERM. Raises OSError for a port that is taken."""
    token = secrets.token_urlsafe(24)
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(16)
    say(f"http://127.0.0.1:{listening.getsockname()[1]}/{token}/")
    web.run_app(application(layout, token), sock=listening, print=None, access_log=None)
