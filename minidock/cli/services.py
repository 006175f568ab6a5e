"""service ls, ps, inspect, logs and rm. How services are made and changed: service_create.py, service_update.py."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from . import context, swarm_api
from .commands import UNLIMITED, Complaint, Entry, Noun, verb
from .flags import boolean, many, text
from .tables import Columns, Listing, group_filters, parse_filter

Body = dict[str, Any]

service = Noun(
    "service",
    "Manage Swarm services",
    {
        "create": Entry("service_create:create", "Create a new service"),
        "inspect": Entry("services:inspect", "Display detailed information on one or more services"),
        "logs": Entry("services:logs", "Fetch the logs of a service or task"),
        "ls": Entry("services:ls", "List services"),
        "ps": Entry("services:ps", "List the tasks of one or more services"),
        "rm": Entry("services:rm", "Remove one or more services"),
        "rollback": Entry("service_update:rollback", "Revert changes to a service's configuration"),
        "scale": Entry("service_update:scale", "Scale one or multiple replicated services"),
        "update": Entry("service_update:update", "Update a service"),
    },
    also={"list": "ls", "remove": "rm"},
    usage="COMMAND",
)

HEADERS = {
    "ID": "ID",
    "Name": "NAME",
    "Mode": "MODE",
    "Replicas": "REPLICAS",
    "Image": "IMAGE",
    "Ports": "PORTS",
}
RAW = [("id", "ID"), ("name", "Name"), ("mode", "Mode"), ("replicas", "Replicas"), ("image", "Image"),
       ("ports", "Ports")]  # fmt: skip
FILTERS: Mapping[str, tuple[str, ...] | None] = dict.fromkeys(("id", "label", "mode", "name"))
MODES = {
    "Replicated": "replicated",
    "Global": "global",
    "ReplicatedJob": "replicated job",
    "GlobalJob": "global job",
}


@verb(
    "ls",
    "List services",
    "[OPTIONS]",
    flags=[
        many("filter", "f", "Filter output based on conditions provided", kind="filter", parse=parse_filter),
        text("format", "", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template"),
        boolean("quiet", "q", "Only display IDs"),
    ],
    aliases=("minidock service ls", "minidock service list"),
    examples="minidock service ls --filter mode=global",
)
def ls(filter: list[tuple[str, str]], format: str, quiet: bool) -> None:
    show_services(swarm_api.get("/services", filters=group_filters(filter, FILTERS), status=True), format, quiet)


def show_services(found: list[Body], form: str, quiet: bool) -> None:
    found.sort(key=lambda each: str(each["Spec"]["Name"]))
    if quiet and not form:
        for each in found:
            print(each["ID"][:12])
        return
    Listing("serviceContext", HEADERS, raw=RAW).show(
        [_columns(each) for each in found], ["ID", "Name", "Mode", "Replicas", "Image", "Ports"], form
    )


def mode_of(each: Body) -> str:
    return next((name for name in MODES if each["Spec"]["Mode"].get(name) is not None), "Replicated")


def _columns(each: Body) -> Columns:
    spec, container = each["Spec"], each["Spec"]["TaskTemplate"]["ContainerSpec"]
    return {
        "ID": lambda: each["ID"][:12],
        "Name": lambda: spec["Name"],
        "Mode": lambda: MODES[mode_of(each)],
        "Replicas": lambda: _replicas(each),
        "Image": lambda: container["Image"].partition("@")[0],
        "Ports": lambda: ports_of((each.get("Endpoint") or {}).get("Ports") or []),
    }


def _replicas(each: Body) -> str:
    status = each.get("ServiceStatus") or {}
    shown = f"{status.get('RunningTasks', 0)}/{status.get('DesiredTasks', 0)}"
    mode = mode_of(each)
    most = (each["Spec"]["TaskTemplate"].get("Placement") or {}).get("MaxReplicas")
    if mode == "Replicated":
        return f"{shown} (max {most} per node)" if most else shown
    if mode == "Global":
        return shown
    total = each["Spec"]["Mode"]["ReplicatedJob"]["TotalCompletions"] if mode == "ReplicatedJob" else 0
    return f"{shown} ({status.get('CompletedTasks', 0)}/{total or status.get('DesiredTasks', 0)} completed)"


def ports_of(ports: list[Body]) -> str:
    return ", ".join(
        f"*:{port['PublishedPort']}->{port['TargetPort']}/{port['Protocol']}"
        for port in sorted(ports, key=lambda port: int(port.get("PublishedPort") or 0))
        if port.get("PublishMode", "ingress") == "ingress"
    )


# Tasks

TASK_FILTERS: Mapping[str, tuple[str, ...] | None] = dict.fromkeys(("id", "name", "node", "desired-state"))


@verb(
    "ps",
    "List the tasks of one or more services",
    "[OPTIONS] SERVICE [SERVICE...]",
    flags=[
        many("filter", "f", "Filter output based on conditions provided", kind="filter", parse=parse_filter),
        text("format", "", "Pretty-print tasks using a Go template"),
        boolean("no-resolve", "", "Do not map IDs to Names"),
        boolean("no-trunc", "", "Do not truncate output"),
        boolean("quiet", "q", "Only display task IDs"),
    ],
    least=1,
    most=UNLIMITED,
    examples="minidock service ps --filter desired-state=running web",
)
def ps(
    arguments: list[str],
    filter: list[tuple[str, str]],
    format: str,
    no_resolve: bool,
    no_trunc: bool,
    quiet: bool,
) -> None:
    from . import task_list

    filters = group_filters(filter, TASK_FILTERS)
    found, missing = _known(arguments)
    if found:
        tasks = swarm_api.get("/tasks", filters={**filters, "service": [each["ID"] for each in found]})
        task_list.show(tasks, format, resolve=not no_resolve, no_trunc=no_trunc, quiet=quiet)
    if missing:
        raise Complaint("\n".join(f"no such service: {name}" for name in missing), 1)


def _known(names: list[str]) -> tuple[list[Body], list[str]]:
    from ..errors import NotFound

    found, missing = [], []
    for name in names:
        try:
            found.append(swarm_api.named("services", name))
        except NotFound:
            missing.append(name)
    return found, missing


@verb(
    "inspect",
    "Display detailed information on one or more services",
    "[OPTIONS] SERVICE [SERVICE...]",
    flags=[
        text("format", "f", "Format output using a custom template: 'json', or a Go template"),
        boolean("pretty", "", "Print the information in a human friendly format"),
    ],
    least=1,
    most=UNLIMITED,
    examples="""
        minidock service inspect --pretty web
        minidock service inspect -f '{{json .Endpoint.Ports}}' web
    """,
)
def inspect(arguments: list[str], format: str, pretty: bool) -> None:
    from .inspect import show

    if pretty and format:
        raise Complaint("--format is incompatible with human friendly format", 1)
    if not pretty:
        show(arguments, format, _found)
        return
    from .service_pretty import pretty as told

    for number, name in enumerate(arguments):
        sys.stdout.write(("\n" if number else "") + told(_found(name)))


def _found(name: str) -> Body:
    """With what holds where nothing was said. Raises NotFound in the client's own words."""
    from ..errors import NotFound

    try:
        shown: Body = swarm_api.get(swarm_api.path("services", name), insertDefaults=True)
    except NotFound as error:
        raise NotFound(error.message if "ambiguous" in error.message else f"no such service: {name}") from None
    return shown


