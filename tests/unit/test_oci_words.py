"""How minidock-oci reads its command line, its numbers, and writes its log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minidock import spec
from minidock.errors import UsageError
from minidock.kernel.scheduling import listed
from minidock.oci.cli import COMMANDS, GLOBALS
from minidock.oci.events import duration
from minidock.oci.log import Log
from minidock.oci.update import bytes_of
from minidock.oci.views import signal_number
from minidock.oci.words import Flag, check_count, read

FLAGS = [
    Flag("--env, -e", "", "list"),
    Flag("--detach, -d", "", "yes"),
    Flag("--count", "", "number"),
    Flag("--cwd", ""),
]


@pytest.mark.parametrize(
    "words, values, arguments",
    [
        (["--cwd", "/x", "id"], {"cwd": "/x"}, ["id"]),
        (["--cwd=/x", "id"], {"cwd": "/x"}, ["id"]),
        (["-cwd", "/x", "id"], {"cwd": "/x"}, ["id"]),
        (["-e", "A=1", "--env", "B=2", "id"], {"env": ["A=1", "B=2"]}, ["id"]),
        (["id", "-d", "--count", "3"], {"detach": True, "count": 3}, ["id"]),
        (["--detach=false", "id"], {"detach": False}, ["id"]),
        (["--", "-d"], {"detach": None}, ["-d"]),
        (["-", "id"], {}, ["-", "id"]),
    ],
)
def test_words_are_read_as_runc_reads_them(words: list[str], values: dict, arguments: list[str]) -> None:
    found, rest = read(FLAGS, words, stop=False)
    assert {key: found[key] for key in values} == values
    assert rest == arguments


def test_what_stands_behind_the_id_of_exec_is_the_program_s() -> None:
    found, rest = read(FLAGS, ["-d", "id", "ls", "-d", "--", "--help"], stop=True)
    assert (found["detach"], rest) == (True, ["id", "ls", "-d", "--", "--help"])


@pytest.mark.parametrize("words", [["--nosuch"], ["--cwd"], ["--count", "many"], ["--detach=perhaps"]])
def test_bad_flags_are_told(words: list[str]) -> None:
    with pytest.raises(UsageError):
        read(FLAGS, words, stop=False)


def test_every_command_has_what_engines_call_it_with() -> None:
    known = {
        name: {word for flag in command.flags for word in flag.names.split(", ")} for name, command in COMMANDS.items()
    }
    assert {"--bundle", "--console-socket", "--pid-file", "--no-pivot", "--no-new-keyring"} <= known["create"]
    assert {"--process", "--detach", "--tty", "--console-socket", "--pid-file"} <= known["exec"]
    assert {"--force"} <= known["delete"]
    assert {"--all"} <= known["kill"]
    assert {"--resources"} <= known["update"]
    everywhere = {word for flag in GLOBALS for word in flag.names.split(", ")}
    assert {"--root", "--log", "--log-format", "--systemd-cgroup", "--criu", "--debug"} <= everywhere


def test_arguments_are_counted() -> None:
    with pytest.raises(UsageError, match="requires exactly 1"):
        check_count(COMMANDS["state"], 0)
    with pytest.raises(UsageError, match="requires a minimum of 1"):
        check_count(COMMANDS["kill"], 0)
    with pytest.raises(UsageError, match="requires a maximum of 2"):
        check_count(COMMANDS["kill"], 3)
    check_count(COMMANDS["exec"], 9)


def test_numbers_and_names() -> None:
    assert (duration("100ms"), duration("1m30s"), duration("1.5s")) == (0.1, 90.0, 1.5)
    assert [bytes_of("memory", text) for text in ("1024", "64M", "1.5g", "-1")] == [1024, 64 << 20, 3 << 29, -1]
    assert [signal_number(text) for text in ("9", "KILL", "SIGKILL", "kill")] == [9, 9, 9, 9]
    assert listed("0-2,5") == {0, 1, 2, 5}
    for wrong in ("", "a", "1-", "-1"):
        with pytest.raises(UsageError):
            listed(wrong)


def test_the_log_is_logrus_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(str(tmp_path / "log"), "json")
    log.error('a "word"')
    log.warn("two\nlines")
    rows = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(row["level"], row["msg"]) for row in rows] == [("error", 'a "word"'), ("warning", "two\nlines")]
    assert capsys.readouterr().err == 'a "word"\n'
    Log().error('a "word"')
    assert capsys.readouterr().err.endswith(' level=error msg="a \\"word\\""\n')


def test_null_is_as_good_as_nothing() -> None:
    raw = b'{"ociVersion":"1.0.0","mounts":null,"process":{"cwd":"/","args":["a"],"env":null},"hooks":null}'
    config = spec.from_json(raw)
    assert config.mounts == []
    assert config.process is not None
    assert config.process.env == []
