"""Health checks: what the shim starts, when, and what becomes of it. The rules are in tests/unit/test_health.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from minidock.engine.record import Records
from minidock.model.state import ContainerState
from minidock.runtime import shim
from tests.support.instance import SLOWNESS, Minidock
from tests.support.shim import Shim, wait_for

Start = Callable[..., Shim]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Shim] = []

    def begin(command: str, **options: Any) -> Shim:
        started.append(Shim(tmp_path, command, **options))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def probe(tmp_path: Path, script: str, **times: int) -> shim.Probe:
    """A check that notes when it began, in milliseconds since the machine's start."""
    note = f"read -r up rest </proc/uptime; echo $up >>{tmp_path}/probes; {script}"
    return shim.Probe(["/bin/sh", "-c", note], **{"interval": 100, "start_interval": 100, "start_period": 0, **times})


def begun(tmp_path: Path) -> list[float]:
    try:
        return [float(line) for line in (tmp_path / "probes").read_text().splitlines()]
    except FileNotFoundError:
        return []


def test_checks_come_one_after_another(start: Start, tmp_path: Path) -> None:
    """The interval begins when the last check has ended, so there are never two."""
    start("cat", probe=probe(tmp_path, "sleep 0.3"))
    wait_for(lambda: len(begun(tmp_path)) >= 3)
    times = begun(tmp_path)
    assert all(later - earlier >= 0.39 for earlier, later in pairwise(times)), times


def test_the_start_period_has_an_interval_of_its_own(start: Start, tmp_path: Path) -> None:
    """As long as the check exits with 1, it is still starting; then the long interval counts."""
    script = f'test "$(wc -l <{tmp_path}/probes)" -ge 4 || exit 1'
    start("cat", probe=probe(tmp_path, script, interval=60_000, start_interval=50, start_period=30_000))
    wait_for(lambda: len(begun(tmp_path)) >= 4)
    time.sleep(0.5)
    assert len(begun(tmp_path)) == 4


def test_output_does_not_put_a_check_off(start: Start, tmp_path: Path) -> None:
    one = start("read go; while :; do echo x; sleep 0.01; done", probe=probe(tmp_path, ":"))
    one.send(0, b"\n")
    wait_for(lambda: len(begun(tmp_path)) >= 3)


def test_a_waiting_shim_sleeps(start: Start, tmp_path: Path) -> None:
    one = start("cat", probe=probe(tmp_path, ":", interval=3_600_000))
    wait_for(lambda: one.pid > 0)
    time.sleep(0.5)
    used = sum(map(int, Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    assert used <= 2


# in a container


@pytest.fixture
def engine(minidock: Minidock, busybox_image: Path) -> Minidock:
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


def state(engine: Minidock) -> ContainerState:
    return Records(engine.layout).find("one").state


def until(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20 * SLOWNESS
    while not look():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def health(engine: Minidock) -> str:
    found = state(engine).health
    return found.status if found else ""


def test_a_check_runs_as_the_container_does(engine: Minidock) -> None:
    check = "test $(id -u) = 8 && test $COLOUR = blue && test $PWD = /tmp && test -d /proc/1"
    words = ["run", "-d", "--name", "one", "-u", "8", "-e", "COLOUR=blue", "-w", "/tmp"]
    engine(*words, "--health-cmd", check, "--health-interval", "100ms", "busybox", "sleep", "100", check=True)
    until(lambda: health(engine) not in ("", "starting"), "a result")
    assert health(engine) == "healthy", msgspec.json.encode(state(engine))


def test_a_check_that_hangs_is_killed_and_leaves_nothing(engine: Minidock) -> None:
    words = ["run", "-d", "--name", "one", "--health-cmd", "exec sleep 77", "--health-interval", "100ms"]
    engine(*words, "--health-timeout", "300ms", "busybox", "sleep", "100", check=True)
    until(lambda: health(engine) == "unhealthy", "unhealthy")
    engine("stop", "-t", "0", "one", check=True)
    engine("rm", "one", check=True)  # the fixture looks for what is left


def test_the_image_s_check_and_how_to_be_without(engine: Minidock, tmp_path: Path, busybox_layer_tar: bytes) -> None:
    (tmp_path / "layer.tar").write_bytes(busybox_layer_tar)
    change = "HEALTHCHECK --interval=100ms CMD test -e /fine"
    engine("import", "--change", change, str(tmp_path / "layer.tar"), "checked", check=True)
    engine("run", "-d", "--name", "one", "checked", "sh", "-c", ">/fine; sleep 100", check=True)
    until(lambda: health(engine) == "healthy", "healthy")
    assert "(healthy)" in engine("ps", check=True).stdout
    engine("rm", "-f", "one", check=True)
    engine("run", "-d", "--name", "one", "--no-healthcheck", "checked", "sleep", "100", check=True)
    assert state(engine).health is None
    assert "Health" not in msgspec.json.decode(engine("inspect", "one", check=True).stdout)[0]["State"]


def test_a_restart_begins_with_starting(engine: Minidock) -> None:
    words = ["run", "-d", "--name", "one", "--health-cmd", "false", "--health-interval", "100ms"]
    engine(*words, "--health-retries", "1", "busybox", "sleep", "100", check=True)
    until(lambda: health(engine) == "unhealthy", "unhealthy")
    engine("restart", "-t", "0", "one", check=True)
    found = state(engine).health
    assert found is not None
    assert found.log
    until(lambda: health(engine) == "unhealthy", "unhealthy again")
