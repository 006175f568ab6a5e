"""minidock explain: the cause of a failure, found from what the container has left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minidock.engine import causes
from tests.support.instance import Minidock
from tests.support.needs import require_root

NO_ARCH = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(44)


def titles(minidock: Minidock, name: str) -> list[str]:
    return [one["Title"] for one in json.loads(minidock("explain", "--json", name, check=True).stdout)]


@pytest.mark.parametrize(
    ("options", "command", "title", "said"),
    [
        ([], ["/made/no-line"], "exec format error", "neither a program nor a script"),
        ([], ["/made/arm"], "exec format error", "it was built for aarch64"),
        ([], ["/made/no-interpreter"], "no such command, interpreter or loader", "its interpreter /no/such/shell"),
        ([], ["nosuch"], "no such command, interpreter or loader", "not found in $PATH"),
        ([], ["/etc/passwd"], "permission denied", "permission denied"),
        (["--read-only"], ["touch", "/x"], "a file system is read-only", "Read-only file system"),
        (["--cap-drop", "CHOWN"], ["chown", "1", "/tmp"], "a capability or the system call filter is in the way", ""),
        ([], ["mount", "-t", "tmpfs", "t", "/mnt"], "a capability or the system call filter is in the way", "you root"),
        (["--network", "none"], ["nslookup", "a.example", "1.1.1.1"], "a network could not be reached", "unreachable"),
        (["--tmpfs", "/t:size=4k"], ["dd", "if=/dev/zero", "of=/t/x", "bs=9k", "count=1"], "the disk is full", "space"),
        (["-m", "12m", "--memory-swap", "12m"], ["sh", "-c", "tail /dev/zero"], "out of memory", "memory limit 12 MiB"),
        ([], ["sh", "-c", "sh -c 'kill -SEGV $$'; exit $?"], "ended by SIGSEGV", "139"),
        ([], ["sh", "-c", "exit 3"], "an exit code of its own", "exit code 3"),
    ],
)  # fmt: skip
def test_a_container_tells_why_it_failed(
    minidock: Minidock, tmp_path: Path, options: list[str], command: list[str], title: str, said: str
) -> None:
    require_root()
    for name, raw in (("no-line", b"echo\n"), ("arm", NO_ARCH), ("no-interpreter", b"#!/no/such/shell\n")):
        (tmp_path / name).write_bytes(raw)
        (tmp_path / name).chmod(0o755)
    ran = minidock("run", "--name", "failed", "-v", f"{tmp_path}:/made", *options, "busybox", *command)
    assert ran.returncode != 0
    told = minidock("explain", "failed", check=True).stdout
    assert titles(minidock, "failed") == [title], told
    assert said in told and "    $ minidock inspect" in told and "try: " in told


def test_what_has_not_failed_is_said(minidock: Minidock) -> None:
    require_root()
    minidock("run", "--name", "well", "busybox", "true", check=True)
    assert minidock("explain", "well", check=True).stdout.startswith("nothing has failed")


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("standard_init_linux.go:228: exec user process caused: exec format error", "exec format error"),
        ("EROFS", "a file system is read-only"),
        ("exit code 137", "ended by SIGKILL"),
        ("159", "a capability or the system call filter is in the way"),
        ("Bind for 0.0.0.0:80 failed: port is already allocated", "a port is taken"),
        ("ping: bad address 'nowhere'", "a name could not be resolved"),
    ],
)
def test_an_error_is_explained_without_a_container(minidock: Minidock, words: str, title: str) -> None:
    assert titles(minidock, words)[0] == title


@pytest.mark.parametrize("words", ["gibberish", "0", "200", "../etc", ""])
def test_what_is_not_known_is_refused(minidock: Minidock, words: str) -> None:
    ran = minidock("explain", words)
    assert ran.returncode == 1 and "neither a container nor an error that is known here" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_every_cause_finds_itself_and_its_commands_can_be_written() -> None:
    for cause in causes.CAUSES:
        assert all("{" not in line.format(id="X").replace("{{", "") for line in cause.look)
        assert cause.meaning and cause.remedy and "(" in cause.man
