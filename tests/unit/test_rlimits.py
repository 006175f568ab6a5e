"""Resource limits: names, numbers and what the step says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minidock.errors import UsageError
from minidock.kernel.rlimits import INFINITY, NUMBERS, SetRlimit, type_of

HEADER = Path("/usr/include/asm-generic/resource.h")


def test_numbers_are_the_kernels() -> None:
    if not HEADER.exists():
        pytest.skip("needs linux-libc-dev")
    found = re.findall(r"^\s*#\s*define (RLIMIT_\w+)\s+(\d+)", HEADER.read_text(), re.M)
    assert {name: int(number) for name, number in found} == NUMBERS


def test_names_of_the_command_line() -> None:
    assert type_of("nofile") == "RLIMIT_NOFILE"
    with pytest.raises(UsageError, match="invalid ulimit type: foo"):
        type_of("foo")


def test_the_step_speaks() -> None:
    step = SetRlimit("RLIMIT_NOFILE", 1024, INFINITY)
    assert step.describe() == "limit nofile to 1024 (at most unlimited)"
    assert step.shell() == "prlimit --pid $$ --nofile=1024:unlimited"
