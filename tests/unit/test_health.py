"""Health: what a check's result means, by Docker's rules."""

from __future__ import annotations

from typing import Any

import pytest

from minidock.engine import health
from minidock.engine.create import _healthcheck
from minidock.engine.durations import go_duration
from minidock.engine.record import Record
from minidock.model.container import ContainerConfig, Healthcheck
from minidock.model.host import HostConfig
from minidock.model.state import ContainerState, Health, HealthResult
from minidock.paths import Layout

SECOND = 10**9


def record(**check: Any) -> Record:
    config = ContainerConfig(healthcheck=Healthcheck(**{"test": ["CMD", "x"], **check}))
    state = ContainerState(running=True, started_at="2026-11-25T10:00:00.000000000Z")
    return Record("i" * 64, "n", "", "image", "sha256:", config, HostConfig(), [], state=state)


def result(code: int, at: int = 30) -> HealthResult:
    return HealthResult(f"2026-11-25T10:00:{at:02d}.000000000Z", "", code, "")


def after(one: Record, *codes: int, at: int = 30) -> Health:
    found = Health()
    for code in codes:
        found = health.judged(one, found, result(code, at))
    return found


@pytest.mark.parametrize(
    ("codes", "status", "streak"),
    [
        ([0], "healthy", 0),
        ([1, 1], "starting", 2),
        ([1, -1, 2], "unhealthy", 3),
        ([0, 1, 1], "healthy", 2),
        ([0, 1, 1, 1], "unhealthy", 3),
        ([1, 1, 1, 0], "healthy", 0),
        ([1, 1, 0, 1], "healthy", 1),
    ],
)
def test_three_failures_in_a_row_unless_said_otherwise(codes: list[int], status: str, streak: int) -> None:
    found = after(record(), *codes)
    assert (found.status, found.failing_streak) == (status, streak)


def test_failures_of_the_start_period_do_not_count() -> None:
    one = record(retries=1, start_period=20 * SECOND)
    assert after(one, 1, 1, at=19).status == "starting"
    assert after(one, 1, 1, at=19).failing_streak == 0
    assert after(one, 1, at=20).status == "unhealthy"
    assert after(one, 0, 1, at=5).status == "unhealthy"  # the first success has ended it


def test_the_last_five_are_kept() -> None:
    found = Health()
    for number in range(9):
        found = health.judged(record(), found, result(number + 1))
    assert [entry.exit_code for entry in found.log] == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ContainerConfig(), []),
        (ContainerConfig(healthcheck=Healthcheck()), []),
        (ContainerConfig(healthcheck=Healthcheck(["NONE"])), []),
        (ContainerConfig(healthcheck=Healthcheck(["CMD", "a", "b"])), ["a", "b"]),
        (ContainerConfig(healthcheck=Healthcheck(["CMD-SHELL", "a b"])), ["/bin/sh", "-c", "a b"]),
        (ContainerConfig(shell=["ash", "-ec"], healthcheck=Healthcheck(["CMD-SHELL", "a"])), ["ash", "-ec", "a"]),
    ],
)
def test_what_is_executed(config: ContainerConfig, words: list[str]) -> None:
    assert health.command(config) == words


def test_what_the_shim_is_told(layout: Layout) -> None:
    probe = health.probe_for(layout, record())
    assert probe is not None
    assert (probe.interval, probe.start_interval, probe.start_period) == (30_000, 5_000, 0)
    assert probe.command[-3:] == ["container", "probe", "i" * 64]
    short = health.probe_for(layout, record(interval=10**6, start_period=90 * SECOND, start_interval=2 * SECOND))
    assert short is not None
    assert (short.interval, short.start_interval, short.start_period) == (1, 2_000, 90_000)


def test_what_is_not_said_comes_from_the_image() -> None:
    image = Healthcheck(["CMD", "x"], interval=1, retries=2)
    assert _healthcheck(None, image) == image
    assert _healthcheck(Healthcheck(retries=5), image) == Healthcheck(["CMD", "x"], interval=1, retries=5)
    assert _healthcheck(Healthcheck(["NONE"]), image) == Healthcheck(["NONE"], interval=1, retries=2)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (300 * 10**6, "300ms"),
        (1500 * 10**6, "1.5s"),
        (SECOND, "1s"),
        (90 * SECOND, "1m30s"),
        (7200 * SECOND, "2h0m0s"),
        (1500, "1.5µs"),
    ],
)
def test_durations_as_go_prints_them(nanoseconds: int, text: str) -> None:
    assert go_duration(nanoseconds) == text
