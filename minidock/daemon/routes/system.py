"""The daemon itself: is it there, what is it, what happens."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json
from minidock.daemon.streams import prepared
from minidock.daemon.workers import Refused
from minidock.engine import events as history


async def ping(daemon: Daemon, request: web.Request) -> web.Response:
    """What every client asks first; the headers say which version we speak."""
    answer = web.Response(text="" if request.method == "HEAD" else "OK")
    answer.headers.update(
        {"Builder-Version": "1", "Swarm": _swarm(daemon), "Cache-Control": "no-cache", "Pragma": "no-cache"}
    )
    return answer


def _swarm(daemon: Daemon) -> str:
    """As clients know it from this header: of what is active, whether one may ask here."""
    if not daemon.swarming.may_be_member:
        return "inactive"
    membership = daemon.swarming.membership
    if membership.state != "active":
        return membership.state
    return "active/manager" if membership.manager is not None else "active/worker"


async def version(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("version")).body)


async def info(daemon: Daemon, request: web.Request) -> web.Response:
    facts = msgspec.json.decode((await daemon.workers.call("info")).body)
    return json(msgspec.json.encode({**facts, "Swarm": await daemon.swarming.info()}))


async def events(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    """Past ones first when a time is given; then new ones as they come, until `until` or for ever."""
    since, until = query.moment(request, "since"), query.moment(request, "until")
    filters = query.filters(request)
    if since and until and since > until:
        raise Refused(400, f"`since` time ({int(since)}) cannot be after `until` time ({int(until)})")
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    with daemon.happenings.watched() as coming:
        past = history.past(daemon.layout, since=since, until=until, filters=filters) if since or until else []
        await prepared(request, response)
        last = 0
        for event in past:
            last = event.nanoseconds
            await response.write(msgspec.json.encode(event) + b"\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if until is None else max(0, until - _now())):
                async for event in coming:
                    if event.nanoseconds > last and history.fits(event, filters):
                        await response.write(msgspec.json.encode(event) + b"\n")
    return response


async def disk_usage(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("disk_usage", {"types": request.query.getall("type", [])})).body)


def _now() -> float:
    import time

    return time.time()


ROUTES: list[Route] = [
    ("GET", "/_ping", ping),
    ("HEAD", "/_ping", ping),
    ("GET", "/version", version),
    ("GET", "/info", info),
    ("GET", "/events", events),
    ("GET", "/system/df", disk_usage),
]
