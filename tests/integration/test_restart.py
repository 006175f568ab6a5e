"""Started again without a daemon: by policy, after a kill -9 of whoever waits, after a reboot; and by hand."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from minidock.engine.record import Record, Records
from minidock.runtime import shim
from tests.support.instance import CGROUPS, SLOWNESS, Minidock, leftovers, settled


@pytest.fixture
def engine(minidock: Minidock, busybox_image: Path) -> Minidock:
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


def record(engine: Minidock, name: str = "one") -> Record:
    return Records(engine.layout).find(name)


def until(look: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds * SLOWNESS
    while not look():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def until_waiting(engine: Minidock, count: int) -> Record:
    """Let it fail so often that the next wait is long, then hand out the record of the wait."""
    until(lambda: (one := record(engine)).restart_count >= count and one.state.restarting, f"{count} restarts")
    return record(engine)


def told(engine: Minidock, template: str) -> str:
    return engine("inspect", "-f", template, "one", check=True).stdout.strip()


FAILS = ("run", "-d", "--name", "one", "--restart", "always", "busybox", "sh", "-c", "exit 7")


def test_who_waits_is_small(engine: Minidock) -> None:
    engine(*FAILS, check=True)
    waiter = until_waiting(engine, 4).waiter_pid
    rollup = Path(f"/proc/{waiter}/smaps_rollup").read_text()
    own = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith(("Private_Dirty:", "Swap:")))
    assert own <= 150, f"{own} KiB of its own memory"


def test_a_killed_waiter_is_replaced_by_whoever_looks(engine: Minidock) -> None:
    engine(*FAILS, check=True)
    before = until_waiting(engine, 4)
    os.kill(before.waiter_pid, signal.SIGKILL)
    assert told(engine, "{{.State.Status}} {{.State.ExitCode}}") == "restarting 7"
    after = record(engine)
    assert after.waiter_pid not in (0, before.waiter_pid)
    until(lambda: record(engine).restart_count > before.restart_count, "one more start")


def test_a_waiter_that_is_killed_while_it_starts(engine: Minidock) -> None:
    """Whatever of the start it had done, the next one begins from nothing."""
    engine(*FAILS, check=True)
    for delay in (0.02, 0.06, 0.1):
        count = record(engine).restart_count
        waiter = until_waiting(engine, count).waiter_pid
        until(lambda pid=waiter: b"minidock-later" not in _words(pid), "the start")  # type: ignore[misc]
        time.sleep(delay)
        _kill_if_still(waiter, b"revive")
        until(lambda: _goes_on(engine, count), "one more start after whoever looks")  # type: ignore[misc] # noqa: B023
    engine("stop", "-t", "0", "one", check=True)
    assert told(engine, "{{.State.Status}}") == "exited"


def _goes_on(engine: Minidock, count: int) -> bool:
    assert told(engine, "{{.State.Status}}") in ("restarting", "running")
    return record(engine).restart_count > count


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _kill_if_still(pid: int, word: bytes) -> None:
    if word in _words(pid):
        os.kill(pid, signal.SIGKILL)


def test_stopping_ends_the_wait_and_the_waiter(engine: Minidock) -> None:
    engine(*FAILS, check=True)
    waiter = until_waiting(engine, 4).waiter_pid
    begun = time.monotonic()
    engine("stop", "one", check=True)
    assert time.monotonic() - begun < 2 * SLOWNESS
    assert told(engine, "{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}") == "exited 7 false"
    assert settled(lambda: [str(waiter)] if b"minidock-later" in _words(waiter) else []) == []


def test_wait_waits_for_the_last_end(engine: Minidock) -> None:
    engine(
        "run", "-d", "--name", "one", "--restart", "on-failure:2", "busybox", "sh", "-c", "echo x; exit 5", check=True
    )
    assert engine("wait", "one", check=True).stdout == "5\n"
    assert told(engine, "{{.State.Status}} {{.RestartCount}}") == "exited 2"


def test_a_followed_log_goes_through_restarts(engine: Minidock) -> None:
    script = "echo begin; sleep 0.2; echo end; exit 1"
    engine("run", "-d", "--name", "one", "--restart", "on-failure:2", "busybox", "sh", "-c", script, check=True)
    assert engine("logs", "-f", "one", check=True).stdout == "begin\nend\n" * 3


def test_ctrl_c_in_the_foreground_is_the_last_word(engine: Minidock) -> None:
    script = "trap 'exit 3' INT; echo up; while :; do sleep 0.05; done"
    words = ["run", "--name", "one", "--restart", "always", "busybox", "sh", "-c", script]
    process = engine.popen(*words, stdout=-1, stdin=-3)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30 * SLOWNESS) == 3
    assert told(engine, "{{.State.Status}} {{.RestartCount}}") == "exited 0"


def test_a_killed_foreground_command_leaves_the_policy_at_work(engine: Minidock) -> None:
    words = ["run", "--name", "one", "--restart", "always", "busybox", "sh", "-c", "echo up; sleep 0.4; exit 2"]
    process = engine.popen(*words, stdout=-1, stdin=-3)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.kill()
    process.wait()
    until(lambda: record(engine).restart_count > 0, "a restart")


# a shim that is killed


def shim_of(one: Record) -> int:
    return int(Path(f"/proc/{one.state.pid}/stat").read_text().rpartition(") ")[2].split()[1])


def test_without_its_shim_the_truth_is_told_and_every_verb_works(engine: Minidock) -> None:
    engine("run", "-d", "--name", "one", "busybox", "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done")
    os.kill(shim_of(record(engine)), signal.SIGKILL)
    assert told(engine, "{{.State.Status}} {{.State.Running}}") == "running true"
    assert engine("ps", "--format", "{{.Names}} {{.State}}", check=True).stdout == "one running\n"
    assert engine("exec", "one", "echo", "inside", check=True).stdout == "inside\n"
    attached = engine("attach", "--no-stdin", "one")
    assert (attached.returncode, attached.stderr) == (
        1,
        "Error: can't attach to one: its shim was killed (logs and exec still work)\n",
    )
    waiting = engine.popen("wait", "one", stdout=-1)
    engine("stop", "one", check=True)
    assert told(engine, "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}") == (
        "exited 137 its shim was killed: the exit status is not known"
    )
    assert waiting.communicate(timeout=30 * SLOWNESS)[0] == b"137\n"
    engine("start", "one", check=True)
    assert told(engine, "{{.State.Status}} {{.State.Error}}") == "running"
    os.kill(shim_of(record(engine)), signal.SIGKILL)
    engine("rm", "-f", "one", check=True)


def test_without_its_shim_the_policy_still_holds(engine: Minidock) -> None:
    engine("run", "-d", "--name", "one", "--restart", "always", "busybox", "sleep", "100", check=True)
    one = record(engine)
    os.kill(shim_of(one), signal.SIGKILL)
    os.kill(one.state.pid, signal.SIGKILL)
    # The first to look finds it dead, says so, and sees to the restart.
    until(lambda: told(engine, "{{.State.Status}}") != "running" or record(engine).restart_count > 0, "an end")
    until(lambda: record(engine).state.running and record(engine).state.pid > 0, "a restart")
    assert record(engine).restart_count == 1


# a machine that goes down


def power_off(engine: Minidock) -> None:
    """Everything dies at once, and /run is empty: processes, cgroups and /run of this instance."""
    doomed = [pid for one in Records(engine.layout).all() for pid in (one.state.pid, one.waiter_pid) if pid]
    shims = [shim_of(one) for one in Records(engine.layout).all() if one.state.pid]
    for pid in (*shims, *doomed):
        os.kill(pid, signal.SIGKILL)
    name = engine.layout.cgroup_parent.strip("/")
    for place in [CGROUPS / name, *CGROUPS.glob(f"*/{name}")]:
        until(lambda place=place: _remove_groups(place), f"an empty {place}")  # type: ignore[misc]
    shutil.rmtree(engine.layout.run)


def _remove_groups(place: Path) -> bool:
    try:
        for directory, _, _ in os.walk(place, topdown=False):
            os.rmdir(directory)
    except OSError:  # its last process is on its way out
        return False
    return True


def test_after_a_reboot(engine: Minidock) -> None:
    def run(name: str, *words: str) -> None:
        engine("run", "-d", "--name", name, *words, check=True)

    run("no", "busybox", "sleep", "100")
    run("always", "--restart", "always", "busybox", "sleep", "100")
    run("stopped", "--restart", "always", "busybox", "sleep", "100")
    run("unless", "--restart", "unless-stopped", "busybox", "sleep", "100")
    run("unless-stopped", "--restart", "unless-stopped", "busybox", "sleep", "100")
    run("one", "--restart", "on-failure", "busybox", "sh", "-c", "exit 7")
    engine("create", "--name", "created", "--restart", "always", "busybox", "sleep", "100", check=True)
    engine("stop", "-t", "0", "stopped", "unless-stopped", check=True)
    until_waiting(engine, 4)
    power_off(engine)

    listed = engine("ps", "-a", "--format", "{{.Names}} {{.State}} {{.Status}}", check=True).stdout
    rows = {line.split()[0]: line.split(" ", 1)[1].rsplit(" ", 3)[0] for line in listed.splitlines()}
    assert {name: row.split(")")[0] for name, row in rows.items() if name != "created"} == {
        "no": "exited Exited (255",
        "always": "exited Exited (255",
        "stopped": "exited Exited (137",
        "unless": "exited Exited (255",
        "unless-stopped": "exited Exited (137",
        "one": "exited Exited (7",
    }
    assert engine("start", "no", check=True).stdout == "no\n"
    up = engine("container", "restore", check=True).stdout.split()
    names = {one.name for one in Records(engine.layout).all() if one.id in up}
    assert names == {"always", "stopped", "unless", "one"}
    running = engine("ps", "--filter", "status=running", "--format", "{{.Names}}", check=True).stdout.split()
    assert {"no", "always", "stopped", "unless"} <= set(running)
    assert not {"created", "unless-stopped"} & set(running)


# by hand


def test_restart_keeps_a_container_that_goes_when_it_ends(engine: Minidock) -> None:
    engine("run", "-d", "--rm", "--name", "one", "busybox", "sleep", "100", check=True)
    before = record(engine)
    assert engine("restart", "-t", "0", "one", check=True).stdout == "one\n"
    after = record(engine)
    assert after.state.pid != before.state.pid
    assert after.host_config.auto_remove
    engine("stop", "-t", "0", "one", check=True)
    assert engine("ps", "-aq", check=True).stdout == ""


def test_restart_with_a_signal_of_ones_own(engine: Minidock) -> None:
    script = "trap 'echo told; exit 0' USR1; echo up; while :; do sleep 0.05; done"
    engine("run", "-d", "--name", "one", "busybox", "sh", "-c", script, check=True)
    until(lambda: "up" in engine("logs", "one").stdout, "up")
    engine("restart", "-s", "USR1", "one", check=True)
    until(lambda: engine("logs", "one").stdout == "up\ntold\nup\n", "both runs in the log")


# at random


ROUNDS = int(os.environ.get("MINIDOCK_CRASH_ROUNDS", "8"))


def test_kill_9_of_any_keeper_at_any_moment(engine: Minidock) -> None:
    """Shim, waiter, clean-up, start, health check: whoever it hits, the next command tells the truth and mends."""
    dice = random.Random(11)
    for round_ in range(ROUNDS):
        words = [
            "run",
            "-d",
            "--name",
            "one",
            "--restart",
            "always",
            "--health-cmd",
            "true",
            "--health-interval",
            "50ms",
        ]
        engine(*words, "busybox", "sh", "-c", f"sleep 0.{dice.randrange(4)}; exit 1", check=True)
        time.sleep(dice.random() * 0.8)
        if keepers := _keepers(engine):
            with contextlib.suppress(ProcessLookupError):
                os.kill(dice.choice(keepers), signal.SIGKILL)
        listed = engine("ps", "-a", "--format", "{{.Names}} {{.State}}", check=True).stdout
        assert listed in ("one running\n", "one restarting\n"), f"round {round_}: {listed}"
        engine("exec", "one", "true")
        engine("stop", "-t", "0", "one", check=True)
        assert told(engine, "{{.State.Status}} {{.State.Pid}}") == "exited 0", f"round {round_}"
        engine("rm", "-f", "one", check=True)
    until(lambda: not [line for line in leftovers(engine.layout) if line.startswith("process")], "all gone")


def _keepers(engine: Minidock) -> list[int]:
    """All processes of ours that nobody has typed."""
    found = [line.split()[1:] for line in leftovers(engine.layout) if line.startswith("process")]
    keepers = [int(pid) for pid, *words in found if "container" in words]
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        parent = shim_of(record(engine))  # somebody else, when the shim is dead already
        if Path(f"/proc/{parent}/comm").read_text() == f"{shim.NAME}\n":
            keepers.append(parent)
    return keepers
