"""top: which lines of ps are the container's."""

from __future__ import annotations

import pytest

from minidock.engine.top import _refuse_disguise, select
from minidock.errors import MinidockError

PRINTED = """\
UID          PID    PPID CMD
root           7       1 sh  -c  two   spaces
root          70       7 seven
nobody         8       7 eight 7
"""


def test_only_the_containers_lines() -> None:
    titles, rows = select(PRINTED, {7, 8})
    assert titles == ["UID", "PID", "PPID", "CMD"]
    assert rows == [["root", "7", "1", "sh -c two spaces"], ["nobody", "8", "7", "eight 7"]]


def test_threads_follow_their_process() -> None:
    printed = "PID LWP CMD\n7 - a\n- 7 -\n9 - b\n- 9 -\n"
    assert select(printed, {7})[1] == [["7", "-", "a"], ["-", "7", "-"]]


def test_without_a_pid_nobody_can_tell() -> None:
    with pytest.raises(MinidockError, match="Couldn't find PID field in ps output"):
        select("COMMAND\nsh\n", {7})


@pytest.mark.parametrize("option", ["-o user=PID", "axo comm=PID,pid", "-o args=PID1"])
def test_no_column_may_pretend_to_be_the_pid(option: str) -> None:
    with pytest.raises(MinidockError, match="is not allowed"):
        _refuse_disguise(option.split())
