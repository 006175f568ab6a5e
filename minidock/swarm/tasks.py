"""Tasks: one container each, made once, started once, never moved to another node.

    NEW ─allocator─▶ PENDING ─scheduler─▶ ASSIGNED ─agent─▶ ACCEPTED PREPARING READY STARTING RUNNING
                                                            ─▶ COMPLETE | SHUTDOWN | FAILED | REJECTED

What is wrong with a task is mended by another one in the same slot (of a replicated service: a number from 1 on; of a
global one: the node). moby/swarmkit design/task_model.md tells why.
"""

from __future__ import annotations

from minidock.swarm import constraints
from minidock.swarm.board import ASIDE, Board, aside, desired, mode, node_of, slot_of, spec, state, template
from minidock.swarm.objects import Body, Stored, TaskState, stamp


def make(
    board: Board, service: Stored, slot: int = 0, node_id: str = "", *, wanted: TaskState | None = None, **notes: object
) -> Stored:
    """A new task of the service as it is now. Jobs' tasks are wanted COMPLETE, others RUNNING; READY waits first."""
    job = service.body.get("JobStatus")
    final = TaskState.COMPLETE if job else TaskState.RUNNING
    body: Body = {
        "Labels": {},
        "Spec": {name: value for name, value in template(service).items() if name != "Runtime"},
        "ServiceID": service.id,
        "Slot": slot,
        "NodeID": node_id,
        "Status": {"Timestamp": stamp(board.now), "State": "new", "Message": "created", "PortStatus": {}},
        "DesiredState": (final if wanted is None else wanted).shown(),
        ASIDE: {
            "Name": spec(service).get("Name", ""),
            "SpecVersion": version(service),
            "EndpointSpec": spec(service).get("EndpointSpec"),
            "Labels": spec(service).get("Labels") or {},
            "Auth": aside(service).get("Auth"),
            **notes,
        },
    }
    if job:
        body["JobIteration"] = {"Index": iteration(service)}
    return board.make("task", body)


def again(board: Board, service: Stored, old: Stored, **notes: object) -> Stored:
    """One in the place of `old`, that waits in READY until it may start."""
    node_id = node_of(old) if mode(service).startswith("Global") else ""
    return make(board, service, slot_of(old), node_id, wanted=TaskState.READY, **notes)


def version(service: Stored) -> int:
    """Of the specification: tasks made from the same one need no comparison."""
    return int(aside(service).get("SpecVersion", 0))


def iteration(service: Stored) -> int:
    """How often a job was begun anew by an update."""
    return int(((service.body.get("JobStatus") or {}).get("JobIteration") or {}).get("Index", 0))


def is_dirty(service: Stored, task: Stored, node: Stored | None) -> bool:
    """Was made from a specification that asks for another container than the service's does now.

    When only the placement has changed, a task may stay where its `node` is still good enough.
    """
    if aside(task).get("SpecVersion") == version(service):
        return False
    wanted = {name: value for name, value in template(service).items() if name != "Runtime"}
    made = task.body["Spec"]
    if wanted.get("Placement") != made.get("Placement") and {**wanted, "Placement": made.get("Placement")} == {
        **made,
        "Placement": made.get("Placement"),
    }:
        rules = (wanted.get("Placement") or {}).get("Constraints") or []
        return node is None or not constraints.meets(node, rules)
    return bool(wanted != made or spec(service).get("EndpointSpec") != aside(task).get("EndpointSpec"))


def slots(tasks: list[Stored]) -> dict[int, list[Stored]]:
    found: dict[int, list[Stored]] = {}
    for task in tasks:
        found.setdefault(slot_of(task), []).append(task)
    return found


def is_live(task: Stored) -> bool:
    """May run, runs, or is wanted to: it counts as one of those that were asked for."""
    return desired(task) <= TaskState.RUNNING


def name(task: Stored) -> str:
    """As `service ps` and the container have it: `web.1.ID`, of a global service `web.NODE.ID`."""
    return f"{aside(task).get('Name', '')}.{slot_of(task) or node_of(task)}.{task.id}"


def has_ended(task: Stored) -> bool:
    return state(task).ended
