"""Which node a task goes to: of those that pass the filters, the one with the fewest tasks of the same service.

    filters (filters.py) ─▶ preferences (spread over the values of a label) ─▶ fewest of this service ─▶ fewest in all

A node on which the service has failed five times within five minutes comes last. A task that fits nowhere stays PENDING
and says why; it is tried again at every pass. Tasks of global services have their node already; it is only asked.
"""

from __future__ import annotations

from minidock.swarm import constraints
from minidock.swarm.board import Board, desired, node_of, state
from minidock.swarm.filters import FILTERS, Place, placement, places
from minidock.swarm.objects import Stored, TaskState, moment

MOST_FAILURES, WITHIN = 5, 300.0
CHOSEN, CONFIRMED = "scheduler assigned task to node", "scheduler confirmed task can run on preassigned node"


def reconcile(board: Board) -> None:
    waiting = [task for task in board.tasks.values() if state(task) == TaskState.PENDING]
    if not waiting:
        return
    at = places(board)
    for task in sorted(waiting, key=lambda task: (task.created, task.body.get("Slot", 0))):
        if desired(task) > TaskState.COMPLETE:
            board.status(task, TaskState.SHUTDOWN, "task was shut down before it had a node")
        elif node_of(task):
            _confirm(board, at, task)
        else:
            _assign(board, at, task)


def _confirm(board: Board, everywhere: list[Place], task: Stored) -> None:
    at = [place for place in everywhere if place.node.id == node_of(task)]
    if found := fitting(at, task):
        if assigned := board.status(task, TaskState.ASSIGNED, CONFIRMED):
            found[0].tasks.append(assigned)
    else:
        _explain(board, task, explained(at, task))


def _assign(board: Board, at: list[Place], task: Stored) -> None:
    found = fitting(at, task)
    if not found:
        why = explained(at, task)
        _explain(board, task, f"no suitable node ({why})" if why else "no suitable node")
        return
    place = _chosen(board, found, task)
    placed = board.write(task, {"NodeID": place.node.id})
    assigned = placed and board.status(placed, TaskState.ASSIGNED, CHOSEN)
    if assigned:
        place.tasks.append(assigned)


def _explain(board: Board, task: Stored, why: str) -> None:
    """Once: to say the same again would be a change, and so another pass, for ever."""
    if task.body["Status"].get("Err") != why:
        board.status(task, TaskState.PENDING, "pending task scheduling", why)


def fitting(at: list[Place], task: Stored) -> list[Place]:
    return [place for place in at if all(passes(place, task) for passes, _, _ in FILTERS)]


def explained(at: list[Place], task: Stored) -> str:
    """Which filter each node failed first, the commonest reason first."""
    failed: dict[int, int] = {}
    for place in at:
        first = next((number for number, (passes, _, _) in enumerate(FILTERS) if not passes(place, task)), None)
        if first is not None:
            failed[first] = failed.get(first, 0) + 1
    reasons = sorted(failed.items(), key=lambda pair: -pair[1])
    return "; ".join(
        FILTERS[number][1] if count == 1 else FILTERS[number][2].format(count) for number, count in reasons
    )


# Preferences, then the emptiest


def _chosen(board: Board, found: list[Place], task: Stored) -> Place:
    service = task.body.get("ServiceID")
    for preference in placement(task).get("Preferences") or []:
        found = _least_used(found, str((preference.get("Spread") or {}).get("SpreadDescriptor", "")), service)
    return min(
        found,
        key=lambda place: (_failures(board, place, task), place.of(service), len(place.tasks), place.node.id),
    )


def _least_used(found: list[Place], label: str, service: object) -> list[Place]:
    """Nodes are grouped by their value of the label; nodes without it are a group, too."""
    groups: dict[str, list[Place]] = {}
    for place in found:
        groups.setdefault(_value(place.node, label), []).append(place)
    return min(groups.values(), key=lambda group: sum(place.of(service) for place in group))


def _value(node: Stored, label: str) -> str:
    for prefix, labels in (("node.labels.", constraints.node_labels), ("engine.labels.", constraints.engine_labels)):
        if label.startswith(prefix):
            return labels(node).get(label.removeprefix(prefix), "")
    return ""


def _failures(board: Board, place: Place, task: Stored) -> int:
    """How often this service failed there of late; a few times are nobody's fault."""
    failed = [
        other
        for other in board.of(str(task.body.get("ServiceID")))
        if node_of(other) == place.node.id
        and state(other) in (TaskState.FAILED, TaskState.REJECTED)
        and moment(other.body["Status"]["Timestamp"]) > board.now - WITHIN
    ]
    return len(failed) if len(failed) >= MOST_FAILURES else 0
