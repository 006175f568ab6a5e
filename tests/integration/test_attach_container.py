"""In and out of a container through a real terminal: run -it, start -ai, attach, exec -it."""

from __future__ import annotations

import re
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.support.instance import SLOWNESS, Minidock

DETACH = "\x10\x11"


@pytest.fixture
def engine(minidock: Minidock, busybox_image: Path) -> Minidock:
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


def terminal(engine: Minidock, *words: str, rows: int = 24, columns: int = 80) -> pexpect.spawn:
    line = [*engine.command, *words]
    return pexpect.spawn(line[0], line[1:], dimensions=(rows, columns), timeout=30 * SLOWNESS)


def until(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20 * SLOWNESS
    while not look():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


def raw(client: pexpect.spawn) -> bool:
    return not termios.tcgetattr(client.child_fd)[3] & (termios.ECHO | termios.ICANON | termios.ISIG)


def leave(client: pexpect.spawn, keys: str = DETACH) -> tuple[str, int]:
    """Type the keys; what is said after them, and the exit code. The terminal must be as before."""
    client.send(keys)
    client.expect(pexpect.EOF)
    said = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", client.before.decode()).strip()
    assert termios.tcgetattr(client.child_fd)[3] & termios.ECHO, "left without echo"
    client.close()
    return said, client.exitstatus


def running(engine: Minidock) -> bool:
    return engine("inspect", "-f", "{{.State.Running}}", "one", check=True).stdout == "true\n"


ECHO = 'stty -echo; echo ready; while read line; do echo "<$line>"; done'


def test_leave_and_come_back(engine: Minidock) -> None:
    first = terminal(engine, "run", "-it", "--name", "one", "busybox", "sh", "-c", ECHO)
    first.expect("ready")
    assert leave(first) == ("", 0)
    assert running(engine)
    second = terminal(engine, "attach", "one")
    until(lambda: raw(second), "a raw terminal")
    second.send("again\r")
    second.expect("<again>")
    assert leave(second) == ("read escape sequence", 1)
    third = terminal(engine, "attach", "--detach-keys", "ctrl-a,x", "one")
    until(lambda: raw(third), "a raw terminal")
    third.send(f"{DETACH}\r")  # not the keys now, so they are for the container, where ^Q is XON
    third.expect_exact("<\x10>")
    assert leave(third, "\x01x") == ("read escape sequence", 1)
    assert running(engine)
    last = terminal(engine, "attach", "one")
    until(lambda: raw(last), "a raw terminal")
    last.send("\x04")
    last.expect(pexpect.EOF)
    last.close()
    assert last.exitstatus == 0
    assert not running(engine)


def test_start_ai_is_left_in_silence(engine: Minidock) -> None:
    engine("create", "-it", "--name", "one", "busybox", "sh", "-c", ECHO, check=True)
    client = terminal(engine, "start", "-ai", "one")
    client.expect("ready")
    assert leave(client) == ("", 0)
    assert running(engine)


def test_a_container_that_was_left_cleans_up_after_itself(engine: Minidock) -> None:
    client = terminal(engine, "run", "-it", "--rm", "--name", "one", "busybox", "sh", "-c", ECHO)
    client.expect("ready")
    leave(client)
    engine("stop", "-t", "0", "one", check=True)
    until(lambda: engine("ps", "-aq", check=True).stdout == "", "it is gone")


def test_a_lone_ctrl_p_is_passed_on(engine: Minidock) -> None:
    script = "stty raw -echo; echo ready; dd bs=1 count=1 2>/dev/null | od -An -tx1; sleep 100"
    client = terminal(engine, "run", "-it", "--name", "one", "busybox", "sh", "-c", script)
    client.expect("ready")
    client.send("\x10")
    client.expect(" 10")
    leave(client)


def test_exec_is_left_and_runs_on(engine: Minidock) -> None:
    engine("run", "-d", "--name", "one", "busybox", "sleep", "100", check=True)
    client = terminal(engine, "exec", "-it", "one", "sh", "-c", ECHO)
    client.expect("ready")
    assert leave(client) == ("read escape sequence", 1)
    assert "while read" in engine("exec", "one", "ps", check=True).stdout
    own = terminal(engine, "exec", "-it", "--detach-keys", "ctrl-x", "one", "cat")
    until(lambda: raw(own), "a raw terminal")
    assert leave(own, "\x18") == ("read escape sequence", 1)


def test_the_size_follows_the_window(engine: Minidock) -> None:
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done"
    client = terminal(engine, "run", "-it", "--name", "one", "busybox", "sh", "-c", script)
    client.expect("ready")
    client.setwinsize(40, 123)
    client.expect("40 123")
    leave(client)
    other = terminal(engine, "attach", "one", rows=33, columns=99)
    other.expect("33 99")
    leave(other)


def test_several_clients_see_the_same_and_type_into_the_same(engine: Minidock) -> None:
    first = terminal(engine, "run", "-it", "--name", "one", "busybox", "sh", "-c", ECHO)
    first.expect("ready")
    others = [terminal(engine, "attach", "one") for _ in range(3)]
    for number, client in enumerate(others):
        until(lambda client=client: raw(client), "a raw terminal")  # type: ignore[misc]
        client.send(f"from {number}\r")
        for each in (first, *others[: number + 1]):
            each.expect(f"<from {number}>")
    assert leave(others[0]) == ("read escape sequence", 1)
    first.send("\x04")
    for each in (first, *others[1:]):
        each.expect(pexpect.EOF)
        each.close()
        assert each.exitstatus == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_us_leaves_the_container_and_a_sane_terminal(engine: Minidock, number: int) -> None:
    client = terminal(engine, "run", "-it", "--name", "one", "busybox", "sh", "-c", ECHO)
    client.expect("ready")
    client.kill(number)
    client.expect(pexpect.EOF)
    assert termios.tcgetattr(client.child_fd)[3] & termios.ECHO
    client.close()
    assert running(engine)
    again = terminal(engine, "attach", "one")
    until(lambda: raw(again), "a raw terminal")
    again.send("still\r")
    again.expect("<still>")
    leave(again)


def test_a_killed_client_costs_only_itself(engine: Minidock) -> None:
    client = terminal(engine, "run", "-it", "--name", "one", "busybox", "sh", "-c", ECHO)
    client.expect("ready")
    other = terminal(engine, "attach", "one")
    until(lambda: raw(other), "a raw terminal")
    client.kill(signal.SIGKILL)
    client.close()
    other.send("still\r")  # whoever was attached with it is, and the input isn't at its end
    other.expect("<still>")
    leave(other)
    again = terminal(engine, "attach", "one")
    until(lambda: raw(again), "a raw terminal")
    again.send("anew\r")
    again.expect("<anew>")
    leave(again)
    assert running(engine)
    engine("stop", "-t", "0", "one", check=True)


def test_signals_of_an_attached_command_reach_the_container(engine: Minidock) -> None:
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    engine("run", "-d", "--name", "one", "busybox", "sh", "-c", script, check=True)
    until(lambda: engine("logs", "one", check=True).stdout == "ready\n", "ready")
    one = engine.popen("attach", "one", stdin=subprocess.DEVNULL)
    two = engine.popen("attach", "--sig-proxy=false", "one", stdin=subprocess.DEVNULL)
    until(lambda: _catches(one.pid, signal.SIGTERM), "a handler")
    two.send_signal(signal.SIGTERM)
    assert two.wait(timeout=30 * SLOWNESS) != 9
    assert running(engine)
    one.send_signal(signal.SIGTERM)
    assert one.wait(timeout=30 * SLOWNESS) == 9


def _catches(pid: int, number: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_detaching_is_told_as_an_event(engine: Minidock) -> None:
    client = terminal(engine, "run", "-it", "--name", "one", "busybox", "sh", "-c", ECHO)
    client.expect("ready")
    leave(client)
    again = terminal(engine, "attach", "one")
    until(lambda: raw(again), "a raw terminal")
    leave(again)
    words = ["--since", "1h", "--until", "0s", "--filter", "type=container", "--format", "{{.Action}}"]
    told = engine("events", *words, check=True).stdout.split()
    assert told == ["create", "attach", "start", "detach", "attach", "detach"]
