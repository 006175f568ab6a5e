"""docs/parity.md lists the flags of a container's life that are refused, with reasons: all of them, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from minidock.cli import app
from minidock.cli.commands import Verb
from minidock.cli.flags import parse
from minidock.errors import UsageError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "parity.md"
LIFE = (
    *(
        "attach",
        "build",
        "commit",
        "cp",
        "create",
        "diff",
        "events",
        "exec",
        "export",
        "inspect",
        "kill",
        "logs",
        "pause",
    ),
    *("port", "ps", "rename", "restart", "rm", "run", "start", "stats", "stop", "top", "unpause", "update", "wait"),
)


def verb(name: str) -> Verb:
    found = app.get_command(click.Context(app), name)
    assert isinstance(found, Verb)
    return found


REFUSED = [(name, flag.name) for name in LIFE for flag in verb(name).flags if flag.refused]


def test_the_list_is_true() -> None:
    section = PAGE.read_text().partition("## Flags that are refused")[2].partition("\n## ")[0]
    listed = re.findall(r"`([a-z]+) --([a-z-]+)`", section)
    assert sorted(listed) == sorted(REFUSED)


@pytest.mark.parametrize(("name", "flag"), REFUSED)
def test_refused_by_name_and_with_a_reason(name: str, flag: str) -> None:
    with pytest.raises(UsageError, match=f"^--{flag} ") as caught:
        parse(verb(name).flags, [f"--{flag}=1"])
    assert "not supported by this version" not in str(caught.value)
