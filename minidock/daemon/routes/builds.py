"""Builds: the context comes as a tar, what happens goes back as lines of JSON."""

from __future__ import annotations

import base64
import binascii
import json as plain_json

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.app import Daemon, Route, json
from minidock.daemon.streams import relayed
from minidock.daemon.workers import Refused


async def build(daemon: Daemon, request: web.Request) -> web.StreamResponse:
    """Docker's classic parameters: words, numbers, and some that are JSON."""
    asked = request.query
    if asked.get("version", "1") == "2" or asked.get("session"):
        raise Refused(501, "this daemon has no BuildKit: set DOCKER_BUILDKIT=0 to build with the classic builder")
    remote = asked.get("remote", "")
    if remote and not remote.startswith(("http://", "https://", "git://", "git@", "github.com/", "ssh://")):
        raise Refused(400, f"invalid remote: {remote}: an address of a tar, a Dockerfile or a git repository is needed")
    arguments = {
        "remote": remote,
        "file": asked.get("dockerfile", ""),
        "tags": [name for name in asked.getall("t", []) if name],
        "build_args": _json(request, "buildargs", dict[str, str | None]),
        "labels": _json(request, "labels", dict[str, str]),
        "cache_from": _json(request, "cachefrom", list[str]),
        "target": asked.get("target", ""),
        "platform": asked.get("platform", ""),
        "pull": query.flag(request, "pull"),
        "no_cache": query.flag(request, "nocache"),
        "squash": query.flag(request, "squash"),
        "network": asked.get("networkmode", "") or "default",
        "quiet": query.flag(request, "q"),
        "limits": _limits(request),
        "auths": _auths(request),
    }
    return await relayed(daemon, request, "build", arguments, sends=True)


def _json(request: web.Request, name: str, kind: type) -> object:
    text = request.query.get(name, "")
    try:
        return msgspec.json.decode(text, type=kind | None) or kind() if text else kind()
    except ValueError as error:
        raise Refused(400, f"invalid {name}: {error}") from None


NUMBERS = {
    "memory": "Memory",
    "memswap": "MemorySwap",
    "cpushares": "CpuShares",
    "cpuperiod": "CpuPeriod",
    "cpuquota": "CpuQuota",
    "shmsize": "ShmSize",
}
WORDS = {"cpusetcpus": "CpusetCpus", "cpusetmems": "CpusetMems", "cgroupparent": "CgroupParent"}


def _limits(request: web.Request) -> dict[str, object]:
    """Of all RUNs, as members of HostConfig."""
    found: dict[str, object] = {member: query.number(request, name) for name, member in NUMBERS.items()}
    found |= {member: request.query.get(name) for name, member in WORDS.items()}
    found["Ulimits"] = _json(request, "ulimits", list[dict[str, object]])
    found["ExtraHosts"] = [host for host in request.query.getall("extrahosts", []) if host]
    return {member: value for member, value in found.items() if value}


def _auths(request: web.Request) -> dict[str, dict[str, str]]:
    """X-Registry-Config: who we are, by registry."""
    text = request.headers.get("X-Registry-Config", "").strip().replace("+", "-").replace("/", "_").rstrip("=")
    if not text:
        return {}
    try:
        decoded = plain_json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return msgspec.convert(decoded or {}, dict[str, dict[str, str]])
    except (binascii.Error, ValueError) as error:
        raise Refused(400, f"invalid X-Registry-Config header: {error}") from None


async def prune(daemon: Daemon, request: web.Request) -> web.Response:
    """`until` is how long an entry has not been used."""
    arguments = {
        "all": query.flag(request, "all"),
        "keep_bytes": query.number(request, "keep-storage", 0),
        "filters": query.prune_filters(request),
    }
    return json((await daemon.workers.call("prune_build_cache", arguments)).body)


ROUTES: list[Route] = [
    ("POST", "/build", build),
    ("POST", "/build/prune", prune),
]
