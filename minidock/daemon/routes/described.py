"""What this server serves, told by itself (OpenAPI 3.0): made from the tables of routes, so it can't say anything else.

It knows methods, paths, what may stand in a path, and how failures look. What queries and bodies mean is Docker's to
say: its reference of the API holds here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from minidock import __version__
from minidock.daemon.app import NEWEST, OLDEST, Daemon, Route, json, routes

PLACE = re.compile(r"\{(?P<name>\w+)(?::(?P<pattern>[^}]+))?\}")
"""A part of a path that a request fills, in aiohttp's spelling."""

WITH_BODY = ("post", "put")
EVERY_METHOD = ("get", "post", "put", "delete")
FAILURE = {
    "description": "what went wrong",
    "content": {
        "application/json": {
            "schema": {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}
        }
    },
}


def description(table: Iterable[Route]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for method, path, handler in table:
        operations = paths.setdefault(PLACE.sub(r"{\g<name>}", path), {})
        for name in EVERY_METHOD if method == "*" else (method.lower(),):
            operations[name] = _operation(name, path, handler.__doc__ or "")
    oldest, newest = (".".join(map(str, numbers)) for numbers in (OLDEST, NEWEST))
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "minidock's Engine API",
            "version": newest,
            "description": f"minidock {__version__}; versions {oldest} to {newest}, as /v{newest}/… or without",
        },
        "paths": paths,
    }


def _operation(method: str, path: str, story: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "parameters": [_place(match) for match in PLACE.finditer(path)],
        "responses": {"default": FAILURE, "2XX": {"description": "done, or under way"}},
    }
    if story:
        found["summary"] = story.partition("\n")[0]
    if method in WITH_BODY:
        found["requestBody"] = {
            "content": {"application/json": {"schema": {"type": "object"}}, "application/x-tar": {}}
        }
    return found


def _place(match: re.Match[str]) -> dict[str, Any]:
    schema = {"type": "string", "pattern": f"^{match['pattern'] or '[^/]+'}$"}
    return {"name": match["name"], "in": "path", "required": True, "schema": schema}


async def openapi(daemon: Daemon, request: web.Request) -> web.Response:
    """This description."""
    return json(msgspec.json.encode(description(routes())))


ROUTES: list[Route] = [("GET", "/openapi.json", openapi)]
