"""The API's stats: the kernel's counters as they are, now and a second ago. The client makes shares of them.

`docker stats` divides what the container has used between two looks by what all processors together have had to give
between them, so each answer carries both: `cpu_stats`, and `precpu_stats` from the look before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from minidock.engine.durations import timestamp
from minidock.engine.record import Record, Records, alive, cgroup_of, refresh
from minidock.engine.stats import INTERVAL, memory_limit
from minidock.errors import ContainerNotFound
from minidock.kernel import cgroup_stats, link
from minidock.kernel.cgroup_files import Hierarchies, discover
from minidock.paths import Layout

NEVER = "0001-01-01T00:00:00Z"
UNLIMITED = (1 << 64) - 1
"""How Docker says that there is no limit of processes."""
CPU_COLUMNS = 7
"""Of /proc/stat: user, nice, system, idle, iowait, irq, softirq; what is stolen or a guest's isn't ours to give."""

Stats = dict[str, Any]


def stream(layout: Layout, ref: str, *, endless: bool, one_shot: bool) -> Iterator[Stats]:
    """Raises ContainerNotFound at the first; later the end of the container is the end of the stream."""
    container_id = Records(layout).find(ref).id
    if layout.user is not None:
        from minidock.engine import rootless

        rootless.no_cgroup(layout, "stats")
    hierarchies = discover()
    before = _nothing()
    if not endless and not one_shot:
        before = _look(layout, container_id, hierarchies)
        if before["read"] != NEVER:  # else there is nothing to wait for
            time.sleep(INTERVAL)
    while True:
        now = _look(layout, container_id, hierarchies)
        now |= {"preread": before["read"], "precpu_stats": before["cpu_stats"]}
        yield now
        if not endless:
            return
        before = now
        time.sleep(INTERVAL)
        try:
            Records(layout).read(container_id)
        except ContainerNotFound:
            return


def _look(layout: Layout, container_id: str, hierarchies: Hierarchies) -> Stats:
    record = refresh(layout, Records(layout).read(container_id))
    named = {"name": f"/{record.name}", "id": record.id}
    if not record.state.running:
        return {**_nothing(), **named}
    path = cgroup_of(layout, record)
    used = cgroup_stats.read(path, hierarchies)
    found = {
        "read": timestamp(),
        "preread": NEVER,
        "pids_stats": _pids(used["pids"]),
        "blkio_stats": {**_NO_BLKIO, **_blkio(used["io"])},
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(used["cpu"]),
        "precpu_stats": _NO_CPU,
        "memory_stats": _memory(used["memory"], cgroup_stats.memory_statistics(path, hierarchies)),
        **named,
    }
    networks = _networks(record)
    return {**found, "networks": networks} if networks else found


_NO_CPU = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}
_NO_BLKIO = dict.fromkeys(
    f"{name}_recursive"
    for name in (
        "io_service_bytes",
        "io_serviced",
        "io_queue",
        "io_service_time",
        "io_wait_time",
        "io_merged",
        "io_time",
        "sectors",
    )
)


def _nothing() -> Stats:
    """Of a container that doesn't run."""
    return {
        "read": NEVER,
        "preread": NEVER,
        "pids_stats": {},
        "blkio_stats": _NO_BLKIO,
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _NO_CPU,
        "precpu_stats": _NO_CPU,
        "memory_stats": {},
    }


def _cpu(used: dict[str, int | None]) -> Stats:
    """Nanoseconds, where the kernel and our own reader have microseconds."""

    def nanoseconds(name: str) -> int:
        return (used.get(name) or 0) * 1000

    return {
        "cpu_usage": {
            "total_usage": nanoseconds("usage"),
            "usage_in_kernelmode": nanoseconds("system"),
            "usage_in_usermode": nanoseconds("user"),
        },
        "system_cpu_usage": _machine_cpu(),
        "online_cpus": os.cpu_count() or 1,
        "throttling_data": {
            "periods": used.get("periods") or 0,
            "throttled_periods": used.get("throttled") or 0,
            "throttled_time": nanoseconds("throttled_time"),
        },
    }


def _machine_cpu() -> int:
    """Nanoseconds that have passed on all processors: the first line of /proc/stat (proc_stat(5)) is in ticks."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = file.readline().split()[1 : 1 + CPU_COLUMNS]
    return sum(map(int, ticks)) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def _memory(used: dict[str, int | None], table: dict[str, int]) -> Stats:
    """`usage` with all the page cache in it: the client takes off what its `stats` call inactive."""
    found = {"usage": used.get("current") or 0, "stats": table, "limit": memory_limit(used.get("limit"))}
    return {**found, "max_usage": used["peak"]} if used.get("peak") else found


def _pids(used: dict[str, int | None]) -> Stats:
    limit = used.get("limit")
    return {"current": used.get("current") or 0, "limit": UNLIMITED if limit is None or limit < 0 else limit}


def _blkio(used: dict[str, dict[str, int]]) -> Stats:
    """A row for each device and direction."""

    def rows(columns: tuple[str, str]) -> list[Stats] | None:
        found = []
        for device, counts in sorted(used.items()):
            major, _, minor = device.partition(":")
            for name, op in zip(columns, ("read", "write"), strict=True):
                found.append({"major": int(major), "minor": int(minor), "op": op, "value": counts[name]})
        return found or None

    return {
        "io_service_bytes_recursive": rows(("rbytes", "wbytes")),
        "io_serviced_recursive": rows(("rios", "wios")),
    }


def _networks(record: Record) -> Stats:
    """By interface; nothing for one that shares the host's."""
    if record.host_config.network_mode == "host" or not alive(record):
        return {}
    return {
        name: {
            "rx_bytes": counts.received,
            "rx_packets": counts.received_packets,
            "rx_errors": counts.received_errors,
            "rx_dropped": counts.received_dropped,
            "tx_bytes": counts.sent,
            "tx_packets": counts.sent_packets,
            "tx_errors": counts.sent_errors,
            "tx_dropped": counts.sent_dropped,
        }
        for name, counts in link.counters(record.state.pid).items()
        if name != "lo"
    }
