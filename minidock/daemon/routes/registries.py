"""Images from elsewhere and to elsewhere: pulled, pushed, imported, looked for."""

from __future__ import annotations

import base64
import binascii

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json
from minidock.daemon.streams import relayed
from minidock.daemon.workers import Refused

Auth = dict[str, str]


def auth(request: web.Request) -> Auth:
    """X-Registry-Auth: base64, of either alphabet and with or without padding, of an AuthConfig. Nobody without."""
    text = request.headers.get("X-Registry-Auth", "").strip()
    if not text:
        return {}
    raw = text.replace("+", "-").replace("/", "_").rstrip("=")
    try:
        decoded = base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))
        return msgspec.json.decode(decoded, type=Auth) if decoded.strip() else {}
    except (binascii.Error, ValueError) as error:
        raise Refused(400, f"invalid X-Registry-Auth header: {error}") from None


async def create(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    """`docker pull` with fromImage, `docker import` with fromSrc."""
    tag, platform = request.query.get("tag", ""), request.query.get("platform", "")
    if image := request.query.get("fromImage", ""):
        name = image if not tag else f"{image}@{tag}" if tag.startswith("sha256:") else f"{image}:{tag}"
        given = image.rpartition("/")[2]
        everything = not tag and ":" not in given and "@" not in given
        arguments = {"name": name, "all_tags": everything, "platform": platform, "auth": auth(request)}
        return await relayed(daemon, request, "pull", arguments)
    if source := request.query.get("fromSrc", ""):
        repository = request.query.get("repo", "")
        arguments = {
            "source": source,
            "reference": f"{repository}:{tag}" if repository and tag else repository,
            "message": request.query.get("message", ""),
            "changes": query.lines(request, "changes"),
            "platform": platform,
        }
        return await relayed(daemon, request, "import", arguments, sends=True)
    raise Refused(400, "either fromImage or fromSrc must be given")


async def push(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    name, tag = request.match_info["name"], request.query.get("tag", "")
    arguments = {"name": f"{name}:{tag}" if tag else name, "all_tags": not tag, "auth": auth(request)}
    return await relayed(daemon, request, "push", arguments)


async def search(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {
        "term": request.query.get("term", ""),
        "limit": query.number(request, "limit", 0),
        "filters": query.filters(request),
    }
    return json((await daemon.workers.call("search", arguments)).body)


async def distribution(daemon: Daemon, request: web.Request) -> web.Response:
    arguments = {"name": request.match_info["name"], "auth": auth(request)}
    return json((await daemon.workers.call("distribution", arguments)).body)


async def login(daemon: Daemon, request: web.Request) -> web.Response:
    return json((await daemon.workers.call("login", {"body": await query.body(request)})).body)


ROUTES: list[Route] = [
    ("POST", "/images/create", create),
    ("GET", "/images/search", search),
    ("POST", "/images/{name:.+}/push", push),
    ("GET", "/distribution/{name:.+}/json", distribution),
    ("POST", "/auth", login),
]
