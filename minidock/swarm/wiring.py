"""The swarm's networks on this node: a bridge comes with the first task that needs it, and goes with the last.

Who else is on them is the managers' to say (landscape.py). What they say is passed on to the engine as it comes; of
several words about a network that come while one is being heeded, only the last counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from minidock.errors import Conflict, MinidockError
from minidock.swarm import networks
from minidock.swarm.objects import Body

if TYPE_CHECKING:
    from minidock.swarm.executor import Engine
    from minidock.swarm.ingress import Ingress

log = logging.getLogger("minidock.swarm")
PATIENCE = 15.0
"""Seconds that a task waits for the managers' word about its network."""


class Wiring:
    """All methods are the loop's."""

    def __init__(self, engine: Engine, ingress: Ingress) -> None:
        self.engine = engine
        self.ingress = ingress
        self._users: dict[str, set[str]] = {}
        self._one = asyncio.Lock()
        self._landscape: dict[str, Body] = {}
        self._news = asyncio.Condition()
        self._stale = asyncio.Event()
        self._mesh: tuple[str, str] | None = None
        self._work: asyncio.Task[None] | None = None

    def learn(self, landscape: dict[str, Body]) -> None:
        """All that the managers say of the networks that this node is on."""
        self._landscape = landscape
        if landscape or self._work is not None:
            self.look()

    def look(self) -> None:
        """Pass it on, to containers too that have come since the last time."""
        self._stale.set()
        if self._work is None:
            self._work = asyncio.create_task(self._follow())

    async def close(self) -> None:
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work

    async def _follow(self) -> None:
        while True:
            await self._stale.wait()
            self._stale.clear()
            async with self._news:
                self._news.notify_all()
            for id, said in list(self._landscape.items()):
                try:
                    async with self._one:
                        await self._heed(id, said)
                except MinidockError as error:
                    log.warning("the swarm's network %s: %s", said["Name"], error.message)
            try:
                await self._publish()
            except MinidockError as error:
                log.warning("the swarm's ports: %s", error.message)

    async def _heed(self, id: str, said: Body) -> None:
        """One network. That of the mesh is here whether a task is or not."""
        if await self._here(id, said["Name"]) is None:
            if not said.get("Ingress"):
                return
            await self.engine.create_network(networks.request(said, said["Gateway"]))
        await self.engine.arrange_network(said["Name"], said)

    async def _publish(self) -> None:
        """The mesh's ports; when nobody publishes any, its network goes."""
        said = next((each for each in self._landscape.values() if each.get("Ingress")), None)
        await self.ingress.learn({
            (port.get("Protocol") or "tcp", port["PublishedPort"]): {
                task: (address, port["TargetPort"]) for task, address in port["Tasks"].items()
            }
            for port in (said or {"Ports": []})["Ports"]
        })  # fmt: skip
        if said is None and self._mesh is not None:
            async with self._one:
                await self._remove(*self._mesh)
        self._mesh = (said["ID"], said["Name"]) if said is not None else None

    async def lay(self, task: Body) -> None:
        """Raises Conflict when the name is a network of the node's own, MinidockError when the engine can't."""
        for wanted in networks.of_task(task):
            if not wanted.get("ID"):
                continue
            said = await self._said(wanted) if wanted.get("Address") else {}
            async with self._one:
                self._users.setdefault(wanted["Name"], set()).add(task["ID"])
                if await self._here(wanted["ID"], wanted["Name"]) is None:
                    await self.engine.create_network(networks.request(wanted, said.get("Gateway", "")))
                if said:
                    await self.engine.arrange_network(wanted["Name"], said)

    async def _said(self, wanted: Body) -> Body:
        """What the managers say of the network, once they know that the task's address is this node's."""

        def known() -> bool:
            return wanted["Address"].partition("/")[0] in self._landscape.get(wanted["ID"], {}).get("Here", [])

        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(known)
        except TimeoutError:
            raise MinidockError(f"the swarm's managers have said nothing of network {wanted['Name']}") from None
        return self._landscape[wanted["ID"]]

    async def _here(self, id: str, name: str) -> Body | None:
        """The node's part of it, if it is there. Raises Conflict."""
        found = await self.engine.network(name)
        if found is not None and (found.get("Labels") or {}).get(networks.LABEL) != id:
            raise Conflict(f"network {name} of this node is in the way of the swarm's")
        return found

    async def lift(self, task: Body) -> None:
        """What only this task has used, and is ours. Of a daemon that was restarted, the engine knows who else does."""
        for wanted in networks.of_task(task):
            if not wanted.get("ID"):
                continue
            async with self._one:
                self._users.get(wanted["Name"], set()).discard(task["ID"])
                await self._remove(wanted["ID"], wanted["Name"])

    async def sweep(self) -> None:
        """What nobody uses: networks of tasks that were taken away while the daemon was."""
        async with self._one:
            for id, name in (await self.engine.swarm_networks()).items():
                if id not in self._landscape:
                    await self._remove(id, name)

    async def _remove(self, id: str, name: str) -> None:
        if self._landscape.get(id, {}).get("Ingress"):
            return  # the node itself is on it
        found = await self.engine.network(name)
        if found is None or (found.get("Labels") or {}).get(networks.LABEL) != id:
            return
        if not self._users.get(name) and not found.get("Containers"):
            await self.engine.remove_network(name)
