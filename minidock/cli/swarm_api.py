"""Where the swarm's commands ask: at a daemon, since a swarm lives in one. This host's, or the one that -H names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..errors import NoDaemon, UsageError
from . import context
from .tables import group_filters

if TYPE_CHECKING:
    from ..daemon.client.api import Api

HERE = "unix:///run/minidock.sock"
Body = dict[str, Any]


def api() -> Api:
    """Raises NoDaemon; UsageError where only a root directory is named: whose daemon would that be?"""
    from ..daemon.client.api import Api
    from ..daemon.client.endpoint import Wishes, find

    found = context.endpoint() if context.may_be_elsewhere() else None
    if found is None:
        if context.settings().root:
            raise UsageError("a swarm lives in a daemon: name it with --host, not its --root")
        found = find(Wishes(host=HERE), {})
    assert found is not None
    made = Api(found)
    try:
        made.version()
    except NoDaemon as error:
        if found.host != HERE:
            raise
        told = "a swarm lives in a daemon, and none answers at /run/minidock.sock"
        raise NoDaemon(told, hint="start one: minidock daemon") from error
    return made


def filters(words: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Whatever they are called: the daemon knows which there are."""
    return group_filters(words, dict.fromkeys(name for name, _ in words))


def get(path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
    return api().json("GET", path, query)


def named(noun: str, ref: str) -> Any:  # noqa: ANN401 - JSON
    """`named("services", "web")`. Raises NotFound."""
    return api().json("GET", path(noun, ref))


def path(noun: str, ref: str) -> str:
    """`path("services", "web")`: whatever people type is a name, and no other part of an address."""
    return f"/{noun}/{quote(ref, safe='')}"
