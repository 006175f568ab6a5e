"""Secrets and configs of the swarm: the same routes twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json, nothing
from minidock.daemon.swarm_bodies import KeptSpec, given
from minidock.daemon.swarming import refusal
from minidock.daemon.workers import Refused
from minidock.errors import MinidockError

if TYPE_CHECKING:
    from minidock.swarm.kept import Sort


class Noun:
    """The handlers of one of the two."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def sort(self) -> Sort:
        from minidock.swarm import kept

        return kept.SECRET if self.name == "secret" else kept.CONFIG

    async def listed(self, daemon: Daemon, request: web.Request) -> web.Response:
        from minidock.swarm import kept

        found = await daemon.swarming.asked(kept.listed, self.sort, query.filters(request))
        return json(msgspec.json.encode(found))

    async def create(self, daemon: Daemon, request: web.Request) -> web.Response:
        from minidock.swarm import kept

        spec = await given(request, KeptSpec)
        try:
            kept.decoded(spec.get("Data") or "")  # what is no base64 is refused even where there is no swarm
        except MinidockError as error:
            raise refusal(error) from None
        made = await daemon.swarming.asked(kept.create, self.sort, spec)
        return json(msgspec.json.encode({"ID": made.id}), status=201)

    async def inspect(self, daemon: Daemon, request: web.Request) -> web.Response:
        from minidock.swarm import kept

        sort, ref = self.sort, request.match_info["ref"]
        found = await daemon.swarming.asked(lambda store: kept.shown(kept.find(store, sort, ref)))
        return json(msgspec.json.encode(found))

    async def remove(self, daemon: Daemon, request: web.Request) -> web.Response:
        from minidock.swarm import kept

        await daemon.swarming.asked(kept.remove, self.sort, request.match_info["ref"])
        return nothing()

    async def update(self, daemon: Daemon, request: web.Request) -> web.Response:
        from minidock.swarm import kept

        text = request.query.get("version", "")
        if not text.isascii() or not text.isdecimal():
            raise Refused(400, f"invalid {self.name} version")
        spec = await given(request, KeptSpec)
        await daemon.swarming.asked(kept.update, self.sort, request.match_info["ref"], int(text), spec)
        return web.Response()

    def routes(self) -> list[Route]:
        return [
            ("GET", f"/{self.name}s", self.listed),
            ("POST", f"/{self.name}s/create", self.create),
            ("GET", f"/{self.name}s/{{ref}}", self.inspect),
            ("DELETE", f"/{self.name}s/{{ref}}", self.remove),
            ("POST", f"/{self.name}s/{{ref}}/update", self.update),
        ]


ROUTES: list[Route] = [*Noun("secret").routes(), *Noun("config").routes()]
