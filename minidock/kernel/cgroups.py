"""Cgroups: how much of the machine a container may use, and what it has used.

The container gets one cgroup, at the same path in every hierarchy: made, its limits written, its first process put into
it, and at the end killed and removed as one. This file is the table of contents: the limits themselves are in memory,
cpu, pids, cpuset, blkio, hugetlb, rdma, net_class and device_filter, one controller a file. Man page: cgroups(7).

Two rules of version 2 shape the order. A cgroup has a controller's files only when its parent's cgroup.subtree_control
lists the controller, and a cgroup that lists one may hold no processes itself: processes live in the leaves.
Version 1 knows neither rule, but its cpuset takes no process before cpus and memory nodes are filled in.
"""

from __future__ import annotations

import os
import shlex
from typing import ClassVar

import msgspec

from minidock.errors import Conflict, SystemCallFailed, Unsupported
from minidock.kernel import cgroup_tree, cpu, cpuset, device_filter, freezer, memory, pids
from minidock.kernel.cgroup_files import (
    Cgroup,
    Hierarchies,
    WriteCgroupFile,
    WriteFirstOf,
    discover,
    read_text,
    unified,
    write,
)
from minidock.kernel.cgroup_join import BornInCgroup, CgroupPlan, EnterCgroup, checked_path, membership, read
from minidock.kernel.cgroup_tree import processes
from minidock.spec import Resources
from minidock.steps import Live, Step

__all__ = [
    "BornInCgroup",
    "Cgroup",
    "CgroupPlan",
    "EnterCgroup",
    "Hierarchies",
    "checked_path",
    "discover",
    "membership",
    "plan",
    "processes",
    "read",
]

COUNTED = ("cpu", "io", "memory", "pids")
"""Controllers wanted on cgroup2 even without a limit: `stats` shows what they count."""


class MakeCgroup(Step, frozen=True):
    """mkdir, in every hierarchy. Undoing it kills whatever runs inside: nothing outlives its container."""

    path: str
    directories: list[str]
    parents_up_to: list[str]
    """The mounts, when the parent is minidock's own and goes with the last container; else empty."""
    man: ClassVar[str] = "cgroups(7)"

    def describe(self) -> str:
        count = len(self.directories)
        return f"make the cgroup {self.path}" + (f" in {count} hierarchies" if count > 1 else "")

    def shell(self) -> str:
        return shlex.join(["mkdir", "-p", *self.directories])

    def undo_shell(self) -> str:
        everybody = " ".join(shlex.quote(f"{directory}/cgroup.procs") for directory in self.directories)
        ours = shlex.join(self.directories)
        lines = [
            f"kill -KILL $(cat {everybody}) 2>/dev/null || :",
            f"rmdir {ours} 2>/dev/null || {{ sleep 0.1; rmdir --ignore-fail-on-non-empty {ours} 2>/dev/null || :; }}",
        ]
        if self.parents_up_to:
            parents = shlex.join([os.path.dirname(directory) for directory in self.directories])
            lines.append(f"rmdir {parents} 2>/dev/null || :")
        return "\n".join(lines)

    def apply(self, live: Live) -> None:
        for directory in self.directories:
            cgroup_tree.make(directory)

    def undo(self, live: Live) -> None:
        cgroup_tree.remove(self.directories, parents_up_to=self.parents_up_to)


class EnableControllers(Step, frozen=True):
    """Version 2: from the top down, let each parent hand the controllers on to its children."""

    parents: list[str]
    controllers: list[str]
    needed: list[str]
    """Those of them that a limit needs. Without the others only `stats` shows less."""
    man: ClassVar[str] = "cgroups(7)"

    def describe(self) -> str:
        return f"hand the controllers {' '.join(self.controllers)} down to the cgroup"

    def shell(self) -> str:
        words = " ".join(f"+{name}" for name in self.controllers)
        return "\n".join(f"echo {words} > {shlex.quote(parent)}/cgroup.subtree_control" for parent in self.parents)

    def apply(self, live: Live) -> None:
        for parent in self.parents:
            file = f"{parent}/cgroup.subtree_control"
            missing = sorted(set(self.controllers) - set((read_text(file) or "").split()))
            if missing:
                self._enable(file, missing)

    def _enable(self, file: str, missing: list[str]) -> None:
        """All in one write; when the kernel refuses that, one by one to learn which it refuses."""
        try:
            write(file, " ".join(f"+{name}" for name in missing))
        except SystemCallFailed:
            self._enable_one_by_one(file, missing)

    def _enable_one_by_one(self, file: str, missing: list[str]) -> None:
        for name in missing:
            try:
                write(file, f"+{name}")
            except SystemCallFailed as error:
                if name in self.needed:
                    parent = os.path.dirname(file)
                    raise Unsupported(
                        f"can't limit {name}: the cgroup {parent} doesn't hand that controller down ({error})",
                        hint=f"EBUSY: processes live in {parent} itself; move them into a child cgroup of it first",
                    ) from error


