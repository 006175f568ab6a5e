"""Reading container logs: filters, tail from the end, rotation under the reader's hands, damaged lines."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from minidock.engine import log_files, logs

BASE = 1_700_000_000  # 2023-11-14T22:13:20Z


def record(text: str, stream: str = "stdout", second: int = 0, fraction: str = ".5") -> bytes:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(BASE + second)) + fraction + "Z"
    return json.dumps({"log": text, "stream": stream, "time": stamp}, separators=(",", ":")).encode() + b"\n"


def write(path: Path, texts: Iterable[str]) -> Path:
    path.write_bytes(b"".join(record(f"{text}\n", second=index) for index, text in enumerate(texts)))
    return path


def lines(path: Path, **options: Any) -> list[str]:
    return [text.decode().rstrip("\n") for _, text in logs.read(path, **options)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "c-json.log"


# what is printed


def test_streams_are_told_apart_and_chosen(log: Path) -> None:
    log.write_bytes(record("out\n") + record("err\n", "stderr") + record("no end"))
    assert list(logs.read(log)) == [(1, b"out\n"), (2, b"err\n"), (1, b"no end")]
    assert list(logs.read(log, stderr=False)) == [(1, b"out\n"), (1, b"no end")]
    assert list(logs.read(log, stdout=False)) == [(2, b"err\n")]
    assert list(logs.read(log, stdout=False, stderr=False)) == []


def test_text_comes_back_as_it_was_printed(log: Path) -> None:
    text = 'tab\t quote" <b>&amp; \u2028 \U0001f600 \x00\x1b[0m\r\n'
    log.write_bytes(record(text))
    assert list(logs.read(log)) == [(1, text.encode())]


def test_timestamps_have_nine_digits_as_docker_prints_them(log: Path) -> None:
    log.write_bytes(record("a\n") + record("b\n", fraction="") + record("c\n", fraction=".000000001"))
    stamp = b"2023-11-14T22:13:20."
    expected = [stamp + b"500000000Z a\n", stamp + b"000000000Z b\n", stamp + b"000000001Z c\n"]
    assert [text for _, text in logs.read(log, timestamps=True)] == expected


def test_a_container_that_has_not_printed_has_no_log(log: Path) -> None:
    assert lines(log) == []
    assert lines(log, follow=True, tail=5) == []
    assert lines(log.parent / "missing" / "log") == []


def test_damaged_lines_are_left_out(log: Path) -> None:
    whole = record("whole\n")
    half = whole[:20]
    log.write_bytes(
        half
        + b"\n"
        + whole
        + b"\n"
        + b'{"log":1}\n'
        + b'{"log":"x","stream":"stdin","time":""}\n'
        + b"\xff\xfe\n"
        + whole
        + half
    )
    assert lines(log) == ["whole", "whole"]


# when


def test_since_and_until_include_their_moment(log: Path) -> None:
    write(log, "abcde")
    assert lines(log, since=BASE + 2.5) == ["c", "d", "e"]
    assert lines(log, until=BASE + 2.5) == ["a", "b", "c"]
    assert lines(log, since=BASE + 1, until=BASE + 3) == ["b", "c"]
    assert lines(log, since=BASE + 100) == []


def test_since_finds_a_record_by_its_own_nanoseconds(log: Path) -> None:
    log.write_bytes(record("x\n", fraction=".123456789"))
    assert lines(log, since=BASE + 0.123456789, until=BASE + 0.123456789) == ["x"]


def test_tail_counts_before_the_other_filters(log: Path) -> None:
    log.write_bytes(record("a\n") + record("b\n", "stderr", 1) + record("c\n", "stdout", 2))
    assert lines(log, tail=2, stderr=False) == ["c"]
    assert lines(log, tail=3, since=BASE + 2) == ["c"]


# tail


@pytest.mark.parametrize("count", [0, 1, 2, 999, 1000, 1001, 5000])
@pytest.mark.parametrize("width", [1, 100, 70_000])
def test_tail_reads_from_the_end(log: Path, count: int, width: int) -> None:
    total = 1000 if width < 1000 else 5
    texts = [f"{number}{'x' * width}" for number in range(total)]
    write(log, texts)
    assert lines(log, tail=count) == texts[max(0, total - count) :]


@pytest.mark.parametrize("count", range(12))
def test_tail_goes_back_through_rotated_files(log: Path, count: int) -> None:
    write(log.with_name("c-json.log.2"), "abc")
    write(log.with_name("c-json.log.1"), "def")
    write(log, "gh")
    assert "".join(lines(log, tail=count)) == "abcdefgh"[max(0, 8 - count) :]


def test_tail_of_a_block_s_exact_size(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, ["same"] * 50)
    size = len(record("same\n", second=1))
    for block in (1, size - 1, size, size + 1, 3 * size):
        monkeypatch.setattr(log_files, "BLOCK", block)
        assert len(lines(log, tail=7)) == 7


def test_tail_of_a_huge_log_reads_little_of_it(log: Path) -> None:
    line = record("x" * 100 + "\n")
    with log.open("wb") as file:
        file.write(line * 10)
        file.truncate(10 << 30)  # a hole of 10 GiB: who reads it all doesn't come back
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + line * 20)
    assert lines(log, tail=10) == ["x" * 100] * 10


# follow


def test_rotated_files_are_read_oldest_first(log: Path) -> None:
    for number in range(12, 0, -1):
        write(log.with_name(f"c-json.log.{number}"), [f"file {number}"])
    write(log, ["file 0"])
    (log.with_name("c-json.log.old")).write_bytes(record("not ours\n"))
    (log.with_name("other-json.log.1")).write_bytes(record("not ours\n"))
    assert lines(log) == [f"file {number}" for number in range(12, -1, -1)]


class Writer(threading.Thread):
    """Writes as the shim does; `is_alive` says whether it still does.

    It rotates when the reader has come to the file before: the shim doesn't wait, and a file that nobody keeps any more
    is lost to who reads slowly.
    """

    def __init__(self, log: Path, count: int, every: int, keep: int) -> None:
        super().__init__(daemon=True)
        self.log, self.count, self.every, self.keep = log, count, every, keep
        self.read: list[str] = []

    def run(self) -> None:
        fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in range(self.count):
            whole = record(f"{number}\n")
            os.write(fd, whole[:10])  # a reader may see half of it
            os.write(fd, whole[10:])
            if (number + 1) % self.every == 0:
                while len(self.read) <= number - self.every:
                    time.sleep(0.001)
                for index in range(self.keep - 1, 0, -1):
                    source = self.log if index == 1 else self.log.with_name(f"{self.log.name}.{index - 1}")
                    if source.exists():
                        os.rename(source, self.log.with_name(f"{self.log.name}.{index}"))
                os.close(fd)
                time.sleep(0.03)
                fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.close(fd)


@pytest.mark.parametrize("keep", [3, 10])
def test_following_goes_through_rotations(log: Path, keep: int) -> None:
    writer = Writer(log, count=600, every=50, keep=keep)
    writer.start()
    for _, text in logs.read(log, follow=True, running=writer.is_alive):
        writer.read.append(text.decode().rstrip("\n"))
    assert writer.read == [str(number) for number in range(600)]


def test_following_starts_behind_the_tail(log: Path) -> None:
    write(log, "abc")
    running = iter([True, True, False])

    def more() -> bool:
        with log.open("ab") as file:
            file.write(record("later\n"))
        return next(running)

    assert lines(log, follow=True, tail=1, running=more) == ["c", "later", "later", "later"]


def test_following_ends_at_until(log: Path) -> None:
    write(log, "a")
    begun = time.monotonic()
    assert lines(log, follow=True, until=time.time() + 0.2, running=lambda: True) == ["a"]
    assert 0.1 < time.monotonic() - begun < 2


def test_following_a_log_that_is_emptied(log: Path) -> None:
    write(log, "abcdefgh")
    steps = iter([lambda: True, lambda: bool(write(log, "x")), lambda: False])
    assert lines(log, follow=True, running=lambda: next(steps)()) == [*"abcdefgh", "x"]


def test_nothing_stays_open(log: Path) -> None:
    write(log, "abc")
    write(log.with_name("c-json.log.1"), "abc")
    before = os.listdir("/proc/self/fd")
    reader = logs.read(log, follow=True, running=lambda: True)
    next(reader)
    reader.close()  # type: ignore[attr-defined]
    lines(log, follow=True)
    assert os.listdir("/proc/self/fd") == before
