"""On which nodes a task may run: a row of questions, each with what is said when no node passes it.

Ready, Resource, Constraint, Platform, HostPort, MaxReplicas: moby/swarmkit manager/scheduler/filter.go, and its words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from minidock.swarm import constraints
from minidock.swarm.board import Board, aside, availability, desired, node_of, state
from minidock.swarm.objects import Body, Stored, TaskState


class Place(NamedTuple):
    """A node as the scheduler weighs it: what is on it already. Of an unknown size is one that says none."""

    node: Stored
    tasks: list[Stored]

    def of(self, service_id: object) -> int:
        return sum(task.body.get("ServiceID") == service_id for task in self.tasks)


def places(board: Board) -> list[Place]:
    found = {node.id: Place(node, []) for node in board.nodes.values()}
    for task in board.tasks.values():
        if node_of(task) in found and holds(task):
            found[node_of(task)].tasks.append(task)
    return list(found.values())


def holds(task: Stored) -> bool:
    """Takes up room where it is: wanted there, or not stopped yet."""
    return not state(task).ended and state(task) >= TaskState.ASSIGNED and desired(task) <= TaskState.COMPLETE


def ready(place: Place, task: Stored) -> bool:
    status = place.node.body.get("Status") or {}
    return status.get("State") == "ready" and availability(place.node) == "active"


def resources(place: Place, task: Stored) -> bool:
    has = (place.node.body.get("Description") or {}).get("Resources") or {}
    for name in ("NanoCPUs", "MemoryBytes"):
        wanted = reserved(task).get(name) or 0
        if wanted and wanted + sum(reserved(other).get(name) or 0 for other in place.tasks) > (has.get(name) or 0):
            return False
    offered = {_kind(each): _amount(each) for each in has.get("GenericResources") or []}
    for each in reserved(task).get("GenericResources") or []:
        used = sum(
            _amount(other)
            for beside in place.tasks
            for other in reserved(beside).get("GenericResources") or []
            if _kind(other) == _kind(each)
        )
        if used + _amount(each) > offered.get(_kind(each), 0):
            return False
    return True


def reserved(task: Stored) -> Body:
    found: Body = (task.body["Spec"].get("Resources") or {}).get("Reservations") or {}
    return found


def _kind(resource: Body) -> str:
    said = resource.get("DiscreteResourceSpec") or resource.get("NamedResourceSpec") or {}
    return str(said.get("Kind", ""))


def _amount(resource: Body) -> int:
    return int((resource.get("DiscreteResourceSpec") or {}).get("Value", 1))


def placement(task: Stored) -> Body:
    found: Body = task.body["Spec"].get("Placement") or {}
    return found


def constrained(place: Place, task: Stored) -> bool:
    return constraints.meets(place.node, placement(task).get("Constraints") or [])


ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def platform(place: Place, task: Stored) -> bool:
    wanted = placement(task).get("Platforms") or []
    has = (place.node.body.get("Description") or {}).get("Platform") or {}
    return not wanted or any(
        each.get("OS", "") in ("", has.get("OS")) and _architecture(each) in ("", _architecture(has)) for each in wanted
    )


def _architecture(said: Body) -> str:
    word = str(said.get("Architecture") or "")
    return ARCHITECTURES.get(word, word)


def host_ports(place: Place, task: Stored) -> bool:
    return not any(held(task) & held(other) for other in place.tasks)


def held(task: Stored) -> set[tuple[str, int]]:
    """Ports of mode `host` that were asked for by number."""
    return {
        (port.get("Protocol", "tcp"), port["PublishedPort"])
        for port in (aside(task).get("EndpointSpec") or {}).get("Ports") or []
        if port.get("PublishMode") == "host" and port.get("PublishedPort")
    }


def few_enough(place: Place, task: Stored) -> bool:
    most = placement(task).get("MaxReplicas") or 0
    return not most or place.of(task.body.get("ServiceID")) < most


Filter = Callable[[Place, Stored], bool]
FILTERS: tuple[tuple[Filter, str, str], ...] = (
    (ready, "1 node not available for new tasks", "{} nodes not available for new tasks"),
    (resources, "insufficient resources on 1 node", "insufficient resources on {} nodes"),
    (constrained, "scheduling constraints not satisfied on 1 node", "scheduling constraints not satisfied on {} nodes"),
    (platform, "unsupported platform on 1 node", "unsupported platform on {} nodes"),
    (host_ports, "host-mode port already in use on 1 node", "host-mode port already in use on {} nodes"),
    (few_enough, "max replicas per node limit exceed", "max replicas per node limit exceed"),
)
