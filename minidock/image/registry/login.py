"""login: are these the right user and password? And what they are kept as: sometimes a token instead."""

from __future__ import annotations

import msgspec

from minidock.errors import RegistryError
from minidock.paths import Layout

from .auth import Credentials
from .config import HUB, DockerConfig, server_key
from .names import servers, settings
from .wire import Wire
from .words import phrase


def login(layout: Layout, server: str, credentials: Credentials) -> tuple[Credentials, bool]:
    """What was kept, and whether it stands in the file unprotected. Raises RegistryError when it isn't right."""
    kept = check(layout, server, credentials)
    return kept, DockerConfig().store(server, kept)


def check(layout: Layout, server: str, credentials: Credentials) -> Credentials:
    """What is to be kept: a token, perhaps, where the server gives one. Raises RegistryError when it isn't right."""
    config = DockerConfig()
    key = server_key(server)
    domain = "docker.io" if key == HUB else key
    (where,) = servers(layout, domain)
    # With `offline` a token server may answer with a refresh token, which is better to have lying about.
    wire = Wire(where, credentials, headers=config.headers, offline=True, insecure=settings(layout).insecure_registries)
    try:
        _try(wire)
    finally:
        wire.close()
    return msgspec.structs.replace(credentials, identity_token=wire.authority.identity_token)


def _try(wire: Wire) -> None:
    url = f"{wire.connect()}/v2/"
    answer = wire.send("GET", "/v2/", good=(200, 401))
    answer.close()
    if answer.status != 200:
        status = f"{answer.status} {phrase(answer.status)}"
        raise RegistryError(f"login attempt to {url} failed with status: {status}", status=answer.status)
