"""What a build shows while it goes on: lines for a pipe, a live view for a terminal, or nothing.

#4 [2/3] RUN make                        => CACHED [1/3] FROM busybox:latest          0.0s
#4 0.214 cc -c main.c                    => [2/3] RUN make                            1.3s
#4 DONE 1.3s                             => => # cc -c main.c
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from typing import TextIO

from ..errors import UsageError

SHOWN_LINES = 6
"""Lines of a running step's output that the live view shows."""
KEPT_LINES = 10
"""Lines of a failed step that are shown again, where all of them have gone by already; as BuildKit."""
KEPT_UNSEEN_LINES = 1000
"""The same, of a live view, which has shown none of them for long."""


def choose(kind: str, *, explain: bool = False, out: TextIO | None = None) -> Progress:
    """--progress. A live view would be painted over what --explain tells, so that gets lines."""
    out = out or sys.stderr
    if kind not in ("auto", "plain", "tty", "quiet"):
        raise UsageError(f'invalid progress mode "{kind}"')
    if kind == "quiet":
        return Progress(out)
    if kind == "tty" and not out.isatty():
        raise UsageError("failed to get console: the standard error is no terminal")
    if kind == "plain" or explain or not out.isatty():
        return Plain(out)
    return Live(out)


class Step:
    """One thing that is done."""

    def __init__(self, number: int, text: str, kept: int) -> None:
        self.number = number
        self.text = text
        self.begun = time.monotonic()
        self.ended = 0.0
        self.state = ""
        self.lines: list[str] = []
        self.rest = b""
        self.said: deque[str] = deque(maxlen=kept)
        """The last lines, with the time of each."""

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.begun

    def timed(self, line: str) -> str:
        """When it came, with as many digits as BuildKit's."""
        seconds = self.seconds
        digits = 3 if seconds < 10 else 2 if seconds < 100 else 1
        return f"{seconds:.{digits}f} {line}".rstrip(" ")

    def take(self, data: bytes) -> list[str]:
        """The lines that have become whole."""
        *whole, self.rest = (self.rest + data).split(b"\n")
        # Of a line that was written over with carriage returns only its last state counts.
        return [line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace") for line in whole]

    def last(self) -> list[str]:
        """What is left without an end of line."""
        rest, self.rest = self.rest, b""
        return [rest.decode(errors="replace")] if rest else []


class Progress:
    """Nothing, but which step failed: --quiet."""

    is_quiet = True
    kept_lines = KEPT_LINES

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.steps: dict[str, Step] = {}
        self.failed: Step | None = None

    def begin(self, step: str, text: str) -> None:
        self.steps[step] = Step(len(self.steps) + 1, text, self.kept_lines)
        self.started(self.steps[step])

    def log(self, step: str, data: bytes, stderr: bool = False) -> None:
        found = self.steps[step]
        for line in found.take(data):
            self._line(found, line)

    def done(self, step: str, cached: bool = False, error: str = "") -> None:
        found = self.steps[step]
        for line in found.last():
            self._line(found, line)
        found.ended = time.monotonic()
        found.state = "CACHED" if cached else "ERROR" if error else "DONE"
        if error:
            self.failed = found
        self.finished(found, error)

    def _line(self, step: Step, text: str) -> None:
        step.said.append(step.timed(text))
        self.line(step, text)

    def instruction(self, text: str, total: int) -> None:
        """What makes a layer begins as a step; the others take no time."""

    def configured(self, cached: bool) -> None:
        """Nothing to show, as with BuildKit."""

    def started(self, step: Step) -> None: ...

    def line(self, step: Step, text: str) -> None: ...

    def finished(self, step: Step, error: str) -> None: ...

    def tick(self) -> None:
        """Called a few times a second."""

    def close(self, *, failed: bool = False) -> None:
        """Nothing more will come: what isn't done won't be."""
        for step in self.steps.values():
            if not step.ended:
                self.done_without(step)

    def done_without(self, step: Step) -> None:
        """One that has no end of its own: another one failed, or Ctrl-C came."""
        for line in step.last():
            self._line(step, line)
        step.ended, step.state = time.monotonic(), "CANCELED"
        self.finished(step, "")


class Plain(Progress):
    """Lines, each with the number of its step and when it came."""

    is_quiet = False

    def _say(self, text: str) -> None:
        self.out.write(f"{text}\n")
        self.out.flush()

    def started(self, step: Step) -> None:
        self._say(f"#{step.number} {step.text}")

    def line(self, step: Step, text: str) -> None:
        self._say(f"#{step.number} {step.said[-1]}")

    def finished(self, step: Step, error: str) -> None:
        if step.state in ("CACHED", "CANCELED"):
            said = step.state
        elif error:
            said = f"ERROR: {error}"
        else:
            said = f"DONE {step.seconds:.1f}s"
        self._say(f"#{step.number} {said}\n")


class Live(Progress):
    """All steps, painted anew in place; of running ones the last lines."""

    is_quiet = False
    kept_lines = KEPT_UNSEEN_LINES

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self.begun = time.monotonic()
        self.height = 0
        self.painted = 0.0

    def line(self, step: Step, text: str) -> None:
        step.lines = [*step.lines, text][-SHOWN_LINES:]
        self._paint_soon()

    def started(self, step: Step) -> None:
        self._paint_soon()

    def finished(self, step: Step, error: str) -> None:
        if not error:
            step.lines = []
        self._paint_soon()

    def tick(self) -> None:
        self.paint()

    def close(self, *, failed: bool = False) -> None:
        super().close(failed=failed)
        self.paint(ended="FAILED" if failed else "FINISHED")

    def _paint_soon(self) -> None:
        """At most twenty times a second, however much is written."""
        if time.monotonic() - self.painted > 0.05:
            self.paint()

    def paint(self, ended: str = "") -> None:
        columns, rows = 0, 0
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(self.out.fileno())
        columns, rows = columns or 80, rows or 24  # a terminal that nobody has told its size says 0
        lines = self._lines(ended, columns)
        if len(lines) > rows - 1:  # what has scrolled away can't be painted over
            lines = [lines[0], *lines[len(lines) - rows + 2 :]]
        up = f"\x1b[{self.height}A" if self.height else ""
        self.out.write(up + "".join(f"\r\x1b[2K{line[:columns]}\n" for line in lines) + "\x1b[J")
        self.out.flush()
        self.height = len(lines)
        self.painted = time.monotonic()

    def _lines(self, ended: str, columns: int) -> list[str]:
        done = sum(bool(step.ended) for step in self.steps.values())
        seconds = time.monotonic() - self.begun
        lines = [f"[+] Building {seconds:.1f}s ({done}/{len(self.steps)}) {ended}".rstrip()]
        for step in self.steps.values():
            mark = f"{step.state} " if step.state in ("CACHED", "CANCELED", "ERROR") else ""
            left, right = f" => {mark}{_printable(step.text)}", f"{step.seconds:.1f}s"
            space = max(1, columns - len(right))
            lines.append(f"{left[: space - 1]:<{space}}{right}")
            if not step.ended:
                lines += [f" => => # {_printable(line)}" for line in step.lines]
        return lines


def _printable(text: str) -> str:
    """A container's output must not move the cursor."""
    return "".join(char if char.isprintable() else " " for char in text.expandtabs(8))
