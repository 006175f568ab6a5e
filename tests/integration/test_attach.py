"""Our streams as the container's: pipes, signals, the terminal and its ways out. Driven as a user would, on a pty."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from minidock.runtime import attach, shim
from tests.support.shim import Shim, wait_for

Start = Callable[..., Shim]
PROGRAM = [sys.executable, "-m", "tests.support.attach_client"]
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Shim] = []

    def begin(command: str, **options: Any) -> Shim:
        started.append(Shim(tmp_path, command, first_client=False, **options))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def command(one: Shim, *words: str) -> list[str]:
    return [*PROGRAM, str(shim.attach_socket(one.dir)), *words]


def run(one: Shim, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(one, *words), cwd=ROOT, capture_output=True, timeout=60, **options)


def popen(one: Shim, *words: str, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command(one, *words), cwd=ROOT, **options)


# pipes


def test_three_streams_and_the_exit_code(start: Start) -> None:
    one = start("read line; echo out $line; echo err $line >&2; cat; exit 5")
    result = run(one, "stdin", input=b"first\nrest")
    assert (result.stdout, result.stderr, result.returncode) == (b"out first\nrest", b"err first\n", 5)


def test_without_stdin_ours_stays_unread(start: Start) -> None:
    one = start("cat")
    client = popen(one, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdin is not None
    client.stdin.write(b"not for the container\n")
    client.stdin.flush()
    one.wait_for_clients(1)
    time.sleep(0.1)
    other = one.connect()
    other.sendall(attach.frame(attach.CLOSE_STDIN))
    assert client.communicate(timeout=60)[0] == b""


def test_only_the_wanted_streams(start: Start) -> None:
    one = start("read go; echo out; echo err >&2")
    result = run(one, "stdin", "no-stdout", input=b"\n")
    assert (result.stdout, result.stderr) == (b"", b"err\n")


def test_many_megabytes_through_pipes_both_ways(start: Start) -> None:
    one = start("cat; exit 3")
    data = os.urandom(20 << 20)
    result = run(one, "stdin", input=data)
    assert (result.stdout == data, result.returncode) == (True, 3)


def test_output_into_a_file(start: Start, tmp_path: Path) -> None:
    one = start("read go; seq 100000")
    with (tmp_path / "out").open("wb") as file:
        file.write(b"before\n")
        file.flush()
        subprocess.run(command(one, "stdin"), cwd=ROOT, input=b"\n", stdout=file, timeout=60, check=True)
    assert (tmp_path / "out").read_text().split() == ["before", *map(str, range(1, 100001))]


def test_output_that_nobody_reads_any_more(start: Start) -> None:
    """Docker's text and exit code; the container goes on."""
    one = start("read go; yes")
    line = " ".join(command(one, "stdin"))
    result = subprocess.run(f"echo | {line} | head -1", shell=True, cwd=ROOT, capture_output=True, timeout=60)
    assert (result.stdout, result.stderr) == (b"y\n", b"write /dev/stdout: broken pipe\n")
    assert not shim.exit_file(one.dir).exists()


def test_the_shared_descriptors_keep_their_flags(start: Start) -> None:
    """O_NONBLOCK on a pipe or terminal that we share with the shell would break the shell."""
    one = start("read go; seq 100000")
    reading, writing = os.pipe()
    client = popen(one, "stdin", stdin=subprocess.PIPE, stdout=writing)
    assert client.stdin is not None
    client.stdin.write(b"\n")
    client.stdin.flush()
    time.sleep(0.3)
    assert os.get_blocking(writing)
    os.close(writing)
    while os.read(reading, 65536):
        pass
    assert client.wait() == 0


def test_a_shim_that_is_killed_ends_the_client(start: Start) -> None:
    one = start("cat")
    client = popen(one, "stdin", stdin=subprocess.PIPE)
    one.wait_for_clients(1)
    os.kill(one.pid, signal.SIGKILL)
    assert client.wait(timeout=60) == 99


# signals


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT, signal.SIGWINCH]
)
def test_signals_are_passed_on(start: Start, number: int) -> None:
    one = start("echo ready; cat")
    client = popen(one, "stdin", "proxy", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: _catches(client.pid, signal.SIGUSR2))
    client.send_signal(number)
    assert client.stderr is not None
    assert client.stderr.readline() == b"signal %d\n" % number
    assert client.communicate(timeout=60)[1] == b""
    assert client.returncode == 0


