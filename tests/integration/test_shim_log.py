"""The log that the shim writes: Docker's json-file format, rotation, and a disk that fills up."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from minidock.engine import log_files, logs
from minidock.runtime import attach, shim
from tests.support.needs import require_root
from tests.support.shim import Shim, wait_for

Start = Callable[..., Shim]
NASTY = (Path(__file__).parent.parent / "support" / "nasty.sh").read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Shim] = []

    def begin(command: str, **options: Any) -> Shim:
        started.append(Shim(tmp_path, command, **options))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def texts(one: Shim) -> list[str]:
    return [record["log"] for record in one.records()]


def test_a_record_is_docker_s_byte_for_byte(start: Start) -> None:
    one = start(r"""printf '\000\001\033[0m\t\r <a>&"\\/\377 \342\200\250\n'; echo error >&2""")
    one.output()
    time = rb'"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{0,8}[1-9]Z"'
    text = rb'\\u0000\\u0001\\u001b\[0m\\u0009\\r \\u003ca\\u003e\\u0026\\"\\\\/\\ufffd \\u2028\\n'
    first = rb'\{"log":"' + text + rb'","stream":"stdout",'
    second = rb'\{"log":"error\\n","stream":"stderr",'
    written = one.log.path.read_bytes()
    assert re.fullmatch(first + time + rb"\}\n" + second + time + rb"\}\n", written), written


codecs.register_error("byte by byte", lambda error: ("\ufffd", error.start + 1))  # type: ignore[attr-defined]


def as_docker_logs(printed: bytes) -> list[str]:
    """Docker's rules in four lines: lines, in pieces of 16 KiB; what isn't UTF-8 is U+FFFD for each byte."""
    lines = printed.split(b"\n")
    ended = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    pieces = [line[start : start + 16384] for line in ended for start in range(0, len(line), 16384)]
    return [piece.decode("utf-8", "byte by byte") for piece in pieces]


def test_nasty_output_is_logged_by_docker_s_rules(start: Start) -> None:
    one = start(NASTY)
    out, _, _ = one.output()
    assert len(out) > 400_000
    assert texts(one) == as_docker_logs(out)


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (16383, [16384]),
        (16384, [16384, 1]),
        (16385, [16384, 2]),
        (32768, [16384, 16384, 1]),
        (40000, [16384, 16384, 7233]),
    ],
)
def test_long_lines_are_split_at_16_kib(start: Start, size: int, parts: list[int]) -> None:
    one = start(f"head -c {size} /dev/zero | tr '\\000' a; echo")
    one.output()
    records = one.records()
    assert [len(record["log"]) for record in records] == parts
    assert [record["log"].endswith("\n") for record in records] == [False] * (len(parts) - 1) + [True]
    assert len({record["time"] for record in records}) == 1


def test_an_end_without_newline_is_a_record_without_one(start: Start) -> None:
    one = start("printf 'a\\nb'; printf c >&2")
    one.output()
    assert sorted(texts(one)) == ["a\n", "b", "c"]


def test_lines_of_both_streams_do_not_mix(start: Start) -> None:
    one = start("printf 'one '; printf 'two ' >&2; sleep 0.1; echo three; echo four >&2")
    one.output()
    assert sorted(texts(one)) == ["one three\n", "two four\n"]


def test_a_line_is_in_the_log_when_the_client_has_it(start: Start) -> None:
    one = start("echo here; cat")
    one.until(b"here\n")
    assert texts(one) == ["here\n"]


def test_rotation_keeps_the_newest_files(start: Start, tmp_path: Path) -> None:
    log = shim.LogFile(tmp_path / "c.log", max_size=10_000, max_files=3)
    one = start("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done", log=log)
    one.output()
    found = log_files.files(log.path)
    assert [path.name for path in found] == ["c.log", "c.log.1", "c.log.2"]
    sizes = [path.stat().st_size for path in found]
    assert all(10_000 <= size < 10_100 for size in sizes[1:]), sizes
    assert sizes[0] < 10_100
    kept = [msgspec.json.decode(line)["log"] for path in reversed(found) for line in path.read_bytes().splitlines()]
    assert kept == [f"line {number}\n" for number in range(2000)][-len(kept) :]


def test_with_one_file_rotation_starts_it_anew(start: Start, tmp_path: Path) -> None:
    log = shim.LogFile(tmp_path / "c.log", max_size=5_000, max_files=1)
    one = start("i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done", log=log)
    one.output()
    assert [path.name for path in log_files.files(log.path)] == ["c.log"]
    assert log.path.stat().st_size < 5_100
    assert texts(one)[-1] == "line 499\n"


def test_size_zero_never_rotates(start: Start, tmp_path: Path) -> None:
    log = shim.LogFile(tmp_path / "c.log", max_size=0, max_files=3)
    one = start("yes | head -50000", log=log)
    one.output()
    assert log_files.files(log.path) == [log.path]
    assert len(one.records()) == 50000


def test_a_log_emptied_by_hand_goes_on(start: Start) -> None:
    one = start("echo one; cat")
    one.until(b"one\n")
    one.log.path.write_bytes(b"")
    one.send(attach.STDIN, b"two\n")
    one.until(b"two\n")
    assert texts(one) == ["two\n"]


def test_a_restart_continues_the_log_behind_half_a_record(start: Start) -> None:
    one = start("echo two")
    one.output()
    one.wait()
    (one.dir / "attach.sock").unlink()
    complete = one.log.path.read_bytes()
    one.log.path.write_bytes(complete + b'{"log":"tor')
    again = start("echo three")
    again.output()
    assert again.log.path.read_bytes().startswith(complete + b'{"log":"tor\n{"log":"three\\n"')
    assert [text for _, text in logs.read(again.log.path)] == [b"two\n", b"three\n"]


def test_a_full_disk_does_not_stop_the_container(start: Start, tmp_path: Path) -> None:
    require_root()
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        log = shim.LogFile(disk / "c.log", max_size=0)
        one = start("i=0; while [ $i -lt 3000 ]; do echo a line $i; i=$((i+1)); done; cat; exit 4", log=log)
        one.until(b"a line 2999\n")
        assert shim.read_log_error(one.dir) == f"write {log.path}: No space left on device"
        half = log.path.read_bytes()
        assert half.startswith(b'{"log":"a line 0\\n"')
        log.path.write_bytes(half[:20_000])  # somebody has made room
        one.send(attach.STDIN, b"room again\n")
        one.until(b"room again\n")
        read = [text for _, text in logs.read(log.path)]
        assert read[-1] == b"room again\n"
        assert read[:-1] == [f"a line {number}\n".encode() for number in range(len(read) - 1)]
        one.send(attach.CLOSE_STDIN)
        assert one.output()[2] == 4
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_log_that_cannot_be_opened_does_not_stop_the_container(start: Start, tmp_path: Path) -> None:
    log = shim.LogFile(tmp_path / "missing" / "c.log")
    one = start("echo here; exit 4", log=log)
    assert one.output() == (b"here\n", b"", 4)
    assert shim.read_log_error(one.dir) == f"open {log.path}: No such file or directory"


def test_following_across_many_rotations_loses_nothing(start: Start, tmp_path: Path) -> None:
    log = shim.LogFile(tmp_path / "c.log", max_size=20_000, max_files=5)
    step = "echo line $i; i=$((i+1)); [ $((i % 100)) = 0 ] && sleep 0.02"
    one = start(f"cat >/dev/null; i=0; while [ $i -lt 3000 ]; do {step}; done", log=log)
    wait_for(log.path.exists)
    one.send(attach.CLOSE_STDIN)
    followed = logs.read(log.path, follow=True, running=lambda: shim.read_exit(one.dir) is None)
    assert [text for _, text in followed] == [f"line {number}\n".encode() for number in range(3000)]
    assert len(log_files.files(log.path)) == 5
