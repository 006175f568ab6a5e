"""Logs of real containers: `local`, compression, a follower through everything, a disk that is full."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidock.engine import log_files, logs
from minidock.runtime import attach, shim
from tests.support.instance import SLOWNESS, Minidock
from tests.support.needs import require_root
from tests.support.shim import Shim, children, wait_for

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


def read(path: Path) -> bytes:
    return b"".join(text for _, text in logs.read(path))


def test_local_is_smaller_and_says_the_same(start: Start, tmp_path: Path) -> None:
    script = "seq 5000; printf 'raw \\377\\000\\n'; printf end"
    log = shim.LogFile(tmp_path / "c-local.log", local=True)
    one = start(script, log=log)
    one.output()
    printed = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout
    assert read(log.path) == printed
    assert log.path.stat().st_size < (5002 * len('{"log":"1234\\n","stream":"stdout","time":""}\n') + 5002 * 30) / 3


def test_long_lines_of_local_are_pieces(start: Start, tmp_path: Path) -> None:
    log = shim.LogFile(tmp_path / "c-local.log", local=True)
    one = start("head -c 40000 /dev/zero | tr '\\0' x; echo; echo next", log=log)
    one.output()
    assert [len(text) for _, text in logs.read(log.path)] == [16384, 16384, 40000 - 2 * 16384 + 1, 5]


@pytest.mark.parametrize("local", [False, True])
def test_rotated_files_are_compressed_and_read_as_one(start: Start, tmp_path: Path, local: bool) -> None:
    name = "c-local.log" if local else "c-json.log"
    log = shim.LogFile(tmp_path / name, max_size=4000, max_files=1000, local=local, compress=True)
    one = start("for i in $(seq 12); do seq 500; sleep 0.05; done", log=log)
    one.output()
    wait_for(lambda: not (tmp_path / f"{name}.1").exists())
    names = [path.name for path in log_files.files(log.path)]
    assert names[:2] == [name, f"{name}.1.gz"]
    assert len(names) > 3
    numbers = "".join(f"{number}\n" for number in range(1, 501)) * 12
    assert read(log.path) == numbers.encode()
    packed = list(tmp_path.glob("*.gz"))
    assert 2 * sum(path.stat().st_size for path in packed) < sum(
        len(gzip.decompress(path.read_bytes())) for path in packed
    )


def test_the_oldest_compressed_file_goes(start: Start, tmp_path: Path) -> None:
    log = shim.LogFile(tmp_path / "c-json.log", max_size=1000, max_files=3, compress=True)
    one = start("for i in $(seq 40); do seq 10; sleep 0.02; done", log=log)
    one.output()
    wait_for(lambda: sorted(path.name for path in tmp_path.glob("c-json*")) == [
        "c-json.log", "c-json.log.1.gz", "c-json.log.2.gz",
    ])  # fmt: skip


def test_a_follower_loses_nothing_through_compression(start: Start, tmp_path: Path) -> None:
    log = shim.LogFile(tmp_path / "c-local.log", max_size=3000, max_files=1000, local=True, compress=True)
    one = start("read go; for i in $(seq 15); do seq 300; sleep 0.03; done", log=log)
    one.send(0, b"\n")
    followed = logs.read(log.path, follow=True, running=lambda: shim.read_exit(one.dir) is None)
    numbers = "".join(f"{number}\n" for number in range(1, 301)) * 15
    assert b"".join(text for _, text in followed) == numbers.encode()
    assert list(tmp_path.glob("*.gz"))


# containers


@pytest.fixture
def engine(minidock: Minidock, busybox_image: Path) -> Minidock:
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


def test_a_follower_goes_through_rotations_and_restarts(engine: Minidock) -> None:
    words = ["run", "-d", "--name", "one", "--restart", "on-failure:2", "--log-opt", "compress=true"]
    options = ["--log-opt", "max-size=4k", "--log-opt", "max-file=500"]
    script = "for i in 1 2 3 4 5; do seq 100; sleep 0.1; done; exit 1"
    engine(*words, *options, "busybox", "sh", "-c", script, check=True)
    numbers = "".join(f"{number}\n" for number in range(1, 101)) * 15
    assert engine("logs", "-f", "one", check=True).stdout == numbers
    assert engine("logs", "one", check=True).stdout == numbers
    assert engine("logs", "-n", "750", "one", check=True).stdout == "".join(numbers.splitlines(keepends=True)[-750:])


def test_since_and_until_of_local(engine: Minidock) -> None:
    script = "echo early; sleep 1.2; echo late; sleep 1.2; echo latest"
    engine("run", "--name", "one", "--log-driver", "local", "busybox", "sh", "-c", script, check=True)
    stamps = [line.split()[0] for line in engine("logs", "-t", "one", check=True).stdout.splitlines()]
    assert engine("logs", "--since", stamps[1], "one", check=True).stdout == "late\nlatest\n"
    assert engine("logs", "--until", stamps[1], "one", check=True).stdout == "early\nlate\n"
    assert engine("logs", "--since", stamps[1], "--until", stamps[1], "one", check=True).stdout == "late\n"


def test_a_full_disk_stops_the_log_and_nothing_else(engine: Minidock) -> None:
    """Containers are on a small disk: one that fills it runs on, its log says what is missing, and goes on later."""
    require_root()
    place = engine.layout.containers
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], check=True)
    script = "echo first; read go; head -c 900000 /dev/zero | tr '\\0' x; echo; echo lost; read go; echo last"
    try:
        engine("create", "-i", "--name", "one", "busybox", "sh", "-c", script, check=True)
        client = engine.popen("start", "-ai", "one", stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stdout.readline() == b"first\n"
        client.stdin.write(b"\n")
        assert len(client.stdout.readline()) == 900001
        assert client.stdout.readline() == b"lost\n"
        _until(lambda: "WARNING" in engine("logs", "one").stderr)
        warned = engine("logs", "-n", "1", "one", check=True).stderr
        assert warned.startswith("WARNING: the log is incomplete: write "), warned
        assert "No space left on device" in warned
        client.stdin.write(b"\n")
        assert client.stdout.readline() == b"last\n"
        client.stdin.close()
        assert client.wait(timeout=30 * SLOWNESS) == 0
        # Nor does it stop those who want to know how it ended, or the one who makes room.
        assert engine("logs", "one", check=True).stdout.startswith("first\n")
        assert engine("ps", "-a", "--format", "{{.State}}", check=True).stdout == "exited\n"
        assert engine("wait", "one", check=True).stdout == "0\n"
        assert engine("rm", "one", check=True).stdout == "one\n"
        assert engine("ps", "-aq", check=True).stdout == ""
    finally:
        engine("rm", "-f", "one")
        subprocess.run(["umount", str(place)], check=True)


def _until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20 * SLOWNESS
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# mode=non-blocking


def test_a_log_that_waits_for_nobody_is_whole(start: Start, tmp_path: Path) -> None:
    """As long as the buffer doesn't overflow nothing is lost, over rotations and up to the last moment."""
    log = shim.LogFile(tmp_path / "c-json.log", max_size=20_000, max_files=1000, buffer=1 << 20)
    one = start("seq 5000; printf end", log=log)
    one.output()
    assert read(log.path) == b"".join(b"%d\n" % number for number in range(1, 5001)) + b"end"
    assert (tmp_path / "c-json.log.3").exists()


def test_a_full_buffer_loses_whole_lines_and_never_stops_the_container(start: Start, tmp_path: Path) -> None:
    """Its writer stands still, as on a disk that answers nobody: the container ends all the same."""
    log = shim.LogFile(tmp_path / "c-json.log", max_size=0, buffer=4096)
    one = start("read go; seq 200000; echo done", log=log)
    wait_for(lambda: any(is_log(pid) for pid in children(one.pid)))
    (writer,) = (pid for pid in children(one.pid) if is_log(pid))
    os.kill(writer, signal.SIGSTOP)
    one.send(attach.STDIN, b"go\n")
    wait_for(lambda: children(one.pid) == [writer])
    os.kill(writer, signal.SIGCONT)
    assert one.output()[0].endswith(b"200000\ndone\n")
    lines = read(log.path).decode().splitlines()
    assert 100 < len(lines) < 200_000
    assert [int(line) for line in lines if line != "done"] == sorted({int(line) for line in lines if line != "done"})


def is_log(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text() == "minidock:[log]\n"
