"""Replicated services: as many slots as were asked for, each with one task that runs.

Too few: new tasks in the lowest free slots. Too many: those go first that don't run, from the nodes that have most,
from the highest slot down. What is out of date is a matter of the rolling update (updates.py).
"""

from __future__ import annotations

from minidock.swarm import restarts, tasks, updates
from minidock.swarm.board import Board, desired, is_usable, mode, node_of, spec, state
from minidock.swarm.objects import Stored, TaskState


def reconcile(board: Board) -> None:
    for service in list(board.services.values()):
        if mode(service) == "Replicated":
            _mend(board, service)
            _count(board, board.services[service.id])


def _mend(board: Board, service: Stored) -> None:
    """What has ended by itself, and what is on a node that can't have it any more."""
    for task in board.of(service.id):
        if desired(task) > TaskState.RUNNING:
            continue
        if state(task).ended or (node_of(task) and not is_usable(board.nodes.get(node_of(task)))):
            restarts.restart(board, service, task)


def replicas(service: Stored) -> int:
    said = ((spec(service).get("Mode") or {}).get("Replicated") or {}).get("Replicas")
    return 1 if said is None else int(said)


def _count(board: Board, service: Stored) -> None:
    slots = tasks.slots(board.of(service.id))
    running = {slot: live for slot, each in slots.items() if (live := restarts.updatable(service, each))}
    wanted = replicas(service)
    kept = list(running.values())
    if wanted > len(running):
        _add(board, service, running, slots, wanted - len(running))
    elif wanted < len(running):
        kept = _in_order(list(running.values()))
        for slot in kept[wanted:]:
            for task in slot:
                board.want(task, TaskState.REMOVE)
        kept = kept[:wanted]
    for number, each in slots.items():
        if number not in running:
            for task in each:  # nothing lives in it, and nothing will: its history goes, too
                _forget(board, task)
    updates.update(board, service, kept)


def _add(
    board: Board, service: Stored, running: dict[int, list[Stored]], slots: dict[int, list[Stored]], count: int
) -> None:
    number = 0
    for _ in range(count):
        number += 1
        while number in running:
            number += 1
        slots.pop(number, None)  # a slot that is used again keeps its history
        tasks.make(board, service, number)


def _forget(board: Board, task: Stored) -> None:
    """Once it has ended: until then the agent needs it, to know what to stop."""
    if state(task).ended or state(task) < TaskState.ASSIGNED:
        board.drop(task)
    else:
        board.want(task, TaskState.REMOVE)


def _in_order(slots: list[list[Stored]]) -> list[list[Stored]]:
    """Those to keep first: what runs, spread over the nodes."""
    slots.sort(key=lambda slot: (not any(state(task) == TaskState.RUNNING for task in slot), slot[0].body["Slot"]))
    seen: dict[str, int] = {}
    ranks = []
    for slot in slots:
        node = node_of(slot[0]) if len(slot) == 1 else ""
        if node:
            seen[node] = seen.get(node, 0) + 1
        ranks.append(seen[node] if node else len(slots) + 1)  # on no node yet: goes before all others
    return [slot for _, slot in sorted(zip(ranks, slots, strict=True), key=lambda pair: pair[0])]
