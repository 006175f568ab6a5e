"""What a node is told to run, and what it says of that: the store's side of the dispatcher.

A node is always told the whole: its tasks, the secrets and configs that those use, and who is on their networks. So
nothing has to be kept of what it was told before, and a new leader goes on where the last one was.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping

from minidock.errors import NotFound
from minidock.swarm import admission, cluster, kept, landscape, nodes
from minidock.swarm.objects import Body, Stored, TaskState
from minidock.swarm.store import OutOfSequence, Store


def news(store: Store, id: str) -> Body:
    """What every node must know: what it is to be, who manages, how often it must be heard of.

    Raises NotFound when it was removed.
    """
    node = store.get("node", id)
    if node is None:
        raise NotFound(f"node {id} not found")
    current = cluster.only(store)
    return {
        "role": nodes.role(node),
        "managers": admission.addresses_of(store),
        "heartbeat": cluster.heartbeat(current),
        "locked": cluster.unlock_key(current) is not None,
    }


def of(store: Store, id: str) -> Body:
    """`tasks` with what is noted aside; by id `secrets`, `configs` and `networks` (landscape.py); the news.

    `version` differs when anything does.
    """
    tasks = [task.shown() for task in store.all("task") if _is_for(task, id)]
    found: Body = {
        "tasks": tasks,
        "secrets": _used(store, kept.SECRET, tasks),
        "configs": _used(store, kept.CONFIG, tasks),
        "networks": landscape.of(store, id),
        "news": news(store, id),
    }
    version = hashlib.sha256(json.dumps([_wanted(found), found["news"]], sort_keys=True).encode()).hexdigest()
    return {**found, "version": version}


def _is_for(task: Stored, id: str) -> bool:
    state = TaskState.of(task.body["Status"]["State"])
    return task.body.get("NodeID") == id and state >= TaskState.ASSIGNED


def _wanted(found: Body) -> Body:
    """Without what the node itself has said: its own words are no news to it."""
    tasks = [
        {name: value for name, value in task.items() if name not in ("Status", "Version", "UpdatedAt")}
        for task in found["tasks"]
    ]
    return {**{name: found[name] for name in ("secrets", "configs", "networks")}, "tasks": tasks}


def _used(store: Store, sort: kept.Sort, tasks: list[Body]) -> Body:
    field = sort.kind.capitalize()
    used = {}
    for task in filter(_may_run, tasks):
        for one in (task["Spec"].get("ContainerSpec") or {}).get(f"{field}s") or []:
            stored = store.get(sort.kind, str(one.get(f"{field}ID")))
            if stored is not None:
                used[stored.id] = stored.body["Spec"]
    return used


def _may_run(task: Body) -> bool:
    """Of a task that is over nothing is told any more: its node may have no other that uses the secret."""
    return not TaskState.of(task["Status"]["State"]).ended and TaskState.of(task["DesiredState"]) <= TaskState.COMPLETE


def report(store: Store, id: str, updates: Mapping[str, Body]) -> None:
    """How the node's tasks are; never backwards, and never of another node's."""
    for task_id, status in updates.items():
        while (task := store.get("task", task_id)) is not None and task.body.get("NodeID") == id:
            if TaskState.of(status["State"]) < TaskState.of(task.body["Status"]["State"]):
                break
            body = {**copy.deepcopy(task.body), "Status": status}
            try:
                store.update("task", task_id, body, task.revision)
                break
            except OutOfSequence:
                continue
