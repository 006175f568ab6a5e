"""What is told of a RUN that failed: its exit code, its place in the Dockerfile, its last lines."""

from __future__ import annotations

from minidock.errors import BuildFailed

from .commands import Command
from .state import RunFailed, Tell

LAST_LINES = 20
"""Lines that are shown again."""
LAST_BYTES = 8192


class Tail:
    """Passes output on, and keeps its end."""

    def __init__(self, tell: Tell, step: str) -> None:
        self.tell = tell
        self.step = step
        self.kept = b""

    def log(self, data: bytes) -> None:
        self.kept = (self.kept + data)[-LAST_BYTES:]
        self.tell.log(self.step, data)

    def text(self) -> str:
        return "\n".join(self.kept.decode(errors="replace").rstrip("\n").split("\n")[-LAST_LINES:])


def shown(command: Command) -> str:
    """The instruction as it is written, on one line."""
    return " ".join(command.at.original.split())


def failure(command: Command, argv: list[str], failed: RunFailed) -> BuildFailed:
    """BuildKit's words; build arguments, which the history has before the command, are no part of it."""
    why = f" ({failed.why})" if failed.why else ""
    line, column = command.at.line.place(command.at.rest.at)
    if line != command.at.line.first:
        column = 0
    return BuildFailed(
        f'process "{" ".join(argv)}" did not complete successfully: exit code: {failed.code}{why}',
        excerpt=command.at.source.excerpt(command.at.line.first, command.at.line.last, column),
        output=failed.output,
    )
