"""Logs of tasks, wherever they are: the leader passes on what the nodes tell to who has asked.

    manager that was asked ── logs/subscribe: an answer that goes on, one JSON object a line ──▶ leader
    node ── logs/listen: waits until there is something new ──▶ leader        what is to be told, and of which tasks
    node ── logs/publish: lines, and at last that there are no more ──▶ leader ──▶ the manager that was asked

Nodes ask and are never asked, so a worker needs no open port. All is in memory: when the leader goes, so do answers.
(moby/swarmkit manager/logbroker)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from minidock.swarm.objects import Body, new_id
from minidock.swarm.pulse import Pulse

AHEAD = 16
"""Messages of a subscription that are kept for a slow reader; then the node waits with the next."""


class Subscription:
    """`tasks`: id → {"node", "container"}; `wanted`: how its lines are to be read. Ends when every node has ended."""

    def __init__(self, tasks: Mapping[str, Mapping[str, str]], wanted: Body) -> None:
        self.id = new_id()
        self.tasks, self.wanted = tasks, wanted
        self.nodes = {task["node"] for task in tasks.values()}
        """Who has still something to say."""
        self._messages: asyncio.Queue[Body] = asyncio.Queue(AHEAD)
        self._closed = asyncio.Event()

    def of(self, node: str) -> Body:
        """What the node is asked: its containers by task."""
        containers = {id: task["container"] for id, task in self.tasks.items() if task["node"] == node}
        return {"tasks": containers, "wanted": self.wanted}

    async def put(self, message: Body) -> None:
        """Waits while the reader is behind; not for one that is gone."""
        putting = asyncio.create_task(self._messages.put(message))
        closing = asyncio.create_task(self._closed.wait())
        await asyncio.wait({putting, closing}, return_when=asyncio.FIRST_COMPLETED)
        putting.cancel()
        closing.cancel()

    async def next(self, patience: float) -> Body | None:
        """The next message; None when there is none in time."""
        try:
            async with asyncio.timeout(patience):
                return await self._messages.get()
        except TimeoutError:
            return None

    def empty(self) -> bool:
        return self._messages.empty()

    def close(self) -> None:
        self._closed.set()


class Broker:
    """The leader's. Belongs to the event loop in which it was made."""

    def __init__(self) -> None:
        self.changed = Pulse()
        self._open: dict[str, Subscription] = {}

    def begin(self, subscription: Subscription) -> None:
        self._open[subscription.id] = subscription
        self.changed.beat()

    def end(self, subscription: Subscription) -> None:
        subscription.close()
        self._open.pop(subscription.id, None)
        self.changed.beat()

    def of(self, node: str) -> dict[str, Body]:
        """What the node is to tell, by subscription."""
        return {id: each.of(node) for id, each in self._open.items() if node in each.nodes}

    async def publish(self, node: str, said: Body) -> bool:
        """Whether anybody still wants to hear it. A node tells of its own tasks, and of no other's."""
        subscription = self._open.get(str(said["subscription"]))
        if subscription is None or node not in subscription.nodes:
            return False
        if said.get("done"):
            subscription.nodes.discard(node)  # the last message is still read
        elif subscription.tasks.get(said["task"], {}).get("node") != node:
            return False
        await subscription.put({name: said[name] for name in ("task", "lines", "done", "error") if name in said})
        return True
