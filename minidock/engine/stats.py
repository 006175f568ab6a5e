"""stats: what containers use, each second: two looks at the counters of the kernel, and the difference.

The figures are those that Docker's client computes. Memory is what the cgroup has charged, without the page cache that
could go at once. Processor time is a share of one processor: 200 % is two of them. The network is what the container's
own interfaces have carried, so it is nothing for one that shares the host's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import msgspec

from minidock.engine.record import Record, Records, alive, cgroup_of, refresh
from minidock.errors import ContainerNotFound
from minidock.kernel import cgroup_stats, link
from minidock.kernel.cgroup_files import Hierarchies, discover
from minidock.model.lists import ContainerStats
from minidock.paths import Layout

INTERVAL = 1.0


class Sample(msgspec.Struct, frozen=True):
    """The counters of one container at one moment; all 0 for one that doesn't run."""

    at: float = 0
    cpu: int = 0
    """Microseconds of processor time."""
    memory: int = 0
    memory_limit: int = 0
    received: int = 0
    sent: int = 0
    read: int = 0
    written: int = 0
    pids: int = 0


def stream(layout: Layout, refs: list[str], *, everything: bool, once: bool) -> Iterator[list[ContainerStats]]:
    """A list each second, for ever or `once`. Without `refs` those that run, or `everything`, newest first.

    Raises ContainerNotFound for one that was asked for by name, at the beginning only.
    """
    records = Records(layout)
    named = [records.find(ref).id for ref in refs]
    if layout.user is not None:
        from minidock.engine import rootless

        rootless.no_cgroup(layout, "stats")
    hierarchies = discover()
    before: dict[str, Sample] = {}
    first = True
    while True:
        found = _chosen(layout, records, named, everything)
        now = {record.id: sample(layout, record, hierarchies) for record in found}
        if not first:
            yield [figures(record, before.get(record.id), now[record.id]) for record in found]
            if once:
                return
        if once and not any(taken.at for taken in now.values()):
            yield [figures(record, None, now[record.id]) for record in found]  # nothing to wait for
            return
        first, before = False, now
        time.sleep(INTERVAL)


def _chosen(layout: Layout, records: Records, named: list[str], everything: bool) -> list[Record]:
    if not named:
        found = [refresh(layout, record) for record in records.all()]
        return [record for record in found if everything or record.state.running]
    found = []
    for container_id in named:
        try:
            found.append(refresh(layout, records.read(container_id)))
        except ContainerNotFound:
            continue  # it has gone since we began
    return found


def sample(layout: Layout, record: Record, hierarchies: Hierarchies | None = None) -> Sample:
    """A look at the counters now."""
    if not record.state.running:
        return Sample()
    used = cgroup_stats.read(cgroup_of(layout, record), hierarchies)
    memory, devices = used["memory"], used["io"].values()
    charged, idle = memory.get("current") or 0, memory.get("inactive_file") or 0
    received, sent = _network(record)
    return Sample(
        at=time.monotonic(),
        cpu=used["cpu"].get("usage") or 0,
        memory=charged - idle if idle < charged else charged,
        memory_limit=memory_limit(memory.get("limit")),
        received=received,
        sent=sent,
        read=sum(device["rbytes"] for device in devices),
        written=sum(device["wbytes"] for device in devices),
        pids=used["pids"].get("current") or 0,
    )


def memory_limit(limit: int | None) -> int:
    """Without a limit, or with one beyond it, all that the machine has."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return machine if limit is None or not 0 <= limit < machine else limit


def _network(record: Record) -> tuple[int, int]:
    """Bytes in and out."""
    if record.host_config.network_mode == "host" or not alive(record):
        return 0, 0
    counted = [counts for name, counts in link.counters(record.state.pid).items() if name != "lo"]
    return sum(counts.received for counts in counted), sum(counts.sent for counts in counted)


def figures(record: Record, before: Sample | None, now: Sample) -> ContainerStats:
    """As shares and totals."""
    passed = (now.at - before.at) if before and before.at and now.at else 0
    used = (now.cpu - before.cpu) if before and passed else 0
    return ContainerStats(
        id=record.id,
        name=record.name,
        cpu_percent=max(0.0, used / (passed * 1e6) * 100) if passed else 0.0,
        memory=now.memory,
        memory_limit=now.memory_limit,
        memory_percent=now.memory / now.memory_limit * 100 if now.memory_limit else 0.0,
        received=now.received,
        sent=now.sent,
        read=now.read,
        written=now.written,
        pids=now.pids,
    )
