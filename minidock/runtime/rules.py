"""What a config.json must not say: contradictions, and what would change the host instead of the container.

Each is a MUST of the runtime specification (config.md, config-linux.md) or, where that is silent, a refusal of runc's.
A member that would be left out in silence is as bad as one that is wrong: who wrote it believes that it holds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from minidock.errors import UsageError
from minidock.spec import Device, Hook, Mount, Process, Scheduler, Seccomp, Spec

VERSION = re.compile(r"(\d+)\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")
PROPAGATIONS = ("", *(f"{more}{word}" for more in ("", "r") for word in ("private", "shared", "slave", "unbindable")))
UNKNOWN_FAILS = "run.oci.seccomp_fail_unknown_syscall"
"""crun's annotation: a name that no architecture has is a slip, and not a call that this kernel is too old for."""
TAKES_NUMBER = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
LARGEST_ERRNO = 4095
"""MAX_ERRNO of linux/err.h: the filter would return this one instead."""
MAJORS, MINORS = 1 << 12, 1 << 20
"""linux/kdev_t.h: of a larger number mknod(2) takes what fits, and that is another device."""


def check(spec: Spec) -> None:
    """Raises UsageError for the first."""
    found = VERSION.fullmatch(spec.oci_version)
    if found is None:
        raise UsageError(f"invalid ociVersion {spec.oci_version!r}", hint="such as 1.2.0: semver.org")
    if int(found[1]) > 1:
        raise UsageError(f"this config.json is of version {spec.oci_version} of the specification, which is not known")
    _namespaces(spec)
    _paths(spec)
    _hooks(spec)
    if spec.process:
        _process(spec.process)
    if spec.linux.seccomp:
        _seccomp(spec.linux.seccomp)
        if spec.annotations.get(UNKNOWN_FAILS, "0") != "0":
            _names_of_calls(spec.linux.seccomp)


def own(spec: Spec, kind: str) -> bool:
    """Whether the namespace is another than ours."""
    entry = spec.linux.namespace(kind)
    if entry is None:
        return False
    file = "net" if kind == "network" else kind
    return not entry.path or not os.path.exists(entry.path) or not os.path.samefile(entry.path, f"/proc/self/ns/{file}")


def _twice(words: Iterable[str]) -> list[str]:
    words = list(words)
    return [word for place, word in enumerate(words) if word in words[:place]]


def _namespaces(spec: Spec) -> None:
    linux = spec.linux
    if twice := _twice(entry.type for entry in linux.namespaces):
        raise UsageError(f"linux.namespaces has {twice[0]} twice")
    if spec.hostname and not own(spec, "uts"):
        raise UsageError("unable to set hostname without a private UTS namespace")
    if spec.domainname and not own(spec, "uts"):
        raise UsageError("unable to set domainname without a private UTS namespace")
    times = linux.namespace("time")
    if linux.time_offsets and (times is None or times.path):
        raise UsageError("time namespace offsets specified, but no new time namespace is made")
    if wrong := [clock for clock, offset in linux.time_offsets.items() if not 0 <= offset.nanosecs < 10**9]:
        raise UsageError(f"linux.timeOffsets.{wrong[0]}: nanosecs must be less than a second")
    if unknown := linux.time_offsets.keys() - {"monotonic", "boottime"}:
        raise UsageError(f"linux.timeOffsets: {min(unknown)!r} is no clock that can be shifted: monotonic, boottime")
    if linux.namespace("mount") is None and (linux.masked_paths or linux.readonly_paths):
        raise UsageError("unable to restrict sys entries without a private MNT namespace")
    if linux.namespace("user") and linux.namespace("mount") is None:
        raise UsageError("a user namespace without a mount namespace may mount nothing, not even its own root")
    if (linux.uid_mappings or linux.gid_mappings) and not linux.namespace("user"):
        raise UsageError("user namespace mappings specified, but user namespace isn't enabled in the config")


def _paths(spec: Spec) -> None:
    for name, paths in (("maskedPaths", spec.linux.masked_paths), ("readonlyPaths", spec.linux.readonly_paths)):
        if wrong := [path for path in paths if not path.startswith("/")]:
            raise UsageError(f"linux.{name}: {wrong[0]!r} is not an absolute path")
    if spec.linux.rootfs_propagation not in PROPAGATIONS:
        raise UsageError(f"rootfsPropagation={spec.linux.rootfs_propagation} is not supported")
    for mount in spec.mounts:
        _owners(mount, users=spec.linux.namespace("user") is not None)
    for device in spec.linux.devices:
        _device(device)


