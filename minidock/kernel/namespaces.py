"""Namespaces: what a process sees of the machine, one kind at a time.

A process has one namespace of each kind. clone(2) makes new ones for a child, setns(2) joins one that exists,
unshare(2) makes one for the caller. /proc/PID/ns/KIND is a link whose number names the namespace: two processes that
show the same number share it. Man page: namespaces(7).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import ClassVar

import msgspec

from minidock.errors import MinidockError
from minidock.kernel import syscalls
from minidock.spec import TimeOffset
from minidock.steps import Live, Step


class Kind(msgspec.Struct, frozen=True):
    """One kind: OCI's word for it, its bit for clone (linux/sched.h), its file in /proc/PID/ns, unshare's option."""

    name: str
    flag: int
    file: str
    option: str


# In the order in which they must be joined: user first, because it decides with which capabilities the others are.
KINDS = {
    kind.name: kind
    for kind in (
        Kind("user", 0x10000000, "user", "user"),
        Kind("cgroup", 0x02000000, "cgroup", "cgroup"),
        Kind("ipc", 0x08000000, "ipc", "ipc"),
        Kind("uts", 0x04000000, "uts", "uts"),
        Kind("network", 0x40000000, "net", "net"),
        Kind("pid", 0x20000000, "pid", "pid"),
        Kind("time", 0x00000080, "time", "time"),
        Kind("mount", 0x00020000, "mnt", "mount"),
    )
}


def flags(kinds: list[str]) -> int:
    """The CLONE_NEW* bits of OCI's names."""
    bits = 0
    for kind in kinds:
        bits |= KINDS[kind].flag
    return bits


@contextlib.contextmanager
def in_mounts(path: str) -> Iterator[None]:
    """In the mount namespace, and back. Of its root directory, whose mounts we then see, nothing is run."""
    kind = KINDS["mount"].flag
    here = os.open(".", os.O_PATH | os.O_CLOEXEC)  # setns(2) moves the working directory, too
    ours, theirs = (os.open(name, os.O_RDONLY | os.O_CLOEXEC) for name in ("/proc/self/ns/mnt", path))
    try:
        syscalls.setns(theirs, kind)
        try:
            yield
        finally:
            syscalls.setns(ours, kind)
            os.fchdir(here)
    finally:
        for fd in (here, ours, theirs):
            os.close(fd)


def from_helper(work: Callable[[], int]) -> int:
    """The descriptor that it makes in a child of ours, which may change its namespaces. Raises what it raised."""
    import socket

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            socket.send_fds(theirs, [b"+"], [work()])
        except (MinidockError, OSError) as error:
            theirs.send(str(error).encode()[:4000] or b"failed")
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        told, found, _, _ = socket.recv_fds(ours, 4096, 1, socket.MSG_CMSG_CLOEXEC)
    os.waitpid(pid, 0)
    if told != b"+" or not found:
        raise MinidockError(told.decode(errors="replace") or "the helper that makes a mount was killed")
    return found[0]


def read(pid: int) -> dict[str, int]:
    """The namespaces of a process: kind → inode number, as `ls -l /proc/PID/ns` shows them."""
    return {kind.name: os.stat(f"/proc/{pid}/ns/{kind.file}").st_ino for kind in KINDS.values()}


def processes(kind: str, pid: int) -> set[int]:
    """All that share a namespace with the process, as far as we may look."""
    shared = os.stat(f"/proc/{pid}/ns/{KINDS[kind].file}").st_ino
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if os.stat(f"/proc/{name}/ns/{KINDS[kind].file}").st_ino == shared:
                found.add(int(name))
    return found


class JoinNamespace(Step, frozen=True):
    """Applied in the child. The pid namespace is the exception: setns(2) moves only later children there, so the
    process that clones the child has to join it before (runtime/spawn.py)."""

    kind: str
    path: str
    man: ClassVar[str] = "setns(2)"

    def describe(self) -> str:
        return f"join the {self.kind} namespace {self.path}"

    def shell(self) -> str:
        return f"# the script's process was started by: nsenter --{KINDS[self.kind].option}={self.path}"

    def apply(self, live: Live) -> None:
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(fd, KINDS[self.kind].flag)
        finally:
            os.close(fd)


class NewCgroupNamespace(Step, frozen=True):
    """Applied in the child once it is in its cgroup.

    It can't be a flag of the clone: the new namespace's root is the cgroup of the process that *calls*
    (cgroup_namespaces(7)), and that is still our parent's at that moment.
    """

    man: ClassVar[str] = "cgroup_namespaces(7)"

    def describe(self) -> str:
        return "make a cgroup namespace, so that the container's own cgroup looks like the root"

    def shell(self) -> str:
        return "# the script's process was started by: unshare --cgroup, after it had joined its cgroup"

    def apply(self, live: Live) -> None:
        syscalls.unshare(KINDS["cgroup"].flag)


SIOCSIFFLAGS = 0x8914  # linux/sockios.h
IFF_UP = 1  # linux/if.h


class LoopbackUp(Step, frozen=True):
    """A network namespace is born with `lo` alone, and that is down. By ioctl(2): loading netlink for it, as
    kernel/link.py has it for every other interface, would cost a start 4 ms."""

    man: ClassVar[str] = "netdevice(7)"

    def describe(self) -> str:
        return "bring the interface lo up"

    def shell(self) -> str:
        return "ip link set lo up"

    def apply(self, live: Live) -> None:
        import _socket
        import fcntl

        some = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        try:
            # struct ifreq: 16 bytes of name, then flags in a union of 24
            fcntl.ioctl(some, SIOCSIFFLAGS, b"lo".ljust(16, b"\0") + IFF_UP.to_bytes(2, sys.byteorder).ljust(24, b"\0"))
        finally:
            some.close()


class SetTimeOffsets(Step, frozen=True):
    """Applied by the process that clones: offsets can only be written while the namespace is empty."""

    offsets: dict[str, TimeOffset]
    man: ClassVar[str] = "time_namespaces(7)"

    def describe(self) -> str:
        shown = ", ".join(f"{clock} by {offset.secs} s" for clock, offset in self.offsets.items())
        return f"make a time namespace that shifts {shown or 'nothing'}"

    def shell(self) -> str:
        options = " ".join(f"--{clock} {offset.secs}" for clock, offset in self.offsets.items())
        return f"# the script's process was started by: unshare --time {options}"

    def apply(self, live: Live) -> None:
        syscalls.unshare(KINDS["time"].flag)
        lines = [f"{clock} {offset.secs} {offset.nanosecs}\n" for clock, offset in self.offsets.items()]
        with open("/proc/self/timens_offsets", "w", encoding="ascii") as file:
            file.write("".join(lines))


def demo() -> None:
    """Show which namespaces a child in a new UTS namespace still shares with us."""
    mine = read(os.getpid())
    if syscalls.clone3(KINDS["uts"].flag) == 0:
        for kind, inode in read(os.getpid()).items():
            print(f"{kind:8} {inode} {'shared' if mine[kind] == inode else 'its own'}", flush=True)
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    demo()
