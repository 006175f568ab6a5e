"""A view: a container's tree for those who only want its files, while no mount appears on the host.

A child gets a mount namespace of its own, makes there what the container would see (its overlay, or a copy of the
running one's root mount, and the volumes), takes it for its root and lets everything else go. It sends back two
descriptors, of the root and of the namespace, and ends; on the way it imports nothing (minidock/imports.py). The
namespace lives for as long as somebody holds the latter: whoever has the view works in it with calls that are relative
to the root's descriptor, and a kill -9 leaves nothing.
Man page: mount_namespaces(7).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence

from minidock import imports
from minidock.errors import MinidockError
from minidock.kernel import mounts, namespaces, pivot, syscalls
from minidock.kernel.overlay import MountOverlay
from minidock.steps import Live, Step

MAX_MESSAGE = 4096


@contextlib.contextmanager
def stopped(overlay: MountOverlay, binds: Sequence[Step]) -> Iterator[int]:
    """The tree of a container that doesn't run: nobody else may mount its upper directory meanwhile.

    `overlay.target` is any directory: it is covered in the child only. Gives the root's descriptor.
    """

    def make() -> None:
        mounts.IsolateMounts().apply(Live())
        overlay.apply(Live())
        for step in binds:
            step.apply(Live())

    with _made(make, overlay.target) as root:
        yield root


@contextlib.contextmanager
def running(pid: int, place: str, binds: Sequence[Step]) -> Iterator[int]:
    """The root mount of a process, without what else is mounted there, and `binds` over it; `place` as above."""

    def make() -> None:
        ours = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        mount = namespaces.KINDS["mount"].flag
        namespaces.JoinNamespace("mount", f"/proc/{pid}/ns/mnt").apply(Live())
        tree = syscalls.open_tree(syscalls.AT_FDCWD, "/", mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC)
        syscalls.setns(ours, mount)
        mounts.IsolateMounts().apply(Live())
        target = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mounts.hang(tree, target)
        for step in binds:
            step.apply(Live())

    with _made(make, place) as root:
        yield root


@contextlib.contextmanager
def _made(make: Callable[[], None], place: str) -> Iterator[int]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        pid = syscalls.clone3(namespaces.flags(["mount"]))
        if pid == 0:
            _child(make, place, theirs)
        theirs.close()
        text, fds, _, _ = socket.recv_fds(ours, MAX_MESSAGE, 2)
        os.waitpid(pid, 0)
    try:
        for fd in fds:  # as they come over a socket, a program that we execute would inherit them
            os.set_inheritable(fd, False)
        if len(fds) != 2:
            raise MinidockError(f"can't look into the container: {text.decode(errors='replace') or 'killed'}")
        yield fds[0]
    finally:
        for fd in fds:
            os.close(fd)


def _child(make: Callable[[], None], place: str, wire: socket.socket) -> None:
    """Never returns: whatever happens is told over the wire."""
    try:
        imports.end()  # soon every path, and every import with it, leads to the container's files
        make()
        mine = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        pivot.PivotRoot(place).apply(Live())
        root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        socket.send_fds(wire, [b"ready"], [root, mine])
    except BaseException as error:  # noqa: BLE001 - fail closed: the parent is told, and nothing else runs here
        wire.send(str(error).encode(errors="replace")[:MAX_MESSAGE])
    finally:
        os._exit(0)


def read(pid: int) -> list[str]:
    """Where a process has something mounted."""
    return [row["destination"] for row in mounts.read(pid)]


def demo() -> None:
    """Look into two directories laid over each other, and at our own mounts meanwhile."""
    import tempfile

    with tempfile.TemporaryDirectory() as base:
        for name in ("lower", "upper", "work"):
            os.mkdir(f"{base}/{name}")
        os.mkdir(f"{base}/lower/below")
        os.mkdir(f"{base}/upper/above")
        overlay = MountOverlay([f"{base}/lower"], f"{base}/upper", f"{base}/work", f"{base}/upper")
        with stopped(overlay, []) as root:
            print("the view:", sorted(os.listdir(f"/proc/self/fd/{root}")))
            print("mounted here below it:", [path for path in read(os.getpid()) if path.startswith(base)])


if __name__ == "__main__":
    demo()