def _owners(mount: Mount, *, users: bool) -> None:
    """Of an idmapped mount; `users` is whether a user namespace says who stands for whom."""
    place = f"the mount at {mount.destination}"
    if bool(mount.uid_mappings) != bool(mount.gid_mappings):
        raise UsageError(f"{place} must have both uidMappings and gidMappings, or neither")
    if not (mount.uid_mappings or {"idmap", "ridmap"} & set(mount.options)):
        return
    if mount.type != "bind" and not {"bind", "rbind"} & set(mount.options):
        raise UsageError(f"{place}: id-mapped mounts are only supported for bind-mounts")
    if not (mount.uid_mappings or users):
        raise UsageError(f"{place} is to be id-mapped, but has no mappings, and there is no user namespace to take")


def _device(device: Device) -> None:
    if device.type not in ("c", "b", "u", "p"):
        raise UsageError(f"invalid device type {device.type!r} of {device.path}")
    if device.type != "p" and not (0 <= device.major < MAJORS and 0 <= device.minor < MINORS):
        raise UsageError(f"{device.path}: there is no device {device.major}:{device.minor}")


def _hooks(spec: Spec) -> None:
    hooks = spec.hooks
    if hooks is None:
        return
    everyone: list[Hook] = [*hooks.prestart, *hooks.create_runtime, *hooks.create_container, *hooks.start_container]
    for hook in [*everyone, *hooks.poststart, *hooks.poststop]:
        if not hook.path.startswith("/"):
            raise UsageError(f"hooks: the path {hook.path!r} is not absolute")
        if hook.timeout is not None and hook.timeout <= 0:
            raise UsageError(f"hooks: the timeout of {hook.path} must be greater than zero")


def _process(process: Process) -> None:
    if not process.cwd.startswith("/"):
        raise UsageError("Cwd must be an absolute path")
    if twice := _twice(limit.type for limit in process.rlimits):
        raise UsageError(f"process.rlimits has {twice[0]} twice")
    for limit in process.rlimits:  # -1 is RLIM_INFINITY, as in C
        if not (-1 <= limit.soft < 1 << 64 and -1 <= limit.hard < 1 << 64):
            raise UsageError(f"wrong rlimit value: {limit.type}")
    for entry in process.env:
        if entry.find("=") < 1:
            raise UsageError(f"invalid environment variable: {entry!r}", hint="NAME=value")
    # execve(2) takes what stands before it for the whole.
    if cut := [word for word in [*(process.args or []), *process.env, process.cwd] if "\0" in word]:
        raise UsageError(f"process: {cut[0]!r} can't contain a null byte")
    if process.scheduler:
        _scheduler(process.scheduler)
    if process.exec_cpu_affinity:
        from minidock.kernel.scheduling import listed

        for text in filter(None, (process.exec_cpu_affinity.initial, process.exec_cpu_affinity.final)):
            listed(text)


def _scheduler(asked: Scheduler) -> None:
    """What the kernel would leave out, or cut, without a word: sched_setattr(2). As runc."""
    if not -20 <= asked.nice <= 19:
        raise UsageError(f"invalid scheduler.nice: {asked.nice}")
    if asked.priority and asked.policy not in ("SCHED_FIFO", "SCHED_RR"):
        raise UsageError("scheduler.priority can only be specified for SchedFIFO or SchedRR policy")
    if asked.policy != "SCHED_DEADLINE" and (asked.runtime or asked.deadline or asked.period):
        raise UsageError("scheduler runtime/deadline/period can only be specified for SchedDeadline policy")


def _seccomp(profile: Seccomp) -> None:
    if profile.listener_metadata and not profile.listener_path:
        raise UsageError("seccomp: listenerMetadata without listenerPath")
    if profile.default_errno_ret is not None and profile.default_action not in TAKES_NUMBER:
        raise UsageError(f"seccomp: defaultErrnoRet with {profile.default_action}, which returns none")
    for rule in profile.syscalls:
        if not rule.names:
            raise UsageError("seccomp: a rule without names")
        if rule.errno_ret is not None and rule.action not in TAKES_NUMBER:
            raise UsageError(f"seccomp: errnoRet with {rule.action}, which returns none")
        if rule.action == "SCMP_ACT_ERRNO" and (rule.errno_ret or 0) > LARGEST_ERRNO:
            raise UsageError(f"seccomp: errnoRet {rule.errno_ret} is above {LARGEST_ERRNO}")
        numbers = [number for arg in rule.args for number in (arg.value, arg.value_two)]
        if wrong := [number for number in numbers if not 0 <= number < 1 << 64]:
            raise UsageError(f"seccomp: {wrong[0]} is no value of an argument: 64 bits without a sign")


def _names_of_calls(profile: Seccomp) -> None:
    from minidock.kernel import seccomp_arch

    known = {name for calls in seccomp_arch.numbers().values() for name in calls}
    if unknown := [name for rule in profile.syscalls for name in rule.names if name not in known]:
        raise UsageError(f"seccomp: unknown syscall {unknown[0]}", hint=f"{UNKNOWN_FAILS} is set")
