"""What a node tells of its tasks' logs: as long as somebody wants to hear it (broker.py has the whole way)."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable

from minidock.errors import MinidockError
from minidock.swarm.objects import Body

log = logging.getLogger("minidock.swarm")
Lines = Callable[[str, Body], AsyncGenerator[tuple[int, bytes]]]
"""(container, how) → (stream, line)."""
Publish = Callable[[Body], Awaitable[Body]]
MOST = 64 * 1024
"""Bytes of lines in one message; one line may be longer."""
SOON = 0.05
"""Seconds that lines wait for others that may come with them."""


class Teller:
    """One session's: a task for each subscription."""

    def __init__(self, lines: Lines, publish: Publish) -> None:
        self._lines, self._publish = lines, publish
        self._telling: dict[str, asyncio.Task[None]] = {}

    def tell(self, wanted: dict[str, Body]) -> None:
        """All that is to be told from now on."""
        for id in self._telling.keys() - wanted.keys():
            self._telling.pop(id).cancel()
        for id in wanted.keys() - self._telling.keys():
            self._telling[id] = asyncio.create_task(self._tell(id, wanted[id]))

    async def close(self) -> None:
        telling = list(self._telling.values())
        self.tell({})
        await asyncio.gather(*telling, return_exceptions=True)

    async def _tell(self, id: str, asked: Body) -> None:
        error = ""
        try:
            ways = [self._task(id, task, container, asked["wanted"]) for task, container in asked["tasks"].items()]
            await asyncio.gather(*ways)
        except MinidockError as problem:
            error = problem.message
        except Exception:  # who waits for our end must hear of it
            log.exception("logs for subscription %s", id)
            error = "a mistake in minidock itself"
        try:
            await self._publish({"subscription": id, "done": True, "error": error})
        except MinidockError as problem:
            log.info("logs for subscription %s: %s", id, problem.message)

    async def _task(self, id: str, task: str, container: str, wanted: Body) -> None:
        """Lines are sent together where they come together."""
        lines = self._lines(container, wanted)
        waiting: list[tuple[int, bytes]] = []
        coming: asyncio.Task[tuple[int, bytes] | None] = asyncio.create_task(_next(lines))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=SOON if waiting else None)
                line = coming.result() if done else None
                if line is not None:
                    waiting.append(line)
                    coming = asyncio.create_task(_next(lines))
                if waiting and (line is None or sum(len(each) for _, each in waiting) >= MOST):
                    sent = [[stream, base64.b64encode(each).decode()] for stream, each in waiting]
                    waiting = []
                    if not (await self._publish({"subscription": id, "task": task, "lines": sent}))["open"]:
                        return
                if done and line is None:
                    return
        finally:
            coming.cancel()
            await asyncio.wait({coming})
            await lines.aclose()


async def _next(lines: AsyncGenerator[tuple[int, bytes]]) -> tuple[int, bytes] | None:
    return await anext(lines, None)
