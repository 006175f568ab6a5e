"""What a container uses right now, the same words for both versions: for `stats`, `inspect --kernel` and the API."""

from __future__ import annotations

from typing import Any

from minidock.kernel import blkio, cpu, cpuset, device_filter, freezer, memory, pids
from minidock.kernel.cgroup_files import Cgroup, Hierarchies, discover
from minidock.kernel.cgroup_tree import processes


def read(path: str, hierarchies: Hierarchies | None = None) -> dict[str, Any]:
    """Live values by controller; bytes, microseconds, counts, -1 for no limit. See each controller's read().

    A controller that this host hasn't is an empty dict, as is everything when the cgroup is gone.
    """
    cgroup = Cgroup(path=path, hierarchies=hierarchies or discover())
    return {
        "memory": memory.read(cgroup),
        "cpu": {**cpu.read(cgroup), "limit": cpu.quota(cgroup)},
        "pids": pids.read(cgroup),
        "io": blkio.read(cgroup),
    }


def memory_statistics(path: str, hierarchies: Hierarchies | None = None) -> dict[str, int]:
    """All that the kernel counts of memory, under the kernel's own names."""
    return memory.statistics(Cgroup(path=path, hierarchies=hierarchies or discover()))


def facts(path: str, hierarchies: Hierarchies | None = None) -> dict[str, Any]:
    """The same, with what doesn't change by the second: where it lies, who is in it, what it may."""
    cgroup = Cgroup(path=path, hierarchies=hierarchies or discover())
    return {
        "directories": cgroup.directories,
        "processes": processes(path, cgroup.hierarchies),
        "state": freezer.state(path, cgroup.hierarchies),
        **read(path, cgroup.hierarchies),
        "cpuset": cpuset.read(cgroup),
        "devices": device_filter.read(cgroup),
    }


def demo() -> None:
    """What a process that has done nothing yet has used."""
    import os

    from minidock.kernel import cgroup_demo
    from minidock.spec import Resources

    path = f"/minidock-demo/{os.getpid()}"
    cgroup_demo.inside(Resources(), lambda: None, show=lambda _: print(read(path)))


if __name__ == "__main__":
    demo()
