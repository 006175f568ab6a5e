"""What containers elsewhere use: samples of the daemon's, figures by the formulas of Docker's client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from minidock.daemon.client import containers
from minidock.daemon.client.api import Api, quoted, without_nulls
from minidock.errors import ContainerNotFound
from minidock.model.lists import ContainerStats

INTERVAL = 1.0
Sample = dict[str, Any]


def stream(api: Api, refs: list[str], *, everything: bool, once: bool) -> Iterator[list[ContainerStats]]:
    """A list each second. Raises ContainerNotFound for one that was asked for by name, at the beginning only."""
    named = [api.json("GET", f"/containers/{quoted(ref)}/json")["Id"] for ref in refs]
    before: dict[str, Sample] = {}
    first = True
    while True:
        now = dict(_samples(api, named or _running(api, everything)))
        if not first:
            yield [figures(container_id, before.get(container_id), taken) for container_id, taken in now.items()]
            if once:
                return
        first, before = False, now
        time.sleep(INTERVAL)


def _running(api: Api, everything: bool) -> list[str]:
    return [row.id for row in containers.listed(api, everything=everything, last=0, filters={}, size=False)]


def _samples(api: Api, ids: list[str]) -> Iterator[tuple[str, Sample]]:
    for container_id in ids:
        try:
            found = api.json("GET", f"/containers/{container_id}/stats", {"stream": "0", "one-shot": "1"})
        except ContainerNotFound:
            continue  # it has gone since we asked for the list
        yield container_id, without_nulls(found)


def figures(container_id: str, before: Sample | None, now: Sample) -> ContainerStats:
    memory, limit = _memory(now), now.get("memory_stats", {}).get("limit", 0)
    interfaces = now.get("networks", {}).values()
    return ContainerStats(
        id=container_id,
        name=now.get("name", "").removeprefix("/"),
        cpu_percent=_processor(before, now),
        memory=memory,
        memory_limit=limit,
        memory_percent=memory / limit * 100 if limit else 0.0,
        received=sum(interface["rx_bytes"] for interface in interfaces),
        sent=sum(interface["tx_bytes"] for interface in interfaces),
        read=_blocks(now, "read"),
        written=_blocks(now, "write"),
        pids=now.get("pids_stats", {}).get("current", 0),
    )


def _processor(before: Sample | None, now: Sample) -> float:
    """In percent of one processor: the container's share of what all of them did meanwhile."""
    if before is None:
        return 0.0
    new, old = now.get("cpu_stats", {}), before.get("cpu_stats", {})
    used = new.get("cpu_usage", {}).get("total_usage", 0) - old.get("cpu_usage", {}).get("total_usage", 0)
    passed = new.get("system_cpu_usage", 0) - old.get("system_cpu_usage", 0)
    processors = new.get("online_cpus", 0) or len(new.get("cpu_usage", {}).get("percpu_usage", []))
    return used / passed * processors * 100 if used > 0 and passed > 0 else 0.0


def _memory(now: Sample) -> int:
    """Without the page cache that could go at once: total_inactive_file of version 1, inactive_file of version 2."""
    found = now.get("memory_stats", {})
    usage, details = found.get("usage", 0), found.get("stats", {})
    for name in ("total_inactive_file", "inactive_file"):
        if details.get(name, usage) < usage:
            return int(usage - details[name])
    return int(usage)


def _blocks(now: Sample, operation: str) -> int:
    rows = now.get("blkio_stats", {}).get("io_service_bytes_recursive", [])
    return sum(row["value"] for row in rows if row["op"].lower() == operation)
