"""stack deploy, ls, ps, services, rm and config: a compose file's services as services of a swarm.

A stack is a label, com.docker.stack.namespace, on everything that was made for it; there is no other list of stacks.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import context, swarm_api
from .commands import UNLIMITED, Complaint, Entry, Noun, verb
from .flags import boolean, many, text
from .service_fields import WITH_AUTH, headers
from .stack_file import NAMESPACE
from .tables import Columns, Listing, group_filters, parse_filter

if TYPE_CHECKING:
    from ..daemon.client.api import Api

Body = dict[str, Any]
FILES = many("compose-file", "c", 'Path to a Compose file, or "-" to read from stdin', kind="strings")

BACKGROUND = """\
Since --detach=false was not specified, tasks will be created in the background.
In a future release, --detach=false will become the default."""

stack = Noun(
    "stack",
    "Manage Swarm stacks",
    {
        "config": Entry("stacks:config", "Outputs the final config file, after doing merges and interpolations"),
        "deploy": Entry("stacks:deploy", "Deploy a new stack or update an existing stack"),
        "ls": Entry("stacks:ls", "List stacks"),
        "ps": Entry("stacks:ps", "List the tasks in the stack"),
        "rm": Entry("stacks:rm", "Remove one or more stacks"),
        "services": Entry("stacks:services", "List the services in the stack"),
    },
    also={"down": "rm", "list": "ls", "remove": "rm", "up": "deploy"},
    usage="COMMAND",
)


@verb(
    "config",
    "Outputs the final config file, after doing merges and interpolations",
    "[OPTIONS]",
    flags=[FILES, boolean("skip-interpolation", "", "Skip interpolation and output only merged config")],
    examples="minidock stack config -c compose.yml",
)
def config(compose_file: list[str], skip_interpolation: bool) -> None:
    from . import stack_config
    from .stack_file import load

    found = load(compose_file, interpolate=not skip_interpolation)
    sys.stdout.write(stack_config.text(stack_config.whole(found)))


@verb(
    "deploy",
    "Deploy a new stack or update an existing stack",
    "[OPTIONS] STACK",
    flags=[
        FILES,
        boolean(
            "detach",
            "d",
            "Exit immediately instead of waiting for the stack services to converge (default true)",
            default=None,
        ),
        boolean("prune", "", "Prune services that are no longer referenced"),
        boolean("quiet", "q", "Suppress progress output"),
        text("resolve-image", "", 'Take images as they are named ("never" is what minidock does)', default="never"),
        WITH_AUTH,
    ],
    least=1,
    aliases=("minidock stack deploy", "minidock stack up"),
    examples="minidock stack deploy -c compose.yml shop",
)
def deploy(
    arguments: list[str],
    compose_file: list[str],
    detach: bool | None,
    prune: bool,
    quiet: bool,
    resolve_image: str,
    with_registry_auth: bool,
) -> None:
    from . import stack_file, stack_parts, stack_services

    if resolve_image not in ("always", "changed", "never"):
        raise UsageError(f"Invalid option {resolve_image} for flag --resolve-image")
    name = arguments[0]
    _check_name(name)
    given = stack_file.load(compose_file)
    stack_file.tell_what_is_left_out(given)
    if detach is None:
        context.say(BACKGROUND)
    api = swarm_api.api()
    before = {each["Spec"]["Name"]: each for each in _services(api, name)}
    ids = {"networks": stack_parts.networks(api, name, given)}
    ids |= {kind: stack_parts.files(api, name, kind, given.get(kind) or {}) for kind in ("secrets", "configs")}
    specs = [
        stack_services.spec(name, each, service, given, ids) for each, service in sorted(given["services"].items())
    ]
    auth = {"with_registry_auth": with_registry_auth}
    made = [_sent(api, spec, before.get(spec["Name"]), auth) for spec in specs]
    if prune:
        _removed(api, "service", [each for known, each in before.items() if known not in {s["Name"] for s in specs}])
    if detach is False:
        from .service_progress import wait

        for id in made:
            wait(api, id, quiet=quiet)


def _check_name(name: str) -> None:
    if not name.strip("\"' \t\n"):
        raise UsageError(f'invalid stack name: "{name}"')


def _sent(api: Api, spec: Body, old: Body | None, auth: Body) -> str:
    who = headers(spec["TaskTemplate"]["ContainerSpec"]["Image"], auth)
    if old is None:
        print(f"Creating service {spec['Name']}", flush=True)
        return str(api.json("POST", "/services/create", body=spec, headers=who)["ID"])
    print(f"Updating service {spec['Name']} (id: {old['ID']})", flush=True)
    spec["TaskTemplate"]["ForceUpdate"] = old["Spec"]["TaskTemplate"].get("ForceUpdate", 0)
    api.json("POST", f"/services/{old['ID']}/update", {"version": old["Version"]["Index"]}, spec, headers=who)
    return str(old["ID"])


# Looking, and taking away


def _services(api: Api, name: str, **filters: list[str]) -> list[Body]:
    wanted = {**filters, "label": [f"{NAMESPACE}={name}", *filters.get("label", [])]}
    found: list[Body] = api.json("GET", "/services", {"filters": wanted, "status": True})
    return found


@verb(
    "ls",
    "List stacks",
    "[OPTIONS]",
    flags=[text("format", "", "Format output using a custom template: 'table', 'json' or a Go template")],
    aliases=("minidock stack ls", "minidock stack list"),
    examples="minidock stack ls",
)
def ls(format: str) -> None:
    stacks: dict[str, int] = {}
    for service in swarm_api.get("/services", filters={"label": [NAMESPACE]}):
        name = service["Spec"]["Labels"][NAMESPACE]
        stacks[name] = stacks.get(name, 0) + 1
    rows = [_row(name, count) for name, count in sorted(stacks.items())]
    headers = {"Name": "NAME", "Services": "SERVICES"}
    Listing("stackContext", headers).show(rows, ["Name", "Services"], format)


def _row(name: str, count: int) -> Columns:
    return {"Name": lambda: name, "Services": lambda: str(count)}


@verb(
    "services",
    "List the services in the stack",
    "[OPTIONS] STACK",
    flags=[
        many("filter", "f", "Filter output based on conditions provided", kind="filter", parse=parse_filter),
        text("format", "", "Format output using a custom template: 'table', 'json' or a Go template"),
        boolean("quiet", "q", "Only display IDs"),
    ],
    least=1,
    examples="minidock stack services shop",
)
def services(arguments: list[str], filter: list[tuple[str, str]], format: str, quiet: bool) -> None:
    from .services import FILTERS, show_services

    found = _services(swarm_api.api(), arguments[0], **group_filters(filter, FILTERS))
    if not found:
        context.say(f"Nothing found in stack: {arguments[0]}")
        return
    show_services(found, format, quiet)


def _something(name: str, found: list[Body]) -> None:
    if not found:
        raise Complaint(f"nothing found in stack: {name}", 1)


@verb(
    "ps",
    "List the tasks in the stack",
    "[OPTIONS] STACK",
    flags=[
        many("filter", "f", "Filter output based on conditions provided", kind="filter", parse=parse_filter),
        text("format", "", "Format output using a custom template: 'table', 'json' or a Go template"),
        boolean("no-resolve", "", "Do not map IDs to Names"),
        boolean("no-trunc", "", "Do not truncate output"),
        boolean("quiet", "q", "Only display task IDs"),
    ],
    least=1,
    examples="minidock stack ps shop",
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
    from .services import TASK_FILTERS

    filters = {**group_filters(filter, TASK_FILTERS), "label": [f"{NAMESPACE}={arguments[0]}"]}
    found = swarm_api.get("/tasks", filters=filters)
    _something(arguments[0], found)
    task_list.show(found, format, resolve=not no_resolve, no_trunc=no_trunc, quiet=quiet)


@verb(
    "rm",
    "Remove one or more stacks",
    "[OPTIONS] STACK [STACK...]",
    flags=[boolean("detach", "d", "Do not wait for stack removal", default=True)],
    least=1,
    most=UNLIMITED,
    aliases=("minidock stack rm", "minidock stack down"),
    examples="minidock stack rm shop",
)
def rm(arguments: list[str], detach: bool) -> None:
    api = swarm_api.api()
    for name in arguments:
        label = {"filters": {"label": [f"{NAMESPACE}={name}"]}}
        found = {
            "service": _services(api, name),
            **{kind: api.json("GET", f"/{kind}s", label) for kind in ("secret", "config", "network")},
        }
        if not any(found.values()):
            context.say(f"Nothing found in stack: {name}")
            continue
        for kind, things in found.items():
            _removed(api, kind, things)
        if not detach:
            _wait_for_end(api, name)


def _removed(api: Api, kind: str, things: list[Body]) -> None:
    for each in sorted(things, key=_name):
        print(f"Removing {kind} {_name(each)}", flush=True)
        api.open("DELETE", f"/{kind}s/{each.get('ID') or each['Id']}").read()


def _name(thing: Body) -> str:
    return str((thing.get("Spec") or thing)["Name"])


def _wait_for_end(api: Api, name: str) -> None:
    import time

    while api.json("GET", "/tasks", {"filters": {"label": [f"{NAMESPACE}={name}"]}}):
        time.sleep(0.1)
