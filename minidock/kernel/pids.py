"""The pids controller: how many processes and threads a container may have.

fork(2) and clone(2) say EAGAIN when the cgroup is full: a fork bomb stops at the container's edge. The file is the same
in both versions. Man page: cgroups(7).
"""

from __future__ import annotations

import os

from minidock.kernel.cgroup_files import Cgroup, WriteCgroupFile, read_number, read_table
from minidock.spec import Pids
from minidock.steps import Step


def limits(cgroup: Cgroup, pids: Pids | None) -> list[Step]:
    """0 and -1 are no limit, as in Docker; the kernel's own default, so nothing is needed for it."""
    if pids is None:
        return []
    if pids.limit <= 0:
        directory = cgroup.directory("pids")
        unlimited = "let the container have any number of processes"
        return [WriteCgroupFile(unlimited, f"{directory}/pids.max", "max", default=True)] if directory else []
    directory = cgroup.need("pids", "limit the number of processes")
    return [WriteCgroupFile(f"allow at most {pids.limit} processes", f"{directory}/pids.max", str(pids.limit))]


def read(cgroup: Cgroup) -> dict[str, int | None]:
    """`current` and `limit` (-1: none), and how often a fork was refused (`refused`)."""
    directory = cgroup.directory("pids")
    if directory is None:
        return {}
    return {
        "current": read_number(f"{directory}/pids.current"),
        "limit": read_number(f"{directory}/pids.max"),
        "refused": read_table(f"{directory}/pids.events").get("max"),
    }


def demo() -> None:
    """Fork in a cgroup with room for three, until the kernel says no."""
    from minidock.kernel.cgroup_demo import inside
    from minidock.spec import Resources

    def fork_until_refused() -> None:
        for count in range(10):
            try:
                if os.fork() == 0:
                    os.read(0, 1)
                    os._exit(0)
            except BlockingIOError as error:
                print(f"after {count} children fork says: {error.strerror}", flush=True)
                return

    inside(Resources(pids=Pids(limit=3)), fork_until_refused, show=lambda cgroup: print(read(cgroup)))


if __name__ == "__main__":
    demo()
