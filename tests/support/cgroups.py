"""Hierarchies of plain directories: controllers are tested against them without root."""

from __future__ import annotations

import os
from pathlib import Path

from minidock.kernel.cgroup_files import Hierarchies, WriteCgroupFile
from minidock.steps import Live, Step

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
