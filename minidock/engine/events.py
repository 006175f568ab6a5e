"""events: what happened to containers, images, networks and volumes, without a daemon that remembers it.

Every verb appends one line of JSON, in the shape of Docker's API, to `events/log` of the instance. One write(2) with
O_APPEND lands whole behind what others write at the same time, so nobody waits for a lock. A log that has grown to
LIMIT is renamed to `log.1`, over the one before. Who follows is woken by inotify.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from minidock.errors import MinidockError
from minidock.model.events import Actor, Event
from minidock.paths import Layout

if TYPE_CHECKING:
    from minidock.engine.record import Record

LIMIT = 1 << 20
"""Bytes of a log before it is rotated: two of them hold about 5,000 events."""

CANT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""`rm` on a full disk makes room, and must not fail because it can't tell about it."""

Filters = Mapping[str, list[str]]


# telling


def emit(
    layout: Layout,
    type: str,
    action: str,
    actor_id: str,
    attributes: Mapping[str, str] | None = None,
    *,
    scope: str = "local",
) -> None:
    """Tell that something has happened. `type` is container, image, network, volume, builder or daemon; of a whole
    swarm (`scope`) node, service, secret or config.

    For a container use `container()`, which fills in its labels, image and name.
    """
    now = time.time_ns()
    actor = Actor(actor_id, dict(sorted((attributes or {}).items())))
    old = {"status": action, "id": actor_id} if type in ("container", "image") else {}
    if type == "container":
        old["origin"] = actor.attributes.get("image", "")
    event = Event(**old, type=type, action=action, actor=actor, scope=scope, time=now // 1_000_000_000, nanoseconds=now)
    try:
        _append(layout.events / "log", msgspec.json.encode(event) + b"\n")
    except OSError as error:
        if error.errno not in CANT_WRITE:
            raise


def container(layout: Layout, record: Record, action: str, more: Mapping[str, str] | None = None) -> None:
    """Something has happened to a container; those of builds are nobody's business."""
    if record.hidden:
        return
    attributes = {**record.config.labels, "image": record.image, "name": record.name, **(more or {})}
    emit(layout, "container", action, record.id, attributes)


def image(
    layout: Layout, action: str, image_id: str, *, name: str = "", labels: Mapping[str, str] | None = None
) -> None:
    """Something has happened to an image; `name` is its id when there is no better one."""
    emit(layout, "image", action, image_id, {**(labels or {}), "name": name or image_id})


def networks(layout: Layout, record: Record, action: str) -> None:
    """`connect` or `disconnect`, for each network that the container is on."""
    for name, endpoint in record.endpoints.items() if not record.hidden else ():
        kind = {"host": "host", "none": "null"}.get(name, "bridge")
        emit(layout, "network", action, endpoint.network_id, {"container": record.id, "name": name, "type": kind})


def volumes(layout: Layout, record: Record, action: str) -> None:
    """`mount` or `unmount`, for each volume that the container has."""
    for point in record.mounts:
        if point.type != "volume":
            continue
        attributes = {"container": record.id, "driver": point.driver}
        if action == "mount":
            more = {"destination": point.destination, "propagation": point.propagation}
            attributes |= {**more, "read/write": "true" if point.rw else "false"}
        emit(layout, "volume", action, point.name, attributes)


def _append(path: Path, line: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, flags, 0o600)
    try:
        if os.write(fd, line) < len(line):
            os.write(fd, b"\n")  # the disk is full: what comes next must not be glued to the half line
        if os.fstat(fd).st_size >= LIMIT:
            _rotate(fd, path)
    finally:
        os.close(fd)


def _rotate(fd: int, path: Path) -> None:
    """Whoever locks the full log, and finds it still in its place, renames it: one of any number of writers."""
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(fd), os.stat(path)):
            os.rename(path, path.with_name("log.1"))
    except (BlockingIOError, FileNotFoundError):
        return  # somebody else does it, or has done it


# listening


def read(
    layout: Layout, *, since: float | None = None, until: float | None = None, filters: Filters | None = None
) -> Iterator[Event]:
    """Past events when a time is given, then new ones as they come: for ever, or until that time.

    Times are Unix seconds. Raises MinidockError when they are the wrong way round.
    """
    if since is not None and until is not None and since > until:
        raise MinidockError(f"`since` time ({int(since)}) cannot be after `until` time ({int(until)})")
    first = 0 if since is None else int(since * 1e9)
    last = None if until is None else int(until * 1e9)
    for event in _stream(layout, past=since is not None or until is not None, until=until):
        if event.nanoseconds >= first and (last is None or event.nanoseconds <= last) and fits(event, filters or {}):
            yield event


