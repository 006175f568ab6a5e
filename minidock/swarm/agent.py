"""A node's own side: it tells the leader that it is there, takes what it is to run, and says how that goes.

    session       with the leader, wherever it is: asked for again whenever it is lost
    heartbeat     every few seconds; the answer says what the node is to be, and who manages
    assignments   a question that waits until there is something new; the whole goes to the executor
    logs          whose logs somebody wants to read: a question that waits, too (telling.py)
    reports       what the executor says of its tasks, kept until the leader has it

While no manager answers, the executor goes on with what it has: containers don't notice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

from minidock.errors import MinidockError
from minidock.swarm import wire
from minidock.swarm.node import Node
from minidock.swarm.objects import Body
from minidock.swarm.telling import Teller

log = logging.getLogger("minidock.swarm")
AGAIN = (0.2, 3.0)
"""Seconds before the next try: at first, and at most."""


class Executor(Protocol):
    """Who makes containers of tasks."""

    def begin(self, node: Node, report: Callable[[str, Body], None]) -> None:
        """`report(task id, status)` may be called from any thread, with API `TaskStatus`."""
        ...

    def assign(
        self,
        tasks: list[Body],
        secrets: dict[str, Body],
        configs: dict[str, Body],
        networks: dict[str, Body] | None = None,
    ) -> None:
        """All that the node is to have from now on. Doesn't block, and must not fail."""
        ...

    def logs(self, container: str, wanted: Body) -> AsyncGenerator[tuple[int, bytes]]:
        """(stream, line), as long as they come."""
        ...

    async def close(self, *, leave: bool) -> None:
        """No more. `leave`: the node goes, and its tasks' containers with it."""
        ...


class NoTasks:
    """For a node that runs nothing."""

    def begin(self, node: Node, report: Callable[[str, Body], None]) -> None: ...

    def assign(
        self,
        tasks: list[Body],
        secrets: dict[str, Body],
        configs: dict[str, Body],
        networks: dict[str, Body] | None = None,
    ) -> None: ...

    async def logs(self, container: str, wanted: Body) -> AsyncGenerator[tuple[int, bytes]]:
        lines: tuple[tuple[int, bytes], ...] = ()
        for line in lines:
            yield line

    async def close(self, *, leave: bool) -> None: ...


class Agent:
    """`describe` says what the machine is (API `NodeDescription`); `on_news` hears what the leader says of us."""

    def __init__(
        self,
        node: Node,
        files: Path,
        executor: Executor,
        describe: Callable[[], Awaitable[Body]],
        on_news: Callable[[Body], Awaitable[None]],
    ) -> None:
        self.node = node
        self.executor = executor
        self.connected = asyncio.Event()
        self._managers = list(node.managers)
        self._context = wire.trusting(node.root_ca, files)
        self._describe = describe
        self._on_news = on_news
        self._reports: dict[str, Body] = {}
        self._reported = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.executor.begin(self.node, self._report)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def leave(self) -> None:
        """Tell the leader, if there is one to be told."""
        with contextlib.suppress(MinidockError):
            await wire.ask(await self._leader(), "leave", context=self._context, timeout=5)

    async def _run(self) -> None:
        wait = AGAIN[0]
        while True:
            try:
                leader = await self._leader()
                news = await self._ask(leader, "session", await self._introduction())
                wait = AGAIN[0]
                self.connected.set()
                await self._session(leader, news)
            except MinidockError as error:
                log.info("the session with the swarm's leader: %s", error.message)
            except Exception:  # a full disk, an answer that is no answer: the node must come back from it
                log.exception("the session with the swarm's leader")
            finally:
                self.connected.clear()
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - so that not all come at once
            wait = min(wait * 2, AGAIN[1])

    async def _introduction(self) -> Body:
        return {
            "description": await self._describe(),
            "address": self.node.address,
            "data_path": self.node.data_path_addr,
        }

    async def _leader(self) -> str:
        """Raises MinidockError while there is none."""
        found = await wire.ask_any(self._managers, "leader", context=self._context)
        if not found["address"]:
            raise wire.Unreachable("the swarm has no leader at the moment")
        return str(found["address"])

    async def _ask(self, leader: str, path: str, body: Body, *, timeout: float = wire.PATIENCE) -> Body:
        found: Body = await wire.ask(leader, path, body, context=self._context, timeout=timeout)
        return found

    async def _session(self, leader: str, news: Body) -> None:
        """Until one of its parts fails."""
        await self._heed(news)
        parts = [asyncio.create_task(part(leader)) for part in (self._beat, self._take, self._tell, self._hear)]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_EXCEPTION)
            for part in done:
                part.result()
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    async def _beat(self, leader: str) -> None:
        while True:
            await asyncio.sleep(self._period * random.uniform(0.9, 1))  # noqa: S311 - no secret
            await self._heed(await self._ask(leader, "heartbeat", {}, timeout=max(5.0, self._period)))

    async def _take(self, leader: str) -> None:
        seen = ""
        while True:
            found = await self._ask(leader, "assignments", {"seen": seen}, timeout=60)
            if found["version"] != seen:
                seen = found["version"]
                self.executor.assign(found["tasks"], found["secrets"], found["configs"], found.get("networks"))
            await self._heed(found["news"])

    async def _tell(self, leader: str) -> None:
        while True:
            await self._reported.wait()
            self._reported.clear()
            told = dict(self._reports)
            try:
                await self._ask(leader, "tasks", {"updates": told})
            except MinidockError:
                self._reported.set()
                raise
            for id, status in told.items():
                if self._reports.get(id) is status:
                    del self._reports[id]

    async def _hear(self, leader: str) -> None:
        teller = Teller(self.executor.logs, lambda said: self._ask(leader, "logs/publish", said, timeout=3600))
        try:
            seen = ""
            while True:
                found = await self._ask(leader, "logs/listen", {"seen": seen}, timeout=60)
                seen = found["version"]
                teller.tell(found["wanted"])
        finally:
            await teller.close()

    async def logs(self, asked: Body) -> AsyncGenerator[Body]:
        """Of tasks on other nodes: `asked` is a subscription's `tasks` and `wanted`. Raises MinidockError."""
        answer = wire.stream(await self._leader(), "logs/subscribe", asked, context=self._context)
        async with contextlib.aclosing(answer) as messages:
            async for message in messages:
                yield message

    async def _heed(self, news: Body) -> None:
        self._period = float(news["heartbeat"])
        if news["managers"]:
            self._managers = news["managers"]
        await self._on_news(news)

    def _report(self, id: str, status: Body) -> None:
        def note() -> None:
            self._reports[id] = status
            self._reported.set()

        with contextlib.suppress(RuntimeError):  # the loop is closed: the daemon ends, the next one tells
            self._loop.call_soon_threadsafe(note)
