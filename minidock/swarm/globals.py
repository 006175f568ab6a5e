"""Global services: one task on every node that meets the constraints, and on none else.

The slot is the node. A node that comes gets its task by itself; one that is drained,
goes down or stops to fit loses it.
"""

from __future__ import annotations

from minidock.swarm import constraints, restarts, tasks, updates
from minidock.swarm.board import Board, availability, desired, is_usable, mode, node_of, state, template
from minidock.swarm.objects import Stored, TaskState


def reconcile(board: Board) -> None:
    for service in list(board.services.values()):
        if mode(service) == "Global":
            _mend(board, service)
            _spread(board, board.services[service.id])


def rules(service: Stored) -> list[str]:
    return (template(service).get("Placement") or {}).get("Constraints") or []


def fits(service: Stored, node: Stored) -> bool:
    return is_usable(node) and constraints.meets(node, rules(service))


def _mend(board: Board, service: Stored) -> None:
    for task in board.of(service.id):
        if desired(task) > TaskState.RUNNING:
            continue
        node = board.nodes.get(node_of(task))
        if node is None or not fits(service, node):
            board.want(task, TaskState.SHUTDOWN)
        elif state(task).ended:
            if availability(node) == "pause":
                board.want(task, TaskState.SHUTDOWN)
            else:
                restarts.restart(board, service, task)


def _spread(board: Board, service: Stored) -> None:
    by_node: dict[str, list[Stored]] = {}
    for task in board.of(service.id):
        by_node.setdefault(node_of(task), []).append(task)
    kept = []
    for node in board.nodes.values():
        if not fits(service, node) or availability(node) == "pause":
            continue
        slot = by_node.get(node.id, [])
        live = restarts.updatable(service, slot) if slot else []
        if live:
            kept.append(live)
        else:
            tasks.make(board, service, 0, node.id)
    updates.update(board, service, kept)
