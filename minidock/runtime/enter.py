"""Entering a container that runs: the plan of `exec`.

Order matters. The user namespace comes first for an ordinary user, who has its capabilities only in there; root has
rights over all, and in there no more over those that the host owns (a time namespace is made before the user one): so
then it comes after the others. The mount namespace is last, because with it the host's /proc, and so the paths of all
others, are gone. The pid namespace is joined by the process that clones. Man page: setns(2).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidock.kernel import namespaces, user
from minidock.kernel.execute import Execute
from minidock.runtime.planned import Plan, Spawn, mounts_own
from minidock.runtime.rights import agent, held, rights
from minidock.spec import CpuAffinity, Process, Spec
from minidock.steps import Step

if TYPE_CHECKING:
    from minidock.kernel.cgroups import CgroupPlan


def plan(
    spec: Spec, process: Process, pid: int, cgroups: CgroupPlan, cache: Path | None, state: dict[str, Any] | None = None
) -> Plan:
    """The steps for one more process beside `pid`, the container's first. `state` is what a seccomp agent is told.

    Raises MinidockError when that has ended.
    """
    from minidock.kernel import workdir

    affinity = process.exec_cpu_affinity or (spec.process and spec.process.exec_cpu_affinity) or CpuAffinity()
    child: list[Step] = [*agent(spec, state or {}), *_weight(spec, process), *_affinity(affinity.initial)]
    child += cgroups.child
    child += _namespaces(spec, pid)
    if process.terminal:
        from minidock.kernel import pty

        size = process.console_size
        child.append(pty.OpenTerminal(size.height if size else 0, size.width if size else 0, process.user.uid))
    if not mounts_own(spec):
        from minidock.kernel import shared_root

        child.append(shared_root.EnterRoot(pid))
    child.append(workdir.OwnStandardStreams(process.user.uid))
    child.append(workdir.EnterDirectory(process.cwd, make=False))
    child += [*_affinity(affinity.final), *rights(spec, process, cache)]
    return Plan(
        before=cgroups.before,
        spawn=Spawn(kinds=[], cgroup=cgroups.clone_dir, pid_path=f"/proc/{pid}/ns/pid"),
        joined=cgroups.joined,
        child=child,
        execute=Execute(process.args or [], process.env, process.cwd),
        terminal=process.terminal,
        umask=0o022 if process.user.umask is None else process.user.umask,
        held=held(spec, process),
    )


def _namespaces(spec: Spec, pid: int) -> list[Step]:
    """Into all of the container's that aren't ours, but for the pid namespace; for the order see above."""
    late = ("user", "mount") if os.geteuid() == 0 else ("mount",)
    kinds = sorted(namespaces.KINDS.values(), key=lambda facts: late.index(facts.name) if facts.name in late else -1)
    steps: list[Step] = []
    for facts in kinds:
        kind, theirs = facts.name, f"/proc/{pid}/ns/{facts.file}"
        if kind != "pid" and (kind != "mount" or mounts_own(spec)) and not _same(theirs, f"/proc/self/ns/{facts.file}"):
            steps.append(namespaces.JoinNamespace(kind, theirs))
            if kind == "user":
                steps.append(user.BecomeRoot())
    return steps


def _weight(spec: Spec, process: Process) -> list[Step]:
    """When memory runs out, it is weighed as the container is. First of all, while the host's /proc is in sight."""
    own = process.oom_score_adj
    weight = own if own is not None or spec.process is None else spec.process.oom_score_adj
    if weight is None:
        return []
    from minidock.kernel import sysctl

    return [sysctl.SetOomScoreAdj(weight)]


def _affinity(processors: str) -> list[Step]:
    if not processors:
        return []
    from minidock.kernel import scheduling

    scheduling.listed(processors)
    return [scheduling.SetAffinity(processors)]


def _same(one: str, other: str) -> bool:
    """setns(2) into the user namespace that one is in already is EINVAL; into others it would be idle."""
    return os.stat(one).st_ino == os.stat(other).st_ino
