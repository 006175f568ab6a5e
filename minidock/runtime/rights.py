"""What the command may do: its limits, user, capabilities and filter. The same for the first process and for `exec`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minidock.spec import Capabilities, Process, Spec
from minidock.steps import Step


def rights(spec: Spec, process: Process, cache: Path | None) -> list[Step]:
    """Limits, user, capabilities and filter: the same for the first process and for `exec`.

    The filter stands last and is loaded last of all, by minidock-exec. Loading takes no_new_privs or CAP_SYS_ADMIN,
    which is then held until that moment.
    """
    from minidock.kernel import capabilities, credentials

    who = process.user
    caps, kept = capabilities.grantable(process.capabilities or Capabilities()), held(spec, process)
    steps = _settings(spec, process)
    steps += [
        capabilities.DropBoundingSet(caps.bounding, kept),
        capabilities.KeepCaps(),
        credentials.SetUser(who.uid, who.gid, who.additional_gids, keep_groups=_keeps_groups(spec)),
        capabilities.set_capabilities(caps, kept),
    ]
    if spec.linux.seccomp:
        from minidock.kernel import seccomp

        steps.append(seccomp.load_filter(spec.linux.seccomp, cache, at_exec=True))
    return steps


def _settings(spec: Spec, process: Process) -> list[Step]:
    """What is the process's own and takes rights to set, or none to keep: limits, scheduling, memory, no_new_privs."""
    steps: list[Step] = []
    if process.rlimits:
        from minidock.kernel import rlimits

        steps += rlimits.steps(process.rlimits)
    if process.scheduler or process.io_priority:
        from minidock.kernel import scheduling

        steps += scheduling.steps(process.scheduler, process.io_priority)
    if spec.linux.personality:
        from minidock.kernel import personality

        steps += personality.steps(spec.linux.personality)
    if spec.linux.memory_policy:
        from minidock.kernel import mempolicy

        steps += mempolicy.steps(spec.linux.memory_policy)
    if process.no_new_privileges:
        from minidock.kernel import no_new_privs

        steps.append(no_new_privs.SetNoNewPrivs())
    return steps


def _keeps_groups(spec: Spec) -> bool:
    """`podman run --group-add keep-groups`: files of a group that no id in the container stands for stay readable."""
    return spec.annotations.get("run.oci.keep_original_groups") == "1"


def agent(spec: Spec, state: dict[str, Any], version: str = "") -> list[Step]:
    """The way to who decides over system calls, first of all: the process is asked for its pid in the host's /proc."""
    if not spec.linux.seccomp or all(rule.action != "SCMP_ACT_NOTIFY" for rule in spec.linux.seccomp.syscalls):
        return []  # a path without such a rule is left alone, as runc does
    from minidock.kernel import seccomp_agent

    return seccomp_agent.steps(spec.linux.seccomp, state, version)


def held(spec: Spec, process: Process) -> str:
    """The capability that is kept for minidock-exec; empty when it needs none."""
    return "CAP_SYS_ADMIN" if spec.linux.seccomp and not process.no_new_privileges else ""
