"""node ls, inspect, ps, promote, demote, update and rm."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..errors import MinidockError
from . import context, swarm_api
from .commands import UNLIMITED, Complaint, Entry, Noun, told, verb
from .flags import boolean, many, text
from .parse_env import key_values
from .tables import Columns, Listing, parse_filter

Body = dict[str, Any]

node = Noun(
    "node",
    "Manage Swarm nodes",
    {
        "demote": Entry("nodes:demote", "Demote one or more nodes from manager in the swarm"),
        "inspect": Entry("nodes:inspect", "Display detailed information on one or more nodes"),
        "ls": Entry("nodes:ls", "List nodes in the swarm"),
        "promote": Entry("nodes:promote", "Promote one or more nodes to manager in the swarm"),
        "ps": Entry("nodes:ps", "List tasks running on one or more nodes, defaults to current node"),
        "rm": Entry("nodes:rm", "Remove one or more nodes from the swarm"),
        "update": Entry("nodes:update", "Update a node"),
    },
    also={"list": "ls", "remove": "rm"},
    usage="COMMAND",
)

HEADERS = {
    "ID": "ID",
    "Hostname": "HOSTNAME",
    "Status": "STATUS",
    "Availability": "AVAILABILITY",
    "ManagerStatus": "MANAGER STATUS",
    "EngineVersion": "ENGINE VERSION",
    "TLSStatus": "TLS STATUS",
    "Self": "SELF",
}
SHOWN = ["ID", "Hostname", "Status", "Availability", "ManagerStatus", "EngineVersion"]


@verb(
    "ls",
    "List nodes in the swarm",
    "[OPTIONS]",
    flags=[
        many("filter", "f", "Filter output based on conditions provided", kind="filter", parse=parse_filter),
        text("format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
        boolean("quiet", "q", "Only display IDs"),
    ],
    aliases=("minidock node ls", "minidock node list"),
    examples="minidock node ls --filter role=manager",
)
def ls(filter: list[tuple[str, str]], format: str, quiet: bool) -> None:
    found = swarm_api.get("/nodes", filters=swarm_api.filters(filter))
    found.sort(key=lambda each: str(each["Description"].get("Hostname", "")))
    if quiet and not format:
        for each in found:
            print(each["ID"])
        return
    facts = swarm_api.get("/info")["Swarm"] if found else {}
    rows = [_columns(each, facts, star=not format or format.startswith("table")) for each in found]
    Listing("nodeContext", HEADERS).show(rows, SHOWN, format)


def _columns(each: Body, facts: Body, *, star: bool) -> Columns:
    mine = each["ID"] == facts.get("NodeID")
    root = ((facts.get("Cluster") or {}).get("TLSInfo") or {}).get("TrustRoot")
    theirs = (each["Description"].get("TLSInfo") or {}).get("TrustRoot")
    return {
        "ID": lambda: f"{each['ID']} *" if mine and star else each["ID"],
        "Hostname": lambda: each["Description"].get("Hostname", ""),
        "Status": lambda: each["Status"]["State"].capitalize(),
        "Availability": lambda: each["Spec"]["Availability"].capitalize(),
        "ManagerStatus": lambda: _manager_status(each),
        "EngineVersion": lambda: (each["Description"].get("Engine") or {}).get("EngineVersion", ""),
        "TLSStatus": lambda: "Unknown" if not theirs else "Ready" if theirs == root else "Needs Rotation",
        "Self": lambda: mine,
    }


def _manager_status(each: Body) -> str:
    status = each.get("ManagerStatus") or {}
    return "Leader" if status.get("Leader") else str(status.get("Reachability", "")).capitalize()


@verb(
    "inspect",
    "Display detailed information on one or more nodes",
    "[OPTIONS] self|NODE [NODE...]",
    flags=[
        text("format", "f", "Format output using a custom template: 'json', or a Go template"),
        boolean("pretty", "", "Print the information in a human friendly format"),
    ],
    least=1,
    most=UNLIMITED,
    examples="minidock node inspect --pretty self",
)
def inspect(arguments: list[str], format: str, pretty: bool) -> None:
    from .inspect import show

    if pretty and format:
        raise Complaint("--format is incompatible with human friendly format", 1)
    if not pretty:
        show(arguments, format, found)
        return
    from .node_pretty import pretty as lines

    for number, name in enumerate(arguments):
        sys.stdout.write(("\n" if number else "") + lines(found(name)))


def found(name: str) -> Body:
    """By id or name; `self` is the daemon's own."""
    shown: Body = swarm_api.named("nodes", _own() if name == "self" else name)
    return shown


