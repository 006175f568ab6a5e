"""Who attaches to a container before its start, and so misses nothing of it.

`docker run` attaches, then starts; docker-compose attaches three times, once for each stream. The start gives us the
shim's first connection, which has all output from the first byte on, and with it the promise to clean up at the end.
What comes is passed on to everybody who has attached by then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from minidock.daemon.bridge import CHUNK, Shim, Wish, inward
from minidock.daemon.hijack import Streams, Writer
from minidock.engine import wire

if TYPE_CHECKING:
    from minidock.daemon.app import Daemon

Listener = tuple[Writer, Wish]


class Birth:
    """Of one container: those who wait for it, and then listen."""

    def __init__(self) -> None:
        self.promised: set[asyncio.Task[object] | None] = set()
        """Those who will listen, and aren't ready yet: they read what the log has first, or wait for their client."""
        self.listeners: list[Listener] = []
        self.shim: asyncio.Future[Shim | None] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self._carrying: asyncio.Task[None] | None = None

    def give_up(self) -> None:
        """It doesn't start."""
        if not self.shim.done():
            self.shim.set_result(None)

    def begin(self, daemon: Daemon, container_id: str, fd: int) -> None:
        self._carrying = asyncio.create_task(self._carry(daemon, container_id, fd))

    async def _carry(self, daemon: Daemon, container_id: str, fd: int) -> None:
        shim = await Shim.of(fd)
        self.shim.set_result(shim)
        try:
            while self.promised:
                await asyncio.sleep(0.001)
            if await self._pass_on(shim):
                await daemon.workers.call("cleanup", {"container_id": container_id})
            else:
                shim.send(wire.OWNER, b"\0")
                await shim.writer.drain()
        finally:
            shim.close()
            self.ended.set()

    async def _pass_on(self, shim: Shim) -> bool:
        """Until the container's end (True), or as long as anybody listens."""
        decoder = wire.Decoder()
        while self.listeners:
            chunk = await shim.reader.read(CHUNK)
            if not chunk:
                return True
            for kind, payload in decoder.feed(chunk):
                if kind == wire.EXIT:
                    return True
                for listener in list(self.listeners):
                    await self._tell(listener, kind, payload)
        return False

    async def _tell(self, listener: Listener, kind: int, payload: bytes) -> None:
        """The slowest sets the pace; who has vanished is forgotten."""
        writer, wish = listener
        if not wish.wants(kind):
            return
        try:
            writer.write(wire.frame(kind, payload) if wish.framed else payload)
            await writer.drain()
        except ConnectionError:
            self._forget(listener)

    def _forget(self, listener: Listener) -> None:
        with contextlib.suppress(ValueError):
            self.listeners.remove(listener)

    async def follow(self, client: Streams, wish: Wish) -> None:
        """Until the end, or until the client has typed its detach keys."""
        reader, writer = client
        listener = (writer, wish)
        self.listeners.append(listener)
        self.promised.discard(asyncio.current_task())
        try:
            shim = await asyncio.shield(self.shim)
            if shim is None:
                return
            typing = asyncio.create_task(inward(shim, reader, wish))
            ended = asyncio.create_task(self.ended.wait())
            try:
                await asyncio.wait({typing, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not ended.done() and not typing.result():
                    await ended  # the client has closed its sending half only
            finally:
                for task in (typing, ended):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                        await task
        except ConnectionError:
            return
        finally:
            self._forget(listener)


@contextlib.contextmanager
def expected(daemon: Daemon, container_id: str) -> Iterator[Birth]:
    """Be one of those who wait: from here on nothing is missed. The last who goes takes the list with him."""
    birth = daemon.starting.setdefault(container_id, Birth())
    task = asyncio.current_task()
    birth.promised.add(task)
    try:
        yield birth
    finally:
        birth.promised.discard(task)
        if not birth.promised and not birth.listeners and daemon.starting.get(container_id) is birth:
            del daemon.starting[container_id]
