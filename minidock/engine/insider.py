"""One of the container's own users, who unpacks for us: `cp` into a container that runs with other users.

The root mount of such a container is idmapped: to it our root is nobody, who can make no file there (EOVERFLOW, see
kernel/idmap.py). So a child of ours enters the container's user namespace and is its root, with all rights over the
container's files and none over ours. It stays in our pid namespace, where nothing of the container can see it, and has
the tree as a descriptor. The tar comes to it through a pipe, plain already: it imports nothing any more.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import NoReturn

import msgspec

from minidock import files
from minidock.errors import MinidockError
from minidock.kernel import namespaces, user
from minidock.runtime.sync import Failures, Message, Wire
from minidock.steps import Live

CHUNK = 256 << 10


class Task(msgspec.Struct, frozen=True):
    """What image.extract is asked for: `place` as the container sees it, whose the files shall be."""

    place: str
    owner: tuple[int, int] | None
    strict: bool


class Insider:
    """Our side of the child; good for one archive."""

    def __init__(self, wire: Wire, pipe: int) -> None:
        self.wire = wire
        self.pipe = pipe

    def extract(self, read: Callable[[int], bytes], task: Task) -> None:
        """Unpack a tar, plain or packed. Raises what image.extract does."""
        from minidock.image.compression import unpacked

        _, plain = unpacked(read)
        self.wire.end.send(msgspec.json.encode(task))
        try:
            while data := plain(CHUNK):
                files.write_all(self.pipe, data)
        except BrokenPipeError:
            pass  # it has failed, and tells why
        self.finish()
        _raise(self.wire.receive())

    def finish(self) -> None:
        """No more is to come."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1


@contextlib.contextmanager
def insider(pid: int, root: int) -> Iterator[Insider]:
    """A child that is root in the user namespace of `pid`, and has the tree that `root` is open on.

    It is forked: before any thread starts. It ends with the block, at the latest with us.
    """
    # What the child needs is loaded here: in there, our files may be nobody's to read.
    from minidock.image import extract  # noqa: F401

    ours, theirs = Wire.pair()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        ours.close()
        os.close(writing)
        _child(pid, root, theirs, reading)
    theirs.close()
    os.close(reading)
    found = Insider(ours, writing)
    try:
        _raise(ours.receive())
        yield found
    finally:
        found.finish()
        ours.close()
        os.waitpid(child, 0)


def _child(pid: int, root: int, wire: Wire, pipe: int) -> NoReturn:
    """Never returns into the caller's stack: whatever happens is told over the wire."""
    from minidock.image.extract import extract

    try:
        namespaces.JoinNamespace("user", f"/proc/{pid}/ns/user").apply(Live())
        user.BecomeRoot().apply(Live())
        wire.send(Message("ready"))
        if raw := wire.end.recv(1 << 16):
            task = msgspec.json.decode(raw, type=Task)
            extract(lambda n: os.read(pipe, n), root, os.fsencode(task.place), owner=task.owner, strict=task.strict)
            wire.send(Message("done"))
    except BaseException as error:  # noqa: BLE001 - told to the parent, then _exit
        with contextlib.suppress(BrokenPipeError):
            wire.send(Failures.pack(-1, error))
    finally:
        os._exit(0)


def _raise(message: Message | None) -> None:
    if message is None:
        raise MinidockError("who wrote into the container for us was killed")
    if message.kind == "failed":
        raise Failures.unpack(message)
