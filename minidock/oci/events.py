"""events: what a container uses, as runc prints it, one JSON object a line."""

from __future__ import annotations

import re
import sys
import time
from typing import Any

import msgspec

from minidock.errors import Conflict, ContainerNotFound, UsageError
from minidock.kernel import blkio, cgroups, cpu, cpuset, hugetlb, memory, pids
from minidock.kernel.cgroup_files import read_number
from minidock.oci import counters
from minidock.oci.container import Runtime
from minidock.oci.state import State
from minidock.oci.words import Words

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def events(runtime: Runtime, words: Words) -> int:
    """Until the container has gone; once with --stats."""
    interval = duration(words.text("interval"))
    state = runtime.read(words.arguments[0])
    if runtime.status(state) == "stopped":
        raise Conflict(f"container with id {state.id} is not running")
    if words.yes("stats"):
        _print("stats", state.id, stats(state))
        return 0
    killed = _kills(state)
    while _lives(runtime, state):
        _print("stats", state.id, stats(state))
        deadline = time.monotonic() + interval
        while (left := deadline - time.monotonic()) > 0:
            lives = _lives(runtime, state)  # before we look for kills: of one such it may have died
            if (now := _kills(state)) > killed:
                killed = now
                _print("oom", state.id, None)
            if not lives:
                return 0
            time.sleep(min(left, 0.1))
    return 0


def duration(text: str) -> float:
    """Go's `5s`, `100ms`, `1m30s` in seconds. Raises UsageError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f'invalid value "{text}" for flag -interval: time: invalid duration "{text}"')
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if seconds <= 0:
        raise UsageError("duration interval must be greater than 0")
    return seconds


def _lives(runtime: Runtime, state: State) -> bool:
    try:
        return runtime.status(runtime.read(state.id)) != "stopped"
    except ContainerNotFound:
        return False


def _print(kind: str, identity: str, data: object) -> None:
    event: dict[str, object] = {"type": kind, "id": identity}
    print(msgspec.json.encode(event if data is None else {**event, "data": data}).decode(), flush=True)
    sys.stdout.flush()


def _cgroup(state: State) -> cgroups.Cgroup:
    return cgroups.Cgroup(path=state.cgroup, hierarchies=cgroups.discover())


def _kills(state: State) -> int:
    return memory.read(_cgroup(state)).get("oom_kills") or 0


def stats(state: State) -> dict[str, Any]:
    """In runc's shape: times in nanoseconds, "no limit" as the largest number."""
    cgroup = _cgroup(state)
    time_used, used, processes = cpu.read(cgroup), memory.read(cgroup), pids.read(cgroup)
    return {
        "cpu": {
            "usage": {
                "total": 1000 * (time_used.get("usage") or 0),
                "kernel": 1000 * (time_used.get("system") or 0),
                "user": 1000 * (time_used.get("user") or 0),
                **counters.processors(cgroup),
            },
            "throttling": {
                "periods": time_used.get("periods") or 0,
                "throttledPeriods": time_used.get("throttled") or 0,
                "throttledTime": 1000 * (time_used.get("throttled_time") or 0),
            },
            **counters.pressure(cgroup, "cpu"),
        },
        "memory": {
            "cache": used.get("cache") or 0,
            **counters.memory_entries(cgroup),
            **counters.pressure(cgroup, "memory"),
            "raw": memory.statistics(cgroup),
        },
        "pids": {"current": processes.get("current") or 0, "limit": max(processes.get("limit") or 0, 0)},
        "blkio": {
            "ioServiceBytesRecursive": _io(cgroup, "bytes"),
            "ioServicedRecursive": _io(cgroup, "ios"),
            **counters.pressure(cgroup, "io"),
        },
        "hugetlb": {
            page: {"usage": values["current"] or 0, "failcnt": 0} for page, values in hugetlb.read(cgroup).items()
        },
        "cpuset": _cpuset(cgroup),
        "intel_rdt": {},
        "network_interfaces": None,
    }


CPUSET = ("cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page",
          "memory_spread_slab", "memory_pressure", "sched_load_balance", "sched_relax_domain_level")  # fmt: skip
"""Files of version 1; version 2 has none of them, and runc says 0."""


def _cpuset(cgroup: cgroups.Cgroup) -> dict[str, Any]:
    """cpuset(7). Which processors and memory nodes count in the end, as numbers."""
    lists = {name: sorted(cpuset.parse(text)) for name, text in cpuset.read(cgroup).items() if text}
    directory = cgroup.directory("cpuset")
    return lists | {name: read_number(f"{directory}/cpuset.{name}") or 0 for name in CPUSET}


def _io(cgroup: cgroups.Cgroup, what: str) -> list[dict[str, Any]]:
    rows = []
    for device, counts in blkio.read(cgroup).items():
        major, minor = device.split(":")
        for letter, operation in (("r", "Read"), ("w", "Write")):
            entry = {"major": int(major), "minor": int(minor), "op": operation, "value": counts[letter + what]}
            rows.append(entry)
    return rows
