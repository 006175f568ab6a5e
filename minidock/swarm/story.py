"""The story of one task on its node (executor.py has the picture)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from minidock.errors import MinidockError
from minidock.swarm import containers
from minidock.swarm.board import ASIDE
from minidock.swarm.objects import Body, TaskState, stamp

if TYPE_CHECKING:
    from minidock.swarm.executor import Executor

log = logging.getLogger("minidock.swarm")
GRACE = 10
"""Seconds that a container has to stop, where its service doesn't say."""


class Failed(Exception):
    """The task ends here: in `state`, and with these words."""

    def __init__(self, state: TaskState, error: str) -> None:
        super().__init__(error)
        self.state, self.error = state, error


class Story:
    def __init__(self, executor: Executor, task: Body) -> None:
        self.executor, self.engine = executor, executor.engine
        self.task = task
        self.name = containers.name(task)
        self.state = TaskState.of(task["Status"]["State"])
        self.container: Body = task["Status"].get("ContainerStatus") or {}
        self.port_status: Body = task["Status"].get("PortStatus") or {}
        self._changed = asyncio.Event()
        self._reachable = False
        self._work: asyncio.Task[None] | None = None

    @property
    def wanted(self) -> TaskState:
        return TaskState.of(self.task["DesiredState"])

    def begin(self) -> None:
        self._work = asyncio.create_task(self._tell())

    def want(self, task: Body) -> None:
        self.task = task
        self._changed.set()

    async def abandon(self) -> None:
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work

    async def remove(self) -> None:
        """The managers have forgotten it: so do we."""
        await self.abandon()
        await self.executor.ingress.withdraw(self.task["ID"])
        try:
            facts = await self.engine.inspect(self.name)
            if facts is not None:
                await self.engine.remove(facts["Id"])
        except MinidockError as error:
            log.warning("the container of task %s: %s", self.task["ID"], error.message)
        self.executor.deposit.drop(self.task["ID"])
        await self.executor.wiring.lift(self.task)

    # the story

    async def _tell(self) -> None:
        """Whatever happens has an end that is reported."""
        if self.state.ended:
            return
        going = asyncio.create_task(self._go())
        stopping = asyncio.create_task(self._until(TaskState.SHUTDOWN))
        try:
            await asyncio.wait({going, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not going.done():
                await _cancelled(going)
                await self._stop()
            else:
                going.result()
        except Failed as failed:
            self._say(failed.state, failed.error)
        except MinidockError as error:
            self._say(TaskState.FAILED, error.message)
        except Exception as error:  # a mistake of ours must not leave the task without an end
            log.exception("task %s", self.task["ID"])
            self._say(TaskState.FAILED, f"a mistake in minidock itself: {type(error).__name__}")
        finally:
            await _cancelled(going)
            await _cancelled(stopping)
        if self.state.ended:
            await self.executor.ingress.withdraw(self.task["ID"])
            self.executor.deposit.drop(self.task["ID"])
            await self.executor.wiring.lift(self.task)

    async def _go(self) -> None:
        facts = await self.engine.inspect(self.name)
        if facts is None:
            if self.state >= TaskState.STARTING:
                raise Failed(TaskState.FAILED, f"No such container: {self.name}")
            facts = await self._prepare()
        self.container = {"ContainerID": facts["Id"], "PID": 0, "ExitCode": 0}
        self._say(TaskState.READY)
        await self._until(TaskState.RUNNING)
        await self._start(facts)
        facts = await self._facts()
        self.container["PID"] = facts["State"]["Pid"]
        ended = not facts["State"]["Running"]
        while not ended:
            ended = await self._watch(facts["Id"])
        self._end(await self._facts())

    async def _watch(self, id: str) -> bool:
        """Whether it has ended; else events were lost, and it is to be looked at anew."""
        async with self.engine.watched(id) as actions:
            facts = await self._facts()
            await self._judge(facts)
            while facts["State"]["Running"]:
                action = await anext(actions, "")
                if action in ("", "die"):
                    return action == "die"
                if action.startswith("health_status"):
                    await self._judge(await self._facts())
        return True

    async def _judge(self, facts: Body) -> None:
        """It runs once it is healthy, where it says how that is seen. Raises Failed when it isn't."""
        health = (facts["State"].get("Health") or {}).get("Status")
        if health == "unhealthy":
            await self.engine.stop(facts["Id"], self._grace())
            raise Failed(TaskState.FAILED, "task: unhealthy container")
        if facts["State"]["Running"] and health != "starting" and not self._reachable:
            await self._runs(facts)

    async def _prepare(self) -> Body:
        """Image, files, container. Raises Failed."""
        self._say(TaskState.ACCEPTED)
        self._say(TaskState.PREPARING)
        spec = self.task["Spec"]["ContainerSpec"]
        try:
            await self.engine.have_image(spec["Image"], self.task[ASIDE].get("Auth"))
            executor = self.executor
            await executor.wiring.lay(self.task)
            files = executor.deposit.put(self.task, executor.hostname, executor.secrets, executor.configs)
            await self.engine.create(self.name, containers.body(self.task, executor.hostname, files))
        except MinidockError as error:
            raise Failed(TaskState.REJECTED, error.message) from None
        return await self._facts()

    async def _start(self, facts: Body) -> None:
        if facts["State"]["Status"] != "created":
            return  # the daemon before us has started it
        self._say(TaskState.STARTING)
        try:
            await self.engine.start(facts["Id"])
        except MinidockError as error:
            raise Failed(TaskState.FAILED, f"starting container failed: {error.message}") from None

    async def _runs(self, facts: Body) -> None:
        self._reachable = True
        ports = containers.published(facts)
        self.port_status = {"Ports": ports} if ports else {}
        address = containers.address(facts, self.task)
        await self.executor.ingress.publish(self.task["ID"], address, self._ingress_ports() if address else [])
        self.executor.wiring.look()
        self._say(TaskState.RUNNING)

    def _ingress_ports(self) -> list[tuple[tuple[str, int], int]]:
        return [
            ((port.get("Protocol") or "tcp", port["PublishedPort"]), port["TargetPort"])
            for port in containers.ports(self.task)
            if port.get("PublishMode", "ingress") == "ingress" and port.get("PublishedPort")
        ]

    def _end(self, facts: Body) -> None:
        """Raises Failed unless it ended well."""
        code = facts["State"]["ExitCode"]
        self.container = {**self.container, "PID": 0, "ExitCode": code}
        if code:
            told = facts["State"].get("Error") or ""
            raise Failed(TaskState.FAILED, f"task: non-zero exit ({code}){f': {told}' if told else ''}")
        self._say(TaskState.COMPLETE)

    async def _stop(self) -> None:
        facts = await self.engine.inspect(self.name)
        if facts is not None and facts["State"]["Running"]:
            await self.executor.ingress.withdraw(self.task["ID"])
            await self.engine.stop(facts["Id"], self._grace())
            facts = await self.engine.inspect(self.name)
        if facts is not None:
            self.container = {"ContainerID": facts["Id"], "PID": 0, "ExitCode": facts["State"]["ExitCode"]}
        self._say(TaskState.SHUTDOWN)

    def _grace(self) -> int:
        said = self.task["Spec"]["ContainerSpec"].get("StopGracePeriod")
        return GRACE if said is None else max(0, round(said / 1e9))

    # what it needs

    async def _facts(self) -> Body:
        facts = await self.engine.inspect(self.name)
        if facts is None:
            raise Failed(TaskState.FAILED, f"No such container: {self.name}")
        return facts

    async def _until(self, state: TaskState) -> None:
        """Managers want at least that."""
        while self.wanted < state:
            self._changed.clear()
            await self._changed.wait()

    def _say(self, state: TaskState, error: str = "") -> None:
        """Only forward, and each once: after a restart of the daemon what is known already isn't said again."""
        if state <= self.state:
            return
        failed = state in (TaskState.FAILED, TaskState.REJECTED)
        message = MESSAGES[TaskState.PREPARING if state == TaskState.REJECTED else self.state if failed else state]
        self.state = state
        status: Body = {"Timestamp": stamp(time.time()), "State": state.shown(), "Message": message}
        if error:
            status["Err"] = error
        if self.container:
            status["ContainerStatus"] = self.container
        self.executor.report(self.task["ID"], {**status, "PortStatus": self.port_status})


MESSAGES = {
    TaskState.NEW: "created",
    TaskState.PENDING: "pending task scheduling",
    TaskState.ASSIGNED: "scheduler assigned task to node",
    TaskState.ACCEPTED: "accepted",
    TaskState.PREPARING: "preparing",
    TaskState.READY: "prepared",
    TaskState.STARTING: "starting",
    TaskState.RUNNING: "started",
    TaskState.COMPLETE: "finished",
    TaskState.SHUTDOWN: "shutdown",
}
"""As dockerd says it at each step; a task that fails keeps the words of the step that it was in."""


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
