"""Restart policies: who is started again, and after how long."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from minidock.engine import policy
from minidock.engine.record import Record, replace
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, RestartPolicy
from minidock.model.state import ContainerState

EXITED = ContainerState(
    status="exited", exit_code=1, started_at="2026-11-25T10:00:00.5Z", finished_at="2026-11-25T10:00:01Z"
)


def record(name: str = "always", most: int = 0, **changes: Any) -> Record:
    host = HostConfig(restart_policy=RestartPolicy(name, most))
    made = Record("i" * 64, "n", "", "image", "sha256:", ContainerConfig(), host, [], state=EXITED)
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("name", "most", "count", "code", "due"),
    [
        ("no", 0, 0, 1, False),
        ("always", 0, 0, 0, True),
        ("always", 0, 999, 1, True),
        ("unless-stopped", 0, 3, 0, True),
        ("on-failure", 0, 999, 1, True),
        ("on-failure", 0, 0, 0, False),
        ("on-failure", 2, 1, 255, True),
        ("on-failure", 2, 2, 255, False),
    ],
)
def test_who_is_started_again(name: str, most: int, count: int, code: int, due: bool) -> None:
    assert policy.due(record(name, most, restart_count=count), code) is due
    assert not policy.due(record(name, most, restart_count=count, manually_stopped=True), code)


def test_after_a_reboot_only_unless_stopped_remembers_a_stop() -> None:
    assert policy.wanted(record("always", manually_stopped=True), 0)
    assert not policy.wanted(record("unless-stopped", manually_stopped=True), 0)
    assert policy.wanted(record("unless-stopped"), 0)


def test_the_wait_doubles_up_to_a_minute() -> None:
    one, waits = record(), []
    for _ in range(12):
        one = policy.restarting(one, EXITED)
        waits.append(one.restart_delay_ms)
    assert waits == [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]
    assert one.restart_count == 12
    assert (one.state.status, one.state.running, one.state.restarting) == ("restarting", True, True)
    assert one.state.exit_code == 1


@pytest.mark.parametrize(("finished", "wait"), [("10:00:10.4Z", 1600), ("10:00:10.5Z", 100), ("11:00:00Z", 100)])
def test_who_has_run_for_ten_seconds_begins_anew(finished: str, wait: int) -> None:
    state = msgspec.structs.replace(EXITED, finished_at=f"2026-11-25T{finished}")
    assert policy.restarting(record(restart_delay_ms=800), state).restart_delay_ms == wait


def test_given_up_is_as_it_ended() -> None:
    waiting = replace(policy.restarting(record(), EXITED), waiter_pid=1, waiter_ticks=2)
    assert policy.given_up(waiting).state == EXITED
    assert policy.given_up(waiting).waiter_pid == 0
