"""User namespaces: numbers of users inside that mean others outside.

Each line of /proc/PID/uid_map says "inside outside count". Root inside, mapped to 100000, is nobody to the host: what
it may do, it may do to what the namespace owns. Man page: user_namespaces(7).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import ClassVar

from minidock.kernel import syscalls
from minidock.spec import IdMapping
from minidock.steps import Live, Step


class MapIds(Step, frozen=True):
    """Applied by the parent: the child, still without any mapping, is nobody (65534) and can't do it itself.

    One write(2) a file, and only one ever: a second one is EPERM.
    """

    uids: list[IdMapping]
    gids: list[IdMapping]
    man: ClassVar[str] = "user_namespaces(7)"

    def describe(self) -> str:
        first = self.uids[0]
        return f"map users {first.container_id}..{first.container_id + first.size - 1} to {first.host_id}.. of the host"

    def shell(self) -> str:
        return f"printf '{_lines(self.gids)}' > /proc/$PID/gid_map\nprintf '{_lines(self.uids)}' > /proc/$PID/uid_map"

    def apply(self, live: Live) -> None:
        Path(f"/proc/{live.pid}/gid_map").write_text(_lines(self.gids).replace("\\n", "\n"), encoding="ascii")
        Path(f"/proc/{live.pid}/uid_map").write_text(_lines(self.uids).replace("\\n", "\n"), encoding="ascii")


def _lines(mappings: list[IdMapping]) -> str:
    return "".join(f"{entry.container_id} {entry.host_id} {entry.size}\\n" for entry in mappings)


def outside(mappings: list[IdMapping], inside: int) -> int:
    """Whom an id of the namespace stands for; the kernel's nobody when for none."""
    for entry in mappings:
        if entry.container_id <= inside < entry.container_id + entry.size:
            return entry.host_id + inside - entry.container_id
    return NOBODY


def inside(mappings: list[IdMapping], outside: int) -> int:
    """The reverse."""
    for entry in mappings:
        if entry.host_id <= outside < entry.host_id + entry.size:
            return entry.container_id + outside - entry.host_id
    return NOBODY


NOBODY = 65534  # proc_sys_kernel(5), overflowuid


class BecomeRoot(Step, frozen=True):
    """In the child, once mapped: take on the user 0 that the namespace now has, or new files belong to nobody."""

    man: ClassVar[str] = "user_namespaces(7)"

    def describe(self) -> str:
        return "become the user namespace's root"

    def shell(self) -> str:
        return "# the script's process was started by: unshare --user --setuid 0 --setgid 0"

    def apply(self, live: Live) -> None:
        syscalls.setgroups([])
        syscalls.setresgid(0)
        syscalls.setresuid(0)


def namespace(uids: list[IdMapping], gids: list[IdMapping]) -> int:
    """A descriptor of a user namespace with these mappings, in which nobody lives: what an idmapped mount is told."""
    from minidock.kernel import namespaces

    pid = syscalls.clone3(namespaces.flags(["user"]))
    if pid == 0:
        signal.pause()
    try:
        MapIds(uids, gids).apply(Live(pid))
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def read(pid: int) -> dict[str, list[str]]:
    """The maps of a process, one "inside outside count" a line."""
    return {
        name: [" ".join(line.split()) for line in Path(f"/proc/{pid}/{name}").read_text().splitlines()]
        for name in ("uid_map", "gid_map")
    }


def demo() -> None:
    """A child that is root to itself, and user 100000 to everybody else."""
    from minidock.kernel import namespaces

    ready, told = os.pipe()
    pid = syscalls.clone3(namespaces.flags(["user"]))
    if pid == 0:
        os.close(told)
        os.read(ready, 1)
        BecomeRoot().apply(Live())
        print("inside: uid", os.getuid(), flush=True)
        os._exit(0)
    mapping = [IdMapping(container_id=0, host_id=100000, size=65536)]
    MapIds(mapping, mapping).apply(Live(pid))
    print("map:   ", read(pid)["uid_map"], flush=True)
    os.close(told)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
