"""A container's life, its streams, its files, and commands inside it."""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import Any

import msgspec

from minidock.daemon.encoding import encoded
from minidock.daemon.lines import body
from minidock.daemon.spawner import Answer, Reply
from minidock.daemon.verbs.common import Arguments, Verb, members, plainly, read
from minidock.engine import Engine
from minidock.errors import Conflict, UsageError
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig
from minidock.model.network import EndpointSettings
from minidock.model.requests import Commit, CreateRequest, ExecRequest


class CreateBody(msgspec.Struct, frozen=True, rename="pascal"):
    """What POST /containers/create has beside the configuration. A command may be one word; docker-py says a runtime
    here, not in HostConfig."""

    host_config: dict[str, Any] = {}
    networking_config: dict[str, Any] = {}
    cmd: list[str] | str | None = None
    entrypoint: list[str] | str | None = None
    runtime: str = ""


class NetworkingConfig(msgspec.Struct, frozen=True, rename="pascal"):
    endpoints_config: dict[str, EndpointSettings] = {}


SHAREABLE_UNTIL = (1, 40)
"""Version before which a container's IPC namespace could be joined when nothing was said of it: docker-compose 1.29
speaks an older one, and joins them."""


def create(engine: Engine, given: Arguments, reply: Reply) -> object:
    """`body` as of POST /containers/create: the configuration, with HostConfig and NetworkingConfig in it; `version` is
    that of the API which the client speaks."""
    config, beside = members(given["body"], ContainerConfig), read(given["body"], CreateBody)
    if not config.keys() & {*ContainerConfig.__struct_encode_fields__}:
        raise UsageError("Config cannot be empty in order to create a container")
    words = {"Cmd": _words(beside.cmd), "Entrypoint": _words(beside.entrypoint)}
    host = read(beside.host_config, HostConfig)
    if tuple(given["version"]) < SHAREABLE_UNTIL and not host.ipc_mode:
        host = msgspec.structs.replace(host, ipc_mode="shareable")
    request = CreateRequest(
        config=msgspec.convert({**config, **words}, ContainerConfig),
        host_config=msgspec.structs.replace(host, runtime=host.runtime or beside.runtime),
        name=given["name"].removeprefix("/"),
        platform=given["platform"],
        endpoints=_endpoints(beside.networking_config, tuple(given["version"])),
    )
    return engine.create(request)


SEVERAL_SINCE = (1, 44)
"""Version since which a container is created on several networks at once."""


def _endpoints(networking: dict[str, Any], version: tuple[int, ...]) -> dict[str, EndpointSettings]:
    found = read(networking, NetworkingConfig).endpoints_config
    if len(found) > 1 and version < SEVERAL_SINCE:
        raise UsageError(f"Container cannot be connected to network endpoints: {', '.join(sorted(found))}")
    return found


def _words(command: list[str] | str | None) -> list[str] | None:
    return [command] if isinstance(command, str) else command


def start(engine: Engine, given: Arguments, reply: Reply) -> object:
    """`held`: give back the shim's first connection, which sees all output from the first byte on. False: it ran.

    One that can't be started and was to be removed at its end, has ended.
    """
    facts = engine.inspect(given["ref"])
    if facts["State"]["Running"]:
        return False
    try:
        if not given["held"]:
            engine.start(facts["Id"])
            return True
        client = engine.start_held(facts["Id"])
    except BaseException:
        if facts["HostConfig"]["AutoRemove"]:
            engine.remove(facts["Id"])
        raise
    if client is None:
        return False
    reply.give(Answer(), b"true", [client])
    return None


def update(engine: Engine, given: Arguments, reply: Reply) -> object:
    """`body` has members of HostConfig; those that aren't in it stay as they are."""
    body = members(given["body"], HostConfig)
    wanted = msgspec.convert(body, HostConfig)
    names = zip(HostConfig.__struct_fields__, HostConfig.__struct_encode_fields__, strict=True)
    changes = {field: getattr(wanted, field) for field, member in names if member in body}
    if not wanted.restart_policy.name:
        changes.pop("restart_policy", None)
    return {"Warnings": engine.update(given["ref"], changes) or None}


def stats(engine: Engine, given: Arguments, reply: Reply) -> object:
    """To the first descriptor: a line of JSON each second, or one only."""
    looks = engine.raw_stats(given["ref"], stream=given["stream"], one_shot=given["one_shot"])
    first = next(looks)
    reply.begin()
    with os.fdopen(reply.descriptors[0], "wb", buffering=0) as out, contextlib.suppress(BrokenPipeError):
        for look in itertools.chain([first], looks):
            out.write(encoded(look) + b"\n")
    return None


