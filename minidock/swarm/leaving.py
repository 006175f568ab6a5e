"""Leaving a swarm: what to warn a manager of, and what to tell the others."""

from __future__ import annotations

import asyncio
import contextlib
import time

from minidock.errors import MinidockError
from minidock.swarm import nodes
from minidock.swarm.admission import drop_member
from minidock.swarm.agent import Agent
from minidock.swarm.manager import Manager
from minidock.swarm.node import Node
from minidock.swarm.objects import Stored
from minidock.swarm.refusals import LAST, LEAVING, QUORUM

PATIENCE = 10.0
"""Seconds that a manager that leaves tries to reach the others."""


async def warning(node: Node, manager: Manager | None) -> str:
    """What a manager is told that leaves without force."""
    if manager is None:
        return f"{LEAVING}Doing so may lose the consensus of your cluster. {QUORUM}"
    others = await asyncio.to_thread(_others, node, manager)
    if not others:
        return LEAVING + LAST
    reachable = sum(other.body["ManagerStatus"]["Reachability"] == "reachable" for other in others) + 1
    total = len(others) + 1
    if reachable - 1 > total // 2:
        return LEAVING + QUORUM
    left = f"Removing this node leaves {reachable - 1} managers out of {total}. "
    return f"{LEAVING}{left}Without a Raft quorum your swarm will be inaccessible. {QUORUM}"


def _others(node: Node, manager: Manager) -> list[Stored]:
    return [other for other in nodes.managers(manager.store) if other.id != node.id and other.body.get("ManagerStatus")]


async def part(node: Node, manager: Manager | None, agent: Agent | None) -> None:
    """As good as it goes: who is cut off leaves, too. Of a manager the others' etcd counts no vote any more."""
    if agent is not None:
        with contextlib.suppress(MinidockError):
            await agent.leave()
    if manager is not None:
        with contextlib.suppress(MinidockError):
            await asyncio.to_thread(manager.etcd.wait, PATIENCE)  # it may be starting just now
            if len(await asyncio.to_thread(_others, node, manager)):
                manager.leadership.resign()
                await _dropped(node, manager)


async def _dropped(node: Node, manager: Manager) -> None:
    """etcd lets no member go until it has seen the others well for five seconds: it might be the last but one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await asyncio.to_thread(drop_member, manager.etcd.client, [node.id])
        except MinidockError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)
