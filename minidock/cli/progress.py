"""How far a pull or push is: status lines in a pipe, on a terminal one line a layer that is written over and over.

    a2318d6c47ec: Downloading [=============>                                     ]  8.2MB/31.4MB
    bfb2bf3a3f6a: Pull complete

The terminal is told: go n lines up, clear the line, write, go back down (console_codes(4): CSI A, B, 2K).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TextIO

from .units import human_size

if TYPE_CHECKING:
    from ..model.events import Progress

OFTEN = 0.1
"""Seconds between two looks of the same line."""
WIDE = 110
"""Columns from which on a bar has fifty characters, as Docker's."""


class Display:
    """Told everything, shows what its stream can show."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.terminal = stream.isatty()
        self._lines: dict[str, int] = {}
        self._count = 0
        self._shown: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        if not self.terminal:
            if not progress.total:
                self._print(f"{progress.id}: {progress.status}" if progress.id else progress.status)
        elif not progress.id:
            self._lines.clear()
            self._count = 0
            self._print(progress.status)
        elif not self._too_soon(progress):
            self._rewrite(progress.id, f"{progress.id}: {progress.status}{bar(progress, self._columns())}")

    def _too_soon(self, progress: Progress) -> bool:
        if not progress.total:
            self._shown.pop(progress.id, None)
            return False
        now = time.monotonic()
        if now - self._shown.get(progress.id, 0.0) < OFTEN and progress.current < progress.total:
            return True
        self._shown[progress.id] = now
        return False

    def _rewrite(self, name: str, text: str) -> None:
        if name not in self._lines:
            self._lines[name] = self._count
            self._count += 1
            self._print(text)
            return
        up = self._count - self._lines[name]
        self.stream.write(f"\x1b[{up}A\x1b[2K\r{text}\r\x1b[{up}B")
        self.stream.flush()

    def _print(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self.stream.fileno()).columns
        except (OSError, ValueError):
            return 80


def bar(progress: Progress, columns: int) -> str:
    """The part after the status; empty when nothing is counted. It never needs more columns than there are."""
    if not progress.total:
        return ""
    sizes = f"{human_size(progress.current, digits=4):>8}/{human_size(progress.total, digits=4)}"
    width = 50 if columns > WIDE else columns - 50
    if width < 10:
        return f" {sizes}"
    done = min(width, progress.current * width // progress.total)
    return f" [{'=' * done}>{' ' * (width - done)}] {sizes}"[: max(0, columns - 26)]
