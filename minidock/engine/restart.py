"""Starting again: by hand, because a policy says so, and after the machine was down."""

from __future__ import annotations

import contextlib

import msgspec

from minidock.engine import events, policy
from minidock.engine.record import Record, Records, alive, refresh, replace
from minidock.engine.run import start_detached
from minidock.engine.stop import stop
from minidock.errors import ContainerNotFound, MinidockError
from minidock.paths import Layout


def restart(layout: Layout, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
    """Stop it, if it runs, and start it. A container that goes when it ends (--rm) stays for this time."""
    record = refresh(layout, Records(layout).find(ref))
    goes = record.host_config.auto_remove
    if goes:
        _set_auto_remove(layout, record.id, False)
    try:
        stop(layout, record.id, timeout=timeout, signal=signal)
        start_detached(layout, record.id)
        events.container(layout, record, "restart")
    finally:
        if goes:
            _set_auto_remove(layout, record.id, True)


def _set_auto_remove(layout: Layout, container_id: str, wanted: bool) -> None:
    records = Records(layout)
    with records.locked(container_id):
        record = records.read(container_id)
        host = msgspec.structs.replace(record.host_config, auto_remove=wanted)
        records.write(replace(record, host_config=host), durable=False)


def revive(layout: Layout, container_id: str, finished_at: str) -> None:
    """What a waiter becomes: the start that its policy wants after the end at that time, if that is still so."""
    with contextlib.suppress(ContainerNotFound):  # removed meanwhile
        start_detached(layout, container_id, revived=finished_at)


def restore(layout: Layout) -> list[str]:
    """After a reboot, or while a daemon starts: start what should be up. The ids of those that were started.

    As Docker does: "always" runs again even when somebody had stopped it, "unless-stopped" doesn't. What can't be
    started says why in its record, and keeps nobody else from being started.
    """
    started = []
    for record in reversed(Records(layout).all()):
        with contextlib.suppress(MinidockError):
            record = refresh(layout, record)
            if not record.state.running and _has_run(record) and policy.wanted(record, record.state.exit_code):
                start_detached(layout, record.id)
                started.append(record.id)
    return started


def _has_run(record: Record) -> bool:
    return not record.state.started_at.startswith("0001") and not alive(record)
