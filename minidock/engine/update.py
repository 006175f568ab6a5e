"""update: other limits for a container, at once when it runs, and in its record for its next start.

Docker's rules: what isn't given stays, and -1 takes a limit away. The restart policy is only written down here.
"""

from __future__ import annotations

import msgspec

from minidock import spec
from minidock.engine import events, limits, limits_view
from minidock.engine.record import Records, cgroup_of, refresh, replace
from minidock.errors import Conflict, MinidockError, UsageError
from minidock.kernel import cgroups
from minidock.model import limit_checks
from minidock.model.checks import check_restart
from minidock.model.host import HostConfig, RestartPolicy
from minidock.paths import Layout
from minidock.steps import Live, apply_all

Changes = dict[str, int | str | RestartPolicy]
"""Members of HostConfig by the name of their field; zero and empty are "not given"."""


def update(layout: Layout, ref: str, changes: Changes) -> list[str]:
    """Warnings. Raises UsageError for values that can't be, Conflict for those that can't be now."""
    changes = {name: value for name, value in changes.items() if value}
    _check(changes)
    records = Records(layout)
    found = refresh(layout, records.find(ref))
    with records.locked(found.id):
        record = records.read(found.id)
        try:
            _conflicts(record.host_config, changes)
            wanted = msgspec.structs.replace(record.host_config, **changes)
            if layout.user is not None:
                from minidock.engine import rootless

                rootless.check(wanted)
            elif record.state.running:
                _apply(cgroup_of(layout, record), record.host_config, wanted)
        except Conflict as error:
            raise Conflict(f"Cannot update container {record.id}: {error.message}", hint=error.hint) from error
        if wanted.pids_limit == -1:  # any number: as if nothing had been asked for
            wanted = msgspec.structs.replace(wanted, pids_limit=0)
        records.write(replace(record, host_config=wanted))
        if record.state.running:
            limits_view.refresh(wanted, layout.container_run(record.id))
    events.container(layout, record, "update")
    return []


def _check(changes: Changes) -> None:
    """What is wrong whatever the container has."""
    given = msgspec.structs.replace(HostConfig(), **changes)
    lone_swap = given.memory_swap > 0 and not given.memory  # of a container that has a limit already, perhaps
    limit_checks.check(msgspec.structs.replace(given, memory_swap=0) if lone_swap else given)
    limit_checks.check_here(given)
    if given.blkio_weight and not 10 <= given.blkio_weight <= 1000:
        raise UsageError("Range of blkio weight is from 10 to 1000")
    check_restart(given.restart_policy)


def _conflicts(now: HostConfig, changes: Changes) -> None:
    """What is wrong beside what the container has: nanoseconds of processors and a quota say the same thing twice."""
    pairs = (
        ("nano_cpus", "cpu_period", "Nano CPUs", "CPU Period"),
        ("nano_cpus", "cpu_quota", "Nano CPUs", "CPU Quota"),
        ("cpu_period", "nano_cpus", "CPU Period", "NanoCPUs"),
        ("cpu_quota", "nano_cpus", "CPU Quota", "NanoCPUs"),
    )
    for name, other, shown, set_already in pairs:
        if name in changes and getattr(now, other) > 0:
            raise Conflict(f"Conflicting options: {shown} cannot be updated as {set_already} has already been set")
    memory = changes.get("memory", 0)
    if isinstance(memory, int) and memory > now.memory_swap and "memory_swap" not in changes and memory > 0:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    if now.auto_remove and "restart_policy" in changes and changes["restart_policy"] != RestartPolicy():
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")


def _apply(path: str, now: HostConfig, wanted: HostConfig) -> None:
    """Write the limits that differ. When the kernel refuses one, those that were written before it are taken back."""
    old, new = limits.resources(now), limits.resources(wanted)
    same = {name: None for name in ("memory", "cpu", "pids", "block_io") if getattr(old, name) == getattr(new, name)}
    new = msgspec.structs.replace(new, devices=[], **same)
    old = msgspec.structs.replace(old, devices=[], **same)
    if wanted.blkio_weight != now.blkio_weight:
        new = msgspec.structs.replace(new, block_io=spec.BlockIo(weight=wanted.blkio_weight))
    hierarchies = cgroups.discover()
    steps = cgroups.changes(hierarchies, path, new, old)
    try:
        apply_all(steps, Live())
    except MinidockError:
        apply_all(cgroups.changes(hierarchies, path, old, new), Live())
        raise
