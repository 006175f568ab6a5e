"""A node's tasks become containers: for each task a small story, told by the engine, and reported step by step.

    ACCEPTED ─ PREPARING (image, files, container) ─ READY ─ [wanted RUNNING] ─ STARTING ─ RUNNING ─ COMPLETE | FAILED
                    REJECTED: it can't be made                     [wanted SHUTDOWN: stop it] ─ SHUTDOWN

What managers want comes as a whole (`assign`). A task that isn't in it any more is removed, container and files; one
whose story has ended keeps its container for its logs. A restarted daemon finds the containers by name, and goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from minidock.errors import MinidockError
from minidock.swarm.deposit import Deposit
from minidock.swarm.ingress import Ingress
from minidock.swarm.objects import Body
from minidock.swarm.story import Story
from minidock.swarm.wiring import Wiring

if TYPE_CHECKING:
    from minidock.swarm.node import Node

log = logging.getLogger("minidock.swarm")


class Engine(Protocol):
    """The daemon's way to its engine. All raise MinidockError when the engine says no."""

    async def inspect(self, name: str) -> Body | None:
        """API `ContainerInspectResponse`; None when there is none."""
        ...

    async def have_image(self, name: str, auth: dict[str, str] | None) -> None: ...

    async def create(self, name: str, body: Body) -> str: ...

    async def start(self, id: str) -> None: ...

    async def stop(self, id: str, seconds: int | None) -> None: ...

    async def remove(self, id: str) -> None:
        """Also while it runs; nothing when there is none."""
        ...

    async def network(self, name: str) -> Body | None:
        """API `Network`; None when there is none."""
        ...

    async def create_network(self, body: Body) -> None: ...

    async def remove_network(self, name: str) -> None: ...

    async def swarm_networks(self) -> dict[str, str]:
        """The node's bridges that are networks of a swarm: the network's id → the bridge's name."""
        ...

    async def arrange_network(self, name: str, body: Body) -> None:
        """Who is on the swarm's network now (landscape.py), for all its containers here."""
        ...

    def watched(self, id: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """The actions of its events (`die`, `health_status: healthy`, …), from the entry of the block on."""
        ...

    def logs(self, container: str, wanted: Body) -> AsyncGenerator[tuple[int, bytes]]:
        """(stream, line), as long as they come; none of a container that isn't there."""
        ...

    async def of_tasks(self) -> dict[str, str]:
        """Containers that were made for tasks: task id → container id."""
        ...


class Executor:
    """One node's; `files` is a directory on a tmpfs. All methods are the loop's."""

    def __init__(self, engine: Engine, files: Path) -> None:
        self.engine = engine
        self.deposit = Deposit(files)
        self.ingress = Ingress()
        self.wiring = Wiring(engine, self.ingress)
        self.hostname = socket.gethostname()
        self.secrets: dict[str, Body] = {}
        self.configs: dict[str, Body] = {}
        self._stories: dict[str, Story] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._report: Callable[[str, Body], None] = lambda id, status: None
        self._swept = False

    def begin(self, node: Node, report: Callable[[str, Body], None]) -> None:
        self._report = report

    def assign(
        self,
        tasks: list[Body],
        secrets: dict[str, Body],
        configs: dict[str, Body],
        networks: dict[str, Body] | None = None,
    ) -> None:
        self.secrets, self.configs = secrets, configs
        self.wiring.learn(networks or {})
        for task in tasks:
            story = self._stories.get(task["ID"])
            if story is None:
                story = self._stories[task["ID"]] = Story(self, task)
                story.begin()
            else:
                story.want(task)
        wanted = {task["ID"] for task in tasks}
        for id in [id for id in self._stories if id not in wanted]:
            self._later(self._stories.pop(id).remove())
        if not self._swept:
            self._swept = True
            self._later(self._sweep(wanted))

    def logs(self, container: str, wanted: Body) -> AsyncGenerator[tuple[int, bytes]]:
        return self.engine.logs(container, wanted)

    def report(self, id: str, status: Body) -> None:
        self._report(id, status)

    async def _sweep(self, wanted: set[str]) -> None:
        """Files and containers of tasks that were taken away while the daemon was."""
        self.deposit.keep(wanted)
        try:
            for task, container in (await self.engine.of_tasks()).items():
                if task not in wanted:
                    await self.engine.remove(container)
            await self.wiring.sweep()
        except MinidockError as error:
            log.warning("containers of old tasks: %s", error.message)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def close(self, *, leave: bool) -> None:
        """`leave`: all containers go, too; otherwise they run on, and nobody looks."""
        stories, self._stories = list(self._stories.values()), {}
        if leave:
            self.wiring.learn({})
            await asyncio.gather(*(story.remove() for story in stories))
            await self._sweep(set())
            self.deposit.clear()
        else:
            await asyncio.gather(*(story.abandon() for story in stories))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._leaving)
        await self.wiring.close()
        await self.ingress.close()
