"""pause and unpause: a container stands still in the freezer, and its record says so.

The record is written before the freezer is told, and after it has let go: whatever a kill -9 leaves, the record says
paused, and `unpause` puts it right.
"""

from __future__ import annotations

import signal as signals

import msgspec

from minidock.engine import events
from minidock.engine.record import Record, Records, cgroup_of, refresh, replace
from minidock.errors import Conflict
from minidock.kernel import freezer
from minidock.paths import Layout


def pause(layout: Layout, ref: str) -> None:
    """Raises Conflict for a container that isn't running, or stands already."""
    if layout.user is not None:
        from minidock.engine import rootless

        rootless.no_cgroup(layout, "pause")
    records = Records(layout)
    found = refresh(layout, records.find(ref))
    with records.locked(found.id):
        record = records.read(found.id)
        if not record.state.running:
            raise Conflict(f"Container {record.id} is not running")
        if record.state.paused:
            raise Conflict(f"Container {record.id} is already paused")
        _write(records, record, paused=True)
        try:
            freezer.freeze(cgroup_of(layout, record))
        except BaseException:
            _write(records, record, paused=False)
            raise
    events.container(layout, record, "pause")


def unpause(layout: Layout, ref: str) -> None:
    """Raises Conflict for one that isn't paused."""
    records = Records(layout)
    found = refresh(layout, records.find(ref))
    with records.locked(found.id):
        record = records.read(found.id)
        if not record.state.paused:
            raise Conflict(f"Container {record.id} is not paused")
        freezer.thaw(cgroup_of(layout, record))
        _write(records, record, paused=False)
    events.container(layout, record, "unpause")


def wakes(record: Record, number: int) -> bool:
    """Whether a signal ends a pause, as with Docker: the one that stops the container, or any when none is named."""
    from minidock.engine.stop import signal_number

    own = record.config.stop_signal
    return record.state.paused and (not own or number in (signals.SIGKILL, signal_number(own)))


def _write(records: Records, record: Record, *, paused: bool) -> None:
    status = "paused" if paused else "running"
    state = msgspec.structs.replace(record.state, paused=paused, status=status)
    records.write(replace(record, state=state), durable=False)
