"""`cp`: between a container and this machine, by Docker's rules of what is copied under which name to where.

    source             destination is a directory     is a file          isn't there
    a file             into it, under its own name    replaces it        is made; in a directory that must be there
    a directory        into it, under its own name    refused            is made, with the contents
    a directory + /.   its contents into it           refused            is made, with the contents

Both ways a tar runs through a pipe: one side packs it in a thread, the other unpacks it. The container's end is its
tree, or a daemon's API for one of its containers (daemon.client): the rules are the same.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

import msgspec

from minidock import files
from minidock.engine import archive, events, tree
from minidock.engine.archive import GO_KINDS, asserts_directory
from minidock.engine.record import Record
from minidock.errors import MinidockError
from minidock.model.requests import PathStat
from minidock.paths import Layout

CHUNK = 256 << 10
Write = Callable[[bytes], object]
Read = Callable[[int], bytes]


class _Place(msgspec.Struct, frozen=True):
    """One end of a copy: a path, and what is there."""

    path: str
    exists: bool = False
    is_directory: bool = False


class End(Protocol):
    """The container's end of a copy."""

    @property
    def ref(self) -> str: ...

    def stat(self, path: str) -> PathStat:
        """Raises NotFound."""

    def read(self, path: str, write: Write, name: str) -> object:
        """A tar of what is there, under that name."""

    def write(self, directory: str, read: Read, own: bool) -> object:
        """Unpack a tar there. `own`: files become those of the container's user."""


def into(layout: Layout, source: str, ref: str, target: str, *, own: bool, follow: bool) -> int:
    """From this machine into the container; how many bytes of tar it took."""
    found = local_source(source, follow)
    with _end(layout, ref, writes=True) as end:
        count = send(found, end, target, own=own)
    events.container(layout, end.record, "extract-to-dir")
    return count


def stream_into(layout: Layout, source: BinaryIO, ref: str, target: str, *, own: bool) -> None:
    """A tar from somewhere else."""
    with _end(layout, ref, writes=True) as end:
        send_tar(source, end, target, own=own)
    events.container(layout, end.record, "extract-to-dir")


def out_of(layout: Layout, ref: str, source: str, target: str, *, follow: bool) -> int:
    """From the container to this machine; files become ours. How many bytes of tar it took."""
    check_output(target)
    with _end(layout, ref) as end:
        count = fetch(end, source, target, follow=follow)
    events.container(layout, end.record, "archive-path")
    return count


def stream_out_of(layout: Layout, ref: str, source: str, out: BinaryIO, *, follow: bool) -> None:
    """As a tar to somewhere else."""
    with _end(layout, ref) as end:
        fetch_tar(end, source, out, follow=follow)
    events.container(layout, end.record, "archive-path")


# The same between this machine and any end


def send(source: tuple[_Place, str], end: End, target: str, *, own: bool) -> int:
    """`source` as local_source gives it."""
    found, shown = source
    directory, name = _where(found, shown, _remote_target(end, target))
    return through_pipe(
        lambda write: _pack_local(found.path, name, write),
        lambda read: end.write(directory, read, own),
    )


def send_tar(source: BinaryIO, end: End, target: str, *, own: bool) -> None:
    place = _remote_target(end, target)
    if not place.is_directory:
        raise MinidockError(f'destination "{end.ref}:{target}" must be a directory')
    end.write(place.path, source.read, own)


def fetch(end: End, source: str, target: str, *, follow: bool) -> int:
    """Into a path that check_output has let pass."""
    from minidock.image.extract import extract

    with _opened("/") as root:
        path, found, shown = _remote_source(end, source, follow)
        directory, name = _where(found, shown, _local_target(target))
        base = os.fsencode(os.path.realpath(directory))
        return through_pipe(
            lambda write: end.read(path, write, name),
            lambda read: extract(read, root, base, owner=(os.geteuid(), os.getegid())),
        )


def fetch_tar(end: End, source: str, out: BinaryIO, *, follow: bool) -> None:
    path, _, shown = _remote_source(end, source, follow)
    end.read(path, out.write, shown)


class _End(msgspec.Struct, frozen=True):
    """A container's tree. Opened once and first of all: nothing may be cloned when the pipe's thread runs."""

    found: tree.View
    record: Record
    ref: str
    layout: Layout

    def stat(self, path: str) -> PathStat:
        return archive.stat_in(self.found.root, self.ref, path)

    def read(self, path: str, write: Write, name: str) -> None:
        archive.read_in(self.found, self.ref, path, write, name=name)

    def write(self, directory: str, read: Read, own: bool) -> None:
        owner = archive.owner_in(self.layout, self.record) if own else None
        archive.write_in(self.found, self.record, self.ref, directory, read, owner=owner)


