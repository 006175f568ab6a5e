"""Pull and push by another daemon: it goes to the registry, with the credentials that are kept here."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from minidock.daemon.client.api import Api, quoted
from minidock.errors import UsageError
from minidock.model.events import Progress

Tell = Callable[[Progress], None]
Auth = dict[str, str] | None


def pull(api: Api, name: str, *, all_tags: bool = False, platform: str = "", tell: Tell, auth: Auth = None) -> str:
    """The familiar name of what came."""
    repository, tag = split(name)
    if all_tags:
        if "@" in name or tag != LATEST or name.endswith(f":{LATEST}"):
            raise UsageError("tag can't be used with --all-tags/-a")
        tag = ""
    query = {"fromImage": repository, "tag": tag, "platform": platform}
    answer = api.open("POST", "/images/create", query, headers=headers(name, auth))
    for progress in told(api.messages(answer)):
        tell(progress)
    return _familiar(f"{repository}:{tag}" if tag else repository)


def push(api: Api, name: str, *, all_tags: bool, tell: Tell, auth: Auth) -> None:
    repository, tag = split(name)
    query = {"tag": "" if all_tags else tag}
    answer = api.open("POST", f"/images/{quoted(repository)}/push", query, headers=headers(name, auth))
    for progress in told(api.messages(answer)):
        tell(progress)


LATEST = "latest"


def split(name: str) -> tuple[str, str]:
    """The repository and the tag, `latest` without one; a name with a digest stays whole."""
    if "@" in name:
        return name, ""
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, LATEST)


def _familiar(name: str) -> str:
    """As people see it; `docker.io/library/busybox:latest` was pulled as `busybox`."""
    from minidock.engine import registries

    return registries.familiar(name)


def told(messages: Iterator[dict[str, Any]]) -> Iterator[Progress]:
    for message in messages:
        if "status" in message:
            detail = message.get("progressDetail") or {}
            current, total = int(detail.get("current") or 0), int(detail.get("total") or 0)
            yield Progress(str(message.get("id", "")), str(message["status"]), current, total)


def headers(name: str, auth: Auth) -> dict[str, str]:
    """Those that say who we are at the image's registry: what config.json has, where it isn't given."""
    from minidock.engine import registries

    return auth_header(registries.auth_of(name) if auth is None else auth)


def auth_header(auth: dict[str, str]) -> dict[str, str]:
    """X-Registry-Auth: base64 for URLs, of JSON; `{}` for nobody."""
    return {"X-Registry-Auth": base64.urlsafe_b64encode(msgspec.json.encode(auth)).decode()}


def login(api: Api, server: str, username: str, password: str) -> str:
    """The daemon tries them, we keep them: the file in which they newly stand bare, or nothing."""
    from minidock.engine import registries

    kept = {} if username else registries.auth_of_server(server)
    body = {**kept, "serveraddress": server} if kept else None
    given = {"username": username, "password": password, "serveraddress": server}
    answer = api.json("POST", "/auth", None, body or given) or {}
    if kept:
        return ""
    return registries.keep(server, username, password, str(answer.get("IdentityToken") or ""))


def search(api: Api, term: str, limit: int) -> list[dict[str, Any]]:
    query = {"term": term, "limit": limit or None}
    found: list[dict[str, Any]] = api.json("GET", "/images/search", query, headers=headers(term, None))
    return found
