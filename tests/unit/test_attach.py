"""The wire's frames, the detach keys, and the shim's arguments: all that needs no process."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import MinidockError, UsageError
from minidock.runtime import attach, shim
from minidock.runtime.terminal import DetachKeys, parse_detach_keys

# frames


def test_a_frame_is_docker_s_stream_header_and_the_payload() -> None:
    assert attach.frame(1, b"abc") == b"\x01\0\0\0\0\0\0\x03abc"
    assert attach.frame(attach.CLOSE_STDIN) == b"\x0a\0\0\0\0\0\0\0"


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=50))), st.integers(1, 20))
def test_frames_survive_being_cut_anywhere(sent: list[tuple[int, bytes]], step: int) -> None:
    stream = b"".join(attach.frame(kind, payload) for kind, payload in sent)
    decoder = attach.Decoder()
    pieces = [stream[start : start + step] for start in range(0, len(stream), step)]
    assert [frame for piece in pieces for frame in decoder.feed(piece)] == sent


# detach keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-a,x", b"\x01x"),
        ("a", b"a"),
        ("DEL", b"\x7f"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
    ],
)
def test_detach_keys_as_docker_writes_them(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-A", "ctrl-1", "ab", "a,", ",", "é", "CTRL-p", "ctrl-p ctrl-q"])
def test_other_detach_keys_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Invalid detach keys"):
        parse_detach_keys(text)


def feed(keys: bytes, *typed: bytes) -> tuple[bytes, bool]:
    machine = DetachKeys(keys)
    return b"".join(machine.feed(part) for part in typed), machine.complete


@pytest.mark.parametrize(
    ("typed", "passed", "complete"),
    [
        ([b"hello"], b"hello", False),
        ([b"\x10\x11"], b"", True),
        ([b"\x10", b"\x11"], b"", True),
        ([b"ls\r\x10\x11more"], b"ls\r", True),
        ([b"\x10x"], b"\x10x", False),
        ([b"\x10", b"x"], b"\x10x", False),
        ([b"\x10\x10\x11"], b"\x10", True),  # the second one begins them anew
        ([b"\x11\x10"], b"\x11", False),
    ],
)
def test_the_keys_are_found_wherever_they_come(typed: list[bytes], passed: bytes, complete: bool) -> None:
    assert feed(b"\x10\x11", *typed) == (passed, complete)


def test_keys_that_repeat_themselves() -> None:
    assert feed(b"aab", b"aaab") == (b"a", True)
    assert feed(b"abac", b"ababac") == (b"ab", True)


def test_what_was_kept_back_is_released() -> None:
    machine = DetachKeys(b"\x10\x11")
    assert machine.feed(b"x\x10") == b"x"
    assert machine.release() == b"\x10"
    assert machine.feed(b"\x11") == b"\x11"
    assert not machine.complete


@given(st.binary(min_size=1, max_size=4), st.lists(st.binary(max_size=6), max_size=8))
def test_nothing_typed_is_lost(keys: bytes, typed: list[bytes]) -> None:
    machine = DetachKeys(keys)
    passed = bytearray()
    everything = b"".join(typed)
    for part in typed:
        passed += machine.feed(part)
        if machine.complete:
            break
    place = everything.find(keys)
    assert machine.complete == (place >= 0)
    assert bytes(passed) + machine.release() == (everything if place < 0 else everything[:place] + keys)


# the shim


def test_the_shim_s_arguments() -> None:
    words = shim.argv(
        "abc",
        7,
        Path("/run/x"),
        shim.Pipes(stdout=4, stderr=5, stdin=3),
        log=shim.LogFile(Path("/x.log"), 1000, 2),
        listen_fd=6,
        client_fd=8,
        hold_fds=[9, 10],
        stdin_once=True,
        cleanup=["/usr/bin/minidock", "container", "cleanup", "abc"],
    )
    assert words == [
        str(shim.PROGRAM),
        *("--id", "abc", "--pid", "7", "--dir", "/run/x"),
        *("--log", "/x.log", "--log-max-size", "1000", "--log-max-files", "2"),
        *("--stdout-fd", "4", "--stderr-fd", "5", "--stdin-fd", "3", "--stdin-once"),
        *("--listen-fd", "6", "--client-fd", "8", "--hold-fd", "9", "--hold-fd", "10"),
        *("--cleanup", "/usr/bin/minidock", "container", "cleanup", "abc"),
    ]
    assert shim.argv("abc", 7, Path("/r"), shim.Console(3))[7:] == ["--console-fd", "3"]


def test_the_exit_file(tmp_path: Path) -> None:
    assert shim.read_exit(tmp_path) is None
    written = b'{"exitCode":137,"signal":9,"finishedAt":"2026-11-23T22:11:48.1Z"}\n'
    shim.exit_file(tmp_path).write_bytes(written)
    assert shim.read_exit(tmp_path) == shim.Exit(137, 9, "2026-11-23T22:11:48.1Z")
    shim.exit_file(tmp_path).write_bytes(written[:20])
    with pytest.raises(MinidockError, match="damaged state file"):
        shim.read_exit(tmp_path)


def test_the_log_s_error(tmp_path: Path) -> None:
    assert shim.read_log_error(tmp_path) == ""
    shim.log_error_file(tmp_path).write_text("write /x.log: No space left on device\n")
    assert shim.read_log_error(tmp_path) == "write /x.log: No space left on device"
