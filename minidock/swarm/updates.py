"""Rolling updates: the tasks of an older specification are replaced, a few at a time, and failures are counted.

    Parallelism    slots that are busy at a time (0: all)          Order      stop-first | start-first
    Delay          between one slot's new task running and the next   Monitor    how long a new task must hold out
    FailureAction  pause | continue | rollback, once more than MaxFailureRatio of the slots have failed

How far it has come stands in the service (`Aside.Update`) and in the tasks that it made (`Aside.ByUpdate`,
`RunningAt`): an update goes on under the next leader.
"""

from __future__ import annotations

from typing import Any

from minidock.swarm import tasks
from minidock.swarm.board import ASIDE, Board, aside, desired, node_of, seconds, spec, state
from minidock.swarm.objects import Body, Stored, TaskState, moment, stamp

MONITOR = 5.0
DEFAULTS: Body = {"Parallelism": 1, "FailureAction": "pause", "Order": "stop-first"}
GOING, BACK = "updating", "rollback_started"
FAILED = (TaskState.FAILED, TaskState.REJECTED, TaskState.COMPLETE)
"""A task that ended in one of these did so by itself: also a good end is too early a one."""


def update(board: Board, service: Stored, slots: list[list[Stored]]) -> None:
    """One step. `slots` are those that live (or never will again), each with its tasks."""
    service = board.services.get(service.id, service)
    if _state(service) in ("paused", "rollback_paused"):
        return
    mine = _made(board, service)
    dirty = [slot for slot in slots if len(slot) > 1 or _is_dirty(board, service, slot[0])]
    if not dirty and not aside(service).get("Update"):
        if _state(service) in (GOING, BACK):
            _complete(board, service)
        return
    begun = _begun(board, service, len(dirty))
    if begun is None or _fails(board, begun, mine):
        return
    busy = _stop_old_ones(board, begun, slots, mine)
    room = int(_config(begun).get("Parallelism", 1)) or len(slots)
    for slot in dirty:
        if busy >= room:
            break
        if not any(task.id in mine or not _is_dirty(board, begun, task) for task in slot):
            _replace(board, begun, slot)
            busy += 1
    if not dirty and not busy:
        _watch(board, begun)


def _is_dirty(board: Board, service: Stored, task: Stored) -> bool:
    return tasks.is_dirty(service, task, board.nodes.get(node_of(task)))


def _state(service: Stored) -> str:
    return str((service.body.get("UpdateStatus") or {}).get("State") or "")


def _config(service: Stored) -> Body:
    name = "RollbackConfig" if _state(service) == BACK else "UpdateConfig"
    return {**DEFAULTS, **(spec(service).get(name) or {})}


def _made(board: Board, service: Stored) -> dict[str, Stored]:
    """The tasks that this update has made, by id, each with the time since which it runs."""
    run = (aside(service).get("Update") or {}).get("Number")
    found = {}
    for task in board.of(service.id):
        if run is not None and aside(task).get("ByUpdate") == run:
            if state(task) >= TaskState.RUNNING and "RunningAt" not in aside(task):
                task = board.note(task, RunningAt=board.now) or task
            found[task.id] = task
    return found


def _begun(board: Board, service: Stored, dirty: int) -> Stored | None:
    """With its notes; the first time it says that an update is in progress."""
    if aside(service).get("Update"):
        return service
    changes: dict[str, Any] = {ASIDE: {**aside(service), "Update": {"Number": service.revision, "Total": dirty}}}
    if not service.body.get("UpdateStatus"):
        changes["UpdateStatus"] = {
            "State": GOING,
            "StartedAt": stamp(board.now),
            "Message": "update in progress",
        }
    return board.write(service, changes)


# Slots


def _replace(board: Board, service: Stored, slot: list[Stored]) -> None:
    run = aside(service)["Update"]["Number"]
    first = _config(service).get("Order") == "start-first"
    stopped = next((task for task in slot if not state(task).ended), None)
    tasks.again(
        board, service, slot[0], ByUpdate=run, Replaces="" if first or stopped is None else stopped.id, First=first
    )
    if not first:
        for task in slot:
            board.want(task, TaskState.SHUTDOWN)


