"""What of a HostConfig this host can keep: the rest is refused by name, or where Docker only warns, left out and told.

A limit that can't be enforced is an error, never silence. Two wishes aren't limits, and version 2 of cgroups has no
file for them: there Docker goes on without, and says so.
"""

from __future__ import annotations

import msgspec

from minidock.errors import UsageError
from minidock.kernel.cgroup_files import Cgroup, discover
from minidock.kernel.mount_options import parse
from minidock.model.host import HostConfig

RUNTIMES = ("minidock", "runc", "nvidia")
"""Ours. `runc` is what Docker calls the one that is there of itself, and what files that name one say; `nvidia` asks
for GPUs by variables (gpu_runtime.py)."""
STORAGE_OPTIONS = ("size",)


def fit(host: HostConfig) -> tuple[HostConfig, list[str]]:
    """The configuration without what this host leaves out, and a warning for each. Raises UsageError, in Docker's
    words, for what can't be kept."""
    _check_words(host)
    _check_rates(host)
    _check_tmpfs(host)
    return _only_version_1(host)


def _check_words(host: HostConfig) -> None:
    if host.runtime not in ("", *RUNTIMES):
        raise UsageError(
            f"Unknown runtime specified {host.runtime}",
            hint="minidock runs containers itself; other engines can use it as theirs, by the name minidock-oci",
        )
    if host.isolation not in ("", "default"):
        raise UsageError(f"Invalid isolation: \"{host.isolation}\" - linux only supports 'default'")
    for name in host.storage_opt:
        if name not in STORAGE_OPTIONS:
            raise UsageError(f"Unknown option {name}")
        raise UsageError(
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
            hint="minidock sets no project quotas: put --root on a file system of the size you want",
        )


TMPFS_VALUES = ("mode", "uid", "gid", "size", "nr_inodes", "nr_blocks", "mpol")


def _check_tmpfs(host: HostConfig) -> None:
    for options in host.tmpfs.values():
        for word in filter(None, options.split(",")):
            name, equals, _ = word.partition("=")
            flag = parse([word])
            if not (name in TMPFS_VALUES if equals else flag != parse([]) and not flag.data and not flag.bind):
                raise UsageError(f'invalid tmpfs option ["{word}"]')


def _check_rates(host: HostConfig) -> None:
    if host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        raise UsageError("Range of blkio weight is from 10 to 1000")
    if host.cpu_realtime_period and host.cpu_realtime_runtime > host.cpu_realtime_period:
        raise UsageError("cpu real-time runtime cannot be higher than cpu real-time period")


def _only_version_1(host: HostConfig) -> tuple[HostConfig, list[str]]:
    warnings: list[str] = []
    swappiness = host.memory_swappiness not in (None, -1)
    if not (host.oom_kill_disable or swappiness):
        return host, warnings
    if Cgroup(path="/", hierarchies=discover()).version("memory") != 1:
        if host.oom_kill_disable:
            warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
        if swappiness:
            warnings.append(
                "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
                "Memory swappiness discarded."
            )
        return msgspec.structs.replace(host, oom_kill_disable=False, memory_swappiness=None), warnings
    if host.oom_kill_disable and not host.memory:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system "
            "running out of resources."
        )
    return host, warnings
