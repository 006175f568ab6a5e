"""What workers do: a verb of the daemon is a function of the engine, the call's arguments, and the way back.

What it returns becomes the JSON body of the answer. A verb that streams calls reply.begin() first, and writes to the
descriptors that came with the call.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import msgspec

from minidock.daemon.spawner import Answer, Reply
from minidock.engine import Engine
from minidock.model import ContainerConfig, CreateRequest, EndpointSettings, ExecRequest, HostConfig

Arguments = dict[str, Any]

# Containers


def create(engine: Engine, given: Arguments, reply: Reply) -> object:
    """`body` as of POST /containers/create: the configuration, with HostConfig and NetworkingConfig in it."""
    body = _said(given["body"])
    for name in ("Cmd", "Entrypoint"):
        if isinstance(body.get(name), str):
            body[name] = [body[name]]
    wishes = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    request = CreateRequest(
        config=msgspec.convert(body, ContainerConfig),
        host_config=msgspec.convert(body.get("HostConfig", {}), HostConfig),
        name=given["name"].removeprefix("/"),
        platform=given["platform"],
        endpoints=msgspec.convert(wishes, dict[str, EndpointSettings]),
    )
    return engine.create(request)


def _said(body: dict[str, Any]) -> dict[str, Any]:
    """Without nulls: Go's clients send one wherever there is nothing to say."""
    return {name: _without_nulls(value) for name, value in body.items() if value is not None}


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return _said(value)
    if isinstance(value, list):
        return [_without_nulls(entry) for entry in value if entry is not None]
    return value


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


def exec_create(engine: Engine, given: Arguments, reply: Reply) -> object:
    body = _said(given["body"])
    command = body.get("Cmd", [])
    request = ExecRequest(
        cmd=[command] if isinstance(command, str) else command,
        tty=bool(body.get("Tty")),
        attach_stdin=bool(body.get("AttachStdin")),
        detach=bool(body.get("Detach")),
        detach_keys=body.get("DetachKeys", ""),
        env=body.get("Env", []),
        user=body.get("User", ""),
        working_dir=body.get("WorkingDir", ""),
        privileged=bool(body.get("Privileged")),
    )
    outputs = (bool(body.get("AttachStdout")), bool(body.get("AttachStderr")))
    return {"Id": engine.exec_create(given["ref"], request, outputs=outputs)}


def exec_start(engine: Engine, given: Arguments, reply: Reply) -> object:
    client = engine.exec_start(given["id"], detach=given["detach"], size=tuple(given["size"]))
    if client is None:
        return None
    reply.give(Answer(), b"null", [client])
    return None


# The table. The plain ones: a method of the engine, its arguments by name, its value as it is.

Verb = Callable[[Engine, Arguments, Reply], object]


def plainly(method: Callable[..., object]) -> Verb:
    return lambda engine, given, reply: method(engine, **given)


VERBS: dict[str, Verb] = {
    "create": create,
    "start": start,
    "connect": connect,
    "logs": logs,
    "stop": plainly(Engine.stop),
    "kill": plainly(Engine.kill),
    "remove": plainly(Engine.remove),
    "cleanup": plainly(Engine.cleanup),
    "containers": plainly(Engine.containers),
    "inspect": plainly(Engine.inspect),
    "exec_create": exec_create,
    "exec_start": exec_start,
    "exec_inspect": plainly(Engine.exec_inspect),
    "images": plainly(Engine.images),
    "inspect_image": plainly(Engine.inspect_image),
    "tag": plainly(Engine.tag),
    "remove_image": plainly(Engine.remove_image),
    "version": plainly(Engine.version),
    "info": plainly(Engine.info),
}
