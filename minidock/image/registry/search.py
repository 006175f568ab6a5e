"""`search`: the old index protocol, which Docker Hub still answers for this (docker-registry has never had it)."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from minidock.errors import RegistryError
from minidock.paths import Layout

from .. import manifest as docs
from .config import DockerConfig
from .names import servers, settings
from .wire import Wire

INDEX = "index.docker.io"


class Hit(msgspec.Struct, frozen=True):
    """A repository that was found, as the index describes it."""

    name: str = ""
    description: str | None = ""
    star_count: int = 0
    is_official: bool = False
    is_automated: bool = False


class _Answer(msgspec.Struct, frozen=True):
    results: list[Hit] = []


def search(layout: Layout, term: str, limit: int) -> list[Hit]:
    """Most stars first. `HOST/TERM` asks that host."""
    host, slash, rest = term.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        where, words = host, rest
    else:
        where, words = INDEX, term
    config = DockerConfig()
    (server,) = servers(layout, where)
    wire = Wire(
        server, config.credentials(where), headers=config.headers, insecure=settings(layout).insecure_registries
    )
    try:
        answer = wire.send("GET", f"/v1/search?{urlencode({'q': words, 'n': limit or 25})}")
        found = docs.decode(answer.body(), _Answer, "answer of the search").results
    except RegistryError as error:
        if not error.status:
            raise
        raise RegistryError(f"Unexpected status code {error.status}", status=error.status) from error
    finally:
        wire.close()
    return sorted(found, key=lambda hit: hit.star_count, reverse=True)[: limit or 25]
