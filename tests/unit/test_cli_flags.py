"""Flags are read as Go's pflag reads them, and refused in its words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.cli.flags import boolean, go_int, go_quote, many, number, parse, refused, spelling, text, value
from minidock.cli.units import size
from minidock.errors import UsageError
from minidock.sizes import go_bool

FLAGS = [
    boolean("detach", "d", ""),
    boolean("interactive", "i", ""),
    boolean("tty", "t", ""),
    boolean("sig-proxy", "", "", default=True),
    text("name", "", ""),
    text("workdir", "w", ""),
    many("publish", "p", ""),
    number("cpu-shares", "c", ""),
    value("memory", "m", "", "bytes", size, default=0),
    text("hostname", "h", ""),
    refused("no-such-thing"),
    refused("oom-kill-disable", kind=""),
]


@pytest.mark.parametrize(
    ("words", "wanted", "rest"),
    [
        (["-d", "busybox"], {"detach": True}, ["busybox"]),
        (["-dit", "busybox"], {"detach": True, "interactive": True, "tty": True}, ["busybox"]),
        (["-itp80", "x"], {"interactive": True, "tty": True, "publish": ["80"]}, ["x"]),
        (
            ["-p", "80:80", "-p=81", "-p82", "--publish", "83", "--publish=84"],
            {"publish": ["80:80", "81", "82", "83", "84"]},
            [],
        ),
        (["-d=false", "--tty=true", "--sig-proxy=false"], {"detach": False, "tty": True, "sig_proxy": False}, []),
        (["-d=0", "-i=T"], {"detach": False, "interactive": True}, []),
        (["--name", "-x", "--workdir="], {"name": "-x", "workdir": ""}, []),
        (["--name=a=b"], {"name": "a=b"}, []),
        (["-p=="], {"publish": ["="]}, []),
        (["-w="], {"workdir": "="}, []),  # pflag: an equals sign alone is the value
        (["--", "-d"], {"detach": False}, ["-d"]),
        (["-", "-d"], {"detach": False}, ["-", "-d"]),
        (["busybox", "-d", "--foo"], {"detach": False}, ["busybox", "-d", "--foo"]),
        (["-c", "0x10", "-m", "1k"], {"cpu_shares": 16, "memory": 1024}, []),
        (["-h", "box"], {"hostname": "box", "help": False}, []),
        (["--help"], {"help": True}, []),
        (["--help=false"], {"help": False}, []),
    ],
)  # fmt: skip
def test_words_are_read(words: list[str], wanted: dict[str, Any], rest: list[str]) -> None:
    values, positional = parse(FLAGS, words, interspersed=False)
    assert {key: values[key] for key in wanted} == wanted
    assert positional == rest


def test_defaults_are_there_and_not_shared() -> None:
    values, _ = parse(FLAGS, [])
    assert values["sig_proxy"] is True
    values["publish"].append("x")
    assert parse(FLAGS, [])[0]["publish"] == []


def test_interspersed_flags_may_follow_arguments() -> None:
    values, positional = parse(FLAGS, ["a", "-d", "b", "--name", "n", "--", "-i"])
    assert (values["detach"], values["name"], values["interactive"]) == (True, "n", False)
    assert positional == ["a", "b", "-i"]


def test_another_spelling_stores_in_the_same_place() -> None:
    network = many("network", "", "")
    values, _ = parse([network, spelling("net", network)], ["--net", "host", "--network", "none"])
    assert values == {"network": ["host", "none"], "help": False}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--foo"], "unknown flag: --foo"),
        (["--foo=1"], "unknown flag: --foo"),
        (["-Z"], "unknown shorthand flag: 'Z' in -Z"),
        (["-dZx"], "unknown shorthand flag: 'Z' in -Zx"),
        (["--name"], "flag needs an argument: --name"),
        (["-p"], "flag needs an argument: 'p' in -p"),
        (["-dp"], "flag needs an argument: 'p' in -dp"),
        (["--=x"], "bad flag syntax: --=x"),
        (["---x"], "bad flag syntax: ---x"),
        (
            ["--tty=maybe"],
            'invalid argument "maybe" for "-t, --tty" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (
            ["-c", "1.5"],
            'invalid argument "1.5" for "-c, --cpu-shares" flag: strconv.ParseInt: parsing "1.5": invalid syntax',
        ),
        (["-m", "abc"], "invalid argument \"abc\" for \"-m, --memory\" flag: invalid size: 'abc'"),
        (["-m", 'a"b'], 'invalid argument "a\\"b" for "-m, --memory" flag: invalid size: \'a"b\''),
        (["--no-such-thing", "all"], "--no-such-thing is not supported by this version of minidock"),
        (["--oom-kill-disable"], "--oom-kill-disable is not supported by this version of minidock"),
        (["-m", "abc", "--foo"], "invalid argument \"abc\" for \"-m, --memory\" flag: invalid size: 'abc'"),
    ],
)  # fmt: skip
def test_bad_words_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(FLAGS, words)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [("0", 0), ("-5", -5), ("+5", 5), ("0x1f", 31), ("0o17", 15), ("017", 15), ("1_000", 1000), ("0b11", 3)],
)
def test_integers_as_go_reads_them(raw: str, wanted: int) -> None:
    assert go_int(raw) == wanted


@pytest.mark.parametrize("raw", ["", "a", "1.5", " 1", "1 ", "--1", "089", "1__0"])
def test_integers_go_refuses(raw: str) -> None:
    with pytest.raises(UsageError, match="invalid syntax"):
        go_int(raw)


def test_integers_have_64_bits() -> None:
    assert go_int(str(2**63 - 1)) == 2**63 - 1
    with pytest.raises(UsageError, match="value out of range"):
        go_int(str(2**63))


@pytest.mark.parametrize("raw", ["yes", "no", "", "TrUe"])
def test_booleans_go_refuses(raw: str) -> None:
    with pytest.raises(UsageError):
        go_bool(raw)


def test_quoting() -> None:
    assert go_quote('a"b\\\n\x01\u00e9') == '"a\\"b\\\\\\n\\x01\u00e9"'


@given(st.lists(st.text(max_size=8), max_size=8))
def test_any_words_give_values_or_a_usage_error(words: list[str]) -> None:
    try:
        values, positional = parse(FLAGS, words)
    except UsageError:
        return
    assert len(positional) <= len(words)
    assert set(values) == {flag.key for flag in FLAGS if not flag.refused} | {"help"}
