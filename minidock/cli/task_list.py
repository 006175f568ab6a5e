"""Tasks as `service ps`, `stack ps` and `node ps` list them: by name, the newest of each slot first, then its past."""

from __future__ import annotations

import time
from typing import Any

from . import swarm_api
from .tables import Columns, Listing

Body = dict[str, Any]
HEADERS = {
    "ID": "ID",
    "Name": "NAME",
    "Image": "IMAGE",
    "Node": "NODE",
    "DesiredState": "DESIRED STATE",
    "CurrentState": "CURRENT STATE",
    "Error": "ERROR",
    "Ports": "PORTS",
}
LONGEST_ERROR = 30


def show(tasks: list[Body], form: str, *, resolve: bool, no_trunc: bool, quiet: bool) -> None:
    services = {each["ID"]: each["Spec"]["Name"] for each in swarm_api.get("/services")} if resolve else {}
    nodes = {each["ID"]: each["Description"].get("Hostname") for each in swarm_api.get("/nodes")} if resolve else {}
    named = [(_name(task, services), task) for task in tasks]
    named.sort(key=lambda one: str(one[1]["CreatedAt"]), reverse=True)
    named.sort(key=lambda one: (services.get(one[1]["ServiceID"], ""), one[1].get("Slot", 0), one[1].get("NodeID", "")
                                if not one[1].get("Slot") else ""))  # fmt: skip
    if quiet and not form:
        for _, task in named:
            print(task["ID"] if no_trunc else task["ID"][:12])
        return
    rows, before = [], ""
    for name, task in named:
        shown = f" \\_ {name}" if name == before and form in ("", "table") else name
        rows.append(_columns(task, shown, nodes, no_trunc))
        before = name
    names = ["ID", "Name", "Image", "Node", "DesiredState", "CurrentState", "Error", "Ports"]
    Listing("taskContext", HEADERS, raw=[(name.lower(), name) for name in names]).show(rows, names, form)


def _name(task: Body, services: dict[str, str]) -> str:
    of = services.get(task["ServiceID"]) or task["ServiceID"]
    return f"{of}.{task.get('Slot') or task.get('NodeID', '')}"


def _columns(task: Body, name: str, nodes: dict[str, Any], no_trunc: bool) -> Columns:
    node = task.get("NodeID") or ""
    return {
        "ID": lambda: task["ID"] if no_trunc else task["ID"][:12],
        "Name": lambda: name,
        "Image": lambda: task["Spec"]["ContainerSpec"]["Image"].partition("@")[0],
        "Node": lambda: nodes.get(node) or node,
        "DesiredState": lambda: task["DesiredState"].capitalize(),
        "CurrentState": lambda: f"{task['Status']['State'].capitalize()} {_ago(task['Status']['Timestamp'])} ago",
        "Error": lambda: _error(task, no_trunc),
        "Ports": lambda: _ports(task),
    }


def _ago(stamp: str) -> str:
    from datetime import UTC, datetime

    from ..engine.durations import human_duration

    then = datetime.fromisoformat(stamp[:19]).replace(tzinfo=UTC).timestamp()
    told = human_duration(max(0.0, time.time() - then))
    return told[:1].lower() + told[1:]


def _error(task: Body, no_trunc: bool) -> str:
    error = str(task["Status"].get("Err") or "")
    if not error:
        return ""
    short = error if no_trunc or len(error) <= LONGEST_ERROR else f"{error[: LONGEST_ERROR - 1]}…"
    return f'"{short}"'


def _ports(task: Body) -> str:
    return ",".join(
        f"*:{port['PublishedPort']}->{port['TargetPort']}/{port['Protocol']}"
        for port in (task["Status"].get("PortStatus") or {}).get("Ports") or []
    )
