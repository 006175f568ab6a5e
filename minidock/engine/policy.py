"""Restart policies: whether a container that has ended is to run again, when, and who waits until then.

There need not be a daemon: whoever finishes the container (engine.finish) asks `due`, writes "restarting" down, and
leaves a small C program behind (native/later.c) that sleeps, then becomes `minidock container revive`. The record
names that process as it names a container's: by pid and start time. When somebody has killed it, the next command
that looks at the container sees so and puts another in its place.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from pathlib import Path

import msgspec

from minidock.engine.cleanup import engine_command
from minidock.engine.record import Record, Records, replace, ticks, waiting
from minidock.errors import MinidockError
from minidock.model.state import ContainerState
from minidock.paths import Layout

LATER = Path(__file__).resolve().parent.parent / "bin" / "minidock-later"
FIRST_DELAY, LONGEST_DELAY = 100, 60_000
"""Milliseconds: each failure doubles the wait, so that a container that can't start doesn't eat the machine."""
LONG_ENOUGH = 10.0
"""Seconds of running after which a failure counts as the first again."""


def due(record: Record, exit_code: int) -> bool:
    """Whether the policy wants it to run again after this end. Somebody's `stop` or `kill` is the last word."""
    return not record.manually_stopped and wanted(record, exit_code)


def wanted(record: Record, exit_code: int) -> bool:
    """The policy alone: what `due` asks, and what is asked after a reboot."""
    policy = record.host_config.restart_policy
    if policy.name == "on-failure":
        most = policy.maximum_retry_count
        return exit_code != 0 and (most == 0 or record.restart_count < most)
    return policy.name == "always" or (policy.name == "unless-stopped" and not record.manually_stopped)


def restarting(record: Record, state: ContainerState) -> Record:
    """The record of a container that waits for its next start; `state` says how it ended."""
    ran = _seconds(state.finished_at) - _seconds(state.started_at)
    delay = record.restart_delay_ms * 2 if ran < LONG_ENOUGH else 0
    state = msgspec.structs.replace(state, status="restarting", running=True, restarting=True)
    return replace(
        record,
        state=state,
        restart_count=record.restart_count + 1,
        restart_delay_ms=min(max(delay, FIRST_DELAY), LONGEST_DELAY),
    )


def _seconds(written: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(written[:26].rstrip("Z") + "+00:00").timestamp()


def wait_for_it(layout: Layout, record: Record) -> Record:
    """Leave somebody behind who starts it when its time has come. The caller holds the lock, and writes the record."""
    passed = max(0.0, time.time() - _seconds(record.state.finished_at)) * 1000
    left = max(0, record.restart_delay_ms - int(passed))
    command = [*engine_command(layout), "container", "revive", record.id, record.state.finished_at]
    reading, writing = os.pipe()
    try:
        words = [str(LATER), str(left), *command]
        child = os.posix_spawn(LATER, words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)])
        os.close(writing)
        with os.fdopen(reading) as told:
            pid = int(told.readline() or 0)
        os.waitpid(child, 0)
    except OSError as error:
        raise MinidockError(f"can't wait for the restart of {record.name}: {error.strerror}") from error
    return replace(record, waiter_pid=pid, waiter_ticks=ticks(pid))


def await_revival(record: Record) -> None:
    """Sleep until the one who waits has started it, or is gone."""
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(record.waiter_pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if waiting(record):
                poll.poll()
        finally:
            os.close(pidfd)


def stopped_by_hand(layout: Layout, container_id: str) -> Record:
    """Somebody wants it to end: no policy starts it again, and when it was waiting for that, it waits no more.

    Raises ContainerNotFound.
    """
    records = Records(layout)
    with records.locked(container_id):
        record = replace(records.read(container_id), manually_stopped=True)
        if record.state.restarting:
            record = nobody_waits(record)
        if record.state.running or record.state.status == "exited":
            records.write_if_room(record, durable=False)
        return record


def nobody_waits(record: Record) -> Record:
    """End whoever waits for the next start, if anybody does: it stays as it ended."""
    if record.state.restarting:
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(record.waiter_pid)
            try:
                if waiting(record):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            finally:
                os.close(pidfd)
        return given_up(record)
    return record


def given_up(record: Record) -> Record:
    """It waits no more: exited, as it was when it ended."""
    state = msgspec.structs.replace(record.state, status="exited", running=False, restarting=False)
    return replace(record, state=state, waiter_pid=0, waiter_ticks=0)
