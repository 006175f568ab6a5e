"""What secrets and configs of a swarm have in common on the command line: nearly all."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Iterator
from typing import Any

from . import context, swarm_api
from .commands import Complaint
from .parse_env import key_values
from .tables import Columns, Listing
from .volumes import label_method

Body = dict[str, Any]
HEADERS = {
    "ID": "ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "CreatedAt": "CREATED",
    "UpdatedAt": "UPDATED",
    "Labels": "LABELS",
}
COLUMNS = {
    "secret": ["ID", "Name", "Driver", "CreatedAt", "UpdatedAt"],
    "config": ["ID", "Name", "CreatedAt", "UpdatedAt"],
}


def create(noun: str, arguments: list[str], label: list[str], template: str) -> None:
    name, *rest = arguments
    if not rest:
        raise Complaint(f"{noun} file is required", 1)
    before = f'Error reading content from "{rest[0]}": ' if noun == "config" else ""
    data = base64.b64encode(_content(rest[0], before)).decode()
    body: Body = {"Name": name, "Labels": key_values(label), "Data": data}
    if template:
        body["Templating"] = {"Name": template}
    print(swarm_api.api().json("POST", f"/{noun}s/create", None, body)["ID"])


def _content(path: str, before: str) -> bytes:
    """Of a file, or of stdin for `-`. Raises Complaint, in Docker's words behind `before`."""
    before += f"error reading from {'STDIN' if path == '-' else path}: "
    try:
        if path == "-":
            found = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                found = file.read()
    except OSError as error:
        raise Complaint(f"{before}open {path}: {(error.strerror or '').lower()}", 1) from None
    if not found:
        raise Complaint(f"{before}data is empty", 1)
    return found


def ls(noun: str, filter: list[tuple[str, str]], form: str, quiet: bool) -> None:
    found = swarm_api.get(f"/{noun}s", filters=swarm_api.filters(filter))
    found.sort(key=lambda each: str(each["Spec"]["Name"]))
    if quiet and not form:
        for each in found:
            print(each["ID"])
        return
    rows = [_columns(noun, each) for each in found]
    Listing(f"{noun}Context", HEADERS, methods=label_method).show(rows, COLUMNS[noun], form)


def _columns(noun: str, each: Body) -> Columns:
    from ..engine.durations import human_duration, unix

    spec = each["Spec"]
    labels = ",".join(f"{key}={value}" for key, value in sorted((spec.get("Labels") or {}).items()))

    def ago(name: str) -> str:
        return f"{human_duration(time.time() - unix(each[name]))} ago"

    shown: dict[str, Any] = {
        "ID": lambda: each["ID"],
        "Name": lambda: spec["Name"],
        "CreatedAt": lambda: ago("CreatedAt"),
        "UpdatedAt": lambda: ago("UpdatedAt"),
        "Labels": lambda: labels,
    }
    if noun == "secret":
        shown["Driver"] = lambda: (spec.get("Driver") or {}).get("Name", "")
    return shown


def inspect(noun: str, arguments: list[str], form: str, pretty: bool) -> None:
    from .inspect import show

    if pretty and form:
        raise Complaint("--format is incompatible with human friendly format", 1)
    if not pretty:
        show(arguments, form, lambda name: swarm_api.named(f"{noun}s", name))
        return
    for name in arguments:
        lines = _secret_lines if noun == "secret" else _config_lines
        for line in lines(swarm_api.named(f"{noun}s", name)):
            print(line)


def _secret_lines(each: Body) -> Iterator[str]:
    from .node_pretty import labels, stamp

    spec = each["Spec"]
    yield from (f"ID:              {each['ID']}", f"Name:              {spec['Name']}")
    yield from labels(spec.get("Labels") or {})
    yield f"Driver:            {(spec.get('Driver') or {}).get('Name', '')}"
    yield f"Created at:        {stamp(each['CreatedAt'])}"
    yield f"Updated at:        {stamp(each['UpdatedAt'])}"


def _config_lines(each: Body) -> Iterator[str]:
    from .node_pretty import labels, stamp

    spec = each["Spec"]
    yield from (f"ID:\t\t\t{each['ID']}", f"Name:\t\t\t{spec['Name']}")
    yield from labels(spec.get("Labels") or {})
    yield f"Created at:            \t{stamp(each['CreatedAt'])}"
    yield f"Updated at:            \t{stamp(each['UpdatedAt'])}"
    yield "Data:"
    yield base64.b64decode(spec.get("Data") or "").decode(errors="replace")


def rm(noun: str, arguments: list[str]) -> None:
    api = swarm_api.api()

    def remove(name: str) -> None:
        api.json("DELETE", swarm_api.path(f"{noun}s", name))

    context.fail_after(context.each(arguments, remove))
