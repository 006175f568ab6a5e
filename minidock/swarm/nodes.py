"""The nodes of a swarm as objects of its store: who joins, what is changed about them, who may go.

A node's body is what the API shows. `Spec` is what people want of it (role, availability, labels), `Description` and
`Status` are what it and the dispatcher say; `Role` is what its certificate says, which follows Spec.Role.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from minidock.errors import MinidockError, NotFound, UsageError
from minidock.swarm.board import ASIDE
from minidock.swarm.cluster import SEQUENCE
from minidock.swarm.objects import Body, Stored
from minidock.swarm.store import OutOfSequence, Store

DOWN_SINCE = "DownSince"
"""Of what is noted aside: Unix seconds. It must outlive the leader that has missed the heartbeats."""
ROLES, AVAILABILITIES = ("worker", "manager"), ("active", "pause", "drain")
DATA_PATH = "DataPath"
"""Aside of a node: its address for what its containers send to those of other nodes, where it isn't the usual one."""
FILTERS = ("id", "label", "membership", "name", "node.label", "role")


def new(role: str, availability: str, address: str) -> Body:
    """A node that has just been let in, and hasn't been heard of yet."""
    return {
        "Spec": {"Labels": {}, "Role": role, "Availability": availability or "active"},
        "Description": {},
        "Status": {"State": "unknown", "Addr": address},
    }


def find(store: Store, ref: str) -> Stored:
    """By id, name or host name, or the beginning of an id. Raises NotFound, UsageError for what fits several."""
    exact = store.get("node", ref)
    if exact is not None:
        return exact
    nodes = store.all("node")
    for fitting in (
        [node for node in nodes if hostname(node) == ref],
        [node for node in nodes if ref and node.id.startswith(ref)],
    ):
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UsageError(f"node {ref} is ambiguous ({len(fitting)} matches found)")
    raise NotFound(f"node {ref} not found")


def hostname(node: Stored) -> str:
    return str(node.body["Description"].get("Hostname", ""))


def shown(node: Stored) -> Body:
    """API `Node`."""
    return {name: value for name, value in node.shown().items() if name != ASIDE and value is not None}


def listed(store: Store, filters: Mapping[str, Sequence[str]]) -> list[Body]:
    """Raises UsageError for a filter that isn't one, MinidockError for a value that can't be."""
    for name in filters:
        if name not in FILTERS:
            raise UsageError(f"Invalid filter '{name}'")
    for role in filters.get("role", ()):
        if role not in ROLES:
            raise MinidockError(f"Invalid role filter: '{role}'")
    for state in filters.get("membership", ()):
        if state not in ("accepted", "pending"):
            raise MinidockError(f"Invalid membership filter: '{state}'")
    return [shown(node) for node in store.all("node") if _fits(node, filters)]


def _fits(node: Stored, filters: Mapping[str, Sequence[str]]) -> bool:
    engine = node.body["Description"].get("Engine") or {}
    words: dict[str, bool] = {
        "id": any(node.id.startswith(value) for value in filters.get("id", ())),
        "name": any(hostname(node).startswith(value) for value in filters.get("name", ())),
        "role": node.body["Spec"]["Role"] in filters.get("role", ()),
        "membership": "accepted" in filters.get("membership", ()),
        "label": labelled(engine.get("Labels") or {}, filters.get("label", ())),
        "node.label": labelled(node.body["Spec"]["Labels"], filters.get("node.label", ())),
    }
    return all(words[name] for name, values in filters.items() if values)


def labelled(labels: Mapping[str, str], wanted: Sequence[str]) -> bool:
    """All of them: `key`, or `key=value`."""
    for word in wanted:
        key, equals, value = word.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def update(store: Store, ref: str, version: int, given: Body) -> tuple[Stored, Stored]:
    """What people want of it; → as it was, as it is. Raises UsageError, NotFound, MinidockError."""
    role, availability = str(given.get("Role") or "").lower(), str(given.get("Availability") or "").lower()
    if role not in ROLES:
        raise UsageError(f'invalid Role: "{given.get("Role") or ""}"')
    if availability not in AVAILABILITIES:
        raise UsageError(f'invalid Availability: "{given.get("Availability") or ""}"')
    old = find(store, ref)
    if old.revision != version:
        raise MinidockError(SEQUENCE)
    if role == "worker" and old.body["Spec"]["Role"] == "manager" and len(managers(store)) == 1:
        raise _not_now("attempting to demote the last manager of the swarm")
    spec: Body = {"Labels": given.get("Labels") or {}, "Role": role, "Availability": availability}
    if given.get("Name"):
        spec["Name"] = given["Name"]
    try:
        return old, store.update("node", old.id, {**old.body, "Spec": spec}, version)
    except OutOfSequence:
        raise MinidockError(SEQUENCE) from None


def remove(store: Store, ref: str, *, force: bool) -> Stored:
    """Raises UsageError for one that is still needed."""
    node = find(store, ref)
    if node.body["Spec"]["Role"] == "manager":
        raise _not_now(
            f"node {node.id} is a cluster manager and is a member of the raft cluster. "
            "It must be demoted to worker before removal"
        )
    if node.body["Status"]["State"] == "ready" and not force:
        raise _not_now(f"node {node.id} is not down and can't be removed")
    store.delete("node", node.id)
    return node


def _not_now(text: str) -> UsageError:
    return UsageError(f"rpc error: code = FailedPrecondition desc = {text}")


def role(node: Stored) -> str:
    """What it is to be now. A manager stays one until the others' etcd counts on it no more: else they might stand
    still for want of its vote."""
    return "manager" if node.body.get("ManagerStatus") else str(node.body["Spec"]["Role"])


def managers(store: Store) -> list[Stored]:
    """Those that are to be managers."""
    return [node for node in store.all("node") if node.body["Spec"]["Role"] == "manager"]


def change(store: Store, id: str, **parts: Any) -> Stored | None:  # noqa: ANN401 - JSON
    """Set members of the body, again when somebody else has written meanwhile; None when it is gone or nothing new.

    A dictionary is laid over what is there; None takes a member away.
    """
    while (node := store.get("node", id)) is not None:
        body = copy.deepcopy(node.body)
        for name, value in parts.items():
            if isinstance(value, dict):
                value = {key: each for key, each in {**(body.get(name) or {}), **value}.items() if each is not None}
            body[name] = value
            if value is None:
                del body[name]
        if body == node.body:
            return None
        try:
            return store.update("node", id, body, node.revision)
        except OutOfSequence:
            continue
    return None
