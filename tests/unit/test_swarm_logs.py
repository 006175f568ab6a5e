"""Logs of tasks on other nodes: from a node's lines to who has asked, by way of the leader."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from minidock.errors import MinidockError
from minidock.swarm import nodes
from minidock.swarm.broker import AHEAD, Broker, Subscription
from minidock.swarm.dispatcher import Dispatcher
from minidock.swarm.pulse import Pulse
from minidock.swarm.store import MemoryStore
from minidock.swarm.telling import Teller

PATIENCE = 20.0
TASKS = {"t1": {"node": "n1", "container": "c1"}, "t2": {"node": "n2", "container": "c2"}}


def run(story: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(PATIENCE):
            await story

    asyncio.run(limited())


def test_a_node_is_asked_for_its_own_tasks_and_heard_of_no_others() -> None:
    async def story() -> None:
        broker, asked = Broker(), Subscription(TASKS, {"tail": 3})
        broker.begin(asked)
        assert broker.of("n1") == {asked.id: {"tasks": {"t1": "c1"}, "wanted": {"tail": 3}}}
        assert broker.of("n3") == {}
        lines = {"subscription": asked.id, "task": "t2", "lines": [[1, "aGk="]]}
        assert not await broker.publish("n1", lines)
        assert not await broker.publish("n3", lines)
        assert await broker.publish("n2", lines)
        assert await broker.publish("n2", {"subscription": asked.id, "done": True, "error": ""})
        assert not await broker.publish("n2", lines), "it has said that there are no more"
        assert await asked.next(1) == {"task": "t2", "lines": [[1, "aGk="]]}
        assert await asked.next(1) == {"done": True, "error": ""}
        assert asked.nodes == {"n1"} and broker.of("n2") == {}

    run(story())


def test_a_node_waits_for_a_slow_reader_and_not_for_one_that_is_gone() -> None:
    async def story() -> None:
        broker, asked = Broker(), Subscription(TASKS, {})
        broker.begin(asked)
        lines = {"subscription": asked.id, "task": "t1", "lines": []}
        for _ in range(AHEAD):
            await broker.publish("n1", lines)
        waits = asyncio.create_task(broker.publish("n1", lines))
        await asyncio.sleep(0.05)
        assert not waits.done()
        broker.end(asked)
        await waits
        assert not await broker.publish("n1", lines)

    run(story())


async def two_lines(container: str, wanted: dict[str, Any]) -> AsyncGenerator[tuple[int, bytes]]:
    if container == "broken":
        raise MinidockError("its log can't be read")
    yield 1, f"out of {container}\n".encode()
    yield 2, b"err\n"


def test_a_node_sends_lines_that_come_together_together_and_says_when_it_ends() -> None:
    sent: list[dict[str, Any]] = []
    ended = asyncio.Event()

    async def publish(said: dict[str, Any]) -> dict[str, Any]:
        sent.append(said)
        if said.get("done"):
            ended.set()
        return {"open": True}

    async def story() -> None:
        teller = Teller(two_lines, publish)
        teller.tell({"s": {"tasks": {"t": "c"}, "wanted": {}}})
        await ended.wait()
        teller.tell({"s": {"tasks": {"t": "c"}, "wanted": {}}})  # known already
        await teller.close()

    run(story())
    lines = [[1, base64.b64encode(b"out of c\n").decode()], [2, base64.b64encode(b"err\n").decode()]]
    assert sent == [
        {"subscription": "s", "task": "t", "lines": lines},
        {"subscription": "s", "done": True, "error": ""},
    ]


def test_what_goes_wrong_on_a_node_is_told() -> None:
    sent: list[dict[str, Any]] = []

    async def publish(said: dict[str, Any]) -> dict[str, Any]:
        sent.append(said)
        return {"open": True}

    async def story() -> None:
        teller = Teller(two_lines, publish)
        teller.tell({"s": {"tasks": {"t": "broken"}, "wanted": {}}})
        while not sent:
            await asyncio.sleep(0)
        await teller.close()

    run(story())
    assert sent == [{"subscription": "s", "done": True, "error": "its log can't be read"}]


class Leads:
    leads = threading.Event()


def test_nobody_waits_for_a_node_that_is_down() -> None:
    async def story() -> None:
        store: Any = MemoryStore()
        leadership: Any = Leads()
        Leads.leads.set()
        for id, state in (("n1", "ready"), ("n2", "down")):
            store.create("node", id, nodes.new("worker", "active", ""))
            nodes.change(store, id, Status={"State": state})
        dispatcher = Dispatcher(store, None, leadership, Pulse())  # type: ignore[arg-type]
        asked = Subscription(TASKS, {})
        assert await dispatcher._silent(asked) == {"error": "node n2 is not available"}
        assert asked.nodes == {"n1"}
        assert await dispatcher._silent(asked) == {"error": ""}
        Leads.leads.clear()
        assert await dispatcher._silent(asked) == {"error": "the swarm has another leader now"}
        assert await dispatcher._told(asked) is None

    run(story())
