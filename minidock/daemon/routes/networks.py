"""Networks, and who is on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json, nothing
from minidock.daemon.workers import Refused


async def listed(daemon: Daemon, request: web.Request) -> web.Response:
    filters = query.filters(request)
    here = await daemon.workers.call("networks", {"filters": filters})
    if not daemon.swarming.manages:
        return json(here.body)
    from minidock.swarm import networks

    of_swarm = await daemon.swarming.asked(networks.all_shown)
    return json(msgspec.json.encode(networks.merged(msgspec.json.decode(here.body), _filtered(of_swarm, filters))))


def _filtered(found: list[dict[str, Any]], filters: dict[str, list[str]]) -> list[dict[str, Any]]:
    """As the engine filters its own."""
    tests: dict[str, Callable[[dict[str, Any], str], bool]] = {
        "driver": lambda network, value: value == "overlay",
        "id": lambda network, value: value in network["Id"],
        "name": lambda network, value: value in network["Name"],
        "scope": lambda network, value: value == "swarm",
        "type": lambda network, value: value == "custom",
        "dangling": lambda network, value: value.lower() in ("0", "false"),
        "label": lambda network, value: _labelled(network["Labels"] or {}, value),
    }
    return [
        network
        for network in found
        if all(
            (all if name == "label" else any)(tests[name](network, value) for value in values)
            for name, values in filters.items()
        )
    ]


def _labelled(labels: dict[str, str], wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


async def create(daemon: Daemon, request: web.Request) -> web.Response:
    """One that is to be the swarm's, is made by its managers; without a swarm the engine says what is missing."""
    body = await query.body(request, needed=True)
    if daemon.swarming.manages and (body.get("Driver") == "overlay" or body.get("Scope") == "swarm"):
        from minidock.swarm import networks

        made = await daemon.swarming.asked(networks.create, body)
        await daemon.swarming.asked(networks.allocated, made["Id"])
        return json(msgspec.json.encode(made), status=201)
    return json((await daemon.workers.call("create_network", {"body": body})).body, status=201)


async def inspect(daemon: Daemon, request: web.Request) -> web.Response:
    """The swarm's, with the containers on this node's part of it. `scope` looks among those of that kind only."""
    ref, scope = request.match_info["ref"], request.query.get("scope", "")
    if daemon.swarming.manages and scope in ("", "swarm"):
        from minidock.swarm import networks

        found = await daemon.swarming.asked(networks.inspected, ref)
        if found is not None:
            here = await _part_here(daemon, found)
            return json(msgspec.json.encode({**found, "Containers": here.get("Containers")}))
    body = (await daemon.workers.call("inspect_network", {"ref": ref})).body
    if scope and msgspec.json.decode(body)["Scope"] != scope:
        raise Refused(404, f"network {ref} not found")
    return json(body)


async def _part_here(daemon: Daemon, network: dict[str, Any]) -> dict[str, Any]:
    try:
        result = await daemon.workers.call("inspect_network", {"ref": network["Name"]})
    except Refused as refused:
        if refused.status == 404:
            return {}
        raise
    return msgspec.json.decode(result.body, type=dict[str, Any])


async def remove(daemon: Daemon, request: web.Request) -> web.Response:
    ref = request.match_info["ref"]
    if daemon.swarming.manages:
        from minidock.swarm import networks

        if await daemon.swarming.asked(networks.remove, ref) is not None:
            return nothing()
    await daemon.workers.call("remove_network", {"ref": ref})
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
