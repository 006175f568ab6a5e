"""The cpuset controller: on which processors, and in which memory nodes, a container may be.

Unlike a quota this is a place: `0-1` are the first two processors, and the scheduler puts the container nowhere else.
On version 1 a new cpuset is empty, and no process can enter an empty one (ENOSPC): so every level is filled from its
parent first, from the top down. Version 2 inherits by itself. Man page: cpuset(7).
"""

from __future__ import annotations

import shlex
from typing import ClassVar

from minidock.errors import UsageError
from minidock.kernel.cgroup_files import Cgroup, WriteCgroupFile, read_text, write
from minidock.spec import Cpu, Resources
from minidock.steps import Live, Step

FILES = ("cpuset.cpus", "cpuset.mems")


class InheritCpuset(Step, frozen=True):
    """Version 1: fill what is empty, from the top down; what somebody has set stays."""

    levels: list[str]
    """Directories, the mount first: each is filled from the one before it."""
    man: ClassVar[str] = "cpuset(7)"

    def describe(self) -> str:
        return "let the cgroup use its parent's processors and memory nodes"

    def shell(self) -> str:
        lines = [
            f'[ -n "$(cat {shlex.quote(f"{child}/{name}")})" ] || cat {shlex.quote(f"{parent}/{name}")} > '
            f"{shlex.quote(f'{child}/{name}')}"
            for parent, child in zip(self.levels, self.levels[1:], strict=False)
            for name in FILES
        ]
        return "\n".join(lines)

    def apply(self, live: Live) -> None:
        for name in FILES:
            given = (read_text(f"{self.levels[0]}/{name}") or "").strip()
            for level in self.levels[1:]:
                own = (read_text(f"{level}/{name}") or "").strip()
                if not own:
                    write(f"{level}/{name}", given)
                given = own or given


def inherit(cgroup: Cgroup) -> list[Step]:
    """What must be done on version 1 whether or not there is a limit."""
    mount = cgroup.hierarchies.v1.get("cpuset")
    if mount is None:
        return []
    words = cgroup.path.split("/")[1:]
    return [InheritCpuset(["/".join([mount, *words[:depth]]) for depth in range(len(words) + 1)])]


def limits(cgroup: Cgroup, cpu: Cpu | None) -> list[Step]:
    """Raises UsageError, as Docker, for processors that this machine hasn't: version 2 would take them silently."""
    steps: list[Step] = []
    for wish, name, noun in ((cpu and cpu.cpus, "cpus", "CPUs"), (cpu and cpu.mems, "mems", "memory nodes")):
        if not wish:
            continue
        directory = cgroup.need("cpuset", f"choose {noun}")
        available = _available(cgroup, name)
        if available and not parse(wish, name) <= parse(available, name):
            raise UsageError(f"Requested {noun} are not available - requested {wish}, available: {available}")
        steps.append(WriteCgroupFile(f"run on {noun} {wish} only", f"{directory}/cpuset.{name}", wish))
    return steps


def _available(cgroup: Cgroup, name: str) -> str:
    """What the mount's own cgroup has: all that is online, or what the container that we are in may use."""
    mount = cgroup.mount("cpuset")
    texts = (read_text(f"{mount}/cpuset.{name}{suffix}") for suffix in (".effective", ""))
    return next((text.strip() for text in texts if text), "")


def parse(text: str, name: str = "cpus") -> set[int]:
    """The numbers of a list such as "0-3,8": cpuset(7), "List format". Raises UsageError."""
    numbers: set[int] = set()
    try:
        for part in text.strip().split(","):
            first, dash, last = part.partition("-")
            low, high = int(first), int(last) if dash else int(first)
            if not 0 <= low <= high < 65_536:
                raise ValueError(part)
            numbers.update(range(low, high + 1))
    except ValueError as error:
        raise UsageError(f"Invalid value {text} for cpuset {name}") from error
    return numbers


def read(cgroup: Cgroup) -> dict[str, str]:
    """`cpus` and `mems` that count in the end, as lists."""
    directory = cgroup.directory("cpuset")
    names = ("cpus", "mems")
    if directory is None:
        return {}
    pattern = "cpuset.{}.effective" if cgroup.version("cpuset") == 2 else "cpuset.effective_{}"
    return {name: (read_text(f"{directory}/{pattern.format(name)}") or "").strip() for name in names}


def demo() -> None:
    """Tie a process to the first processor, and ask the scheduler where it may run."""
    import os

    from minidock.kernel.cgroup_demo import inside

    def where() -> None:
        print(f"sched_getaffinity(2) says: {os.sched_getaffinity(0)} of {os.cpu_count()} processors", flush=True)

    inside(Resources(cpu=Cpu(cpus="0")), where, show=lambda cgroup: print(read(cgroup)))


if __name__ == "__main__":
    demo()
