"""--explain and --dry-run: the steps of a container, told to a person.

    [ 12]    0.1 ms  mount a new proc at /proc
                     A new file system of any kind, hung into the container's tree
                     mount -t proc proc /proc
                     mount(2)   minidock/kernel/mounts.py:31

What is told comes from the steps themselves, so it can't drift from what is done. `--explain=json` gives the same to
tools, an object a line, and `--explain=html` to an audience: the report of explain_html.py.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TextIO

import msgspec

from ..steps import Narrator, Step, reason_of, source_of

INDENT = " " * 17
BOLD, DIM, GREEN, RED, PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[0m"


class Plan(Protocol):
    """What the engine answers to a dry run: the steps by where they happen, in order."""

    def sections(self) -> list[tuple[str, list[Step]]]: ...


REPORT = "minidock-explain.html"


@contextlib.contextmanager
def narrating(form: str) -> Iterator[Narrator]:
    """The narrator for a form of --explain: text, json, html, json:FILE, html:FILE."""
    kind, _, path = form.partition(":")
    if kind == "text":
        yield Explain(sys.stderr)
    elif kind == "json":
        with Path(path).open("w") if path else contextlib.nullcontext(sys.stderr) as out:
            yield Recorder(out)
    else:
        yield from _report(Path(path or REPORT))


def _report(path: Path) -> Iterator[Narrator]:
    """Opened before anything is done: a path that can't be written is told then."""
    from .explain_html import page

    # A RUN of a build happens in a process of its own, which writes to the same open file as we do.
    with path.open("w", encoding="utf-8") as file, tempfile.TemporaryFile("w+") as kept:
        try:
            yield Recorder(kept)
        finally:
            kept.seek(0)
            rows = [msgspec.json.decode(line, type=Row) for line in kept]
            file.write(page(rows, " ".join(["minidock", *sys.argv[1:]])))
    print(f"minidock: the report is in {path}", file=sys.stderr)


class Row(msgspec.Struct, frozen=True):
    """What happened to a step: `event` is done, failed or undone. `begun` counts seconds from the first step on."""

    event: str
    where: str
    begun: float
    seconds: float
    step: str
    what: str
    why: str
    shell: str
    man: str
    source: str
    error: str
    values: Any


class Recorder:
    """A steps.Narrator that keeps everything; with a stream each is also written as JSON, as it happens."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out
        self.rows: list[Row] = []
        self.where = "host"
        self.first = time.perf_counter()
        self.last = self.first

    def moved(self, where: str) -> None:
        self.where = where

    def started(self, step: Step) -> None:
        self.last = time.perf_counter()

    def done(self, step: Step, seconds: float) -> None:
        self.add("done", step, seconds=seconds, where=self.where)

    def failed(self, step: Step, error: BaseException) -> None:
        self.add("failed", step, error=str(error), seconds=time.perf_counter() - self.last, where=self.where)

    def undone(self, step: Step) -> None:
        self.add("undone", step)

    def add(self, event: str, step: Step, *, error: str = "", seconds: float = 0.0, where: str = "host") -> None:
        row = Row(
            event=event,
            where=where,
            begun=max(0.0, time.perf_counter() - seconds - self.first),
            seconds=seconds,
            step=type(step).__name__,
            what=step.describe(),
            why=reason_of(step),
            shell=step.undo_shell() if event == "undone" else step.shell(),
            man=step.man,
            source=source_of(step),
            error=error,
            values=msgspec.to_builtins(step),
        )
        self.rows.append(row)
        if self.out is not None:
            self.out.write(f"{msgspec.json.encode(row).decode()}\n")
            self.out.flush()


class Explain:
    """A steps.Narrator that writes to a stream; colours only for a terminal."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.coloured = out.isatty()
        self.count = 0

    def moved(self, where: str) -> None:
        self.line(self.paint(DIM, f"{'':11}in the {where}:" if where == "container" else f"{'':11}on the {where}:"))

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
        self.line(f"{INDENT}{self.paint(DIM, reason_of(step))}")
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