def _own() -> str:
    facts = swarm_api.get("/info")["Swarm"]
    if not facts["NodeID"]:
        swarm_api.get("/nodes")  # says what this daemon is instead
    return str(facts["NodeID"])


@verb(
    "ps",
    "List tasks running on one or more nodes, defaults to current node",
    "[OPTIONS] [NODE...]",
    flags=[
        many("filter", "f", "Filter output based on conditions provided", kind="filter", parse=parse_filter),
        text("format", "", "Pretty-print tasks using a Go template"),
        boolean("no-resolve", "", "Do not map IDs to Names"),
        boolean("no-trunc", "", "Do not truncate output"),
        boolean("quiet", "q", "Only display task IDs"),
    ],
    least=0,
    most=UNLIMITED,
    examples="minidock node ps --filter desired-state=running self",
)
def ps(
    arguments: list[str], filter: list[tuple[str, str]], format: str, no_resolve: bool, no_trunc: bool, quiet: bool
) -> None:
    from . import task_list

    filters = swarm_api.filters(filter)
    tasks: list[Body] = []
    problems = []
    for name in arguments or ["self"]:
        try:
            tasks += swarm_api.get("/tasks", filters={**filters, "node": [found(name)["ID"]]})
        except MinidockError as error:
            problems.append(told(error))
    if len(problems) < len(arguments or ["self"]):
        task_list.show(tasks, format, resolve=not no_resolve, no_trunc=no_trunc, quiet=quiet)
    if problems:
        raise Complaint("\n".join(problems), 1)


@verb(
    "promote",
    "Promote one or more nodes to manager in the swarm",
    "NODE [NODE...]",
    least=1,
    most=UNLIMITED,
    examples="minidock node promote worker1",
)
def promote(arguments: list[str]) -> None:
    _turn(arguments, "manager", "Node {} is already a manager.", "Node {} promoted to a manager in the swarm.")


@verb(
    "demote",
    "Demote one or more nodes from manager in the swarm",
    "NODE [NODE...]",
    least=1,
    most=UNLIMITED,
    examples="minidock node demote manager2",
)
def demote(arguments: list[str]) -> None:
    _turn(arguments, "worker", "Node {} is already a worker.", "Manager {} demoted in the swarm.")


def _turn(names: list[str], role: str, already: str, done: str) -> None:
    for name in names:
        shown = swarm_api.named("nodes", name)
        if shown["Spec"]["Role"] == role:
            print(already.format(shown["ID"]))
            continue
        _change(shown, {**shown["Spec"], "Role": role})
        print(done.format(name))


def _change(shown: Body, spec: Body) -> None:
    swarm_api.api().json("POST", f"/nodes/{shown['ID']}/update", {"version": shown["Version"]["Index"]}, spec)


@verb(
    "update",
    "Update a node",
    "[OPTIONS] NODE",
    flags=[
        text("availability", "", 'Availability of the node ("active", "pause", "drain")'),
        text("role", "", 'Role of the node ("worker", "manager")'),
        many("label-add", "", 'Add or update a node label ("key=value")'),
        many("label-rm", "", "Remove a node label if exists"),
    ],
    least=1,
    most=1,
    examples="minidock node update --availability drain --label-add disk=ssd worker1",
)
def update(arguments: list[str], availability: str, role: str, label_add: list[str], label_rm: list[str]) -> None:
    (name,) = arguments
    shown = swarm_api.named("nodes", name)
    spec = dict(shown["Spec"])
    labels = {**(spec.get("Labels") or {}), **key_values(label_add)}
    for key in label_rm:
        if key not in labels:
            raise Complaint(f"key {key} doesn't exist in node's labels", 1)
        del labels[key]
    spec["Labels"] = labels
    if availability:
        spec["Availability"] = availability
    if role:
        spec["Role"] = role
    _change(shown, spec)
    print(name)


@verb(
    "rm",
    "Remove one or more nodes from the swarm",
    "[OPTIONS] NODE [NODE...]",
    flags=[boolean("force", "f", "Force remove a node from the swarm")],
    least=1,
    most=UNLIMITED,
    aliases=("minidock node rm", "minidock node remove"),
    examples="minidock node rm worker1",
)
def rm(arguments: list[str], force: bool) -> None:
    context.fail_after(context.each(arguments, _remover(force)))


def _remover(force: bool) -> Callable[[str], object]:
    api = swarm_api.api()
    return lambda name: api.json("DELETE", swarm_api.path("nodes", name), {"force": force})