@contextlib.contextmanager
def _end(layout: Layout, ref: str, *, writes: bool = False) -> Iterator[_End]:
    record = tree.find(layout, ref)
    with tree.opened(layout, record, with_volumes=True, writes=writes) as found:
        yield _End(found, record, ref, layout)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


# The rules


def _where(source: _Place, shown: str, target: _Place) -> tuple[str, str]:
    """The directory to unpack in, and the name that the copied file or directory gets there."""
    if target.is_directory:
        return target.path, shown
    if target.exists and source.is_directory:
        raise MinidockError("cannot copy directory")
    if not target.exists and not source.is_directory and asserts_directory(target.path):
        raise MinidockError("no such directory")
    clean = os.path.normpath(target.path)
    return os.path.dirname(clean) or ".", os.path.basename(clean)


def local_source(path: str, follow: bool) -> tuple[_Place, str]:
    """What is to be packed, and the name it goes by."""
    absolute = os.path.abspath(path)
    shown = "." if os.path.basename(path) == "." else os.path.basename(absolute) or "/"
    resolved = os.path.realpath(absolute) if follow or asserts_directory(path) else absolute
    try:
        status = os.lstat(resolved)
    except OSError as error:
        raise MinidockError(f"lstat {resolved}: {(error.strerror or '').lower()}") from error
    is_directory = stat.S_ISDIR(status.st_mode)
    if asserts_directory(path) and not is_directory:
        raise MinidockError("not a directory")
    return _Place(resolved, True, is_directory), shown


def _remote_source(end: End, path: str, follow: bool) -> tuple[str, _Place, str]:
    """The path to read, what is there, and the name it goes by."""
    found = end.stat(path)
    shown = found.name
    if follow and found.link_target:
        path = found.link_target
        found = end.stat(path)
    return path, _Place(path, True, bool(found.mode & GO_KINDS[stat.S_IFDIR])), shown


def _remote_target(end: End, path: str) -> _Place:
    try:
        found = end.stat(path)
        if found.link_target:
            path = found.link_target
            found = end.stat(path)
    except MinidockError:  # it isn't there; or as in Docker: what is wrong with it, writing there will tell
        return _Place(path)
    if found.mode & GO_KINDS[stat.S_IFBLK]:
        what = "must be a directory or a regular file: got a device"
        raise MinidockError(f'destination "{end.ref}:{path}" {what}')
    return _Place(path, True, bool(found.mode & GO_KINDS[stat.S_IFDIR]))


def check_output(path: str) -> None:
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.exists(directory):
        raise MinidockError(f'invalid output path: directory "{directory}" does not exist')
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise MinidockError(f'invalid output path: "{path}" must be a directory or a regular file: got a device')


def _local_target(path: str) -> _Place:
    if os.path.islink(path) and not asserts_directory(path):
        path = os.path.realpath(path)
    return _Place(path, os.path.lexists(path), os.path.isdir(path))


# The pipe


def _pack_local(path: str, name: str, write: Write) -> None:
    from minidock.image.pack import pack

    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    parent = os.open(os.path.dirname(path) or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        pack(write, fd, parent, os.fsencode(os.path.basename(path)), os.fsencode(name))
    finally:
        os.close(fd)
        os.close(parent)


def through_pipe(produce: Callable[[Write], object], consume: Callable[[Read], object]) -> int:
    """Run both at once; what the producer raises is told, unless the consumer has failed first."""
    reading, writing = os.pipe()
    problems: list[BaseException] = []
    count = 0

    def work() -> None:
        try:
            with os.fdopen(writing, "wb", buffering=0) as out:
                produce(lambda data: files.write_all(out.fileno(), data))
        except BrokenPipeError:
            pass  # the consumer has failed, and tells why
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            problems.append(error)

    def read(n: int) -> bytes:
        nonlocal count
        data = os.read(reading, min(n, CHUNK))
        if not data and problems:
            raise problems[0]
        count += len(data)
        return data

    thread = threading.Thread(target=work)
    thread.start()
    try:
        consume(read)
    finally:
        os.close(reading)
        thread.join()
    if problems:
        raise problems[0]
    return count
