"""The daemon's part in a swarm: what the swarm needs of the engine and of this machine, and its errors as HTTP's.

Nothing of it is loaded while the machine is in no swarm and nobody asks to change that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from minidock.daemon.happenings import Happenings
from minidock.daemon.spawner import STATUS
from minidock.daemon.workers import Refused, Workers
from minidock.engine import events
from minidock.errors import MinidockError
from minidock.paths import Layout

if TYPE_CHECKING:
    from minidock.swarm.happened import Happening
    from minidock.swarm.manager import Manager
    from minidock.swarm.membership import Membership
    from minidock.swarm.store import Store

T = TypeVar("T")
Body = dict[str, Any]


class Swarming:
    """One daemon's membership, made when it is first needed."""

    def __init__(self, layout: Layout, workers: Workers, happenings: Happenings) -> None:
        self.layout = layout
        self.workers = workers
        self.happenings = happenings
        self._membership: Membership | None = None

    @property
    def may_be_member(self) -> bool:
        """Whether there is anything to look at: no swarm is the usual case, and costs one look."""
        return self._membership is not None or (self.layout.root / "swarm" / "node.json").exists()

    @property
    def manages(self) -> bool:
        """Whether this node is one of the swarm's managers, and at work."""
        return self._membership is not None and self._membership.manager is not None

    @property
    def membership(self) -> Membership:
        if self._membership is None:
            from minidock.daemon.tasks import TaskEngine
            from minidock.swarm import loops
            from minidock.swarm.executor import Executor
            from minidock.swarm.manager import Surroundings
            from minidock.swarm.membership import Membership

            def executor() -> Executor:
                return Executor(TaskEngine(self.workers, self.happenings), self.layout.run / "swarm-files")

            around = Surroundings(self.layout, loops.reconcile, self._tell)
            self._membership = Membership(around, executor, self._describe)
        return self._membership

    async def resume(self) -> None:
        if self.may_be_member:
            await self.membership.resume()

    async def close(self) -> None:
        if self._membership is not None:
            await self._membership.close()

    def manager(self) -> Manager:
        """Raises Refused while we are none."""
        if not self.may_be_member:
            from minidock.swarm.refusals import NO_MANAGER

            raise Refused(503, NO_MANAGER)
        try:
            return self.membership.managing()
        except MinidockError as error:
            raise refusal(error) from None

    async def asked(self, question: Callable[..., T], *given: Any, **named: Any) -> T:  # noqa: ANN401 - as it is
        """A question to the store, or a change of it, in a thread: `question(store, …)`. Raises Refused."""
        store: Store = self.manager().store
        try:
            return await asyncio.to_thread(question, store, *given, **named)
        except MinidockError as error:
            raise refusal(error) from None

    async def logs(self, asked: Body) -> AsyncGenerator[Body]:
        """Of tasks on other nodes (swarm/broker.py). Raises MinidockError."""
        agent = self.membership.agent
        if agent is None:
            raise MinidockError("this node has no session with the swarm's leader")
        async with contextlib.aclosing(agent.logs(asked)) as messages:
            async for message in messages:
                yield message

    async def info(self) -> Body:
        """API `SwarmInfo`."""
        if not self.may_be_member:
            return INACTIVE
        from minidock.swarm import about

        return await asyncio.to_thread(about.info, self.membership)

    def _tell(self, happening: Happening) -> None:
        events.emit(self.layout, happening.type, happening.action, happening.id, happening.attributes, scope="swarm")

    async def _describe(self) -> Body:
        from minidock.swarm import about

        found: Any = (await self.workers.call("info")).value()
        return about.description(found)


INACTIVE: Body = {
    "NodeID": "",
    "NodeAddr": "",
    "LocalNodeState": "inactive",
    "ControlAvailable": False,
    "Error": "",
    "RemoteManagers": None,
}


def refusal(error: MinidockError) -> Refused:
    from minidock.swarm.etcd import Unavailable
    from minidock.swarm.refusals import NotAvailable
    from minidock.swarm.sealing import WrongKey

    if isinstance(error, NotAvailable | Unavailable):
        return Refused(503, error.message)
    if isinstance(error, WrongKey):
        return Refused(401, error.message)
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    return Refused(status, f"{error.message} ({error.hint})" if error.hint else error.message)


async def done(work: Awaitable[T]) -> T:
    """What it gives. Raises Refused."""
    try:
        return await work
    except MinidockError as error:
        raise refusal(error) from None
