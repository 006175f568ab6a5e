"""How a process gets into a cgroup: born there, put there, or entering by itself.

On version 2 a child can be born in a cgroup other than its parent's: no moment passes in which it isn't limited. On
version 1 it has to be put into one cgroup after the other, and waits until that is done.
Man pages: cgroups(7), clone(2).
"""

from __future__ import annotations

import os
import shlex
from typing import Any, ClassVar

import msgspec

from minidock.errors import MinidockError, UsageError
from minidock.kernel.cgroup_files import Cgroup, Hierarchies, discover, read_text, write
from minidock.steps import Live, Step

CLONE_INTO_CGROUP = 0x200000000  # linux/sched.h


class CgroupPlan(msgspec.Struct, frozen=True):
    """What the runtime does about cgroups, and when.

    A process born with CLONE_NEWCGROUP has its *parent's* cgroup as the root of its cgroup namespace, with
    CLONE_INTO_CGROUP too: so the child unshares that namespace itself, after `joined`.
    """

    before: list[Step]
    """On the host, before there is a process."""
    clone_dir: str
    """The cgroup2 directory to be born in (clone3(2), CLONE_INTO_CGROUP); "" on a host with version 1 only."""
    joined: list[Step]
    """On the host, with the process's pid in `live.pid`, before the process does anything."""
    child: list[Step] = []
    """In the process itself, first of all: with `child_joins` what `joined` would have done on version 1."""
    path: str = ""
    """The cgroup, with one leading slash."""


NONE = CgroupPlan(before=[], clone_dir="", joined=[])
"""For who may make no cgroup: the process stays in its caller's."""


class JoinCgroup(Step, frozen=True):
    """Version 1: a process is in one cgroup of each hierarchy, and has to be put there, whole (all threads)."""

    path: str
    directories: list[str]
    man: ClassVar[str] = "cgroups(7)"

    def describe(self) -> str:
        return f"put the process into the cgroup {self.path} of {len(self.directories)} version 1 hierarchies"

    def shell(self) -> str:
        return "\n".join(f'echo "$PID" > {shlex.quote(directory)}/cgroup.procs' for directory in self.directories)

    def apply(self, live: Live) -> None:
        for directory in self.directories:
            _put(live.pid, directory)


class EnterCgroup(Step, frozen=True):
    """Version 1, from inside: the process puts itself there, before it has left the host's mounts.

    Moving another process makes the kernel wait until no thread on the machine can be half-way through fork or exec
    (6 to 17 ms after a quiet second); who moves only itself, by `tasks`, is known to be at neither, and needs no wait.
    """

    path: str
    directories: list[str]
    man: ClassVar[str] = "cgroups(7)"

    def describe(self) -> str:
        return f"enter the cgroup {self.path} of {len(self.directories)} version 1 hierarchies"

    def shell(self) -> str:
        return "\n".join(f"echo 0 > {shlex.quote(directory)}/tasks" for directory in self.directories)

    def apply(self, live: Live) -> None:
        for directory in self.directories:
            write(f"{directory}/tasks", "0")  # 0 is the writer


class BornInCgroup(Step, frozen=True):
    """Version 2: the process is there since clone3(2); where the caller could not do that, it is put there now."""

    directory: str
    path: str
    man: ClassVar[str] = "clone(2)"

    def describe(self) -> str:
        return f"make sure that the process lives in the cgroup2 cgroup {self.path}"

    def shell(self) -> str:
        return f'echo "$PID" > {shlex.quote(self.directory)}/cgroup.procs'

    def apply(self, live: Live) -> None:
        if str(live.pid) not in (read_text(f"{self.directory}/cgroup.procs") or "").split():
            _put(live.pid, self.directory)


def _put(pid: int, directory: str) -> None:
    if pid <= 0:  # the kernel would take 0 for the writer: us
        raise MinidockError(f"no process to put into the cgroup {directory}")
    try:
        write(f"{directory}/cgroup.procs", str(pid))
    except FileNotFoundError as error:
        raise MinidockError(f"the cgroup {directory} is gone: the container has been removed meanwhile") from error


def membership(hierarchies: Hierarchies, path: str, *, child_joins: bool = False, beside: int = 0) -> CgroupPlan:
    """How one more process gets into a cgroup that exists: `exec`, `beside` the container's first process. Nothing is
    made, so nothing is undone."""
    cgroup = Cgroup(path=checked_path(path), hierarchies=hierarchies)
    home = _home(cgroup, beside)
    joined: list[Step] = [BornInCgroup(f"{hierarchies.v2_mount}{home}", home)] if cgroup.v2 else []
    child: list[Step] = []
    if cgroup.v1 and child_joins:
        child = [EnterCgroup(cgroup.path, cgroup.v1)]
    elif cgroup.v1:
        joined.append(JoinCgroup(cgroup.path, cgroup.v1))
    born = f"{hierarchies.v2_mount}{home}" if cgroup.v2 else ""
    return CgroupPlan(before=[], clone_dir=born, joined=joined, child=child, path=cgroup.path)


def _home(cgroup: Cgroup, first: int) -> str:
    """Where on version 2 one more process may live. A program in the container that makes cgroups itself, such as
    systemd, has moved out of the container's own and handed its controllers on: who would live there now meets EBUSY.
    The first process's is the place then, as with runc."""
    if first and (read_text(f"{cgroup.v2}/cgroup.subtree_control") or "").strip():
        inner = str(read(first).get("cgroup2", ""))
        if inner.startswith(f"{cgroup.path}/"):
            return inner
    return cgroup.path


def checked_path(path: str) -> str:
    """The path with one leading slash. Raises UsageError for one that names no cgroup of its own, or climbs out."""
    words = [word for word in path.split("/") if word not in ("", ".")]
    if not words or ".." in words or any(character in path for character in "\n\0"):
        raise UsageError(f"{path!r} is not the path of a cgroup below the root, such as /minidock/NAME")
    return "/" + "/".join(words)


def read(pid: int) -> dict[str, Any]:
    """Where a process is, hierarchy by hierarchy, as /proc/PID/cgroup says; "cgroup2" names version 2."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
        rows = [line.rstrip("\n").split(":", 2) for line in file]
    return {names or "cgroup2": path for _, names, path in rows}


def demo() -> None:
    """Be born in a cgroup2 cgroup, and enter those of version 1."""
    from minidock.kernel import cgroup_tree, syscalls

    found = discover()
    cgroup = Cgroup(path=f"/minidock-demo/{os.getpid()}", hierarchies=found)
    if cgroup.v2 is None:
        print("this host has no cgroup2 mount to be born in")
        return
    cgroup_tree.make(cgroup.v2)
    fd = os.open(cgroup.v2, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        pid = syscalls.clone3(CLONE_INTO_CGROUP, fd)
        if pid == 0:
            print(f"the child's first words: I am in {read(os.getpid())['cgroup2']}", flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        print(f"its parent is in {read(os.getpid())['cgroup2']}")
    finally:
        os.close(fd)
        cgroup_tree.remove([cgroup.v2], parents_up_to=[found.v2_mount or ""])


if __name__ == "__main__":
    demo()
