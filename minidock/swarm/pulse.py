"""Something has changed: who waits is woken, from whatever thread it is said."""

from __future__ import annotations

import asyncio
import contextlib


class Pulse:
    """Belongs to the event loop in which it was made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Future[None]] = set()

    def beat(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the daemon ends, and nobody waits
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def armed(self) -> asyncio.Future[None]:
        """Set by the next beat. To be taken before one looks at what may change, so that no change is missed."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(future)
        future.add_done_callback(self._waiting.discard)
        return future

    @staticmethod
    async def within(future: asyncio.Future[None], seconds: float) -> bool:
        """Whether it has beaten in time."""
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            return False
        return True
