"""The engine as the swarm's executor needs it: each verb in a worker, and the events of one container."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from minidock.daemon.happenings import Happenings
from minidock.daemon.log_lines import lines
from minidock.daemon.workers import Refused, Workers
from minidock.errors import MinidockError

if TYPE_CHECKING:
    from minidock.swarm.objects import Body

API = (1, 41)


class TaskEngine:
    """Implements swarm.executor.Engine."""

    def __init__(self, workers: Workers, happenings: Happenings) -> None:
        self.workers, self.happenings = workers, happenings
        self._fetching: dict[str, asyncio.Lock] = {}

    async def inspect(self, name: str) -> Body | None:
        try:
            found: Any = (await self.workers.call("inspect", {"ref": name})).value()
        except Refused as refused:
            if refused.status == 404:
                return None
            raise MinidockError(refused.message) from None
        return dict(found)

    async def have_image(self, name: str, auth: dict[str, str] | None) -> None:
        """Tasks of one service all want the same one, at once: the first fetches it, the others find it there."""
        async with self._fetching.setdefault(name, asyncio.Lock()):
            await self._do("ensure_image", {"name": name, "auth": auth})

    async def create(self, name: str, body: Body) -> str:
        asked = {"body": body, "name": name, "platform": "", "version": API}
        return str((await self._do("create", asked))["Id"])

    async def start(self, id: str) -> None:
        await self._do("start", {"ref": id, "held": False})

    async def stop(self, id: str, seconds: int | None) -> None:
        await self._do("stop", {"ref": id, "timeout": seconds, "signal": ""})

    async def remove(self, id: str) -> None:
        try:
            await self.workers.call("remove", {"ref": id, "force": True, "volumes": True, "link": False})
        except Refused as refused:
            if refused.status != 404:
                raise MinidockError(refused.message) from None

    async def network(self, name: str) -> Body | None:
        try:
            found: Any = (await self.workers.call("inspect_network", {"ref": name})).value()
        except Refused as refused:
            if refused.status == 404:
                return None
            raise MinidockError(refused.message) from None
        return dict(found)

    async def create_network(self, body: Body) -> None:
        await self._do("create_network", {"body": body})

    async def remove_network(self, name: str) -> None:
        await self._do("remove_network", {"ref": name})

    async def swarm_networks(self) -> dict[str, str]:
        from minidock.swarm.networks import LABEL

        found = await self._do("networks", {"filters": {"label": [LABEL]}})
        return {row["Labels"][LABEL]: row["Name"] for row in found}

    async def arrange_network(self, name: str, body: Body) -> None:
        await self._do("arrange_network", {"ref": name, "body": body})

    async def _do(self, verb: str, arguments: Mapping[str, object]) -> Any:  # noqa: ANN401 - as the verb has it
        """Whole, even if nobody wants it any more: what the worker does can't be called back, only waited for."""
        work = asyncio.ensure_future(self.workers.call(verb, arguments))
        try:
            return (await asyncio.shield(work)).value()
        except asyncio.CancelledError:
            await asyncio.gather(work, return_exceptions=True)
            raise
        except Refused as refused:
            raise MinidockError(refused.message) from None

    @contextlib.asynccontextmanager
    async def watched(self, id: str) -> AsyncIterator[AsyncIterator[str]]:
        with self.happenings.watched() as events:

            async def actions() -> AsyncIterator[str]:
                async for event in events:
                    if event.type == "container" and event.actor.id == id:
                        yield event.action

            yield actions()

    async def logs(self, container: str, wanted: Body) -> AsyncGenerator[tuple[int, bytes]]:
        async with contextlib.aclosing(lines(self.workers, container, wanted)) as found:
            try:
                async for line in found:
                    yield line
            except Refused as refused:
                raise MinidockError(refused.message) from None

    async def of_tasks(self) -> dict[str, str]:
        from minidock.swarm.containers import TASK_LABEL

        asked = {"all": True, "last": 0, "size": False, "filters": {"label": [TASK_LABEL]}}
        found = await self._do("containers", asked)
        return {row["Labels"][TASK_LABEL]: row["Id"] for row in found}
