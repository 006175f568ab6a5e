"""Tasks as the API lists them: /tasks, of which `service ps`, `node ps` and the clients' progress bars live."""

from __future__ import annotations

from minidock.errors import UsageError
from minidock.swarm import services, tasks
from minidock.swarm.board import Board, desired, node_of, slot_of
from minidock.swarm.objects import Body, Stored, TaskState
from minidock.swarm.store import Store

FILTERS = ("id", "name", "label", "service", "node", "desired-state", "runtime", "_up-to-date")
WANTED = ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running", "complete", "shutdown")
ENDS = ("failed", "rejected", "remove", "orphaned")


def shown(task: Stored) -> Body:
    body = services.shown(task)
    if not body.get("Slot"):
        body.pop("Slot", None)
    return body


def inspected(store: Store, ref: str) -> Body:
    return shown(services.found(store, "task", ref))


def listed(store: Store, filters: dict[str, list[str]]) -> list[Body]:
    """Raises UsageError, and NotFound for a service that there isn't."""
    services.check_filters(filters, FILTERS)
    for state in filters.get("desired-state", []):
        if state not in (*WANTED, *ENDS):
            raise UsageError(f"invalid task state {state}")
    wanted = {name: list(values) for name, values in filters.items()}
    for name in ("service", "node"):
        if name in wanted:
            wanted[name] = [_id(store, name, ref) for ref in wanted[name]]
    looked = Board(store, 0)
    return [shown(task) for task in looked.tasks.values() if _passes(looked, task, wanted)]


def _id(store: Store, kind: str, ref: str) -> str:
    """Names become ids; what there isn't has no tasks."""
    if kind == "service":
        return services.found(store, "service", ref).id
    named = [node.id for node in store.all("node") if (node.body.get("Description") or {}).get("Hostname") == ref]
    return named[0] if len(named) == 1 else ref


def _passes(looked: Board, task: Stored, wanted: dict[str, list[str]]) -> bool:
    if not services.has_labels(_labels(task), wanted.get("label", [])):
        return False
    return all(
        any(_matches(looked, task, name, value) for value in values)
        for name, values in wanted.items()
        if name != "label"
    )


def _labels(task: Stored) -> dict[str, str]:
    return (task.body["Spec"].get("ContainerSpec") or {}).get("Labels") or {}


def _matches(looked: Board, task: Stored, name: str, value: str) -> bool:
    of = str(task.body.get("ServiceID"))
    if name == "_up-to-date":
        service = looked.services.get(of)
        current = service is not None and not tasks.is_dirty(service, task, looked.nodes.get(node_of(task)))
        return current is (value.lower() in ("1", "true"))
    if name == "desired-state":
        return desired(task) == TaskState.of(value)
    if name == "name":
        return tasks.name(task).startswith(value)
    found = {"id": task.id, "service": of, "node": node_of(task), "runtime": "container"}[name]
    return found.startswith(value) if name == "id" else found == value


def of_service(store: Store, ref: str) -> list[Body]:
    """In order of slot, then of their making. Raises NotFound."""
    service = services.found(store, "service", ref)
    mine = [task for task in store.all("task") if task.body.get("ServiceID") == service.id]
    return [shown(task) for task in sorted(mine, key=lambda task: (slot_of(task), task.created))]
