"""What Docker's server refuses of limits: memory, processors, and sets of either that this host doesn't have."""

from __future__ import annotations

import os
import re

from minidock.errors import UsageError
from minidock.model.host import HostConfig

LEAST_MEMORY = 6 << 20
"""Docker's: with less, the container's first process is killed before it runs the command."""


def check(host: HostConfig) -> None:
    """What can't be right on any host. Raises UsageError, in Docker's words."""
    _memory(host)
    _processors(host)


def _memory(host: HostConfig) -> None:
    memory, swap, reservation = host.memory, host.memory_swap, host.memory_reservation
    if 0 < memory < LEAST_MEMORY:
        raise UsageError("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise UsageError("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory == 0 and swap > 0:
        raise UsageError("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < reservation < LEAST_MEMORY:
        raise UsageError("Minimum memory reservation allowed is 6MB")
    if 0 < memory < reservation:
        raise UsageError("Minimum memory limit can not be less than memory reservation limit, see usage")


def _processors(host: HostConfig) -> None:
    if host.nano_cpus and host.cpu_period:
        raise UsageError("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if host.nano_cpus and host.cpu_quota:
        raise UsageError("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        raise UsageError("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < host.cpu_quota < 1000:
        raise UsageError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if host.cpu_shares < 0:
        raise UsageError(f"invalid CPU shares ({host.cpu_shares}): value must be a positive integer")


def check_here(host: HostConfig) -> None:
    there = os.cpu_count() or 1
    if host.nano_cpus < 0 or host.nano_cpus > there * 10**9:
        raise UsageError(f"Range of CPUs is from 0.01 to {there}.00, as there are only {there} CPUs available")
    _check_set("cpuset cpus", host.cpuset_cpus, "Requested CPUs are not available", "/sys/devices/system/cpu/online")
    _check_set(
        "cpuset mems", host.cpuset_mems, "Requested memory nodes are not available", "/sys/devices/system/node/online"
    )


def _check_set(what: str, raw: str, absent: str, online: str) -> None:
    """A cpuset(7) list: well formed, and a part of what this host has (a list in the same form)."""
    if not raw:
        return
    wanted = _members(raw)
    if wanted is None:
        raise UsageError(f"Invalid value {raw} for {what}: invalid format: {raw}")
    try:
        with open(online) as file:
            available = file.read().strip()
    except FileNotFoundError:  # a kernel without NUMA has one node
        available = "0"
    if not wanted <= (_members(available) or set()):
        raise UsageError(f"{absent} - requested {raw}, available: {available}")


def _members(raw: str) -> set[int] | None:
    found: set[int] = set()
    for part in raw.split(","):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part, re.ASCII)
        if match is None:
            return None
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            return None
        found.update(range(first, last + 1))
    return found
