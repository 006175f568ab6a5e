"""The swarm's networks on this node: a bridge comes with the first task that needs it, and goes with the last."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from minidock.errors import Conflict
from minidock.swarm import networks
from minidock.swarm.objects import Body

if TYPE_CHECKING:
    from minidock.swarm.executor import Engine


class Wiring:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._users: dict[str, set[str]] = {}
        self._one = asyncio.Lock()

    async def lay(self, task: Body) -> None:
        """Raises Conflict when the name is a network of the node's own, MinidockError when the engine can't."""
        for wanted in networks.of_task(task):
            if not wanted.get("ID"):
                continue
            async with self._one:
                self._users.setdefault(wanted["Name"], set()).add(task["ID"])
                found = await self.engine.network(wanted["Name"])
                if found is None:
                    await self.engine.create_network(networks.request(wanted))
                elif (found.get("Labels") or {}).get(networks.LABEL) != wanted["ID"]:
                    raise Conflict(f"network {wanted['Name']} of this node is in the way of the swarm's")

    async def lift(self, task: Body) -> None:
        """What only this task has used, and is ours. Of a daemon that was restarted, the engine knows who else does."""
        for wanted in networks.of_task(task):
            if not wanted.get("ID"):
                continue
            async with self._one:
                users = self._users.get(wanted["Name"], set())
                users.discard(task["ID"])
                found = await self.engine.network(wanted["Name"])
                if users or found is None or (found.get("Labels") or {}).get(networks.LABEL) != wanted["ID"]:
                    continue
                if not found.get("Containers"):
                    await self.engine.remove_network(wanted["Name"])
