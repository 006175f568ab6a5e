"""Cgroups for tests: hierarchies of plain directories, which need no root, and real ones that leave nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

from minidock.kernel import cgroups
from minidock.kernel.cgroup_files import Cgroup, Hierarchies, WriteCgroupFile
from minidock.spec import Resources
from minidock.steps import Live, Step, apply_all, undo_all
from tests.support.needs import require_feature

V1 = (
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "hugetlb",
    "net_cls",
    "net_prio",
    "rdma",
)
V2 = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"]


def v1(root: Path) -> Hierarchies:
    """A host with version 1 only; cpu and cpuacct share a mount, as on most."""
    mounts = {name: str(root / ("cpu,cpuacct" if name in ("cpu", "cpuacct") else name)) for name in V1}
    _make(*mounts.values())
    return Hierarchies(v1=mounts)


def v2(root: Path) -> Hierarchies:
    """A host with the unified hierarchy only."""
    _make(str(root))
    return Hierarchies(v2_mount=str(root), v2_controllers=V2)


def hybrid(root: Path) -> Hierarchies:
    """Version 1 with all controllers but hugetlb, which is on the cgroup2 mount beside it."""
    mounts = {name: mount for name, mount in v1(root).v1.items() if name != "hugetlb"}
    _make(str(root / "unified"))
    return Hierarchies(v2_mount=str(root / "unified"), v2_controllers=["hugetlb"], v1=mounts)


def _make(*directories: str) -> None:
    for directory in directories:
        os.makedirs(directory, exist_ok=True)


def writes(steps: list[Step]) -> list[tuple[str, str]]:
    """(name of the file, value) in order."""
    return [(os.path.basename(step.file), step.value) for step in steps if isinstance(step, WriteCgroupFile)]


def apply(steps: list[Step]) -> None:
    """Apply to plain directories: what the kernel would have put there is made first."""
    for step in steps:
        if isinstance(step, WriteCgroupFile):
            os.makedirs(os.path.dirname(step.file), exist_ok=True)
            Path(step.file).touch()
        step.apply(Live())


# Real ones


class Group:
    """A real cgroup for one test: its steps applied on entry, undone on exit; then nothing may be left."""

    def __init__(
        self,
        resources: Resources | None = None,
        *,
        hierarchies: Hierarchies | None = None,
        child_joins: bool = False,
    ) -> None:
        self.hierarchies = hierarchies or cgroups.discover()
        self.parent = f"/minidock-test-{uuid.uuid4().hex[:8]}"
        self.path = f"{self.parent}/x"
        self.cgroup = Cgroup(self.path, self.hierarchies)
        self.plan = cgroups.plan(self.hierarchies, self.path, resources, child_joins=child_joins)
        self.started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Group:
        apply_all(self.plan.before, Live())
        return self

    def start(self, code: str) -> subprocess.Popen[str]:
        """Run Python code in the cgroup: it begins when the process is in it. stdout and stderr are one pipe."""
        gate = f"import os, sys, time, errno\nsys.stdin.readline()\n{code}"
        command = [sys.executable, "-I", "-S", "-c", gate]
        pipe = subprocess.PIPE
        child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)
        self.started.append(child)
        apply_all(self.plan.joined, Live(child.pid))
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
        return child

    def run(self, code: str) -> tuple[int, str]:
        """The same to its end: exit status (negative: signal) and what it said."""
        child = self.start(code)
        said, _ = child.communicate(timeout=60)
        return child.returncode, said.strip()

    def undo(self) -> list[str]:
        return undo_all(self.plan.before, Live())

    def __exit__(self, *_: object) -> None:
        problems = self.undo()
        for child in self.started:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    stream.close()
        assert problems == []
        mounts = [directory.removesuffix(self.path) for directory in self.cgroup.directories]
        assert [mount + self.parent for mount in mounts if os.path.exists(mount + self.parent)] == []


def v1_part() -> Hierarchies:
    """This host as if it had no cgroup2 mount; skips where it has no v1 hierarchies."""
    require_feature("cgroup-v1")
    return Hierarchies(v1=cgroups.discover().v1)