def _catches(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_job_control_stops_us_and_only_us(start: Start) -> None:
    one = start("cat")
    # A group of its own: in an orphaned one, as CI's may be, the kernel discards SIGTSTP (setpgid(2)).
    client = popen(one, "stdin", "proxy", stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
    wait_for(lambda: _catches(client.pid, signal.SIGTERM))
    client.send_signal(signal.SIGTSTP)
    wait_for(lambda: _state(client.pid) == "T")
    client.send_signal(signal.SIGCONT)
    assert client.communicate(b"after\n", timeout=60)[0] == b"after\n"


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# the terminal


def spawn(one: Shim, *words: str, rows: int = 24, columns: int = 80) -> pexpect.spawn:
    line = command(one, "tty", "stdin", *words)
    return pexpect.spawn(line[0], line[1:], cwd=str(ROOT), dimensions=(rows, columns), timeout=60)


def cooked(fd: int) -> bool:
    mode = termios.tcgetattr(fd)
    return bool(
        mode[3] & termios.ECHO and mode[3] & termios.ICANON and mode[3] & termios.ISIG and mode[1] & termios.OPOST
    )


def raw(fd: int) -> bool:
    mode = termios.tcgetattr(fd)
    return not (mode[3] & (termios.ECHO | termios.ICANON | termios.ISIG) or mode[1] & termios.OPOST)


SHELL = "PS1='$ ' exec sh -i"


def test_a_terminal_inside_with_our_size(start: Start) -> None:
    one = start("read go; tty; stty size; read go; stty size", terminal=True)
    client = spawn(one, rows=30, columns=101)
    wait_for(lambda: raw(client.child_fd))
    client.send("\r")
    client.expect(r"/dev/pts/\d+\r\n30 101\r\n")
    client.setwinsize(50, 132)
    time.sleep(0.2)
    client.send("\r")
    client.expect("50 132\r\n")
    client.expect(pexpect.EOF)
    client.close()
    assert client.exitstatus == 0


def test_the_size_is_right_before_the_first_byte_of_output(start: Start) -> None:
    one = start("stty size; cat", terminal=True, size=(33, 44))
    wait_for(lambda: one.log.path.exists() and one.records() != [])
    assert one.records()[0]["log"] == "33 44\r\n"
    assert one.records()[0]["stream"] == "stdout"


def test_ctrl_c_is_for_the_container(start: Start) -> None:
    one = start("trap 'echo caught' INT; while :; do read a; [ \"$a\" = quit ] && exit 4; done", terminal=True)
    client = spawn(one)
    wait_for(lambda: raw(client.child_fd))
    client.send("\r")
    client.send("\x03")
    client.expect("caught")
    client.send("quit\r")
    client.expect(pexpect.EOF)
    client.close()
    assert client.exitstatus == 4


def test_end_of_input_by_key_ends_the_shell(start: Start) -> None:
    one = start(SHELL, terminal=True)
    client = spawn(one)
    wait_for(lambda: raw(client.child_fd))
    client.send("echo $((6 * 7))\r")
    client.expect("42")
    client.send("\x04")
    client.expect(pexpect.EOF)
    client.close()
    assert client.exitstatus == 0


def test_a_full_screen_program_paints_as_on_a_real_terminal(start: Start) -> None:
    import pyte

    paint = r"printf '\033[2J\033[5;10Hfive ten\033[%d;%dHcorner' $(stty size | awk '{print $1, $2-5}')"
    one = start(f"read go; {paint}; read go", terminal=True)
    client = spawn(one, rows=20, columns=60)
    wait_for(lambda: raw(client.child_fd))
    client.send("\r")
    client.expect("corner")
    screen = pyte.Screen(60, 20)
    pyte.ByteStream(screen).feed(client.before + client.after)
    assert screen.display[4].rstrip() == " " * 9 + "five ten"
    assert screen.display[19] == " " * 54 + "corner"
    client.send("\r")
    client.expect(pexpect.EOF)


# the ways out: after each, the terminal is as before


def test_restored_after_the_exit(start: Start) -> None:
    one = start("read go; exit 9", terminal=True)
    client = spawn(one)
    wait_for(lambda: raw(client.child_fd))
    client.send("\r")
    client.expect(pexpect.EOF)
    assert cooked(client.child_fd)
    client.close()
    assert client.exitstatus == 9


@pytest.mark.parametrize(("words", "keys"), [([], "\x10\x11"), (["keys=ctrl-a,x"], "\x01x"), (["keys=DEL"], "\x7f")])
def test_restored_after_detaching(start: Start, words: list[str], keys: str) -> None:
    one = start("cat", terminal=True)
    client = spawn(one, *words)
    wait_for(lambda: raw(client.child_fd))
    client.send(keys)
    client.expect("detached")
    client.expect(pexpect.EOF)
    assert cooked(client.child_fd)
    client.close()
    assert client.exitstatus == 0
    assert not shim.exit_file(one.dir).exists()
    again = spawn(one)  # and one can come back
    wait_for(lambda: raw(again.child_fd))
    again.send("\x04")
    again.expect(pexpect.EOF)
    again.close()
    assert again.exitstatus == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_restored_after_a_signal_that_ends_us(start: Start, number: int) -> None:
    one = start("cat", terminal=True)
    client = spawn(one)
    wait_for(lambda: raw(client.child_fd))
    client.kill(number)
    client.expect(pexpect.EOF)
    assert cooked(client.child_fd)
    client.close()
    assert client.signalstatus == number
    assert not shim.exit_file(one.dir).exists()


def test_restored_after_interrupt(start: Start) -> None:
    """Python's own way to end by SIGINT is an exception: KeyboardInterrupt."""
    one = start("cat", terminal=True)
    client = spawn(one)
    wait_for(lambda: raw(client.child_fd))
    client.kill(signal.SIGINT)
    client.expect("KeyboardInterrupt")
    client.expect(pexpect.EOF)
    assert cooked(client.child_fd)


def test_restored_when_the_shim_is_killed(start: Start) -> None:
    one = start("cat", terminal=True)
    client = spawn(one)
    wait_for(lambda: raw(client.child_fd))
    os.kill(one.pid, signal.SIGKILL)
    client.expect(pexpect.EOF)
    assert cooked(client.child_fd)
    client.close()
    assert client.exitstatus == 99


def test_restored_while_stopped_and_raw_again_after(start: Start) -> None:
    one = start("cat", terminal=True)
    shell = pexpect.spawn("bash", ["--norc", "-i"], cwd=str(ROOT), dimensions=(24, 80), timeout=60)
    shell.sendline("PS1='ready> '; stty sane")
    shell.expect("ready> ")
    shell.sendline(" ".join(command(one, "tty", "stdin")))
    wait_for(lambda: raw(shell.child_fd))
    pid = os.tcgetpgrp(shell.child_fd)
    os.kill(pid, signal.SIGTSTP)
    shell.expect("Stopped")
    shell.expect("ready> ")
    shell.sendline("stty -a | grep -o ' echo '; fg")
    shell.expect(" echo ")
    wait_for(lambda: raw(shell.child_fd))
    shell.send("typed\r")
    shell.expect("typed\r\ntyped\r\n")
    shell.send("\x04")
    shell.expect("ready> ")
    shell.close(force=True)


def test_the_beginning_of_the_keys_alone_is_passed_on(start: Start) -> None:
    one = start("stty raw -echo; echo ready; dd bs=1 count=3 2>/dev/null | od -An -tx1", terminal=True)
    client = spawn(one)
    wait_for(lambda: raw(client.child_fd))
    wait_for(lambda: one.records() != [])
    client.send("\x10x")
    client.send("\x10")  # half a second later it is passed on: nothing followed
    client.expect("10 78 10")
    client.expect(pexpect.EOF)


def test_a_program_that_leaves_its_terminal_and_comes_back(start: Start) -> None:
    """While nobody has it open, reading the master gives EIO; the shim must neither spin nor give up."""
    script = "t=$(tty); exec <&- >&- 2>&-; sleep 0.5; exec < $t > $t 2>&1; echo back; cat; exit 3"
    one = start(script, terminal=True)
    wait_for(lambda: one.log.path.exists() and one.records() != [])
    assert one.records()[0]["log"] == "back\r\n"
    client = spawn(one)
    wait_for(lambda: raw(client.child_fd))
    used = sum(map(int, Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    assert used <= 5, "the shim was busy waiting"
    client.send("\x04")
    client.expect(pexpect.EOF)
    client.close()
    assert client.exitstatus == 3


def test_a_slow_terminal_stalls_the_output_and_not_the_keys(start: Start) -> None:
    one = start("read go; yes", terminal=True)
    client = spawn(one)
    wait_for(lambda: raw(client.child_fd))
    client.send("\r")
    time.sleep(1)  # nobody reads our side of the pty: everything between is full by now
    client.send("\x10\x11")
    client.expect("detached")
    client.expect(pexpect.EOF)
    assert cooked(client.child_fd)
