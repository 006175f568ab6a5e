"""--explain and --dry-run: the steps of a container, told to a person.

    [ 12]    0.1 ms  mount a new proc at /proc
                     mount -t proc proc /proc
                     mount(2)   minidock/kernel/proc.py:31

What is told comes from the steps themselves, so it can't drift from what is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TextIO

from ..steps import Step, source_of

INDENT = " " * 17
BOLD, DIM, GREEN, RED, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[0m"


class Plan(Protocol):
    """What the engine answers to a dry run: the steps by where they happen, in order."""

    def sections(self) -> list[tuple[str, list[Step]]]: ...


class Explain:
    """A steps.Narrator that writes to a stream; colours only for a terminal."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.coloured = out.isatty()
        self.count = 0

    def started(self, step: Step) -> None:
        self.count += 1

    def done(self, step: Step, seconds: float) -> None:
        self.headline(step.describe(), f"{seconds * 1000:6.1f} ms")
        self.details(step)

    def failed(self, step: Step, error: BaseException) -> None:
        self.headline(step.describe(), self.paint(RED, "   failed"))
        self.details(step)
        self.line(f"{INDENT}{self.paint(RED, str(error))}")

    def undone(self, step: Step) -> None:
        self.line(f"           {self.paint(DIM, 'undo')}  {step.describe()}")

    def headline(self, sentence: str, time: str) -> None:
        self.line(f"{self.paint(DIM, f'[{self.count:>3}]')} {time}  {self.paint(BOLD, sentence)}")

    def details(self, step: Step) -> None:
        for line in step.shell().splitlines():
            self.line(f"{INDENT}{self.paint(GREEN, line)}")
        self.line(f"{INDENT}{self.paint(DIM, where(step))}")

    def paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self.coloured else text

    def line(self, text: str) -> None:
        # Unbuffered and in one write: the container's own output may go to the same terminal.
        self.out.write(f"{text}\n")
        self.out.flush()


def where(step: Step) -> str:
    """The man page to read and the code that does it."""
    return "   ".join(filter(None, (step.man, source_of(step))))


def plan_lines(plan: Plan) -> Iterator[str]:
    """The list of --dry-run: sections with a title, steps numbered through."""
    number = 0
    for title, steps in plan.sections():
        if not steps:
            continue
        yield ("\n" if number else "") + title
        for step in steps:
            number += 1
            yield f"  {number:>3}. {step.describe()}"
            yield from (f"       {line}" for line in step.shell().splitlines())
            yield f"       {where(step)}"
