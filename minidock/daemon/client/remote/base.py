"""What all parts of the remote engine stand on: a connection, and how what isn't there is told."""

from __future__ import annotations

from typing import NoReturn

from minidock.daemon.client.api import Api
from minidock.daemon.client.endpoint import Endpoint
from minidock.engine import Engine
from minidock.errors import Unsupported
from minidock.steps import SILENT, Narrator


class Remote(Engine):
    """An Engine without a directory on this host."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.api = Api(endpoint)

    def __getattr__(self, name: str) -> NoReturn:
        """`layout` isn't set: a method that we don't have ends here, and touches nothing of this host."""
        if name == "layout":
            raise only_here("this command works")
        raise AttributeError(name)


def only_here(what: str) -> Unsupported:
    hint = "leave out -H, DOCKER_HOST and the context"
    return Unsupported(f"{what} only on the host itself, without a daemon", hint=hint)


def silent(narrator: Narrator, verb: str = "run") -> None:
    if narrator is not SILENT:
        raise only_here(f"{verb} --explain works")
