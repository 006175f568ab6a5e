"""What nobody needs any more: tasks of services that were removed, and all but the last few of a slot's history."""

from __future__ import annotations

from minidock.swarm.board import Board, desired, mode, node_of, slot_of, spec, state, template
from minidock.swarm.objects import Stored, TaskState

HISTORY = 5
"""Tasks kept of a slot where the swarm doesn't say (`swarm update --task-history-limit`)."""


def reconcile(board: Board) -> None:
    for task in list(board.tasks.values()):
        if task.body.get("ServiceID") and task.body["ServiceID"] not in board.services:
            task = board.want(task, TaskState.REMOVE) or task
        if desired(task) == TaskState.REMOVE and _is_gone(task):
            board.drop(task)
    for service in board.services.values():
        if mode(service) in ("Replicated", "Global"):
            _trim(board, service)


def _is_gone(task: Stored) -> bool:
    """No agent has it yet, or its agent has said that it has ended."""
    return state(task).ended or state(task) < TaskState.ASSIGNED


def _trim(board: Board, service: Stored) -> None:
    """The oldest first. One that may be restarted only so often keeps as many as that takes to see."""
    most = int((template(service).get("RestartPolicy") or {}).get("MaxAttempts") or 0)
    limit = most + 1 if most else _limit(board)
    if limit < 0:
        return
    slots: dict[object, list[Stored]] = {}
    for task in board.of(service.id):
        slots.setdefault(node_of(task) if mode(service) == "Global" else slot_of(task), []).append(task)
    for slot in slots.values():
        spare = len(slot) - limit
        for task in sorted(slot, key=lambda each: (each.created, each.revision)):
            if spare > 0 and desired(task) > TaskState.RUNNING and _is_gone(task):  # else it is still to be restarted
                board.drop(task)
                spare -= 1


def _limit(board: Board) -> int:
    orchestration = (spec(board.cluster).get("Orchestration") or {}) if board.cluster else {}
    found = orchestration.get("TaskHistoryRetentionLimit")
    return HISTORY if found is None else int(found)
