"""The files of a log, which the shim rotates and compresses under our hands at any time (native/shim_rotate.c).

    ID-json.log       being written; ID-local.log with the driver `local`
    ID-json.log.1     what it was before the last rotation, then .2, and so on to the oldest
    ID-json.log.2.gz  compressed

A file is known by its inode, not by its name; gzip makes another file of it, which has the time of its last change.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from gzip import GzipFile

POLL_SECONDS = 0.05
BLOCK = 64 * 1024
PACKED = ".gz"


class LogFile:
    """One file of the log, open; remembers half a line at its end until the rest is written."""

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError."""
        self.file: BinaryIO | GzipFile
        self.packed = path.name.endswith(PACKED)
        if self.packed:
            import gzip

            self.file = gzip.GzipFile(path, "rb")
        else:
            self.file = path.open("rb", buffering=64 * 1024)
        self.inode = self.status().st_ino
        self.half = b""

    def status(self) -> os.stat_result:
        return os.fstat(self.file.fileno())

    def lines(self) -> Iterator[bytes]:
        """Whole lines up to the present end of the file; call it again for what came since."""
        while piece := self._piece():
            self.half += piece
            if piece.endswith(b"\n"):
                line, self.half = self.half, b""
                yield line

    def _piece(self) -> bytes:
        try:
            return self.file.readline()
        except EOFError:  # gzip was killed, with its machine: what there is has been read
            return b""

    def seek_tail(self, count: int) -> int:
        """Go to where the last `count` lines begin; returns how many the file is short of."""
        return self._seek_packed(count) if self.packed else self._seek_backwards(count)

    def _seek_packed(self, count: int) -> int:
        """What is compressed can only be read from its beginning: once to count, once to go there."""
        total = sum(1 for _ in self.lines())
        self.file.seek(0)
        self.half = b""
        for _ in range(total - count):
            self.file.readline()
        return max(0, count - total)

    def _seek_backwards(self, count: int) -> int:
        needed = count + 1  # newlines: the one before the first of the lines, too
        position = self.status().st_size
        while position > 0:
            start = max(0, position - BLOCK)
            block = os.pread(self.file.fileno(), position - start, start)
            found = block.count(b"\n")
            if found >= needed:
                cut = len(block)
                for _ in range(needed):
                    cut = block.rfind(b"\n", 0, cut)
                self.file.seek(start + cut + 1)
                return 0
            needed -= found
            position = start
        return needed - 1

    def emptied(self) -> bool:
        """Somebody has truncated it: where we read is beyond its end."""
        return not self.packed and self.status().st_size < self.file.tell()

    def close(self) -> None:
        self.file.close()


def files(log_path: Path) -> list[Path]:
    """The names of the log's files, newest first; for `rm` and disk usage too."""
    numbered: dict[int, Path] = {}
    with contextlib.suppress(FileNotFoundError):
        for name in sorted(os.listdir(log_path.parent), reverse=True):  # X.gz, then X, which is the whole one
            start, _, number = name.removesuffix(PACKED).rpartition(".")
            if name == log_path.name:
                numbered[0] = log_path
            elif start == log_path.name and number.isdecimal():  # a rotation at work may leave a gap
                numbered[int(number)] = log_path.with_name(name)
    return [numbered[number] for number in sorted(numbered)]


def lines(log_path: Path, tail: int | None, follow: bool, awaited: Callable[[], bool]) -> Iterator[bytes]:
    """All lines, oldest first, or the last `tail`; with `follow` those that come, while `awaited`."""
    opened = _open_all(log_path)
    with contextlib.ExitStack() as stack:
        for file in opened:
            stack.callback(file.close)
        if tail is not None:
            opened = _skip_to_tail(opened, tail)
        for file in reversed(opened):
            yield from file.lines()
        if follow:
            yield from _follow(log_path, opened[0] if opened else None, awaited)


def _open_all(log_path: Path) -> list[LogFile]:
    """All files of the log, newest first: as they are at one moment, so again when they were rotated meanwhile."""
    while True:
        opened: list[LogFile] = []
        with contextlib.suppress(FileNotFoundError):  # rotated away since it was listed
            for path in files(log_path):
                opened.append(LogFile(path))
            if [path.stat().st_ino for path in files(log_path)] == [file.inode for file in opened]:
                return opened
        for file in opened:
            file.close()


def _skip_to_tail(opened: list[LogFile], count: int) -> list[LogFile]:
    """The files that the last `count` lines are in, newest first, each at its first line of them."""
    for index, file in enumerate(opened):
        count = file.seek_tail(count)
        if count == 0:
            return opened[: index + 1]
    return opened


def _follow(log_path: Path, file: LogFile | None, awaited: Callable[[], bool]) -> Iterator[bytes]:
    """What is written from now on, through any number of rotations."""
    while True:
        more = awaited()  # asked before reading: what was printed before the end is then read for sure
        if file is not None:
            yield from file.lines()
        successor = _successor(log_path, file)
        if successor is not None:
            if file is not None:
                yield from file.lines()  # what came between our reading and the rotation; nothing comes after it
                file.close()
            file = successor
        elif more:
            time.sleep(POLL_SECONDS)
        else:
            break
    if file is not None:
        file.close()


def _successor(log_path: Path, file: LogFile | None) -> LogFile | None:
    """The file that was begun when `file` was rotated away, or None while it is the current one."""
    while True:
        names = files(log_path)
        place = _place(names, file)
        if place == 0:
            return LogFile(log_path) if file is not None and file.emptied() else None
        if not names:
            return None
        with contextlib.suppress(FileNotFoundError):
            successor = LogFile(names[place - 1])
            if _place(files(log_path), file) == place:
                return successor
            successor.close()  # another rotation came in between, and this is the next but one


def _place(names: list[Path], file: LogFile | None) -> int:
    """Where the open file is among the names; behind the oldest when it has been removed."""
    for index, name in enumerate(names):
        with contextlib.suppress(FileNotFoundError):
            if file is not None and _same(name, file):
                return index
    return len(names)


def _same(name: Path, file: LogFile) -> bool:
    status = name.stat()
    return status.st_ino == file.inode or (
        name.name.endswith(PACKED) and not file.packed and status.st_mtime_ns == file.status().st_mtime_ns
    )
