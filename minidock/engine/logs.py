"""What a container has printed: reads the shim's log files, Docker's json-file format.

    ID-json.log      being written
    ID-json.log.1    what it was before the last rotation, then .2, and so on to the oldest

A file is known by its inode, not by its name: the shim may rename it under our hands at any time. Lines that aren't
whole records (a crash, a full disk) are left out. Records are bytes of a stream, not lines of text: a long line comes
as several, and only the last of them ends in a newline.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

STREAMS = {"stdout": 1, "stderr": 2}
POLL_SECONDS = 0.05
BLOCK = 64 * 1024
FLOAT_ERROR = 5e-7
"""A float of seconds since 1970 is this exact: a record printed at just `since` must not fall through."""


class Record(msgspec.Struct, frozen=True):
    """One line of a log file. `time` is RFC 3339, UTC, with up to nine digits of fraction."""

    log: str
    stream: str
    time: str


DECODER = msgspec.json.Decoder(Record)


def read(
    log_path: Path,
    *,
    follow: bool = False,
    tail: int | None = None,
    since: float | None = None,
    until: float | None = None,
    timestamps: bool = False,
    stdout: bool = True,
    stderr: bool = True,
    running: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, bytes]]:
    """What was printed, oldest first: pairs of stream (1 stdout, 2 stderr) and bytes.

    `tail` counts records of both streams together, before all filters, as Docker does. `since` and `until` are unix
    seconds, both included. A followed log ends after `until`, or when `running` says no and everything is read.
    Each record gets its own timestamp, as in Docker. A container that has not printed yet has no log: nothing.
    """
    wanted = {name for name, asked in (("stdout", stdout), ("stderr", stderr)) if asked}
    for line in _lines(log_path, tail, follow, lambda: running() and (until is None or time.time() <= until)):
        record = _decode(line)
        if record is None:
            continue
        if until is not None and seconds(record.time) > until + FLOAT_ERROR:
            return
        if record.stream not in wanted or (since is not None and seconds(record.time) < since - FLOAT_ERROR):
            continue
        text = record.log.encode()
        yield STREAMS[record.stream], f"{fixed(record.time)} ".encode() + text if timestamps else text


def _decode(line: bytes) -> Record | None:
    """None for what is not a record: half of one, from a write that came through only in part."""
    try:
        record = DECODER.decode(line)
    except msgspec.MsgspecError:
        return None
    return record if record.stream in STREAMS else None


def seconds(text: str) -> float:
    """Unix seconds of a record's time."""
    from datetime import datetime

    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")


def fixed(text: str) -> str:
    """The time with all nine digits, as `docker logs -t` prints it."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return f"{whole}.{fraction:0<9}Z"


class LogFile:
    """One file of the log, open; remembers half a line at its end until the rest is written."""

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError."""
        self.file = path.open("rb", buffering=64 * 1024)
        self.inode = os.fstat(self.file.fileno()).st_ino
        self.half = b""

    def lines(self) -> Iterator[bytes]:
        """Whole lines up to the present end of the file; call it again for what came since."""
        while piece := self.file.readline():
            self.half += piece
            if piece.endswith(b"\n"):
                line, self.half = self.half, b""
                yield line

    def seek_tail(self, count: int) -> int:
        """Go to where the last `count` lines begin, reading backwards; returns how many the file is short of."""
        needed = count + 1  # newlines: the one before the first of the lines, too
        position = os.fstat(self.file.fileno()).st_size
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
        return os.fstat(self.file.fileno()).st_size < self.file.tell()

    def close(self) -> None:
        self.file.close()


def files(log_path: Path) -> list[Path]:
    """The names of the log's files, newest first; for `rm` and disk usage too."""
    numbered = {}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(log_path.parent):
            start, _, number = name.rpartition(".")
            if name == log_path.name:
                numbered[0] = log_path
            elif start == log_path.name and number.isdecimal():  # a rotation at work may leave a gap
                numbered[int(number)] = log_path.with_name(name)
    return [numbered[number] for number in sorted(numbered)]


def _lines(log_path: Path, tail: int | None, follow: bool, awaited: Callable[[], bool]) -> Iterator[bytes]:
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
    """All files of the log, newest first. When they are rotated meanwhile, one may show up twice."""
    opened: dict[int, LogFile] = {}
    for path in files(log_path):
        try:
            file = LogFile(path)
        except FileNotFoundError:  # rotated away since it was listed
            continue
        if file.inode in opened:
            file.close()
        else:
            opened[file.inode] = file
    return list(opened.values())


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
            if file is not None and name.stat().st_ino == file.inode:
                return index
    return len(names)