def _stop_old_ones(board: Board, service: Stored, slots: list[list[Stored]], mine: dict[str, Stored]) -> int:
    """How many slots are busy. Where a new task runs beside the old ones (start-first) these are stopped now."""
    delay = seconds(_config(service).get("Delay"), 0)
    for slot in slots:
        clean = [task for task in slot if not _is_dirty(board, service, task)]
        if len(slot) > 1 and clean and (state(clean[0]) == TaskState.RUNNING or not aside(clean[0]).get("First")):
            for task in slot:
                if task.id != clean[0].id:
                    board.want(task, TaskState.SHUTDOWN)
    return sum(_is_busy(task, board.now, delay) for task in mine.values())


def _is_busy(task: Stored, now: float, delay: float) -> bool:
    """Until it runs, and then for as long as the next one has to wait."""
    since = aside(task).get("RunningAt")
    if since is None:
        return desired(task) <= TaskState.RUNNING
    return bool(now < since + delay)


# Failures, and the end


def _fails(board: Board, service: Stored, mine: dict[str, Stored]) -> bool:
    """Whether that is the end of it. Every task counts once, and only while it is watched."""
    config = _config(service)
    action = config.get("FailureAction") or "pause"
    if action == "continue":
        return False
    monitor = seconds(config.get("Monitor"), MONITOR)
    failed = [task.id for task in mine.values() if state(task) in FAILED and _early(task, monitor)]
    total = aside(service)["Update"]["Total"] or 1
    if not failed or len(failed) / total <= float(config.get("MaxFailureRatio") or 0):
        return False
    why = f"due to failure or early termination of task {failed[-1]}"
    if _state(service) == BACK:
        _say(board, service, "rollback_paused", f"rollback paused {why}")
    elif action == "rollback" and service.body.get("PreviousSpec"):
        _roll_back(board, service, f"update rolled back {why}")
    else:
        _say(board, service, "paused", f"update paused {why}")
    return True


def _early(task: Stored, monitor: float) -> bool:
    since = aside(task).get("RunningAt")
    return since is None or moment(task.body["Status"]["Timestamp"]) - since <= monitor


def _say(board: Board, service: Stored, said: str, message: str, **more: str) -> None:
    board.write(
        service,
        {"UpdateStatus": {**(service.body.get("UpdateStatus") or {}), "State": said, "Message": message, **more}},
    )


def _roll_back(board: Board, service: Stored, message: str) -> None:
    notes = {**aside(service), "SpecVersion": aside(service).get("PreviousSpecVersion", 0)}
    notes.pop("Update", None)
    status = {**(service.body.get("UpdateStatus") or {}), "State": BACK, "Message": message}
    board.write(
        service,
        {"Spec": service.body["PreviousSpec"], "PreviousSpec": None, "UpdateStatus": status, ASIDE: notes},
    )


def _watch(board: Board, service: Stored) -> None:
    """All are replaced: for one monitoring period more failures count, then it is done."""
    notes = aside(service)["Update"]
    config = _config(service)
    if "Until" not in notes:
        monitor, delay = seconds(config.get("Monitor"), MONITOR), seconds(config.get("Delay"), 0)
        board.note(service, Update={**notes, "Until": board.now + (delay + 1 if delay >= monitor else monitor)})
    elif board.now >= notes["Until"]:
        _complete(board, service)


def _complete(board: Board, service: Stored) -> None:
    notes = {name: value for name, value in aside(service).items() if name != "Update"}
    clean = board.write(service, {ASIDE: notes})
    if clean is None:
        return
    back = _state(clean) == BACK
    said, message = ("rollback_completed", "rollback completed") if back else ("completed", "update completed")
    _say(board, clean, said, message, CompletedAt=stamp(board.now))
