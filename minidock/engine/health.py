"""Health checks: one probe at a time, started by the shim when it is due, and what its result means.

    shim ── every interval ──▶ minidock container probe ID ── exec ──▶ the image's command
                                   └─ State.Health in the record: starting → healthy ⇄ unhealthy

Docker's rules: a success makes healthy; `retries` failures in a row make unhealthy, but those of the start period
don't count until the first success.
"""

from __future__ import annotations

import msgspec

from minidock.engine import events
from minidock.engine.cleanup import engine_command
from minidock.engine.durations import go_duration, timestamp
from minidock.engine.record import Record, Records, alive, replace
from minidock.errors import ContainerNotFound, MinidockError
from minidock.model.container import ContainerConfig, Healthcheck
from minidock.model.requests import ExecRequest
from minidock.model.state import Health, HealthResult
from minidock.paths import Layout
from minidock.runtime import shim

SECOND = 10**9
INTERVAL, TIMEOUT, START_INTERVAL = 30 * SECOND, 30 * SECOND, 5 * SECOND
RETRIES = 3
"""What Docker takes where nothing is said."""
LOG_LENGTH = 5
OUTPUT_LIMIT = 4096
STILL_STARTING, SETTLED = 1, 0
"""Exit codes that tell the shim which interval comes next."""


def command(config: ContainerConfig) -> list[str]:
    """What a probe executes; empty when there is nothing to check."""
    test = config.healthcheck.test if config.healthcheck else []
    if test[:1] == ["CMD"]:
        return test[1:]
    if test[:1] == ["CMD-SHELL"]:
        return [*(config.shell or ["/bin/sh", "-c"]), *test[1:]]
    return []


def at_start(record: Record) -> Health | None:
    """The health of a container that starts now; earlier results stay to be read."""
    if not command(record.config):
        return None
    return Health(log=record.state.health.log if record.state.health else [])


def probe_for(layout: Layout, record: Record) -> shim.Probe | None:
    """What the shim needs to know."""
    check = record.config.healthcheck
    if check is None or not command(record.config):
        return None
    words = [*engine_command(layout), "container", "probe", record.id]
    interval = check.interval or INTERVAL
    start_interval = check.start_interval or START_INTERVAL
    return shim.Probe(words, _milliseconds(interval), _milliseconds(start_interval), check.start_period // 10**6)


def _milliseconds(nanoseconds: int) -> int:
    return max(1, nanoseconds // 10**6)


def probe(layout: Layout, ref: str) -> int:
    """Make one check and write down what it means; STILL_STARTING or SETTLED."""
    records = Records(layout)
    try:
        record = records.find(ref)
        health = record.state.health
        if health is None or not alive(record) or record.state.paused:
            return SETTLED  # it isn't asked while it sleeps
        result = _check(layout, record)
        with records.locked(record.id):
            now = records.read(record.id)
            if now.start_ticks != record.start_ticks or now.state.health is None or not alive(now) or now.state.paused:
                return SETTLED  # the answer is about somebody who is gone
            health = judged(now, now.state.health, result)
            records.write_if_room(replace(now, state=msgspec.structs.replace(now.state, health=health)), durable=False)
            if health.status != now.state.health.status:
                events.container(layout, now, f"health_status: {health.status}")
    except ContainerNotFound:
        return SETTLED
    return STILL_STARTING if health.status == "starting" else SETTLED


def _check(layout: Layout, record: Record) -> HealthResult:
    from minidock.engine import execs  # not for those who only start a container

    check = record.config.healthcheck or Healthcheck()
    start, patience = timestamp(), check.timeout or TIMEOUT
    request = ExecRequest(cmd=command(record.config))
    try:
        found = execs.capture(layout, record, request, seconds=patience / SECOND, limit=OUTPUT_LIMIT)
    except MinidockError as error:
        return HealthResult(start, timestamp(), -1, error.message)
    if found.exit_code is None:
        return HealthResult(start, timestamp(), -1, f"Health check exceeded timeout ({go_duration(patience)})")
    text = found.output.decode(errors="replace") + ("..." if found.cut else "")
    return HealthResult(start, timestamp(), found.exit_code, text)


def judged(record: Record, health: Health, result: HealthResult) -> Health:
    """The health after one more result."""
    check = record.config.healthcheck or Healthcheck()
    log = [*health.log, result][-LOG_LENGTH:]
    if result.exit_code == 0:
        return Health("healthy", 0, log)
    forgiven = health.status == "starting" and _age(record, result) < check.start_period / SECOND
    streak = health.failing_streak + (not forgiven)
    failed = not forgiven and streak >= (check.retries or RETRIES)
    return Health("unhealthy" if failed else health.status, streak, log)


def _age(record: Record, result: HealthResult) -> float:
    """Seconds that the container had run when the check began."""
    from datetime import datetime

    begun, started = (datetime.fromisoformat(text[:26] + "+00:00") for text in (result.start, record.state.started_at))
    return (begun - started).total_seconds()
