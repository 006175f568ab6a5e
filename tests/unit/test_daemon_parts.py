"""Parts of the daemon that need neither root nor a socket."""

from __future__ import annotations

import logging
import time

import pytest
from aiohttp import ClientConnectionResetError

from minidock.daemon import app
from minidock.daemon.encoding import encoded
from minidock.daemon.spawner import Answer
from minidock.daemon.verbs.builds import Classic, classic_failure
from minidock.daemon.verbs.common import members, read
from minidock.daemon.verbs.containers import CreateBody, ExecBody
from minidock.daemon.verbs.registries import bar
from minidock.engine.durations import moment_of
from minidock.errors import UsageError
from minidock.model.host import HostConfig


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def stream(self, text: str) -> None:
        self.lines.append(text)


def test_members_are_read_in_any_case_and_nulls_as_not_said() -> None:
    body = read({"cmd": "ls", "TTY": True, "Env": None, "detachKeys": "ctrl-p"}, ExecBody)
    assert (body.cmd, body.tty, body.env, body.detach_keys) == ("ls", True, [], "ctrl-p")
    assert members({"memory": 5, "Unknown": {"a": None}}, HostConfig) == {"Memory": 5, "Unknown": {}}
    assert read({"entrypoint": ["a"], "HostConfig": {"x": 1}}, CreateBody).host_config == {"x": 1}
    with pytest.raises(UsageError, match="an object is expected"):
        members(["a"], HostConfig)


def test_moments_are_ago_dates_or_seconds() -> None:
    assert moment_of("12.5") == 12.5
    assert abs(time.time() - 5400 - moment_of("1h30m")) < 5
    assert moment_of("2026-01-01T00:00:00Z") == moment_of("2026-01-01T00:00:00") == 1767225600
    for text in ("", "soon", "1x", "10 m"):
        with pytest.raises(ValueError):
            moment_of(text)


def test_builds_are_told_as_the_classic_builder_does() -> None:
    told = Told()
    classic = Classic(told, quiet=False)  # type: ignore[arg-type]
    classic.begin("definition", "[internal] load build definition")
    classic.log("definition", b"reading\n")
    classic.instruction("FROM busybox", 3)
    classic.begin("0/1", "[1/2] FROM busybox:latest")
    classic.done("0/1", cached=True)
    classic.instruction("ENV A=b", 3)
    classic.configured(cached=True)
    classic.instruction("RUN make", 3)
    classic.begin("0/2", "[stage 2/2] RUN make")
    classic.log("0/2", b"said\n")
    classic.log("0/2", b"cried\n", stderr=True)
    classic.done("0/2", cached=True)
    cached = " ---> Using cache\n"
    steps = ["Step 1/3 : FROM busybox\n", "Step 2/3 : ENV A=b\n", cached, "Step 3/3 : RUN make\n"]
    assert told.lines == [*steps, "said\n", "\x1b[91mcried\n\x1b[0m", cached]
    words = 'process "/bin/sh -c exit 7" did not complete successfully: exit code: 7'
    assert classic_failure(words) == (7, "The command '/bin/sh -c exit 7' returned a non-zero code: 7")
    assert classic_failure("something else") == (1, "something else")


def test_the_bar_is_as_long_as_dockers() -> None:
    assert bar(0, 2000) == "[>" + " " * 49 + "]      0B/2kB"
    assert bar(2000, 2000) == "[" + "=" * 50 + "]     2kB/2kB"


def test_bytes_that_are_no_text_are_told_all_the_same() -> None:
    odd = b"a\x89b".decode(errors="surrogateescape")
    assert encoded({odd: [(odd, 1), None]}) == '{"a�b":[["a�b",1],null]}'.encode()
    assert encoded(Answer(400, odd)) == '{"status":400,"message":"a�b"}'.encode()


@pytest.mark.parametrize(
    ("error", "ours"),
    [(ClientConnectionResetError("Cannot write to closing transport"), False), (ConnectionError(), True), (None, True)],
)
def test_the_log_is_not_for_clients_that_have_gone(error: Exception | None, ours: bool) -> None:
    told = (type(error), error, None) if error else None
    record = logging.LogRecord("aiohttp.server", logging.ERROR, "", 0, "Error handling request", None, told)
    assert app._is_ours(record) is ours
