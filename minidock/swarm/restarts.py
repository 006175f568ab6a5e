"""What ends, ends for good; the restart policy says whether another one takes its place, and when.

    Condition  any (the default) | on-failure | none        Delay  5 s, before the next starts
    MaxAttempts  0: without limit                           Window  only those within it count; 0: all

The new task is made at once, and waits in READY (its image is fetched meanwhile) until the delay is over and the old
one has stopped. How often a slot was started again stands in the newest task itself, so that history may be
thrown away.
"""

from __future__ import annotations

from minidock.swarm import tasks
from minidock.swarm.board import (
    Board,
    aside,
    availability,
    desired,
    is_down,
    is_job,
    newest,
    node_of,
    seconds,
    state,
)
from minidock.swarm.objects import Stored, TaskState, moment

DELAY = 5.0
PATIENCE = 60.0
"""Seconds that a task waits for the one before it to stop, then it starts beside it."""


def restart(board: Board, service: Stored, task: Stored) -> None:
    """`task` has ended, or its node has gone: shut it down for good, and make the next where the policy wants one."""
    if desired(task) == TaskState.READY and aside(task).get("NotBefore", 0) > board.now:
        return  # it failed before it was its turn: the delay holds for the next one, too
    if desired(task) > TaskState.COMPLETE:
        return
    shut = board.write(task, {"DesiredState": TaskState.SHUTDOWN.shown()})
    if shut is None or not should(service, shut):
        return
    node = board.nodes.get(node_of(task))
    policy = task.body["Spec"].get("RestartPolicy") or {}
    drained = node is not None and availability(node) == "drain"
    delay = 0.0 if drained else seconds(policy.get("Delay"), DELAY)
    waits = not (is_down(node) or state(task).ended or node is None)
    tasks.again(
        board,
        service,
        task,
        NotBefore=board.now + delay,
        Replaces=task.id if waits else "",
        Restarts=_remembered(service, shut, board.now),
    )


def should(service: Stored, task: Stored) -> bool:
    """By its policy: what is to be said of a task that has ended."""
    policy = task.body["Spec"].get("RestartPolicy") or {}
    condition = policy.get("Condition") or "any"
    completed = state(task) == TaskState.COMPLETE
    if condition == "none" or (completed and (condition == "on-failure" or is_job(service))):
        return False
    most = int(policy.get("MaxAttempts") or 0)
    return most == 0 or len(_counted(service, task)) < most


def _counted(service: Stored, task: Stored) -> list[float]:
    """When those that count were started again: none of an older specification, none from before the window."""
    if aside(task).get("SpecVersion") != tasks.version(service):
        return []
    window = seconds((task.body["Spec"].get("RestartPolicy") or {}).get("Window"), 0)
    ended = moment(task.body["Status"]["Timestamp"])
    history: list[float] = aside(task).get("Restarts") or []
    return [at for at in history if not window or at > ended - window]


def _remembered(service: Stored, task: Stored, now: float) -> list[float]:
    policy = task.body["Spec"].get("RestartPolicy") or {}
    return [*_counted(service, task), now] if policy.get("MaxAttempts") else []


def updatable(service: Stored, slot: list[Stored]) -> list[Stored]:
    """Of a slot those that an update has to look at: all that live, else the newest if nothing will replace it."""
    live = [task for task in slot if tasks.is_live(task)]
    if live or (service.body.get("UpdateStatus") or {}).get("State") == "rollback_started":
        return live
    last = newest(slot)
    return [] if should(service, last) else [last]


def reconcile(board: Board) -> None:
    """Those whose turn has come: READY → RUNNING, or COMPLETE for a job's."""
    for task in list(board.tasks.values()):
        if desired(task) == TaskState.READY and _is_due(board, task):
            final = TaskState.COMPLETE if task.body.get("JobIteration") else TaskState.RUNNING
            board.want(task, final)


def _is_due(board: Board, task: Stored) -> bool:
    notes = aside(task)
    if board.now < notes.get("NotBefore", 0):
        return False
    old = board.tasks.get(notes.get("Replaces") or "")
    if old is None or state(old).ended or state(old) < TaskState.ASSIGNED:
        return True
    node = board.nodes.get(node_of(old))
    return node is None or is_down(node) or board.now >= task.created + PATIENCE
