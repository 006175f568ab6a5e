"""What the verbs have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidock.daemon.spawner import Reply
from minidock.engine import Engine

Arguments = dict[str, Any]
Verb = Callable[[Engine, Arguments, Reply], object]


def plainly(method: Callable[..., object]) -> Verb:
    """A method of the engine, its arguments by name, its value as it is."""
    return lambda engine, given, reply: method(engine, **given)


def said(body: dict[str, Any]) -> dict[str, Any]:
    """Without nulls: Go's clients send one wherever there is nothing to say."""
    return {name: _without_nulls(value) for name, value in body.items() if value is not None}


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return said(value)
    if isinstance(value, list):
        return [_without_nulls(entry) for entry in value if entry is not None]
    return value
