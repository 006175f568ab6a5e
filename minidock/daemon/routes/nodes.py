"""Nodes of the swarm."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json
from minidock.daemon.routes.swarm import index
from minidock.daemon.swarm_bodies import NodeSpec, given


async def listed(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import nodes

    found = await daemon.swarming.asked(nodes.listed, query.filters(request))
    return json(msgspec.json.encode(await _led(daemon, found)))


async def inspect(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import nodes

    ref = request.match_info["ref"]
    found = await daemon.swarming.asked(lambda store: nodes.shown(nodes.find(store, ref)))
    return json(msgspec.json.encode((await _led(daemon, [found]))[0]))


async def _led(daemon: Daemon, shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Which of them leads is etcd's to know, and no part of what is kept of a node."""
    from minidock.swarm.leader import ruler

    found = await daemon.swarming.asked(ruler)
    return [{**node, **_manager(node, found is not None and node["ID"] == found.id)} for node in shown]


def _manager(node: dict[str, Any], leads: bool) -> dict[str, Any]:
    status = node.get("ManagerStatus")
    return {"ManagerStatus": {**({"Leader": True} if leads else {}), **status}} if status else {}


async def update(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import nodes

    version, wanted = index(request, "node"), await given(request, NodeSpec)
    await daemon.swarming.asked(nodes.update, request.match_info["ref"], version, wanted)
    return web.Response()


async def remove(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import nodes

    await daemon.swarming.asked(nodes.remove, request.match_info["ref"], force=query.flag(request, "force"))
    return web.Response()


ROUTES: list[Route] = [
    ("GET", "/nodes", listed),
    ("GET", "/nodes/{ref}", inspect),
    ("DELETE", "/nodes/{ref}", remove),
    ("POST", "/nodes/{ref}/update", update),
]
