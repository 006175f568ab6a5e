"""Containers elsewhere: their life, and what one can see of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from minidock.daemon.client.api import Api, Json, quoted, without_nulls
from minidock.engine import wire
from minidock.model.host import HostConfig, LogConfig
from minidock.model.lists import ContainerSummary
from minidock.model.requests import Created, CreateRequest, ExecRequest
from minidock.model.usage import ContainersPruned

Filters = dict[str, list[str]]


def create(api: Api, request: CreateRequest) -> Created:
    host = msgspec.to_builtins(request.host_config)
    if request.host_config.log_config == LogConfig():
        host["LogConfig"] = {"Type": "", "Config": {}}  # the daemon has a default of its own
    if request.config.tty and (size := wire.size(0, 1, 2)):
        host["ConsoleSize"] = list(size)
    body = {
        **msgspec.to_builtins(request.config),
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": msgspec.to_builtins(request.endpoints)},
    }
    query = {"name": request.name, "platform": request.platform}
    return msgspec.convert(without_nulls(api.json("POST", "/containers/create", query, body)), Created)


def listed(api: Api, *, everything: bool, last: int, filters: Filters, size: bool) -> list[ContainerSummary]:
    query = {"all": everything, "limit": last or None, "size": size, "filters": filters}
    rows = without_nulls(api.json("GET", "/containers/json", query))
    return msgspec.convert(rows, list[ContainerSummary])


def verb(api: Api, ref: str, what: str, **query: object) -> None:
    """start, stop, kill, pause …: asked for, and done when it is answered."""
    api.open("POST", f"/containers/{quoted(ref)}/{what}", query, starting=what in ("start", "restart")).read()


def remove(api: Api, ref: str, *, force: bool, volumes: bool, link: bool) -> None:
    api.open("DELETE", f"/containers/{quoted(ref)}", {"force": force, "v": volumes, "link": link}).read()


def update(api: Api, ref: str, changes: dict[str, Any]) -> list[str]:
    names = {field.name: field.encode_name for field in msgspec.structs.fields(HostConfig)}
    body = {names[name]: msgspec.to_builtins(value) for name, value in changes.items()}
    return list((api.json("POST", f"/containers/{quoted(ref)}/update", None, body) or {}).get("Warnings") or [])


def prune(api: Api, filters: Filters) -> ContainersPruned:
    found = without_nulls(api.json("POST", "/containers/prune", {"filters": filters}))
    return ContainersPruned(found.get("ContainersDeleted", []), found.get("SpaceReclaimed", 0))


def top(api: Api, ref: str, options: list[str]) -> tuple[list[str], list[list[str]]]:
    found = api.json("GET", f"/containers/{quoted(ref)}/top", {"ps_args": " ".join(options)})
    return found["Titles"], found["Processes"] or []


def logs(api: Api, ref: str, **wishes: Json) -> Iterator[tuple[int, bytes]]:
    """Whether they come in frames is a matter of the container's terminal, not of what the answer calls itself."""
    tty = api.json("GET", f"/containers/{quoted(ref)}/json")["Config"]["Tty"]
    tail = wishes.pop("tail")
    times = {name: f"{moment:.9f}" if (moment := wishes.pop(name)) is not None else "" for name in ("since", "until")}
    query = {"stdout": True, "stderr": True, "tail": "all" if tail is None else tail, **times, **wishes}
    pieces = api.pieces(api.open("GET", f"/containers/{quoted(ref)}/logs", query))
    if tty:
        yield from ((1, piece) for piece in pieces)
        return
    decoder = wire.Decoder()
    for piece in pieces:
        yield from decoder.feed(piece)


def exec_body(request: ExecRequest) -> dict[str, Any]:
    return {
        "AttachStdin": request.attach_stdin,
        "AttachStdout": not request.detach,
        "AttachStderr": not request.detach,
        "Detach": request.detach,
        "DetachKeys": request.detach_keys,
        "Tty": request.tty,
        "Env": request.env,
        "Cmd": request.cmd,
        "User": request.user,
        "WorkingDir": request.working_dir,
        "Privileged": request.privileged,
    }
