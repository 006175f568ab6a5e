"""The freezer: a container that stands still, and doesn't know it.

Unlike SIGSTOP the processes can't see, refuse or undo it. On cgroup2 it is part of the core (cgroup.freeze, Linux 5.2),
so it works on a hybrid host too, and a frozen process still dies of SIGKILL. On version 1 it is a controller, in
which a frozen process dies only after it has been thawed. Man page: cgroups(7), "freezer".
"""

from __future__ import annotations

import time

from minidock.errors import MinidockError, NotRunning
from minidock.kernel.cgroup_files import Cgroup, Hierarchies, discover, read_table, read_text, write

PATIENCE = 10.0
"""Seconds that processes get to reach a point where they can stop."""


def freeze(path: str, hierarchies: Hierarchies | None = None) -> None:
    """Stop every process in the cgroup and below. Returns when all stand; else thaws again and raises MinidockError."""
    cgroup = Cgroup(path=path, hierarchies=hierarchies or discover())
    _write(cgroup, frozen=True)
    deadline = time.monotonic() + PATIENCE
    pause = 0.0005
    while state(path, cgroup.hierarchies) != "frozen":
        if time.monotonic() > deadline:
            _write(cgroup, frozen=False)
            raise MinidockError(
                f"the processes of {path} can't be frozen within {PATIENCE:.0f} s: one waits for a device"
            )
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def thaw(path: str, hierarchies: Hierarchies | None = None) -> None:
    """Let them run on."""
    _write(Cgroup(path=path, hierarchies=hierarchies or discover()), frozen=False)


def state(path: str, hierarchies: Hierarchies | None = None) -> str:
    """`running`, `freezing` (some still run) or `frozen`; `running` too when there is no such cgroup."""
    cgroup = Cgroup(path=path, hierarchies=hierarchies or discover())
    if cgroup.v2 is not None:
        if (read_text(f"{cgroup.v2}/cgroup.freeze") or "0").strip() == "0":
            return "running"
        return "frozen" if read_table(f"{cgroup.v2}/cgroup.events").get("frozen") else "freezing"
    directory = cgroup.directory("freezer")
    words = {"FROZEN": "frozen", "FREEZING": "freezing"}
    return words.get((read_text(f"{directory}/freezer.state") or "").strip(), "running")


def frozen(directory: str) -> bool:
    """Whether processes of the cgroup, if there were any, would stand still: either version, one hierarchy."""
    v1 = (read_text(f"{directory}/freezer.state") or "THAWED").strip() != "THAWED"
    return v1 or (read_text(f"{directory}/cgroup.freeze") or "0").strip() != "0"


def _write(cgroup: Cgroup, *, frozen: bool) -> None:
    try:
        if cgroup.v2 is not None:
            return write(f"{cgroup.v2}/cgroup.freeze", "1" if frozen else "0")
        directory = cgroup.need("freezer", "freeze processes")
        write(f"{directory}/freezer.state", "FROZEN" if frozen else "THAWED")
    except FileNotFoundError as error:
        raise NotRunning(cgroup.path.rpartition("/")[2]) from error


def demo() -> None:
    """Freeze a process that counts, look twice, thaw it, look again."""
    import os
    from pathlib import Path

    from minidock.kernel import cgroups
    from minidock.steps import Live, apply_all, undo_all

    path = f"/minidock-demo/{os.getpid()}"
    steps = cgroups.plan(discover(), path, None)
    apply_all(steps.before, Live())
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "while :; do :; done"], {})
    try:
        apply_all(steps.joined, Live(pid))

        def ticks() -> int:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])

        freeze(path)
        first = ticks()
        time.sleep(0.3)
        print(f"{state(path)}: used {ticks() - first} ticks of processor time in 0.3 s")
        thaw(path)
        time.sleep(0.3)
        print(f"{state(path)}: used {ticks() - first} ticks in 0.3 s")
    finally:
        undo_all(steps.before, Live())
        os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