def connect(engine: Engine, given: Arguments, reply: Reply) -> object:
    """One more connection to a running container's shim."""
    reply.give(Answer(), b"null", [engine.connect(given["ref"])])
    return None


def logs(engine: Engine, given: Arguments, reply: Reply) -> object:
    """To the first descriptor: frames (`framed`), or the bytes alone as from a terminal."""
    wanted, framed = set(given.pop("streams")), given.pop("framed")
    chunks = engine.logs(given.pop("ref"), **given)
    reply.begin()
    with os.fdopen(reply.descriptors[0], "wb", buffering=0) as out, contextlib.suppress(BrokenPipeError):
        for stream, text in chunks:
            if stream in wanted:
                out.write(_frame(stream, text) if framed else text)
    return None


def _frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


# Exec


class ExecBody(msgspec.Struct, frozen=True, rename="pascal"):
    """Body of POST /containers/ID/exec."""

    cmd: list[str] | str = []
    tty: bool = False
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    detach: bool = False
    detach_keys: str = ""
    env: list[str] = []
    user: str = ""
    working_dir: str = ""
    privileged: bool = False


def exec_create(engine: Engine, given: Arguments, reply: Reply) -> object:
    body = read(given["body"], ExecBody)
    request = ExecRequest(
        cmd=_words(body.cmd) or [],
        tty=body.tty,
        attach_stdin=body.attach_stdin,
        detach=body.detach,
        detach_keys=body.detach_keys,
        env=body.env,
        user=body.user,
        working_dir=body.working_dir,
        privileged=body.privileged,
    )
    return {"Id": engine.exec_create(given["ref"], request, outputs=(body.attach_stdout, body.attach_stderr))}


def exec_ready(engine: Engine, given: Arguments, reply: Reply) -> object:
    """As exec_inspect, of one that is to be started. Raises Conflict when its container can't do it now."""
    facts = engine.exec_inspect(given["id"])
    container = engine.inspect(facts["ContainerID"])
    if container["State"]["Paused"]:
        raise Conflict(f"Container {container['Id']} is paused, unpause the container before exec")
    return facts


def exec_start(engine: Engine, given: Arguments, reply: Reply) -> object:
    client = engine.exec_start(given["id"], detach=given["detach"], size=tuple(given["size"]))
    if client is None:
        return None
    reply.give(Answer(), b"null", [client])
    return None


# A container's files


def read_archive(engine: Engine, given: Arguments, reply: Reply) -> object:
    """The answer says what the path is; the tar goes to the first descriptor."""
    facts = engine.stat_path(given["ref"], given["path"])
    reply.begin(facts)
    with os.fdopen(reply.descriptors[0], "wb") as out, contextlib.suppress(BrokenPipeError):
        engine.read_archive(given["ref"], given["path"], out.write)
    return None


def write_archive(engine: Engine, given: Arguments, reply: Reply) -> object:
    """The tar comes by the second descriptor."""
    with os.fdopen(reply.descriptors[1], "rb") as source:
        engine.write_archive(given["ref"], given["path"], source.read, own=given["own"], strict=given["strict"])
    return None


def export(engine: Engine, given: Arguments, reply: Reply) -> object:
    with body(reply) as out:
        engine.export(given["ref"], out)
    return None


def commit(engine: Engine, given: Arguments, reply: Reply) -> object:
    """`body` is a configuration, whose members win over the container's where they are given."""
    config = read(given.pop("body"), ContainerConfig)
    if not given["ref"]:
        raise UsageError('invalid name or ID supplied: ""')
    return {"Id": engine.commit(given.pop("ref"), Commit(**given, config=config))}


VERBS: dict[str, Verb] = {
    "create": create,
    "start": start,
    "connect": connect,
    "logs": logs,
    "stop": plainly(Engine.stop),
    "restart": plainly(Engine.restart),
    "pause": plainly(Engine.pause),
    "unpause": plainly(Engine.unpause),
    "rename": plainly(Engine.rename),
    "update": update,
    "top": plainly(Engine.top),
    "stats": stats,
    "prune_containers": plainly(Engine.prune_containers),
    "stat_path": plainly(Engine.stat_path),
    "read_archive": read_archive,
    "write_archive": write_archive,
    "export": export,
    "changes": plainly(Engine.changes),
    "commit": commit,
    "kill": plainly(Engine.kill),
    "remove": plainly(Engine.remove),
    "cleanup": plainly(Engine.cleanup),
    "containers": plainly(Engine.containers),
    "inspect": plainly(Engine.inspect),
    "exec_create": exec_create,
    "exec_ready": exec_ready,
    "exec_start": exec_start,
    "exec_inspect": plainly(Engine.exec_inspect),
}
