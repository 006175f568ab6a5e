"""A container's files: copied in and out as tars, told from the image's, exported, and made an image."""

from __future__ import annotations

import base64

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import CONTAINER, Daemon, Route, json
from minidock.daemon.streams import flowing, prepared, relayed
from minidock.daemon.workers import CHUNK, Refused

TAR = "application/x-tar"
PATH_STAT = "X-Docker-Container-Path-Stat"


def _place(request: web.Request) -> dict[str, str]:
    path = request.query.get("path", "")
    if not path:
        raise Refused(400, "bad parameter: path cannot be empty")
    return {"ref": request.match_info["ref"], "path": path}


def _stat_header(body: bytes) -> dict[str, str]:
    """What the path is, where a client finds it: base64 of JSON."""
    return {PATH_STAT: base64.b64encode(body).decode("ascii")}


async def look(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    result = await daemon.workers.call("stat_path", _place(request))
    return web.Response(headers=_stat_header(result.body))


async def take(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    async with flowing(daemon.workers, "read_archive", _place(request)) as (result, output):
        response = web.StreamResponse(headers={"Content-Type": TAR, **_stat_header(result.body)})
        await prepared(request, response)
        while piece := await output.read(CHUNK):
            await response.write(piece)
    return response


async def put(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    arguments = {
        **_place(request),
        "own": query.flag(request, "copyUIDGID"),
        "strict": query.flag(request, "noOverwriteDirNonDir"),
    }
    async with flowing(daemon.workers, "write_archive", arguments, request):
        return web.Response()


async def export(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    return await relayed(daemon, request, "export", {"ref": request.match_info["ref"]}, kind="application/octet-stream")


KINDS = {"C": 0, "A": 1, "D": 2}


async def changes(daemon: Daemon, request: web.Request) -> web.Response:
    result = await daemon.workers.call("changes", {"ref": request.match_info["ref"]})
    rows = msgspec.json.decode(result.body, type=list[tuple[str, str]])
    found = [{"Path": path, "Kind": KINDS[kind]} for kind, path in rows]
    return json(msgspec.json.encode(found or None))


async def commit(daemon: Daemon, request: web.Request) -> web.Response:
    repository, tag = request.query.get("repo", ""), request.query.get("tag", "")
    arguments = {
        "ref": request.query.get("container", ""),
        "reference": f"{repository}:{tag}" if repository and tag else repository,
        "author": request.query.get("author", ""),
        "message": request.query.get("comment", ""),
        "changes": query.lines(request, "changes"),
        "pause": query.flag(request, "pause", default=True),
        "body": await query.body(request),
    }
    return json((await daemon.workers.call("commit", arguments)).body, status=201)


ROUTES: list[Route] = [
    ("HEAD", f"{CONTAINER}/archive", look),
    ("GET", f"{CONTAINER}/archive", take),
    ("PUT", f"{CONTAINER}/archive", put),
    ("GET", f"{CONTAINER}/export", export),
    ("GET", f"{CONTAINER}/changes", changes),
    ("POST", "/commit", commit),
]
