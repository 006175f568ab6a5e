"""Tasks whose node doesn't meet the constraints any more, or has gone: said of them here, mended by the orchestrators.

A constraint may stop to hold when a node's label or role changes. A node that was removed, or has been down for a day,
will never report the end of its tasks: they are ORPHANED, and no longer in the way of what is counted or forgotten.
(moby/swarmkit manager/orchestrator/constraintenforcer; manager/dispatcher, moveTasksToOrphaned)
"""

from __future__ import annotations

from minidock.swarm import constraints
from minidock.swarm.board import Board, aside, desired, node_of, state, template
from minidock.swarm.nodes import DOWN_SINCE
from minidock.swarm.objects import Stored, TaskState

DAY = 24 * 3600.0
"""Seconds that a node may be down before nobody waits for it: swarmkit's defaultNodeDownPeriod."""


def reconcile(board: Board) -> None:
    for task in list(board.tasks.values()):
        if not node_of(task) or state(task).ended:
            continue
        node = board.nodes.get(node_of(task))
        if node is None:
            board.status(task, TaskState.ORPHANED, "the task's node was removed from the swarm")
        elif state(task) >= TaskState.ASSIGNED and board.now - aside(node).get(DOWN_SINCE, board.now) > DAY:
            board.status(task, TaskState.ORPHANED, "the task's node has been down for a day")
        elif TaskState.ASSIGNED <= desired(task) <= TaskState.COMPLETE and not constraints.meets(
            node, _rules(board, task)
        ):
            board.status(
                task,
                TaskState.REJECTED,
                "task rejected by constraint enforcer",
                "assigned node no longer meets constraints",
            )


def _rules(board: Board, task: Stored) -> list[str]:
    """The service's as they are now: a change of constraints alone doesn't make a task anew."""
    service = board.services.get(str(task.body.get("ServiceID")))
    placement = (template(service) if service else task.body["Spec"]).get("Placement") or {}
    return placement.get("Constraints") or []
