"""The instance's events, for everybody who waits for one: `events`, `wait`, an attached client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from minidock.engine.events import Listener
from minidock.model.events import Event
from minidock.paths import Layout

PATIENCE = 10_000
"""Events that may queue for one who doesn't take them; then he is cut off, and may ask again with `since`."""


class Happenings:
    """One look at the log for all; it is the kernel that says when (inotify)."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._queues: set[asyncio.Queue[Event | None]] = set()
        self._listener: Listener | None = None

    def open(self) -> None:
        self._listener = Listener(self.layout)
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._take)

    def close(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()

    def _take(self) -> None:
        assert self._listener is not None
        for event in self._listener.take():
            for queue in list(self._queues):
                if queue.qsize() >= PATIENCE:
                    self._queues.discard(queue)
                    queue.put_nowait(None)
                else:
                    queue.put_nowait(event)

    @contextlib.contextmanager
    def watched(self) -> Iterator[AsyncIterator[Event]]:
        """What happens from now on: nothing is missed between entering the block and the first event taken."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield _until_cut(queue)
        finally:
            self._queues.discard(queue)


async def _until_cut(queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
    while (event := await queue.get()) is not None:
        yield event
