"""What clients put into a query: booleans, numbers, times and filters, in the spellings that are about."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from minidock.daemon.workers import Refused
from minidock.engine.durations import moment_of

FALSE = ("", "0", "no", "false", "none")
"""As Docker reads a boolean: all else is true."""


def flag(request: web.Request, name: str, default: bool = False) -> bool:
    found = request.query.get(name)
    return default if found is None else found.strip().lower() not in FALSE


def number(request: web.Request, name: str, default: int | None = None, *, needed: bool = False) -> int | None:
    found = request.query.get(name, "")
    if not (found or needed):
        return default
    try:
        return int(found)
    except ValueError:
        raise Refused(400, f'strconv.Atoi: parsing "{found}": invalid syntax') from None


def moment(request: web.Request, name: str) -> float | None:
    """Unix seconds with or without a fraction; 0 and nothing mean no limit."""
    found = request.query.get(name, "")
    try:
        return float(found) or None if found else None
    except ValueError:
        raise Refused(400, f"invalid {name} timestamp: {found!r}") from None


def filters(request: web.Request) -> dict[str, list[str]]:
    """Go clients send {"label": {"a=b": true}}, others {"label": ["a=b"]}."""
    text = request.query.get("filters", "")
    if not text:
        return {}
    try:
        found = json.loads(text)
        return {str(name): [str(value) for value in values] for name, values in _pairs(found)}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Refused(400, f"invalid filter: {text[:200]!r}") from None


def _pairs(found: dict[str, Any]) -> list[tuple[str, list[str]]]:
    rows = []
    for name, values in found.items():
        if isinstance(values, dict):
            rows.append((name, [value for value, wanted in values.items() if wanted]))
        elif isinstance(values, str):
            rows.append((name, [values]))
        else:
            rows.append((name, [_word(value) for value in values]))
    return rows


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def prune_filters(request: web.Request) -> dict[str, list[str]]:
    """`until` comes as a duration ("10m"), a date or Unix seconds; the engine takes seconds."""
    found = filters(request)
    if "until" in found:
        if len(found["until"]) != 1:
            raise Refused(400, "more than one until filter specified")
        try:
            found["until"] = [str(moment_of(found["until"][0]))]
        except ValueError:
            raise Refused(400, f'failed to parse value as time or duration: "{found["until"][0]}"') from None
    return found


def lines(request: web.Request, name: str) -> list[str]:
    """A parameter that may be given several times, and have several lines each time."""
    return [line for value in request.query.getall(name, []) for line in value.splitlines() if line.strip()]


async def body(request: web.Request, *, limit: int = 16 << 20, needed: bool = False) -> dict[str, Any]:
    """A JSON object; nothing is an empty one, unless it is `needed`. Raises Refused.

    It must say that it is JSON: a page in a browser may post to everywhere, to the loopback too, but not as that.
    """
    raw = bytearray()
    async for piece in request.content.iter_any():
        raw += piece
        if len(raw) > limit:
            raise Refused(413, f"the body is larger than {limit} bytes")
    if not raw.strip():
        if needed:
            raise Refused(400, "invalid JSON: got EOF while reading request body")
        return {}
    if request.content_type != "application/json":
        said = request.headers.get("Content-Type", "")
        raise Refused(400, f"Content-Type specified ({said}) must be 'application/json'")
    try:
        found = json.loads(raw)
    except ValueError as error:
        raise Refused(400, f"invalid JSON: {error}") from None
    except RecursionError:
        raise Refused(400, "invalid JSON: nested too deeply") from None
    if not isinstance(found, dict):
        raise Refused(400, "invalid JSON: an object is expected")
    return found
