"""The swarm: begin one, join one, leave it, change it, lock and unlock it."""

from __future__ import annotations

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon import swarm_bodies as bodies
from minidock.daemon.app import Daemon, Route, json
from minidock.daemon.swarm_bodies import given
from minidock.daemon.swarming import done
from minidock.daemon.workers import Refused


async def inspect(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import cluster

    found = await daemon.swarming.asked(lambda store: cluster.shown(cluster.only(store)))
    return json(msgspec.json.encode(found))


async def init(daemon: Daemon, request: web.Request) -> web.Response:
    found = await done(daemon.swarming.membership.init(await given(request, bodies.Init)))
    return json(msgspec.json.encode(found))


async def join(daemon: Daemon, request: web.Request) -> web.Response:
    await done(daemon.swarming.membership.join(await given(request, bodies.Join)))
    return web.Response()


async def leave(daemon: Daemon, request: web.Request) -> web.Response:
    if not daemon.swarming.may_be_member:
        from minidock.swarm.refusals import NO_MEMBER

        raise Refused(503, NO_MEMBER)
    await done(daemon.swarming.membership.leave(force=query.flag(request, "force")))
    return web.Response()


async def update(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import cluster

    version = index(request, "swarm")
    rotate = {
        "Worker": query.flag(request, "rotateWorkerToken"),
        "Manager": query.flag(request, "rotateManagerToken"),
        "Unlock": query.flag(request, "rotateManagerUnlockKey"),
    }
    await daemon.swarming.asked(cluster.update, version, await given(request, bodies.Spec), rotate)
    await done(daemon.swarming.membership.refresh_lock())
    return web.Response()


def index(request: web.Request, noun: str) -> int:
    """Which version of the object a change was made from. Raises Refused as Go's parser words it."""
    text = request.query.get("version", "")
    if not text.isascii() or not text.isdecimal():
        raise Refused(400, f"invalid {noun} version '{text}': strconv.ParseUint: parsing \"{text}\": invalid syntax")
    return int(text)


async def unlock_key(daemon: Daemon, request: web.Request) -> web.Response:
    from minidock.swarm import cluster, sealing

    key = await daemon.swarming.asked(lambda store: cluster.unlock_key(cluster.only(store)))
    return json(msgspec.json.encode({"UnlockKey": sealing.unlock_text(key) if key else ""}))


async def unlock(daemon: Daemon, request: web.Request) -> web.Response:
    if not daemon.swarming.may_be_member:
        daemon.swarming.manager()
    said = await given(request, bodies.Unlock)
    await done(daemon.swarming.membership.unlock(said.get("UnlockKey", "")))
    return web.Response()


ROUTES: list[Route] = [
    ("GET", "/swarm", inspect),
    ("POST", "/swarm/init", init),
    ("POST", "/swarm/join", join),
    ("POST", "/swarm/leave", leave),
    ("POST", "/swarm/update", update),
    ("GET", "/swarm/unlockkey", unlock_key),
    ("POST", "/swarm/unlock", unlock),
]
