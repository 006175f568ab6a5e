"""Jobs: tasks that are to end well, as often as asked. What has ended well is done; what failed is tried again.

    replicated-job   TotalCompletions slots, of which at most MaxConcurrent are busy at a time
    global-job       one on every node that fits at the moment, each until it is complete

An update begins the next iteration: the tasks of the one before are removed.
"""

from __future__ import annotations

from minidock.swarm import globals as everywhere
from minidock.swarm import restarts, tasks
from minidock.swarm.board import Board, availability, desired, is_usable, mode, node_of, slot_of, spec, state
from minidock.swarm.objects import Stored, TaskState


def reconcile(board: Board) -> None:
    for service in list(board.services.values()):
        if mode(service) == "ReplicatedJob":
            _replicated(board, service, _current(board, service))
        elif mode(service) == "GlobalJob":
            _global(board, service, _current(board, service))


def numbers(service: Stored) -> tuple[int, int]:
    """(at a time, in all). Nothing said: one; only one of both said: the other is the same."""
    said = (spec(service).get("Mode") or {}).get("ReplicatedJob") or {}
    most, total = said.get("MaxConcurrent"), said.get("TotalCompletions")
    most = 1 if most is None else int(most)
    return most, most if total is None else int(total)


def _current(board: Board, service: Stored) -> list[Stored]:
    """This iteration's tasks; older ones are told to go."""
    now = tasks.iteration(service)
    current = []
    for task in board.of(service.id):
        if int((task.body.get("JobIteration") or {}).get("Index", 0)) == now:
            current.append(task)
        else:
            board.want(task, TaskState.REMOVE)
    return current


def _replicated(board: Board, service: Stored, current: list[Stored]) -> None:
    complete = [task for task in current if state(task) == TaskState.COMPLETE]
    busy = [task for task in current if task not in complete and desired(task) <= TaskState.COMPLETE]
    taken = {slot_of(task) for task in (*complete, *busy)}
    most, total = numbers(service)
    free = iter([slot for slot in range(total) if slot not in taken])
    for _ in range(min(most - len(busy), total - len(complete) - len(busy))):
        tasks.make(board, service, next(free))
    for task in busy:
        lost = node_of(task) and not is_usable(board.nodes.get(node_of(task)))
        if state(task) > TaskState.COMPLETE or lost:
            restarts.restart(board, service, task)


def _global(board: Board, service: Stored, current: list[Stored]) -> None:
    wanted = {node_of(task): task for task in current if desired(task) <= TaskState.COMPLETE}
    given_up = {node_of(task) for task in current if task.id not in {each.id for each in wanted.values()}}
    for node in board.nodes.values():
        lacks = node.id not in wanted and (node.id not in given_up or _was_lost(current, node.id))
        if lacks and everywhere.fits(service, node) and availability(node) == "active":
            tasks.make(board, service, 0, node.id)
    for task in wanted.values():
        if state(task) == TaskState.COMPLETE:
            continue
        if not is_usable(board.nodes.get(node_of(task))):
            board.want(task, TaskState.SHUTDOWN)
        elif state(task) > TaskState.COMPLETE:
            restarts.restart(board, service, task)


def _was_lost(current: list[Stored], node_id: str) -> bool:
    """Its last task there ended only because the node had gone: it is tried once more."""
    return all(state(task) in (TaskState.SHUTDOWN, TaskState.ORPHANED) for task in current if node_of(task) == node_id)
