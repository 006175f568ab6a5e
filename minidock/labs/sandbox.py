"""A small host for one check: a process with its own namespaces, in which everything else runs.

    minidock lab check          on the real host
     └─ the checker             PID 1 of new pid, mount, uts, ipc and network namespaces; asks the facts
         ├─ the small host      its mount namespace is "the host's" for the student's program: all mounts are shared,
         │                      as systemd makes them, so that what leaks can be seen; does nothing but hold it
         └─ the program         in the mount namespace of the small host

So a program that renames the host, mounts over /proc or forgets an interface does it to nobody. When the checker ends,
the kernel ends all the others (pid_namespaces(7)), and with them go mounts, links, rules and addresses. Only cgroups
have no owner that could die: those are removed by name, from outside.
"""

from __future__ import annotations

import os
import signal
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from minidock.errors import MinidockError
from minidock.kernel import cgroup_tree, cgroups, link, mounts, namespaces, syscalls
from minidock.kernel.cgroup_files import Cgroup
from minidock.kernel.mount_options import MS_PRIVATE, MS_REC
from minidock.steps import Live

MS_SHARED = 1 << 20  # sys/mount.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h
KINDS = ["pid", "mount", "uts", "ipc", "network"]


def inside(work: Callable[[Path, str], bytes]) -> bytes:
    """Call `work` with an empty directory and a name for cgroups, as root of a small host; returns what it returned.

    Raises MinidockError without root, or when the checker itself breaks.
    """
    if os.geteuid() != 0:
        raise MinidockError("a check makes namespaces, which needs root", hint="try sudo")
    name = f"check-{os.getpid()}"
    base = Path(tempfile.mkdtemp(prefix="minidock-lab-"))
    try:
        return _checked(work, base, name)
    finally:
        os.rmdir(base)
        cgroup = Cgroup(path=f"/minidock-lab/{name}", hierarchies=cgroups.discover())
        hierarchies = [cgroup.hierarchies.v2_mount or "", *cgroup.hierarchies.v1.values()]
        cgroup_tree.remove(cgroup.directories, parents_up_to=hierarchies)


def _checked(work: Callable[[Path, str], bytes], base: Path, name: str) -> bytes:
    said, tell = os.pipe()
    pid = syscalls.clone3(namespaces.flags(KINDS))
    if pid == 0:
        os.close(said)
        _checker(work, base, name, tell)
    os.close(tell)
    try:
        with os.fdopen(said, "rb") as pipe:
            answer = pipe.read()
    except BaseException:  # Ctrl-C: nothing of it may outlive us
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        status = os.waitpid(pid, 0)[1]
    if status != 0:
        raise MinidockError("the checker itself broke; what it said stands above")
    return answer


def _checker(work: Callable[[Path, str], bytes], base: Path, name: str, tell: int) -> None:
    """PID 1 of the sandbox: dies with its parent, and takes everybody along."""
    status = 1
    try:
        syscalls.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        syscalls.mount(None, "/", None, MS_REC | MS_PRIVATE)
        mounts.MountFilesystem("", "/proc", "proc", "proc", ["nosuid", "nodev", "noexec"]).apply(Live())
        mounts.MountFilesystem("", str(base), "tmpfs", "lab", ["mode=755"]).apply(Live())
        link.LinkUp("lo").apply(Live())
        answer = work(base, name)
        while answer:
            answer = answer[os.write(tell, answer) :]
        status = 0
    except BaseException:  # noqa: BLE001 - we are PID 1 of a sandbox: it ends here, whatever it is
        traceback.print_exc()
    finally:
        os._exit(status)


def in_child(work: Callable[[], None]) -> int:
    """The pid of a child that does the work and ends with 0; with 125 when it failed, and it says on stderr why."""
    pid = os.fork()
    if pid == 0:
        status = 125
        try:
            work()
            status = 0
        except BaseException:  # noqa: BLE001 - we are a child: never back into our parent's stack
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def small_host() -> int:
    """The process that holds the small host's mount namespace; returns its pid, as the checker numbers it."""
    ready, go = os.pipe()

    def hold() -> None:
        syscalls.unshare(namespaces.KINDS["mount"].flag)
        syscalls.mount(None, "/", None, MS_REC | MS_SHARED)
        os.write(go, b"1")
        while True:
            signal.pause()

    pid = in_child(hold)
    os.close(go)
    with os.fdopen(ready, "rb") as pipe:
        if not pipe.read(1):
            raise MinidockError("the small host could not be made")
    return pid
