"""A new manager among the others: it asks them for a place in their etcd, starts its own, and gets a vote."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Sequence

import msgspec

from minidock.swarm import wire
from minidock.swarm.manager import Manager, Surroundings
from minidock.swarm.node import Keys, Node, running
from minidock.swarm.objects import Body

PATIENCE, PAUSE = 60.0, 0.2
NOT_YET = (409, 503)
"""Another manager is just joining, or the last one that did isn't yet known to be well."""


async def enlisted(around: Surroundings, node: Node) -> tuple[Manager, bytes | None]:
    """The manager, and the swarm's unlock key. Raises MinidockError, and then nothing of it is left here."""
    where, context = {"peer_url": node.peer_url}, wire.trusting(node.root_ca, running(around.layout))
    given = await _place(node.managers, where, context)
    assert node.keys is not None
    manager = Manager(around, msgspec.structs.replace(node, keys=Keys(node.keys.node, given["key"])))
    try:
        await manager.boot(given["members"], joins=True)
        await _vote(node.managers, where, context)
        await asyncio.to_thread(manager.etcd.wait)
    except BaseException:
        await manager.stop()
        await asyncio.to_thread(manager.etcd.destroy)
        raise
    return manager, base64.b64decode(given["unlock"]) if given["unlock"] else None


async def _place(managers: Sequence[str], where: Body, context: ssl.SSLContext) -> Body:
    """Members, and the keys that managers have. Raises Refusal, Unreachable."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        try:
            found: Body = await wire.ask_any(managers, "managers/add", where, context=context)
        except wire.Refusal as error:
            if error.status not in NOT_YET or loop.time() > deadline:
                raise
            await asyncio.sleep(PAUSE)
        else:
            return found


async def _vote(managers: Sequence[str], where: Body, context: ssl.SSLContext) -> None:
    """Until we have one. Raises Refusal, Unreachable."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not (await wire.ask_any(managers, "managers/vote", where, context=context))["done"]:
        if asyncio.get_running_loop().time() > deadline:
            raise wire.Unreachable("the other managers' etcd doesn't give this one a vote: it can't reach it")
        await asyncio.sleep(PAUSE)
