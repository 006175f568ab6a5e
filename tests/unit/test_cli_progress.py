"""What a pull looks like: in a pipe, and on a terminal that a real terminal's emulator draws."""

from __future__ import annotations

import io

import pyte
import pytest

from minidock.cli.progress import Display, bar
from minidock.model.events import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(text: str) -> list[str]:
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    return [line.rstrip() for line in screen.display if line.strip()]


STORY = [
    Progress("latest", "Pulling from app"),
    Progress("aaa", "Pulling fs layer"),
    Progress("bbb", "Pulling fs layer"),
    Progress("aaa", "Downloading", 500, 1000),
    Progress("bbb", "Downloading", 1000, 1000),
    Progress("bbb", "Pull complete"),
    Progress("aaa", "Pull complete"),
    Progress("", "Digest: sha256:1"),
]


def test_in_a_pipe() -> None:
    """Lines, and none for what is only counted."""
    out = io.StringIO()
    display = Display(out)
    for progress in STORY:
        display(progress)
    assert out.getvalue().splitlines() == [
        "latest: Pulling from app",
        "aaa: Pulling fs layer",
        "bbb: Pulling fs layer",
        "bbb: Pull complete",
        "aaa: Pull complete",
        "Digest: sha256:1",
    ]


def test_on_a_terminal() -> None:
    """One line a layer, each written over in its place."""
    out = Terminal()
    display = Display(out)
    for progress in STORY[:5]:
        display(progress)
    assert shown(out.getvalue()) == [
        "latest: Pulling from app",
        "aaa: Downloading [===============>               ]     500B/1kB",
        "bbb: Downloading [==============================>]      1kB/1kB",
    ]
    for progress in STORY[5:]:
        display(progress)
    assert shown(out.getvalue()) == [
        "latest: Pulling from app",
        "aaa: Pull complete",
        "bbb: Pull complete",
        "Digest: sha256:1",
    ]


def test_not_too_often() -> None:
    out = Terminal()
    display = Display(out)
    for at in range(1000):
        display(Progress("aaa", "Downloading", at, 1000))
    assert out.getvalue().count("Downloading") < 10
    display(Progress("aaa", "Downloading", 1000, 1000))
    assert "1kB/1kB" in out.getvalue()


@pytest.mark.parametrize("columns", [20, 40, 59, 60, 80, 110, 111, 200])
def test_fits(columns: int) -> None:
    line = f"0123456789ab: Downloading{bar(Progress('x', 'Downloading', 123_456_789, 1_234_567_890), columns)}"
    assert len(line) <= max(columns, 45)
