"""What a build shows: lines in a pipe, a view that is painted over on a terminal."""

from __future__ import annotations

import io
import os
import pty
import re
from typing import TextIO

import pyte
import pytest

from minidock.cli.build import make_request
from minidock.cli.build_flags import FLAGS, cache_source, output, secret
from minidock.cli.build_progress import Live, Plain, choose
from minidock.cli.flags import parse
from minidock.engine.build_request import Output, SecretSource
from minidock.errors import UsageError


def test_plain() -> None:
    out = io.StringIO()
    plain = Plain(out)
    plain.begin("a", "[1/2] FROM busybox")
    plain.done("a", cached=True)
    plain.begin("b", "[2/2] RUN make")
    plain.log("b", b"one\ntw")
    plain.log("b", b"o\n10%\r20%\rdone\r\n\nrest")
    plain.done("b", error="exit code: 3")
    told = re.sub(r"\d+\.\d{3}", "T", out.getvalue())
    assert told.splitlines() == [
        "#1 [1/2] FROM busybox",
        "#1 CACHED",
        "",
        "#2 [2/2] RUN make",
        "#2 T one",
        "#2 T two",
        "#2 T done",
        "#2 T",
        "#2 T rest",
        "#2 ERROR: exit code: 3",
        "",
    ]
    assert plain.failed and plain.failed.text == "[2/2] RUN make"
    assert [re.sub(r"^\d+\.\d{3}", "T", line) for line in plain.failed.said] == [
        "T one",
        "T two",
        "T done",
        "T",
        "T rest",
    ]


def test_the_last_lines_of_a_failed_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """As BuildKit's: ten where all have been shown, all behind a live view; fewer digits the longer it takes."""
    clock = 100.0
    monkeypatch.setattr("time.monotonic", lambda: clock)
    plain = Plain(io.StringIO())
    live = Live(io.StringIO())
    monkeypatch.setattr(live, "paint", lambda ended="": None)
    for progress in (plain, live):
        clock = 100.0
        progress.begin("a", "RUN make")
        for seconds in (0.2151, 9.9, 12.346, 123.456):
            clock = 100.0 + seconds
            progress.log("a", b"x\n" * 5)
        progress.done("a", error="exit code: 2")
        assert progress.failed is progress.steps["a"]
    assert list(plain.steps["a"].said) == ["12.35 x"] * 5 + ["123.5 x"] * 5
    assert list(live.steps["a"].said)[::5] == ["0.215 x", "9.900 x", "12.35 x", "123.5 x"]


def test_what_was_not_done() -> None:
    """When one fails, or Ctrl-C comes: the others say so, as BuildKit's do."""
    out = io.StringIO()
    plain = Plain(out)
    plain.begin("a", "A")
    plain.begin("b", "B")
    plain.log("b", b"unfinished")
    plain.done("a", error="no")
    plain.close(failed=True)
    told = re.sub(r"\d+\.\d{3}", "T", out.getvalue())
    assert told.splitlines() == ["#1 A", "#2 B", "#1 ERROR: no", "", "#2 T unfinished", "#2 CANCELED", ""]
    assert plain.failed and plain.failed.text == "A"


def test_steps_side_by_side_keep_their_numbers() -> None:
    out = io.StringIO()
    plain = Plain(out)
    plain.begin("a", "A")
    plain.begin("b", "B")
    plain.log("a", b"from a\n")
    plain.log("b", b"from b\n")
    assert re.findall(r"#(\d) \S+ from (.)", out.getvalue()) == [("1", "a"), ("2", "b")]


def screen_of(show: object, *, size: tuple[int, int] = (10, 60)) -> list[str]:
    """What is on a terminal of 60 columns and 10 rows, which says that it has `size`."""
    ours, theirs = pty.openpty()
    screen = pyte.Screen(60, 10)
    stream = pyte.ByteStream(screen)
    try:
        with os.fdopen(os.dup(theirs), "w") as out:
            os.set_blocking(ours, False)
            import fcntl
            import struct
            import termios

            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            show(out)  # type: ignore[operator]
        while True:
            try:
                stream.feed(os.read(ours, 65536))
            except BlockingIOError:
                break
    finally:
        os.close(ours)
        os.close(theirs)
    return [line.rstrip() for line in screen.display if line.strip()]


