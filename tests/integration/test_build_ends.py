"""Builds that don't end well: errors, Ctrl-C, kill -9, a full disk. Nothing is left but the cache."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.builds import Build, build, cached, remains
from tests.support.instance import Minidock, settled

__all__ = ["build"]

SLOW = "FROM busybox\nRUN echo first > /1\nRUN echo started; sleep 1000\n"


def start(minidock: Minidock, tmp_path: Path, dockerfile: str) -> subprocess.Popen[bytes]:
    (tmp_path / "context" / "Dockerfile").write_text(dockerfile)
    return minidock.popen(
        *("build", "-t", "out", "--progress", "plain", str(tmp_path / "context")),
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def await_line(process: subprocess.Popen[bytes], word: bytes) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.rstrip().endswith(word):
            return
    raise AssertionError(f"the build ended before {word!r}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(build: Build, minidock: Minidock, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C reaches the whole group, `kill` only the command: both times everything ends and is removed."""
    process = start(minidock, tmp_path, SLOW)
    await_line(process, b" started")
    begun = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130 and b"\nERROR: failed to build: canceled\n" in told
    assert re.search(rb"^#\d+ CANCELED$", told, re.MULTILINE) and b"Traceback" not in told
    assert time.monotonic() - begun < 15
    assert remains(minidock) == []
    assert cached(build("FROM busybox\nRUN echo first > /1\n")) == ["1", "2"]


def test_killed(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """kill -9 of the command: the stage's process sees it and cleans up."""
    process = start(minidock, tmp_path, SLOW)
    await_line(process, b" started")
    process.kill()
    process.communicate(timeout=30)
    assert settled(lambda: remains(minidock)[:9] if _containers(minidock) else [], 15) == []
    assert cached(build("FROM busybox\nRUN echo first > /1\n")) == ["1", "2"]
    assert remains(minidock) == []


def test_interrupted_at_any_moment(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """Ctrl-C while it reads, copies, runs, files a layer, writes the image: a line, no container, no file."""
    dockerfile = "FROM busybox\nCOPY file /f\nRUN echo x > /x && sleep 0.1\nWORKDIR /w\nRUN cat /f > /g\n"
    (tmp_path / "context" / "file").write_text("text" * 1_000_000)
    chance = random.Random(7)
    ended = []
    for _ in range(10):
        process = start(minidock, tmp_path, dockerfile)
        await_line(process, b"load build definition")
        time.sleep(chance.uniform(0, 1))
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
        ended.append(process.returncode)
        assert process.returncode in (0, 130) and b"Traceback" not in told, told.decode()
        assert remains(minidock) == []
        minidock("builder", "prune", "-af", check=True)
    assert 130 in ended
    build(dockerfile)
    minidock("run", "--rm", "--network", "none", "out", "cmp", "/f", "/g", check=True)


@pytest.mark.parametrize(
    ("dockerfile", "said"),
    [
        ("FROM two AS one\nRUN echo 1\nFROM one AS two\nFROM two\n", "two: "),
        ("FROM busybox AS one\nCOPY --from=two /x /\nFROM one AS two\nRUN echo 2\n", "one -> two"),
        ("FROM busybox AS one\nRUN echo 1\nCOPY --from=one /x /\n", "one -> one"),
        ("FROM busybox AS a\nRUN --mount=from=b,target=/b true\nFROM busybox AS b\nCOPY --from=a / /\n", "b -> a -> b"),
        ("FROM busybox\nRUN echo 1\nCOPY ../../../etc/shadow /s\n", "file not found"),
        ("FROM busybox\nRUN echo 1\nRUN echo last words; exit 42\n", "exit code: 42"),
    ],
)
def test_errors_leave_nothing(build: Build, minidock: Minidock, dockerfile: str, said: str) -> None:
    """A circle of stages, a source outside of the context, a RUN that fails: the place is told, no image is made."""
    told = build(dockerfile, check=False)
    assert told.returncode == 1 and said in told.stderr.splitlines()[-1], told.stderr
    assert ">>> " in told.stderr and "Traceback" not in told.stderr
    assert remains(minidock) == [] and minidock("images", "-q", "out").stdout == ""


def _containers(minidock: Minidock) -> list[str]:
    return os.listdir(minidock.layout.containers)


def test_all_killed(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """kill -9 of everything that builds: the next command ends the container, and removes it."""
    process = start(minidock, tmp_path, SLOW)
    await_line(process, b" started")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    minidock("ps", "-a", check=True)
    assert settled(lambda: _containers(minidock), 15) == []
    assert cached(build("FROM busybox\nRUN echo first > /1\n")) == ["1", "2"]
    assert remains(minidock) == []


def test_killed_at_random(build: Build, minidock: Minidock, tmp_path: Path) -> None:
    """At any moment: what is in the cache is whole, and the next build works."""
    dockerfile = "FROM busybox\nCOPY file /f\nRUN echo x > /x && rm /etc/passwd\nWORKDIR /w\nRUN cat /f > /g\n"
    (tmp_path / "context" / "file").write_text("text" * 1000)
    chance = random.Random(5)
    for _ in range(8):
        process = start(minidock, tmp_path, dockerfile)
        time.sleep(chance.uniform(0.05, 0.6))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
    build(dockerfile)
    out = minidock("run", "--rm", "--network", "none", "out", "sh", "-c", "cmp /f /g && cat /x && ls /etc", check=True)
    assert out.stdout.startswith("x\n") and "passwd" not in out.stdout
    assert settled(lambda: remains(minidock), 10) == []


def test_full_disk(minidock: Minidock, busybox_image: Path, tmp_path: Path) -> None:
    """A root on a file system of 24 MB: the error says so, and after making room the same build works."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)], check=True)
    small = Minidock(type(minidock.layout)(disk / "root"))
    try:
        small("load", "-q", "-i", str(busybox_image), check=True)
        (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY big /big\n")
        (tmp_path / "big").write_bytes(os.urandom(1 << 20) * 30)
        told = small("build", "-t", "out", str(tmp_path))
        assert told.returncode == 1 and "Traceback" not in told.stderr
        assert re.search(r"^#3 ERROR: .*no space left on device$", told.stderr, re.MULTILINE)
        assert "   2 | >>> COPY big /big" in told.stderr
        assert re.search(
            r"^ERROR: failed to build: failed to solve: [^\[]*no space left on device \(minidock system df .*\)$",
            told.stderr,
            re.MULTILINE,
        )
        assert remains(small) == []
        (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN dd if=/dev/zero of=/full bs=1M count=40\n")
        told = small("build", "-t", "out", str(tmp_path))
        assert "exit code: 1" in told.stderr.splitlines()[-1] and "No space left on device" in told.stderr
        assert remains(small) == []
        (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY big /big\n")
        (tmp_path / "big").write_bytes(b"small")
        small("build", "-t", "out", str(tmp_path), check=True)
    finally:
        small.close()
        subprocess.run(["umount", str(disk)], check=True)
