"""What this machine is in a swarm, from init or join until leave: the verbs of `/swarm`, and the daemon's start.

The order of things makes a crash harmless: node.json is written when all that it promises is there (init, join), and
goes first when it is taken back (leave). A daemon that starts and finds it goes on as what it says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import msgspec

from minidock.errors import Conflict, MinidockError, UsageError
from minidock.swarm import addresses, beginning, ca, cluster, enlisting, leaving, nodes, sealing
from minidock.swarm import node as own
from minidock.swarm.agent import Agent, Executor
from minidock.swarm.etcd_server import EtcdServer
from minidock.swarm.manager import Manager, Surroundings, restarted
from minidock.swarm.node import Node
from minidock.swarm.objects import Body
from minidock.swarm.refusals import (
    ALREADY,
    LOCKED,
    NO_MANAGER,
    NO_MEMBER,
    STARTING,
    WORKER,
    NotAvailable,
)

log = logging.getLogger("minidock.swarm")
MEETING = 10.0
"""Seconds that init and join wait for the first session with the leader."""


class Membership:
    """One daemon's. `describe` and the executor are the daemon's way to its engine."""

    def __init__(
        self, around: Surroundings, executor: Callable[[], Executor], describe: Callable[[], Awaitable[Body]]
    ) -> None:
        self.around = around
        self.layout = around.layout
        self.node: Node | None = None
        self.manager: Manager | None = None
        self.agent: Agent | None = None
        self.error = ""
        self._executor = executor
        self._describe_engine = describe
        self._one = asyncio.Lock()
        """One verb at a time."""
        self._unlock: bytes | None = None
        self._changing: asyncio.Task[None] | None = None

    # what is asked about us

    @property
    def state(self) -> str:
        """API `LocalNodeState`."""
        if self.node is None:
            return "inactive"
        if self.node.locked:
            return "locked"
        if self.error:
            return "error"
        return "active" if self.agent is not None else "pending"

    def managing(self) -> Manager:
        """The manager that we are. Raises NotAvailable in the words that fit."""
        if self.node is None:
            raise NotAvailable(NO_MANAGER)
        if self.node.locked:
            raise NotAvailable(LOCKED)
        if not self.node.is_manager:
            raise NotAvailable(WORKER)
        if self.manager is None:
            raise NotAvailable(self.error or STARTING)
        return self.manager

    # the daemon

    async def resume(self) -> None:
        """What node.json says. What goes wrong is shown by `info`, and doesn't keep the daemon from serving."""
        async with self._one:
            try:
                self.node = own.load(self.layout)
                if self.node is not None and not self.node.locked:
                    await self._up(self.node)
            except MinidockError as error:
                self.error = error.message
                log.warning("the swarm: %s", error.message)

    async def close(self) -> None:
        await self._unchanging()
        async with self._one:
            await self._down(leave=False)

    async def _unchanging(self) -> None:
        """A change of role may take a minute, and holds the lock: who leaves, or stops, calls it off first."""
        if self._changing is not None:
            self._changing.cancel()
            await asyncio.wait({self._changing})

    # the verbs

    async def init(self, given: Body) -> str:
        """→ the node's id. Raises NotAvailable, UsageError, MinidockError."""
        async with self._one:
            if given.get("ForceNewCluster") and self.node is not None:
                return await self._anew()
            if self.node is not None:
                raise NotAvailable(ALREADY)
            await asyncio.to_thread(beginning.clean, self.layout)
            node, body = beginning.founded(given)
            manager = Manager(self.around, node)
            try:
                await manager.boot({node.id: node.peer_url})
                await asyncio.to_thread(manager.etcd.wait)
                manager.store.create("cluster", node.cluster, body, name="default")
                first = nodes.new("manager", str(given.get("Availability") or ""), node.address)
                manager.store.create("node", node.id, first)
                self._unlock = cluster.unlock_key(cluster.only(manager.store))
                own.save(self.layout, node, self._unlock)
            except BaseException:
                await manager.stop()
                own.forget(self.layout)
                raise
            await self._up(node, manager)
            await self._met()
            return node.id

    async def join(self, given: Body) -> None:
        """Raises NotAvailable, UsageError, MinidockError."""
        async with self._one:
            if self.node is not None:
                raise NotAvailable(ALREADY)
            listen = addresses.listening(str(given.get("ListenAddr") or ""))
            remotes = [addresses.remote(str(one)) for one in given.get("RemoteAddrs") or []]
            if not remotes:
                raise UsageError("at least 1 RemoteAddr is required to join")
            await asyncio.to_thread(beginning.clean, self.layout)
            node = await beginning.admitted(given, listen, remotes)
            try:
                own.unpack(self.layout, node)
                await self._settle(node)
            except BaseException:
                own.forget(self.layout)
                raise
            await self._met()

    async def _settle(self, node: Node) -> None:
        """As what the certificate says."""
        manager = None
        if node.is_manager:
            node, manager = await self._enlisted(node)
        own.save(self.layout, node, self._unlock)
        await self._up(node, manager)

    async def _enlisted(self, node: Node) -> tuple[Node, Manager]:
        """A manager whose etcd is one of the others'. Raises MinidockError, and then nothing of it is left here."""
        manager, self._unlock = await enlisting.enlisted(self.around, node)
        return manager.node, manager

    async def leave(self, *, force: bool) -> None:
        """Raises NotAvailable."""
        await self._unchanging()
        async with self._one:
            node = self.node
            if node is None:
                raise NotAvailable(NO_MEMBER)
            if node.locked and not force:
                raise NotAvailable(
                    "Swarm is encrypted and locked. Please unlock it first or use `--force` to ignore this message."
                )
            if node.is_manager and not force:
                raise NotAvailable(await leaving.warning(node, self.manager))
            await leaving.part(node, self.manager, self.agent)
            await self._down(leave=True)
            await asyncio.to_thread(own.forget, self.layout)
            self.node, self.error, self._unlock = None, "", None

    async def unlock(self, text: str) -> None:
        """Raises NotAvailable, Conflict when there is nothing to unlock, WrongKey."""
        async with self._one:
            if self.node is None:
                raise NotAvailable(NO_MANAGER)
            if not self.node.locked:
                raise Conflict("swarm is not locked")
            key = sealing.unlock_key(text)
            node = own.unlocked(self.node, key)
            self._unlock = key
            await self._up(node)

    async def _anew(self) -> str:
        """This manager alone, with all that the swarm knew: what is left of one that has lost most of its managers."""
        node = self.node
        if node is None or not node.is_manager:
            raise NotAvailable(WORKER)
        if node.locked:
            raise NotAvailable(LOCKED)
        await self._down(leave=False)
        manager = await beginning.anew(self.around, node)
        await self._up(manager.node, manager)
        await self._met()
        return node.id

    # up and down

    async def _up(self, node: Node, manager: Manager | None = None) -> None:
        self.node, self.error = node, ""
        own.unpack(self.layout, node)
        if node.is_manager:
            self.manager = manager or await restarted(self.around, node)
            if manager is not None:
                await manager.work()
        self.agent = Agent(node, own.running(self.layout), self._executor(), self._describe, self._news)
        self.agent.start()

    async def _met(self) -> None:
        """Until the leader knows us: the next command should see who has just come, though nothing depends on it."""
        assert self.agent is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MEETING):
                await self.agent.connected.wait()

    async def _down(self, *, leave: bool) -> None:
        if self._changing is not None and self._changing is not asyncio.current_task():
            self._changing.cancel()
            self._changing = None
        if self.agent is not None:
            await self.agent.stop()
            await self.agent.executor.close(leave=leave)
            self.agent = None
        if self.manager is not None:
            await self.manager.stop()
            self.manager = None

    async def _describe(self) -> Body:
        assert self.node is not None
        return {**await self._describe_engine(), "TLSInfo": ca.tls_info(self.node.root_ca)}

    async def refresh_lock(self) -> None:
        """The unlock key may be another one now, or none: node.json follows."""
        if self.manager is None or self.node is None:
            return
        key = cluster.unlock_key(await asyncio.to_thread(cluster.only, self.manager.store))
        if key != self._unlock:
            self._unlock = key
            own.save(self.layout, self.node, key)

    # what the leader says of us

    async def _news(self, news: Body) -> None:
        node = self.node
        if node is None or self._changing is not None:
            return
        if news["managers"] and news["managers"] != node.managers:
            self.node = msgspec.structs.replace(node, managers=news["managers"])
            own.save(self.layout, self.node, self._unlock)
        await self.refresh_lock()
        # Asked again: heartbeats and assignments both bring news, and the other may have been faster.
        if self._changing is None and (news["role"] != node.role or ca.is_old(node.certificate)):
            self._changing = asyncio.create_task(self._change())

    async def _change(self) -> None:
        """A new certificate, and with it perhaps another role."""
        try:
            async with self._one:
                assert self.node is not None
                await self._renew(self.node)
        except MinidockError as error:
            log.warning("a new certificate for this node: %s", error.message)
            if self.agent is None:
                self.error = error.message
            await asyncio.sleep(1)
        finally:
            self._changing = None

    async def _renew(self, node: Node) -> None:
        changed = await beginning.renewed(self.layout, node)
        own.unpack(self.layout, changed)
        manager = None
        if changed.is_manager and not node.is_manager:
            changed, manager = await self._enlisted(changed)  # the node goes on as a worker until then
        await self._down(leave=False)
        if not changed.is_manager:
            self._unlock = None
            await asyncio.to_thread(EtcdServer(self.layout).destroy)
        own.save(self.layout, changed, self._unlock)
        await self._up(changed, manager)
