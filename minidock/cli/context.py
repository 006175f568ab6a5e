"""What every command shares: the options before the command's name, and the one place that makes an Engine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click
import msgspec

from ..errors import MinidockError

if TYPE_CHECKING:
    from ..engine import Engine
    from ..paths import Layout


class Settings(msgspec.Struct, frozen=True):
    """The global options; `root` empty means MINIDOCK_ROOT or the default."""

    root: str = ""
    debug: bool = False


def settings() -> Settings:
    ctx = click.get_current_context(silent=True)
    found = ctx.find_root().obj if ctx else None
    return found if isinstance(found, Settings) else Settings()


def engine() -> Engine:
    """The engine of the instance that the command line names. Tests put their own in its place."""
    from ..engine import Engine

    return Engine(layout())


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
    from .commands import one_line

    failed = []
    for reference in references:
        try:
            done = act(reference)
        except MinidockError as error:
            say(f"Error: {one_line(error)}")
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
