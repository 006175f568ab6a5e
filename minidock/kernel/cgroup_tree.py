"""Cgroups come with mkdir and go with rmdir; before they go, what still runs in them is killed.

rmdir(2) on a cgroup says EBUSY while a process lives in it or a cgroup hangs below it. Version 2 has one file that
kills all, also what forks meanwhile (cgroup.kill). On version 1 each process gets SIGKILL, again and again until
the list is empty; a frozen one doesn't even die of that, so it is thawed first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterable, Iterator

from minidock.errors import MinidockError, SystemCallFailed
from minidock.kernel.cgroup_files import Cgroup, Hierarchies, discover, read_text, write

PATIENCE = 10.0
"""Seconds that killed processes get to be gone: one that waits for a device, uninterruptibly, dies when that ends."""


def make(directory: str) -> None:
    """mkdir with its parents. Retries when the parent goes meanwhile: the last container of an instance takes it."""
    for _ in range(1000):
        try:
            os.makedirs(directory, exist_ok=True)
        except FileNotFoundError:
            continue
        except OSError as error:
            from minidock.kernel import syscalls
            from minidock.kernel.cgroup_files import WRITE_HINTS

            number = error.errno or errno.EIO
            raise syscalls.failed("mkdir", (directory,), number=number, hint=WRITE_HINTS.get(number, "")) from error
        else:
            return
    raise MinidockError(f"can't make the cgroup {directory}: its parent is removed again and again")


def processes(path: str, hierarchies: Hierarchies | None = None) -> list[int]:
    """Process ids in the cgroup and below it, as our pid namespace numbers them; sorted, empty when it is gone."""
    cgroup = Cgroup(path=path, hierarchies=hierarchies or discover())
    return sorted({pid for directory in cgroup.directories for pid in pids_below(directory)})


def below(directory: str) -> Iterator[str]:
    """The cgroup and all below it, children first: the order for rmdir."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        with os.scandir(directory) as entries:
            children = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        for child in children:
            yield from below(child)
        yield directory


def pids_below(directory: str) -> list[int]:
    """What cgroup.procs lists here and below. A dead process that nobody has waited for isn't in it."""
    texts = (read_text(f"{inner}/cgroup.procs") or "" for inner in below(directory))
    return [int(pid) for text in texts for pid in text.split()]


def kill(directories: Iterable[str]) -> None:
    """End every process in these cgroups. Returns when the kernel lists none; raises MinidockError after PATIENCE."""
    directories = list(directories)
    deadline = time.monotonic() + PATIENCE
    pause = 0.0005
    while True:
        left = {directory: pids for directory in directories if (pids := pids_below(directory))}
        if not left:
            return
        if time.monotonic() > deadline:
            pids = sorted({pid for found in left.values() for pid in found})
            raise MinidockError(f"processes {pids} in {next(iter(left))} don't die of SIGKILL within {PATIENCE:.0f} s")
        for directory in directories:  # thaw all first: the freezer's hierarchy may be the last in the list
            _thaw(directory)
        for directory, pids in left.items():
            _kill_once(directory, pids)
        if pause > 0.01:  # most are gone by now
            _free_from_others({pid for pids in left.values() for pid in pids})
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def _kill_once(directory: str, pids: list[int]) -> None:
    try:
        write(f"{directory}/cgroup.kill", "1")
    except FileNotFoundError:  # version 1, or a kernel before 5.14
        _signal_one_by_one(directory, pids, signal.SIGKILL)


def signal_all(path: str, number: int) -> None:
    """A signal to every process in the cgroup and below it. SIGKILL reaches also those that are born meanwhile, and
    those that stand frozen: see `kill`, whose errors it raises."""
    directories = Cgroup(path=path, hierarchies=discover()).directories
    if number == signal.SIGKILL:
        return kill(directories)
    told: set[int] = set()
    for directory in directories:  # the same processes in each
        pids = [pid for pid in pids_below(directory) if pid not in told]
        _signal_one_by_one(directory, pids, number)
        told.update(pids)
    return None


def _signal_one_by_one(directory: str, pids: list[int], number: int) -> None:
    for pid in filter(None, pids):  # 0 stands for a process of an outer pid namespace: not ours to name
        # A number may be somebody else's by now: hold the process by descriptor, then ask again whether it is ours.
        with contextlib.suppress(ProcessLookupError):
            fd = os.pidfd_open(pid)
            try:
                if pid in pids_below(directory):
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)


def _thaw(directory: str) -> None:
    for inner in below(directory):
        for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            with contextlib.suppress(FileNotFoundError):
                write(f"{inner}/{name}", value)


def _free_from_others(killed: Iterable[int]) -> None:
    """Version 1 puts a process where it is told to, by hierarchy: somebody may have moved ours to a frozen cgroup of
    his own. That one isn't ours to thaw; but in the hierarchy's root, which is never frozen, SIGKILL reaches them."""
    mount = discover().v1.get("freezer")
    for pid in filter(None, killed if mount else ()):
        found = read_text(f"/proc/{pid}/cgroup") or ""
        where = next((line.split(":", 2)[2] for line in found.splitlines() if ":freezer:" in line), "/")
        if (read_text(f"{mount}{where}/freezer.state") or "THAWED").strip() != "THAWED":
            try:
                write(f"{mount}/cgroup.procs", str(pid))
            except SystemCallFailed as error:
                if error.number != errno.ESRCH:  # dead meanwhile
                    raise


def remove(directories: Iterable[str], *, parents_up_to: Iterable[str] = ()) -> None:
    """Kill what is inside, then rmdir, in all of them. Idempotent: a cgroup that is gone is fine.

    `parents_up_to` holds the mounts of the hierarchies: empty parents are then removed too, up to there. A parent that
    has got another container meanwhile says EBUSY or ENOTEMPTY, and stays.
    """
    directories = list(directories)
    # The usual case first: everybody has exited, and each hierarchy costs one system call.
    busy = [directory for directory in directories if not _rmdir(directory)]
    if busy:
        kill(busy)
        for directory in busy:
            _rmdir_tree(directory)
    mounts = set(parents_up_to)
    for directory in directories if mounts else ():
        parent = os.path.dirname(directory)
        while parent not in mounts and parent != "/" and _rmdir(parent):
            parent = os.path.dirname(parent)


def _rmdir(directory: str) -> bool:
    """True when it is gone."""
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.ENOTEMPTY):
            return False
        raise
    return True


def _rmdir_tree(directory: str) -> None:
    """Children first. A process leaves cgroup.procs a moment before it leaves the cgroup: EBUSY is tried again."""
    deadline = time.monotonic() + PATIENCE
    pause = 0.0005
    while not all(_rmdir(inner) for inner in list(below(directory))):
        if time.monotonic() > deadline:
            from minidock.kernel import syscalls

            raise syscalls.failed("rmdir", (directory,), number=errno.EBUSY)
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def demo() -> None:
    """A cgroup made, one below it, and both gone again."""
    hierarchies = discover()
    top = hierarchies.v2_mount or next(iter(hierarchies.v1.values()))
    directory = f"{top}/minidock-demo-{os.getpid()}"
    try:
        for path in (directory, f"{directory}/below"):
            make(path)
            print(f"mkdir {path}")
        with contextlib.suppress(OSError):
            os.rmdir(directory)
            print("rmdir takes a cgroup with others below: that would be new")
    finally:
        remove([directory])
    print(f"gone with all below: {not os.path.exists(directory)}")


if __name__ == "__main__":
    demo()
