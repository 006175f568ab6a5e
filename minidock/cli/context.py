"""What every command shares: the options before the command's name, and the one place that makes an Engine.

Which engine: -H, --root and --context say it on the command line; then the environment, ours before Docker's:
MINIDOCK_HOST, MINIDOCK_ROOT, DOCKER_HOST, DOCKER_CONTEXT; then what `context use` has written down; else this host's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import click
import msgspec

from ..errors import MinidockError, UsageError

if TYPE_CHECKING:
    from ..daemon.client.endpoint import Endpoint, Wishes
    from ..engine import Engine
    from ..paths import Layout


class Settings(msgspec.Struct, frozen=True):
    """The global options; `root` empty means MINIDOCK_ROOT or the default."""

    root: str = ""
    debug: bool = False
    host: str = ""
    context: str = ""
    config: str = ""
    tls: bool = False
    tlsverify: bool | None = None
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""


def settings() -> Settings:
    ctx = click.get_current_context(silent=True)
    found = ctx.find_root().obj if ctx else None
    return found if isinstance(found, Settings) else Settings()


def engine() -> Engine:
    """The engine of the instance that the command line names. Tests put their own in its place."""
    if may_be_elsewhere():
        shared = click.get_current_context().find_root().meta
        if "minidock.remote" not in shared:
            shared["minidock.remote"] = _remote()
        if (found := shared["minidock.remote"]) is not None:
            return cast("Engine", found)
    from ..engine import Engine

    return Engine(_entered(layout()))


def only_looks() -> None:
    """The command does nothing: an ordinary user for whom nothing can be done is given an engine, too."""
    click.get_current_context().find_root().meta["minidock.looks"] = True


def _entered(found: Layout) -> Layout:
    """An ordinary user's instance is acted on from inside his own user namespace."""
    if found.user is not None:
        from ..engine import rootless

        try:
            rootless.enter(found)
        except MinidockError:
            if "minidock.looks" not in click.get_current_context().find_root().meta:
                raise
    return found


def may_be_elsewhere() -> bool:
    """Whether anything names another daemon. The usual answer, no, costs a look at a file that mostly isn't there."""
    asked, environment = settings(), os.environ
    if asked.host or asked.context:
        return True
    if asked.root:
        return False
    if environment.get("MINIDOCK_HOST"):
        return True
    if environment.get("MINIDOCK_ROOT"):
        return False
    if environment.get("DOCKER_HOST") or environment.get("DOCKER_CONTEXT"):
        return True
    directory = asked.config or environment.get("DOCKER_CONFIG") or f"{environment.get('HOME', '')}/.docker"
    try:
        with open(f"{directory}/config.json", "rb", buffering=0) as file:
            return b'"currentContext"' in file.read()
    except OSError:
        return False


def is_here() -> bool:
    """Whether commands act on this host's own root directory."""
    return not may_be_elsewhere() or endpoint() is None


def name() -> str:
    """That of the context in use."""
    found = endpoint() if may_be_elsewhere() else None
    return found.context if found else "default"


def _remote() -> Engine | None:
    """None when all that was named is the default context, which is this host's engine."""
    from ..daemon.client.remote import RemoteEngine

    found = endpoint()
    return RemoteEngine(found) if found else None


def endpoint() -> Endpoint | None:
    """The daemon that the command line or the environment name. Raises UsageError, NotFound."""
    from ..daemon.client.endpoint import find

    if settings().host and settings().root:
        raise UsageError("conflicting options: --root is an instance of this host, --host is another's")
    return find(wishes(), os.environ)


def wishes() -> Wishes:
    from ..daemon.client.endpoint import Wishes

    asked = settings()
    return Wishes(**{name: getattr(asked, name) for name in Wishes.__struct_fields__})


def layout() -> Layout:
    """Where that instance lies."""
    from ..paths import from_environment

    return from_environment(settings().root)


def say(line: str) -> None:
    """A line of progress or warning: stderr, because stdout is the command's result."""
    print(line, file=sys.stderr, flush=True)


def each(references: list[str], act: Callable[[str], object], *, show: bool = True) -> list[str]:
    """Do the same to several: print the name of each that worked, tell about each that didn't; returns the latter.

    An `act` that answers False has told about it itself.
    """
    from .commands import told

    failed = []
    for reference in references:
        try:
            done = act(reference)
        except MinidockError as error:
            say(told(error))
            failed.append(reference)
        else:
            if show and done is not False:
                print(reference, flush=True)
    return failed


def confirm(warning: str) -> bool:
    """Ask before something is lost; what isn't a yes is a no, also the end of the input."""
    print(f"{warning}\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() == "y"


def fail_after(failed: list[str]) -> None:
    """Exit with 1 when any failed; each has been told."""
    if failed:
        raise click.exceptions.Exit(1)
