"""What the verbs have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from minidock.daemon.spawner import Reply
from minidock.engine import Engine
from minidock.errors import UsageError

Struct = TypeVar("Struct", bound=msgspec.Struct)
Arguments = dict[str, Any]
Verb = Callable[[Engine, Arguments, Reply], object]


def plainly(method: Callable[..., object]) -> Verb:
    """A method of the engine, its arguments by name, its value as it is."""
    return lambda engine, given, reply: method(engine, **given)


def read(body: object, kind: type[Struct]) -> Struct:
    """The body as what it should be. Raises UsageError for what it isn't."""
    return msgspec.convert(members(body, kind), kind)


def members(body: object, kind: type[msgspec.Struct]) -> Arguments:
    """Those of a body, without nulls and under the names that we know them by: Go, and so Docker, reads them in
    whatever case they come. Raises UsageError when it has none."""
    if not isinstance(body, dict):
        raise UsageError("invalid JSON: an object is expected")
    known = {name.lower(): name for name in kind.__struct_encode_fields__}
    return {known.get(name.lower(), name): value for name, value in said(body).items()}


def said(body: dict[str, Any]) -> dict[str, Any]:
    """Without nulls: Go's clients send one wherever there is nothing to say."""
    return {name: _without_nulls(value) for name, value in body.items() if value is not None}


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return said(value)
    if isinstance(value, list):
        return [_without_nulls(entry) for entry in value if entry is not None]
    return value
