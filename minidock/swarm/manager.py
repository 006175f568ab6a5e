"""A manager at work: its etcd, its store, the campaign for leadership, the port where nodes ask, and a watcher.

threads    campaign, loops (leader.py), watcher: every change of the store, told to all who wait, and as an event
loop       the dispatcher, and the leader's own duties: silent nodes are down, demoted managers leave etcd
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping

import msgspec

from minidock.errors import MinidockError
from minidock.paths import Layout
from minidock.swarm import admission, nodes, wire
from minidock.swarm import node as nodes_own
from minidock.swarm.dispatcher import Dispatcher
from minidock.swarm.etcd_server import EtcdServer
from minidock.swarm.etcd_store import EtcdStore
from minidock.swarm.happened import TOLD, Happening, Memory
from minidock.swarm.leader import Leadership, Reconcile
from minidock.swarm.node import Node
from minidock.swarm.pulse import Pulse

log = logging.getLogger("minidock.swarm")
GOODBYE = 2.0
"""Seconds for each thread to end by itself: without a quorum etcd answers none of their questions."""
DUTY = 1.0
"""Seconds between two looks at who is silent."""


class Surroundings(msgspec.Struct, frozen=True):
    """What a manager is given by the daemon: the loops that it runs as leader, and who hears of what happens."""

    layout: Layout
    reconcile: Reconcile
    tell: Callable[[Happening], None]


class Manager:
    """Start it, use its store, stop it."""

    def __init__(self, around: Surroundings, node: Node) -> None:
        self.around = around
        self.node = node
        self.etcd = EtcdServer(around.layout)
        self.store = EtcdStore(self.etcd.client, node.cluster_key)
        self.pulse = Pulse()
        self.leadership = Leadership(self.store, node, around.reconcile, self._risen)
        self.dispatcher = Dispatcher(self.store, node, self.leadership, self.pulse)
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._duties: asyncio.Task[None] | None = None
        self._returning: asyncio.Task[None] | None = None
        self.works = False
        """Whether the others count on it: it has found most of them."""
        self._learners: dict[str, float] = {}

    async def boot(self, members: Mapping[str, str], *, joins: bool = False, anew: bool = False) -> None:
        """Its etcd, and the port: nothing is ours yet. Raises MinidockError."""
        nodes_own.unpack(self.around.layout, self.node)
        await self.dispatcher.listen(wire.serving(nodes_own.running(self.around.layout)))
        await asyncio.to_thread(self.etcd.start, self.node, members, joins=joins, anew=anew)

    def return_to_work(self) -> None:
        """After a restart: as soon as most of the managers are there again, however long that takes."""
        self._returning = asyncio.create_task(self._return())

    async def _return(self) -> None:
        try:
            await asyncio.to_thread(self.etcd.wait, float("inf"))
            if not self._ended.is_set():
                await self.work()
        except MinidockError as error:
            log.warning("the swarm: %s", error.message)

    async def work(self) -> None:
        """With the others, from now on."""
        status = {"Reachability": "reachable", "Addr": self.node.advertise}
        await asyncio.to_thread(nodes.change, self.store, self.node.id, ManagerStatus=status)
        self.works = True
        self._watcher.start()
        self.leadership.start()
        self._duties = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """What was started, as far as it was; etcd, too."""
        self._ended.set()
        if self._returning is not None and not self._returning.done():
            await asyncio.to_thread(self.etcd.stop)  # what it waits for
            await self._returning
        if self._duties is not None:
            self._duties.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._duties
        await self.dispatcher.close()
        if self.works:
            await asyncio.to_thread(self.leadership.stop, GOODBYE)
        await asyncio.to_thread(self.etcd.stop)
        if self.works:  # what still waits for an answer has none now
            await asyncio.to_thread(self.leadership.stop)
            await asyncio.to_thread(self._watcher.join)

    def _risen(self) -> None:
        self.dispatcher.forget()
        self.pulse.beat()

    def _watch(self) -> None:
        """Until we stop. What was missed (etcd has forgotten it, or was away) is learnt anew, and told as one beat."""
        while not self._ended.is_set():
            try:
                memory, revision = Memory(), self.store.revision()
                for kind in TOLD:
                    for stored in self.store.all(kind):
                        memory.learn(stored)
                self.pulse.beat()
                self._follow(memory, revision)
            except MinidockError as error:
                log.warning("the swarm's store: %s", error.hint or error.message)
                self._ended.wait(1)
            except Exception:  # a mistake with one change must not leave all who wait without any news
                log.exception("the swarm's store")
                self._ended.wait(1)

    def _follow(self, memory: Memory, revision: int) -> None:
        while not self._ended.is_set():
            for change in self.store.watch(revision, idle=1):
                revision = max(revision, change.revision)
                for happening in memory.told(change):
                    self.around.tell(happening)
                self.pulse.beat()
                if self._ended.is_set():
                    return

    async def _look(self) -> None:
        """A dead etcd is started again; the rest are the leader's duties."""
        while True:
            try:
                if not await asyncio.to_thread(self.etcd.lives):
                    log.warning("the swarm's etcd has ended, and is started again")
                    await asyncio.to_thread(self.etcd.start, self.node, {self.node.id: self.node.peer_url})
                if self.leadership.leads.is_set():
                    await asyncio.to_thread(self._duty)
            except MinidockError as error:
                log.warning("the leader's duties: %s", error.hint or error.message)
            except Exception:  # what went wrong once must not end the watch over silent nodes for good
                log.exception("the leader's duties")
            await asyncio.sleep(DUTY)

    def _duty(self) -> None:
        self.dispatcher.missed()
        admission.drop_stuck(self.etcd.client, self._learners, time.monotonic())
        for node in self.store.all("node"):
            if node.body["Spec"]["Role"] == "worker" and node.body.get("ManagerStatus"):
                self._demote(node.id)

    def _demote(self, id: str) -> None:
        """Out of etcd. A leader that is to be demoted steps down first: the next one does it."""
        if id == self.node.id:
            self.leadership.resign()
            return
        admission.drop_member(self.etcd.client, [id])
        nodes.change(self.store, id, ManagerStatus=None)


async def restarted(around: Surroundings, node: Node) -> Manager:
    """A manager whose daemon was away. Raises MinidockError for what can't begin at all."""
    manager = Manager(around, node)
    try:
        await manager.boot({node.id: node.peer_url})
    except BaseException:
        await manager.stop()
        raise
    manager.return_to_work()
    return manager
