"""What a container has printed: reads the shim's log (native/shim_log.c), in either of its formats.

Records are bytes of a stream, not lines of text: a long line comes as several, and only the last of them ends in a
newline. Lines of the file that aren't whole records (a crash, a full disk) are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from minidock.engine import log_config
from minidock.engine.log_files import lines
from minidock.engine.record import Records, refresh
from minidock.errors import ContainerNotFound, Unsupported
from minidock.paths import Layout
from minidock.runtime import shim

STREAMS = {"stdout": 1, "stderr": 2}
FLOAT_ERROR = 5e-7
"""A float of seconds since 1970 is this exact: a record printed at just `since` must not fall through."""


class Line(msgspec.Struct, frozen=True):
    """One line of a json-file. `time` is RFC 3339, UTC, with up to nine digits of fraction."""

    log: str
    stream: str
    time: str
    attrs: dict[str, str] = {}


class Entry(msgspec.Struct, frozen=True):
    """What a record of either format says."""

    stream: str
    text: bytes
    time: str
    attributes: dict[str, str] = {}


DECODER = msgspec.json.Decoder(Line)


def of_container(
    layout: Layout,
    ref: str,
    *,
    follow: bool,
    tail: int | None,
    since: float | None,
    until: float | None,
    timestamps: bool,
    details: bool,
) -> Iterator[tuple[int, bytes]]:
    """The log of a container. Followed, it ends when no restart policy will start it again. Raises Unsupported."""
    record = Records(layout).find(ref)
    path = log_config.path(layout, record)
    if path is None:
        raise Unsupported("configured logging driver does not support reading")

    def running() -> bool:
        try:
            return refresh(layout, Records(layout).read(record.id)).state.running
        except ContainerNotFound:
            return False

    return read(
        path,
        follow=follow,
        tail=tail,
        since=since,
        until=until,
        timestamps=timestamps,
        details=details,
        running=running,
    )


def problem(layout: Layout, ref: str) -> str:
    """Why the log of a running container is incomplete, one line; empty when it isn't."""
    try:
        record = Records(layout).find(ref)
    except ContainerNotFound:  # gone since we have read its log
        return ""
    return shim.read_log_error(layout.container_run(record.id))


def read(
    log_path: Path,
    *,
    follow: bool = False,
    tail: int | None = None,
    since: float | None = None,
    until: float | None = None,
    timestamps: bool = False,
    details: bool = False,
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
    decode = _decode_local if log_path.name.endswith("-local.log") else _decode
    for line in lines(log_path, tail, follow, lambda: running() and (until is None or time.time() <= until)):
        entry = decode(line)
        if entry is None:
            continue
        if until is not None and seconds(entry.time) > until + FLOAT_ERROR:
            return
        if entry.stream not in wanted or (since is not None and seconds(entry.time) < since - FLOAT_ERROR):
            continue
        text = _details(entry.attributes) + entry.text if details else entry.text
        yield STREAMS[entry.stream], f"{fixed(entry.time)} ".encode() + text if timestamps else text


def _decode(line: bytes) -> Entry | None:
    """None for what is not a record: half of one, from a write that came through only in part."""
    try:
        found = DECODER.decode(line)
    except msgspec.MsgspecError:
        return None
    return Entry(found.stream, found.log.encode(), found.time, found.attrs) if found.stream in STREAMS else None


def _decode_local(line: bytes) -> Entry | None:
    letter, (moment, space, text) = line[:1], line[1:].partition(b" ")
    if letter not in (b"o", b"e", b"O", b"E") or not space:
        return None
    try:
        whole, nanoseconds = divmod(int(moment, 16), 10**9)
    except ValueError:
        return None
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    stream = "stdout" if letter in b"oO" else "stderr"
    return Entry(stream, text if letter.islower() else text[:-1], f"{at}.{nanoseconds:09d}Z")


def _details(attributes: dict[str, str]) -> bytes:
    """As `docker logs --details` has them: encoded as in a URL, in front of the line."""
    from urllib.parse import quote_plus

    pairs = (f"{quote_plus(name)}={quote_plus(attributes[name])}" for name in sorted(attributes))
    return ",".join(pairs).encode() + b" "


def seconds(text: str) -> float:
    """Unix seconds of a record's time."""
    from datetime import datetime

    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")


def fixed(text: str) -> str:
    """The time with all nine digits, as `docker logs -t` prints it."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return f"{whole}.{fraction:0<9}Z"