def _stream(layout: Layout, *, past: bool, until: float | None) -> Iterator[Event]:
    from minidock.kernel.inotify import Watch

    layout.events.mkdir(parents=True, exist_ok=True)
    with Watch(str(layout.events)) as watch, Tail(layout.events / "log", past=past) as tail:
        while True:
            yield from tail.events()
            left = None if until is None else until - time.time()
            if left is not None and left <= 0:
                yield from tail.events()  # what came between reading and looking at the clock
                return
            watch.wait(left)


def past(layout: Layout, *, since: float | None, until: float | None, filters: Filters) -> Iterator[Event]:
    """What has happened already between the two times (Unix seconds)."""
    now = time.time()
    yield from read(layout, since=since or 0, until=now if until is None else min(until, now), filters=filters)


class Listener:
    """New events for somebody who waits for other things as well: `fileno` becomes readable when there are some."""

    def __init__(self, layout: Layout) -> None:
        from minidock.kernel.inotify import Watch

        layout.events.mkdir(parents=True, exist_ok=True)
        self._watch = Watch(str(layout.events))
        self._tail = Tail(layout.events / "log", past=False)

    def fileno(self) -> int:
        return self._watch.fileno()

    def take(self) -> list[Event]:
        self._watch.wait(0)
        return list(self._tail.events())

    def close(self) -> None:
        self._tail.__exit__()
        self._watch.__exit__(None, None, None)


class Tail:
    """The log from its beginning or its present end on, through any number of rotations.

    The file before the current one stays open: a writer that opened it before the rename may write to it after.
    """

    def __init__(self, path: Path, *, past: bool) -> None:
        self._names = (path.with_name("log.1"), path)
        self._files: list[_File] = []
        self._look()
        if not past:
            for file in self._files:
                file.skip()

    def __enter__(self) -> Tail:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def events(self) -> Iterator[Event]:
        """All that has come since the last time."""
        while True:
            for file in self._files:
                yield from file.events()
            if not self._look():
                return
            for file in self._files[:-2]:
                file.close()
            self._files = self._files[-2:]

    def _look(self) -> bool:
        """Open what has appeared; whether anything has."""
        known = len(self._files)
        for name in self._names:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(name).st_ino not in (file.inode for file in self._files):
                    self._files.append(_File(name))
        return len(self._files) > known


class _File:
    """One file of the log, read up to its present end as often as one likes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._half = b""
        self.inode = os.fstat(self._file.fileno()).st_ino

    def skip(self) -> None:
        self._file.seek(0, os.SEEK_END)

    def events(self) -> Iterator[Event]:
        while piece := self._file.readline():
            self._half += piece
            if not piece.endswith(b"\n"):
                return
            line, self._half = self._half, b""
            try:
                yield _DECODER.decode(line)
            except msgspec.MsgspecError:
                continue  # half a line, of a full disk or a machine that went down

    def close(self) -> None:
        self._file.close()


_DECODER = msgspec.json.Decoder(Event)


# choosing


def fits(event: Event, filters: Filters) -> bool:
    """Docker's filters: values of one name are alternatives, but labels must all be there; names must all fit."""
    return all(FILTERS[name](event, values) for name, values in filters.items() if values)


def _by_action(event: Event, values: list[str]) -> bool:
    """`exec_create` alone stands for `exec_create: any command`."""
    if {"health_status", "exec_create", "exec_start"} & set(values):
        return event.action.startswith(tuple(values))
    return event.action in values


def _by_actor(event: Event, values: list[str]) -> bool:
    """The id or the name begins so. As with Docker `container=x` finds an image of that name, too: add `type=`."""
    names = (event.actor.id, event.actor.attributes.get("name", ""))
    return any(name.startswith(value) for name in names for value in values)


def _by_image(event: Event, values: list[str]) -> bool:
    name = event.actor.attributes.get("name" if event.type == "image" else "image", "")
    return any(word in values for word in (event.actor.id, name, _untagged(event.actor.id), _untagged(name)))


def _untagged(name: str) -> str:
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def _by_label(event: Event, values: list[str]) -> bool:
    attributes = event.actor.attributes
    pairs = (value.partition("=") for value in values)
    return all(key in attributes and (not equals or attributes[key] == wanted) for key, equals, wanted in pairs)


FILTERS: dict[str, Callable[[Event, list[str]], bool]] = {
    "type": lambda event, values: event.type in values,
    "event": _by_action,
    "scope": lambda event, values: event.scope in values,
    "image": _by_image,
    "label": _by_label,
    **dict.fromkeys(("container", "daemon", "network", "volume", "plugin"), _by_actor),
    **dict.fromkeys(("service", "node", "secret", "config"), _by_actor),
}
