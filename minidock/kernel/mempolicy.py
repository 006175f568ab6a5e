"""Memory policy: from which nodes of a NUMA machine a process gets its pages.

A cgroup's cpuset.mems says which nodes may be used at all; the policy says which of those, and in what order, when a
page is first touched. It belongs to the thread, is inherited by children and kept over execve(2).
Man page: set_mempolicy(2), numa(7); runtime-spec config-linux.md, "Memory Policy".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from minidock import spec
from minidock.errors import UsageError
from minidock.kernel import syscalls
from minidock.kernel.scheduling import listed
from minidock.steps import Live, Step

MODES = {  # linux/mempolicy.h
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,
    "MPOL_WEIGHTED_INTERLEAVE": 6,
}
FLAGS = {
    "MPOL_F_NUMA_BALANCING": 1 << 13,
    "MPOL_F_RELATIVE_NODES": 1 << 14,
    "MPOL_F_STATIC_NODES": 1 << 15,
}
WITHOUT_NODES = ("MPOL_DEFAULT", "MPOL_LOCAL")


class SetMemoryPolicy(Step, frozen=True):
    """Where pages come from."""

    mode: str
    flags: list[str]
    nodes: list[int]
    man: ClassVar[str] = "set_mempolicy(2)"

    def describe(self) -> str:
        where = f" nodes {','.join(map(str, self.nodes))}" if self.nodes else ""
        return f"take memory by the policy {self.mode}{where}"

    def shell(self) -> str:
        option = self.mode.removeprefix("MPOL_").lower()
        return f"# numactl --{option}{'=' + ','.join(map(str, self.nodes)) if self.nodes else ''} COMMAND"

    def apply(self, live: Live) -> None:
        mode = MODES[self.mode] | sum(FLAGS[flag] for flag in set(self.flags))
        syscalls.set_mempolicy(mode, sum(1 << node for node in set(self.nodes)))


def steps(asked: spec.MemoryPolicy | None) -> list[Step]:
    """For an OCI spec. Raises UsageError, in runc's words, for what the kernel doesn't know."""
    if asked is None:
        return []
    if asked.mode not in MODES:
        raise UsageError(f'invalid memory policy mode "{asked.mode}"', hint=f"one of {', '.join(MODES)}")
    if unknown := [flag for flag in asked.flags if flag not in FLAGS]:
        raise UsageError(f'invalid memory policy flag "{unknown[0]}"', hint=f"one of {', '.join(FLAGS)}")
    nodes = sorted(listed(asked.nodes, "memory policy nodes")) if asked.nodes else []
    if nodes and nodes[-1] >= syscalls.NODES:
        raise UsageError(f"memory policy: there is no node {nodes[-1]}")
    if asked.mode in WITHOUT_NODES and nodes:
        raise UsageError(f"memory policy: {asked.mode} mode requires 0 nodes but got {len(nodes)}")
    return [SetMemoryPolicy(asked.mode, asked.flags, nodes)]


def read(pid: int | str) -> str:
    """What holds for the process's first mapping: proc_pid_numa_maps(5)."""
    return Path(f"/proc/{pid}/numa_maps").read_text(encoding="ascii").split()[1]


def demo() -> None:
    """Before and after, in a child."""
    print(read("self"))
    pid = os.fork()
    if pid == 0:
        SetMemoryPolicy("MPOL_INTERLEAVE", [], [0]).apply(Live())
        print(read("self"), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