def plan(
    hierarchies: Hierarchies,
    path: str,
    resources: Resources | None,
    *,
    child_joins: bool = False,
    scope: Step | None = None,
) -> CgroupPlan:
    """The steps for a container's cgroup. `path` is OCI's cgroupsPath, relative to each hierarchy's mount.

    `scope` has systemd make it (kernel/scope.py), which takes a process: so all of it comes once there is one.

    Raises Unsupported for a limit that this host can't keep, UsageError for a path or value that can't be right,
    Conflict when processes live in the cgroup already: undoing would kill them.
    """
    cgroup = Cgroup(path=checked_path(path), hierarchies=hierarchies)
    if not cgroup.directories:
        raise Unsupported(
            "this host has no cgroups mounted: a container could be neither limited nor killed as a whole",
            hint="mount -t cgroup2 none /sys/fs/cgroup",
        )
    _refuse_inhabited(cgroup)
    wanted = resources or Resources()
    limits = _limits(cgroup, wanted)
    make = MakeCgroup(cgroup.path, cgroup.directories, _mounts_if_ours(cgroup))
    before = [make, *_enable(cgroup, limits), *cpuset.inherit(cgroup), *limits]
    before += device_filter.limits(cgroup, wanted.devices)
    there = membership(hierarchies, cgroup.path, child_joins=child_joins)
    if scope:
        return msgspec.structs.replace(there, clone_dir="", joined=[scope, *before, *there.joined])
    return msgspec.structs.replace(there, before=before)


def changes(hierarchies: Hierarchies, path: str, wanted: Resources, before: Resources) -> list[Step]:
    """The writes that give a living cgroup other limits; `before` holds now. Devices stay as they are: `update`."""
    cgroup = Cgroup(path=checked_path(path), hierarchies=hierarchies)
    limits = _limits(cgroup, wanted, before)
    return [*_enable(cgroup, limits), *limits]


def _limits(cgroup: Cgroup, wanted: Resources, before: Resources | None = None) -> list[Step]:
    """Every limit of the spec, by controller."""
    return [
        *memory.limits(cgroup, wanted.memory, before.memory if before else None),
        *cpu.limits(cgroup, wanted.cpu),
        *cpuset.limits(cgroup, wanted.cpu),
        *pids.limits(cgroup, wanted.pids),
        *_rare_limits(cgroup, wanted),
        *unified(cgroup, wanted.unified),
    ]


def _rare_limits(cgroup: Cgroup, wanted: Resources) -> list[Step]:
    """Those that few ask for, whose files are not even loaded without."""
    steps: list[Step] = []
    if wanted.block_io:
        from minidock.kernel import blkio

        steps += blkio.limits(cgroup, wanted.block_io)
    if wanted.hugepage_limits:
        from minidock.kernel import hugetlb

        steps += hugetlb.limits(cgroup, wanted.hugepage_limits)
    if wanted.network:
        from minidock.kernel import net_class

        steps += net_class.limits(cgroup, wanted.network)
    if wanted.rdma:
        from minidock.kernel import rdma

        steps += rdma.limits(cgroup, wanted.rdma)
    return steps


def _refuse_inhabited(cgroup: Cgroup) -> None:
    for directory in cgroup.directories:
        if os.path.isdir(directory) and (found := cgroup_tree.pids_below(directory)):
            raise Conflict(
                f"container's cgroup is not empty: {len(found)} process(es) found: {found[:5]} in {directory}",
                hint="another container has the same id or cgroup path; give this one its own",
            )
        # Whoever enters a frozen cgroup stands still at once, before it can say so.
        if freezer.frozen(directory):
            raise Conflict(f"container's cgroup unexpectedly frozen: {directory}", hint="thaw or remove it first")


def _mounts_if_ours(cgroup: Cgroup) -> list[str]:
    """The parent goes with its last container when it is minidock's; one that a user made (--cgroup-parent) stays."""
    if not cgroup.path.startswith("/minidock"):
        return []
    return [directory.removesuffix(cgroup.path) for directory in cgroup.directories]


def _enable(cgroup: Cgroup, limits: list[Step]) -> list[Step]:
    if cgroup.v2 is None:
        return []
    files = [step.file for step in limits if isinstance(step, WriteCgroupFile)]
    files += [file for step in limits if isinstance(step, WriteFirstOf) for file, _ in step.choices]
    # A file is named after its controller: memory.max, io.bfq.weight.
    names = {os.path.basename(file).split(".")[0] for file in files if os.path.dirname(file) == cgroup.v2}
    needed = sorted(names & set(cgroup.hierarchies.v2_controllers))
    wanted = sorted({*needed, *(name for name in COUNTED if cgroup.version(name) == 2)})
    words = cgroup.path.split("/")[1:]
    parents = ["/".join([cgroup.v2.removesuffix(cgroup.path), *words[:depth]]) for depth in range(len(words))]
    return [EnableControllers(parents, wanted, needed)] if wanted else []


def demo() -> None:
    """Put a child into a new cgroup and let the kernel say so; then end the cgroup, and the child with it."""
    path = f"/minidock-demo/{os.getpid()}"
    found = discover()
    steps = plan(found, path, None)
    live = Live()
    try:
        for step in steps.before:
            print(f"{step.describe()}\n    {step.shell().splitlines()[0]}")
            step.apply(live)
        live.pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
        for step in steps.joined:
            print(step.describe())
            step.apply(live)
        print(f"/proc/{live.pid}/cgroup says: {read(live.pid)}")
    finally:
        for step in reversed([*steps.before, *steps.joined]):
            step.undo(live)
    print(f"the cgroup is gone, and its process died of signal {os.waitpid(live.pid, 0)[1] & 0x7F}")


if __name__ == "__main__":
    demo()
