"""minidock-init, the process 1 of --init: reaps, passes signals on, gives its program the terminal, tells its end."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pexpect
import pytest

from minidock.runtime.shim import PROGRAM as SHIM
from tests.support.needs import require_root, require_tool
from tests.support.shim import children, wait_for

INIT = str(SHIM.with_name("minidock-init"))


def in_namespace(*command: str) -> list[str]:
    """As process 1 of a new pid namespace. unshare(1) exits with its code; the kernel kills what it leaves behind."""
    require_root()
    return [require_tool("unshare"), "--pid", "--fork", "--kill-child", "--mount-proc", INIT, *command]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(in_namespace(*command), capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("script", "code"), [("true", 0), ("exit 5", 5), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_it_ends_as_its_program_does(script: str, code: int) -> None:
    assert run("sh", "-c", script).returncode == code


@pytest.mark.parametrize(
    ("command", "code", "complaint"),
    [
        (["/no/such/program"], 127, "exec /no/such/program: No such file or directory\n"),
        (["/etc/passwd"], 126, "exec /etc/passwd: Permission denied\n"),
        (["--"], 125, "minidock-init: no program to start\n"),
        ([], 125, "minidock-init: no program to start\n"),
    ],
)
def test_a_program_that_cannot_be_started(command: list[str], code: int, complaint: str) -> None:
    result = run(*command)
    assert (result.returncode, result.stderr) == (code, complaint)


def test_two_dashes_may_come_first() -> None:
    assert run("--", "echo", "-n", "here").stdout == "here"


def test_it_is_process_1_and_reaps_orphans() -> None:
    script = "(sleep 0.1 &); sleep 0.4; cat /proc/1/comm; ls /proc | grep -c '^[0-9]'"
    result = run("sh", "-c", script)
    name, processes = result.stdout.split()
    assert name == "minidock-init"
    assert int(processes) == 4  # process 1, the shell, ls, grep: no zombie


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGWINCH])
def test_signals_reach_the_program(number: int) -> None:
    script = f"trap 'echo got; exit 9' {number}; echo ready; while :; do sleep 0.02; done"
    with subprocess.Popen(in_namespace("sh", "-c", script), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(children(process.pid)[0], number)
        assert process.stdout.readline() == "got\n"
        assert process.wait(timeout=60) == 9


def test_the_program_has_every_signal_at_its_default() -> None:
    result = run("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")
    assert [line.split()[1].strip("0") for line in result.stdout.splitlines()] == ["", ""]


def test_a_program_that_ignores_term_is_still_killed_with_its_namespace() -> None:
    script = "trap '' TERM; (trap '' TERM; sleep 100) & echo $!; echo ready; while :; do sleep 0.02; done"
    process = subprocess.Popen(in_namespace("sh", "-c", script), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() != ""
    init = children(process.pid)[0]
    inside = children(init)
    os.kill(init, signal.SIGKILL)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in inside))
    process.wait(timeout=60)
    process.stdout.close()


def test_on_a_terminal_the_program_is_in_the_foreground() -> None:
    """So that ^C reaches it and what it started, and its shell can do job control."""
    command = in_namespace(
        "sh", "-c", "trap 'echo caught; exit 3' INT; ps -o stat= -p $$; while :; do sleep 0.02; done"
    )
    terminal = pexpect.spawn(command[0], command[1:], timeout=60)
    terminal.expect(r"[SR][<N]?\+")  # ps tells of niceness before the foreground
    terminal.sendintr()
    terminal.expect("caught")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 3
