"""What is told of a RUN that failed: its exit code, and its place in the Dockerfile."""

from __future__ import annotations

from minidock.errors import BuildFailed, MinidockError, of_the_system

from .commands import Command
from .state import RunFailed


def shown(command: Command) -> str:
    """The instruction as it is written, on one line."""
    return " ".join(command.at.original.split())


def failed(error: MinidockError | OSError, command: Command) -> BuildFailed:
    """What went wrong otherwise: a full disk is the system's word, ours or not."""
    if isinstance(error, MinidockError):
        return BuildFailed(error.message, excerpt=command.at.excerpt(), hint=error.hint)
    told, hint = of_the_system(error)
    return BuildFailed(told, excerpt=command.at.excerpt(), hint=hint)


def failure(command: Command, argv: list[str], failed: RunFailed) -> BuildFailed:
    """BuildKit's words; build arguments, which the history has before the command, are no part of it."""
    why = f" ({failed.why})" if failed.why else ""
    line, column = command.at.line.place(command.at.rest.at)
    if line != command.at.line.first:
        column = 0
    return BuildFailed(
        f'process "{" ".join(argv)}" did not complete successfully: exit code: {failed.code}{why}',
        excerpt=command.at.source.excerpt(command.at.line.first, command.at.line.last, column),
    )
