"""What one pass of the loops sees: the whole store, read once, and every write both in the store and in the picture.

The loops are functions of the store and the time, without memory of their own: what must outlive a pass (when a task
may start, how often it was started again, how far an update has come) stands in the objects, under `Aside`. So a new
leader goes on where the old one was, and a test needs no threads.

    store ── read ──▶ Board ──▶ allocator, replicated, globals, jobs, restarts, scheduler, reaper ── write ──▶ store

Agents write to tasks meanwhile. Who comes second is refused by the store (OutOfSequence); the loops then leave the
object alone: the agent's write is a change, and so there is a next pass, which sees it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minidock.swarm.objects import Body, Kind, Stored, TaskState, new_id, stamp
from minidock.swarm.store import Missing, OutOfSequence, Store

ASIDE = "Aside"
"""Member of a body that clients never see: what the loops must not forget."""


class Board:
    """One pass at `now` (Unix seconds)."""

    def __init__(self, store: Store, now: float) -> None:
        self.store, self.now = store, now
        self.services = {stored.id: stored for stored in store.all("service")}
        self.nodes = {stored.id: stored for stored in store.all("node")}
        self.networks = {stored.id: stored for stored in store.all("network")}
        self.tasks = {stored.id: stored for stored in store.all("task")}
        self.cluster = next(iter(store.all("cluster")), None)

    def of(self, service_id: str) -> list[Stored]:
        """A service's tasks, in order of their making."""
        return [task for task in self.tasks.values() if task.body.get("ServiceID") == service_id]

    def write(self, stored: Stored, changes: Body) -> Stored | None:
        """Members of the body that become others. None: somebody was faster, or it is gone."""
        pictures = {"task": self.tasks, "service": self.services, "node": self.nodes, "network": self.networks}
        try:
            new = self.store.update(stored.kind, stored.id, {**stored.body, **changes}, stored.revision)
        except (OutOfSequence, Missing):
            return None
        pictures[stored.kind][new.id] = new
        return new

    def note(self, stored: Stored, **notes: Any) -> Stored | None:  # noqa: ANN401 - whatever JSON can have
        """Beside what is noted already. None as for `write`."""
        return self.write(stored, {ASIDE: {**aside(stored), **notes}})

    def make(self, kind: Kind, body: Body) -> Stored:
        new = self.store.create(kind, new_id(), body)
        if kind == "task":
            self.tasks[new.id] = new
        return new

    def drop(self, task: Stored) -> None:
        """Out of the store, unless somebody has just written to it."""
        try:
            self.store.delete("task", task.id, task.revision)
        except OutOfSequence:
            return
        except Missing:
            pass
        self.tasks.pop(task.id, None)

    def want(self, task: Stored, state: TaskState, **notes: Any) -> Stored | None:  # noqa: ANN401 - see `note`
        """Set the desired state, which only grows. None as for `write`, and when there is nothing to do."""
        if desired(task) >= state:
            return None
        return self.write(task, {"DesiredState": state.shown(), ASIDE: {**aside(task), **notes}})

    def status(self, task: Stored, state: TaskState, message: str, error: str = "") -> Stored | None:
        """What managers say of a task that no agent has yet, or has no more."""
        said = {**task.body["Status"], "State": state.shown(), "Message": message, "Timestamp": stamp(self.now)}
        said.pop("Err", None)
        return self.write(task, {"Status": {**said, "Err": error} if error else said})


# What stands in a task, a service, a node


def aside(stored: Stored) -> Body:
    found: Body = stored.body.get(ASIDE) or {}
    return found


def state(task: Stored) -> TaskState:
    return TaskState.of(task.body["Status"]["State"])


def desired(task: Stored) -> TaskState:
    return TaskState.of(task.body["DesiredState"])


def node_of(task: Stored) -> str:
    """Its node's id, or nothing while it has none."""
    return str(task.body.get("NodeID") or "")


def slot_of(task: Stored) -> int:
    return int(task.body.get("Slot") or 0)


def spec(service: Stored) -> Body:
    found: Body = service.body["Spec"]
    return found


def template(service: Stored) -> Body:
    found: Body = spec(service).get("TaskTemplate") or {}
    return found


def mode(service: Stored) -> str:
    """`Replicated`, `Global`, `ReplicatedJob` or `GlobalJob`."""
    said = spec(service).get("Mode") or {}
    return next((name for name in ("Global", "ReplicatedJob", "GlobalJob") if said.get(name) is not None), "Replicated")


def is_job(service: Stored) -> bool:
    return mode(service).endswith("Job")


def is_down(node: Stored | None) -> bool:
    return node is not None and (node.body.get("Status") or {}).get("State") == "down"


def availability(node: Stored) -> str:
    return str((node.body.get("Spec") or {}).get("Availability") or "active")


def is_usable(node: Stored | None) -> bool:
    """Is there, isn't known to be down, and isn't being drained: what runs on it may go on."""
    return node is not None and not is_down(node) and availability(node) != "drain"


def seconds(nanoseconds: object, default: float) -> float:
    """Go's durations are nanoseconds; what isn't said is the default."""
    return default if nanoseconds is None else float(str(nanoseconds)) / 1e9


def newest(tasks: Iterable[Stored]) -> Stored:
    return max(tasks, key=lambda task: (task.created, task.revision))