def test_a_terminal_without_a_size() -> None:
    """As `script` and some CI make it: it gets lines of a common width."""

    def show(out: TextIO) -> None:
        live = Live(out)
        live.begin("a", "A")
        live.done("a")
        live.close()

    assert [line for line in screen_of(show, size=(0, 0)) if line.startswith(" => A")]


def test_live() -> None:
    def show(out: io.TextIOBase) -> None:
        live = Live(out)  # type: ignore[arg-type]
        live.begin("a", "[1/2] FROM busybox")
        live.done("a", cached=True)
        live.begin("b", "[2/2] RUN make \x1b[31mred")
        live.log("b", b"compiling\n\x1b[2Jlinking\n")
        live.paint()

    lines = screen_of(show)
    assert re.fullmatch(r"\[\+\] Building \d\.\ds \(1/2\)", lines[0])
    assert re.fullmatch(r" => CACHED \[1/2\] FROM busybox +\d\.\ds", lines[1])
    assert re.fullmatch(r" => \[2/2\] RUN make  \[31mred +\d\.\ds", lines[2])
    assert lines[3:] == [" => => # compiling", " => => #  [2Jlinking"]


def test_live_keeps_to_the_screen() -> None:
    def show(out: io.TextIOBase) -> None:
        live = Live(out)  # type: ignore[arg-type]
        for number in range(40):
            live.begin(str(number), f"step {number}")
            live.done(str(number))
        live.close()

    lines = screen_of(show)
    assert len(lines) <= 10 and "FINISHED" in lines[0] and "step 39" in lines[-1]


def test_choice() -> None:
    assert isinstance(choose("auto", out=io.StringIO()), Plain)
    assert choose("quiet", out=io.StringIO()).is_quiet
    with pytest.raises(UsageError, match="invalid progress mode"):
        choose("fancy", out=io.StringIO())
    with pytest.raises(UsageError, match="no terminal"):
        choose("tty", out=io.StringIO())


# The flags with values of their own


def test_outputs() -> None:
    assert output("dir") == Output("local", "dir") and output("-") == Output("tar", "-")
    assert output("type=oci,dest=x.tar") == Output("oci", "x.tar") and output("type=docker") == Output("image", "")
    assert output('type=image,"name=a:1,b:2"') == Output("image", "", ["a:1", "b:2"])
    for bad in ("type=moon", "type=local", "type=tar,dest=x,compression=zstd", "type=local,dest=x,name=a"):
        with pytest.raises(UsageError):
            output(bad)


def test_an_outputs_name_is_a_tag() -> None:
    flags = parse(FLAGS, ["-t", "a", "-o", "type=image,name=b:1", "."], interspersed=True)[0]
    assert make_request(".", flags).tags == ["a", "b:1"]


def test_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "x")
    assert secret("id=a,src=/dev/null") == ("a", SecretSource("/dev/null"))
    assert secret("id=a,env=TOKEN") == ("a", SecretSource("", "TOKEN"))
    assert secret("type=env,id=TOKEN,env=TOKEN") == ("TOKEN", SecretSource("", "TOKEN"))
    assert secret("id=TOKEN") == ("TOKEN", SecretSource("", "TOKEN"))
    for bad in ("type=moon,id=a", "what=x", "", "id=a,src=/nosuch/file", "id=neither-variable-nor-file"):
        with pytest.raises(UsageError):
            secret(bad)


def test_cache_sources() -> None:
    assert cache_source("a:1") == "a:1" and cache_source("type=registry,ref=b") == "b"
    with pytest.raises(UsageError):
        cache_source("type=gha")
