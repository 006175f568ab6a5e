"""Root without root: a user namespace that an ordinary user makes, and in which he has every right.

Anybody may make one (clone(2) with CLONE_NEWUSER), and is almighty over whatever belongs to it: mounts, networks, host
names. But the kernel lets him map nobody into it except himself. An image has files of many users, so two small setuid
programs map more: newuidmap(1) and newgidmap(1) write to /proc/PID/uid_map what /etc/subuid and /etc/subgid grant him.
Root inside is the user himself, 1 to 65536 are his subordinate ids; nothing inside can do more to the host than he.

A namespace lives as long as a process, or a descriptor, does. Rights over it have who is inside, and its owner
outside: so later commands enter it by setns(2), and all of them must find the same one. Two namespaces of
one user are strangers: from one of them no process of the other can be signalled or entered. Hence a process that
stays, and does nothing. Man page: user_namespaces(7).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from typing import NoReturn

from minidock.errors import MinidockError, Unsupported
from minidock.kernel import fds, mounts, namespaces, syscalls, user
from minidock.spec import IdMapping
from minidock.steps import Live

KINDS = ["user", "mount"]
"""A mount namespace as well: in the host's own nobody but its root may mount."""


def make(uids: list[IdMapping], gids: list[IdMapping], stay: list[str]) -> int:
    """A new namespace; the pid of the process that keeps it: it executes `stay`, and is our child.

    Raises Unsupported where the kernel, or the tools, allow no user such a thing.
    """
    programs = [_program(name) for name in ("newuidmap", "newgidmap")]
    with _Starting() as starting:
        try:
            pid = syscalls.clone3(namespaces.flags(KINDS))
        except MinidockError as error:
            raise Unsupported(
                f"this kernel lets no ordinary user make a user namespace: {error.message}",
                hint="sysctl user.max_user_namespaces kernel.unprivileged_userns_clone",
            ) from error
        if pid == 0:
            starting.become(lambda: _settle(starting, first=True), stay)
        try:
            for program, lines in zip(programs, (uids, gids), strict=True):
                _map(program, pid, lines)
            starting.go()
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
    return pid


def keep(pid: int, stay: list[str]) -> int:
    """One more process that stays, in the user namespace of `pid`; with 0 in ours. Its own pid, a child of ours."""
    with _Starting() as starting:
        child = os.fork()
        if child == 0:

            def join() -> None:
                if pid:
                    namespaces.JoinNamespace("user", f"/proc/{pid}/ns/user").apply(Live())
                    syscalls.unshare(namespaces.flags(["mount"]))
                _settle(starting, first=bool(pid))

            starting.become(join, stay)
        starting.go()
    return child


def enter(pid: int) -> None:
    """Become root in the namespaces of `pid`. Only a process with one thread can."""
    here = os.getcwd()
    # Both are opened first: once we are in there, the process may be out of our sight.
    opened = [os.open(f"/proc/{pid}/ns/{namespaces.KINDS[kind].file}", os.O_RDONLY | os.O_CLOEXEC) for kind in KINDS]
    for kind, fd in zip(KINDS, opened, strict=True):
        syscalls.setns(fd, namespaces.KINDS[kind].flag)
        os.close(fd)
    try:
        os.chdir(here)  # with the mount namespace we got its root directory to stand in
    except OSError:
        os.chdir("/")


class _Starting:
    """The child waits for the word to go, and its parent until it has become the program that stays."""

    def __enter__(self) -> _Starting:
        self.waiting, self.told = os.pipe()
        self.report, self.failed = os.pipe()
        return self

    def __exit__(self, *_: object) -> None:
        for fd in (self.waiting, self.told, self.report, self.failed):
            if fd >= 0:
                os.close(fd)

    def go(self) -> None:
        os.write(self.told, b"!")
        os.close(self.failed)
        self.failed = -1
        with os.fdopen(self.report, "rb", closefd=False) as file:
            if said := file.read():
                raise MinidockError(f"can't make a user namespace: {said.decode(errors='replace')}")

    def become(self, prepare: Callable[[], None], program: list[str]) -> NoReturn:
        """Never returns into the caller's stack."""
        try:
            os.close(self.told)
            if os.read(self.waiting, 1) == b"!":
                prepare()
                os.execv(program[0], program)
        except BaseException as error:  # noqa: BLE001 - told to the parent, then _exit
            os.write(self.failed, str(error).encode(errors="replace"))
        finally:
            os._exit(1)


def _settle(starting: _Starting, *, first: bool) -> None:
    """Nothing of the command's may stay with us: neither its terminal, nor its directory, nor what it has open."""
    os.setsid()
    if first:
        user.BecomeRoot().apply(Live())
        # What the host mounts later is seen here, too, and nothing of ours there.
        mounts.IsolateMounts("slave").apply(Live())
    os.chdir("/")
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    fds.close_all_but([starting.failed])


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/bin:/usr/local/bin:/bin")
    if found is None:
        raise Unsupported(f"without {name} no user can have a namespace with more users", hint="apt-get install uidmap")
    return found


def _map(program: str, pid: int, lines: list[IdMapping]) -> None:
    words = [str(number) for line in lines for number in (line.container_id, line.host_id, line.size)]
    done = subprocess.run([program, str(pid), *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise MinidockError(f"{os.path.basename(program)} refused: {done.stderr.strip()}", hint="see newuidmap(1)")


def demo() -> None:
    """An ordinary user's namespace, as far as one user can have it without newuidmap: himself as root."""
    flags = namespaces.flags(KINDS)
    pid = os.fork()
    if pid == 0:
        if os.geteuid() == 0:  # the demonstration is about those who have no rights
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            syscalls.prctl(4, 1)  # PR_SET_DUMPABLE: our files in /proc are ours again, not root's
        outside = os.getuid()
        syscalls.unshare(flags)
        print(f"user {outside} is now {os.getuid()}, for nobody is mapped")
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {outside} 1"), ("gid_map", f"0 {os.getegid()} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
        print(f"with the map {user.read(os.getpid())['uid_map']} he is {os.getuid()}", flush=True)
        mounts.IsolateMounts().apply(Live())
        mounts.MountFilesystem("", "/mnt", "tmpfs", "demo", []).apply(Live())
        print(
            "and may mount:", [row["type"] for row in mounts.read("self") if row["destination"] == "/mnt"], flush=True
        )
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