@verb(
    "rm",
    "Remove one or more services",
    "SERVICE [SERVICE...]",
    least=1,
    most=UNLIMITED,
    aliases=("minidock service rm", "minidock service remove"),
    examples="minidock service rm web",
)
def rm(arguments: list[str]) -> None:
    api = swarm_api.api()
    context.fail_after(
        context.each(arguments, lambda name: api.open("DELETE", swarm_api.path("services", name)).read() and None)
    )


# Logs


@verb(
    "logs",
    "Fetch the logs of a service or task",
    "[OPTIONS] SERVICE|TASK",
    flags=[
        boolean("details", "", "Show extra details provided to logs"),
        boolean("follow", "f", "Follow log output"),
        boolean("no-resolve", "", "Do not map IDs to Names in output"),
        boolean("no-task-ids", "", "Do not include task IDs in output"),
        boolean("no-trunc", "", "Do not truncate output"),
        boolean("raw", "", "Do not neatly format logs"),
        text("since", "", 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
        text("tail", "n", "Number of lines to show from the end of the logs", default="all"),
        boolean("timestamps", "t", "Show timestamps"),
    ],
    least=1,
    examples="minidock service logs -f --tail 20 web",
)
def logs(arguments: list[str], **given: Any) -> None:  # noqa: ANN401 - the flags of the table
    from .service_logs import follow

    streams = {1: sys.stdout.buffer, 2: sys.stderr.buffer}
    lines: Iterable[tuple[int, bytes]] = follow(swarm_api.api(), arguments[0], given)
    for stream, line in lines:
        streams[stream].write(line)
        streams[stream].flush()
