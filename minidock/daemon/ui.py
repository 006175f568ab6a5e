"""The page of `minidock ui`: what the kernel has of each container, live, in a browser on this machine.

    GET /TOKEN/        the page (ui_page.py), which needs nothing else from anywhere
    GET /TOKEN/state   everything it shows, as JSON; the page asks each second
    GET /TOKEN/file    what a fact's command would print: only of commands that the last state has named

It listens on the loopback address, and the token in its address is the key: other users of this machine, and pages that
the browser has open, don't know it. A request for another host name is refused too, so that no name of somebody else's
can be made to lead here (DNS rebinding). One thread: engine calls of a moment, in turn.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from minidock.daemon.ui_page import PAGE
from minidock.engine import Engine
from minidock.errors import MinidockError
from minidock.paths import Layout

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
MOST = 64 * 1024
"""Bytes of a file that are shown."""
BEFORE = 600.0
"""Seconds into the past for which events are shown."""
READS = re.compile(r"(?:cat|grep -E '[^']*'|grep \w+) (/(?:proc|sys)/\S+)$|readlink (/proc/\S+)$")


TITLES = ["PID", "inside", "user", "state", "command"]


def _processes(kernel: list[dict[str, Any]]) -> Iterator[list[str]]:
    """Those of the cgroup, out of /proc: `top` would be told as an event, each second."""
    facts = (fact for part in kernel if part["Title"] == "Cgroup" for fact in part["Facts"])
    pids = re.findall(r"\d+", next((fact["Value"] for fact in facts if fact["Name"] == "processes"), ""))
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        state = " ".join(status["State"][1:]).strip("()")
        yield [pid, status["NSpid"][-1], status["Uid"][1], state, command or f"[{' '.join(status['Name'])}]"]


class View:
    """What the page has been told: only files named there may be asked for."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.commands: set[str] = set()

    def state(self) -> dict[str, Any]:
        containers = [self._container(row.id) for row in self.engine.containers(all=True)]
        present = [one for one in containers if one]
        self.commands = {fact["Command"] for one in present for part in one["kernel"] for fact in part["Facts"]}
        now = time.time()
        events = [msgspec.to_builtins(event) for event in self.engine.events(since=now - BEFORE, until=now)]
        return {"containers": present, "networks": self._networks(), "events": events[-60:], "time": now}

    def _container(self, identifier: str) -> dict[str, Any]:
        """Empty for one that has gone since it was listed."""
        try:
            facts = self.engine.inspect(identifier)
        except MinidockError:
            return {}
        try:
            kernel = msgspec.to_builtins(self.engine.kernel_side(identifier))
        except MinidockError:  # it doesn't run, or no longer
            kernel = []
        data = (facts.get("GraphDriver") or {}).get("Data") or {}
        return {
            "id": identifier,
            "name": facts["Name"].lstrip("/"),
            "image": facts["Config"]["Image"],
            "state": facts["State"],
            "layers": [data.get("UpperDir", ""), *data.get("LowerDir", "").split(":")],
            "ports": facts["NetworkSettings"]["Ports"] or {},
            "kernel": kernel,
            "top": [TITLES, *_processes(kernel)] if kernel else [],
        }

    def _networks(self) -> list[dict[str, Any]]:
        found = []
        for network in self.engine.networks():
            bridge = (network.get("Options") or {}).get("com.docker.network.bridge.name", "")
            ports = Path(f"/sys/class/net/{bridge}/brif") if bridge else None
            plugged = sorted(os.listdir(ports)) if ports and ports.is_dir() else []
            inside = self.engine.inspect_network(network["Id"])["Containers"]
            ends = [[one["Name"], one["IPv4Address"]] for one in inside.values()]
            found.append({"name": network["Name"], "driver": network["Driver"], "bridge": bridge, "ports": plugged,
                          "ends": ends})  # fmt: skip
        return found

    def file(self, command: str) -> str:
        """The kernel's own file behind a fact. Raises PermissionError for what the page was never told."""
        found = READS.fullmatch(command) if command in self.commands else None
        if found is None:
            raise PermissionError(command)
        if found[2]:
            return str(os.readlink(found[2]))
        with open(found[1], "rb") as file:
            return file.read(MOST).decode(errors="replace")


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
            return web.Response(text=view.file(request.query.get("command", "")))
        except PermissionError:
            return web.Response(status=403, text="only what the page shows can be read here: type the command yourself")
        except OSError as error:
            return web.Response(status=410, text=f"{error.strerror}: the process has gone")

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
